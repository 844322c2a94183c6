"""The pages: the whole state of each is in its address; templates ask for what needs no thought."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Response
from fastapi.responses import RedirectResponse

from pbdb.common.errors import QueryError
from pbdb.common.rows import Row
from pbdb.serve import api, figures, signatures
from pbdb.serve.place import Reading
from pbdb.serve.rendering import condition, number_text, page, table
from pbdb.serve.site import At, NotFoundError, Site

MOST_COLUMNS, MOST_ROWS = 100, 60
Text = Annotated[str, Query(max_length=30_000)]

router = APIRouter(include_in_schema=False)


@router.get("/assets/{name}")
async def asset(at: At, name: str) -> Response:
    """A style or script, for a year: its name changes with it."""
    found = next((asset for asset in at.site.assets.values() if asset.name == name), None)
    if found is None:
        raise NotFoundError("There is no such file.")
    headers = {"Content-Encoding": "gzip", "Cache-Control": "public, max-age=31536000, immutable"}
    return Response(found.packed, media_type=found.media, headers=headers)


@router.get("/")
def home(at: At) -> Response:
    """What is here."""
    return page(at, "home", _examples)


def _examples(reading: Reading) -> Row:
    return {
        "examples": list(dict.fromkeys(row["compound_name"] for row in _strongest(reading) if row["inchikey"]))[:6],
        "example_genes": [row["gene_symbol"] for row in reading.ask(_EXAMPLE_GENES)],
    }


@router.get("/search")
def search(at: At, q: Annotated[str, Query(max_length=5000)] = "", go: bool = False) -> Response:
    """Everything that a text could mean; an exact name leads to its page."""
    exact = at.site.names.exact(q)
    if go and len(exact) == 1:
        return RedirectResponse(at.site.root + exact[0].href, 303)
    kinds = ("compound", "gene", "mechanism", "context", "dataset")
    groups = {kind: at.site.names.search(q, 24, kind) for kind in kinds}
    is_structure = len(q) > 3 and not any(groups.values()) and not any(mark in q for mark in " \0")
    return page(at, "search", q=q, groups=groups, is_structure=is_structure)


@router.get("/dataset/{key}")
def dataset(at: At, key: str) -> Response:
    """A data set: what is in it, under which terms."""
    return page(at, "dataset", lambda reading: {"strongest": _strongest(reading, dataset=key)}, key=key)


@router.get("/context/{key}")
def context(at: At, key: str) -> Response:
    """A context: the cells, and what was done to them."""
    known = next(iter(at.site.names.exact(key, "context")), None)
    key = known.key if known else key
    return page(at, "context", lambda reading: {"strongest": _strongest(reading, context=key)}, key=key)


def _strongest(reading: Reading, **where: str) -> list[Row]:
    """The conditions of a data set or context, or of all, that change most genes."""
    if any("\0" in value for value in where.values()):
        return []
    wanted = "".join(f" AND {STRONGEST_WHERE[name]}" for name in where)
    return reading.ask(STRONGEST_OF.format(wanted), where)


@router.get("/mechanism/{key:path}")
def mechanism(at: At, key: str) -> Response:
    """A mechanism: the compounds that are said to have it."""
    return page(at, "mechanism", _examples, mechanism=key)


@router.get("/match")
def matches(at: At, compound: Annotated[str, Query(max_length=2000)]) -> Response:
    """The matches of a compound."""
    return page(at, "matches", name=api.meant(at.site, compound)[0]["compound_name"])


@router.get("/agreement")
def agreement(at: At, metric: str = "direction", a: str = "", b: str = "") -> Response:
    """How far data sets agree, each with each."""

    def gather(reading: Reading) -> Row:
        known = [row["metric"] for row in reading.ask("SELECT DISTINCT metric FROM agreement_summary ORDER BY metric")]
        if known and metric not in known:
            raise QueryError(f"There is no agreement by '{metric[:60]}': there is {', '.join(known)}.")
        return {"metrics": known}

    return page(at, "agreement", gather, metric=metric, a=a, b=b)


@router.get("/api")
def api_page(at: At) -> Response:
    """The API: every view with its columns and an example that runs."""
    return page(at, "api", lambda reading: {"views": examples(at.site, reading)}, prefix=api.PREFIX)


def examples(site: Site, reading: Reading) -> list[tuple[Any, str]]:
    """Every view or function with the address of an example."""
    values: Row = dict.fromkeys(("effect_id", "condition_id", "fit_id", "match_id"), 0)
    values |= dict.fromkeys(("compound_name", "query"), "")
    for query in (_EXAMPLE_EFFECT, "SELECT match_id FROM matched_condition ORDER BY match_id LIMIT 1"):
        values |= next(iter(reading.ask(query)), {})
    values |= dict.fromkeys(("effect", "effect_a", "effect_b"), values["effect_id"])
    values |= dict.fromkeys(("gene", "gene_symbol"), "HMOX1")
    values |= dict.fromkeys(("compound", "of_compounds"), values["compound_name"])
    found = []
    for view in site.views.values():
        needed = list(view.required) or [name for name in view.needs if name in values][:1]
        query = urlencode([*((name, str(values[name])) for name in needed), ("_size", "5")])
        found.append((view, f"{api.PREFIX}/{view.name}.json?{query}"))
    return found


@router.get("/signature")
def signature(
    at: At, up: Text = "", down: Text = "", effect: api.Key | None = None, opposite: bool = False,
    dataset: str = "", context: str = "",
) -> Response:  # fmt: skip
    """Search by lists of genes, or by an effect."""
    asked: Row = {
        "up": up,
        "down": down,
        "effect": effect,
        "opposite": opposite,
        "dataset": dataset,
        "context": context,
    }
    is_asked = up.strip() or down.strip() or effect is not None

    def gather(reading: Reading) -> Row:
        return {"found": signatures.search(at.site, reading, **asked) if is_asked else None}

    return page(at, "signature", gather, asked=asked, query=at.request.url.query)


@router.get("/structure")
def structure(
    at: At,
    smiles: Annotated[str, Query(max_length=2000)] = "",
    how: Literal["similar", "contains"] = "similar",
    n: Annotated[int, Query(ge=1, le=200)] = 24,
) -> Response:
    """Search by structure."""
    text = smiles.strip()
    return page(
        at, "structure", lambda reading: {"found": api.by_structure(at.site, reading, text, how, n) if text else None},
        smiles=text, how=how, query=at.request.url.query,
    )  # fmt: skip


@router.get("/heatmap")
def heat_map(at: At, compounds: Text = "", genes: Text = "", dataset: str = "") -> Response:
    """Some genes in the strongest condition of some compounds."""
    names = [line.strip() for line in compounds.replace(";", "\n").splitlines() if line.strip()]
    symbols = signatures.split(genes)
    if len(names) > MOST_COLUMNS or len(symbols) > MOST_ROWS:
        raise QueryError(
            f"A heat map has at most {MOST_COLUMNS} compounds and {MOST_ROWS} genes: ask the API for more."
        )
    asked = {"compounds": compounds, "genes": genes, "dataset": dataset}
    return page(at, "heatmap", lambda r: _examples(r) | _heat_map(at.site, r, names, symbols, dataset), asked=asked)


def _heat_map(site: Site, reading: Reading, names: list[str], symbols: list[str], dataset: str) -> Row:
    compounds = {text: site.names.exact(text, "compound")[:1] for text in names}
    genes = {text: site.names.exact(text, "gene")[:1] for text in symbols}
    which = {"names": [name.label for found in compounds.values() for name in found], "dataset": dataset or None}
    effects = {row["effect_id"]: f"{row['compound_name']}, {condition(row)}" for row in reading.ask(_STRONGEST, which)}
    ids = [name.key for found in genes.values() for name in found]
    asked: Row = {"effect_id__in": ",".join(map(str, effects)), "gene_id__in": ",".join(ids)}
    values = table(site, reading, "condition_effect", MOST_COLUMNS * MOST_ROWS, **asked) if effects and ids else None
    cells = [
        {"column": effects[row["effect_id"]], "gene": row["gene_symbol"] or row["gene_id"], "gene_id": row["gene_id"]}
        | {"log2_fc": row["log2_fc"], "p": number_text(row["p_adj"], 2)}
        for row in (values.rows if values else [])
    ]
    rows, columns = figures.clustered(cells, "gene", "column", "log2_fc") if cells else ([], [])
    unknown = [text for text, found in (compounds | genes).items() if not found]
    return {"values": values, "cells": cells, "rows": rows, "columns": columns, "unknown": unknown}


_EXAMPLE_GENES = """
SELECT gene_symbol FROM gene WHERE gene_symbol IN ('HMOX1', 'CDKN1A', 'HSPA5', 'MYC', 'CYP1A1', 'TP53')
ORDER BY gene_symbol LIMIT 4"""
_EXAMPLE_EFFECT = """
SELECT effect_id, condition_id, fit_id, compound_name, inchikey AS query FROM effect
WHERE is_default AND status = 'ok' AND inchikey IS NOT NULL ORDER BY effect_id LIMIT 1"""
# Each a value that is known before the effects are read: in the order of an index, and only where they can be.
STRONGEST_WHERE = {
    "dataset": "e.dataset_id = (SELECT d.dataset_id FROM core.dataset d WHERE d.dataset = %(dataset)s)",
    "context": "e.fit_id IN (SELECT i.fit_id FROM core.fit i JOIN core.context x ON x.context_id = i.context_id"
    " WHERE x.context = %(context)s)",
}
STRONGEST_OF = """
SELECT v.effect_id, v.compound_name, v.inchikey, v.dataset, v.context, v.context_name, v.dose_um, v.time_h, v.n_up,
    v.n_down
FROM (
    SELECT e.effect_id FROM core.effect e
    JOIN core.fit f ON f.fit_id = e.fit_id
    WHERE f.is_default AND e.status = 'ok'{}
    ORDER BY e.n_up + e.n_down DESC NULLS LAST, e.effect_id LIMIT 40
) s JOIN effect v ON v.effect_id = s.effect_id
ORDER BY v.n_up + v.n_down DESC NULLS LAST, v.effect_id"""
_STRONGEST = """
SELECT e.effect_id, e.compound_name, e.context, e.context_name, e.dose_um, e.time_h, e.dataset FROM (
    SELECT f.*, row_number() OVER (
        PARTITION BY f.compound_name ORDER BY f.n_up + f.n_down DESC NULLS LAST, f.effect_id
    ) AS place
    FROM effect f WHERE f.is_default AND f.status = 'ok' AND f.compound_name = ANY(%(names)s::text[])
        AND (f.dataset = %(dataset)s OR %(dataset)s::text IS NULL)
) e WHERE e.place = 1"""
