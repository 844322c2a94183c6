"""The pages: the whole state of each is in its address; templates ask for what needs no thought."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import RedirectResponse

from pbdb.common.errors import QueryError
from pbdb.query import compound_page
from pbdb.serve import api, figures, signatures
from pbdb.serve.place import Reading, Row
from pbdb.serve.rendering import MOST_GENES_SHOWN, MOST_SHOWN, condition, number_text, one, page, table
from pbdb.serve.site import At, NotFoundError, Site

MOST_STRIPS, MOST_FACETS = 24, 8
MOST_COLUMNS, MOST_ROWS = 100, 60
LEAST_TANIMOTO = 0.3
STATISTICS = ("direction", "spearman_t", "pearson_log2_fc", "overlap_100")
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


def _strongest(reading: Reading, dataset: str | None = None, context: str | None = None) -> list[Row]:
    """The conditions of a data set or context that change most genes."""
    given = {"dataset": dataset, "context": context}
    return reading.ask(_STRONGEST_OF, given) if "\0" not in f"{dataset}{context}" else []


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
    values |= dict.fromkeys(("gene", "gene_symbol"), "HMOX1") | {"compound": values["compound_name"]}
    found = []
    for view in site.views.values():
        needed = list(view.required) or [name for name in view.needs if name in values][:1]
        query = urlencode([*((name, str(values[name])) for name in needed), ("_size", "5")])
        found.append((view, f"{api.PREFIX}/{view.name}.json?{query}"))
    return found


@router.get("/compound/{key:path}")
def compound(at: At, key: str, effect: api.Key | None = None) -> Response:
    """A compound: what it is, what it does, what acts like it."""
    names = at.site.names.exact(key, "compound")
    if names and key not in [name.key for name in names]:
        query = f"?effect={effect}" if effect is not None else ""
        return RedirectResponse(f"{at.site.root}{names[0].href}{query}", 303)
    return page(at, "compound", lambda reading: _compound(at.site, reading, key, effect), key=key)


def _compound(site: Site, reading: Reading, key: str, effect: int | None) -> Row:
    meant = api.meant(site, key)
    itself = [row for row in meant if key == (row["inchikey"] or row["compound_name"])]
    known = compound_page.of(reading.ask, itself)
    names = site.names.exact(known["name"], "compound")
    salts = [row["inchikey"] for row in known["related"] if row["level"] == "parent_inchikey"]
    keys = [row["inchikey"] for row in known["compounds"]] + salts
    which = {"inchikey__in": ",".join(keys)} if keys else {"compound_name": known["name"]}
    effects = table(site, reading, "effect", most=5000, is_default="true", status="ok", mode="pooled", **which)
    shown = sorted(effects.rows, key=lambda row: -(row["n_up"] or 0) - (row["n_down"] or 0))
    chosen = [row for row in shown if effect in (None, row["effect_id"])]
    if effect is not None:
        one(chosen, f"{known['name']} has no effect {effect}: choose one of its page.")
    own = {row["parent_inchikey"] for row in known["compounds"]} | {known["name"]}
    return {
        "known": known,
        "namesakes": [name for name in names if name.key != key],
        "without_structure": [row["dataset"] for row in reading.ask(_WITHOUT_STRUCTURE, {"name": known["name"]})],
        "effects": effects,
        "shown": shown[:MOST_SHOWN],
        "looks_alike": table(site, reading, "similar_compounds", 8, query=keys[0], tanimoto__gte=LEAST_TANIMOTO)
        if keys
        else None,
        "chosen": chosen[0] if chosen else None,
        **(_effect(site, reading, chosen[0], own) if chosen else {}),
    }


def _effect(site: Site, reading: Reading, chosen: Row, own: set[str]) -> Row:
    """What an effect is, and what acts like it, but for its own compound."""
    effect, floor = chosen["effect_id"], site.floor
    columns = "gene_id,gene_symbol,log2_fc,se,t,p_value,p_adj"
    asked = {"effect_id": effect, "_columns": columns, "_sort_desc": "t"}
    genes = table(site, reading, "condition_effect", MOST_GENES_SHOWN, **asked)
    alike, opposite = (signatures.like_effect(reading, effect, way) for way in (False, True))
    others = [row for row in alike if (row["parent_inchikey"] or row["compound_name"]) not in own]
    strong = [row for row in signatures.by_compound(others) if row["similarity"] >= floor][:10]
    moved = [row for row in genes.rows if figures.way(row["log2_fc"], row["p_adj"]) != "none"]
    return {
        "genes": genes,
        "volcano": figures.volcano(genes.rows),
        "up": [row for row in moved if row["log2_fc"] > 0][:10],
        "down": [row for row in moved[::-1] if row["log2_fc"] < 0][:10],
        "floor": floor,
        "alike": strong,
        "moas": signatures.mechanisms(reading, [row["compound_name"] for row in strong]),
        "opposite": [row for row in signatures.by_compound(opposite) if row["similarity"] <= -floor][:6],
        "elsewhere": reading.ask(_ELSEWHERE, {"condition": chosen["condition_id"]}),
    }


@router.get("/gene/{key:path}")
def gene(at: At, key: str, dataset: str = "", context: str = "") -> Response:
    """A gene: which compounds move it, and whether data sets agree."""
    return page(at, "gene", lambda r: _gene(at.site, r, key, dataset, context), dataset=dataset, context=context)


def _gene(site: Site, reading: Reading, key: str, dataset: str, context: str) -> Row:
    gene_id = api.named(site, key, "gene")[0].key
    where = {"gene": gene_id, "of_datasets": dataset, "of_contexts": context}
    ways = {
        way: table(site, reading, "strongest_conditions", n=MOST_SHOWN, direction=way, **where)
        for way in ("up", "down")
    }
    ranked = sorted(table(site, reading, "strongest_conditions", 400, n=400, **where).rows, key=_strength)
    compounds = list(dict.fromkeys(row["compound_name"] for row in ranked))[:MOST_STRIPS]
    lists = {"datasets": [dataset] if dataset else None, "contexts": [context] if context else None}
    points = reading.ask(_POINTS, {"gene": gene_id, "compounds": compounds, **lists}) if compounds else []
    for row in points:
        path = quote(row["inchikey"] or row["compound_name"], safe="")
        row["href"] = f"{site.root}/compound/{path}?effect={row['effect_id']}"
        row["way"] = figures.way(row["log2_fc"], row["p_adj"])
    counts = table(site, reading, "gene_counts", 1000, gene=gene_id)
    chosen = [
        row
        for row in counts.rows
        if dataset in ("", row["dataset"]) and context in ("", row["context"], row["context_name"])
    ]
    return {
        "gene": reading.ask("SELECT * FROM gene WHERE gene_id = %(id)s", {"id": gene_id})[0],
        "counts": counts,
        "total": {name: sum(row[name] for row in chosen) for name in ("n_conditions", "n_up", "n_down")},
        "ways": ways,
        "top": {
            way: min((r for r in t.rows if figures.way(r["log2_fc"], r["p_adj"]) == way), key=_strength, default=None)
            for way, t in ways.items()
        },
        "points": points,
        "compounds": _by_dataset(points, compounds),
        "with_doses": [
            name for name in compounds if len({r["dose_um"] for r in points if r["compound_name"] == name}) > 1
        ],
        "moas": _by_mechanism(reading, compounds),
    }


def _by_mechanism(reading: Reading, compounds: list[str]) -> list[tuple[str, list[str]]]:
    """Mechanisms with those of the compounds that have it, most compounds first."""
    groups: dict[str, list[str]] = {}
    for name, values in signatures.mechanisms(reading, compounds).items():
        for value in values:
            groups.setdefault(value, []).append(name)
    return sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))


def _strength(row: Row) -> tuple[bool, float]:
    """Significant changes before others, great ones before small ones."""
    return figures.way(row["log2_fc"], row["p_adj"]) == "none", -abs(row["log2_fc"])


def _by_dataset(points: list[Row], compounds: list[str]) -> list[Row]:
    """Of each compound the strongest change in each data set; agree: how many have it significant, all the same way."""
    rows = []
    for name in compounds:
        best: dict[str, Row] = {}
        for row in sorted((row for row in points if row["compound_name"] == name), key=_strength):
            best.setdefault(row["dataset"], row)
        ways = [row["way"] for row in best.values() if row["way"] != "none"]
        first = next(iter(best.values()), {})
        agree = len(ways) if len(set(ways)) == 1 else 0
        rows.append({"compound_name": name, "href": first.get("href", ""), "best": best, "agree": agree})
    return rows


@router.get("/match/{match}")
def match(at: At, match: Annotated[int, Path(ge=0, lt=2**63)]) -> Response:
    """A match: two conditions gene by gene, and how far they agree."""

    def gather(reading: Reading) -> Row:
        about = one(
            reading.ask("SELECT * FROM matched_condition WHERE match_id = %(id)s", {"id": match}),
            f"There is no match {match}.",
        )
        genes = table(at.site, reading, "matched_effect", MOST_GENES_SHOWN, match_id=match)
        agreement = table(at.site, reading, "agreement", 100, match_id=match)
        found = {row["metric"]: row for row in agreement.rows}
        return {
            "match": about,
            "genes": genes,
            "both": [row for row in genes.rows if figures.both(row) != "none"],
            "scatter": figures.scatter(genes.rows),
            "agreement": agreement,
            "statistics": [found[name] for name in STATISTICS if name in found],
            "spearman": found.get("spearman_t"),
        }

    return page(at, "match", gather)


@router.get("/signature")
def signature(
    at: At, up: Text = "", down: Text = "", effect: api.Key | None = None, opposite: bool = False,
    dataset: str = "", context: str = "",
) -> Response:  # fmt: skip
    """Search by lists of genes, or by an effect."""
    asked = {"up": up, "down": down, "effect": effect, "opposite": opposite, "dataset": dataset, "context": context}
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
        at, "structure", lambda reading: {"found": api.by_structure(reading, text, how, n) if text else None},
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
    asked = {"effect_id__in": ",".join(map(str, effects)), "gene_id__in": ",".join(ids)}
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
# Ranked before anything is joined: a large data set has hundreds of thousands of effects.
_STRONGEST_OF = """
SELECT v.effect_id, v.compound_name, v.inchikey, v.dataset, v.context, v.context_name, v.dose_um, v.time_h, v.n_up,
    v.n_down
