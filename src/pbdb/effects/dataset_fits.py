"""The effects stage: one fit for each context (and stratum) of a dataset, kept on disk as tiles of float32."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb.common.errors import DesignError
from pbdb.common.ids import stable_id, stable_ids
from pbdb.effects.engine import (
    NO_DOSE,
    NO_GENE,
    NO_SAMPLE,
    NO_VEHICLE,
    OK,
    Design,
    Options,
    Summary,
    build_design,
    deseq2,
    fill,
    gather,
    prepare,
    tested_genes,
)
from pbdb.effects.engine.batching import published_batches
from pbdb.effects.stored_fit import BY_EFFECT, BY_GENE, COUNTED, GENE_FACTS, StoredFit, tile
from pbdb.samples import matrix_file
from pbdb.sources.declaration import FEW_CELLS

VERSION = 1
PADDED = "padded"
Ints = npt.NDArray[np.int64]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class FitOptions:
    """Choices of an effects stage beyond those of the engine; all of them stand in `fit.parameters`."""

    options: Options
    mode: Literal["pooled", "replicate"] = "pooled"
    min_cells: int = 0
    is_default: bool = True
    batching: Literal["none", "published"] = "none"
    deseq2: bool = False

    @property
    def method(self) -> str:
        """voom, trend or deseq2."""
        return "deseq2" if self.deseq2 else self.options.chosen_method

    def as_dict(self) -> dict[str, Any]:
        """Everything that decides the numbers, by name."""
        chosen = {name: value for name, value in asdict(self.options).items() if name != "threads"}
        return chosen | {
            "method": self.method,
            "mode": self.mode,
            "min_cells": self.min_cells,
            "batching": self.batching,
            "version": VERSION,
        }


def fit_dataset(
    dataset: str,
    matrix: Path,
    samples: pd.DataFrame,
    choices: FitOptions,
    folder: Path,
    progress: Progress = lambda what, done, total: None,
    wanted: frozenset[int] | None = None,
) -> list[StoredFit]:
    """Fit every context and stratum of a dataset; finished fits found in `folder` are kept.

    matrix: canonical file; samples: the rows of table `sample` in the matrix's order, with `context` as text.
    wanted: conditions whose effects are kept, all unless given; every fit is of all its samples.
    """
    gene_keys = matrix_file.read_annotations(matrix)[1]["gene_key"].to_numpy(dtype=np.int32)
    return [
        _fit_group(group, matrix, gene_keys, choices, folder, progress)
        for whole in _groups(dataset, samples)
        for batch in (_batches(whole) if choices.batching == "published" else [whole])
        for group in ([batch] if wanted is None else batch.only(wanted))
    ]


@dataclass(frozen=True)
class _Group:
    """The samples of one fit, in the order of the matrix; their index is the row of the matrix.

    batch: its number from 1 where a context was cut, else None; padded: conditions whose effects are not kept, for
    another batch gives them, or nobody wants them.
    """

    dataset: str
    context: str
    stratum: str | None
    rows: pd.DataFrame
    batch: int | None = None
    padded: frozenset[int] = frozenset()

    @property
    def label(self) -> str:
        return self.context if self.stratum is None else f"{self.context} {self.stratum}"

    def only(self, wanted: frozenset[int]) -> list[_Group]:
        """The group without the effects of other conditions; nothing where it has none of those wanted."""
        conditions = frozenset(self.rows["condition_id"].astype(int))
        return [replace(self, padded=self.padded | (conditions - wanted))] if conditions & wanted else []

    def fit_id(self, choices: FitOptions) -> int:
        decided = json.dumps(choices.as_dict(), sort_keys=True)
        batch = () if self.batch is None else (self.batch,)
        return stable_id("fit", self.dataset, self.context, self.stratum, decided, *batch)


def _groups(dataset: str, samples: pd.DataFrame) -> Iterator[_Group]:
    with_condition = samples[samples["condition_id"].notna()]
    for (context, stratum), rows in with_condition.groupby(["context", "stratum"], dropna=False, sort=True):
        yield _Group(dataset, str(context), str(stratum) if isinstance(stratum, str) else None, rows)


def _batches(whole: _Group) -> Iterator[_Group]:
    """Cut a context as the published runs did; conditions without a usable sample stay with the first batch."""
    rows = whole.rows
    taken = rows[_usable(rows)]
    rest = rows[~rows["condition_id"].isin(taken["condition_id"])]
    batches = published_batches(taken["source_compound_id"].to_numpy(), taken["is_vehicle"].to_numpy(dtype=bool))
    if len(batches) == 1:
        yield whole
        return
    for number, batch in enumerate(batches, start=1):
        own = taken.iloc[batch.samples]
        padded = frozenset(own.loc[batch.padded, "condition_id"].astype(int))
        with_rest = pd.concat([own, rest]).sort_index() if number == 1 else own
        yield _Group(whole.dataset, whole.context, whole.stratum, with_rest, number, padded)


@dataclass(frozen=True)
class _Job:
    """One fit on its way: its group, those samples of it that take part, and the folder that keeps it."""

    stored: StoredFit
    group: _Group
    used: pd.DataFrame
    choices: FitOptions
    gene_keys: npt.NDArray[np.int32]
    progress: Progress


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
    job = _Job(stored, group, _taking_part(group.rows, choices.min_cells), choices, gene_keys, progress)
    try:
        design = _design(job)
    except DesignError:
        return _write_unestimated(job, NO_VEHICLE)
    values = _values(matrix, job.used.index.to_numpy())
    try:
        return _write_deseq2(job, design, values) if choices.deseq2 else _write(job, design, values)
    except DesignError:
        return _write_unestimated(job, NO_GENE)


def _values(matrix: Path, rows: npt.NDArray[np.intp]) -> Any:
    """The samples of a fit in the form that takes least memory: counts by gene, or dense intensities."""
    if matrix_file.is_dense(matrix):
        return matrix_file.read_rows(matrix, rows)
    return gather(lambda: matrix_file.count_chunks(matrix, rows))


def _taking_part(rows: pd.DataFrame, min_cells: int) -> pd.DataFrame:
    """Samples that are not flagged, of a known dose, of enough cells (or an unknown number)."""
    enough = rows["n_cells"].isna() | (rows["n_cells"] >= min_cells)
    return rows[(_usable(rows) & rows["dose_fm"].notna() & enough).to_numpy(dtype=bool)]


def _usable(rows: pd.DataFrame) -> pd.Series[bool]:
    """Samples without a flag, or of few cells for the default fit: how many are enough, each fit decides."""
    return rows["in_fit"] | rows["flags"].map(lambda flags: list(flags) == [FEW_CELLS])


def _design(job: _Job) -> Design:
    rows = job.used
    design = build_design(
        rows["condition_id"].to_numpy(dtype=np.int64),
        rows["is_vehicle"].to_numpy(dtype=bool),
        plate=rows["plate_id"].to_numpy(dtype=np.int64),
        time=rows["time_h"].to_numpy(dtype=np.float64),
        mode=job.choices.mode,
    )
    padded = np.isin(design.effects.condition, list(job.group.padded))
    return _with_status(design, np.where(padded, PADDED, design.effects.status))


def _with_status(design: Design, status: npt.NDArray[np.str_]) -> Design:
    return replace(design, effects=replace(design.effects, status=status))


def _write(job: _Job, design: Design, values: Any) -> StoredFit:
    fit, folder = prepare(values, design, job.choices.options), job.stored.folder
    np.save(folder / "gene_keys.npy", job.gene_keys[fit.genes])
    for name in GENE_FACTS:
        np.save(folder / f"{name}.npy", np.asarray(getattr(fit, name), dtype=np.float32))
    _write_fit_samples(job, design.samples)
    tiles = _tiles(job.stored, len(fit.effects), len(fit.genes))
    summary = fill(fit, *tiles, progress=lambda done, total: job.progress(job.group.label, done, total))
    _with_counts(_effects(job, design, fit.effects), summary).to_parquet(folder / "effects.parquet")
    return _finish(job.stored, _facts(job, design, fit.report()) | {"neg_log10_p_cutoff": summary.cutoff_fit})


def _write_deseq2(job: _Job, design: Design, values: Any) -> StoredFit:
    """Fit each effect by itself; those DESeq2 cannot fit get their status."""
    options, folder = job.choices.options, job.stored.folder
    genes = tested_genes(values, design, options)
    results = []
    for done, one in enumerate(deseq2.run(values, design, genes, options.threads or 1), start=1):
        results.append(one)
        job.progress(job.group.label, done, len(design.ok))
    status = design.effects.status.astype(object)
    status[[one.effect for one in results]] = [one.status for one in results]
    design = _with_status(design, status.astype(str))
    estimated = [one for one in results if one.status == OK]
    np.save(folder / "gene_keys.npy", job.gene_keys[genes])
    for name in GENE_FACTS:
        np.save(folder / f"{name}.npy", np.full(len(genes), np.nan, dtype=np.float32))
    _write_fit_samples(job, design.samples)
    summary = deseq2.fill(estimated, *_tiles(job.stored, len(estimated), len(genes)))
    _with_counts(_effects(job, design, design.ok), summary).to_parquet(folder / "effects.parquet")
    report = {"genes_in": values.shape[1], "n_control": int(design.is_control.sum()), "filter": options.filter}
    return _finish(job.stored, _facts(job, design, report) | {"neg_log10_p_cutoff": summary.cutoff_fit})


def _tiles(stored: StoredFit, n_ok: int, n_genes: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Empty tiles by effect and by gene, on disk."""
    by_effect = {name: tile(stored.folder / f"{name}.by_effect", (n_ok, n_genes), "w+") for name in BY_EFFECT}
    by_gene = {name: tile(stored.folder / f"{name}.by_gene", (n_genes, n_ok), "w+") for name in BY_GENE}
    return by_effect, by_gene


