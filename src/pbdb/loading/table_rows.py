"""Canonical samples and compounds as rows of the tables, with their stable ids."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pbdb.common import units
from pbdb.common.ids import stable_id, stable_ids
from pbdb.database.copy_text import as_json
from pbdb.identity.compounds.clean_text import cid_or_none, text_or_none
from pbdb.identity.compounds.resolve import Resolution
from pbdb.identity.compounds.source_compounds import compound_rows
from pbdb.identity.contexts.resolve import ContextVocabulary, context_rows
from pbdb.sources.declaration import Source

Tables = dict[str, pd.DataFrame]
CONDITION_KEY = ["representative", "context", "dose_fm", "time_h", "stratum"]


def dataset_tables(
    source: Source,
    dataset: str,
    samples: pd.DataFrame,
    compounds: pd.DataFrame,
    annotations: pd.DataFrame,
    known: ContextVocabulary | None = None,
) -> Tables:
    """Make the rows a dataset fills, table by table, effects and fits excepted.

    samples: as `transform` returns them; compounds, annotations: as `source_compounds` returns them; known: cells of
    which the vocabulary tells what the source does not.
    """
    return {
        "assay": _assay(source),
        "dataset": _dataset(source, dataset),
        "context": _contexts(source, samples, known),
        **_compounds(dataset, compounds, annotations),
        "plate": _plates(dataset, samples),
        **_conditions_and_samples(source, dataset, samples, compounds),
    }


def dataset_id(dataset: str) -> int:
    """Key of a dataset."""
    return stable_id("dataset", dataset)


def _assay(source: Source) -> pd.DataFrame:
    assay = source.assay
    key = stable_id("assay", assay.technology, assay.readout)
    return pd.DataFrame([{"assay_id": key, "technology": assay.technology, "readout": assay.readout}])


def _dataset(source: Source, dataset: str) -> pd.DataFrame:
    declared = source.datasets[dataset]
    row = {
        "dataset_id": dataset_id(dataset),
        "dataset": dataset,
        "source": source.key,
        "title": source.title,
        "release": declared.release,
        "assay_id": stable_id("assay", source.assay.technology, source.assay.readout),
        "license": declared.license,
        "citation": declared.citation,
        "doi": declared.doi,
        "homepage": source.homepage,
        "access": declared.access,
        "is_redistributable": declared.is_redistributable,
        "is_non_commercial": declared.is_non_commercial,
        "overlap_group": declared.overlap_group,
        "is_primary": declared.is_primary,
    }
    return pd.DataFrame([row])


def _contexts(source: Source, samples: pd.DataFrame, known: ContextVocabulary | None) -> pd.DataFrame:
    used = set(samples["context"])
    declared = {cells.context: cells for cells in source.contexts.values() if cells.context in used}
    return context_rows(declared.values(), known)


def _compounds(dataset: str, compounds: pd.DataFrame, annotations: pd.DataFrame) -> Tables:
    identities = compound_rows(compounds)
    if len(identities):
        identities.insert(0, "compound_id", stable_ids("compound", zip(identities["inchikey"])))
    keys = compounds["source_key"].tolist()
    ids = stable_ids("source_compound", ((dataset, key) for key in keys))
    resolutions: list[Resolution] = compounds["resolution"].tolist()
    table = pd.DataFrame(
        {
            "source_compound_id": ids,
            "dataset_id": dataset_id(dataset),
            "source_key": keys,
            "name": compounds["name"].to_numpy(),
            "given_smiles": compounds["smiles"].to_numpy(),
            "given_inchikey": compounds["inchikey"].to_numpy(),
            "given_pubchem_cid": pd.array([_cid(cell) for cell in compounds["pubchem_cid"]], "Int64"),
            "cas": compounds["cas"].to_numpy(),
            "compound_id": pd.array([_compound_id(resolution) for resolution in resolutions], dtype="Int64"),
            "resolved_by": [resolution.route for resolution in resolutions],
            "rule_version": [resolution.rule_version for resolution in resolutions],
            "conflict": [resolution.conflict for resolution in resolutions],
            "problem": [resolution.problem for resolution in resolutions],
        }
    )
    return {
        "compound": identities,
        "source_compound": table,
        "compound_annotation": _annotations(dict(zip(keys, ids, strict=True)), annotations),
    }


def _cid(cell: object) -> int | None:
    return cid_or_none(text_or_none(cell) or "")


def _compound_id(resolution: Resolution) -> int | None:
    return None if resolution.inchikey is None else stable_id("compound", resolution.inchikey)


def _annotations(ids: dict[str, int], annotations: pd.DataFrame) -> pd.DataFrame:
    table = annotations.assign(source_compound_id=annotations["source_key"].map(ids)).drop(columns="source_key")
    keys = table[["source_compound_id", "kind", "value", "origin"]].itertuples(index=False, name=None)
    return table.assign(annotation_id=stable_ids("compound_annotation", keys))


def _plates(dataset: str, samples: pd.DataFrame) -> pd.DataFrame:
    plates = sorted(samples["plate"].unique())
    ids = stable_ids("plate", ((dataset, plate) for plate in plates))
    return pd.DataFrame({"plate_id": ids, "dataset_id": dataset_id(dataset), "plate": plates})


def representatives(source: Source, compounds: pd.DataFrame) -> dict[str, str]:
    """The source compound that stands for each one in conditions.

    Itself, unless the source's conditions are by compound: then the first of those with the same InChIKey, else CID
    (of which the structure may be told by another of them).
    """
    keys = compounds["source_key"].tolist()
    if source.condition_by == "source_compound":
        return dict(zip(keys, keys, strict=True))
    pairs = sorted(zip(keys, compounds["resolution"].tolist(), strict=True), key=lambda pair: pair[0])
    of_cid = {
        resolution.pubchem_cid: resolution.inchikey
        for _, resolution in pairs
        if resolution.pubchem_cid and resolution.inchikey
    }
    first: dict[object, str] = {}
    chosen = {}
    for key, resolution in pairs:
        cid = resolution.pubchem_cid
        identity = resolution.inchikey or of_cid.get(cid) or cid or ("unresolved", key)
        chosen[key] = first.setdefault(identity, key)
    return chosen


def _conditions_and_samples(source: Source, dataset: str, samples: pd.DataFrame, compounds: pd.DataFrame) -> Tables:
    table = samples.copy()
    table["representative"] = table["compound"].map(representatives(source, compounds))
    exact = table["dose_fm"]
    table["dose_fm"] = exact.map(lambda fm: units.round_dose(int(fm), source.dose_decimals), na_action="ignore")
    table["dose_fm"] = table["dose_fm"].astype("Int64")
    table["condition_id"] = _condition_ids(dataset, table)
    conditions = _conditions(dataset, table[table["has_condition"]], source.samples.condition_attributes)
    table["dose_fm"] = exact
    return {"condition": conditions, "sample": _samples(dataset, table)}


def _condition_ids(dataset: str, table: pd.DataFrame) -> pd.Series[Any]:
    """Key of each sample's condition; each distinct key is hashed once."""
    parts = table.loc[table["has_condition"], CONDITION_KEY].astype(object)
    parts = parts.where(parts.notna(), None)
    keys = list(parts.itertuples(index=False, name=None))
    distinct = list(dict.fromkeys(keys))
    ids = stable_ids("condition", ((dataset, *key) for key in distinct))
    known = dict(zip(distinct, ids, strict=True))
    return pd.Series([known[key] for key in keys], index=parts.index, dtype="Int64").reindex(table.index)


