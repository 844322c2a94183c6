"""Effects of anyone's plates, without a database: from a matrix and a sample sheet to one Parquet file.

    report = run(matrix, sheet, out, FitOptions(Options(readout="counts")))

Every context, and every stratum within it, is a fit of its own (so is every batch, where batches are asked for).
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb.common import output_files
from pbdb.common.errors import ConfigError, DataError, DesignError
from pbdb.common.progress import Progress, silent
from pbdb.common.version import __version__
from pbdb.effects import plate_sheets, table_forms
from pbdb.effects.engine import NO_GENE, OK, Design, FitReport, NullCheck, complete, deseq2, prepare, tested_genes
from pbdb.effects.engine.adjust import adjust
from pbdb.effects.groups import NUMBERS, Group, Plan, fit_groups, make_plan, run_deseq2
from pbdb.effects.long_table import BY_GENE, BY_VALUE, OF_EFFECT, EffectTable, Values
from pbdb.effects.options import FitOptions
from pbdb.effects.plate_sheets import Plates
from pbdb.effects.report.of_run import Notes
from pbdb.effects.stored_fit import reserve
from pbdb.identity.genes.release import without_version

if TYPE_CHECKING:
    from pbdb.effects.report.writing import Page

FILE_ABOVE_VALUES = 2**24
NO_COUNTS = "no_counts"


class GroupReport(FitReport, total=False):
    """What is reported of a group: what it is, its wells, and the facts of its fit, or why there is none."""

    problem: str | None
    context: str | None
    stratum: str | None
    batch: int | None
    n_left_out: dict[str, int]
    genes_filtered: list[str]
    null_check: dict[str, float] | None


class RunReport(TypedDict):
    """What a run was given, and what came of it; `page` where one was asked for."""

    matrix: str
    samples: str
    out: str
    pbdb: str
    choices: dict[str, object]
    n_samples: int
    n_genes: int
    ignored_columns: list[str]
    notes: list[str]
    rows: int
    seconds: dict[str, float]
    fits: list[GroupReport]
    page: NotRequired[Page]


@dataclass(frozen=True)
class _Job:
    """One group on its way: what is to be fitted, its values, and where results go."""

    plan: Plan
    experiment: Plates
    choices: FitOptions
    table: EffectTable
    progress: Progress
    scratch: Path
    notes: Notes

    @property
    def group(self) -> Group:
        return self.plan.group

    @property
    def genes(self) -> npt.NDArray[np.object_]:
        return self.experiment.genes

    def values(self) -> Any:
        """Samples of the fit x genes; all of them are not copied."""
        rows, values = self.plan.rows, self.experiment.values
        return values if len(rows) == len(self.experiment.sheet) else values[rows]

    def report_progress(self, done: int, total: int | None) -> None:
        self.progress(self.group.label, done, total)


def run(
    matrix: Path,
    sheet: Path,
    out: Path,
    choices: FitOptions | None = None,
    *,
    report_to: Path | None = None,
    page_to: Path | None = None,
    symbols: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> RunReport:
    """Read, fit and write; return the report, which `report_to` keeps as JSON too, and `page_to` as a page to look at.

    symbols: of Ensembl ids; where genes have some, they stand beside the genes as `gene_symbol`.
    `progress(what, done, of)` is called as genes are written.

    Raises:
        ConfigError: choices that make no sense, or a file that cannot be written.
        SourceError, DataError, DesignError: files that cannot be right; see `plate_sheets.read`.
    """
    choices = (choices or FitOptions()).checked()
    _check_paths(matrix, sheet, out, report_to, page_to)
    start = time.perf_counter()
    progress(f"reading {matrix.name}", 0, None)
    experiment = _read(matrix, sheet, choices)
    read = time.perf_counter()
    notes = Notes(wanted=page_to is not None)
    named = _symbols(experiment.genes, symbols or {})
    with table_forms.parquet_of(out) as parquet:
        with EffectTable(parquet, with_samples=choices.mode == "replicate", symbols=named) as table:
            fits = _fit_all(experiment, choices, table, progress, out.parent, notes)
        page = _write_page(experiment, choices, notes, parquet, out, page_to, progress)
    seconds = {"read": round(read - start, 3), "fit_and_write": round(time.perf_counter() - read, 3)}
    report = _report((matrix, sheet, out), experiment, choices, table.n_rows, seconds, fits)
    if page is not None:
        report["page"] = page
    if report_to:
        report_to.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return report


def _read(matrix: Path, sheet: Path, choices: FitOptions) -> Plates:
    experiment = plate_sheets.read(matrix, sheet, choices.options.readout)
    if choices.min_cells and experiment.sheet["n_cells"].isna().all():
        raise DataError(f"min_cells needs the number of cells: add the column n_cells to the sheet '{sheet.name}'.")
    return experiment


def _write_page(
    experiment: Plates,
    choices: FitOptions,
    notes: Notes,
    parquet: Path,
    out: Path,
    page_to: Path | None,
    hears: Progress,
) -> Page | None:
    """Write the page on the quality of the plates where one is asked for; return what it found."""
    if page_to is None:
        return None
    from pbdb.effects.report import of_run, writing

    hears(f"drawing {page_to.name}", 0, None)
    contents = of_run.screen(experiment, choices.options.readout, notes, parquet, out.stem)
    with output_files.replacing(page_to) as part:
        return writing.write(contents, part, page_to)


def _symbols(genes: npt.NDArray[np.object_], known: Mapping[str, str]) -> dict[str, str]:
    """Symbols of the genes that are ids, whatever their version."""
    ids = {gene: without_version(gene) for gene in genes.tolist()}
    return {gene: known[gene_id] for gene, gene_id in ids.items() if gene_id in known}


def wells_of(experiment: Plates, choices: FitOptions) -> pd.DataFrame:
    """The sheet as wells for `groups`; a well without any count cannot be used."""
    sheet = experiment.sheet
    is_empty = np.zeros(len(sheet), dtype=bool)
    if choices.options.readout == "counts":
        is_empty = np.asarray(experiment.values.sum(axis=1)).ravel() == 0
    return sheet.assign(
        is_vehicle=sheet["is_control"],
        has_dose=sheet["is_control"] | sheet["dose_um"].notna(),
        unusable=np.where(is_empty, NO_COUNTS, ""),
    )


def _report(
    files: tuple[Path, Path, Path],
    experiment: Plates,
    choices: FitOptions,
    n_rows: int,
    seconds: dict[str, float],
    fits: list[GroupReport],
) -> RunReport:
    matrix, samples, out = files
    return {
        "matrix": str(matrix),
        "samples": str(samples),
        "out": str(out),
        "pbdb": __version__,
        "choices": choices.as_dict(),
        "n_samples": len(experiment.sheet),
        "n_genes": len(experiment.genes),
        "ignored_columns": list(experiment.ignored),
        "notes": list(experiment.notes),
        "rows": n_rows,
        "seconds": seconds,
        "fits": fits,
    }


def _check_paths(matrix: Path, sheet: Path, out: Path, *besides: Path | None) -> None:
    table_forms.form_of(out)
    others = {matrix.resolve(), sheet.resolve()}
    for path in filter(None, [out, *besides]):
        output_files.require_file(path)
        if path.resolve() in others:
            raise ConfigError(f"'{path}' would be written over another file of this run: give it a name of its own.")
        others.add(path.resolve())


def _fit_all(
    experiment: Plates, choices: FitOptions, table: EffectTable, progress: Progress, scratch: Path, notes: Notes
) -> list[GroupReport]:
    """Fit one group after the other; refuse an experiment in which no fit has a gene to test."""
    fits = [
        _fit_group(_Job(make_plan(group, choices), experiment, choices, table, progress, scratch, notes))
        for group in fit_groups(wells_of(experiment, choices), choices)
    ]
    statuses = {status for fit in fits for status in fit["effects"]}
    if NO_GENE in statuses and OK not in statuses:
        raise DesignError(next(str(fit["problem"]) for fit in fits if NO_GENE in fit["effects"]))
    return fits


def _fit_group(job: _Job) -> GroupReport:
    """Fit one group, write its effects, and return what is to be reported of it."""
    job.report_progress(0, None)
    plan, report = job.plan, GroupReport(problem=job.plan.problem)
    job.notes.of_plan(plan)
    if plan.design is not None:
        try:
            plan, report = _write(job, plan.design)
        except DesignError as problem:
            plan, report = plan.without_gene(problem), GroupReport(problem=str(problem))
    others = np.setdiff1d(np.arange(len(plan.effects)), plan.estimated)
    job.table.add_without_numbers(_columns(plan, others[_in_order(job, plan, others)]))
    return {**report, **_facts(plan)}


def _columns(plan: Plan, effects: npt.NDArray[np.int64]) -> pd.DataFrame:
    """What is written of some effects besides numbers: who they are, and their status."""
    rows = plan.effects.iloc[effects].reset_index(drop=True)
    sheet = plan.group.wells.iloc[rows["well"]].reset_index(drop=True)
    made_here = {name: rows[name] for name in ("status", *NUMBERS)}
    return sheet.assign(**made_here)[[*OF_EFFECT, "status"]]


def _in_order(job: _Job, plan: Plan, effects: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Positions that put effects in order: by the label of their condition, single wells as in the matrix."""
    if job.choices.mode == "replicate":
        return np.argsort(plan.effects["well"].to_numpy()[effects], kind="stable")
    return np.argsort(plan.effects["condition"].to_numpy(dtype=str)[effects], kind="stable")