def _write_fit_samples(job: _Job, positions: Ints) -> None:
    used = job.used.iloc[positions]
    role = np.where(used["is_vehicle"], "vehicle", "treated")
    table = pd.DataFrame({"sample_id": used["sample_id"].to_numpy(), "role": role})
    table.to_parquet(job.stored.folder / "samples.parquet")


def _effects(job: _Job, design: Design, ok: Ints) -> pd.DataFrame:
    """One row per treated condition of the group, in the fit or not; first those of `ok`, in its order."""
    found = design.effects
    sample_id = pd.array(job.used["sample_id"].to_numpy()[found.sample], dtype="Int64")
    sample_id[found.sample < 0] = pd.NA
    table = pd.DataFrame(
        {
            "condition_id": np.asarray(found.condition, dtype=np.int64),
            "sample_id": sample_id,
            "status": found.status,
            "n_treated": found.n_treated,
            "n_control": found.n_control,
            "n_plates": found.n_plates,
            "n_control_same_plates": found.n_control_same_plates,
        }
    )
    others = np.setdiff1d(np.flatnonzero(found.status != PADDED), ok)
    table = table.iloc[np.concatenate([ok, others])]
    return _with_ids(job.stored, pd.concat([table, _left_out(job.group, table["condition_id"])], ignore_index=True))


