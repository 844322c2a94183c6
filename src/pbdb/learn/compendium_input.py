"""From stored effects to arrays: the default pooled effects of datasets, as the models take them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pbdb.common.errors import QueryError
from pbdb.learn.effects_of import EffectsOf, Origin
from pbdb.learn.models.compendium import Block, Compendium

MOST_MISSING = 0.01
NO_STRUCTURE = "0" * 2048
NAMED = "name:"

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Wanted:
    """Which effects: of some datasets (all unless given), without others; the statistic, and the least rows of a block.

    clip: largest absolute value, None for no limit; signed: give the statistic the sign of log2_fc.
    """

    datasets: Sequence[str] = ()
    without: Sequence[str] = ()
    statistic: str = "log2_fc"
    signed: bool = False
    clip: float | None = None


@dataclass(frozen=True)
class Loaded:
    """A compendium with the names behind its positions.

    conditions: a row for each row of the blocks, in their order: block, place, dataset, owner (overlap group or
    dataset), context, context_name, condition_id, compound (position), inchikey, parent_inchikey, skeleton,
    pubchem_cid, name, parent_smiles, dose_um, time_h, stratum, parent_context. compounds: a row for each position:
    compound (parent InChIKey, or `name:` and the name), parent_inchikey, skeleton, compound_name.
    """

    compendium: Compendium
    conditions: pd.DataFrame
    compounds: pd.DataFrame
    origin: Origin
    left_out: dict[str, int] = field(default_factory=dict)

    def by_block(self, values: Any) -> list[Any]:
        """Cut one value per condition into one array per block."""
        stops = np.cumsum([len(block) for block in self.compendium.blocks])[:-1]
        return np.split(np.asarray(values), stops)


def load(place: EffectsOf, wanted: Wanted | None = None, progress: Progress = lambda *_: None) -> Loaded:
    """Read effects into a compendium.

    A block holds a dataset's conditions in a context over the genes that all its fits test; genes missing in more than
    1 % of its rows are left out, then rows that miss any gene are; how many, `left_out` says.

    Raises:
        QueryError: a dataset is not there, or no effect is left.
    """
    chosen = wanted or Wanted()
    rows = _rows(place, chosen)
    rows["compound"], compounds = _compounds(rows)
    parts, kept, left_out = [], [], {"genes": 0, "conditions": 0}
    groups = list(rows.groupby(["dataset", "context"], sort=True))
    for i, ((dataset, context), some) in enumerate(groups):
        block, ordered = _block(place, chosen, some, left_out)
        parts.append(block)
        kept.append(ordered.assign(block=i, place=np.arange(len(ordered))))
        progress(f"reading {dataset} {context}", i + 1, len(groups))
    conditions = pd.concat(kept, ignore_index=True)
    genes = np.unique(np.concatenate([part.genes for part in parts]))
    names = _gene_ids(place, genes)
    blocks = tuple(Block(**{**vars(part), "genes": np.searchsorted(genes, part.genes)}) for part in parts)
    compendium = Compendium(blocks, names, tuple(compounds["compound"]), _fingerprints(place, compounds))
    return Loaded(compendium, conditions, compounds, place.origin(), left_out)


def _rows(place: EffectsOf, wanted: Wanted) -> pd.DataFrame:
    known = set(place.frame("SELECT dataset FROM core.dataset")["dataset"])
    for name in (*wanted.datasets, *wanted.without):
        if name not in known:
            raise QueryError(f"There is no dataset '{name}' to learn from: there are {', '.join(sorted(known))}.")
    chosen = sorted((set(wanted.datasets) or known) - set(wanted.without))
    rows = place.frame(_ROWS.format(effects=place.effects), {"datasets": chosen})
    if rows.empty:
        raise QueryError("There is no estimated effect to learn from: load datasets with `pbdb etl load` first.")
    return rows


def _compounds(rows: pd.DataFrame) -> tuple[pd.Series[Any], pd.DataFrame]:
    """Position of each row's compound, and the compounds: those of one parent are one, the unresolved go by name."""
    key = rows["parent_inchikey"].where(rows["parent_inchikey"].notna(), NAMED + rows["name"])
    names, position = np.unique(key.to_numpy(dtype=str), return_inverse=True)[:2]
    first = rows.assign(compound=key).drop_duplicates("compound").set_index("compound").loc[names]
    columns = ["parent_inchikey", "skeleton", "compound_name"]
    return pd.Series(position, index=rows.index), first[columns].reset_index()


