"""Cells of a file as they stand: text of any usual separator and encoding, or the worksheets of a workbook."""

from __future__ import annotations

import csv
import io
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pbdb.common.errors import DataError
from pbdb.readers.bombs import bounded, require_rows
from pbdb.readers.opening import encoding_of, ending, open_text, starts_with

SEPARATORS = (",", ";", "\t", "|")
BY_ENDING = {".csv": ",", ".tsv": "\t", ".txt": "\t", ".tab": "\t"}
IN_WORDS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
LOOKED_AT = 60
FORMATS = ".csv, .tsv or .txt (plain or .gz), .xlsx, .xls, .ods or .parquet"
_ZIP, _OLE, PARQUET, _HDF5 = b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"PAR1", b"\x89HDF"

Row = list[str]


@dataclass
class Grid:
    """Cells of a file as they stand, rows by their numbers from 1; `notes` are sentences without a full stop.

    is_hidden: whether it is a worksheet that nobody sees.
    """

    rows: list[tuple[int, Row]]
    notes: list[str] = field(default_factory=list)
    name: str | None = None
    is_hidden: bool = False


def is_workbook(path: Path) -> bool:
    """Whether a file is a workbook, whatever its name says."""
    return path.is_file() and starts_with(path, 4) in (_ZIP, _OLE)


def grids(path: Path) -> list[Grid]:
    """The cells of a text, or of each worksheet that holds something."""
    start = starts_with(path, 4)
    if start in (_ZIP, _OLE):
        return _of_workbook(path)
    if start == _HDF5:
        raise DataError(f"'{path.name}' is HDF5, not a table: give {FORMATS}.", file=path.name)
    encoding = encoding_of(path)
    grid = Grid(list(text_rows(path, encoding, separator(path, encoding))))
    if encoding not in ("utf-8-sig", "utf-16"):
        grid.notes.append(f"'{path.name}' is not UTF-8: it is read as {_encoding_in_words(encoding)}")
    return [grid] if any(any(row) for _, row in grid.rows) else []


def _encoding_in_words(encoding: str) -> str:
    return "Windows-1252 (Latin-1)" if encoding == "cp1252" else encoding.upper()


def text_rows(path: Path, encoding: str, sep: str, n: int | None = None) -> Iterator[tuple[int, Row]]:
    """Rows of cells by the line in which each ends; n: the first of them only.

    Raises:
        DataError: a quotation mark is not closed, or the file holds bytes that are no text.
    """
    with open_text(path, encoding, newline="") as text:
        reader = csv.reader(_without_zeros(path, bounded(text, path.name)), delimiter=sep, strict=True)
        try:
            for row in reader:
                require_rows(reader.line_num, path.name)
                if n is not None and reader.line_num > n:
                    return
                if reader.line_num > 1 or not names_separator(row):
                    yield reader.line_num, row
        except csv.Error as problem:
            raise DataError(
                f"Line {reader.line_num} of '{path.name}' cannot be read as cells ({problem}): a quotation mark in it "
                "is not closed, or stands alone; write it twice, or take it out.",
                line=reader.line_num,
                file=path.name,
            ) from None


def names_separator(row: Row) -> bool:
    """Whether this is the line `sep=;` with which spreadsheets name their separator."""
    return len(row) <= 2 and "".join(row).lower().startswith("sep=")


def _without_zeros(path: Path, lines: Iterator[str] | Any) -> Iterator[str]:
    for line in lines:
        if "\0" in line:
            raise DataError(f"'{path.name}' holds bytes that are no text: give {FORMATS}.", file=path.name)
        yield line


def separator(path: Path, encoding: str) -> str:
    """The sign between cells: that of a line `sep=`, else the one that cuts most lines into equally many cells."""
    with open_text(path, encoding, newline="") as text:
        lines = [line for line, _ in zip(bounded(text, path.name), range(LOOKED_AT), strict=False)]
    usual = BY_ENDING.get(ending(path), ",")
    first = lines[0].strip().strip('"').lower() if lines else ""
    if first.startswith("sep=") and first[4:5]:
        return first[4:5]
    scores = {sep: _score(lines, sep) for sep in sorted(SEPARATORS, key=lambda sep: sep != usual)}
    best = max(scores, key=lambda sep: scores[sep])
    return best if scores[best] > (0, 0, 0) else usual


def _score(lines: Sequence[str], sep: str) -> tuple[float, int, int]:
    """The share of lines with the usual number of cells, how many these are, and that number; nothing where that is 1.

    Of two signs that cut nearly all lines, the one that cuts more of them is it: a decimal comma stands in no heading.
    """
    try:
        widths = [len(row) for row in csv.reader(io.StringIO("".join(lines)), delimiter=sep) if any(row)]
    except csv.Error:
        return 0, 0, 0
    wide = Counter(width for width in widths if width > 1)
    if not wide:
        return 0, 0, 0
    width, n = max(wide.items(), key=lambda item: (item[1], item[0]))
    is_usual = n >= min(2, len(widths)) and 2 * n >= len(widths)
    return (round(n / len(widths), 1), n, width) if is_usual else (0, 0, 0)


def _of_workbook(path: Path) -> list[Grid]:
    from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

    try:
        book = CalamineWorkbook.from_path(path)
        named = [sheet for sheet in book.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
        filled = [of_worksheet(path, book.get_sheet_by_name(sheet.name)) for sheet in named]
        for grid, sheet in zip(filled, named, strict=True):
            grid.is_hidden = sheet.visible != SheetVisibleEnum.Visible
    except (CalamineError, zipfile.BadZipFile) as problem:
        raise DataError(
            f"'{path.name}' cannot be read as a workbook ({problem}): save it as .xlsx without a password, or as .csv.",
            file=path.name,
        ) from None
    used = [grid for grid in filled if any(any(row) for _, row in grid.rows)]
    visible = [grid for grid in used if not grid.is_hidden]
    if visible and len(visible) < len(used):
        hidden = ", ".join(f"'{grid.name}'" for grid in used if grid.is_hidden)
        visible[0].notes.append(f"hidden worksheets of '{path.name}' were not read: {hidden}")
    return visible or used


def of_worksheet(path: Path, sheet: Any) -> Grid:
    """The cells of a worksheet; a merged cell counts for every row it covers.

    Raises:
        DataError: cells are merged over several columns.
    """
    rows = [[shown(cell) for cell in row] for row in sheet.to_python(skip_empty_area=False)]
    grid = Grid([(at, row) for at, row in enumerate(rows, start=1)], name=sheet.name)
    merged = []
    for (top, left), (bottom, right) in sorted(sheet.merged_cell_ranges or []):
        if bottom == top or bottom >= len(rows) or not rows[top][left]:
            continue
        place = f"{_letters(left)}{top + 1}:{_letters(right)}{bottom + 1}"
        if right > left:
            raise DataError(
                f"The cells {place} of '{path.name}' are merged over several columns: unmerge them.", file=path.name
            )
        for at in range(top + 1, bottom + 1):
            rows[at][left] = rows[top][left]
        merged.append(f"{place} as '{rows[top][left]}'")
    if merged:
        more = f" and {len(merged) - 3} more" if len(merged) > 3 else ""
        grid.notes.append(f"every cell of merged cells counts ({', '.join(merged[:3])}{more})")
    return grid


def _letters(column: int) -> str:
    text = ""
    while column >= 0:
        text, column = chr(ord("A") + column % 26) + text, column // 26 - 1
    return text


def shown(cell: object) -> str:
    """A cell of a workbook as text, a whole number without a point."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
