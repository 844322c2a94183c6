"""What each stage of a load after `extract` does; `RUN` has them in the order in which they run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict

from pbdb.common.errors import ConfigError
from pbdb.database.stage_names import STAGES, Stage
from pbdb.effects import cluster_fits, dataset_fits
from pbdb.effects.stored_fit import StoredFit
from pbdb.identity.compounds.source_compounds import source_compounds, unknown_compounds
from pbdb.identity.contexts.resolve import ContextVocabulary
from pbdb.identity.genes.mapper import GeneMapper, gene_mapper
from pbdb.identity.vocabulary import references
from pbdb.identity.vocabulary import releases as vocabulary
from pbdb.loading import ledger, load_report, stage_cache, table_rows
from pbdb.loading.dataset_load import DatasetLoad
from pbdb.loading.publish import Load, publish
from pbdb.matches import match_table
from pbdb.samples import canonicalise, matrix_file, plate_zscores, validate
from pbdb.samples.transform_report import MOST_UNKNOWN
from pbdb.sources import fetch
from pbdb.sources.declaration import Files


def make_samples(load: DatasetLoad) -> None:
    """transform: raw profiles to the canonical sample matrix and its samples, unless the cache has them."""
    load.source = load.source.with_contexts(load.files())
    if load.choices.force:
        stage_cache.forget(load.folder)
    if stage_cache.is_done(load.folder / "transform.json"):
        load.reporter.stage("transform", "done before")
        load.samples = stage_cache.read_samples(load.folder)
    else:
        _transform(load)
        shutil.rmtree(load.folder / "pooled", ignore_errors=True)
    if load.choices.plate_z:
        _score_plates(load)


def _transform(load: DatasetLoad) -> None:
    load.folder.mkdir(parents=True, exist_ok=True)
    with load.stage("transform") as entry:
        files = load.files()
        load.samples, report = canonicalise.transform(
            load.source,
            load.dataset,
            files,
            _mapper(load, files),
            load.matrix,
            lambda n: load.reporter.progress("transform samples", n, None),
            most_unknown=1 if load.choices.allow_gene_loss else MOST_UNKNOWN,
        )
        entry.rows_in, entry.rows_out = report.rows_in, len(load.samples)
        entry.report = report.as_dict() | {"unlisted_columns": files.unlisted}
        entry.dropped = dict(report.dropped)
        kept = stage_cache.write_samples(load.folder, load.samples)
        stage_cache.mark(load.folder / "transform.json", entry.report, load.matrix, kept)
    for sentence in load_report.transformed(len(load.samples), report, files.unlisted):
        load.reporter.stage("transform", sentence)


def _mapper(load: DatasetLoad, files: Files) -> GeneMapper:
    with load.engine.connect() as connection:
        known_genes = vocabulary.gene_vocabulary(connection)
    return gene_mapper(load.source, files, known_genes)


def _score_plates(load: DatasetLoad) -> None:
    """Add the scores within plates to the canonical matrix, unless they are there."""
    if load.source.assay.readout != "log2_intensity":
        raise ConfigError(
            f"Source '{load.source.key}' has {load.source.assay.readout}: scores within plates need intensities."
        )
    if not plate_zscores.has_layer(load.matrix):
        plate_zscores.add_layer(load.matrix)
        load.reporter.stage("transform", f"scores within plates are the layer '{plate_zscores.LAYER}'")


def make_rows(load: DatasetLoad) -> None:
    """validate: check the samples, resolve the compounds, and make the rows of the tables."""
    marker = load.folder / "validate.json"
    if stage_cache.is_done(marker) and load.choices.pubchem != "rest":
        load.reporter.stage("validate", "done before")
        load.tables = stage_cache.read_tables(load.folder)
        return
    samples = load.samples
    with load.stage("validate") as entry:
        files = load.files()
        unknown = unknown_compounds(load.source, files, samples)
        validate.check(f"Dataset '{load.dataset}'", samples, load.source.assay.readout, unknown)
        compounds, annotations = source_compounds(
            load.source, files, samples, load.pubchem, load.settings.workers, _references(load)
        )
        tables = table_rows.dataset_tables(load.source, load.dataset, samples, compounds, annotations, _cells(load))
        tables["dataset"]["is_simulated"] = _is_simulated(load)
        entry.rows_in, entry.rows_out = len(samples), len(tables["sample"])
        resolved = load_report.resolution(tables)
        entry.report = asdict(resolved)
        kept = stage_cache.write_tables(load.folder, tables)
        stage_cache.mark(marker, entry.report, *kept)
    load.tables = tables
    load.reporter.stage("validate", resolved.sentence())


def _references(load: DatasetLoad) -> dict[str, list[str]]:
    with load.engine.connect() as connection:
        releases = references.in_use(connection)
    return references.structures_by_name(load.settings, releases)


def _cells(load: DatasetLoad) -> ContextVocabulary | None:
    with load.engine.connect() as connection:
        return vocabulary.cell_vocabulary(connection, load.settings)


def _is_simulated(load: DatasetLoad) -> bool:
    """Simulated releases carry the truth that was planted; published ones do not."""
    return any((file.path.parent / "truth.csv").is_file() for file in load.located.values())


def fit_effects(load: DatasetLoad) -> None:
    """effects: the default fits, one for each context and stratum, in the cache."""
    with load.stage("effects") as entry:
        fits = _fits(load)
        statuses = load_report.statuses(fits)
        entry.rows_in, entry.rows_out = sum(statuses.values()), statuses.pop("ok", 0)
        entry.dropped = statuses
        entry.report = {fit.label: {**fit.facts.report, **load_report.null_check(fit)} for fit in fits}
    load.fits = fits
    left = ", ".join(f"{n} {code}" for code, n in entry.dropped.items()) or "none"
    load.reporter.stage("effects", f"{len(fits)} fits, {entry.rows_out:,} effects; without estimate: {left}")
    for sentence in load_report.doubts(fits):
        load.reporter.stage("effects", f"warning: {sentence}")


def _fits(load: DatasetLoad) -> list[StoredFit]:
    jobs = dataset_fits.fits_of(
        load.dataset,
        load.matrix,
        load.tables["sample"].assign(context=load.samples["context"].to_numpy()),
        load.fit_choices,
        lambda what, done, total: load.reporter.progress(f"fit {what}", done, total),
    )
    return cluster_fits.fit_jobs(jobs, load.fits_folder, load.choices.cluster)


def change_database(load: DatasetLoad) -> None:
    """publish: put samples and effects in the place of those before, all at one moment."""
    tables = load.tables
    with load.stage("publish") as entry:
        entry.rows_in = entry.rows_out = len(tables["sample"])
        sha256 = fetch.sha256(load.matrix, load.settings)
        content = Load(
            load.dataset,
            tables,
            load.fits,
            load.fingerprint,
            load.effects_fingerprint if load.fits is not None else None,
            matrix_file.read_annotations(load.matrix)[1],
            lambda connection: ledger.register(connection, load.settings, load.dataset, load.matrix, sha256),
        )
        load.matched = publish(load.engine, content, load.reporter.progress)
    load.is_published = True
    load.reporter.stage(
        "publish", f"{len(tables['sample']):,} samples, {len(tables['condition']):,} conditions in the database"
    )
    stage_cache.tidy(load.folder)


def find_matches(load: DatasetLoad) -> None:
    """match: tell what the dataset's conditions match in other datasets; found with the publish, or else now."""
    with load.stage("match") as entry:
        matched = load.matched or match_table.match_dataset(load.engine, load.dataset)
        entry.rows_out = sum(result.matches for result in matched.refreshed)
        entry.report = {
            f"{result.rule.level} within {result.rule.time_tolerance_h:g} h": result.matches
            for result in matched.refreshed
        } | ({"forgotten": matched.forgotten} if matched.forgotten else {})
    for sentence in matched.in_words:
        load.reporter.stage("match", sentence)


RUN: dict[Stage, Callable[[DatasetLoad], None]] = dict(
    zip(STAGES[1:], (make_samples, make_rows, fit_effects, change_database, find_matches), strict=True)
)
