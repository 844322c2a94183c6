"""Searches by signature and structure, heat maps, and the agreement of data sets."""

from __future__ import annotations

from fastapi import APIRouter, Query, Request, Response

from pbdb.common.errors import QueryError
from pbdb.serve import api, figures, signatures
from pbdb.serve.api import facts, in_range
from pbdb.serve.place import Reading, Row
from pbdb.serve.rendering import EXAMPLE_GENES, EXAMPLES, condition, number_text, page, table
from pbdb.serve.site import Site

MOST_COLUMNS, MOST_ROWS = 100, 60

router = APIRouter(include_in_schema=False)


@router.get("/agreement")
def agreement(request: Request, metric: str = "direction", a: str = "", b: str = "") -> Response:
    """How far data sets agree, each with each."""
    return page(request, "agreement", lambda site, reading: _agreement(site, reading, metric, a, b))


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

    return page(request, "signature", gather)


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

    return page(request, "structure", gather)


@router.get("/heatmap")
def heat_map(
    request: Request,
    compounds: str = Query("", max_length=20_000),
    genes: str = Query("", max_length=20_000),
    dataset: str = "",
) -> Response:
    """Some genes in the strongest condition of some compounds."""
    return page(request, "heatmap", lambda site, reading: _heat_map(site, reading, compounds, genes, dataset))


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
            "p": number_text(row["p_adj"], 2),
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
        "examples": [row["compound_name"] for row in reading.ask(EXAMPLES)],
        "example_genes": [row["gene_symbol"] for row in reading.ask(EXAMPLE_GENES)],
    }


_EXAMPLE_SIGNATURE = """
SELECT gene_symbol FROM gene WHERE is_landmark AND gene_symbol IS NOT NULL ORDER BY landmark_index LIMIT 40"""
_EFFECT = "SELECT * FROM effect WHERE effect_id = %(effect)s"
_STRONGEST = """
SELECT e.effect_id, e.compound_name, e.context, e.context_name, e.dose_um, e.time_h, e.dataset FROM (
    SELECT f.*, row_number() OVER (PARTITION BY f.compound_name ORDER BY f.n_up + f.n_down DESC, f.effect_id) AS place
    FROM effect f WHERE f.is_default AND f.status = 'ok' AND f.compound_name = ANY(%(names)s::text[])
        AND (f.dataset = %(dataset)s OR %(dataset)s::text IS NULL)
) e WHERE e.place = 1"""
