"""Everything known of one compound: its levels of identity, names, contradictions, annotations, conditions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Literal, TypedDict, get_args

from pbdb.common.errors import ConfigError, QueryError
from pbdb.common.rows import Row
from pbdb.identity.compounds import structure
from pbdb.query import compounds as compound_search
from pbdb.query.compounds import fetch
from pbdb.query.database import Database
from pbdb.sources import names as source_names

Fetch = Callable[[str, Mapping[str, object]], list[Row]]
Part = Literal["related", "sources", "aliases", "namesakes", "annotations", "conditions"]
PARTS: tuple[Part, ...] = get_args(Part)


class Page(TypedDict):
    """What is known of the compounds that a name means.

    compounds: with exactly this alias; related: same parent or skeleton; sources: what each dataset wrote, how it was
    resolved; namesakes: source compounds of one of these names without a structure, and the command that looks for one;
    conditions: per dataset and context.
    """

    name: str
    compounds: list[Row]
    related: list[Row]
    sources: list[Row]
    aliases: list[Row]
    namesakes: list[Row]
    annotations: list[Row]
    conditions: list[Row]


def describe(database: Database, text: str) -> Page:
    """Describe the compounds that a name, InChIKey or CID means, at every level of identity.

    Raises:
        QueryError: there is no such compound.
    """
    return of(partial(fetch, database), compound_search.one_compound(database, text))


def of(fetch: Fetch, meant: list[Row], parts: Collection[Part] = PARTS) -> Page:
    """Describe compounds that were found, as `describe` does.

    fetch: asks a query, whatever answers it; parts: what to ask for, beside the compounds: the others stay empty.
    """

    def part(name: Part, query: str, given: Mapping[str, object]) -> list[Row]:
        return fetch(query, given) if name in parts else []

    keys = {"keys": [row["inchikey"] for row in meant if row["inchikey"]]}
    compounds = fetch(_COMPOUNDS, keys)
    named = {**keys, "skeletons": [row["skeleton"] for row in compounds], "names": _unresolved(meant)}
    members = fetch(_MEMBERS, named)
    all_keys = {"keys": [row["inchikey"] for row in members], "names": named["names"]}
    aliases = part("aliases", _ALIASES, all_keys)
    names = [*(row["alias"] for row in aliases), *named["names"]]
    return {
        "name": meant[0]["compound_name"],
        "compounds": compounds,
        "related": [row for row in members if row["inchikey"] not in keys["keys"]],
        "sources": part("sources", _SOURCES, all_keys),
        "aliases": aliases,
        "namesakes": _namesakes(fetch, names) if "namesakes" in parts else [],
        "annotations": part("annotations", _ANNOTATIONS, all_keys),
        "conditions": part("conditions", _CONDITIONS, all_keys),
    }


def _namesakes(fetch: Fetch, names: list[str]) -> list[Row]:
    """Source compounds of these names that have no structure, and what to run so that they may get one."""
    rows = fetch(_NAMESAKES, {"lower_names": sorted({name.lower() for name in names})})
    return [
        {name: row[name] for name in ("dataset", "source_key", "name")}
        | {"resolve": f"pbdb etl load {source_names.argument(row['source'])} --dataset {row['dataset']} --pubchem rest"}
        for row in rows
    ]


def draw(page: Page, path: Path) -> None:
    """Write a picture of the compound's structure; the ending of the file says SVG or PNG.

    Raises:
        ConfigError: the ending is neither svg nor png.
        QueryError: the structure is not known.
    """
    smiles = next((row["smiles"] for row in page["compounds"] if row["smiles"]), None)
    if smiles is None:
        raise QueryError(f"The structure of '{page['name']}' is not known, so there is no picture of it.")
    if not path.parent.is_dir():
        raise ConfigError(f"There is no folder '{path.parent}' to write the picture to.")
    path.write_bytes(structure.picture(smiles, path.suffix.removeprefix(".").lower()))


def conflicts(database: Database, dataset: str | None = None) -> list[Row]:
    """Source compounds whose statements contradict each other, with the contradiction in words."""
    return fetch(database, _CONFLICTS, {"dataset": dataset})


def _unresolved(meant: list[Row]) -> list[str]:
    """Names of what is only known as a source wrote it."""
    return [row["compound_name"] for row in meant if row["inchikey"] is None]


_COMPOUNDS = """
SELECT compound_name, inchikey, parent_inchikey, skeleton, pubchem_cid, pubchem_title, formula, molecular_weight, smiles
FROM pbdb.compound WHERE inchikey = ANY(%(keys)s) ORDER BY inchikey <> parent_inchikey, inchikey"""
_MEMBERS = """
SELECT c.compound_name, c.inchikey, c.parent_inchikey, c.skeleton, c.pubchem_cid, c.formula,
    CASE WHEN c.parent_inchikey = ANY(SELECT parent_inchikey FROM pbdb.compound WHERE inchikey = ANY(%(keys)s))
        THEN 'parent_inchikey' ELSE 'skeleton' END AS level
