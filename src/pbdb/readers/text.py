"""Open published text tables, gzipped or not, and say in a sentence what is wrong with them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, cast

import pandas as pd
import pyarrow as pa

from pbdb.common.errors import VocabularyError

DAMAGED = (OSError, EOFError, zlib.error, UnicodeDecodeError, ValueError, LookupError, pa.ArrowException)
"""What reading a truncated or foreign file raises."""


def open_text(path: Path) -> IO[str]:
    """Open UTF-8 text, decompressed where its first bytes are those of gzip."""
    with path.open("rb") as start:
        if start.read(2) != b"\x1f\x8b":
            return path.open(encoding="utf-8")
    return cast(IO[str], gzip.open(path, "rt", encoding="utf-8"))


def read_table(path: Path, columns: Iterable[str] = (), sep: str = "\t") -> pd.DataFrame:
    """Read a table with a heading as text, empty cells as ''; see `need_columns`."""
    with open_text(path) as text:
        table = pd.read_csv(text, sep=sep, dtype=str, keep_default_na=False)
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
