"""Effects of anyone's plates, without a database: from a matrix and a sample sheet to one Parquet file.

    report = run(matrix, sheet, out, Choices(Options(readout="counts")))

Every context, and every stratum within it, is a fit of its own (so is every batch, where batches are asked for).
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb import __version__
from pbdb.common import output_targets
from pbdb.common.errors import ConfigError, DataError, DesignError
from pbdb.effects import plate_sheets
from pbdb.effects.engine import (
    NO_DOSE,
    NO_GENE,
    NO_SAMPLE,
    NO_VEHICLE,
    OK,
    Design,
    Options,
    build_design,
    complete,
    enough_cells,
    prepare,
    tested_genes,
)
from pbdb.effects.engine import deseq2 as wald
from pbdb.effects.engine.adjust import adjust
from pbdb.effects.engine.design import Mode
from pbdb.effects.engine.voom import choose_span
from pbdb.effects.long_table import BY_GENE, BY_VALUE, OF_EFFECT, EffectTable, Values
from pbdb.effects.plate_sheets import Batching, Group, Plates
from pbdb.effects.stored_fit import reserve

Mask = npt.NDArray[np.bool_]
Progress = Callable[[str, int, int | None], None]
FILE_ABOVE_VALUES = 2**24


@dataclass(frozen=True)
class Choices:
    """How effects are made: the engine's options, and what lies around a fit.

    deseq2: use DESeq2 instead of the method of the options. min_cells: samples of fewer cells are left out.
    batching `published`: cut large contexts as the published runs did; implies the filter `limma`.
    """

    options: Options = field(default_factory=Options)
    deseq2: bool = False
    mode: Mode = "pooled"
    batching: Batching = "none"
    min_cells: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Everything that decides the numbers, by name."""
        chosen = {name: value for name, value in asdict(self.options).items() if name not in ("threads", "method")}
        method = "deseq2" if self.deseq2 else self.options.chosen_method
        around = {"batching": self.batching, "min_cells": self.min_cells}
        return {"method": method, "mode": self.mode, **chosen, **around}


@dataclass(frozen=True)
class _Job:
    """One group on its way: its part of the sheet, with `keep` and `padded`, and its values."""

    group: Group
    sheet: pd.DataFrame
    values: Any
    genes: npt.NDArray[np.object_]
    choices: Choices

    @property
    def is_replicate(self) -> bool:
        return self.choices.mode == "replicate"


def run(
    matrix: Path,
    sheet: Path,
    out: Path,
    choices: Choices | None = None,
    *,
    report_to: Path | None = None,
    progress: Progress = lambda what, done, total: None,
) -> dict[str, Any]:
    """Read, fit and write; return the report, which `report_to` keeps as JSON too.

    `progress(what, done, of)` is called as genes are written.

    Raises:
        ConfigError: choices that make no sense, or a file that cannot be written.
        SourceError, DataError, DesignError: files that cannot be right; see `plates.read`.
    """
    choices = _settled(choices or Choices())
    _check_paths(matrix, sheet, out, report_to)
    start = time.perf_counter()
    progress(f"reading {matrix.name}", 0, None)
    experiment = plate_sheets.read(matrix, sheet, choices.options.readout)
    if choices.min_cells and experiment.sheet["n_cells"].isna().all():
        raise DataError(f"min_cells needs the number of cells: add the column n_cells to the sheet '{sheet.name}'.")
    read = time.perf_counter()
    with EffectTable(out, with_samples=choices.mode == "replicate") as table:
        fits = [
            _run_group(_job(experiment, group, choices), table, progress, out.parent)
            for group in plate_sheets.groups(experiment, choices.batching)
        ]
        _refuse_untested(fits)
    seconds = {"read": round(read - start, 3), "fit_and_write": round(time.perf_counter() - read, 3)}
    files = {"matrix": str(matrix), "samples": str(sheet), "out": str(out)}
    report = files | _report(experiment, choices) | {"rows": table.n_rows, "seconds": seconds, "fits": fits}
    if report_to:
        report_to.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return report


def _report(experiment: Plates, choices: Choices) -> dict[str, Any]:
    return {
        "pbdb": __version__,
        "choices": choices.as_dict(),
        "n_samples": len(experiment.sheet),
        "n_genes": len(experiment.genes),
        "ignored_columns": list(experiment.ignored),
        "notes": list(experiment.notes),
    }


def _settled(choices: Choices) -> Choices:
    """Check the choices before anything is read; published batches imply the plain filter."""
    options = choices.options
    if choices.deseq2 and options.readout != "counts":
        raise ConfigError("deseq2 needs counts; use the method trend for log2 intensities.")
    if options.chosen_method == "voom":
        choose_span(options.span, 1)
    if choices.batching == "published" and options.filter == "floor":
        return replace(choices, options=replace(options, filter="limma"))
    return choices


