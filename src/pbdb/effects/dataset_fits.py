"""The effects stage: one fit for each context (and stratum) of a dataset, kept on disk as tiles of float32."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb.common.arrays import Floats32, Ints, Values
from pbdb.common.errors import DesignError
from pbdb.common.ids import stable_id, stable_ids
from pbdb.common.progress import Progress, silent
from pbdb.database.effect_arrays import BY_EFFECT, OF_LIMMA
from pbdb.effects.engine import Blocks, Design, Fit, Summary, deseq2, fill, gather, in_turn, prepare, tested_genes
from pbdb.effects.groups import NUMBERS, Group, Plan, fit_groups, make_plan, run_deseq2
from pbdb.effects.options import FitOptions
from pbdb.effects.stored_fit import COUNTED, GENE_FACTS, FitFacts, StoredFit, release, tile
from pbdb.samples import matrix_file
from pbdb.sources.declaration import FEW_CELLS

MEANING = 1  # of the names in `fit.parameters`: part of the ids of fits, which stay when code changes
FLAGGED = "flagged"


def fit_dataset(
    dataset: str,
    matrix: Path,
    samples: pd.DataFrame,
    choices: FitOptions,
    folder: Path,
    progress: Progress = silent,
    wanted: frozenset[int] | None = None,
) -> list[StoredFit]:
    """Fit every context and stratum of a dataset; finished fits found in `folder` are kept.

    matrix: canonical file; samples: the rows of table `sample` in the matrix's order, with `context` as text.
    wanted: conditions whose effects are kept, all unless given; every fit is of all its samples.
    """
    return [fit_group(job, folder) for job in fits_of(dataset, matrix, samples, choices, progress, wanted)]


def fits_of(
    dataset: str,
    matrix: Path,
    samples: pd.DataFrame,
    choices: FitOptions,
    progress: Progress = silent,
    wanted: frozenset[int] | None = None,
) -> Iterator[FitJob]:
    """The fits of a dataset, each ready for `fit_group`."""
    choices = choices.checked()
    gene_keys = matrix_file.read_annotations(matrix)[1]["gene_key"].to_numpy(dtype=np.int32)
    for whole_group in fit_groups(wells_of(samples), choices):
        for group in [whole_group] if wanted is None else whole_group.only(wanted):
            yield FitJob(dataset, matrix, group, choices, gene_keys, progress)


def wells_of(samples: pd.DataFrame) -> pd.DataFrame:
    """The samples that belong to a condition, as wells for `groups`; `sample_id` besides.

    Samples of few cells are flagged for the default fit only: how many are enough, each fit decides.
    """
    samples = samples[samples["condition_id"].notna()]
    is_usable = samples["in_fit"] | samples["flags"].map(lambda flags: list(flags) == [FEW_CELLS])
    return pd.DataFrame(
        {
            "sample_id": samples["sample_id"].astype(np.int64),
            "condition": samples["condition_id"].astype(np.int64),
            "compound": samples["source_compound_id"],
            "plate": samples["plate_id"],
            "time_h": samples["time_h"],
            "is_vehicle": samples["is_vehicle"].astype(bool),
            "has_dose": samples["dose_fm"].notna(),
            "n_cells": samples["n_cells"],
            "context": samples["context"],
            "stratum": samples["stratum"],
            "unusable": np.where(is_usable, "", FLAGGED),
        }
    )


def fit_parameters(choices: FitOptions) -> dict[str, object]:
    """Everything that decides the numbers, as `fit.parameters` has it."""
    return choices.as_dict() | {"version": MEANING}


@dataclass(frozen=True)
class FitJob:
    """One fit on its way."""

    dataset: str
    matrix: Path
    group: Group
    choices: FitOptions
    gene_keys: npt.NDArray[np.int32]
    progress: Progress

    @property
    def fit_id(self) -> int:
        """Key of the fit, by its data set, wells and choices."""
        group, decided = self.group, json.dumps(fit_parameters(self.choices), sort_keys=True)
        batch = () if group.batch is None else (group.batch,)
        return stable_id("fit", self.dataset, group.context, group.stratum, decided, *batch)

    @property
    def n_values(self) -> int:
        """Samples x genes, before any is left out."""
        return len(self.group.wells) * len(self.gene_keys)

    def values(self) -> Any:
        """The samples in the fit, in the form that takes least memory; None where no sample takes part."""
        plan = make_plan(self.group, self.choices)
        return None if plan.design is None else _values(self.matrix, plan.rows)

    def report_progress(self, done: int, total: int | None) -> None:
        """Report progress under the name of the fit."""
        self.progress(self.group.label, done, total)


def fit_group(job: FitJob, folder: Path, values: Any = None, blocks: Blocks = in_turn) -> StoredFit:
    """Make a fit in `folder`, unless it is there.

    values: `job.values()` where they are known, else they are read. blocks: does the passes over blocks of genes.
    """
    stored = StoredFit(folder / str(job.fit_id))
    if stored.is_finished:
        return stored
    stored.folder.mkdir(parents=True, exist_ok=True)
    plan = make_plan(job.group, job.choices)
    if plan.design is None:
        return _write_unestimated(job, stored, plan)
    job.report_progress(0, None)
    values = _values(job.matrix, plan.rows) if values is None else values
    try:
        if job.choices.deseq2:
            return _write_deseq2(job, stored, plan, plan.design, values)
        return _write(job, stored, plan, plan.design, values, blocks)
    except DesignError as problem:
        return _write_unestimated(job, stored, plan.without_gene(problem))


def _values(matrix: Path, rows: npt.NDArray[np.int64]) -> Any:
    """The samples of a fit in the form that takes least memory: counts by gene, or dense intensities."""
    if matrix_file.is_dense(matrix):
        return matrix_file.read_rows(matrix, rows)
    return gather(lambda: matrix_file.count_chunks(matrix, rows))


def _write(job: FitJob, stored: StoredFit, plan: Plan, design: Design, values: Any, blocks: Blocks) -> StoredFit:
    fit = prepare(values, design, job.choices.options, blocks)
    _write_genes(job, stored, fit.genes, {name: getattr(fit, name) for name in GENE_FACTS})
    _write_fit_samples(stored, plan)
    names = (*BY_EFFECT, *OF_LIMMA) if fit.p_values == "counts" else BY_EFFECT
    tiles = _tiles(stored, len(fit.effects), len(fit.genes), names)

    def got_on(done: int, total: int) -> None:
        release(tiles.values())
        job.report_progress(done, total)

    summary = fill(fit, tiles, progress=got_on)
    if summary.dispersion is not None:
        np.save(stored.folder / "dispersion.npy", summary.dispersion)
    _write_effects(job, stored, plan, summary)
    return stored.finish(_fitted(job, fit, summary))


def _write_deseq2(job: FitJob, stored: StoredFit, plan: Plan, design: Design, values: Any) -> StoredFit:
    """Fit each effect by itself; those DESeq2 cannot fit get their status."""
    options = job.choices.options
    genes = tested_genes(values, design, options)
    plan, fitted = run_deseq2(values, plan, genes, options.threads or 1, job.report_progress)
    _write_genes(job, stored, genes, {name: np.full(len(genes), np.nan) for name in GENE_FACTS})
    _write_fit_samples(stored, plan)
    summary = deseq2.fill(fitted, _tiles(stored, len(fitted), len(genes)))
    _write_effects(job, stored, plan, summary)
    facts = _designed(job, design, summary)
    return stored.finish(
        replace(facts, report={**facts.report, "n_vehicle": facts.n_vehicle, "filter": options.filter})
    )


def _tiles(stored: StoredFit, n_ok: int, n_genes: int, names: tuple[str, ...] = BY_EFFECT) -> dict[str, Floats32]:
    """Empty tiles, effects x genes, on disk."""
    return {name: tile(stored.folder / f"{name}.tile", (n_ok, n_genes), "w+") for name in names}


def _write_genes(job: FitJob, stored: StoredFit, genes: Ints, facts: Mapping[str, Values]) -> None:
    np.save(stored.folder / "gene_keys.npy", job.gene_keys[genes])
    for name, values in facts.items():
        np.save(stored.folder / f"{name}.npy", np.asarray(values, dtype=np.float32))


def _write_fit_samples(stored: StoredFit, plan: Plan) -> None:
    wells = plan.group.wells.iloc[plan.samples]
    role = np.where(wells["is_vehicle"], "vehicle", "treated")
    table = pd.DataFrame({"sample_id": wells["sample_id"].to_numpy(), "role": role})
    table.to_parquet(stored.folder / "samples.parquet")


def _write_effects(job: FitJob, stored: StoredFit, plan: Plan, summary: Summary | None) -> None:
    """One row per condition (or well) of the group, in the fit or not; first those estimated, in the tiles' order."""
    others = np.setdiff1d(np.arange(len(plan.effects)), plan.estimated)
    effects = plan.effects.iloc[np.concatenate([plan.estimated, others])].reset_index(drop=True)
    sample_id = pd.array(plan.group.wells["sample_id"].to_numpy()[effects["well"]], dtype="Int64")
    if job.choices.mode == "pooled":
        sample_id[:] = pd.NA
    table = effects.rename(columns={"condition": "condition_id"}).assign(sample_id=sample_id)
    columns = ["condition_id", "sample_id", "status", *NUMBERS]
    _with_counts(_with_ids(job, table[columns]), summary).to_parquet(stored.folder / "effects.parquet")


