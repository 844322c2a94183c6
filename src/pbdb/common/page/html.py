"""The page itself: one file of HTML with its styles, its script and all figures inside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, tostring

from pbdb.common.page.charts import Figure
from pbdb.common.page.svg import THEME, Child, el

if TYPE_CHECKING:
    import pandas as pd

HERE = Path(__file__).parent


def page(title: str, body: list[Element], genes: list[str]) -> str:
    """Write the page; genes: symbols by the numbers that dots of matches carry."""
    styles = [el("style", path.read_text(encoding="utf-8")) for path in (THEME, HERE / "page.css")]
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("title", title),
        *styles,
    )
    # Inside a script nothing is escaped, and only a closing tag could end it.
    names = json.dumps(genes, ensure_ascii=False).replace("<", "\\u003c")
    scripts = [
        el("script", names, type="application/json", id="genes"),
        el("script", (HERE / "page.js").read_text(encoding="utf-8")),
    ]
    document = el("html", head, el("body", *body, *scripts), lang="en", class_="no-script")
    return "<!DOCTYPE html>\n" + tostring(document, encoding="unicode", method="html") + "\n"


def section(title: str, *children: Child, **attributes: object) -> Element:
    """Make a section with a heading."""
    return el("section", el("h2", title), *children, **attributes)


def paragraph(*words: Child, class_: str | None = None) -> Element:
    """Make a paragraph."""
    return el("p", *words, class_=class_)


def grid(figures: list[Figure], class_: str = "grid") -> Element:
    """Lay figures out side by side; `grid pairs`: two and two."""
    return el("div", *(framed(figure) for figure in figures), class_=class_)


def framed(figure: Figure) -> Element:
    """Make a figure with title, caption, and the table behind it."""
    return el(
        "figure",
        el("h3", figure.title),
        el("div", figure.picture, class_="canvas"),
        el("figcaption", figure.caption, class_="caption"),
        numbers(figure.table),
        id=figure.key,
        class_=figure.classes or None,
    )


def numbers(table: pd.DataFrame, title: str = "Numbers") -> Element:
    """Make a table that opens on demand."""
    shown = el("div", _table(table), class_="scroll", tabindex=0)
    return el("details", el("summary", f"{title} ({len(table):,} {'row' if len(table) == 1 else 'rows'})"), shown)


def _table(table: pd.DataFrame) -> Element:
    kinds = [None if table[name].dtype == object else "number" for name in table.columns]
    head = el("tr", *(el("th", str(name), class_=kind) for name, kind in zip(table.columns, kinds, strict=True)))
    rows = (
        el("tr", *(el("td", _cell(value), class_=kind) for value, kind in zip(row, kinds, strict=True)))
        for row in table.itertuples(index=False, name=None)
    )
    return el("table", el("thead", head), el("tbody", *rows))


def _cell(value: Any) -> str:
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def tiles(facts: dict[str, int]) -> Element:
    """Show a few large numbers with their words."""
    return el(
        "div",
        *(el("div", el("b", f"{n:,}"), el("span", words), class_="tile") for words, n in facts.items()),
        class_="tiles",
    )
