"""The effects of a fit against the specification: which there are, what their arrays say, and both orientations."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb.common.rows import Row
from pbdb.loading.verification import arrays
from pbdb.loading.verification.differences import Differences
from pbdb.loading.verification.rows import key_of
from pbdb.loading.verification.tables import BY_EFFECT, BY_GENE, OF_LIMMA, Floats32, Loaded


@dataclass(frozen=True)
class FitRow:
    """A row of table `fit` with its context and genes, by name of column."""

    columns: Row

    def __getitem__(self, name: str) -> Any:
        return self.columns[name]

    @property
    def label(self) -> str:
        """The fit in words."""
        stratum = f" {self['stratum']}" if isinstance(self["stratum"], str) else ""
        return f"fit {self['fit_id']} ({self['context']}{stratum})"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays that its effects have."""
        return BY_EFFECT + (OF_LIMMA if self["p_values"] == "counts" else ())

    @property
    def fit_id(self) -> int:
        """Key of the fit."""
        return int(self["fit_id"])


@dataclass(frozen=True)
class Sampled:
    """Some effects at some genes of a fit, as loaded: matrices effects x genes by name of statistic.

    statuses: of all effects of the fit, counted.
    """

    effects: pd.DataFrame
    genes: npt.NDArray[np.intp]
    values: dict[str, Floats32]
    statuses: Counter[str]


def check_fit(loaded: Loaded, fit: FitRow, chosen: tuple[int, int], differences: Differences) -> Sampled:
    """Check the effects of a fit; return what is to be computed again.

    chosen: how many effects and genes.
    """
    effects = loaded.effects(fit.fit_id, int(fit["n_genes"]))
    _check_rows(fit, loaded.dataset, effects, loaded.fit_samples(fit.fit_id), differences)
    table = effects.set_index("effect_id").reindex(fit["effect_ids"])
    is_complete = table["is_complete"].isin([True]).to_numpy()
    n = fit["n_genes"]
    torn = [f"effect {key} of {fit.label} has not {n} values in each array" for key in table.index[~is_complete]]
    differences.add_all("arrays", torn)
    rng = np.random.default_rng(fit.fit_id)
    genes = np.sort(rng.permutation(int(fit["n_genes"]))[: chosen[1]])
    # Rows that cannot be decoded are left out of what follows, which speaks of values.
    table = table[is_complete]
    kept = np.sort(rng.permutation(len(table))[: chosen[0]])
    sums = arrays.Orientation(table.index, fit["gene_keys"])
    parts = []
    for rows, block in loaded.effect_arrays(fit.fit_id, fit.arrays, table.index.tolist(), int(fit["n_genes"])):
        sums.add_effects(rows, block)
        _check_values(fit, table.iloc[rows], block, differences)
        inside = kept[(kept >= rows.start) & (kept < rows.stop)] - rows.start
        parts.append({name: block[name][np.ix_(inside, genes)] for name in fit.arrays})
    if fit["mode"] == "pooled" and is_complete.all():
        _check_orientations(loaded, fit, table, sums, differences)
    values = {
        name: np.concatenate([part[name] for part in parts]) if parts else np.empty((0, len(genes)), np.float32)
        for name in fit.arrays
    }
    return Sampled(table.iloc[kept].reset_index(), genes, values, Counter(effects["status"]))


def _check_rows(
    fit: FitRow, dataset: str, effects: pd.DataFrame, samples: pd.DataFrame, differences: Differences
) -> None:
    """What a fit and its effects say of their samples, recounted."""
    is_vehicle = samples["role"] == "vehicle"
    for name, n in (("n_samples", len(samples)), ("n_vehicle", int(is_vehicle.sum()))):
        differences.expect(name, fit.label, int(fit[name]), n, "table fit_sample")
    strangers = samples[samples["source_sample"].isna()]
    differences.add_all(
        "fit_sample", [f"sample {key} of {fit.label} is no sample of the dataset" for key in strangers["sample_id"]]
    )
    ok = effects[effects["status"] == "ok"]
    listed = dict(zip(fit["effect_ids"], fit["condition_ids"], strict=False))
    if len(fit["effect_ids"]) != len(fit["condition_ids"]) or listed != dict(
        zip(ok["effect_id"], ok["condition_id"], strict=True)
    ):
        differences.add("effect_ids", f"{fit.label}: its list is not that of its effects with status ok")
    differences.expect("gene_keys", fit.label, int(fit["n_genes"]), len(set(fit["gene_keys"])), "its set of genes")
    _check_keys(fit, dataset, differences)
    _check_counts_of_samples(fit, ok, samples, differences)


def _check_keys(fit: FitRow, dataset: str, differences: Differences) -> None:
    """Ids of the fit and of its set of genes, from what makes them."""
    chosen = {name: value for name, value in fit["parameters"].items() if name != "batch"}
    batch = [fit["parameters"]["batch"]] if "batch" in fit["parameters"] else []
    parts = [dataset, fit["context"], fit["stratum"], json.dumps(chosen, sort_keys=True), *batch]
    differences.expect("ids", "fit", fit.fit_id, key_of("fit", parts), "its natural key")
    genes = key_of("feature_set", fit["gene_keys"])
    differences.expect("ids", f"feature_set of {fit.label}", int(fit["feature_set_id"]), genes, "its genes")


