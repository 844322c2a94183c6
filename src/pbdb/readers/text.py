"""Open published text tables, gzipped or not, and say in a sentence what is wrong with them."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from pbdb.common.errors import VocabularyError
from pbdb.readers import sheets
from pbdb.readers.opening import DAMAGED, UTF_8, marked_encoding, open_text

__all__ = ["DAMAGED", "need_columns", "open_text", "read_table"]


def head(path: Path, n: int = 20_000) -> str:
    """The beginning of a table as text; cells of its first line are separated by tabs, however the file has them."""
    if sheets.is_workbook(path):
        return "\n".join("\t".join(row) for grid in sheets.grids(path)[:1] for _, row in grid.rows[:20])
    encoding = marked_encoding(path) or UTF_8
    with open_text(path, encoding) as text:
        content = text.read(n)
    sep, (first, *rest) = sheets.separator(path, encoding), content.split("\n", 1)
    return "\n".join([first if "\t" in first else "\t".join(next(csv.reader([first], delimiter=sep), [])), *rest])


def read_table(path: Path, columns: Iterable[str] = ()) -> pd.DataFrame:
    """Read a table with a heading as text, empty cells as ''; see `need_columns`."""
    table = sheets.as_it_stands(path)
    need_columns(path, table, columns)
    return table


def need_columns(path: Path, table: pd.DataFrame, columns: Iterable[str]) -> None:
    """Check that a table has the columns.

    Raises:
        VocabularyError: one is missing.
    """
    missing = [c for c in columns if c not in table]
    if missing:
        raise VocabularyError(f"{path.name} has no column {', '.join(missing)}: export the table with it.")
