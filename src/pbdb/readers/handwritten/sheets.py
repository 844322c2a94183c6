"""The one reader of tables that people make: text of any usual separator and encoding, workbooks, Parquet.

    read(path)                      -> Sheet: a table of text, the line of each row, and what was mended, in sentences
    table(path), worksheet("Plan")  -> the table alone, as declarations read it

What is read without a word: blanks at the ends of cells, no-break spaces, byte order marks, empty rows and columns.
What is read and told: title rows above the headings, merged cells, decimal commas, units in cells, other encodings.
What could be read in two ways is refused in a sentence that names the place and the cure.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from pbdb.common.errors import DataError
from pbdb.common.typed_cells import cell_or_none, cleaned, is_ditto
from pbdb.readers.bombs import bounded, require_plausible
from pbdb.readers.handwritten.grids import (
    LOOKED_AT,
    PARQUET,
    Grid,
    Row,
    grids,
    is_workbook,
    names_separator,
    separator,
    shown,
)
from pbdb.readers.handwritten.headings import names_a_part
from pbdb.readers.handwritten.quantities import tidied
from pbdb.readers.opening import DAMAGED, encoding_of, open_text, starts_with
from pbdb.readers.tables import damaged, missing

_FULL = 0.6


@dataclass(frozen=True)
class Sheet:
    """A table as it is seen: cells of text, None where nothing is known.

    lines: of the file (rows of the worksheet), for each row. notes: what was mended or passed over, in sentences.
    worksheet: its name, where the file is a workbook of several that hold something.
    """

    table: pd.DataFrame
    lines: tuple[int, ...]
    notes: tuple[str, ...] = ()
    worksheet: str | None = None


@dataclass(frozen=True)
class Heading:
    """Where the headings of a grid stand, and what they are; `is_short`: the first column, of row names, has none."""

    at: int
    names: Row
    line: int
    is_short: bool = False


def read(path: Path, fits: Callable[[pd.DataFrame], bool] | None = None) -> Sheet:
    """Read a table; of a workbook, the worksheet that alone holds something, or alone `fits`.

    Raises:
        SourceError: there is no such file.
        DataError: it is no table, or could be read in two ways.
    """
    if not path.is_file():
        raise missing(path)
    require_plausible(path)
    try:
        if starts_with(path, 4) == PARQUET:
            return _of_parquet(path)
        sheets = [_sheet(path, grid) for grid in grids(path)]
    except DAMAGED as problem:
        raise damaged(path, problem) from None
    return _chosen(path, sheets, fits)


def table(path: Path) -> pd.DataFrame:
    """Read a table of text from any file that `read` takes, as a declaration's `File` does."""
    return read(path).table


def worksheet(name: str) -> Callable[[Path], pd.DataFrame]:
    """Make a reader of one worksheet of a workbook."""

    def read_it(path: Path) -> pd.DataFrame:
        if not path.is_file():
            raise missing(path)
        try:
            named = {grid.name: grid for grid in grids(path)}
        except DAMAGED as problem:
            raise damaged(path, problem) from None
        if name not in named:
            raise DataError(
                f"'{path.name}' has no worksheet '{name}'; it has {', '.join(map(str, named))}.",
                file=path.name,
                value=name,
            )
        return _sheet(path, named[name]).table

    return read_it


def as_it_stands(path: Path) -> pd.DataFrame:
    """Read a published table: cells as they are written but for blanks around them, empty ones as ''.

    Raises:
        DataError: it has several worksheets, or no headings.
    """
    rows = _published_rows(path)
    top = heading(rows)
    if top is None:
        raise DataError(f"'{path.name}' is empty: give the whole table.", file=path.name)
    width = len(top.names)
    body = [(line, [*map(cleaned, row)]) for line, row in rows[top.at + 1 :] if any(map(cleaned, row))]
    for line, row in body:
        if any(row[width:]) or len(row) < width:
            raise DataError(
                f"Line {line} of '{path.name}' has {len(row)} cells, but there are {width} headings (in line "
                f"{top.line}): export the table again.",
                file=path.name,
            )
    return pd.DataFrame([row[:width] for _, row in body], columns=pd.Index(top.names), dtype=object)


