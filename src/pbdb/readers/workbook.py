"""Read Excel workbooks (xlsx): small sheets at once, large sheets of counts row by row in bounded memory.

A sheet of 40,000 x 3,400 counts is 4 GB of XML. Readers of whole workbooks hold every cell of it as an object of its
own; here the archive is inflated and scanned a few megabytes at a time.
"""

from __future__ import annotations

import html
import posixpath
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb.common.arrays import is_whole
from pbdb.common.errors import DataError, SourceError
from pbdb.readers.tables import damaged, missing

STEP, ROWS, LONGEST_ROW = 8 << 20, 512, 64 << 20
MAX_COLUMNS = 16_384
MAX_COUNT = np.iinfo(np.int32).max
ROW_END = b"</row>"
DAMAGED = (OSError, EOFError, LookupError, zipfile.BadZipFile, zlib.error, ElementTree.ParseError, UnicodeDecodeError)
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_TARGETS = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"


def table(
    *headings: str, sheet: str | None = None, skip: int = 0, columns: Sequence[str] = ()
) -> Callable[[Path], pd.DataFrame]:
    """Make a reader of a small sheet as text; the heading is the first row that begins with one of `headings`.

    sheet: its name, the first sheet unless given. skip: rows above the heading, where it may begin with anything.
    columns: names of the columns by position, for a heading that says them wrongly. A column without a heading is left
    out. Line breaks and repeated spaces in cells become one space; an empty cell is missing.
    """
    return lambda path: _table(path, headings, sheet, skip, columns)


def _table(path: Path, headings: Sequence[str], sheet: str | None, skip: int, columns: Sequence[str]) -> pd.DataFrame:
    rows = [[_as_text(cell) for cell in row] for row in _rows(path, sheet)][skip:]
    start = next((at for at, row in enumerate(rows) if row and (row[0] in headings or not headings)), None)
    if start is None:
        raise _without_heading(path, headings)
    places = [place for place, name in enumerate(rows[start]) if name is not None]
    if columns and len(columns) != len(places):
        of_sheet = f"sheet '{sheet}'" if sheet else "first sheet"
        raise SourceError(
            f"The {of_sheet} of '{path.name}' has {len(places)} columns, not {len(columns)}.", file=path.name
        )
    body = [[row[place] for place in places] for row in rows[start + 1 :] if any(cell is not None for cell in row)]
    names = list(columns) or [str(rows[start][place]) for place in places]
    return pd.DataFrame(body, columns=pd.Index(names), dtype=object)


def _rows(path: Path, sheet: str | None) -> list[list[Any]]:
    from python_calamine import CalamineError, CalamineWorkbook

    if not path.is_file():
        raise missing(path)
    try:
        book = CalamineWorkbook.from_path(path)
        if sheet is not None and sheet not in book.sheet_names:
            raise SourceError(
                f"The file '{path.name}' has no sheet '{sheet}'; it has {', '.join(book.sheet_names)}.", file=path.name
            )
        worksheet = book.get_sheet_by_name(sheet) if sheet is not None else book.get_sheet_by_index(0)
        rows: list[list[Any]] = worksheet.to_python()
    except (OSError, CalamineError) as problem:
        raise damaged(path, problem) from None
    return rows


