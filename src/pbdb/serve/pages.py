"""The pages: each gathers rows and figures, and a template shows them; the whole state is in the address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from markupsafe import Markup

from pbdb import __version__
from pbdb.common.errors import QueryError
from pbdb.serve import answers, api, figures, signatures
from pbdb.serve.api import facts, in_range, site_of
from pbdb.serve.filters import select
from pbdb.serve.place import Reading, Row
from pbdb.serve.site import NotFoundError, Site

router = APIRouter(include_in_schema=False)
MOST_SHOWN, MOST_GENES_SHOWN, MOST_STRIPS, MOST_FACETS = 40, 50_000, 24, 8
MOST_COLUMNS, MOST_ROWS = 100, 60
STATISTICS = ("direction", "spearman_t", "pearson_log2_fc", "overlap_100")
MANY_CONTEXTS = 24


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
    made.filters["number"] = _number
    made.filters["n"] = lambda value: f"{value:,}"
    made.filters["path"] = lambda text: quote(str(text), safe="")
    made.filters["json"] = lambda value: Markup(jinja2.utils.htmlsafe_json_dumps(value))
    made.filters["condition"] = condition
    return made


def _number(value: float | None, digits: int = 3) -> str:
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


def _page(request: Request, name: str, gather: Callable[[Site, Reading], Row]) -> Response:
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


def _one(rows: list[Row], sentence: str) -> Row:
    if not rows:
        raise NotFoundError(sentence)
    return rows[0]


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
    return _page(request, "home", _home)


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
        "compounds": [row["compound_name"] for row in reading.ask(_EXAMPLES)],
        "genes": [row["gene_symbol"] for row in reading.ask(_EXAMPLE_GENES)],
    }


@router.get("/search")
def search(request: Request, q: str = Query("", max_length=5000), go: bool = False) -> Response:
    """Everything that a text could mean."""
    site = site_of(request)
    exact = site.names.exact(q)
    if go and len(exact) == 1:
        return RedirectResponse(site.root + exact[0].href, 303)
    return _page(request, "search", lambda site, _: _found(site, q))


def _found(site: Site, text: str) -> Row:
    groups = {
        kind: site.names.search(text, 24, kind) for kind in ("compound", "gene", "mechanism", "context", "dataset")
    }
    is_structure = len(text) > 3 and not any(groups.values()) and not any(mark in text for mark in " \0")
    return {"q": text, "groups": groups, "is_structure": is_structure}


@router.get("/compound/{key:path}")
def compound(request: Request, key: str, effect: int | None = None) -> Response:
    """A compound: what it is, what it does, what acts like it."""
    site = site_of(request)
    names = site.names.exact(key, "compound")
    if names and names[0].key != key:
        query = f"?effect={effect}" if effect is not None else ""
        return RedirectResponse(f"{site.root}{names[0].href}{query}", 303)
    return _page(request, "compound", lambda site, reading: _compound(site, reading, key, effect))


def _compound(site: Site, reading: Reading, key: str, effect: int | None) -> Row:
    known = api.compound_page.of(reading.ask, api.meant(site, key))
    salts = [row["inchikey"] for row in known["related"] if row["level"] == "parent_inchikey"]
    keys = [row["inchikey"] for row in known["compounds"]] + salts
    which = {"inchikey__in": ",".join(keys)} if keys else {"compound_name": known["name"]}
    effects = table(site, reading, "effect", most=5000, is_default="true", status="ok", mode="pooled", **which)
    shown = sorted(effects.rows, key=lambda row: -(row["n_up"] or 0) - (row["n_down"] or 0))
    chosen = next((row for row in shown if row["effect_id"] == effect), None) if effect is not None else None
    if effect is not None and chosen is None:
        raise NotFoundError(f"{known['name']} has no effect {effect}: choose one of its page.")
    found = {
        "known": known,
        "key": key,
        "effects": effects,
        "shown": shown[:MOST_SHOWN],
        "chosen": chosen or (shown or [None])[0],
    }
    found["looks_alike"] = table(site, reading, "similar_compounds", most=8, query=keys[0], k=8) if keys else None
    return found | (_effect(site, reading, found["chosen"]) if found["chosen"] else {})


def _effect(site: Site, reading: Reading, chosen: Row) -> Row:
    effect = chosen["effect_id"]
    columns = "gene_id,gene_symbol,log2_fc,se,t,p_value,p_adj"
    genes = table(
        site, reading, "condition_effect", most=MOST_GENES_SHOWN, effect_id=effect, _columns=columns, _sort_desc="t"
    )
    alike = signatures.like_effect(reading, effect, False)
    opposite = signatures.like_effect(reading, effect, True, 50)
    kin = {
        row["parent_inchikey"] or row["compound_name"]
        for row in alike
        if row["compound_name"] == chosen["compound_name"]
    }
    floor = site.floor
    others = [
        row
        for row in alike
        if (row["parent_inchikey"] or row["compound_name"]) not in kin and row["similarity"] >= floor
    ]
    significant = [row for row in genes.rows if row["p_adj"] is not None and row["p_adj"] <= figures.SIGNIFICANT]
    return {
        "genes": genes,
        "volcano": figures.volcano(genes.rows, site.root),
        "up": [row for row in significant if row["log2_fc"] > 0][:10],
        "down": [row for row in significant[::-1] if row["log2_fc"] < 0][:10],
        "floor": floor,
        "alike": signatures.by_compound(others)[:10],
        "moas": api.mechanisms_of(reading, [row["compound_name"] for row in [*alike, *opposite]]),
        "opposite": [row for row in signatures.by_compound(opposite) if -row["similarity"] >= floor][:6],
        "elsewhere": reading.ask(_ELSEWHERE, {"condition": chosen["condition_id"]}),
        "wells": table(site, reading, "effect_sample", most=200, effect_id=effect),
        "samples": table(site, reading, "sample", most=200, condition_id=chosen["condition_id"]),
    }


@router.get("/gene/{key:path}")
def gene(request: Request, key: str, dataset: str = "", context: str = "") -> Response:
    """A gene: which compounds move it, and whether data sets agree."""
    return _page(request, "gene", lambda site, reading: _gene(site, reading, key, dataset, context))


def _gene(site: Site, reading: Reading, key: str, dataset: str, context: str) -> Row:
    names = site.names.exact(key, "gene")
    near = ", ".join(name.label for name in site.names.search(key, 5, "gene"))
    gene_id = _one(
        [{"id": name.key} for name in names],
        f"No gene is called '{key[:80]}'" + (f"; there are {near}." if near else "."),
    )["id"]
    about = reading.ask("SELECT * FROM gene WHERE gene_id = %(id)s", {"id": gene_id})[0]
    where = {"gene": gene_id, "of_datasets": dataset, "of_contexts": context}
    ways = {
        way: table(site, reading, "strongest_conditions", most=MOST_SHOWN, n=MOST_SHOWN, direction=way, **where)
        for way in ("up", "down")
    }
    strongest = table(site, reading, "strongest_conditions", most=400, n=400, **where).rows
    ranked = sorted(strongest, key=lambda row: (_p(row) > figures.SIGNIFICANT, -abs(row["log2_fc"])))
    compounds = list(dict.fromkeys(row["compound_name"] for row in ranked))[:MOST_STRIPS]
    points = reading.ask(_POINTS, _points_of(gene_id, dataset, context, compounds)) if compounds else []
    for row in points:
        row["compound"], row["href"] = (
            row["compound_name"],
            f"{site.root}/compound/{quote(row['inchikey'] or row['compound_name'], safe='')}?effect={row['effect_id']}",
        )
    counts = table(site, reading, "gene_counts", most=1000, gene=gene_id)
    return {
        "gene": about,
        "name": about["gene_symbol"] or gene_id,
        "counts": counts,
        "dataset": dataset,
        "context": context,
        "total": {
            name: sum(
                row[name]
                for row in counts.rows
                if dataset in ("", row["dataset"]) and context in ("", row["context"], row["context_name"])
            )
            for name in ("n_conditions", "n_up", "n_down")
        },
        "ways": ways,
        "compounds": _by_dataset(points, compounds),
        "datasets": sorted({row["dataset"] for row in points}),
        "strip": figures.strip(points, compounds),
        "doses": figures.doses(points, compounds[:MOST_FACETS]),
        "moas": _grouped(api.mechanisms_of(reading, compounds)),
    }


def _p(row: Row) -> float:
    return 1.0 if row["p_adj"] is None else float(row["p_adj"])


def _points_of(gene: str, dataset: str, context: str, compounds: list[str]) -> Row:
    return {
        "gene": gene,
        "datasets": [dataset] if dataset else None,
        "contexts": [context] if context else None,
        "compounds": compounds,
    }


def _by_dataset(points: list[Row], compounds: list[str]) -> list[Row]:
    """Of each compound the strongest significant change in each data set; agree: all go the same way."""
    rows = []
    for name in compounds:
        best: dict[str, Row] = {}
        own = [row for row in points if row["compound_name"] == name]
        for row in sorted(own, key=lambda row: (_p(row) > figures.SIGNIFICANT, -abs(row["log2_fc"]))):
            best.setdefault(row["dataset"], row)
        ways = {figures.way(row["log2_fc"], row["p_adj"]) for row in best.values()}
        rows.append(
            {
                "compound_name": name,
                "inchikey": own[0]["inchikey"] if own else None,
                "best": best,
                "agree": len(best) > 1 and len(ways) == 1 and "none" not in ways,
            }
        )
    return rows


def _grouped(mechanisms: dict[str, list[str]]) -> list[tuple[str, list[str]]]:
    """Mechanisms with their compounds, most compounds first."""
    groups: dict[str, list[str]] = {}
    for name, values in mechanisms.items():
        for value in values:
            groups.setdefault(value, []).append(name)
    return sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))


@router.get("/match")
def matches(request: Request, compound: str = Query(max_length=2000)) -> Response:
    """The matches of a compound."""
    return _page(request, "matches", lambda site, reading: _matches(site, reading, compound))


def _matches(site: Site, reading: Reading, name: str) -> Row:
    label = api.meant(site, name)[0]["compound_name"]
    return {"name": label, "matches": table(site, reading, "matched_condition", most=500, compound_name=label)}


@router.get("/match/{match}")
def match(request: Request, match: int) -> Response:
    """A match: two conditions gene by gene, and how far they agree."""
    return _page(request, "match", lambda site, reading: _match(site, reading, in_range(match)))


def _match(site: Site, reading: Reading, match: int) -> Row:
    rows = reading.ask("SELECT * FROM matched_condition WHERE match_id = %(id)s", {"id": match})
    about = _one(rows, f"There is no match {match}.")
    genes = table(site, reading, "matched_effect", most=MOST_GENES_SHOWN, match_id=match)
    agreement = table(site, reading, "agreement", most=100, match_id=match)
    by_metric = {row["metric"]: row for row in agreement.rows}
    return {
        "about": about | facts(site),
        "match": about,
        "genes": genes,
        "both": [row for row in genes.rows if figures._both(row) != "none"],
        "scatter": figures.scatter(genes.rows, about["dataset_a"], about["dataset_b"], site.root),
        "agreement": agreement,
        "statistics": figures.statistics([by_metric[name] for name in STATISTICS if name in by_metric]),
        "spearman": by_metric.get("spearman_t"),
        "others": table(site, reading, "matched_condition", most=30, compound_name=about["compound_name"]),
    }


@router.get("/agreement")
def agreement(request: Request, metric: str = "direction", a: str = "", b: str = "") -> Response:
    """How far data sets agree, each with each."""
    return _page(request, "agreement", lambda site, reading: _agreement(site, reading, metric, a, b))


def _agreement(site: Site, reading: Reading, metric: str, a: str, b: str) -> Row:
    summary = table(site, reading, "agreement_summary", most=5000, metric=metric, quantity__in="score,normalised_rank")
    metrics = [row["metric"] for row in reading.ask("SELECT DISTINCT metric FROM agreement_summary ORDER BY metric")]
    if metrics and metric not in metrics:
        raise QueryError(f"There is no agreement by '{metric[:60]}': there is {', '.join(metrics)}.")
    pairs = {(row["dataset_a"], row["dataset_b"]): row for row in summary.rows}
    scores = (
        table(site, reading, "agreement", most=60, dataset_a=a, dataset_b=b, metric=metric, _sort_desc="score")
        if a and b
        else None
    )
    return {
        "metric": metric,
        "metrics": metrics,
        "summary": summary,
        "a": a,
        "b": b,
        "scores": scores,
        "pairs": pairs | {(y, x): row for (x, y), row in pairs.items()},
        "datasets": sorted({name for pair in pairs for name in pair}),
    }


@router.get("/signature")
def signature(
    request: Request,
    up: str = Query("", max_length=30_000),
    down: str = Query("", max_length=30_000),
    effect: int | None = None,
    opposite: bool = False,
    dataset: str = "",
    context: str = "",
) -> Response:
    """Search by lists of genes, or by an effect."""
    where = {"opposite": opposite, "dataset": dataset, "context": context, "n": signatures.CANDIDATES}
    asked = {"up": up, "down": down, "effect": effect, **where}

    def gather(site: Site, reading: Reading) -> Row:
        is_asked = up.strip() or down.strip() or effect is not None
        found = api.signature_of(site, up, down, effect, where) if is_asked else None
        named = reading.ask(_EFFECT, {"effect": in_range(effect)}) if effect is not None else []
        example = reading.ask(_EXAMPLE_SIGNATURE)
        return {
            "asked": asked,
            "found": found,
            "named": named[0] if named else None,
            "example": example,
            "query": request.url.query,
            "datasets": [row["dataset"] for row in facts(site)["datasets"]],
        }

    return _page(request, "signature", gather)


@router.get("/structure")
def structure(
    request: Request,
    smiles: str = Query("", max_length=2000),
    how: str = Query("similar", pattern="^(similar|contains)$"),
    n: int = Query(24, ge=1, le=200),
) -> Response:
    """Search by structure."""

    def gather(site: Site, _: Reading) -> Row:
        text = smiles.strip()
        return {
            "smiles": text,
            "how": how,
            "n": n,
            "query": request.url.query,
            "found": api.by_structure(site, text, how, n) if text else None,
        }

    return _page(request, "structure", gather)


@router.get("/heatmap")
def heat_map(
    request: Request,
    compounds: str = Query("", max_length=20_000),
    genes: str = Query("", max_length=20_000),
    dataset: str = "",
) -> Response:
    """Some genes in the strongest condition of some compounds."""
    return _page(request, "heatmap", lambda site, reading: _heat_map(site, reading, compounds, genes, dataset))


def _heat_map(site: Site, reading: Reading, compounds: str, genes: str, dataset: str) -> Row:
    names = [line.strip() for line in compounds.replace(";", "\n").splitlines() if line.strip()]
    symbols = signatures.split(genes)
    if len(names) > MOST_COLUMNS or len(symbols) > MOST_ROWS:
        raise QueryError(
            f"A heat map has at most {MOST_COLUMNS} compounds and {MOST_ROWS} genes: ask the API for more."
        )
    found = [name.label for text in names for name in site.names.exact(text, "compound")[:1]]
    ids = [name.key for text in symbols for name in site.names.exact(text, "gene")[:1]]
    unknown = [t for t in names if not site.names.exact(t, "compound")] + [
        t for t in symbols if not site.names.exact(t, "gene")
    ]
    effects = reading.ask(_STRONGEST, {"names": found, "dataset": dataset or None})
    asked = {"effect_id__in": ",".join(str(row["effect_id"]) for row in effects), "gene_id__in": ",".join(ids)}
    values = (
        table(site, reading, "condition_effect", most=MOST_COLUMNS * MOST_ROWS, **asked) if effects and ids else None
    )
    labels = {row["effect_id"]: f"{row['compound_name']}, {condition(row)}" for row in effects}
    cells = [
        {
            "column": labels[row["effect_id"]],
            "gene": row["gene_symbol"] or row["gene_id"],
            "fold": row["log2_fc"],
            "p": _number(row["p_adj"], 2),
            "href": f"{site.root}/gene/{row['gene_id']}",
        }
        for row in (values.rows if values else [])
    ]
    order = sorted(range(len(effects)), key=lambda place: found.index(effects[place]["compound_name"]))
    columns = [labels[effects[place]["effect_id"]] for place in order]
    rows = list(dict.fromkeys(cell["gene"] for cell in cells))
    return {
        "compounds": compounds,
        "genes": genes,
        "dataset": dataset,
        "values": values,
        "unknown": unknown,
        "datasets": [row["dataset"] for row in facts(site)["datasets"]],
        "figure": figures.heat_map(cells, columns, rows),
        "n": (len(columns), len(rows)),
        "examples": [row["compound_name"] for row in reading.ask(_EXAMPLES)],
        "example_genes": [row["gene_symbol"] for row in reading.ask(_EXAMPLE_GENES)],
    }


@router.get("/dataset/{key}")
def dataset(request: Request, key: str) -> Response:
    """A data set: what is in it, under which terms."""

    def gather(site: Site, reading: Reading) -> Row:
        rows = table(site, reading, "dataset", dataset=api.plain_text(key)).rows
        strongest = reading.ask(_STRONGEST_OF, {"dataset": key, "context": None})
        return {
            "dataset": _one(rows, f"There is no data set '{key[:80]}'."),
            "coverage": table(site, reading, "coverage", most=1000, dataset=key),
            "strongest": strongest,
        }

    return _page(request, "dataset", gather)


@router.get("/context/{key}")
def context(request: Request, key: str) -> Response:
    """A context: the cells, and what was done to them."""

    def gather(site: Site, reading: Reading) -> Row:
        names = site.names.exact(key, "context")
        found = names[0].key if names else key
        rows = table(site, reading, "context", context=api.plain_text(found)).rows
        strongest = reading.ask(_STRONGEST_OF, {"dataset": None, "context": found})
        return {
            "context": _one(rows, f"There are no cells '{key[:80]}'."),
            "coverage": table(site, reading, "coverage", most=1000, context=found),
            "strongest": strongest,
        }

    return _page(request, "context", gather)


@router.get("/mechanism/{key:path}")
def mechanism(request: Request, key: str) -> Response:
    """A mechanism: the compounds that are said to have it."""

    def gather(site: Site, reading: Reading) -> Row:
        rows = table(site, reading, "compound_annotation", most=1000, kind="moa", value=api.plain_text(key))
        _one(rows.rows, f"No compound is said to be a '{key[:80]}'.")
        names = sorted({(row["compound_name"], row["parent_inchikey"]) for row in rows.rows}, key=str)
        return {"mechanism": key, "statements": rows, "names": names}

    return _page(request, "mechanism", gather)


@router.get("/api")
def api_page(request: Request) -> Response:
    """The API: every view with its columns and an example that runs."""
    return _page(
        request,
        "api",
        lambda site, reading: {
            "views": [(view, example) for view, example in examples(site, reading)],
            "prefix": api.PREFIX,
        },
    )


def examples(site: Site, reading: Reading) -> list[tuple[Any, str]]:
    """Every view or function with the address of an example."""
    effect = (reading.ask(_EXAMPLE_EFFECT) or [{"effect_id": 0, "condition_id": 0, "inchikey": "", "gene": "HMOX1"}])[0]
    match = (reading.ask("SELECT match_id FROM matched_condition ORDER BY match_id LIMIT 1") or [{"match_id": 0}])[0]
    values = {
        **effect,
        **match,
        "gene_symbol": effect["gene"],
        "fit_id": effect.get("fit_id", 0),
        "query": effect["inchikey"],
        "effect": effect["effect_id"],
    }
    found = []
    for view in site.views.values():
        needed = list(view.required) or [name for name in view.needs if name in values][:1]
        query = urlencode([*((name, str(values[name])) for name in needed), ("_size", "5")])
        found.append((view, f"{api.PREFIX}/{view.name}.json?{query}"))
    return found


_EXAMPLES = """
SELECT compound_name FROM effect
WHERE is_default AND status = 'ok' AND inchikey IS NOT NULL
GROUP BY compound_name ORDER BY max(n_up + n_down) DESC, compound_name LIMIT 6"""
_EXAMPLE_GENES = """
SELECT gene_symbol FROM gene WHERE gene_symbol IN ('HMOX1', 'CDKN1A', 'HSPA5', 'MYC', 'CYP1A1', 'TP53')
ORDER BY gene_symbol LIMIT 4"""
_EXAMPLE_EFFECT = """
SELECT effect_id, condition_id, fit_id, coalesce(inchikey, '') AS inchikey, 'HMOX1' AS gene FROM effect
WHERE is_default AND status = 'ok' AND inchikey IS NOT NULL ORDER BY effect_id LIMIT 1"""
_EXAMPLE_SIGNATURE = """
SELECT gene_symbol FROM gene WHERE is_landmark AND gene_symbol IS NOT NULL ORDER BY landmark_index LIMIT 40"""
_EFFECT = "SELECT * FROM effect WHERE effect_id = %(effect)s"
_STRONGEST_OF = """
SELECT effect_id, compound_name, inchikey, dataset, context, context_name, dose_um, time_h, n_up, n_down FROM effect
WHERE is_default AND status = 'ok' AND (dataset = %(dataset)s OR %(dataset)s::text IS NULL)
    AND (context = %(context)s OR %(context)s::text IS NULL)
