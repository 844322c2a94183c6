"""The effects stage: one fit for each context (and stratum) of a dataset, kept on disk as tiles of float32."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb import canonical
from pbdb.effects import NO_DOSE, NO_SAMPLE, NO_VEHICLE, OK, Design, Fit, Options, Summary, build_design, fill, prepare
from pbdb.errors import DesignError
from pbdb.ids import stable_id, stable_ids

VERSION = 1
BY_EFFECT = ("log2_fc", "se", "neg_log10_p", "neg_log10_p_adj")
BY_GENE = ("log2_fc", "se", "neg_log10_p_adj")
GENE_FACTS = ("ave_expr", "sigma", "s2_post", "df_total")
COUNTED = ("n_up", "n_down", "n_up_fit", "n_down_fit")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class FitOptions:
    """Choices of an effects stage beyond those of the engine; all of them stand in `fit.parameters`."""

    options: Options
    mode: Literal["pooled", "replicate"] = "pooled"
    min_cells: int = 0
    is_default: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Everything that decides the numbers, by name."""
        chosen = {name: value for name, value in asdict(self.options).items() if name != "threads"}
        return chosen | {
            "method": self.options.chosen_method,
            "mode": self.mode,
            "min_cells": self.min_cells,
            "version": VERSION,
        }


