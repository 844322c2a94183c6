"""Maps of plates: a cell a well, by a number or by what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

import pandas as pd

from pbdb.common.page.charts import WIDTH
from pbdb.common.page.plots import legend
from pbdb.common.page.svg import drawing, el, number, text
from pbdb.effects.report.screen import plate_format, position

STEPS = 8
MARKS = {
    "vehicle": "vehicle",
    "treated": "treated",
    "out": "left out of the fit",
    "worry": "pointed at by a test",
}


@dataclass(frozen=True)
class Grid:
    """Where cells lie."""

    rows: int
    columns: int
    top: float

    @property
    def cell(self) -> float:
        """Width and height of a cell."""
        return (WIDTH - 36) / self.columns

    @property
    def bottom(self) -> float:
        """Where the cells end."""
        return self.top + self.cell * self.rows

    def square(self, place: tuple[int, int]) -> str:
        """Path of a cell, with a gap around it."""
        side = self.cell - max(0.6, self.cell * 0.08)
        x, y = 24 + self.cell * place[1], self.top + self.cell * place[0]
        return f"M{number(x)} {number(y)}h{number(side)}v{number(side)}h{number(-side)}z"

    def cross(self, place: tuple[int, int]) -> str:
        """Path of a cross in a cell."""
        side = self.cell * 0.5
        x, y = 24 + self.cell * (place[1] + 0.22), self.top + self.cell * (place[0] + 0.22)
        return (
            f"M{number(x)} {number(y)}l{number(side)} {number(side)}m0 {number(-side)}l{number(-side)} {number(side)}"
        )

    def frame(self) -> list[Element]:
        """Letters of rows and numbers of columns, as many as there is room for."""
        step = 1 if self.cell >= 12 else 2 if self.cell >= 7 else 4
        every = 1 if self.columns <= 12 else 2 if self.columns <= 24 else 6
        middle = self.cell / 2
        letters = [
            text(18, self.top + self.cell * at + middle + 4, row_name(at), "tick", text_anchor="end")
            for at in range(0, self.rows, step)
        ]
        numbers = [
            text(24 + self.cell * at + middle - 1, self.top - 5, str(at + 1), "tick", text_anchor="middle")
            for at in range(0, self.columns, every)
        ]
        return [*letters, *numbers]


def row_name(row: int) -> str:
    """Letter of a row: A to Z, then AA."""
    return chr(65 + row) if row < 26 else f"A{chr(65 + row - 26)}"


def placed(wells: pd.DataFrame) -> pd.DataFrame:
    """The wells that have a place, with `place`."""
    places = [position(well) for well in wells["well"]]
    return wells.assign(place=pd.Series(places, index=wells.index, dtype=object))[
        [place is not None for place in places]
    ]


def by_number(wells: pd.DataFrame, column: str, label: str, words: tuple[str, str]) -> Element:
    """Draw a map whose cells are the stronger the larger the number; words: of the least and the largest."""
    values = wells[column].to_numpy(float)
    low, high = float(values.min()), float(values.max())
    width = max(high - low, 1e-9)
    grid = Grid(*plate_format(list(wells["place"])), 44.0)
    cells: dict[int, str] = {}
    for place, value in zip(wells["place"], values, strict=True):
        step = min(STEPS - 1, int((value - low) / width * STEPS))
        cells[step] = cells.get(step, "") + grid.square(place)
    drawn = [el("path", d=path, class_=f"shade-{step}") for step, path in sorted(cells.items())]
    key = [el("rect", x=150 + 12.0 * step, y=4, width=11, height=11, class_=f"shade-{step}") for step in range(STEPS)]
    says = [text(144, 14, words[0], text_anchor="end"), text(152 + 12.0 * STEPS, 14, words[1])]
    return drawing(WIDTH, grid.bottom + 6, label, *key, *says, *grid.frame(), *drawn)


def by_kind(wells: pd.DataFrame, label: str) -> Element:
    """Draw what became of wells; column `kind`: one of MARKS; those of `out` and `worry` have a sign besides."""
    kinds = [(words, f"kind-{name}") for name, words in MARKS.items() if (wells["kind"] == name).any()]
    key, top = legend(kinds)
    grid = Grid(*plate_format(list(wells["place"])), top + 18)
    parts: list[Any] = [*key, *grid.frame()]
    for name in MARKS:
        places = wells.loc[wells["kind"] == name, "place"]
        if len(places):
            parts.append(el("path", d="".join(map(grid.square, places)), class_=f"fill-{name}"))
        if name in ("out", "worry") and len(places):
            parts.append(el("path", d="".join(map(grid.cross, places)), class_=f"cross-{name}"))
    return drawing(WIDTH, grid.bottom + 6, label, *parts)


def as_table(wells: pd.DataFrame, column: str) -> pd.DataFrame:
    """A table like the plate: a row for each row of it, a column for each column."""
    n_rows, n_columns = plate_format(list(wells["place"]))
    table = pd.DataFrame("", index=range(n_rows), columns=[str(at + 1) for at in range(n_columns)], dtype=object)
    for (row, number_), value in zip(wells["place"], wells[column], strict=True):
        table.iat[row, number_] = value
    table.insert(0, "row", [row_name(at) for at in range(n_rows)])
    return table