def _check_paths(matrix: Path, sheet: Path, out: Path, report_to: Path | None) -> None:
    if out.suffix != ".parquet":
        raise ConfigError(f"The effects are written as Parquet; let the name '{out.name}' end in .parquet.")
    others = {matrix.resolve(), sheet.resolve()}
    for path in [out, report_to] if report_to else [out]:
        output_targets.require_file(path)
        if path.resolve() in others:
            raise ConfigError(f"'{path}' would be written over another file of this run: give it a name of its own.")
        others.add(path.resolve())


def _job(experiment: Plates, group: Group, choices: Choices) -> _Job:
    sheet = experiment.sheet.iloc[group.rows].reset_index(drop=True)
    values = experiment.values if len(group.rows) == len(experiment.sheet) else experiment.values[group.rows]
    left_out = _reasons(sheet, values, choices)
    sheet = sheet.assign(left_out=left_out, keep=left_out == "", padded=group.padded)
    return _Job(group, sheet, values, experiment.genes, choices)


def _reasons(sheet: pd.DataFrame, values: Any, choices: Choices) -> npt.NDArray[Any]:
    """Return why each sample is left out of its fit; empty text where it is not."""
    few = ~enough_cells(sheet["n_cells"].to_numpy(), choices.min_cells)
    unknown = (~sheet["is_control"] & sheet["dose_um"].isna()).to_numpy()
    empty = np.zeros(len(sheet), dtype=bool)
    if choices.options.readout == "counts":
        empty = np.asarray(values.sum(axis=1)).ravel() == 0
    return np.select([few, unknown, empty], ["too_few_cells", NO_DOSE, "no_counts"], default="")


def _run_group(job: _Job, table: EffectTable, progress: Progress, scratch: Path) -> dict[str, Any]:
    """Fit one group, write its effects, and return what is to be reported of it."""
    progress(job.group.label, 0, None)
    try:
        design = _design(job)
    except DesignError as problem:
        effects = _without_design(job)
        table.add_without_numbers(effects[~effects["padded"]])
        return _facts(job, effects, None) | {"problem": str(problem)}
    effects = _effects(job, design)
    try:
        report = _write(job, design, effects, table, progress, scratch)
    except DesignError as problem:
        effects.loc[effects["status"] == OK, "status"] = NO_GENE
        report = {"problem": str(problem)}
    table.add_without_numbers(effects[(effects["status"] != OK) & ~effects["padded"]])
    return _facts(job, effects, design) | report


def _refuse_untested(fits: list[dict[str, Any]]) -> None:
    """Refuse an experiment in which no fit has a gene to test."""
    statuses = {status for fit in fits for status in fit["effects"]}
    if NO_GENE in statuses and OK not in statuses:
        raise DesignError(next(fit["problem"] for fit in fits if NO_GENE in fit["effects"]))


def _design(job: _Job) -> Design:
    sheet = job.sheet
    return build_design(
        sheet["condition"].to_numpy(),
        sheet["is_control"].to_numpy(),
        plate=sheet["plate"].to_numpy(),
        time=sheet["time_h"].to_numpy(),
        keep=sheet["keep"].to_numpy(),
        mode=job.choices.mode,
    )


def _effects(job: _Job, design: Design) -> pd.DataFrame:
    """Return one row per effect of the design: who it is, its status and its numbers of wells."""
    found = design.effects
    first = job.sheet[~job.sheet["is_control"]].drop_duplicates("condition").set_index("condition", drop=False)
    rows = job.sheet.iloc[found.sample] if job.is_replicate else first.loc[found.condition]
    numbers = {name: getattr(found, name) for name in ("status", "n_treated", "n_control", "n_plates")}
    return _told(rows.reset_index(drop=True).assign(**numbers))


def _without_design(job: _Job) -> pd.DataFrame:
    """Return one row per effect of a group that has no vehicle, or no treated sample, left."""
    treated = job.sheet[~job.sheet["is_control"]]
    if not job.is_replicate:
        kept = treated.groupby("condition")["keep"].transform("sum")
        wells = treated.assign(n_treated=kept).drop_duplicates("condition").sort_values("condition")
    else:
        wells = treated.assign(n_treated=treated["keep"].astype(int))
    status = np.where(wells["n_treated"] > 0, NO_VEHICLE, NO_SAMPLE)
    n_plates = treated[treated["keep"]].groupby("condition")["plate"].nunique()
    plates_of = np.minimum(wells["condition"].map(n_plates).fillna(0).astype(int), wells["n_treated"])
    has_no_treated = not treated["keep"].any()
    n_control = int((job.sheet["is_control"] & job.sheet["keep"]).sum()) if has_no_treated else 0
    return _told(wells.assign(status=status, n_control=n_control, n_plates=plates_of))


