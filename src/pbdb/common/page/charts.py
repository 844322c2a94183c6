"""Charts for pages: each a drawing, which a figure gives a caption and the table behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from pbdb.common.page.svg import Scale, drawing, el, scale_over, shortened, text, x_axis

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 400.0


@dataclass(frozen=True)
class Figure:
    """A drawing with a name for its file, a title, what it says, and the table it was drawn from."""

    key: str
    title: str
    caption: str
    picture: Element
    table: pd.DataFrame
    classes: str = ""


@dataclass(frozen=True)
class Mark:
    """How a quantity is drawn: its words, colour, and whether its dot is hollow."""

    words: str
    colour: str
    hollow: bool = False
    size: float = 4.2


@dataclass(frozen=True)
class Whisker:
    """A mean with its interval."""

    quantity: str
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """A row of a dot-and-whisker figure."""

    name: str
    whiskers: list[Whisker] = field(default_factory=list)


def whiskers(lines: list[Line], marks: dict[str, Mark], label: str, axis: str, guide: float | None = None) -> Element:
    """Draw means with intervals: a block of dots for each line, with a legend above and a guide where chance lies."""
    step, head = 13.0, 20.0
    top = 16.0 * len(marks) + 8
    heights = [head + step * len(line.whiskers) + 8 for line in lines]
    bottom = top + sum(heights)
    values = [
        value for line in lines for whisker in line.whiskers for value in (whisker.mean, whisker.low, whisker.high)
    ]
    scale = scale_over(values, 12, WIDTH - 12, among=[] if guide is None else [guide])
    parts: list[Element] = [*_legend(marks), *x_axis(scale, top, bottom, axis)]
    if guide is not None:
        parts.append(el("line", x1=scale(guide), x2=scale(guide), y1=top, y2=bottom, class_="guide"))
    y = top
    for line, height in zip(lines, heights, strict=True):
        parts.append(text(12, y + 14, shortened(line.name, 58), "row"))
        parts += [
            part
            for place, whisker in enumerate(line.whiskers)
            for part in _whisker(scale, y + head + step * (place + 0.5), whisker, marks[whisker.quantity], line.name)
        ]
        y += height
    return drawing(WIDTH, bottom + 38, label, *parts)


def _legend(marks: dict[str, Mark]) -> list[Element]:
    parts = []
    for place, mark in enumerate(marks.values()):
        y = 10 + 16 * place
        parts += [_dot(18, y, mark), text(30, y + 4, mark.words)]
    return parts


def _whisker(scale: Scale, y: float, whisker: Whisker, mark: Mark, name: str) -> list[Element]:
    if not math.isfinite(whisker.mean):
        return []
    says = f"{name}, {mark.words}: {whisker.mean:.3f}"
    parts = []
    if math.isfinite(whisker.low) and math.isfinite(whisker.high):
        says += f" ({whisker.low:.3f} to {whisker.high:.3f})"
        x1, x2 = scale(whisker.low), scale(whisker.high)
        parts.append(el("line", x1=x1, x2=x2, y1=y, y2=y, class_="whisker", style=f"stroke: var(--{mark.colour})"))
    return [*parts, _dot(scale(whisker.mean), y, mark, says)]


def _dot(x: float, y: float, mark: Mark, says: str | None = None) -> Element:
    colour = f"var(--{mark.colour})"
    style = f"stroke: {colour}; fill: {'var(--paper)' if mark.hollow else colour}"
    return el("circle", el("title", says) if says else None, cx=x, cy=y, r=mark.size, class_="mark", style=style)


def heat(table: pd.DataFrame, rows: str, columns: str, value: str, label: str) -> Element:
    """Draw a number for each row and column as a cell that is the stronger the larger it is."""
    row_names, column_names = (list(dict.fromkeys(table[name])) for name in (rows, columns))
    left, top, wide, high = 150.0, 92.0, 58.0, 22.0
    largest = max(1.0, float(table[value].max()))
    parts: list[Element] = []
    for place, name in enumerate(column_names):
        x = left + wide * (place + 0.5)
        turned = f"rotate(-35 {x:.1f} {top - 8:.1f})"
        parts.append(text(x, top - 8, shortened(str(name), 22), transform=turned))
    for place, name in enumerate(row_names):
        parts.append(text(left - 8, top + high * place + 15, shortened(str(name), 22), text_anchor="end"))
    for row, column, amount in table[[rows, columns, value]].itertuples(index=False, name=None):
        x, y = left + wide * column_names.index(column), top + high * row_names.index(row)
        share = math.log1p(amount) / math.log1p(largest)
        says = el("title", f"{column}, {row}: {int(amount):,}")
        strength = 0.08 + 0.82 * share
        parts.append(
            el("rect", says, x=x + 1, y=y + 1, width=wide - 2, height=high - 2, class_="cell", fill_opacity=strength)
        )
        words = f"{int(amount):,}"
        parts.append(text(x + wide / 2, y + 15, words, "on" if share > 0.6 else "label", text_anchor="middle"))
    return drawing(left + wide * len(column_names) + 90, top + high * len(row_names) + 8, label, *parts)


def stacked(table: pd.DataFrame, parts_of: dict[str, str], label: str, names: list[str]) -> Element:
    """Draw rows of shares that make up a whole; parts_of: column and its words, from strong to weak."""
    head, high, gap = 20.0, 14.0, 12.0
    top = 18.0 * ((len(parts_of) + 1) // 2) + 6
    parts: list[Element] = []
    for place, words in enumerate(parts_of.values()):
        x, y = 12 + 190 * (place % 2), 18.0 * (place // 2)
        parts += [
            el("rect", x=x, y=y + 2, width=12, height=12, style=f"fill: var(--step-{place + 1})"),
            text(x + 18, y + 12, words),
        ]
    for row, name in enumerate(names):
        y = top + row * (head + high + gap)
        amounts = [float(table.iloc[row][column]) for column in parts_of]
        total = sum(amounts)
        parts.append(text(12, y + 13, shortened(name, 44), "row"))
        parts.append(text(WIDTH - 12, y + 13, f"{int(total):,}", "note", text_anchor="end"))
        parts += _shares(amounts, list(parts_of.values()), y + head, high, name)
    return drawing(WIDTH, top + len(names) * (head + high + gap), label, *parts)


def _shares(amounts: list[float], words: list[str], y: float, high: float, name: str) -> list[Element]:
    total, x, parts = sum(amounts) or 1.0, 12.0, []
    for place, amount in enumerate(amounts):
        wide = (WIDTH - 24) * amount / total
        if amount:
            says = el("title", f"{name}, {words[place]}: {int(amount):,} ({amount / total:.0%})")
            style = f"fill: var(--step-{place + 1})"
            parts.append(el("rect", says, x=x, y=y, width=max(wide - 1, 0.5), height=high, style=style))
        x += wide
    return parts


def bars(table: pd.DataFrame, columns: dict[str, str], names: list[str], label: str, axis: str) -> Element:
    """Draw a block of bars for each row of a table; columns: column and its words."""
    head, step = 20.0, 13.0
    top = 18.0 * ((len(columns) + 1) // 2) + 6
    block = head + step * len(columns) + 10
    bottom = top + block * len(names)
    largest = max(1.0, float(table[list(columns)].max().max()))
    scale = scale_over([0.0, largest], 12, WIDTH - 60)
    parts: list[Element] = [*x_axis(scale, top, bottom, axis, 4)]
    for place, words in enumerate(columns.values()):
        x, y = 12 + 190 * (place % 2), 18.0 * (place // 2)
        box = el("rect", x=x, y=y + 2, width=12, height=12, style=f"fill: var(--step-{place + 1})")
        parts += [box, text(x + 18, y + 12, words)]
    for row, name in enumerate(names):
        y = top + block * row
        parts.append(text(12, y + 14, shortened(name, 50), "row"))
        for place, column in enumerate(columns):
            amount, at = int(table.iloc[row][column]), y + head + step * place
            wide, style = max(scale(amount) - 12, 0.5), f"fill: var(--step-{place + 1})"
            parts.append(el("rect", x=12, y=at, width=wide, height=step - 2, style=style))
            parts.append(text(scale(amount) + 5, at + 10, f"{amount:,}", "note"))
    return drawing(WIDTH, bottom + 38, label, *parts)


def dots(x: list[float], y: list[float], scales: tuple[Scale, Scale], class_: str) -> Element | None:
    """Draw many equal dots as one path, in the order given."""
    if not x:
        return None
    path = "".join(f"M{scales[0](a):.1f} {scales[1](b):.1f}h0" for a, b in zip(x, y, strict=True))
    return el("path", d=path, class_=f"dots {class_}")