def _as_text(cell: Any) -> str | None:
    """A cell as text: white space collapsed, whole numbers without a point."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return " ".join(str(cell).split()) or None


def _without_heading(path: Path, headings: Sequence[str]) -> SourceError:
    wanted = f"begins with {' or '.join(map(repr, headings))}" if headings else "holds a heading"
    return SourceError(f"No row of '{path.name}' {wanted}: it is not the sheet this source expects.", file=path.name)


class Sheet:
    """Counts of samples x features in the first sheet of a workbook: notes, a heading, then a row for each sample.

    Raises:
        SourceError: there is no such file, or no row begins with one of `headings`.
        DataError: the file is damaged, or a name of a feature stands twice.
    """

    def __init__(self, path: Path, headings: Sequence[str]):
        if not path.is_file():
            raise missing(path)
        self._path, self._headings = path, tuple(headings)
        try:
            with zipfile.ZipFile(path) as archive:
                self._member = _first_sheet(archive)
                self._strings = _strings(archive)
            names, _ = next(self._read(), ([], None))
        except DAMAGED as problem:
            raise damaged(path, problem) from None
        if not names:
            raise _without_heading(path, headings)
        self.features = np.array(names[1:], dtype=object)
        if len(set(names)) < len(names):
            raise DataError(f"A column of '{path.name}' stands twice: every gene must be there once.", file=path.name)

    def blocks(self) -> Iterator[tuple[list[str], npt.NDArray[np.int32]]]:
        """Names of samples and their counts, some at a time.

        Raises:
            DataError: a cell is no count, a sample has no name, there is none, or the file is damaged.
        """
        names: list[str] = []
        parts: list[npt.NDArray[np.int32]] = []
        n_samples = 0
        try:
            for some, values in self._read():
                if values is None or not len(values):
                    continue
                names, parts = names + some, [*parts, self._counts(some, values)]
                n_samples += len(some)
                if len(names) >= ROWS:
                    yield names, np.vstack(parts)
                    names, parts = [], []
        except DAMAGED as problem:
            raise damaged(self._path, problem) from None
        if not n_samples:
            raise DataError(f"The file '{self._path.name}' holds no sample below its heading.", file=self._path.name)
        if names:
            yield names, np.vstack(parts)

    def _read(self) -> Iterator[tuple[list[str], npt.NDArray[np.float64] | None]]:
        """First the heading, without values; then names and values of the samples."""
        width: int | None = None
        with zipfile.ZipFile(self._path) as archive, archive.open(self._member) as xml:
            for part in _whole_rows(xml):
                values, texts = self._scan(part, width or MAX_COLUMNS)
                start = 0
                if width is None:
                    at = next((row for row in range(len(values)) if texts.get((row, 0)) in self._headings), None)
                    if at is None:
                        continue
                    heading = _heading(values[at], texts, at)
                    width, start = len(heading), at + 1
                    yield heading, None
                names = [texts.get((row, 0)) or _plain(values[row, 0]) for row in range(start, len(values))]
                self._refuse_others(values, texts, start, width)
                yield names, values[start:, 1:width]

    def _scan(self, part: bytes, width: int) -> tuple[npt.NDArray[np.float64], dict[tuple[int, int], str]]:
        """Numbers of a part of the sheet, and texts by row and column."""
        from pbdb.readers import sheet_scan

        values = sheet_scan.empty(min(part.count(b"<row"), part.count(ROW_END) + 1), width)
        notes = np.empty((part.count(b"<c") + 1, 5), dtype=np.int64)
        n_rows, n_notes, is_wide = sheet_scan.scan(np.frombuffer(part, dtype=np.uint8), values, notes)
        if is_wide:
            raise self._too_wide()
        texts = {(int(row), int(column)): self._text(part, int(what), int(first), int(last))
                 for what, row, column, first, last in notes[:n_notes]}  # fmt: skip
        return values[:n_rows], texts

    def _text(self, part: bytes, what: int, first: int, last: int) -> str:
        from pbdb.readers.sheet_scan import SHARED

        return self._strings[first] if what == SHARED else html.unescape(part[first:last].decode())

    def _refuse_others(
        self, values: npt.NDArray[np.float64], texts: dict[tuple[int, int], str], start: int, width: int
    ) -> None:
        """Refuse cells of text among the counts, and cells beyond the heading."""
        others = [(row, column) for row, column in texts if row >= start and column > 0]
        if np.isfinite(values[start:, width:]).any() or any(column >= width for _, column in others):
            raise self._too_wide()
        for row, column in others[:1]:
            sample = texts.get((row, 0)) or _plain(values[row, 0])
            raise self._no_count(sample, texts[row, column], column - 1)

    def _too_wide(self) -> DataError:
        return DataError(
            f"A row of '{self._path.name}' has no end, or is longer than its heading: the file is damaged.",
            file=self._path.name,
        )

    def _counts(self, names: list[str], values: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
        if not all(names):
            raise DataError(
                f"A row of '{self._path.name}' has no name of a sample: every sample needs one.", file=self._path.name
            )
        wrong = ~is_whole(values, MAX_COUNT)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            value = values[row, column]
            raise self._no_count(names[row], "nothing" if np.isnan(value) else f"{value:g}", int(column))
        return values.astype(np.int32)

    def _no_count(self, sample: str, value: str, column: int) -> DataError:
        return DataError(
            f"The file '{self._path.name}' holds '{value}' for gene {self.features[column]} in sample {sample}: "
            f"counts are whole numbers from 0 to {MAX_COUNT}.",
            file=self._path.name,
            value=value,
        )


def sheet(*headings: str) -> Callable[[Path], Sheet]:
    """Make a reader of large sheets of counts; the heading is the row that begins with one of `headings`."""
    return lambda path: Sheet(path, headings)


def _whole_rows(xml: IO[bytes]) -> Iterator[bytes]:
    """The sheet in parts that end where a row ends."""
    rest = b""
    while step := xml.read(STEP):
        rest += step
        if len(rest) > LONGEST_ROW:
            raise LookupError(f"a row has no end after {LONGEST_ROW >> 20} MB")
        end = rest.rfind(ROW_END) + len(ROW_END)
        if end >= len(ROW_END):
            yield rest[:end]
            rest = rest[end:]


def _heading(values: npt.NDArray[np.float64], texts: dict[tuple[int, int], str], row: int) -> list[str]:
    """Names of the columns, up to the last that has one; a number, which a date is too, as it is written."""
    named = {column: text.strip() for (at, column), text in texts.items() if at == row}
    named |= {int(column): _plain(values[column]) for column in np.flatnonzero(np.isfinite(values))}
    return [named.get(column, "") for column in range(max(named) + 1)]


def _plain(value: float) -> str:
    return "" if np.isnan(value) else f"{int(value)}" if value == int(value) else f"{value:g}"


def _first_sheet(archive: zipfile.ZipFile) -> str:
    """The archive's member that holds the first sheet of the workbook."""
    book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
    first = book.find(f"{_MAIN}sheets/{_MAIN}sheet")
    relations = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    targets = {relation.get("Id"): relation.get("Target", "") for relation in relations.iter(_TARGETS)}
    if first is None or first.get(_RELATION) not in targets:
        raise KeyError("the workbook lists no sheet")
    return posixpath.normpath(posixpath.join("/xl", targets[first.get(_RELATION)])).lstrip("/")


def _strings(archive: zipfile.ZipFile) -> list[str]:
    """Texts that cells share, by number."""
    if "xl/sharedStrings.xml" not in archive.namelist():
        return []
    strings = []
    with archive.open("xl/sharedStrings.xml") as xml:
        for _, element in ElementTree.iterparse(xml):
            if element.tag == f"{_MAIN}si":
                plain = element.findall(f"{_MAIN}t") + element.findall(f"{_MAIN}r/{_MAIN}t")
                strings.append("".join(piece.text or "" for piece in plain))
                element.clear()
    return strings