@dataclass(frozen=True)
class StoredFit:
    """A fit on disk: facts, the table of its effects, facts of its genes, and tiles in two orientations (float32)."""

    folder: Path

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The row of table `fit`, arrays excepted; with `dataset`, `context` and `stratum` as text."""
        return dict(json.loads((self.folder / "fit.json").read_text(encoding="utf-8")))

    @property
    def label(self) -> str:
        """Context, and stratum where there is one."""
        return " ".join(filter(None, (self.facts["context"], self.facts["stratum"])))

    @cached_property
    def effects(self) -> pd.DataFrame:
        """One row per effect, whatever its status; those with status ok come first, in the order of the tiles."""
        return pd.read_parquet(self.folder / "effects.parquet")

    @cached_property
    def gene_keys(self) -> npt.NDArray[np.int32]:
        """The tested genes, in array order."""
        return np.asarray(np.load(self.folder / "gene_keys.npy"))

    def gene_fact(self, name: str) -> npt.NDArray[np.float32]:
        """One of GENE_FACTS, aligned with gene_keys."""
        return np.asarray(np.load(self.folder / f"{name}.npy"))

    @cached_property
    def samples(self) -> pd.DataFrame:
        """sample_id and role of the samples in the fit."""
        return pd.read_parquet(self.folder / "samples.parquet")

    @property
    def n_ok(self) -> int:
        """Effects that were estimated."""
        return int((self.effects["status"] == OK).sum())

    def by_effect(self, name: str) -> npt.NDArray[np.float32]:
        """One of BY_EFFECT: estimated effects x genes, mapped from disk."""
        return _tile(self.folder / f"{name}.by_effect", (self.n_ok, len(self.gene_keys)), "r")

    def by_gene(self, name: str) -> npt.NDArray[np.float32]:
        """One of BY_GENE: genes x estimated effects, mapped from disk."""
        return _tile(self.folder / f"{name}.by_gene", (len(self.gene_keys), self.n_ok), "r")


def _tile(path: Path, shape: tuple[int, int], mode: Literal["r", "w+"]) -> npt.NDArray[np.float32]:
    if 0 in shape:
        return np.zeros(shape, dtype=np.float32)
    return np.memmap(path, dtype=np.float32, mode=mode, shape=shape)


def fit_dataset(
    dataset: str,
    matrix: Path,
    samples: pd.DataFrame,
    choices: FitOptions,
    folder: Path,
    progress: Progress = lambda what, done, total: None,
) -> list[StoredFit]:
    """Fit every context and stratum of a dataset; finished fits found in `folder` are kept.

    matrix: canonical file; samples: the rows of table `sample` in the matrix's order, with `context` as text.
    """
    gene_keys = canonical.read_annotations(matrix)[1]["gene_key"].to_numpy(dtype=np.int32)
    return [
        _fit_group(_Group(dataset, context, stratum, rows), matrix, gene_keys, choices, folder, progress)
        for context, stratum, rows in _groups(samples)
    ]


@dataclass(frozen=True)
class _Group:
    """The samples of one fit, in the order of the matrix; their index is the row of the matrix."""

    dataset: str
    context: str
    stratum: str | None
    rows: pd.DataFrame

    @property
    def label(self) -> str:
        return self.context if self.stratum is None else f"{self.context} {self.stratum}"

    def fit_id(self, choices: FitOptions) -> int:
        decided = json.dumps(choices.as_dict(), sort_keys=True)
        return stable_id("fit", self.dataset, self.context, self.stratum, decided)


def _groups(samples: pd.DataFrame) -> Iterator[tuple[str, str | None, pd.DataFrame]]:
    with_condition = samples[samples["condition_id"].notna()]
    for (context, stratum), rows in with_condition.groupby(["context", "stratum"], dropna=False, sort=True):
        yield str(context), str(stratum) if isinstance(stratum, str) else None, rows


def _fit_group(
    group: _Group,
    matrix: Path,
    gene_keys: npt.NDArray[np.int32],
    choices: FitOptions,
    folder: Path,
    progress: Progress,
) -> StoredFit:
    stored = StoredFit(folder / str(group.fit_id(choices)))
    if (stored.folder / "fit.json").is_file():
        return stored
    stored.folder.mkdir(parents=True, exist_ok=True)
    keep = _kept(group, choices)
    try:
        design = _design(group, keep, choices)
    except DesignError:
        return _write_unestimated(stored, group, choices, len(gene_keys))
    used = group.rows[keep]
    fit = prepare(canonical.read_rows(matrix, used.index.to_numpy()), design, choices.options)
    return _write(stored, group, choices, fit, gene_keys, progress)


def _kept(group: _Group, choices: FitOptions) -> npt.NDArray[np.bool_]:
    """Samples that take part: not flagged, of a known dose, of enough cells (or an unknown number)."""
    rows = group.rows
    enough = rows["n_cells"].isna() | (rows["n_cells"] >= choices.min_cells)
    return (rows["in_fit"] & rows["dose_fm"].notna() & enough.fillna(True)).to_numpy(dtype=bool)


def _design(group: _Group, keep: npt.NDArray[np.bool_], choices: FitOptions) -> Design:
    rows = group.rows[keep]
    return build_design(
        rows["condition_id"].to_numpy(dtype=np.int64),
        rows["is_vehicle"].to_numpy(dtype=bool),
        plate=rows["plate_id"].to_numpy(dtype=np.int64),
        time=rows["time_h"].to_numpy(dtype=np.float64),
        mode=choices.mode,
    )


def _write(
    stored: StoredFit,
    group: _Group,
    choices: FitOptions,
    fit: Fit,
    gene_keys: npt.NDArray[np.int32],
    progress: Progress,
) -> StoredFit:
    used = group.rows[_kept(group, choices)]
    effects = _effects(stored, group, used, fit)
    np.save(stored.folder / "gene_keys.npy", gene_keys[fit.genes])
    for name in GENE_FACTS:
        np.save(stored.folder / f"{name}.npy", np.asarray(getattr(fit, name), dtype=np.float32))
    _write_fit_samples(stored, used.iloc[fit.design.samples])
    summary = _fill(stored, fit, lambda done, total: progress(group.label, done, total))
    _with_counts(effects, summary).to_parquet(stored.folder / "effects.parquet")
    facts = _facts(group, choices, fit.design, fit.report()) | {"neg_log10_p_cutoff": summary.cutoff_fit}
    return _finish(stored, facts)


def _fill(stored: StoredFit, fit: Fit, progress: Callable[[int, int], None]) -> Summary:
    n_ok, n_genes = len(fit.effects), len(fit.genes)
    by_effect = {name: _tile(stored.folder / f"{name}.by_effect", (n_ok, n_genes), "w+") for name in BY_EFFECT}
    by_gene = {name: _tile(stored.folder / f"{name}.by_gene", (n_genes, n_ok), "w+") for name in BY_GENE}
    return fill(fit, by_effect, by_gene, progress=progress)


def _write_fit_samples(stored: StoredFit, used: pd.DataFrame) -> None:
    role = np.where(used["is_vehicle"], "vehicle", "treated")
    table = pd.DataFrame({"sample_id": used["sample_id"].to_numpy(), "role": role})
    table.to_parquet(stored.folder / "samples.parquet")


def _effects(stored: StoredFit, group: _Group, used: pd.DataFrame, fit: Fit) -> pd.DataFrame:
    """One row per treated condition of the group, in the fit or not; estimated ones first, as in the blocks."""
    found = fit.design.effects
    positions = np.where(found.sample >= 0, found.sample, 0)
    table = pd.DataFrame(
        {
            "condition_id": np.asarray(found.condition, dtype=np.int64),
            "sample_id": pd.array(used["sample_id"].to_numpy()[positions], dtype="Int64"),
            "status": found.status,
            "n_treated": found.n_treated,
            "n_control": found.n_control,
            "n_plates": found.n_plates,
            "n_control_same_plates": found.n_control_same_plates,
        }
    )
    table.loc[found.sample < 0, "sample_id"] = pd.NA
    order = np.concatenate([fit.effects, np.flatnonzero(found.status != OK)])
    table = pd.concat([table.iloc[order], _left_out(group, table)], ignore_index=True)
    return _with_ids(stored, table)


def _left_out(group: _Group, table: pd.DataFrame | None = None) -> pd.DataFrame:
    """Treated conditions that have no sample in the fit, with the reason."""
    rows = group.rows[~group.rows["is_vehicle"]]
    if table is not None:
        rows = rows[~rows["condition_id"].isin(table["condition_id"])]
    conditions = rows.groupby("condition_id", sort=True)["dose_fm"].first()
    return pd.DataFrame(
        {
            "condition_id": conditions.index.to_numpy(dtype=np.int64),
            "sample_id": pd.array([pd.NA] * len(conditions), dtype="Int64"),
            "status": np.where(conditions.isna(), NO_DOSE, NO_SAMPLE),
            "n_treated": 0,
            "n_control": 0,
            "n_plates": 0,
            "n_control_same_plates": 0,
        }
    )


def _with_ids(stored: StoredFit, table: pd.DataFrame) -> pd.DataFrame:
    fit_id = int(stored.folder.name)
    samples = [None if pd.isna(sample) else int(sample) for sample in table["sample_id"]]
    keys = zip([fit_id] * len(table), table["condition_id"].tolist(), samples, strict=True)
    return table.assign(effect_id=stable_ids("effect", keys))


def _with_counts(effects: pd.DataFrame, summary: Summary | None) -> pd.DataFrame:
    """Add the numbers of genes; null for effects that were not estimated."""
    counts = {}
    for name in ("n_genes", *COUNTED):
        column = pd.array([pd.NA] * len(effects), dtype="Int64")
        if summary is not None:
            values = getattr(summary, name)
            column[: len(values)] = values
        counts[name] = column
    return effects.assign(**counts)


def _facts(group: _Group, choices: FitOptions, design: Design | None, report: dict[str, Any]) -> dict[str, Any]:
    df_prior = report.get("df_prior_median")
    return {
        "fit_id": group.fit_id(choices),
        "dataset": group.dataset,
        "context": group.context,
        "stratum": group.stratum,
        "method": choices.options.chosen_method,
        "mode": choices.mode,
        "is_default": choices.is_default,
        "n_samples": design.n_samples if design else 0,
        "n_control": report.get("n_control", 0),
        "n_plates": design.n_plates if design else 0,
        "n_components": design.n_components if design else 0,
        "filter_rule": report.get("filter", "none"),
        "n_genes_in": report["genes_in"],
        "cpm_cutoff": report.get("cpm_cut"),
        "min_samples": report.get("samples_needed"),
        "span": report.get("span"),
        "df_residual": report.get("df_residual"),
        "df_prior": None if df_prior is None else float(df_prior),
        "parameters": choices.as_dict(),
        "report": report,
    }


def _write_unestimated(stored: StoredFit, group: _Group, choices: FitOptions, n_genes: int) -> StoredFit:
    """A context without vehicle or without treated samples: every condition is a row with its reason."""
    effects = _with_ids(stored, _left_out(group))
    kept = group.rows[_kept(group, choices)]
    treated = set(kept.loc[~kept["is_vehicle"], "condition_id"])
    effects.loc[effects["condition_id"].isin(treated), "status"] = NO_VEHICLE
    _with_counts(effects, None).to_parquet(stored.folder / "effects.parquet")
    np.save(stored.folder / "gene_keys.npy", np.empty(0, dtype=np.int32))
    for name in GENE_FACTS:
        np.save(stored.folder / f"{name}.npy", np.empty(0, dtype=np.float32))
    _write_fit_samples(stored, kept.iloc[:0])
    return _finish(stored, _facts(group, choices, None, {"genes_in": n_genes}) | {"neg_log10_p_cutoff": None})


def _finish(stored: StoredFit, facts: dict[str, Any]) -> StoredFit:
    """Write the facts last and under their name at once: a folder that has them is complete."""
    part = stored.folder / "fit.json.part"
    part.write_text(json.dumps(facts), encoding="utf-8")
    os.replace(part, stored.folder / "fit.json")
    return StoredFit(stored.folder)
