"""Readers of tables and gene matrices in text files; a damaged file gives one sentence."""

from __future__ import annotations

import csv as csv_module
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pbdb.common.arrays import is_whole
from pbdb.common.errors import DataError, SourceError
from pbdb.readers.bombs import bounded, require_plausible, require_rows
from pbdb.readers.opening import DAMAGED, open_text

if TYPE_CHECKING:
    import scipy.sparse as sp

DAMAGES = (*DAMAGED, pd.errors.ParserWarning)
MISSING = ("", "NA")
_OF_PEOPLE = "; a file that people made is read by readers.sheet, in any form they save"
MAX_COUNT = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Matrix:
    """Counts of samples x features with their names, as read."""

    samples: np.ndarray[Any, Any]
    features: np.ndarray[Any, Any]
    counts: sp.csr_matrix


def csv(path: Path) -> pd.DataFrame:
    """Read a comma-separated table as text, plain or gzip; an empty cell and NA are missing.

    Raises:
        DataError: the file is damaged, or two columns have one name.
        SourceError: there is no such file.
    """
    return _table(path, ",")


def tsv(path: Path) -> pd.DataFrame:
    """Read a tab-separated table as text, plain or gzip; an empty cell and NA are missing."""
    return _table(path, "\t")


def parquet(path: Path) -> pd.DataFrame:
    """Read a Parquet table."""
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise missing(path) from None
    except (OSError, ValueError) as problem:
        raise damaged(path, problem) from None


def gene_matrix(column: str, sep: str = ",") -> Callable[[Path], Matrix]:
    """Make a reader of genes x samples counts in text; `column` names the genes, the others are samples."""

    def read(path: Path) -> Matrix:
        header = _header(path, sep)
        if header[0] != column:
            raise SourceError(
                f"The file '{path.name}' starts with the column '{header[0]}', not '{column}': it is not a table of "
                "genes by samples as this source expects.",
                file=path.name,
                line=1,
                column=column,
            )
        genes, values = _values(path, sep, header)
        return Matrix(np.array(header[1:], dtype=object), genes, _counts(path, values, genes, header[1:]))

    return read


def aligned(sheet: pd.DataFrame, key: str, samples: np.ndarray[Any, Any], sheet_name: str, name: str) -> pd.DataFrame:
    """Order the rows of a sample sheet as the samples of a matrix; both must list the same samples, each once.

    Raises:
        DataError: a sample stands twice, or on one side only; it names the first.
    """
    for names, where in ((sheet[key], sheet_name), (pd.Series(samples), name)):
        twice = names[names.duplicated()]
        if len(twice):
            raise DataError(
                f"'{twice.iloc[0]}' stands twice in '{where}': every sample must be there once.",
                file=where,
                value=twice.iloc[0],
            )
    listed, counted = set(sheet[key]), set(samples)
    for lonely, has, lacks in ((listed - counted, sheet_name, name), (counted - listed, name, sheet_name)):
        if lonely:
            raise DataError(
                f"'{min(map(str, lonely))}' stands in '{has}' but not in '{lacks}' ({len(lonely)} such): "
                "the two files must list the same samples.",
                file=lacks,
                value=min(map(str, lonely)),
            )
    return sheet.set_index(key, drop=False).loc[list(samples)].reset_index(drop=True)


def only(table: pd.DataFrame, column: str, values: Sequence[str], name: str) -> None:
    """Check that a column of codes holds none but the known ones.

    Raises:
        DataError: it holds another; the sentence names it.
    """
    unknown = sorted(set(table[column].astype(str)) - set(values))
    if unknown:
        raise DataError(
            f"Column '{column}' of '{name}' has the unknown code '{unknown[0]}'; known are {', '.join(values)}.",
            file=name,
            column=column,
            value=unknown[0],
        )


def missing(path: Path) -> SourceError:
    """The sentence for a file that is not there."""
    return SourceError(f"There is no file '{path.name}' in '{path.parent}'.", file=path.name)


def damaged(path: Path, problem: BaseException, or_else: str = "") -> DataError:
    """The sentence for a file that cannot be read to its end."""
    detail = " ".join(str(problem).split())
    return DataError(
        f"The file '{path.name}' in '{path.parent}' is damaged or incomplete ({detail}): get it again{or_else}.",
        file=path.name,
    )


def _open(path: Path) -> IO[str]:
    if not path.is_file():
        raise missing(path)
    require_plausible(path)
    return open_text(path, newline="")


def _lines(text: IO[str], name: str) -> Iterator[str]:
    for line in bounded(text, name):
        if "\0" in line:
            raise csv_module.Error("it holds bytes that are no text")
        yield line


def _header(path: Path, sep: str) -> list[str]:
    try:
        with _open(path) as text:
            names = next(csv_module.reader(_lines(text, path.name), delimiter=sep), [])
    except DAMAGES as problem:
        raise damaged(path, problem, _OF_PEOPLE) from None
    if not names:
        raise DataError(f"The file '{path.name}' in '{path.parent}' is empty.", file=path.name)
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise DataError(
            f"The file '{path.name}' has the column '{twice[0]}' more than once.", file=path.name, column=twice[0]
        )
    return names


def _table(path: Path, sep: str) -> pd.DataFrame:
    names = _header(path, sep)
    rows = []
    try:
        with _open(path) as text:
            reader = csv_module.reader(_lines(text, path.name), delimiter=sep)
            for row in reader:
                if row and len(row) != len(names):
                    raise csv_module.Error(f"line {reader.line_num} has {len(row)} fields, not {len(names)}")
                rows.append(row)
                require_rows(len(rows), path.name)
    except DAMAGES as problem:
        raise damaged(path, problem, _OF_PEOPLE) from None
    table = pd.DataFrame(filter(None, rows[1:]), columns=pd.Index(names), dtype=object)
    return table.mask(table.isin(MISSING))


def _values(path: Path, sep: str, header: list[str]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    try:
        with _open(path) as text, warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(text, sep=sep, dtype={header[0]: str}, keep_default_na=False, index_col=False)
    except DAMAGES as problem:
        raise damaged(path, problem) from None
    genes = frame.pop(header[0]).to_numpy(dtype=object)
    for name in frame.columns[[kind.kind not in "iuf" for kind in frame.dtypes]]:
        first = int(pd.to_numeric(frame[name], errors="coerce").isna().to_numpy().argmax())
        raise _not_a_count(path, frame[name].iloc[first], genes[first], name)
    return genes, frame.to_numpy()


def _counts(path: Path, values: np.ndarray[Any, Any], genes: np.ndarray[Any, Any], samples: list[str]) -> sp.csr_matrix:
    import scipy.sparse as sp

    wrong = ~is_whole(values, MAX_COUNT)
    if wrong.any():
        gene, sample = np.argwhere(wrong)[0]
        raise _not_a_count(path, values[gene, sample], genes[gene], samples[sample])
    return sp.csr_matrix(values.T.astype(np.int32))


def _not_a_count(path: Path, value: object, gene: str, sample: str) -> DataError:
    return DataError(
        f"The file '{path.name}' holds '{value}' for gene {gene} in sample {sample}: "
        f"counts are whole numbers from 0 to {MAX_COUNT}.",
        file=path.name,
        column=sample,
        value=value,
    )
