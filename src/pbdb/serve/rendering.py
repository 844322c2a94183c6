"""What pages share: tables with the address that gives the same rows, templates, and how words and numbers look."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
from fastapi import Request, Response

from pbdb.common.rows import Row
from pbdb.common.version import __version__
from pbdb.serve import answers, figures
from pbdb.serve.filters import select
from pbdb.serve.place import Reading
from pbdb.serve.site import At, NotFoundError, Site, as_json

MOST_SHOWN, MOST_GENES_SHOWN, MOST_COLUMNS = 40, 50_000, 24
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True)
class Table:
    """Rows of a view with the address that gives the same, and the query as SQL."""

    rows: list[Row]
    has_more: bool
    view: str
    query: str
    sql: str


def table(
    site: Site, reading: Reading, view: str, most: int = MOST_SHOWN, rows: list[Row] | None = None,
    needed: str = "", **asked: Any
) -> Table:  # fmt: skip
    """Ask a view or function as the API does.

    rows: what it would answer, where that is known; needed: the columns that the page needs, else all.
    """
    given = [(name, str(value)) for name, value in asked.items() if value not in (None, "")]
    asked_for = [*given, ("_size", str(most))]
    selection = select(site.view(view), asked_for, MOST_GENES_SHOWN)
    if rows is None:
        asked_for += [("_columns", needed)] if needed else []
        narrow = select(site.view(view), asked_for, MOST_GENES_SHOWN)
        rows = answers.table(reading, narrow)[0]
        _forget_infinite(rows, [name for name in narrow.columns if narrow.view.columns[name].kind == "number"])
    return Table(rows, len(rows) == most, view, urlencode(given), selection.to_copy())


def _forget_infinite(rows: list[Row], numbers: list[str]) -> None:
    """None where a number is none or infinite: JSON says null of itself, templates would print it."""
    for row in rows:
        for name in numbers:
            if row[name] is not None and not math.isfinite(row[name]):
                row[name] = None


def one(rows: list[Row], sentence: str) -> Row:
    """The first row.

    Raises:
        NotFoundError: there is none.
    """
    if not rows:
        raise NotFoundError(sentence)
    return rows[0]


def number_text(value: float | None, digits: int = 3) -> str:
    """A number with so many digits, its exponent without zeros."""
    if value is None:
        return ""
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    return (f"{mantissa}e{int(exponent)}" if exponent else mantissa).replace("-", "−")


def counted(n: int, noun: str, plural: str = "") -> str:
    """A number of things in words: 1 gene, 2 genes."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def condition(row: Row) -> str:
    """A condition in words: cells, dose, time."""
    units = {"dose_um": "µM", "time_h": "h"}
    known = [f"{row[name]:g} {unit}" for name, unit in units.items() if row.get(name) is not None]
    return ", ".join([row.get("context_name") or row.get("context") or "", *known])


def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.globals |= {"one": one, "way": figures.way, "version": __version__, "most_columns": MOST_COLUMNS}
    made.policies["json.dumps_function"] = lambda value, **_: as_json(value).decode()
    made.filters |= {
        "number": number_text,
        "n": lambda value: f"{value:,}",
        "counted": counted,
        "path": lambda text: quote(str(text), safe=""),
        "condition": condition,
    }
    return made


TEMPLATES = _environment()


def _render(site: Site, template: str, /, **given: Any) -> bytes:
    shared = {"root": site.root, "assets": site.assets, "about": site.release}
    return TEMPLATES.get_template(f"{template}.html").render(shared | given).encode()


def page(at: At, template: str, gather: Callable[[Reading], Row] = lambda _: {}, **given: Any) -> Response:
    """A page, kept by its address; what its template asks and what is gathered is read in one transaction."""
    site = at.site

    def work(reading: Reading) -> bytes:
        return _render(site, template, table=partial(table, site, reading), ask=reading.ask, **given, **gather(reading))

    return at.reply(HTML, lambda: site.read(work))


def refusal(request: Request, status: int, sentence: str, headers: dict[str, str]) -> Response:
    """A sentence as a page."""
    try:
        body = _render(request.app.state.site, "refusal", status=status, sentence=sentence)
    except Exception:  # the page's foot asks the place, which may be what does not answer
        body, headers = sentence.encode(), headers | {"Content-Type": "text/plain; charset=utf-8"}
    return Response(body, status, headers, None if "Content-Type" in headers else HTML)
