"""Search by signature: lists of genes or an effect, against all effects; grouped by compound and by mechanism."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pbdb.common.errors import QueryError
from pbdb.common.rows import Row
from pbdb.database.effect_arrays import N_LANDMARKS
from pbdb.serve.place import Reading
from pbdb.serve.site import Site

MOST_GENES, CANDIDATES = 2000, 200
HITS_OF_ONE = 3  # Doses and cells in which a compound that acts alike does so, about.


def split(text: str) -> list[str]:
    """Names in a pasted list, whatever stands between them.

    Raises:
        QueryError: there are too many.
    """
    names = list(dict.fromkeys(name for name in re.split(r"[\s,;]+", text) if name))
    if len(names) > MOST_GENES:
        raise QueryError(f"{len(names)} genes are too many: give at most {MOST_GENES}.")
    return names


def search(
    site: Site,
    reading: Reading,
    up: str = "",
    down: str = "",
    effect: int | None = None,
    opposite: bool = False,
    dataset: str | None = None,
    context: str | None = None,
    n: int = CANDIDATES,
) -> Row:
    """Hits of a signature, what became of the genes, and the floor below which similarity says nothing.

    Raises:
        QueryError: there is neither list nor effect, a gene is in both, or no gene is a landmark.
    """
    places: dict[str, int] = {}
    left_out: Row = {"other_genes": [], "unknown": []}
    where = {"n": n, "opposite": opposite, "datasets": [dataset] if dataset else None}
    where |= {"contexts": [context] if context else None}
    if effect is not None:
        hits = like_effect(reading, effect, opposite, n)
    else:
        places, left_out = recognise(site, reading, split(up), split(down))
        values = [0.0] * N_LANDMARKS
        for name, place in places.items():
            values[place] = 1.0 if name in split(up) else -1.0
        hits = reading.ask(_LIKE_LISTS.format(site.place.signature_type), {"signature": str(values), **where})
    strong = by_compound([hit for hit in hits if abs(hit["similarity"]) >= site.floor])
    moas = mechanisms(reading, [row["compound_name"] for row in strong])
    of_moas = [row | {"mechanism": moa} for row in strong for moa in moas.get(row["compound_name"], [])]
    grouped = [row for row in _grouped(of_moas, lambda row: row["mechanism"]) if row["n_hits"] > 1]
    return {
        "hits": hits,
        "floor": site.floor,
        "by_compound": by_compound(hits),
        "by_mechanism": sorted(grouped, key=lambda row: (-row["n_hits"], -abs(row["mean_similarity"]))),
        "landmarks": sorted(places),
        "left_out": left_out,
    }


def recognise(site: Site, reading: Reading, up: list[str], down: list[str]) -> tuple[dict[str, int], Row]:
    """Places of the names that are landmarks, and names that are other genes or unknown; symbols, synonyms, ids.

    Raises:
        QueryError: a gene is asked for up and down, or none is a landmark.
    """
    ids = {name: [found.key for found in site.names.exact(name, "gene")] for name in [*up, *down]}
    rows = reading.ask(_LANDMARKS, {"ids": [key for keys in ids.values() for key in keys]})
    landmark = {row["gene_id"]: row["landmark_index"] for row in rows}
    places = {name: landmark[key] for name, keys in ids.items() for key in reversed(keys) if key in landmark}
    below = {places.get(name, name) for name in down}
    for name in up:
        if places.get(name, name) in below:
            raise QueryError(f"Gene '{name[:40]}' is asked for up and down: give it once.")
    if not places:
        raise QueryError("None of the genes is a landmark, by which signatures are compared: give others.")
    others = [name for name, keys in ids.items() if keys and name not in places]
    return places, {"other_genes": others, "unknown": [name for name, keys in ids.items() if not keys]}


def like_effect(
    reading: Reading, effect: int, opposite: bool, n: int = CANDIDATES, of_others: bool = False
) -> list[Row]:
    """The effects most like, or most opposite to, an effect; of_others: of other compounds than its own."""
    return reading.ask(_LIKE_EFFECT, {"effect": effect, "n": n, "opposite": opposite, "of_others": of_others})


def compounds_like(reading: Reading, effect: Row, opposite: bool, floor: float, most: int) -> list[Row]:
    """Other compounds that act most like, or opposite to, an effect: each by its best hit, none below the floor."""
    hits = like_effect(reading, effect["effect_id"], opposite, HITS_OF_ONE * most, of_others=True)
    sign = -1 if opposite else 1
    # One of the same name, whose structure is not known, may be the compound itself.
    others = [hit for hit in hits if hit["compound_name"] != effect["compound_name"]]
    return by_compound([hit for hit in others if sign * hit["similarity"] >= floor])[:most]


def by_compound(hits: list[Row]) -> list[Row]:
    """One row for each compound, salts as their parent: its best hit, how many hits, mean similarity."""
    return _grouped(hits, lambda hit: hit["parent_inchikey"] or hit["compound_name"])


def _grouped(hits: list[Row], key: Callable[[Row], Any]) -> list[Row]:
    """Hits that have a key in common as one row, whose other facts are those of the best; best first."""
    groups: dict[Any, list[Row]] = {}
    for hit in sorted(hits, key=lambda hit: -abs(hit["similarity"])):
        groups.setdefault(key(hit), []).append(hit)
    return [
        group[0]
        | {"n_hits": len(group), "mean_similarity": sum(hit["similarity"] for hit in group) / len(group)}
        | {"compounds": [hit["compound_name"] for hit in group]}
        for group in groups.values()
    ]


def mechanisms(reading: Reading, names: list[str]) -> dict[str, list[str]]:
    """Mechanisms of action by compound."""
    found: dict[str, list[str]] = {}
    for row in reading.ask(_MECHANISMS, {"names": sorted(set(names))}):
        found.setdefault(row["compound_name"], []).append(row["value"])
    return found


_LANDMARKS = """
SELECT gene_id, landmark_index FROM gene WHERE gene_id = ANY(%(ids)s::text[]) AND landmark_index IS NOT NULL"""
_MECHANISMS = """
SELECT DISTINCT compound_name, value FROM compound_annotation
WHERE kind = 'moa' AND compound_name = ANY(%(names)s::text[]) ORDER BY compound_name, value"""
_STRONGEST_FIRST = "SELECT * FROM {} ORDER BY abs(similarity) DESC, effect_id"
_LIKE_LISTS = _STRONGEST_FIRST.format(
    "similar_signatures(%(signature)s::{}, %(n)s::integer, %(datasets)s::text[], %(contexts)s::text[],"
    " %(opposite)s::boolean)"
)
_LIKE_EFFECT = _STRONGEST_FIRST.format(
    "neighbours(%(effect)s::bigint, %(n)s::integer, %(opposite)s::boolean, %(of_others)s::boolean)"
)
