"""What pages share: tables with the address that gives the same rows, templates, and how words and numbers look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
from fastapi import Request, Response
from markupsafe import Markup

from pbdb.common.version import __version__
from pbdb.serve import answers
from pbdb.serve.api import facts, site_of
from pbdb.serve.filters import select
from pbdb.serve.place import Reading, Row
from pbdb.serve.site import NotFoundError, Site

MOST_SHOWN, MOST_GENES_SHOWN = 40, 50_000


@dataclass(frozen=True)
class Table:
    """Rows of a view with the address that gives the same, and the query as SQL and Python."""

    rows: list[Row]
    has_more: bool
    view: str
    query: str
    sql: str

    @property
    def python(self) -> str:
        """The query for Python."""
        return f'import pbdb\n\npbdb.connect().sql("""\n{self.sql}""")'


def table(site: Site, reading: Reading, view: str, most: int = MOST_SHOWN, **asked: Any) -> Table:
    """Ask a view or function as the API does."""
    given = [(name, str(value)) for name, value in asked.items() if value not in (None, "")]
    selection = select(site.view(view), [*given, ("_size", str(most))], most=MOST_GENES_SHOWN)
    rows, token = answers.table(reading, selection)
    return Table(rows, token is not None, view, urlencode(given), selection.to_copy())


def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters["number"] = number_text
    made.filters["n"] = lambda value: f"{value:,}"
    made.filters["path"] = lambda text: quote(str(text), safe="")
    made.filters["json"] = lambda value: Markup(jinja2.utils.htmlsafe_json_dumps(value))
    made.filters["condition"] = condition
    return made


def number_text(value: float | None, digits: int = 3) -> str:
    """A number with so many digits, its exponent without zeros."""
    if value is None:
        return ""
    text = f"{value:.{digits}g}"
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else text.replace("-", "−")


def condition(row: Row) -> str:
    """A condition in words: cells, dose, time."""
    parts = [row.get("context_name") or row.get("context") or ""]
    if row.get("dose_um") is not None:
        parts.append(f"{row['dose_um']:g} µM")
    if row.get("time_h") is not None:
        parts.append(f"{row['time_h']:g} h")
    return ", ".join(parts)


TEMPLATES = _environment()


def _render(site: Site, template: str, /, **given: Any) -> bytes:
    shared = {"root": site.root, "assets": site.assets, "version": __version__, "site": site, "about": facts(site)}
    return TEMPLATES.get_template(f"{template}.html").render(shared | given).encode()


def page(request: Request, name: str, gather: Callable[[Site, Reading], Row]) -> Response:
    """A page of what is gathered in one transaction, kept by its address."""
    site = site_of(request)

    def make() -> bytes:
        with site.place.reading() as reading:
            found = gather(site, reading)
        return _render(site, name, **found)

    return site.reply(request, "text/html; charset=utf-8", make)


def refusal(request: Request, status: int, sentence: str, headers: dict[str, str]) -> Response:
    """A sentence as a page."""
    site = site_of(request)
    try:
        body = _render(site, "refusal", status=status, sentence=sentence)
    except Exception:  # the page's foot asks the place, which may be what does not answer
        body = sentence.encode()
    return Response(body, status, headers, media_type="text/html; charset=utf-8")


def one(rows: list[Row], sentence: str) -> Row:
    """The first row.

    Raises:
        NotFoundError: there is none.
    """
    if not rows:
        raise NotFoundError(sentence)
    return rows[0]


EXAMPLES = """
SELECT compound_name FROM effect
WHERE is_default AND status = 'ok' AND inchikey IS NOT NULL
GROUP BY compound_name ORDER BY max(n_up + n_down) DESC, compound_name LIMIT 6"""
EXAMPLE_GENES = """
SELECT gene_symbol FROM gene WHERE gene_symbol IN ('HMOX1', 'CDKN1A', 'HSPA5', 'MYC', 'CYP1A1', 'TP53')
ORDER BY gene_symbol LIMIT 4"""
