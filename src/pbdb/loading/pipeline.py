"""A load from files to effects in the database: stages that resume, one ledger, one publish at the end."""

from __future__ import annotations

from sqlalchemy import text

from pbdb.common.errors import ConfigError
from pbdb.common.ids import stable_id
from pbdb.common.private_files import private_files
from pbdb.common.progress import Reporter, Silent
from pbdb.common.settings import Settings
from pbdb.database import tidy
from pbdb.database.error_messages import require_loader, translate_errors
from pbdb.database.stage_names import Stage
from pbdb.identity.compounds.pubchem_bulk_lookup import lookup
from pbdb.identity.compounds.pubchem_rest import Lookup
from pbdb.loading import load_report, stage_cache
from pbdb.loading.dataset_load import Choices, DatasetLoad
from pbdb.loading.extract import find_files
from pbdb.loading.load_report import Outcome
from pbdb.matches import match_table
from pbdb.query import database
from pbdb.server import connect, locks
from pbdb.sources.declaration import Source

__all__ = ["Choices", "Outcome", "load_source"]


def load_source(
    source: Source,
    settings: Settings,
    choices: Choices,
    *,
    dataset: str | None = None,
    reporter: Reporter | None = None,
    pubchem: Lookup | None = None,
) -> list[Outcome]:
    """Load the datasets of a source (or one of them); return what each became.

    Raises:
        PbdbError: any of the tree; the database is then as it was, and the next run resumes.
    """
    chosen = [dataset] if dataset else list(source.datasets)
    unknown = [key for key in chosen if key not in source.datasets]
    if unknown:
        raise ConfigError(
            f"Source '{source.key}' has no dataset '{unknown[0]}'; it has {', '.join(source.datasets)}.",
            dataset=unknown[0],
        )
    with translate_errors(f"The load of source '{source.key}'"):
        database.ready(settings)
        engine = connect.engine(settings)
        with engine.connect() as connection:
            require_loader(connection)
        compounds = pubchem or lookup(settings, choices.pubchem)
        hears = reporter or Silent()
        with private_files(settings):
            return [
                _load_alone(DatasetLoad(source.of(key), key, settings, choices, engine, hears, compounds))
                for key in chosen
            ]


def _load_alone(load: DatasetLoad) -> Outcome:
    """Load a dataset while no other process does; the ledger tells of a stage that failed."""
    busy = f"Dataset '{load.dataset}' is being loaded by another process"
    with locks.exclusive(load.engine, f"load {load.dataset}", busy):
        try:
            return _load(load)
        except Exception:
            load.record_failure()
            raise


def _load(load: DatasetLoad) -> Outcome:
    """Run the stages asked for, in their order; after the first of them it is known whether there is anything to do."""
    load.reporter.stage("dataset", load.dataset)
    find_files(load)
    if _is_current(load):
        return _keep(load)
    for stage in load.choices.stages[1:]:
        _run(load, stage)
    load.record()
    return _outcome(load)


def _run(load: DatasetLoad, stage: Stage) -> None:
    """Run a stage after the first."""
    # Here, for with the stages come the engine, SciPy and RDKit, and a load with nothing to do need not wait for them.
    from pbdb.loading import stages

    stages.RUN[stage](load)


def _keep(load: DatasetLoad) -> Outcome:
    """Leave a dataset that is loaded as it is; what a killed load left, in cache, database or matches, is put right."""
    if "effects" in load.choices.stages and load.folder.is_dir():
        stage_cache.tidy(load.folder)
    tidy.tidy(load.engine)
    if "match" in load.choices.stages and not match_table.is_current(load.engine, load.dataset):
        _run(load, "match")
    load.reporter.stage(load.choices.until, f"{load.dataset} is up to date, nothing to do")
    return _outcome(load)


def _outcome(load: DatasetLoad) -> Outcome:
    """What became of a dataset."""
    holds = load_report.rows_of(load.tables) if load.is_published else {}
    effects = load_report.statuses(load.fits) if load.is_published and load.fits is not None else None
    would_change = _changes(load) if load.choices.dry_run and load.tables else None
    return Outcome(load.dataset, load.is_published, load.fingerprint, holds, effects, would_change)


def _is_current(load: DatasetLoad) -> bool:
    choices = load.choices
    if choices.force or choices.dry_run or choices.pubchem == "rest":
        return False
    with load.engine.connect() as connection:
        row = connection.execute(
            text("SELECT fingerprint, effects_fingerprint FROM core.dataset WHERE dataset = :dataset"),
            {"dataset": load.dataset},
        ).one_or_none()
    if row is None or row.fingerprint != load.fingerprint:
        return False
    if choices.plate_z and not _has_scores(load):
        return False
    return "effects" not in choices.stages or row.effects_fingerprint == load.effects_fingerprint


def _has_scores(load: DatasetLoad) -> bool:
    """Whether the canonical matrix holds the scores within plates."""
    from pbdb.samples import plate_zscores

    return plate_zscores.has_layer(load.matrix)


def _changes(load: DatasetLoad) -> dict[str, dict[str, int]]:
    """Rows that a load would add and remove, by table."""
    changes = {}
    with load.engine.connect() as connection:
        for table in ("source_compound", "condition", "sample"):
            key = f"{table}_id"
            query = text(f"SELECT {key} FROM core.{table} WHERE dataset_id = :dataset_id")
            old = set(connection.execute(query, {"dataset_id": stable_id("dataset", load.dataset)}).scalars())
            new = set(load.tables[table][key].astype("int64"))
            changes[table] = {"add": len(new - old), "remove": len(old - new), "keep": len(new & old)}
    return changes