def _with_ids(job: FitJob, table: pd.DataFrame) -> pd.DataFrame:
    samples = [None if pd.isna(sample) else int(sample) for sample in table["sample_id"]]
    keys = zip([job.fit_id] * len(table), table["condition_id"].tolist(), samples, strict=True)
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
    spread = np.full(len(effects), np.nan, dtype=np.float32)
    if summary is not None and summary.null_spread is not None:
        spread[: len(summary.null_spread)] = summary.null_spread
    return effects.assign(**counts, null_spread=spread)


def _facts(job: FitJob) -> FitFacts:
    """What is known before anything is estimated."""
    group, choices = job.group, job.choices
    return FitFacts(
        fit_id=job.fit_id,
        dataset=job.dataset,
        context=str(group.context),
        stratum=group.stratum,
        method=choices.method,
        mode=choices.mode,
        p_values=choices.p_values,
        is_default=choices.is_default,
        n_genes_in=len(job.gene_keys),
        parameters=fit_parameters(choices) | ({"batch": group.batch} if group.batch else {}),
        report={"genes_in": len(job.gene_keys)},
    )


def _designed(job: FitJob, design: Design, summary: Summary) -> FitFacts:
    return replace(
        _facts(job),
        n_samples=design.n_samples,
        n_vehicle=int(design.is_control.sum()),
        n_plates=design.n_plates,
        n_components=design.n_components,
        filter_rule=job.choices.options.filter,
        neg_log10_p_cutoff=summary.cutoff_fit,
    )


