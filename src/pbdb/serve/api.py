"""The API, version 1: every view by name, as JSON or a file; what is no filter has an address of its own."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.responses import StreamingResponse

from pbdb.common.errors import QueryError
from pbdb.common.version import __version__
from pbdb.query import compound_page
from pbdb.serve import answers, signatures, structures
from pbdb.serve.catalog import View
from pbdb.serve.filters import MOST_ROWS_OF_FILES, select
from pbdb.serve.place import Reading, Row, plain_name
from pbdb.serve.site import NotFoundError, Site

router = APIRouter()
PREFIX = "/api/v1"
Genes = Annotated[str, Query(max_length=40_000)]
OwnCsp = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


def site_of(request: Request) -> Site:
    """The site that the request is for."""
    found: Site = request.app.state.site
    return found


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).encode()


def _reply(request: Request, make: Any) -> Response:
    return site_of(request).reply(request, answers.MEDIA["json"], lambda: _json(make()))


@router.get(f"{PREFIX}/")
def views(request: Request) -> Response:
    """Views and functions: columns, types, words, the filters they need."""
    return _reply(request, lambda: {"views": [described(view) for view in site_of(request).views.values()]})


def described(view: View) -> Row:
    """A view as the API describes it."""
    shown = [{"name": c.name, "type": c.kind, "comment": c.comment} for c in view.columns.values()]
    given = [{"name": c.name, "type": c.kind, "is_required": c.name in view.required} for c in view.arguments.values()]
    return {"name": view.name, "comment": view.comment, "columns": shown, "needs": view.needs, "arguments": given}


@router.get(f"{PREFIX}/release")
def release(request: Request) -> Response:
    """What is served: release, version, data sets with their terms."""
    return _reply(request, lambda: facts(site_of(request)))


def facts(site: Site) -> Row:
    """Release, state, version and terms of what is served."""
    return {
        "release": site.place.release,
        "state": site.place.state(),
        "version": __version__,
        "datasets": site.per_state("datasets", lambda reading: reading.ask(_DATASETS)),
    }


@router.get("/healthz")
async def healthz() -> Row:
    """Answers while the process lives."""
    return {"status": "ok"}


@router.get(f"{PREFIX}/suggest")
def suggest(
    request: Request, q: Annotated[str, Query(max_length=2000)], limit: Annotated[int, Query(ge=1, le=50)] = 10
) -> Response:
    """Names that contain a text, best first."""
    return _reply(request, lambda: {"names": [name.shown() for name in site_of(request).names.search(q, limit)]})


@router.get(f"{PREFIX}/drawing.svg")
def drawing(
    request: Request,
    inchikey: str | None = None,
    smiles: str | None = None,
    width: Annotated[int, Query(ge=40, le=1200)] = structures.WIDTH,
    height: Annotated[int, Query(ge=40, le=1200)] = structures.HEIGHT,
) -> Response:
    """The drawing of a compound, or of a structure that is given."""
    site = site_of(request)

    def make() -> bytes:
        if smiles is not None:
            return structures.drawing_of(smiles, width, height)
        known = site.per_state("structures", _structures)
        if inchikey not in known:
            raise NotFoundError(f"No structure has the InChIKey '{(inchikey or '')[:40]}'.")
        return structures.drawing(known[inchikey], width, height)

    return site.reply(request, "image/svg+xml", make, {"Content-Security-Policy": OwnCsp})


def _structures(reading: Reading) -> dict[str, str]:
    """SMILES by InChIKey, kept: a page asks for a drawing of every compound in a list."""
    rows = reading.ask("SELECT inchikey, smiles FROM compound WHERE smiles IS NOT NULL AND inchikey IS NOT NULL")
    return {row["inchikey"]: row["smiles"] for row in rows}


@router.get(f"{PREFIX}/compound/{{key}}")
def compound(request: Request, key: str) -> Response:
    """Everything known of a compound: by InChIKey, name or any number it goes by."""
    return _reply(request, lambda: known_of(site_of(request), key))


def known_of(site: Site, key: str) -> Row:
    """As `pbdb compound show --json` gives it.

    Raises:
        NotFoundError: there is no such compound.
    """
    with site.place.reading() as reading:
        return compound_page.of(reading.ask, meant(site, key))


def meant(site: Site, key: str) -> list[Row]:
    """The compounds that go by exactly this name.

    Raises:
        NotFoundError: there is none; the sentence names similar ones.
    """
    found = site.names.exact(key, "compound")
    if not found:
        near = ", ".join(f"'{name.label}'" for name in site.names.search(key, 5, "compound"))
        raise NotFoundError(f"No compound is called '{key[:80]}'" + (f"; there are {near}." if near else "."))
    return [{"compound_name": n.label, "inchikey": n.key if n.key != n.label else None} for n in found]


@router.get(f"{PREFIX}/structure")
def structure(
    request: Request,
    smiles: str,
    how: Annotated[str, Query(pattern="^(similar|contains)$")] = "similar",
    n: Annotated[int, Query(ge=1, le=200)] = 20,
) -> Response:
    """Compounds similar to a structure (SMILES, InChI), or that contain it (SMILES, SMARTS)."""
    return _reply(request, lambda: {"compounds": by_structure(site_of(request), smiles, how, n)})


def by_structure(site: Site, text: str, how: str, n: int) -> list[Row]:
    """Search by structure."""
    with site.place.reading() as reading:
        return (structures.similar if how == "similar" else structures.containing)(reading, text, n)


@router.get(f"{PREFIX}/signature")
def signature(
    request: Request,
    up: Genes = "",
    down: Genes = "",
    effect: int | None = None,
    opposite: bool = False,
    dataset: str | None = None,
    context: str | None = None,
    n: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> Response:
    """Effects that move lists of genes, or that are like an effect; by compound and mechanism too."""
    where = {"opposite": opposite, "dataset": dataset, "context": context, "n": n}
    return _reply(request, lambda: signature_of(site_of(request), up, down, effect, where))


@router.post(f"{PREFIX}/signature")
def long_signature(
    request: Request,
    up: Annotated[str, Body()] = "",
    down: Annotated[str, Body()] = "",
    opposite: Annotated[bool, Body()] = False,
) -> Response:
    """The same for lists that are too long for an address."""
    site = site_of(request)
    with site.slot():
        return Response(
            _json(signature_of(site, up, down, None, {"opposite": opposite, "n": 50})), media_type="application/json"
        )


def signature_of(site: Site, up: str, down: str, effect: int | None, where: Row) -> Row:
    """Hits of a signature, what became of the genes, and the floor below which similarity says nothing.

    Raises:
        QueryError: there is neither list nor effect, or no gene is a landmark.
    """
    lists = signatures.Lists([], [], {}, [], [])
    with site.place.reading() as reading:
        if effect is not None:
            hits = signatures.like_effect(reading, in_range(effect), where["opposite"], where["n"])
        else:
            lists = signatures.recognise(site, reading, signatures.split(up), signatures.split(down))
            if not lists.places:
                raise QueryError("None of the genes is a landmark, by which signatures are compared: give others.")
            hits = signatures.like_lists(site, reading, lists, **where)
        moas = mechanisms_of(reading, [hit["compound_name"] for hit in hits])
    return {
        "hits": hits,
        "floor": site.floor,
        "by_compound": signatures.by_compound(hits),
        "by_mechanism": signatures.by_mechanism([hit for hit in hits if abs(hit["similarity"]) >= site.floor], moas),
        "landmarks": sorted(lists.places),
        "left_out": {"other_genes": lists.others, "unknown": lists.unknown},
    }


def in_range(number: int) -> int:
    """A key of ours.

    Raises:
        QueryError: it is larger than any.
    """
    if not 0 <= number < 2**63:
        raise QueryError("A key is a whole number below 2^63.")
    return number


def plain_text(text: str) -> str:
    """A text without what no database takes.

    Raises:
        QueryError: there is a NUL in it.
    """
    if "\0" in text:
        raise QueryError("A NUL character stands in the address.")
    return text


def mechanisms_of(reading: Any, names: list[str]) -> dict[str, list[str]]:
    """Mechanisms of action by compound."""
    rows = reading.ask(_MECHANISMS, {"names": sorted(set(names))})
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["compound_name"], []).append(row["value"])
    return found


@router.get(f"{PREFIX}/{{name}}.{{kind}}")
def rows(request: Request, name: str, kind: str) -> Response:
    """A view or function by name, filtered by its columns, as json, csv, arrow or parquet."""
    site = site_of(request)
    view = site.view(name)
    if kind not in answers.MEDIA:
        raise NotFoundError(f"There is no format '{kind[:20]}': ask for {', '.join(answers.MEDIA)}.")
    if kind == "json":
        return _page(request, site, view)
    return _file(request, site, view, kind)


def _page(request: Request, site: Site, view: View) -> Response:
    asked = request.query_params.multi_items()
    selection = select(view, asked)

    def make() -> tuple[bytes, dict[str, str]]:
        with site.place.reading() as reading:
            found, token = answers.table(reading, selection)
        rest = [(name, text) for name, text in asked if name != "_next"]
        link = f'<{site.root}{PREFIX}/{view.name}.json?{urlencode([*rest, ("_next", token)])}>; rel="next"'
        body = _json({"rows": found, "next": token, "release": site.place.release})
        return body, {"Link": link} if token else {}

    return site.reply(request, answers.MEDIA["json"], make)


def _file(request: Request, site: Site, view: View, kind: str) -> Response:
    asked = request.query_params.multi_items()
    if not any(name == "_size" for name, _ in asked):
        asked.append(("_size", str(MOST_ROWS_OF_FILES)))
    selection = select(view, asked, most=MOST_ROWS_OF_FILES)
    held = ExitStack()
    held.enter_context(site.slot(files=True))
    found = answers.file(site.place, selection, kind, _metadata(site), held)
    headers = {
        "Content-Disposition": f'attachment; filename="{_file_name(site, view, asked)}.{kind}"',
        "X-Row-Limit": str(selection.size),
        "Cache-Control": "no-cache",
    }
    if found.truncated is not None:
        headers["X-Truncated"] = str(found.truncated).lower()
    return StreamingResponse(found.parts, media_type=answers.MEDIA[kind], headers=headers)


def _file_name(site: Site, view: View, asked: list[tuple[str, str]]) -> str:
    chosen = [text for name, text in asked if not name.startswith("_")]
    return plain_name("_".join([view.name, *chosen, site.place.release]))


def _metadata(site: Site) -> dict[str, str]:
    known = facts(site)
    return {
        "release": known["release"],
        "version": known["version"],
        "terms": json.dumps(known["datasets"], default=str),
    }


_DATASETS = """
SELECT dataset, title, release, license, licence, citation, doi, homepage, is_redistributable, is_non_commercial,
    is_simulated
FROM dataset ORDER BY dataset"""
_MECHANISMS = """
SELECT DISTINCT compound_name, value FROM compound_annotation
WHERE kind = 'moa' AND compound_name = ANY(%(names)s::text[]) ORDER BY compound_name, value"""
