"""The API, version 1: every view by name, as JSON or a file; what is no filter has an address of its own."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Query, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import StreamingResponse

from pbdb.common.rows import Row
from pbdb.common.version import __version__
from pbdb.query import compound_page
from pbdb.serve import answers, signatures, structures
from pbdb.serve.catalog import Column, View
from pbdb.serve.filters import MOST_ROWS_OF_FILES, OPERATORS, OPTIONS, WORDS, select
from pbdb.serve.place import Reading
from pbdb.serve.site import At, NotFoundError, Site, as_json

router = APIRouter()
PREFIX = "/api/v1"
Genes = Annotated[str, Query(max_length=40_000)]
Key = Annotated[int, Query(ge=0, lt=2**63)]
Pixels = Annotated[int, Query(ge=40, le=1200)]
CSP_OF_DRAWINGS = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


@router.get(f"{PREFIX}/")
def views(at: At) -> Response:
    """Views and functions: columns, types, words, the filters they need."""
    return at.json(lambda _: {"views": [_described(view) for view in at.site.views.values()]})


def _described(view: View) -> Row:
    shown = [{"name": c.name, "type": c.kind, "comment": c.comment} for c in view.columns.values()]
    given = [{"name": c.name, "type": c.kind, "is_required": c.name in view.required} for c in view.arguments.values()]
    return {"name": view.name, "comment": view.comment, "columns": shown, "needs": view.needs, "arguments": given}


@router.get(f"{PREFIX}/release")
def release(at: At) -> Response:
    """What is served: release, version, data sets with their terms."""
    return at.json(lambda _: at.site.release)


@router.get("/healthz")
async def healthz() -> Row:
    """Answers while the process lives."""
    return {"status": "ok"}


@router.get(f"{PREFIX}/suggest")
def suggest(
    at: At, q: Annotated[str, Query(max_length=2000)], limit: Annotated[int, Query(ge=1, le=50)] = 10
) -> Response:
    """Names that contain a text, best first."""
    names = at.site.names
    return at.reply(
        answers.MEDIA["json"], lambda: as_json({"names": [name.shown() for name in names.search(q, limit)]})
    )


@router.get(f"{PREFIX}/drawing.svg")
def drawing(
    at: At,
    inchikey: str = "",
    smiles: str | None = None,
    width: Pixels = structures.WIDTH,
    height: Pixels = structures.HEIGHT,
) -> Response:
    """The drawing of a compound, or of a structure that is given."""

    def make() -> bytes:
        if smiles is not None:
            return structures.drawing_of(smiles, width, height)
        # Kept: a page asks for a drawing of every compound in a list.
        known = at.site.per_state(
            "structures", lambda reading: {r["inchikey"]: r["smiles"] for r in reading.ask(_DRAWN)}
        )
        if inchikey not in known:
            raise NotFoundError(f"No structure has the InChIKey '{inchikey[:40]}'.")
        return structures.drawing(known[inchikey], width, height)

    return at.reply("image/svg+xml", make, **{"Content-Security-Policy": CSP_OF_DRAWINGS})


@router.get(f"{PREFIX}/compound/{{key}}")
def compound(at: At, key: str) -> Response:
    """Everything known of a compound, as `pbdb compound show --json`: by InChIKey, name or any number it goes by."""
    return at.json(lambda reading: compound_page.of(reading.ask, meant(at.site, key)))


def meant(site: Site, key: str) -> list[Row]:
    """The compounds that go by exactly this name.

    Raises:
        NotFoundError: there is none; the sentence names similar ones.
    """
    found = named(site, key, "compound")
    return [{"compound_name": n.label, "inchikey": n.key if n.key != n.label else None} for n in found]


def named(site: Site, key: str, kind: str) -> list[Any]:
    """What goes by exactly this name.

    Raises:
        NotFoundError: nothing does; the sentence names what is similar.
    """
    found = site.names.exact(key, kind)
    if not found:
        like = site.names.search(key, 5, kind) or site.names.search(key[:4], 5, kind)
        near = ", ".join(f"'{name.label}'" for name in like)
        raise NotFoundError(f"No {kind} is called '{key[:80]}'" + (f"; there are {near}." if near else "."))
    return found


@router.get(f"{PREFIX}/structure")
def structure(
    at: At, smiles: str, how: Literal["similar", "contains"] = "similar", n: Annotated[int, Query(ge=1, le=200)] = 20
) -> Response:
    """Compounds similar to a structure (SMILES, InChI), or that contain it (SMILES, SMARTS)."""
    return at.json(lambda reading: {"compounds": by_structure(at.site, reading, smiles, how, n)})


def by_structure(site: Site, reading: Reading, text: str, how: str, n: int) -> list[Row]:
    """Search by structure."""
    if how == "similar":
        return structures.similar(site.fingerprints, text, n)
    return structures.containing(reading, text, n)


@router.get(f"{PREFIX}/signature")
def signature(
    at: At,
    up: Genes = "",
    down: Genes = "",
    effect: Key | None = None,
    opposite: bool = False,
    dataset: str | None = None,
    context: str | None = None,
    n: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> Response:
    """Effects that move lists of genes, or that are like an effect; by compound and mechanism too."""
    return at.json(lambda reading: signatures.search(at.site, reading, up, down, effect, opposite, dataset, context, n))


@router.post(f"{PREFIX}/signature")
def long_signature(
    at: At,
    up: Annotated[str, Body()] = "",
    down: Annotated[str, Body()] = "",
    opposite: Annotated[bool, Body()] = False,
) -> Response:
    """The same for lists that are too long for an address."""
    with at.site.slot():
        found = at.site.read(lambda reading: signatures.search(at.site, reading, up, down, opposite=opposite, n=50))
    return Response(as_json(found), media_type=answers.MEDIA["json"])


@router.get(f"{PREFIX}/{{name}}.{{kind}}")
def rows(at: At, name: str, kind: str) -> Response:
    """A view or function by name, filtered by its columns, as json, csv, arrow or parquet."""
    view = at.site.view(name)
    if kind not in answers.MEDIA:
        raise NotFoundError(f"There is no format '{kind[:20]}': ask for {', '.join(answers.MEDIA)}.")
    asked = at.request.query_params.multi_items()
    return _page(at, view, asked) if kind == "json" else _file(at, view, kind, asked)


def _page(at: At, view: View, asked: list[tuple[str, str]]) -> Response:
    selection = select(view, asked)

    def make() -> tuple[bytes, dict[str, str]]:
        found, token = at.site.read(lambda reading: answers.table(reading, selection))
        rest = urlencode([*((name, text) for name, text in asked if name != "_next"), ("_next", token)])
        link = f'<{at.site.root}{PREFIX}/{view.name}.json?{rest}>; rel="next"'
        body = as_json({"rows": found, "next": token, "release": at.site.place.release})
        return body, {"Link": link} if token else {}

    return at.reply(answers.MEDIA["json"], make)


def _file(at: At, view: View, kind: str, asked: list[tuple[str, str]]) -> Response:
    selection = select(view, [("_size", str(MOST_ROWS_OF_FILES)), *asked], MOST_ROWS_OF_FILES)
    known = at.site.release
    facts = {"release": known["release"], "version": __version__, "terms": as_json(known["datasets"]).decode()}
    held = ExitStack()
    held.enter_context(at.site.slot(files=True))
    parts, is_cut = answers.file(at.site.place, selection, kind, facts, held)
    chosen = [text for name, text in asked if not name.startswith("_")]
    name = re.sub(r"[^A-Za-z0-9.-]+", "_", "_".join([view.name, *chosen, known["release"]])).strip("_.")[:80]
    headers = {
        "Content-Disposition": f'attachment; filename="{name}.{kind}"',
        "X-Row-Limit": str(selection.size),
        "Cache-Control": "no-cache",
    }
    if is_cut is not None:
        headers["X-Truncated"] = str(is_cut).lower()
    return StreamingResponse(parts, media_type=answers.MEDIA[kind], headers=headers)


@router.get("/openapi.json", include_in_schema=False)
def document(at: At) -> Response:
    """The description of the API: the routes as they are declared, and every view with the catalog's words."""
    words = f"Filters: column=value or column__operator=value, operators {', '.join([*OPERATORS, *WORDS])}."
    found = get_openapi(
        title="pbdb",
        version=__version__,
        description=f"Every view by name. {words} Errors are application/problem+json.",
        routes=router.routes,
        servers=[{"url": at.site.root or "/"}],
    )
    del found["paths"][f"{PREFIX}/{{name}}.{{kind}}"]
    paths = {f"{PREFIX}/{view.name}.{{format}}": {"get": _operation(view)} for view in at.site.views.values()}
    found["paths"] |= paths
    return at.json(lambda _: found)