def _left_out(group: _Group, in_fit: Iterable[int] = ()) -> pd.DataFrame:
    """Treated conditions that have no sample in the fit, with the reason."""
    rows = group.rows[~group.rows["is_vehicle"]]
    rows = rows[~rows["condition_id"].isin([*group.padded, *in_fit])]
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


def _facts(job: _Job, design: Design | None, report: dict[str, Any]) -> dict[str, Any]:
    group, choices = job.group, job.choices
    df_prior = report.get("df_prior_median")
    return {
        "fit_id": group.fit_id(choices),
        "dataset": group.dataset,
        "context": group.context,
        "stratum": group.stratum,
        "method": choices.method,
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
        "parameters": choices.as_dict() | ({"batch": group.batch} if group.batch else {}),
        "report": report,
    }


def _write_unestimated(job: _Job, reason: str) -> StoredFit:
    """A context without vehicle, treated samples or expressed genes: every condition is a row with its reason."""
    folder = job.stored.folder
    effects = _with_ids(job.stored, _left_out(job.group))
    treated = job.used.loc[~job.used["is_vehicle"], "condition_id"]
    effects.loc[effects["condition_id"].isin(treated), "status"] = reason
    _with_counts(effects, None).to_parquet(folder / "effects.parquet")
    np.save(folder / "gene_keys.npy", np.empty(0, dtype=np.int32))
    for name in GENE_FACTS:
        np.save(folder / f"{name}.npy", np.empty(0, dtype=np.float32))
    _write_fit_samples(job, np.empty(0, dtype=np.int64))
    return _finish(job.stored, _facts(job, None, {"genes_in": len(job.gene_keys)}) | {"neg_log10_p_cutoff": None})


def _finish(stored: StoredFit, facts: dict[str, Any]) -> StoredFit:
    """Write the facts last and under their name at once: a folder that has them is complete."""
    part = stored.folder / "fit.json.part"
    part.write_text(json.dumps(facts), encoding="utf-8")
    os.replace(part, stored.folder / "fit.json")
    return StoredFit(stored.folder)