def _write(job: _Job, design: Design) -> tuple[Plan, GroupReport]:
    """Fit and write what can be estimated; return the plan after that, and the facts of the fit."""
    if not len(job.plan.estimated):
        return job.plan, {}
    if job.choices.deseq2:
        return _write_deseq2(job, design)
    fit = prepare(job.values(), design, job.choices.options)
    start = time.perf_counter()
    order = _in_order(job, job.plan, job.plan.estimated)
    columns = _columns(job.plan, job.plan.estimated[order])
    check = NullCheck(fit.n_checked_wells, len(fit.genes))
    for block in complete(fit, allocate=lambda shape: _room(shape, job.scratch), check=check):
        by_gene = {name: getattr(fit, name)[block.genes] for name in BY_GENE}
        by_value = {name: getattr(block, name)[:, order] for name in BY_VALUE if getattr(block, name) is not None}
        job.table.add(columns, Values(job.genes[fit.genes[block.genes]], by_gene, by_value))
        job.report_progress(block.genes.stop, len(fit.genes))
    seconds, result = round(time.perf_counter() - start, 3), check.result()
    job.notes.of_fit(job.group.label, fit, result)
    report = fit.report()
    return job.plan, {
        **report,
        "seconds": {**report["seconds"], "effects": seconds},
        "null_check": None if result is None else asdict(result),
        **_genes(job, fit.genes),
    }