def _conditions(dataset: str, table: pd.DataFrame, described_by: tuple[str, ...]) -> pd.DataFrame:
    groups = table.groupby("condition_id", sort=False)
    first = groups.first().reset_index()
    return pd.DataFrame(
        {
            "condition_id": first["condition_id"],
            "dataset_id": dataset_id(dataset),
            "source_compound_id": stable_ids("source_compound", ((dataset, key) for key in first["representative"])),
            "context_id": stable_ids("context", zip(first["context"])),
            "dose_fm": first["dose_fm"],
            "time_h": first["time_h"],
            "stratum": first["stratum"],
            "is_vehicle": first["is_vehicle"],
            "n_samples": groups.size().to_numpy(),
            "attributes": [_shared(rows, described_by) for _, rows in groups["attributes"]] if described_by else "{}",
        }
    )


def _shared(attributes: pd.Series[Any], names: tuple[str, ...]) -> str:
    """What the samples of a condition have in common, as JSON; values that differ are a list."""
    shared: dict[str, object] = {}
    for name in names:
        values = list(dict.fromkeys(sample[name] for sample in attributes if name in sample))
        if values:
            shared[name] = values[0] if len(values) == 1 else sorted(values, key=str)
    return as_json(shared)


def _samples(dataset: str, table: pd.DataFrame) -> pd.DataFrame:
    compounds = table["compound"].map(_ids_of("source_compound", dataset, table["compound"]), na_action="ignore")
    return pd.DataFrame(
        {
            "dataset_id": dataset_id(dataset),
            "sample_id": stable_ids("sample", ((dataset, key) for key in table["source_sample"])),
            "source_sample": table["source_sample"],
            "plate_id": table["plate"].map(_ids_of("plate", dataset, table["plate"])),
            "well": table["well"],
            "condition_id": table["condition_id"],
            "source_compound_id": compounds.astype("Int64"),
            "context_id": table["context"].map({key: stable_id("context", key) for key in table["context"].unique()}),
            "dose_fm": table["dose_fm"],
            "time_h": table["time_h"],
            "stratum": table["stratum"],
            "is_vehicle": table["is_vehicle"],
            "n_cells": table["n_cells"],
            "n_counts": table["n_counts"],
            "in_fit": table["in_fit"],
            "flags": table["flags"],
            "attributes": table["attributes"],
        }
    )


def _ids_of(kind: str, dataset: str, keys: pd.Series[Any]) -> dict[str, int]:
    distinct = keys.dropna().unique().tolist()
    return dict(zip(distinct, stable_ids(kind, ((dataset, key) for key in distinct)), strict=True))
