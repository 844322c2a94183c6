"""Reference tables of compounds in use: their statements, brought to the parents of compounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from sqlalchemy import Connection, text

from pbdb.common.ids import stable_id, stable_ids
from pbdb.common.settings import Settings
from pbdb.database.copy_text import copy_frame
from pbdb.identity.compounds.pubchem_bulk_lookup import lookup
from pbdb.identity.compounds.resolve import Record, resolve
from pbdb.identity.vocabulary import store
from pbdb.identity.vocabulary.genes import Imported, named_after
from pbdb.identity.vocabulary.reference_tables import Reference, read_reference

NOT_REDISTRIBUTABLE = frozenset({"repurposing_hub", "sciplex_drugs"})
"""Tables whose terms forbid passing them on, or which state none."""


def import_table(settings: Settings, kind: str, paths: Sequence[Path], release: str | None) -> Imported:
    """Read a reference table, resolve its compounds, and keep its statements as a release.

    Raises:
        VocabularyError: a file is missing or not of this table.
    """
    read = read_reference(kind, paths)
    named = release or read.release or named_after(paths[0])
    store.save(settings, kind, named, kind, paths, {"rows": statements_of_parents(read, settings)})
    return Imported(kind, named)


def statements_of_parents(read: Reference, settings: Settings) -> pd.DataFrame:
    """Statements by parent_key (InChIKey of the parent, else of the compound): parent_key, kind, value.

    The compounds' names are statements, too, of kind name. Compounds without an identity are left out.
    """
    table = read.compounds
    records = [Record(row.smiles, row.inchikey, row.pubchem_cid, None, None) for row in table.itertuples()]
    resolutions = resolve(records, pubchem=lookup(settings), workers=settings.workers)
    keys = [resolution.parent_inchikey or resolution.inchikey for resolution in resolutions]
    identities = pd.DataFrame({"key": table["key"], "parent_key": keys, "name": table["name"]}).dropna(
        subset=["parent_key"]
    )
    names = identities.rename(columns={"name": "value"}).assign(kind="name").dropna(subset=["value"])
    stated = read.statements.merge(identities[["key", "parent_key"]], on="key")
    columns = ["parent_key", "kind", "value"]
    return pd.concat([names[columns], stated[columns]]).drop_duplicates(ignore_index=True)


def apply(connection: Connection, settings: Settings, kind: str, release: str) -> int:
    """Put the statements of the release in use into the database, in the place of others; return their number."""
    parts = store.needed_parts(settings, kind, release)
    tables = [table for part in parts if (table := part.table("rows")) is not None]
    connection.execute(
        text(
            "DELETE FROM core.reference_annotation WHERE vocabulary_id IN"
            " (SELECT vocabulary_id FROM core.vocabulary WHERE kind = :kind)"
        ),
        {"kind": kind},
    )
    if not tables:
        return 0
    rows = pd.concat(tables).drop_duplicates().assign(vocabulary_id=stable_id("vocabulary", kind, release))
    keys = rows[["vocabulary_id", "parent_key", "kind", "value"]].itertuples(index=False, name=None)
    copy_frame(
        connection,
        "core.reference_annotation",
        rows.assign(reference_annotation_id=stable_ids("reference_annotation", keys)),
    )
    return len(rows)