def _fitted(job: FitJob, fit: Fit, summary: Summary) -> FitFacts:
    report = fit.report()
    df_prior, check = report["df_prior_median"], summary.null_check
    facts = replace(
        _designed(job, fit.design, summary),
        filter_rule=report["filter"],
        cpm_cutoff=report["cpm_cut"],
        min_samples=report["samples_needed"],
        span=report["span"],
        df_residual=report["df_residual"],
        df_prior=None if df_prior is None else float(df_prior),
        report=report,
    )
    if check is None:
        return facts
    return replace(
        facts,
        n_null_wells=check.n_wells,
        null_any_share=check.any_share,
        null_any_share_low=check.any_share_low,
        null_any_share_high=check.any_share_high,
        null_tail_ratio=check.tail_ratio,
    )


def _write_unestimated(job: FitJob, stored: StoredFit, plan: Plan) -> StoredFit:
    """A context without vehicle, treated samples or expressed genes: every condition is a row with its reason."""
    none = np.empty(0, dtype=np.int64)
    _write_effects(job, stored, plan, None)
    _write_genes(job, stored, none, {name: none for name in GENE_FACTS})
    pd.DataFrame({"sample_id": none, "role": none.astype(str)}).to_parquet(stored.folder / "samples.parquet")
    return stored.finish(_facts(job))
