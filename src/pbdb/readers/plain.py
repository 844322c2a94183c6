"""Large tab-separated tables as text: fast, equal texts held once, and quotation marks mean nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv

from pbdb.common.errors import DataError
from pbdb.readers.opening import is_gzip
from pbdb.readers.tables import damaged, missing


def tsv(encoding: str = "utf-8") -> Callable[[Path], pd.DataFrame]:
    """Make a reader of tables with a heading, plain or gzip; an empty cell is missing, all else is text."""

    def read(path: Path) -> pd.DataFrame:
        if not path.is_file():
            raise missing(path)
        try:
            names = _names(path, encoding)
            with _open(path) as content:
                return _read(content, names, encoding)
        except (OSError, EOFError, UnicodeDecodeError, pa.ArrowException) as problem:
            raise damaged(path, problem) from None

    return read


def _open(path: Path) -> pa.NativeFile:
    return pa.input_stream(str(path), compression="gzip" if is_gzip(path) else None)


def _names(path: Path, encoding: str) -> list[str]:
    """Names of the columns; the heading is short, so it stands in the first block."""
    with _open(path) as content:
        start: bytes = content.read(1 << 16)
    heading = start.split(b"\n", 1)[0].decode(encoding).rstrip("\r")
    names = heading.removeprefix("\ufeff").split("\t")
    twice = [name for name, n in Counter(names).items() if n > 1]
    if not heading or twice:
        reason = f"has the column '{twice[0]}' more than once" if twice else "is empty"
        raise DataError(f"The file '{path.name}' {reason}.", file=path.name)
    return names


def _read(content: pa.NativeFile, names: list[str], encoding: str) -> pd.DataFrame:
    table = arrow_csv.read_csv(
        content,
        arrow_csv.ReadOptions(column_names=names, skip_rows=1, encoding=encoding),
        arrow_csv.ParseOptions(delimiter="\t", quote_char=False),
        arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
        ),
    )
    frame: pd.DataFrame = table.to_pandas().astype(object)
    return frame
