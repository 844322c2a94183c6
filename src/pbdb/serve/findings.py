"""Compounds, genes and matches: each page gathers rows and figures; its whole state is in the address."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from pbdb.query import compound_page
from pbdb.serve import api, figures, signatures
from pbdb.serve.api import in_range, site_of
from pbdb.serve.place import Reading, Row
from pbdb.serve.rendering import MOST_GENES_SHOWN, MOST_SHOWN, one, page, table
from pbdb.serve.site import NotFoundError, Site

MOST_STRIPS, MOST_FACETS = 24, 8
LEAST_TANIMOTO = 0.3
STATISTICS = ("direction", "spearman_t", "pearson_log2_fc", "overlap_100")

router = APIRouter(include_in_schema=False)


@router.get("/compound/{key:path}")
def compound(request: Request, key: str, effect: int | None = None) -> Response:
    """A compound: what it is, what it does, what acts like it."""
    site = site_of(request)
    names = site.names.exact(key, "compound")
    if names and names[0].key != key:
        query = f"?effect={effect}" if effect is not None else ""
        return RedirectResponse(f"{site.root}{names[0].href}{query}", 303)
    return page(request, "compound", lambda site, reading: _compound(site, reading, key, effect))


def _compound(site: Site, reading: Reading, key: str, effect: int | None) -> Row:
    known = compound_page.of(reading.ask, api.meant(site, key))
    salts = [row["inchikey"] for row in known["related"] if row["level"] == "parent_inchikey"]
    keys = [row["inchikey"] for row in known["compounds"]] + salts
    which = {"inchikey__in": ",".join(keys)} if keys else {"compound_name": known["name"]}
    effects = table(site, reading, "effect", most=5000, is_default="true", status="ok", mode="pooled", **which)
    shown = sorted(effects.rows, key=lambda row: -(row["n_up"] or 0) - (row["n_down"] or 0))
    chosen = next((row for row in shown if row["effect_id"] == effect), None) if effect is not None else None
    if effect is not None and chosen is None:
        raise NotFoundError(f"{known['name']} has no effect {effect}: choose one of its page.")
    found: Row = {
        "known": known,
        "key": key,
        "effects": effects,
        "shown": shown[:MOST_SHOWN],
        "chosen": chosen or next(iter(shown), None),
    }
    near = {"query": keys[0], "k": 8, "tanimoto__gte": LEAST_TANIMOTO} if keys else {}
    found["looks_alike"] = table(site, reading, "similar_compounds", most=8, **near) if keys else None
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
    return page(request, "gene", lambda site, reading: _gene(site, reading, key, dataset, context))


def _gene(site: Site, reading: Reading, key: str, dataset: str, context: str) -> Row:
    names = site.names.exact(key, "gene")
    near = ", ".join(name.label for name in site.names.search(key, 5, "gene"))
    gene_id = one(
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
    """Of each compound the strongest change in each data set; agree: how many have it significant, all the same way."""
    rows = []
    for name in compounds:
        best: dict[str, Row] = {}
        own = [row for row in points if row["compound_name"] == name]
        for row in sorted(own, key=lambda row: (_p(row) > figures.SIGNIFICANT, -abs(row["log2_fc"]))):
            best.setdefault(row["dataset"], row)
        ways = [way for row in best.values() if (way := figures.way(row["log2_fc"], row["p_adj"])) != "none"]
        agree = len(ways) if len(set(ways)) == 1 else 0
        rows.append({"compound_name": name, "inchikey": own[0]["inchikey"], "best": best, "agree": agree})
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
    return page(request, "matches", lambda site, reading: _matches(site, reading, compound))


def _matches(site: Site, reading: Reading, name: str) -> Row:
    label = api.meant(site, name)[0]["compound_name"]
    return {"name": label, "matches": table(site, reading, "matched_condition", most=500, compound_name=label)}


@router.get("/match/{match}")
def match(request: Request, match: int) -> Response:
    """A match: two conditions gene by gene, and how far they agree."""
    return page(request, "match", lambda site, reading: _match(site, reading, in_range(match)))


def _match(site: Site, reading: Reading, match: int) -> Row:
    rows = reading.ask("SELECT * FROM matched_condition WHERE match_id = %(id)s", {"id": match})
    about = one(rows, f"There is no match {match}.")
    genes = table(site, reading, "matched_effect", most=MOST_GENES_SHOWN, match_id=match)
    agreement = table(site, reading, "agreement", most=100, match_id=match)
    by_metric = {row["metric"]: row for row in agreement.rows}
    return {
        "match": about,
        "genes": genes,
        "both": [row for row in genes.rows if figures._both(row) != "none"],
        "scatter": figures.scatter(genes.rows, about["dataset_a"], about["dataset_b"], site.root),
        "agreement": agreement,
        "statistics": figures.statistics([by_metric[name] for name in STATISTICS if name in by_metric]),
        "spearman": by_metric.get("spearman_t"),
        "others": table(site, reading, "matched_condition", most=30, compound_name=about["compound_name"]),
    }


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
