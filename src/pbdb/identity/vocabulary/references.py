"""Reference tables of compounds in use: their statements, brought to the parents of compounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote_plus

import pandas as pd
from sqlalchemy import Connection, text

from pbdb.common.ids import stable_id, stable_ids
from pbdb.common.progress import Progress, silent
from pbdb.common.settings import Settings
from pbdb.common.typed_cells import folded, unjoined
from pbdb.database.copy_text import copy_frame
from pbdb.identity.compounds.pubchem_bulk_lookup import lookup
from pbdb.identity.compounds.resolve import Record, resolve
from pbdb.identity.vocabulary import store
from pbdb.identity.vocabulary.genes import Imported, current, named_after
from pbdb.identity.vocabulary.reference_files import TABLES, Reference, read_reference

NOT_REDISTRIBUTABLE = frozenset({"repurposing_hub", "sciplex_drugs"})
"""Tables whose terms forbid passing them on, or which state none."""


def import_table(
    settings: Settings, kind: str, paths: Sequence[Path], release: str | None, progress: Progress = silent
) -> Imported:
    """Read a reference table, resolve its compounds, and keep its statements as a release.

    Raises:
        VocabularyError: a file is missing or not of this table.
    """
    read = read_reference(kind, paths)
    named = release or read.release or named_after(paths[0])
    tables = {"rows": statements_of_parents(read, settings, progress), "structures": _structures(read)}
    store.save(settings, kind, named, kind, paths, tables)
    return Imported(kind, named)


def _structures(read: Reference) -> pd.DataFrame:
    """Structures by name, for names that sources give without one."""
    listed = read.compounds[["name", "smiles"]].dropna()
    return listed.assign(name=listed["name"].map(folded)).drop_duplicates(ignore_index=True)


def structures_by_name(settings: Settings, releases: Mapping[str, str]) -> dict[str, list[str]]:
    """Structures that reference tables give a name, as `folded` or else `unjoined` spells it.

    releases: of the tables, by kind.
    """
    tables = [
        table
        for kind, release in releases.items()
        for part in store.parts(settings, kind, release)
        if (table := part.table("structures")) is not None
    ]
    if not tables:
        return {}
    listed = pd.concat(tables).drop_duplicates()
    by_name = {str(name): group.tolist() for name, group in listed.groupby("name")["smiles"]}
    codes = listed.assign(name=listed["name"].map(unjoined)).drop_duplicates()
    return {str(name): group.tolist() for name, group in codes.groupby("name")["smiles"]} | by_name


def in_use(connection: Connection) -> dict[str, str]:
    """Releases of reference tables in use, by kind."""
    return {kind: release[0] for kind in TABLES if (release := current(connection, kind)) is not None}


def in_home(settings: Settings) -> dict[str, str]:
    """Releases of reference tables kept in this home, by kind: the newest of each, where no database is asked."""
    folders = {kind: sorted((settings.home / "vocab" / kind).glob("*/")) for kind in TABLES}
    return {kind: unquote_plus(there[-1].name) for kind, there in folders.items() if there}


def statements_of_parents(read: Reference, settings: Settings, progress: Progress = silent) -> pd.DataFrame:
    """Statements by parent_key (InChIKey of the parent, else of the compound): parent_key, kind, value.

    The compounds' names are statements, too, of kind name. Compounds without an identity are left out.
    """
    table = read.compounds
    records = [Record(row.smiles, row.inchikey, row.pubchem_cid, None, None) for row in table.itertuples()]
    resolutions = resolve(records, pubchem=lookup(settings), workers=settings.workers, progress=progress)
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
