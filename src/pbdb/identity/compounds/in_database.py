"""Compounds that became others because the identity rules changed: `replaced_by` leads from the old to the new."""

from __future__ import annotations

from sqlalchemy import Connection, text


def remember(connection: Connection, dataset_id: int) -> None:
    """Keep, until the transaction ends, what the compounds of a dataset are before a load."""
    connection.execute(text("DROP TABLE IF EXISTS pg_temp.compounds_before"))
    connection.execute(
        text(
            "CREATE TEMPORARY TABLE compounds_before ON COMMIT DROP AS"
            " SELECT * FROM core.source_compound WHERE dataset_id = :dataset_id"
        ),
        {"dataset_id": dataset_id},
    )


def record(connection: Connection) -> None:
    """Let compounds that changed with the rules, and that nothing stands for any more, lead to what they became.

    A change of what the source writes is none of the rules. Where one compound became several, it leads to the one
    that most source compounds became; each source compound leads to its own anyway.
    """
    for statement in (_REPLACE, _RESTORE, _SHORTEN):
        connection.execute(text(statement))


_GIVEN = "{0}.given_smiles, {0}.given_inchikey, {0}.given_pubchem_cid, {0}.cas, {0}.name"
_REPLACE = f"""
UPDATE core.compound c SET replaced_by = best.new_id
FROM (
    SELECT DISTINCT ON (o.compound_id) o.compound_id AS old_id, n.compound_id AS new_id
    FROM pg_temp.compounds_before o
    JOIN core.source_compound n ON n.source_compound_id = o.source_compound_id
    WHERE n.compound_id <> o.compound_id AND n.rule_version IS DISTINCT FROM o.rule_version
        AND ({_GIVEN.format("n")}) IS NOT DISTINCT FROM ({_GIVEN.format("o")})
    GROUP BY o.compound_id, n.compound_id
    ORDER BY o.compound_id, count(*) DESC, n.compound_id
) best
WHERE c.compound_id = best.old_id
    AND NOT EXISTS (SELECT FROM core.source_compound s WHERE s.compound_id = c.compound_id)"""
_RESTORE = """
UPDATE core.compound c SET replaced_by = NULL
WHERE c.replaced_by IS NOT NULL AND EXISTS (SELECT FROM core.source_compound s WHERE s.compound_id = c.compound_id)"""
_SHORTEN = """
UPDATE core.compound c SET replaced_by = n.replaced_by
FROM core.compound n
WHERE n.compound_id = c.replaced_by AND n.replaced_by IS NOT NULL AND n.replaced_by <> c.compound_id"""
