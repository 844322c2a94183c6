"""The pages of compounds, genes and matches: what is known, in which figures and tables it is shown."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Response
from fastapi.responses import RedirectResponse

from pbdb.common.rows import Row
from pbdb.query import compound_page
from pbdb.serve import api, figures, signatures
from pbdb.serve.place import Reading
from pbdb.serve.rendering import MOST_GENES_SHOWN, MOST_SHOWN, Table, one, page, table
from pbdb.serve.site import At, Site

MOST_RANKED, MOST_POINTS, MOST_STRIPS, MOST_FACETS = 1000, 2000, 24, 8
MOST_ALIKE, MOST_OPPOSITE, MOST_LIKE, MOST_SUREST = 10, 6, 8, 10
LEAST_TANIMOTO = 0.3
OF_EFFECTS = (
    "effect_id,condition_id,dataset,compound_name,inchikey,context,context_name,dose_um,time_h,n_up,n_down,"
    "n_treated,n_vehicle,n_plates"
)
OF_CONDITIONS = "effect_id,dataset,compound_name,inchikey,context,context_name,dose_um,time_h,log2_fc,p_adj"
OF_GENES = "gene_id,gene_symbol,log2_fc,p_adj"
OF_PAIRS = "gene_id,gene_symbol,log2_fc_a,p_adj_a,log2_fc_b,p_adj_b"
STATISTICS = ("direction", "spearman_t", "pearson_log2_fc", "overlap_100")

router = APIRouter(include_in_schema=False)


@router.get("/compound/{key:path}")
def compound(at: At, key: str, effect: api.Key | None = None, wells: bool = False) -> Response:
    """A compound: what it is, what it does, what acts like it; wells: those behind the effect, too."""
    names = at.site.names.exact(key, "compound")
    if names and key not in [name.key for name in names]:
        query = f"?{at.request.url.query}" if at.request.url.query else ""
        return RedirectResponse(f"{at.site.root}{names[0].href}{query}", 303)
    return page(at, "compound", lambda reading: _compound(at.site, reading, key, effect), key=key, wells=wells)


def _compound(site: Site, reading: Reading, key: str, effect: int | None) -> Row:
    meant = api.meant(site, key)
    itself = [row for row in meant if key == (row["inchikey"] or row["compound_name"])]
    known = compound_page.of(reading.ask, itself, ("aliases", "annotations"))
    names = site.names.exact(known["name"], "compound")
    salts = [row["inchikey"] for row in known["related"] if row["level"] == "parent_inchikey"]
    keys = [row["inchikey"] for row in known["compounds"]] + salts
    which: Row = {"inchikey__in": ",".join(keys)} if keys else {"compound_name": known["name"]}
    which |= {"is_default": "true", "status": "ok", "mode": "pooled"}
    effects = table(site, reading, "effect", most=5000, needed=OF_EFFECTS, **which)
    shown = sorted(effects.rows, key=lambda row: -(row["n_up"] or 0) - (row["n_down"] or 0))
    chosen = [row for row in shown if effect in (None, row["effect_id"])]
    if effect is not None:
        one(chosen, f"{known['name']} has no effect {effect}: choose one of its page.")
    return {
        "known": known,
        "namesakes": [name for name in names if name.key != key],
        "without_structure": [row["dataset"] for row in reading.ask(_WITHOUT_STRUCTURE, {"name": known["name"]})],
        "effects": effects,
        "shown": shown[:MOST_SHOWN],
        "looks_alike": _looks_alike(site, reading, keys[0]) if keys else None,
        "chosen": chosen[0] if chosen else None,
        **(_effect(site, reading, chosen[0]) if chosen else {}),
    }


def _looks_alike(site: Site, reading: Reading, inchikey: str) -> Table:
    rows = [row for row in site.fingerprints.like(inchikey, MOST_LIKE) if row["tanimoto"] >= LEAST_TANIMOTO]
    asked: Row = {"query": inchikey, "tanimoto__gte": LEAST_TANIMOTO}
    return table(site, reading, "similar_compounds", MOST_LIKE, rows, **asked)


def _effect(site: Site, reading: Reading, chosen: Row) -> Row:
    """What an effect is, and what acts like it, but for its own compound."""
    effect, floor = chosen["effect_id"], site.floor
    columns = "gene_id,gene_symbol,log2_fc,se,t,p_value,p_adj"
    asked: Row = {"effect_id": effect, "_columns": columns, "_sort_desc": "t"}
    genes = table(site, reading, "condition_effect", MOST_GENES_SHOWN, needed=OF_GENES, **asked)
    alike = signatures.compounds_like(reading, chosen, opposite=False, floor=floor, most=MOST_ALIKE)
    opposite = signatures.compounds_like(reading, chosen, opposite=True, floor=floor, most=MOST_OPPOSITE)
    return {
        "genes": genes,
        "volcano": figures.volcano(genes.rows),
        "up": _surest(genes.rows, "up"),
        "down": _surest(reversed(genes.rows), "down"),
        "floor": floor,
        "alike": alike,
        "moas": signatures.mechanisms(reading, [row["compound_name"] for row in alike]),
        "opposite": opposite,
        "elsewhere": reading.ask(_ELSEWHERE, {"condition": chosen["condition_id"]}),
    }


def _surest(rows: Iterable[Row], way: str) -> list[Row]:
    """The first few genes that change this way."""
    return list(islice((row for row in rows if figures.way(row["log2_fc"], row["p_adj"]) == way), MOST_SUREST))


@router.get("/gene/{key:path}")
def gene(at: At, key: str, dataset: str = "", context: str = "") -> Response:
    """A gene: which compounds move it, and whether data sets agree."""
    return page(at, "gene", lambda r: _gene(at.site, r, key, dataset, context), dataset=dataset, context=context)


def _gene(site: Site, reading: Reading, key: str, dataset: str, context: str) -> Row:
    gene_id = api.named(site, key, "gene")[0].key
    where: Row = {"gene": gene_id, "of_datasets": dataset, "of_contexts": context}
    counts = table(site, reading, "gene_counts", 1000, gene=gene_id)
    chosen = [
        row
        for row in counts.rows
        if dataset in ("", row["dataset"]) and context in ("", row["context"], row["context_name"])
    ]
    total = {name: sum(row[name] for row in chosen) for name in ("n_conditions", "n_up", "n_down")}
    moved = _moved(site, reading, where)
    ways = {
        way: table(site, reading, "strongest_conditions", rows=rows[:MOST_SHOWN], n=MOST_SHOWN, direction=way, **where)
        for way, rows in moved.items()
    }
    significant = {
        way: [row for row in found.rows if figures.way(row["log2_fc"], row["p_adj"]) == way]
        for way, found in ways.items()
    }
    ranked = sorted((row for rows in moved.values() for row in rows), key=_strength)
    compounds = list(dict.fromkeys(row["compound_name"] for row in ranked))[:MOST_STRIPS]
    points = _points(site, reading, gene_id, dataset, context, compounds)
    doses_of: dict[str, set[float | None]] = {name: set() for name in compounds}
    for row in points:
        doses_of[row["compound_name"]].add(row["dose_um"])
    with_doses = [name for name, doses in doses_of.items() if len(doses) > 1][:MOST_FACETS]
    return {
        "gene": reading.ask("SELECT * FROM gene WHERE gene_id = %(id)s", {"id": gene_id})[0],
        "counts": counts,
        "total": total,
        "ways": ways,
        "significant": significant,
        "top": {way: min(rows, key=_strength, default=None) for way, rows in significant.items()},
        "datasets": sorted({row["dataset"] for row in points}),
        "strip": figures.strip(points),
        "compounds": _by_dataset(points, compounds),
        "with_doses": with_doses,
        "doses": figures.doses(points, with_doses),
        "moas": _by_mechanism(reading, compounds),
    }


def _moved(site: Site, reading: Reading, where: Row) -> dict[str, list[Row]]:
    """The conditions that move a gene most, by direction, strongest first."""

    def strongest(n: int, direction: str = "") -> list[Row]:
        asked = {"n": n, "direction": direction, **where}
        return table(site, reading, "strongest_conditions", n, needed=OF_CONDITIONS, **asked).rows

    both = strongest(MOST_RANKED)
    moved = {"up": [row for row in both if row["log2_fc"] > 0], "down": [row for row in both if row["log2_fc"] < 0]}
    for way, rows in moved.items():
        if len(rows) < MOST_SHOWN and len(both) == MOST_RANKED:  # nearly all move it the other way
            rows[:] = strongest(MOST_SHOWN, way)
        rows.sort(key=_strength)
    return moved


def _points(site: Site, reading: Reading, gene: str, dataset: str, context: str, compounds: list[str]) -> list[Row]:
    """What every condition of some compounds does to a gene."""
    where = {"datasets": [dataset] if dataset else None, "contexts": [context] if context else None}
    points = reading.ask(_POINTS, {"gene": gene, "compounds": compounds, **where}) if compounds else []
    for row in points:
        path = quote(row["inchikey"] or row["compound_name"], safe="")
        row["href"] = f"{site.root}/compound/{path}?effect={row['effect_id']}"
        row["way"] = figures.way(row["log2_fc"], row["p_adj"])
    return points


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
    best: dict[str, dict[str, Row]] = {name: {} for name in compounds}
    for row in sorted(points, key=_strength):
        best[row["compound_name"]].setdefault(row["dataset"], row)
    rows = []
    for name, found in best.items():
        ways = [row["way"] for row in found.values() if row["way"] != "none"]
        first = next(iter(found.values()), {})
        agree = len(ways) if len(set(ways)) == 1 else 0
        rows.append({"compound_name": name, "href": first.get("href", ""), "best": found, "agree": agree})
    return rows


@router.get("/match/{match}")
def match(at: At, match: Annotated[int, Path(ge=0, lt=2**63)]) -> Response:
    """A match: two conditions gene by gene, and how far they agree."""

    def gather(reading: Reading) -> Row:
        about = one(
            reading.ask("SELECT * FROM matched_condition WHERE match_id = %(id)s", {"id": match}),
            f"There is no match {match}.",
        )
        genes = table(at.site, reading, "matched_effect", MOST_GENES_SHOWN, needed=OF_PAIRS, match_id=match)
        agreement = table(at.site, reading, "agreement", 100, match_id=match)
        found = {row["metric"]: row for row in agreement.rows}
        return {
            "match": about,
            "genes": genes,
            "scatter": figures.scatter(genes.rows),
            "agreement": agreement,
            "statistics": [found[name] for name in STATISTICS if name in found],
            "spearman": found.get("spearman_t"),
        }

    return page(at, "match", gather)


_WITHOUT_STRUCTURE = """
SELECT DISTINCT dataset FROM compound_alias
WHERE compound_name = %(name)s AND inchikey IS NULL AND dataset IS NOT NULL ORDER BY dataset"""
_POINTS = f"""
SELECT effect_id, dataset, compound_name, inchikey, coalesce(context_name, context) AS cells, dose_um, time_h, log2_fc,
    se, p_adj
FROM (
    SELECT * FROM compound_responses(%(gene)s::text, %(compounds)s::text[], of_datasets := %(datasets)s::text[],
        of_contexts := %(contexts)s::text[])
    ORDER BY coalesce(p_adj <= {figures.SIGNIFICANT}, false) DESC, abs(log2_fc) DESC, effect_id LIMIT {MOST_POINTS}
) r
ORDER BY compound_name, dataset, cells, time_h, dose_um, effect_id"""
_ELSEWHERE = """
SELECT m.match_id, m.dataset_a, m.dataset_b, m.condition_id_a = %(condition)s AS is_a, m.context_name, m.time_h,
    m.dose_um_a, m.dose_um_b, g.score, g.source_peer_mean, g.target_peer_mean
FROM matched_condition m LEFT JOIN agreement g ON g.match_id = m.match_id AND g.metric = 'spearman_t'
WHERE m.condition_id_a = %(condition)s OR m.condition_id_b = %(condition)s
ORDER BY g.score DESC NULLS LAST, m.match_id"""
