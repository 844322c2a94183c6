"""The start, search, data sets, cells, mechanisms, and the page of the API."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from pbdb.serve import api
from pbdb.serve.api import site_of
from pbdb.serve.place import Reading, Row
from pbdb.serve.rendering import EXAMPLE_GENES, EXAMPLES, one, page, table
from pbdb.serve.site import NotFoundError, Site

MANY_CONTEXTS = 24

router = APIRouter(include_in_schema=False)


@router.get("/assets/{name}")
async def asset(request: Request, name: str) -> Response:
    """A style or script, for a year: its name changes with it."""
    for found in site_of(request).assets.values():
        if found.name == name:
            headers = {"Content-Encoding": "gzip", "Cache-Control": "public, max-age=31536000, immutable"}
            return Response(found.packed, media_type=found.media, headers=headers)
    raise NotFoundError("There is no such file.")


@router.get("/")
def home(request: Request) -> Response:
    """What is here."""
    return page(request, "home", _home)


def _home(site: Site, reading: Reading) -> Row:
    coverage = table(site, reading, "coverage", most=5000)
    contexts = {row["context"]: row["context_name"] or row["context"] for row in coverage.rows}
    return {
        "totals": reading.ask("SELECT * FROM compendium")[0],
        "coverage": coverage,
        "datasets": table(site, reading, "dataset", most=1000),
        "contexts": contexts if len(contexts) <= MANY_CONTEXTS else {},
        "cells": {(row["dataset"], row["context"]): row for row in coverage.rows},
        "most": max((row["n_conditions"] for row in coverage.rows), default=1),
        "compounds": [row["compound_name"] for row in reading.ask(EXAMPLES)],
        "genes": [row["gene_symbol"] for row in reading.ask(EXAMPLE_GENES)],
    }


@router.get("/search")
def search(request: Request, q: str = Query("", max_length=5000), go: bool = False) -> Response:
    """Everything that a text could mean."""
    site = site_of(request)
    exact = site.names.exact(q)
    if go and len(exact) == 1:
        return RedirectResponse(site.root + exact[0].href, 303)
    return page(request, "search", lambda site, _: _found(site, q))


def _found(site: Site, text: str) -> Row:
    groups = {
        kind: site.names.search(text, 24, kind) for kind in ("compound", "gene", "mechanism", "context", "dataset")
    }
    is_structure = len(text) > 3 and not any(groups.values()) and not any(mark in text for mark in " \0")
    return {"q": text, "groups": groups, "is_structure": is_structure}


@router.get("/dataset/{key}")
def dataset(request: Request, key: str) -> Response:
    """A data set: what is in it, under which terms."""

    def gather(site: Site, reading: Reading) -> Row:
        rows = table(site, reading, "dataset", dataset=api.plain_text(key)).rows
        strongest = reading.ask(_STRONGEST_OF, {"dataset": key, "context": None})
        return {
            "dataset": one(rows, f"There is no data set '{key[:80]}'."),
            "coverage": table(site, reading, "coverage", most=1000, dataset=key),
            "strongest": strongest,
        }

    return page(request, "dataset", gather)


@router.get("/context/{key}")
def context(request: Request, key: str) -> Response:
    """A context: the cells, and what was done to them."""

    def gather(site: Site, reading: Reading) -> Row:
        names = site.names.exact(key, "context")
        found = names[0].key if names else key
        rows = table(site, reading, "context", context=api.plain_text(found)).rows
        strongest = reading.ask(_STRONGEST_OF, {"dataset": None, "context": found})
        return {
            "context": one(rows, f"There are no cells '{key[:80]}'."),
            "coverage": table(site, reading, "coverage", most=1000, context=found),
            "strongest": strongest,
        }

    return page(request, "context", gather)


@router.get("/mechanism/{key:path}")
def mechanism(request: Request, key: str) -> Response:
    """A mechanism: the compounds that are said to have it."""

    def gather(site: Site, reading: Reading) -> Row:
        rows = table(site, reading, "compound_annotation", most=1000, kind="moa", value=api.plain_text(key))
        one(rows.rows, f"No compound is said to be a '{key[:80]}'.")
        names = sorted({(row["compound_name"], row["parent_inchikey"]) for row in rows.rows}, key=str)
        return {"mechanism": key, "statements": rows, "names": names}

    return page(request, "mechanism", gather)


@router.get("/api")
def api_page(request: Request) -> Response:
    """The API: every view with its columns and an example that runs."""
    return page(
        request,
        "api",
        lambda site, reading: {
            "views": [(view, example) for view, example in examples(site, reading)],
            "prefix": api.PREFIX,
        },
    )


def examples(site: Site, reading: Reading) -> list[tuple[Any, str]]:
    """Every view or function with the address of an example."""
    effect = (
        reading.ask(_EXAMPLE_EFFECT)
        or [{"effect_id": 0, "condition_id": 0, "inchikey": "", "compound_name": "", "gene": "HMOX1"}]
    )[0]
    match = (reading.ask("SELECT match_id FROM matched_condition ORDER BY match_id LIMIT 1") or [{"match_id": 0}])[0]
    values = {
        **effect,
        **match,
        "gene_symbol": effect["gene"],
        "fit_id": effect.get("fit_id", 0),
        "query": effect["inchikey"],
        "effect": effect["effect_id"],
        "effect_a": effect["effect_id"],
        "effect_b": effect["effect_id"],
        "compound": effect["compound_name"],
    }
    found = []
    for view in site.views.values():
        needed = list(view.required) or [name for name in view.needs if name in values][:1]
        query = urlencode([*((name, str(values[name])) for name in needed), ("_size", "5")])
        found.append((view, f"{api.PREFIX}/{view.name}.json?{query}"))
    return found


_EXAMPLE_EFFECT = """
SELECT effect_id, condition_id, fit_id, compound_name, coalesce(inchikey, '') AS inchikey, 'HMOX1' AS gene FROM effect
WHERE is_default AND status = 'ok' AND inchikey IS NOT NULL ORDER BY effect_id LIMIT 1"""
_STRONGEST_OF = """
SELECT effect_id, compound_name, inchikey, dataset, context, context_name, dose_um, time_h, n_up, n_down FROM effect
WHERE is_default AND status = 'ok' AND (dataset = %(dataset)s OR %(dataset)s::text IS NULL)
    AND (context = %(context)s OR %(context)s::text IS NULL)
ORDER BY n_up + n_down DESC, effect_id LIMIT 24"""