def _block(
    place: EffectsOf, wanted: Wanted, some: pd.DataFrame, left_out: dict[str, int]
) -> tuple[Block, pd.DataFrame]:
    fits = [(fit, own.sort_values("effect_id")) for fit, own in some.groupby("fit_id", sort=True)]
    keys = {fit: gene_keys(place, int(str(fit))) for fit, _ in fits}
    genes = np.array(sorted(set.intersection(*(set(found.tolist()) for found in keys.values()))), dtype=np.int64)
    values = np.empty((len(some), len(genes)), np.float32)
    start = 0
    for fit, own in fits:
        columns = np.searchsorted(np.sort(keys[fit]), genes)
        order = np.argsort(keys[fit])[columns]
        values[start : start + len(own)] = _values(place, wanted, own, len(keys[fit]))[:, order]
        start += len(own)
    ordered = pd.concat([own for _, own in fits], ignore_index=True)
    known = np.isfinite(values)
    whole_genes = known.mean(axis=0) >= 1 - MOST_MISSING if len(values) else np.ones(len(genes), bool)
    whole_rows = known[:, whole_genes].all(axis=1)
    left_out["genes"] += int((~whole_genes).sum())
    left_out["conditions"] += int((~whole_rows).sum())
    ordered = ordered.loc[np.flatnonzero(whole_rows)].reset_index(drop=True)
    if not (whole_genes.all() and whole_rows.all()):
        values = np.ascontiguousarray(values[whole_rows][:, whole_genes])
    numbers = {name: pd.to_numeric(ordered[name]).to_numpy(dtype=np.float64) for name in ("dose_um", "time_h")}
    head = some.iloc[0]
    compound = ordered["compound"].to_numpy(dtype=np.int64)
    return Block(
        str(head["dataset"]), str(head["context"]), genes[whole_genes], compound, values=values, **numbers
    ), ordered


def gene_keys(place: EffectsOf, fit: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the keys of a fit's genes, in the order of its arrays."""
    found = place.frame(_GENE_KEYS, {"fit": fit})["gene_keys"].iloc[0]
    return np.array(list(found), dtype=np.int64)


def _values(place: EffectsOf, wanted: Wanted, own: pd.DataFrame, n_genes: int) -> Any:
    head, ids = own.iloc[0], own["effect_id"].tolist()
    fit = {"fit_id": int(head["fit_id"]), "dataset_id": int(head["dataset_id"])}
    values = place.arrays(fit, ids, wanted.statistic, n_genes)
    if wanted.clip is not None:
        values = np.clip(values, -wanted.clip, wanted.clip)
    return values * np.sign(place.arrays(fit, ids, "log2_fc", n_genes)) if wanted.signed else values


def _gene_ids(place: EffectsOf, genes: Any) -> tuple[str, ...]:
    table = place.frame("SELECT gene_key, gene_id FROM core.gene").set_index("gene_key")["gene_id"]
    return tuple(table.loc[genes])


def _fingerprints(place: EffectsOf, compounds: pd.DataFrame) -> Any:
    found = place.frame(_FINGERPRINTS)
    bits = dict(zip(found["parent_inchikey"], found["bits"], strict=True))
    texts = (bits.get(key, NO_STRUCTURE) for key in compounds["parent_inchikey"])
    return np.stack([np.packbits(np.frombuffer(text.encode(), np.uint8) - ord("0")) for text in texts])


_ROWS = """
SELECT f.fit_id, f.dataset_id, d.dataset, d.is_simulated, coalesce(d.overlap_group, d.dataset) AS owner,
    x.context, x.context_name, x.parent_context, e.effect_id, c.condition_id, k.inchikey,
    coalesce(k.parent_inchikey, k.inchikey) AS parent_inchikey,
    coalesce(k.skeleton, left(k.inchikey, 14)) AS skeleton, coalesce(k.pubchem_cid, s.given_pubchem_cid) AS pubchem_cid,
    lower(trim(s.name)) AS name, s.compound_name, k.parent_smiles, c.dose_um, c.time_h, c.stratum
FROM {effects}
JOIN core.dataset d ON d.dataset_id = f.dataset_id
JOIN core.context x ON x.context_id = f.context_id
JOIN core.condition c ON c.condition_id = e.condition_id
JOIN core.source_compound s ON s.source_compound_id = c.source_compound_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id
WHERE f.is_default AND f.mode = 'pooled' AND e.status = 'ok' AND NOT c.is_vehicle AND d.dataset = ANY(%(datasets)s)
ORDER BY d.dataset, x.context, f.fit_id, e.effect_id"""

_GENE_KEYS = """
SELECT h.gene_keys FROM core.fit f JOIN core.feature_set h ON h.feature_set_id = f.feature_set_id
WHERE f.fit_id = %(fit)s"""

_FINGERPRINTS = """
SELECT coalesce(parent_inchikey, inchikey) AS parent_inchikey, min(CAST(fingerprint AS text)) AS bits
FROM core.compound WHERE fingerprint IS NOT NULL GROUP BY 1"""