def _told(effects: pd.DataFrame) -> pd.DataFrame:
    """Keep the columns that are written; an effect of unknown dose says so."""
    unknown = effects["dose_um"].isna().to_numpy()
    effects = effects.assign(status=np.where(unknown, NO_DOSE, effects["status"]))
    return effects[[*OF_EFFECT, "status", "padded"]].reset_index(drop=True)


def _write(
    job: _Job, design: Design, effects: pd.DataFrame, table: EffectTable, progress: Progress, scratch: Path
) -> dict[str, Any]:
    """Fit and write what can be estimated; return the facts of the fit."""
    if not len(design.ok):
        return {}
    if job.choices.deseq2:
        return _write_deseq2(job, design, effects, table, progress)
    fit = prepare(job.values, design, job.choices.options)
    start = time.perf_counter()
    shown = np.flatnonzero(~effects["padded"].to_numpy()[fit.effects])
    columns = effects.iloc[fit.effects[shown]]
    for block in complete(fit, allocate=lambda shape: _room(shape, scratch)):
        by_gene = {name: getattr(fit, name)[block.genes] for name in BY_GENE}
        by_value = {name: getattr(block, name)[:, shown] for name in BY_VALUE}
        table.add(columns, Values(job.genes[fit.genes[block.genes]], by_gene, by_value))
        progress(job.group.label, block.genes.stop, len(fit.genes))
    report = fit.report()
    report["seconds"]["effects"] = round(time.perf_counter() - start, 3)
    return report | _genes(job, fit.genes)


def _room(shape: tuple[int, int], scratch: Path) -> Any:
    """Return an array for intermediate values: a file without a name where they are many."""
    if shape[0] * shape[1] < FILE_ABOVE_VALUES:
        return np.empty(shape)
    with tempfile.TemporaryFile(dir=scratch) as file:
        reserve(file, 8 * shape[0] * shape[1])
        return np.memmap(file, dtype=np.float64, mode="r+", shape=shape)


def _write_deseq2(
    job: _Job, design: Design, effects: pd.DataFrame, table: EffectTable, progress: Progress
) -> dict[str, Any]:
    """Fit every effect by itself and write them together; effects DESeq2 cannot fit get their status."""
    start = time.perf_counter()
    genes = tested_genes(job.values, design, job.choices.options)
    wanted = np.where(effects["padded"], "padded", design.effects.status)
    design = replace(design, effects=replace(design.effects, status=wanted))
    fitted: list[wald.Wald] = []
    for done, one in enumerate(wald.run(job.values, design, genes, threads=job.choices.options.threads or 1), start=1):
        effects.loc[one.effect, "status"] = one.status
        if one.status == OK:
            fitted.append(one)
        progress(job.group.label, done, len(design.ok))
    if fitted:
        table.add(effects.iloc[[one.effect for one in fitted]], _deseq2_values(fitted, job.genes[genes]))
    seconds = {"effects": round(time.perf_counter() - start, 3)}
    return {"method": "deseq2", "filter": job.choices.options.filter, "seconds": seconds} | _genes(job, genes)


def _deseq2_values(fitted: list[wald.Wald], genes: npt.NDArray[np.object_]) -> Values:
    """Put the results of DESeq2 side by side: `t` is Wald's, `ave_expr` log2 of the mean of normalised counts."""
    column = {
        name: np.column_stack([getattr(one, name) for one in fitted])
        for name in ("log2_fc", "se", "statistic", "p_value", "p_adj", "neg_log10_p", "base_mean")
    }
    column["t"] = column.pop("statistic")
    column["p_adj_fit"] = 10.0 ** -adjust(column.pop("neg_log10_p"))
    with np.errstate(divide="ignore"):
        mean = np.log2(column.pop("base_mean"))
    column["ave_expr"] = np.where(np.isfinite(mean), mean, np.nan)
    return Values(genes, {"df_total": np.full(len(genes), np.inf)}, column)


def _genes(job: _Job, tested: npt.NDArray[np.int64]) -> dict[str, Any]:
    filtered = np.delete(job.genes, tested)
    return {"genes_in": len(job.genes), "genes_tested": len(tested), "genes_filtered": filtered.tolist()}


def _facts(job: _Job, effects: pd.DataFrame, design: Design | None) -> dict[str, Any]:
    """Return what is reported of a group whatever becomes of it."""
    sheet, shown = job.sheet, effects[~effects["padded"]]
    left_out = sheet["left_out"][~sheet["keep"]].value_counts()
    idle = int(sheet["keep"].sum()) - design.n_samples if design else 0
    return {
        "context": job.group.context,
        "stratum": job.group.stratum,
        "batch": job.group.batch,
        "n_given": len(sheet),
        "n_left_out": {str(reason): int(n) for reason, n in left_out.items()} | {"idle_vehicle": idle},
        "n_samples": design.n_samples if design else 0,
        "n_plates": design.n_plates if design else 0,
        "n_components": design.n_components if design else 0,
        "effects": {str(status): int(n) for status, n in shown["status"].value_counts().items()},
    }
