"""The preferred names of compounds, chosen in the database."""

from __future__ import annotations

from sqlalchemy import Connection, text


def choose(connection: Connection, dataset_id: int | None = None) -> int:
    """Give compounds (of one dataset, or all) their preferred names; return how many changed.

    The name of a reference table wins, then PubChem's title, then the most frequent name of the sources; of equally
    frequent ones the shortest, then the first in the alphabet. What has no letter is nobody's name. How a dataset that
    may not be passed on writes a compound counts only where no other dataset has it: a name is seen by everybody.
    """
    return connection.execute(text(_NAMES), {"dataset_id": dataset_id}).rowcount


_NAMES = """
UPDATE core.compound c SET name = best.name
FROM (
    SELECT DISTINCT ON (compound_id) compound_id, name
    FROM (
        SELECT k.compound_id, lower(r.value) AS name, 1 AS place, count(*) AS n
        FROM core.compound k
        JOIN core.reference_annotation r ON r.parent_key = coalesce(k.parent_inchikey, k.inchikey) AND r.kind = 'name'
        GROUP BY 1, 2
        UNION ALL
        SELECT compound_id, lower(pubchem_title), 2, 1 FROM core.compound
        UNION ALL
        SELECT s.compound_id, lower(s.name), CASE WHEN d.is_redistributable THEN 3 ELSE 4 END, count(*)
        FROM core.source_compound s
        JOIN core.dataset d ON d.dataset_id = s.dataset_id
        GROUP BY 1, 2, 3
    ) named
    WHERE name ~ '[[:alpha:]]' AND (
        CAST(:dataset_id AS bigint) IS NULL
        OR compound_id IN (SELECT compound_id FROM core.source_compound WHERE dataset_id = :dataset_id)
    )
    ORDER BY compound_id, place, n DESC, length(name), name
) best
WHERE best.compound_id = c.compound_id AND c.name IS DISTINCT FROM best.name
"""