def _room(shape: tuple[int, int], scratch: Path) -> Any:
    """Return an array for intermediate values: a file without a name where they are many."""
    if shape[0] * shape[1] < FILE_ABOVE_VALUES:
        return np.empty(shape)
    with tempfile.TemporaryFile(dir=scratch) as file:
        reserve(file, 8 * shape[0] * shape[1])
        return np.memmap(file, dtype=np.float64, mode="r+", shape=shape)


def _write_deseq2(job: _Job, design: Design) -> tuple[Plan, GroupReport]:
    """Fit every effect by itself and write them together; effects DESeq2 cannot fit get their status."""
    start, options, values = time.perf_counter(), job.choices.options, job.values()
    genes = tested_genes(values, design, options)
    plan, fitted = run_deseq2(values, job.plan, genes, options.threads or 1, job.report_progress)
    if fitted:
        order = _in_order(job, plan, plan.estimated)
        columns = _columns(plan, plan.estimated[order])
        job.table.add(columns, _deseq2_values([fitted[at] for at in order], job.genes[genes]))
    seconds = {"effects": round(time.perf_counter() - start, 3)}
    return plan, {"method": "deseq2", "filter": options.filter, "seconds": seconds, **_genes(job, genes)}


def _deseq2_values(fitted: list[deseq2.Wald], genes: npt.NDArray[np.object_]) -> Values:
    """Put the results of DESeq2 side by side: `t` is Wald's, `ave_expr` log2 of the mean of normalised counts."""
    column = {
        name: np.column_stack([getattr(effect, name) for effect in fitted])
        for name in ("log2_fc", "se", "statistic", "p_value", "p_adj", "neg_log10_p", "base_mean")
    }
    column["t"] = column.pop("statistic")
    column["p_adj_fit"] = 10.0 ** -adjust(column.pop("neg_log10_p"))
    with np.errstate(divide="ignore"):
        mean = np.log2(column.pop("base_mean"))
    column["ave_expr"] = np.where(np.isfinite(mean), mean, np.nan)
    return Values(genes, {"df_total": np.full(len(genes), np.inf)}, column)


def _genes(job: _Job, tested: npt.NDArray[np.int64]) -> GroupReport:
    filtered = np.delete(job.genes, tested)
    return {"genes_in": len(job.genes), "genes_tested": len(tested), "genes_filtered": filtered.tolist()}


def _facts(plan: Plan) -> GroupReport:
    """Return what is reported of a group whatever becomes of it."""
    group, design = plan.group, plan.design
    left_out = pd.Series(plan.left_out[plan.left_out != ""]).value_counts()
    idle = int((plan.left_out == "").sum()) - design.n_samples if design else 0
    return {
        "context": group.context,
        "stratum": group.stratum,
        "batch": group.batch,
        "n_given": len(group.wells),
        "n_left_out": {str(reason): int(n) for reason, n in left_out.items()} | {"idle_vehicle": idle},
        "n_samples": design.n_samples if design else 0,
        "n_plates": design.n_plates if design else 0,
        "n_components": design.n_components if design else 0,
        "effects": {str(status): int(n) for status, n in plan.effects["status"].value_counts().items()},
    }