FROM (
    SELECT e.effect_id FROM core.effect e
    JOIN core.fit f ON f.fit_id = e.fit_id
    JOIN core.dataset d ON d.dataset_id = e.dataset_id
    JOIN core.context x ON x.context_id = f.context_id
    WHERE f.is_default AND e.status = 'ok' AND (d.dataset = %(dataset)s OR %(dataset)s::text IS NULL)
        AND (x.context = %(context)s OR %(context)s::text IS NULL)
    ORDER BY e.n_up + e.n_down DESC NULLS LAST, e.effect_id LIMIT 40
) s JOIN effect v ON v.effect_id = s.effect_id
ORDER BY v.n_up + v.n_down DESC NULLS LAST, v.effect_id"""
_WITHOUT_STRUCTURE = """
SELECT DISTINCT dataset FROM compound_alias
WHERE compound_name = %(name)s AND inchikey IS NULL AND dataset IS NOT NULL ORDER BY dataset"""
_POINTS = """
SELECT effect_id, dataset, compound_name, inchikey, coalesce(context_name, context) AS cells, dose_um, time_h, log2_fc,
    se, p_adj
FROM strongest_conditions(%(gene)s::text, n := 3000, of_datasets := %(datasets)s::text[],
    of_contexts := %(contexts)s::text[], of_compounds := %(compounds)s::text[])
ORDER BY compound_name, dataset, cells, time_h, dose_um, effect_id"""
_ELSEWHERE = """
SELECT m.match_id, m.dataset_a, m.dataset_b, m.condition_id_a = %(condition)s AS is_a, m.context_name, m.time_h,
    m.dose_um_a, m.dose_um_b, g.score, g.source_peer_mean, g.target_peer_mean
FROM matched_condition m LEFT JOIN agreement g ON g.match_id = m.match_id AND g.metric = 'spearman_t'
WHERE m.condition_id_a = %(condition)s OR m.condition_id_b = %(condition)s
ORDER BY g.score DESC NULLS LAST, m.match_id"""
_STRONGEST = """
SELECT e.effect_id, e.compound_name, e.context, e.context_name, e.dose_um, e.time_h, e.dataset FROM (
    SELECT f.*, row_number() OVER (PARTITION BY f.compound_name ORDER BY f.n_up + f.n_down DESC, f.effect_id) AS place
    FROM effect f WHERE f.is_default AND f.status = 'ok' AND f.compound_name = ANY(%(names)s::text[])
        AND (f.dataset = %(dataset)s OR %(dataset)s::text IS NULL)
) e WHERE e.place = 1"""