def _operation(view: View) -> Row:
    formats = {"name": "format", "in": "path", "required": True, "schema": {"enum": list(answers.MEDIA)}}
    given = [
        {"name": c.name, "in": "query", "description": c.comment, "required": c.name in view.required}
        | {"schema": _schema(c)}
        for c in (view.columns | view.arguments).values()
    ]
    options = [{"name": n, "in": "query", "description": w, "schema": {"type": "string"}} for n, w in OPTIONS.items()]
    row = {column.name: _schema(column) | {"description": column.comment} for column in view.columns.values()}
    body = {"properties": {"rows": {"type": "array", "items": {"type": "object", "properties": row}}}}
    return {
        "summary": view.name,
        "description": view.comment + (f" Needs one of {', '.join(view.needs)}." if view.needs else ""),
        "parameters": [formats, *given, *options],
        "responses": {"200": {"description": "Rows", "content": {"application/json": {"schema": body}}}},
    }


def _schema(column: Column) -> Row:
    if column.kind in ("list", "numbers"):
        return {"type": "array", "items": {"type": "number" if column.kind == "numbers" else "string"}}
    own = {"integer", "number", "boolean"} & {column.kind}
    return {"type": own.pop() if own else "object" if column.kind == "json" else "string"}


_DRAWN = "SELECT inchikey, smiles FROM compound WHERE smiles IS NOT NULL AND inchikey IS NOT NULL"
