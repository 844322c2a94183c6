"""A user's own table of compounds, resolved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pbdb.common.errors import DataError
from pbdb.common.rows import Row
from pbdb.identity.compounds.clean_text import text_or_none
from pbdb.identity.compounds.pubchem_rest import Lookup
from pbdb.identity.compounds.resolve import Record, resolve
from pbdb.readers.handwritten import sheets
from pbdb.readers.handwritten.headings import NAMES, STRUCTURES, matching

COLUMNS = ("smiles", "inchikey", "pubchem_cid", "cas", "name")


HEADINGS = {**STRUCTURES, "name": (*NAMES["compound"], "name", "drugnames", "compoundnames", "title", "preferredname")}


def resolve_file(path: Path, pubchem: Lookup | None = None, workers: int = 1) -> list[Row]:
    """Resolve the rows of a table with any of COLUMNS, in any form that people give tables.

    Returns:
        One row per line: line, name, route, inchikey, parent_inchikey, skeleton, pubchem_cid, conflict, problem.

    Raises:
        DataError: it is no table, has none of the columns, or two for one of them.
    """
    return resolve_table(read(path), pubchem, workers)


def resolve_table(
    given: CompoundRows,
    pubchem: Lookup | None = None,
    workers: int = 1,
    references: Mapping[str, Sequence[str]] | None = None,
) -> list[Row]:
    """Resolve rows that were read; see `resolve_file` and `resolve`."""
    table = given.table
    records = [Record(row.smiles, row.inchikey, row.pubchem_cid, row.cas, row.name) for row in table.itertuples()]
    resolutions = resolve(records, pubchem=pubchem, references=references, workers=workers)
    return [
        {
            "line": line,
            "name": text_or_none(record.name),
            "route": resolution.route,
            "inchikey": resolution.inchikey,
            "parent_inchikey": resolution.parent_inchikey,
            "skeleton": resolution.skeleton,
            "pubchem_cid": resolution.pubchem_cid,
            "conflict": resolution.conflict,
            "problem": resolution.problem,
        }
        for line, record, resolution in zip(table.index, records, resolutions, strict=True)
    ]


def in_words(rows: list[Row]) -> str:
    """Say how many rows went which way."""
    routes = Counter(row["route"] for row in rows)
    counts = ", ".join(f"{n} {route if route == 'unresolved' else f'by {route}'}" for route, n in routes.most_common())
    return f"{len(rows)} compounds: {counts or 'none'}; {sum(row['conflict'] is not None for row in rows)} conflicts"


@dataclass(frozen=True)
class CompoundRows:
    """COLUMNS of a table, by line; notes: what was mended, and which columns were not read, in sentences."""

    table: pd.DataFrame
    notes: tuple[str, ...]


def read(path: Path) -> CompoundRows:
    """Read the rows that are not empty; headings count in any case and spelling (`CAS Number`).

    Raises:
        DataError: there is no such file, it has none of the columns, or two for one of them.
    """
    if not path.is_file():
        raise DataError(f"There is no file '{path}' to resolve.", file=str(path))
    written = sheets.read(path, fits=lambda table: bool(_columns(path, table)))
    columns = _columns(path, written.table)
    if not columns:
        raise DataError(
            f"'{path}' has none of the columns {', '.join(COLUMNS)}: name at least one of them so; it has "
            f"{', '.join(map(str, written.table.columns)) or 'none'}.",
            file=str(path),
        )
    table = pd.DataFrame({kind: written.table[name] for kind, name in columns.items()}, dtype=object)
    unread = [name for name in written.table.columns if name not in columns.values()]
    notes = [*written.notes, *([f"columns that were not read: {', '.join(unread)}"] if unread else [])]
    return CompoundRows(table.set_axis(list(written.lines)).reindex(columns=list(COLUMNS)), tuple(notes))


def _columns(path: Path, table: pd.DataFrame) -> dict[str, str]:
    """Which column holds which kind of statement; the very name wins over its other spellings."""
    columns = {}
    for kind in COLUMNS:
        names = [kind] if kind in table else matching(table.columns, HEADINGS[kind])
        if len(names) > 1 and kind != "name":
            raise DataError(
                f"The columns {' and '.join(map(repr, names))} of '{path}' both say {kind}: delete one.", file=str(path)
            )
        if names:
            columns[kind] = names[0]
    return columns