def _check_counts_of_samples(fit: FitRow, ok: pd.DataFrame, samples: pd.DataFrame, differences: Differences) -> None:
    """n_treated and n_plates of each estimated effect."""
    key = "condition_id" if fit["mode"] == "pooled" else "sample_id"
    if fit["method"] == "deseq2":  # whose effects each have samples of their own
        return
    groups = samples[samples["role"] == "treated"].groupby(key)
    expected = pd.DataFrame({"n_treated": groups.size(), "n_plates": groups["plate_id"].nunique()})
    table = ok.set_index(key)
    for name in expected.columns:
        counted = expected[name].reindex(table.index).fillna(0)
        wrong = table[table[name] != counted]
        if len(wrong):
            first = wrong.iloc[0]
            where = f"effect {first['effect_id']}"
            differences.differ(name, where, first[name], int(counted[wrong.index[0]]), "table fit_sample", len(wrong))


def _check_adjusted(fit: FitRow, table: pd.DataFrame, block: dict[str, Floats32], differences: Differences) -> None:
    """Adjusted p values against the p values of each effect, also those of limma beside p values of counts."""
    for suffix in ("", "_limma") if OF_LIMMA[0] in block else ("",):
        p_adj, expected = block[f"neg_log10_p_adj{suffix}"], arrays.adjusted(block[f"neg_log10_p{suffix}"])
        wrong = arrays.unlike(p_adj, expected)
        if wrong.any():
            row, gene = np.argwhere(wrong)[0]
            where = f"-log10 p_adj{suffix} of effect {table.index.to_numpy()[row]}, gene {fit['gene_keys'][gene]}"
            n = int(wrong.sum())
            differences.differ("p_adj", where, float(p_adj[row, gene]), float(expected[row, gene]), "its p values", n)


def _check_values(fit: FitRow, table: pd.DataFrame, block: dict[str, Floats32], differences: Differences) -> None:
    """Adjusted p values and the numbers of genes, from p values and fold changes."""
    p, p_adj, log2_fc = block["neg_log10_p"], block["neg_log10_p_adj"], block["log2_fc"]
    if fit["method"] != "deseq2":  # which adjusts after a filter of its own
        _check_adjusted(fit, table, block, differences)
    n_genes = (~np.isnan(p)).sum(axis=1)
    within = arrays.responding(p_adj, log2_fc, -np.log10(arrays.ALPHA))
    over_fit = arrays.responding(p, log2_fc, _number(fit["neg_log10_p_cutoff"]))
    limits = {
        "n_genes": (n_genes, n_genes),
        "n_up": within["up"],
        "n_down": within["down"],
        "n_up_fit": over_fit["up"],
        "n_down_fit": over_fit["down"],
    }
    for name, (fewest, most) in limits.items():
        stored = table[name].to_numpy(dtype=np.float64)
        for row in np.flatnonzero(~((stored >= fewest) & (stored <= most))).tolist():
            differences.differ(name, f"effect {table.index[row]}", float(stored[row]), int(most[row]), "its arrays")


def _number(value: Any) -> float | None:
    return None if value is None or np.isnan(value) else float(value)


def _check_orientations(
    loaded: Loaded, fit: FitRow, table: pd.DataFrame, sums: arrays.Orientation, differences: Differences
) -> None:
    """Table gene_effect must hold, gene by gene, what table effect holds effect by effect."""
    genes = loaded.genes(fit.fit_id, len(table)).set_index("gene_key")
    wanted = list(fit["gene_keys"]) if len(table) else []
    is_complete = genes["is_complete"].reindex(wanted, fill_value=False).to_numpy(dtype=bool)
    lacking = [key for key, is_whole in zip(wanted, is_complete, strict=True) if not is_whole]
    strangers = genes.index.difference(wanted).tolist()
    differences.add_all(
        "orientations",
        [f"gene {key} of {fit.label} is not in gene_effect as in effect" for key in [*lacking, *strangers]],
    )
    if lacking or strangers:
        return
    turned = arrays.Orientation(table.index, fit["gene_keys"])
    for rows, block in loaded.gene_arrays(fit.fit_id, wanted, len(table)):
        turned.add_genes(rows, block)
    for name in BY_GENE:
        effect = np.flatnonzero(turned.by_effect[name] != sums.by_effect[name])
        gene = np.flatnonzero(turned.by_gene[name] != sums.by_gene[name])
        if len(effect) or len(gene):
            where = f"{name} of effect {_first(table.index, effect)}, gene {_first(fit['gene_keys'], gene)}"
            n = max(len(effect), len(gene))
            differences.add("orientations", f"{where}: effect has one value, gene_effect another", n)


def _first(labels: Any, places: npt.NDArray[np.intp]) -> Any:
    return labels[int(places[0])] if len(places) else "?"