def headings(path: Path) -> Row:
    """The headings of a published table in any form; none where it has none."""
    top = heading(_published_rows(path, LOOKED_AT))
    return top.names if top else []


def _published_rows(path: Path, n: int | None = None) -> list[tuple[int, Row]]:
    """Rows of a published table, in which a quotation mark may stand alone; n: the first of them only."""
    if is_workbook(path):
        filled = grids(path)
        if len(filled) > 1:
            raise DataError(
                f"'{path.name}' has {len(filled)} worksheets: save the table as a file of its own.", file=path.name
            )
        return filled[0].rows if filled else []
    require_plausible(path)
    encoding = encoding_of(path)
    with open_text(path, encoding, newline="") as text:
        reader = csv.reader(bounded(text, path.name), delimiter=separator(path, encoding))
        some = reader if n is None else islice(reader, n)
        return [(reader.line_num, row) for row in some if reader.line_num > 1 or not names_separator(row)]


def _chosen(path: Path, sheets: Sequence[Sheet], fits: Callable[[pd.DataFrame], bool] | None) -> Sheet:
    if not sheets:
        raise DataError(
            f"'{path.name}' is empty: give headings, and a row for each sample or compound below them.", file=path.name
        )
    if len(sheets) == 1:
        return Sheet(sheets[0].table, sheets[0].lines, sheets[0].notes)
    fitting = [sheet for sheet in sheets if fits is not None and fits(sheet.table)]
    if len(fitting) != 1:
        names = ", ".join(f"'{sheet.worksheet}'" for sheet in fitting or sheets)
        says = f"Several worksheets of '{path.name}' would do" if fitting else f"'{path.name}' has several worksheets"
        raise DataError(f"{says} ({names}): save the one that is meant as a file of its own.", file=path.name)
    (only,) = fitting
    others = ", ".join(f"'{sheet.worksheet}'" for sheet in sheets if sheet is not only)
    note = f"read worksheet '{only.worksheet}' of '{path.name}', not {others}"
    return Sheet(only.table, only.lines, (*only.notes, note), only.worksheet)


# --- from a grid to a table ----------------------------------------------------------------------------------------


def heading(rows: Sequence[tuple[int, Row]]) -> Heading | None:
    """The headings: the first row that is about as full as the fullest, below title rows and comments."""
    filled = [sum(map(bool, map(cleaned, row))) for _, row in rows[:LOOKED_AT]]
    if not filled or not max(filled):
        return None
    usual = Counter(n for n in filled if n > 1).most_common(1)
    enough = max(1, _FULL * (usual[0][0] if usual else 1))
    at = next(at for at, n in enumerate(filled) if n >= enough and not _is_comment(rows[at][1]))
    names = _trimmed(rows[at][1])
    widths = {len(_trimmed(row)) for _, row in rows[at + 1 : LOOKED_AT] if any(map(cleaned, row))}
    is_short = bool(widths) and widths == {len(names) + 1} and len(names) > 1 and bool(names[0])
    return Heading(at, ["", *names] if is_short else names, rows[at][0], is_short)


def _is_comment(row: Row) -> bool:
    first = row[0].strip() if row else ""
    return first.startswith(("# ", "##", "#!", "# Program:", "!")) or (first == "#" and len(row) == 1)


