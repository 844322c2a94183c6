"""Matrices of genes x samples as text or workbooks: where genes and samples stand, and the numbers between them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pbdb.common.errors import DataError
from pbdb.common.typed_cells import cleaned, is_missing
from pbdb.readers.handwritten import grids, sheets
from pbdb.readers.named_matrix import Block, Profiles, dense, from_blocks
from pbdb.readers.opening import encoding_of, open_bytes

TEXT_BLOCK_BYTES = 32 * 2**20
OF_FEATURE_COUNTS = ("Chr", "Start", "End", "Strand", "Length")
ROW_NUMBERS = ("", "x", "unnamed: 0", "index", "row", "rownames", "#", "nr", "no", "no.")
"""Headings of the first column where a table was saved with the numbers of its rows, in lower case."""
_LIKE_NUMBER = re.compile(r"[-+<>~]?\s*[.,]?\d")

Rows = Sequence[tuple[int, list[str]]]


class _Layout(NamedTuple):
    """How the columns of a table lie: names over all of them, their line, the places of genes and samples.

    described: columns that describe genes.
    """

    names: list[str]
    line: int
    gene: int
    samples: list[int]
    described: tuple[str, ...]


class _RaggedError(Exception):
    """A row has another number of cells than the first ones."""


def read_text(path: Path, sparse: bool) -> Profiles:
    """Read a matrix of text, a block of genes at a time where every line has the same number of plain cells."""
    encoding = encoding_of(path)
    sep = grids.separator(path, encoding)
    rows = list(grids.text_rows(path, encoding, sep, grids.LOOKED_AT))
    layout = _layout(path, rows)
    point = _decimal_point(path, rows, sep)
    has_blanks = any(cell != cleaned(cell) for line, row in rows if line > layout.line for cell in row[1:])
    if not has_blanks:
        blocks = _text_blocks(path, encoding, sep, point, layout, _width(rows, layout))
        try:
            profiles = from_blocks([layout.names[at] for at in layout.samples], blocks, sparse)
            return profiles._replace(left_out=layout.described)
        except _RaggedError:
            _refuse_ragged(path, layout, grids.text_rows(path, encoding, sep))
    return _of_rows(path, layout, list(grids.text_rows(path, encoding, sep)), sparse, point)


def read_workbook(path: Path, sparse: bool) -> Profiles:
    """Read a matrix from the one worksheet that holds something.

    Raises:
        DataError: several do.
    """
    filled = grids.grids(path)
    if len(filled) != 1:
        names = ", ".join(f"'{grid.name}'" for grid in filled) or "none"
        raise DataError(
            f"'{path.name}' has {len(filled)} worksheets that hold something ({names}): save the matrix alone, as .csv "
            "or in a workbook of its own.",
            file=path.name,
        )
    return _of_rows(path, _layout(path, filled[0].rows), filled[0].rows, sparse)


# --- where things stand ------------------------------------------------------------------------------------------


def _layout(path: Path, rows: Rows) -> _Layout:
    """Find the heading of a table of genes x samples, also one name short as R writes it by default.

    Raises:
        DataError: there is none, or it is no matrix.
    """
    top = sheets.heading(rows)
    names = top.names if top else []
    if top is None or len(names) < 2:
        raise DataError(
            f"The heading of '{path.name}' holds {len(names)} columns; give genes in the first column and one "
            "column per sample, separated by commas, semicolons or tabs.",
            file=path.name,
        )
    _refuse_other_tables(path, names, rows)
    body = [row for _, row in rows[top.at + 1 :]]
    gene = 1 if len(names) > 2 and _has_row_numbers(names[0], body) else 0
    if not gene and tuple(names[1:6]) == OF_FEATURE_COUNTS:
        first = 6
    else:
        first = next((at for at in range(gene + 1, len(names)) if not _is_text(body, at)), len(names))
    described = tuple(names[at] or f"column {at + 1}" for at in range(first) if at != gene)
    samples = [at for at in range(first, len(names)) if names[at] or _cells(body, at)]
    return _Layout(names, top.line, gene, samples, described)


def _refuse_other_tables(path: Path, names: Sequence[str], rows: Rows) -> None:
    if re.match(r"ENS[A-Z]*G\d|__|N_unmapped", names[0]) and all(re.fullmatch(r"\d+", name) for name in names[1:]):
        raise DataError(
            f"The first line of '{path.name}' holds counts of '{names[0]}', not names of samples: join the tables of "
            "all samples and write a heading, genes first.",
            file=path.name,
        )
    if names[0] == "Status" and any(row and row[0].startswith("Unassigned") for _, row in rows):
        raise DataError(f"'{path.name}' is the summary of featureCounts: give its table of counts.", file=path.name)


def _cells(body: Sequence[list[str]], at: int) -> list[str]:
    """Cells of a column that hold something."""
    return [cell for row in body if len(row) > at and (cell := cleaned(row[at]))]


def _is_text(body: Sequence[list[str]], at: int) -> bool:
    """Whether a column holds words only: it describes genes, such as their symbols beside ids."""
    words = [cell for cell in _cells(body, at) if not is_missing(cell)]
    return bool(words) and not any(map(_LIKE_NUMBER.match, words))


def _has_row_numbers(name: str, body: Sequence[list[str]]) -> bool:
    numbers = _cells(body, 0)
    counted = any(numbers == [str(n) for n in range(start, start + len(numbers))] for start in (0, 1))
    return name.lower() in ROW_NUMBERS and bool(numbers) and counted and _is_text(body, 1)


def _width(rows: Rows, layout: _Layout) -> int:
    """Cells of a line, those of empty columns at its end included."""
    return max([len(layout.names), *(len(row) for line, row in rows if line > layout.line)])


def _decimal_point(path: Path, rows: Rows, sep: str) -> str:
    """The sign before decimals.

    Raises:
        DataError: commas stand in numbers where they may be of thousands.
    """
    commas = [cell for _, row in rows for cell in row[1:] if re.fullmatch(r"\s*[-+]?\d+,\d+([eE][-+]?\d+)?\s*", cell)]
    if sep == "," or not commas:
        return "."
    if all(re.fullmatch(r"[-+]?[1-9]\d{0,2},\d{3}", cell.strip()) for cell in commas):
        raise DataError(
            f"'{commas[0]}' in '{path.name}' may be {commas[0].replace(',', '.')} or {commas[0].replace(',', '')}: "
            "save the numbers without a separator of thousands.",
            file=path.name,
        )
    return ","


def _refuse_ragged(path: Path, layout: _Layout, rows: Iterator[tuple[int, list[str]]]) -> None:
    """Refuse the first row with more or fewer cells than there are headings; empty lines are no rows."""
    width = len(layout.names)
    for line, row in rows:
        n = max((at + 1 for at, cell in enumerate(row) if cleaned(cell)), default=0)
        if line > layout.line and n and not n <= width <= len(row):
            cure = (
                "a cell that holds the separator needs quotation marks"
                if n > width
                else "the line, or the file, ends early; save the matrix again"
            )
            raise DataError(
                f"Line {line} of '{path.name}' has {n if n > width else len(row)} cells, but there are {width} "
                f"headings (in line {layout.line}): {cure}.",
                file=path.name,
            )


# --- numbers -----------------------------------------------------------------------------------------------------


def _text_blocks(path: Path, encoding: str, sep: str, point: str, layout: _Layout, width: int) -> Iterator[Block]:
    from pyarrow import csv as arrow_csv

    gene, wanted = str(layout.gene), [str(place) for place in layout.samples]
    types = {name: pa.float64() for name in wanted} | {gene: pa.string()}
    try:
        with open_bytes(path) as raw:
            reader = arrow_csv.open_csv(
                raw,
                arrow_csv.ReadOptions(
                    column_names=[str(place) for place in range(width)],
                    skip_rows=layout.line,
                    block_size=TEXT_BLOCK_BYTES,
                    encoding="utf-8" if encoding == "utf-8-sig" else encoding,
                ),
                arrow_csv.ParseOptions(delimiter=sep),
                arrow_csv.ConvertOptions(column_types=types, include_columns=[gene, *wanted], decimal_point=point),
            )
            for batch in reader:
                yield _filled(batch.column(0).to_pylist(), dense(batch.columns[1:], batch.num_rows))
    except pa.ArrowInvalid as problem:
        if re.search(r"Expected \d+ columns", str(problem)):
            raise _RaggedError from None
        raise _not_a_number(path, layout, problem) from None


def _filled(names: list[Any], values: npt.NDArray[np.float64]) -> Block:
    """Genes and values without the rows that hold nothing at all."""
    names = [cleaned(name) if isinstance(name, str) else "" for name in names]
    used = [at for at, name in enumerate(names) if name or not np.isnan(values[at]).all()]
    return (names, values) if len(used) == len(names) else ([names[at] for at in used], values[used])


def _not_a_number(path: Path, layout: _Layout, problem: Exception) -> Exception:
    match = re.search(r"column #(\d+).*invalid value '(.*)'", str(problem))
    known = match is not None and int(match[1]) < len(layout.names) and layout.names[int(match[1])] != ""
    return _odd_cell(path, layout, match[2], int(match[1])) if match and known else problem


def _odd_cell(path: Path, layout: _Layout, text: str, at: int) -> DataError:
    cure = "without signs between thousands" if re.search(r"\d[^\d.]\d{3}\b", text) else "only"
    return DataError(
        f"The matrix '{path.name}' holds '{text}' in the column of sample '{layout.names[at]}': give numbers {cure}.",
        file=path.name,
        column=layout.names[at],
        value=text,
    )


def _of_rows(path: Path, layout: _Layout, rows: Rows, sparse: bool, point: str = ".") -> Profiles:
    """A matrix of cells of text, all at once."""
    body = [row for line, row in rows if line > layout.line and any(map(cleaned, row))]
    numbers = [[_number(path, layout, row, at, point) for at in layout.samples] for row in body]
    values = np.array(numbers, dtype=np.float64).reshape(len(body), len(layout.samples))
    names = [cleaned(row[layout.gene]) if len(row) > layout.gene else "" for row in body]
    profiles = from_blocks([layout.names[at] for at in layout.samples], [(names, values)] if body else [], sparse)
    return profiles._replace(left_out=layout.described)


def _number(path: Path, layout: _Layout, row: list[str], at: int, point: str) -> float:
    text = cleaned(row[at]).replace(point, ".") if at < len(row) else ""
    if is_missing(text):
        return np.nan
    try:
        return float(text) if text.isascii() and "_" not in text else float("")
    except ValueError:
        raise _odd_cell(path, layout, text, at) from None
