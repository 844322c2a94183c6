"""Search by signature: a list of genes or an effect, against all effects; grouped by compound and by mechanism."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from pbdb.common.errors import QueryError
from pbdb.database.models import N_LANDMARKS
from pbdb.serve.place import Reading, Row
from pbdb.serve.site import Site

MOST_GENES, CANDIDATES = 2000, 200


@dataclass(frozen=True)
class Lists:
    """Genes as given, and what became of each: landmark (place), other gene, unknown."""

    up: list[str]
    down: list[str]
    places: dict[str, int]
    others: list[str]
    unknown: list[str]


def split(text: str) -> list[str]:
    """Names in a pasted list, whatever stands between them.

    Raises:
        QueryError: there are too many.
    """
    names = list(dict.fromkeys(name for name in re.split(r"[\s,;]+", text) if name))
    if len(names) > MOST_GENES:
        raise QueryError(f"{len(names)} genes are too many: give at most {MOST_GENES}.")
    return names


def recognise(site: Site, reading: Reading, up: list[str], down: list[str]) -> Lists:
    """Find out which names are landmarks, other genes, or unknown; symbols, synonyms and Ensembl ids.

    Raises:
        QueryError: a gene is asked for up and down.
    """
    ids = {name: [found.key for found in site.names.exact(name, "gene")] for name in [*up, *down]}
    rows = reading.ask(_LANDMARKS, {"ids": [key for keys in ids.values() for key in keys]})
    landmark = {row["gene_id"]: row["landmark_index"] for row in rows}
    places = {name: landmark[key] for name, keys in ids.items() for key in reversed(keys) if key in landmark}
    both = {places.get(name, name) for name in up} & {places.get(name, name) for name in down}
    if both:
        name = next(name for name in up if places.get(name, name) in both)
        raise QueryError(f"Gene '{name[:40]}' is asked for up and down: give it once.")
    others = [name for name, keys in ids.items() if keys and name not in places]
    return Lists(up, down, places, others, [name for name, keys in ids.items() if not keys])


def like_lists(site: Site, reading: Reading, lists: Lists, **where: Any) -> list[Row]:
    """The effects that move the recognised landmarks as the lists say; where: opposite, n, dataset, context."""
    if not lists.places:
        return []
    values = [0.0] * N_LANDMARKS
    for name, place in lists.places.items():
        values[place] = 1.0 if name in lists.up else -1.0
    return reading.ask(_LIKE_LISTS.format(site.place.signature_type), {"signature": str(values), **_where(where)})


def _where(where: dict[str, Any]) -> dict[str, Any]:
    one = {name: [where[name]] if where.get(name) else None for name in ("dataset", "context")}
    return {"n": where.get("n", CANDIDATES), "opposite": bool(where.get("opposite")), **one}


def like_effect(reading: Reading, effect: int, opposite: bool, n: int = CANDIDATES) -> list[Row]:
    """The effects most like, or most opposite to, an effect."""
    return reading.ask(_LIKE_EFFECT, {"effect": effect, "n": n, "opposite": opposite})


def by_compound(hits: list[Row]) -> list[Row]:
    """One row for each compound, salts as their parent: its best hit, how many hits, mean similarity."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for hit in hits:
        groups[hit["parent_inchikey"] or hit["compound_name"]].append(hit)
    rows = [_group(group) | {name: group[0][name] for name in _OF_COMPOUND} for group in groups.values()]
    return sorted(rows, key=lambda row: -abs(row["similarity"]))


def by_mechanism(hits: list[Row], mechanisms: dict[str, list[str]]) -> list[Row]:
    """One row for each mechanism of at least two of the compounds hit, most compounds first."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in by_compound(hits):
        for moa in mechanisms.get(row["compound_name"], []):
            groups[moa].append(row)
    rows = [
        {"mechanism": moa, "compounds": [row["compound_name"] for row in group], **_group(group)}
        for moa, group in groups.items()
        if len(group) > 1
    ]
    return sorted(rows, key=lambda row: (-row["n_hits"], -abs(row["mean_similarity"])))


def _group(group: list[Row]) -> Row:
    best = max(group, key=lambda hit: abs(hit["similarity"]))
    mean = sum(hit["similarity"] for hit in group) / len(group)
    return {"n_hits": len(group), "similarity": best["similarity"], "mean_similarity": mean, "best": best}


_OF_COMPOUND = ("compound_name", "inchikey", "parent_inchikey")
_LANDMARKS = (
    "SELECT gene_id, landmark_index FROM gene WHERE gene_id = ANY(%(ids)s::text[]) AND landmark_index IS NOT NULL"
)
_NAMED = """
SELECT s.*, e.inchikey, coalesce(k.parent_inchikey, e.inchikey) AS parent_inchikey, e.n_up, e.n_down
FROM {} s JOIN effect e ON e.effect_id = s.effect_id LEFT JOIN compound k ON k.inchikey = e.inchikey
ORDER BY abs(s.similarity) DESC, s.effect_id"""
_LIKE_LISTS = _NAMED.format(
    "similar_signatures(%(signature)s::{}, %(n)s::integer, %(dataset)s::text[], %(context)s::text[],"
    " %(opposite)s::boolean)"
)
_LIKE_EFFECT = _NAMED.format("neighbours(%(effect)s::bigint, %(n)s::integer, %(opposite)s::boolean)")
