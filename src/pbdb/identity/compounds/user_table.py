"""A user's own table of compounds, resolved."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from pbdb.common.errors import DataError
from pbdb.identity.compounds.clean_text import text_or_none
from pbdb.identity.compounds.pubchem_rest import Lookup
from pbdb.identity.compounds.resolve import Record, resolve

COLUMNS = ("smiles", "inchikey", "pubchem_cid", "cas", "name")


def resolve_file(path: Path, pubchem: Lookup | None = None, workers: int = 1) -> list[dict[str, Any]]:
    """Resolve the rows of a CSV file with any of COLUMNS.

    Returns:
        One row per line: line, name, route, inchikey, parent_inchikey, skeleton, pubchem_cid, conflict, problem.

    Raises:
        DataError: there is no such file, it is no CSV, or has none of the columns or unnamed ones.
    """
    table = _read(path)
    records = [Record(row.smiles, row.inchikey, row.pubchem_cid, row.cas, row.name) for row in table.itertuples()]
    return [
        {
            "line": line,
            "name": text_or_none(record.name),
            "route": found.route,
            "inchikey": found.inchikey,
            "parent_inchikey": found.parent_inchikey,
            "skeleton": found.skeleton,
            "pubchem_cid": found.pubchem_cid,
            "conflict": found.conflict,
            "problem": found.problem,
        }
        for line, record, found in zip(
            table.index, records, resolve(records, pubchem=pubchem, workers=workers), strict=True
        )
    ]


def in_words(rows: list[dict[str, Any]]) -> str:
    """Say how many rows went which way."""
    routes = Counter(row["route"] for row in rows)
    counts = ", ".join(f"{n} {route if route == 'unresolved' else f'by {route}'}" for route, n in routes.most_common())
    return f"{len(rows)} compounds: {counts or 'none'}; {sum(row['conflict'] is not None for row in rows)} conflicts"


def _read(path: Path) -> pd.DataFrame:
    """The rows that are not empty, by their lines."""
    if not path.is_file():
        raise DataError(f"There is no file '{path}' to resolve.", file=str(path))
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skip_blank_lines=False, encoding="utf-8-sig")
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(f"'{path}' cannot be read as CSV in UTF-8: {error}.", file=str(path)) from error
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes what stands before the named cells for row names
        raise DataError(
            f"The rows of '{path}' have more cells than its first line has names: name every column.", file=str(path)
        )
    if not set(COLUMNS) & set(table.columns):
        raise DataError(
            f"'{path}' has none of the columns {', '.join(COLUMNS)}: name at least one of them so.",
            file=str(path),
            line=1,
        )
    return table.set_axis(table.index + 2).loc[(table != "").any(axis=1).to_numpy()].reindex(columns=list(COLUMNS))