def _trimmed(row: Row) -> Row:
    """Cells as they are seen, up to the last that holds something."""
    cells = [cleaned(cell) for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _sheet(path: Path, grid: Grid) -> Sheet:
    top = heading(grid.rows)
    if top is None:
        return Sheet(pd.DataFrame(), ())
    notes = list(grid.notes)
    above = [line for line, row in grid.rows[: top.at] if any(map(cleaned, row))]
    if above:
        notes.append(f"{len(above)} rows above the headings of '{path.name}' (line {top.line}) are no headings")
    body = _body(path, grid, top)
    names = _names(path, top, body, notes)
    _refuse_dittos(path, names, body)
    width = len(top.names)
    rows = [[cell_or_none(cell) for cell in cells] + [None] * (width - len(cells)) for _, cells in body]
    made = pd.DataFrame(rows, columns=range(width), dtype=object) if rows else pd.DataFrame(columns=range(width))
    kept = [at for at in range(width) if at in names]
    result, changes = tidied(made[kept].set_axis([names[at] for at in kept], axis=1))
    return Sheet(result, tuple(line for line, _ in body), tuple([*notes, *changes]), grid.name)


def _body(path: Path, grid: Grid, top: Heading) -> list[tuple[int, Row]]:
    """Rows below the headings that hold something.

    Raises:
        DataError: a row has more cells than there are headings, or ends early.
    """
    body = [(line, cells) for line, row in grid.rows[top.at + 1 :] if (cells := _trimmed(row))]
    if top.is_short and [cells[0] for _, cells in body] != [str(n) for n in range(1, len(body) + 1)]:
        raise DataError(
            f"The headings of '{path.name}' (line {top.line}) have one name less than the rows have cells: "
            "write a name over the first column too.",
            file=path.name,
            line=top.line,
        )
    width, of_text = len(top.names), grid.name is None
    for line, row in grid.rows[top.at + 1 :]:
        n = len(_trimmed(row))
        if n > width or (of_text and n and len(row) < width):
            cure = "a cell that holds the separator needs quotation marks" if n > width else "the line ends early"
            raise DataError(
                f"Line {line} of '{path.name}' has {n if n > width else len(row)} cells, but there are {width} "
                f"headings (in line {top.line}): {cure if of_text else 'give each column a heading'}.",
                line=line,
                file=path.name,
            )
    return body


def _names(path: Path, top: Heading, body: Sequence[tuple[int, Row]], notes: list[str]) -> dict[int, str]:
    """Names of the columns by place; those without a heading and without a cell are none.

    Raises:
        DataError: two columns have one heading.
    """
    used = {at for _, cells in body for at, cell in enumerate(cells) if cell}
    names = {
        at: " ".join(name.split()) or f"column {at + 1}" for at, name in enumerate(top.names) if name or at in used
    }
    unnamed = [name for at, name in names.items() if not top.names[at]]
    if unnamed:
        notes.append(f"columns of '{path.name}' without a heading: {', '.join(unnamed)}")
    twice = [name for name, n in Counter(names.values()).items() if n > 1]
    if twice:
        raise DataError(
            f"The file '{path.name}' has the column '{twice[0]}' more than once (line {top.line}): give each "
            "column a heading of its own.",
            file=path.name,
            column=twice[0],
            line=top.line,
        )
    return names


def _refuse_dittos(path: Path, names: dict[int, str], body: Sequence[tuple[int, Row]]) -> None:
    """Refuse signs for `as above` in columns that are read.

    Raises:
        DataError: a cell holds one.
    """
    read = [at for at, name in names.items() if names_a_part(name)]
    for line, cells in body:
        for at in read:
            if at < len(cells) and is_ditto(cells[at]):
                raise DataError(
                    f"The cell of '{names[at]}' in line {line} of '{path.name}' is '{cells[at]}': write what is meant.",
                    file=path.name,
                )


def _of_parquet(path: Path) -> Sheet:
    frame = pd.read_parquet(path)
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    cells = {str(name): [_parquet_cell(value) for value in frame[name]] for name in frame.columns}
    made, notes = tidied(pd.DataFrame(cells, dtype=object))
    return Sheet(made, tuple(range(1, len(made) + 1)), tuple(notes))


def _parquet_cell(value: Any) -> str | None:
    return None if pd.api.types.is_scalar(value) and pd.isna(value) else cell_or_none(shown(value))


def alike(rows: pd.DataFrame) -> str:
    """What rows of one key have in common: that they are equal, or in which column they differ."""
    differing = [str(name) for name in rows.columns if rows[name].nunique(dropna=False) > 1]
    return f"they differ in '{differing[0]}'" if differing else "they are alike: delete all but one"