FROM pbdb.compound c
WHERE c.inchikey = ANY(%(keys)s) OR c.skeleton = ANY(%(skeletons)s)
ORDER BY c.inchikey <> c.parent_inchikey, c.compound_name, c.inchikey"""
# Two halves, each by an index of its own.
_OURS = """s.source_compound_id IN (
    SELECT i.source_compound_id FROM core.source_compound i JOIN core.compound o ON o.compound_id = i.compound_id
    WHERE o.inchikey = ANY(%(keys)s)
    UNION ALL SELECT i.source_compound_id FROM core.source_compound i
    WHERE i.compound_id IS NULL AND i.compound_name = ANY(%(names)s)
)"""
_FROM_SOURCES = """
FROM core.source_compound s JOIN core.dataset d ON d.dataset_id = s.dataset_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id"""
_SOURCES = f"""
SELECT d.dataset, s.source_key, s.name, k.inchikey, s.resolved_by, s.conflict, s.problem
{_FROM_SOURCES} WHERE {_OURS} ORDER BY d.dataset, s.source_key"""
_ALIASES = """
SELECT k.alias, array_agg(DISTINCT k.kind) AS kinds,
    array_agg(DISTINCT k.dataset) FILTER (WHERE k.dataset IS NOT NULL) AS datasets
FROM (
    SELECT * FROM pbdb.compound_alias WHERE inchikey = ANY(%(keys)s)
    UNION ALL SELECT * FROM pbdb.compound_alias WHERE inchikey IS NULL AND compound_name = ANY(%(names)s)
) k
GROUP BY k.alias ORDER BY k.alias"""
_NAMESAKES = """
SELECT d.dataset, s.source_key, s.name, d.source
FROM core.source_compound s JOIN core.dataset d ON d.dataset_id = s.dataset_id
WHERE s.compound_id IS NULL AND lower(s.name) = ANY(%(lower_names)s) ORDER BY d.dataset, s.source_key"""
_ANNOTATIONS = """
SELECT a.kind, a.value, array_agg(DISTINCT coalesce(a.dataset, a.origin)) AS stated_by
FROM pbdb.compound_annotation a
WHERE a.parent_inchikey = ANY(SELECT parent_inchikey FROM pbdb.compound WHERE inchikey = ANY(%(keys)s))
    OR a.parent_inchikey IS NULL AND a.compound_name = ANY(%(names)s)
GROUP BY a.kind, a.value ORDER BY a.kind, a.value"""
_CONDITIONS = f"""
SELECT d.dataset, x.context, x.context_name, count(*) AS n_conditions, sum(c.n_samples)::bigint AS n_samples,
    min(c.dose_um) AS min_dose_um, max(c.dose_um) AS max_dose_um, array_agg(DISTINCT c.time_h) AS times_h
{_FROM_SOURCES}
JOIN core.condition c ON c.source_compound_id = s.source_compound_id
JOIN core.context x ON x.context_id = c.context_id
WHERE {_OURS} GROUP BY d.dataset, x.context, x.context_name ORDER BY d.dataset, x.context_name"""
_CONFLICTS = """
SELECT d.dataset, s.source_key, s.name, s.compound_name, s.resolved_by, k.inchikey, s.given_inchikey,
    s.given_pubchem_cid, s.conflict
FROM core.source_compound s JOIN core.dataset d ON d.dataset_id = s.dataset_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id
WHERE s.conflict IS NOT NULL AND (CAST(%(dataset)s AS text) IS NULL OR d.dataset = %(dataset)s)
ORDER BY d.dataset, s.conflict, s.source_key"""
