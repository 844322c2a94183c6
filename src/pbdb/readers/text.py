"""Open published text tables, gzipped or not, and say in a sentence what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from pbdb.common.errors import VocabularyError
from pbdb.readers.handwritten import sheets
from pbdb.readers.handwritten.grids import is_workbook
from pbdb.readers.opening import DAMAGED, encoding_of, open_text

__all__ = ["DAMAGED", "head", "headings", "need_columns", "open_text", "read_table"]


def head(path: Path, n: int = 20_000) -> str:
    """The beginning of a published text."""
    if is_workbook(path):
        return ""
    with open_text(path, encoding_of(path)) as text:
        return text.read(n)


def headings(path: Path) -> str:
    """The headings of a table in any form, in one line and separated by tabs; nothing where it is none."""
    return "\t".join(sheets.headings(path))


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
        raise VocabularyError(
            f"{path.name} has no column {', '.join(missing)}: export the table with it.", file=path.name
        )
