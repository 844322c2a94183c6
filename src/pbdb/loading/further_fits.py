"""Further fits of a loaded dataset, beside its default ones: another method, filter, mode or cut into batches."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, text

from pbdb.common.errors import ConfigError, SourceError
from pbdb.common.private_files import private_files
from pbdb.common.progress import Reporter, Silent
from pbdb.common.settings import Settings
from pbdb.effects import cluster_fits, dataset_fits
from pbdb.effects.options import FitOptions
from pbdb.loading import load_report, stage_cache
from pbdb.loading.publish import Load, append
from pbdb.loading.table_rows import Tables
from pbdb.query import database
from pbdb.samples import matrix_file
from pbdb.server import connect, locks

MATRIX = "SELECT path FROM core.artifact WHERE dataset = :dataset AND kind = 'samples_h5ad'"

DEFAULTS = """SELECT DISTINCT parameters FROM core.fit JOIN core.dataset USING (dataset_id)
    WHERE is_default AND dataset = :dataset"""


@dataclass(frozen=True)
class FurtherFits:
    """What was stored: keys of fits, and effects by status."""

    dataset: str
    fits: list[int]
    effects: dict[str, int]


def run_fits(
    settings: Settings,
    dataset: str,
    choices: FitOptions,
    *,
    compound: str | None = None,
    cluster: str | None = None,
    reporter: Reporter | None = None,
) -> FurtherFits:
    """Fit the canonical samples of a dataset anew and store the fits; those with the same choices are replaced.

    compound: store the effects of this source compound (its key or name) only; the fit is of all samples. cluster:
    address of the Dask scheduler whose workers make the fits; None: this process.

    Raises:
        SourceError: the dataset is not loaded, or its canonical matrix is not in this home.
        ConfigError: default choices, a compound that is not there, or a cluster that does not answer.
        ServerError: the dataset is being loaded.
    """
    hears, choices = reporter or Silent(), choices.checked()
    database.ready(settings)
    engine = connect.engine(settings)
    busy = f"Dataset '{dataset}' is being loaded by another process"
    with locks.exclusive(engine, f"load {dataset}", busy), private_files(settings):
        matrix = canonical_matrix(engine, settings, dataset)
        tables = stage_cache.read_tables(matrix.parent)
        context = stage_cache.read_samples(matrix.parent)["context"].to_numpy()
        folder = matrix.parent / "further_fits"
        shutil.rmtree(folder, ignore_errors=True)
        samples = tables["sample"].assign(context=context)
        wanted = _conditions(tables, compound) if compound is not None else None
        _refuse_defaults(engine, dataset, choices)
        try:
            jobs = dataset_fits.fits_of(dataset, matrix, samples, choices, hears.progress, wanted)
            stored = cluster_fits.fit_jobs(jobs, folder, cluster)
            load = Load(dataset, tables, stored, "", None, matrix_file.read_annotations(matrix)[1])
            append(engine, load, hears.progress)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return FurtherFits(dataset, [fit.facts.fit_id for fit in stored], load_report.statuses(stored))


def canonical_matrix(engine: Engine, settings: Settings, dataset: str) -> Path:
    """Where the canonical samples of a loaded dataset are.

    Raises:
        SourceError: it is not loaded, or they are not in this home.
    """
    with engine.connect() as connection:
        registered = connection.execute(text(MATRIX), {"dataset": dataset}).scalar_one_or_none()
    if registered is None:
        raise SourceError(
            f"Dataset '{dataset}' is not loaded: run `pbdb etl load` of its source first.", dataset=dataset
        )
    path = settings.home / str(registered)
    if not path.is_file():
        raise SourceError(
            f"The canonical samples of '{dataset}' are not in '{settings.home}': load it again with --force.",
            dataset=dataset,
        )
    return path


def _refuse_defaults(engine: Engine, dataset: str, choices: FitOptions) -> None:
    """Refuse choices that the default fits were made with: these would be replaced, and be the default no more."""
    with engine.connect() as connection:
        defaults = connection.execute(text(DEFAULTS), {"dataset": dataset}).scalars().all()
    if dataset_fits.fit_parameters(choices) in defaults:
        raise ConfigError(
            f"The default fits of '{dataset}' were made with these very choices: give others, or make them anew "
            "with `pbdb etl load --force`.",
            dataset=dataset,
        )


def _conditions(tables: Tables, compound: str) -> frozenset[int]:
    """Conditions of a source compound, named by its key or its name."""
    known = tables["source_compound"]
    hit = (known["source_key"] == compound) | (known["name"].str.lower() == compound.lower())
    if not hit.any():
        raise ConfigError(
            f"There is no compound '{compound}' in this dataset: give its key or name as the source has it.",
            value=compound,
        )
    conditions = tables["condition"]
    of_compound = conditions["source_compound_id"].isin(known.loc[hit, "source_compound_id"])
    return frozenset(conditions.loc[of_compound, "condition_id"].astype(int))
