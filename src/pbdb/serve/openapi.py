"""OpenAPI of the API: the routes as they are declared, and every view with the catalog's words."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.openapi.utils import get_openapi

from pbdb.common.version import __version__
from pbdb.serve import answers, api
from pbdb.serve.catalog import Column, View
from pbdb.serve.filters import OPERATORS, WORDS
from pbdb.serve.place import Row
from pbdb.serve.site import Site

router = APIRouter()
_TYPES = {
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "list": "array",
    "numbers": "array",
    "json": "object",
}
_OPTIONS = {
    "_columns": "Columns to give, with commas between them",
    "_sort": "Column to sort by",
    "_sort_desc": "Column to sort by, greatest first",
    "_size": "Rows at most: 100 unless said; up to 10,000 as json, 1,000,000 as a file",
    "_next": "Token of the answer before: begins after it",
}


@router.get("/openapi.json", include_in_schema=False)
def document(request: Request) -> Response:
    """The description of the API."""
    site = api.site_of(request)
    return site.reply(request, "application/json", lambda: json.dumps(describe(site)).encode())


def describe(site: Site) -> Row:
    """The whole document."""
    words = "Every view by name. Filters: column=value or column__operator=value, operators "
    found = get_openapi(
        title="pbdb",
        version=__version__,
        description=f"{words}{', '.join([*OPERATORS, *WORDS])}. Errors are application/problem+json.",
        routes=api.router.routes,
        servers=[{"url": site.root or "/"}],
    )
    del found["paths"][f"{api.PREFIX}/{{name}}.{{kind}}"]
    for view in site.views.values():
        found["paths"][f"{api.PREFIX}/{view.name}.{{format}}"] = {"get": _of_view(view)}
    return found


def _of_view(view: View) -> Row:
    formats = {"name": "format", "in": "path", "required": True, "schema": {"enum": list(answers.MEDIA)}}
    arguments = [_parameter(c, c.name in view.required) for c in view.arguments.values()]
    columns = [_parameter(c, False) for c in view.columns.values() if c.name not in view.arguments]
    options = [{"name": n, "in": "query", "description": w, "schema": {"type": "string"}} for n, w in _OPTIONS.items()]
    needs = f" Needs one of {', '.join(view.needs)}." if view.needs else ""
    row = {name: _schema(column) for name, column in view.columns.items()}
    body = {"properties": {"rows": {"type": "array", "items": {"type": "object", "properties": row}}}}
    return {
        "summary": view.name,
        "description": view.comment + needs,
        "parameters": [formats, *arguments, *columns, *options],
        "responses": {"200": {"description": "Rows", "content": {"application/json": {"schema": body}}}},
    }


def _parameter(column: Column, required: bool) -> Row:
    words = {"description": column.comment, "required": required}
    return {"name": column.name, "in": "query", **words, "schema": {"type": _TYPES.get(column.kind, "string")}}


def _schema(column: Column) -> dict[str, Any]:
    inner = (
        {"items": {"type": "number" if column.kind == "numbers" else "string"}}
        if column.kind in ("list", "numbers")
        else {}
    )
    return {"type": [_TYPES.get(column.kind, "string"), "null"], "description": column.comment, **inner}