ORDER BY n_up + n_down DESC, effect_id LIMIT 24"""
_STRONGEST = """
SELECT e.effect_id, e.compound_name, e.context, e.context_name, e.dose_um, e.time_h, e.dataset FROM (
    SELECT f.*, row_number() OVER (PARTITION BY f.compound_name ORDER BY f.n_up + f.n_down DESC, f.effect_id) AS place
    FROM effect f WHERE f.is_default AND f.status = 'ok' AND f.compound_name = ANY(%(names)s::text[])
        AND (f.dataset = %(dataset)s OR %(dataset)s::text IS NULL)
) e WHERE e.place = 1"""
_POINTS = """
SELECT * FROM strongest_conditions(%(gene)s::text, n := 3000, of_datasets := %(datasets)s::text[],
    of_contexts := %(contexts)s::text[], of_compounds := %(compounds)s::text[])
ORDER BY compound_name, dataset, context, time_h, dose_um, effect_id"""
_ELSEWHERE = """
SELECT m.match_id, m.dataset_a, m.dataset_b, m.condition_id_a = %(condition)s AS is_a, m.context_name, m.time_h,
    m.dose_um_a, m.dose_um_b, g.score, g.source_peer_mean, g.target_peer_mean
FROM matched_condition m LEFT JOIN agreement g ON g.match_id = m.match_id AND g.metric = 'spearman_t'
WHERE m.condition_id_a = %(condition)s OR m.condition_id_b = %(condition)s
ORDER BY m.dataset_a, m.dataset_b, m.match_id"""
