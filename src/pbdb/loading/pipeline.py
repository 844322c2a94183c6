"""A load from files to effects in the database: stages that resume, one ledger, one swap at the end."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from pbdb.common import redaction
from pbdb.common.errors import ConfigError, PbdbError
from pbdb.common.progress import Reporter, Silent
from pbdb.common.settings import Settings
from pbdb.common.tasks import Workers
from pbdb.database.error_messages import require_loader, told
from pbdb.effects import dataset_fits
from pbdb.effects.engine import Options
from pbdb.effects.stored_fit import StoredFit
from pbdb.identity.compounds import structure
from pbdb.identity.compounds.pubchem_bulk_lookup import Way, lookup
from pbdb.identity.compounds.pubchem_rest import Lookup
from pbdb.identity.compounds.source_compounds import source_compounds, unknown_compounds
from pbdb.identity.contexts.resolve import ContextVocabulary
from pbdb.identity.genes.mapper import GeneMapper, gene_mapper
from pbdb.identity.vocabulary import releases as vocabulary
from pbdb.loading import ledger, load_report, stage_cache, table_rows
from pbdb.loading.ledger import Entry, Stage
from pbdb.loading.publish import Load, publish
from pbdb.matches import match_table
from pbdb.query import database
from pbdb.samples import canonicalise, matrix_file, plate_zscores, validate
from pbdb.samples.pseudobulk import sums
from pbdb.samples.pseudobulk.run import Pooled
from pbdb.server import connect, locks
from pbdb.sources import fetch, registry
from pbdb.sources.declaration import Files, Source


@dataclass(frozen=True)
class Choices:
    """What a user asks of a load.

    folder: where the files are (None: fetch them). until: last stage to run. force: do everything anew.
    verify: hash files again. dry_run: stop before the database is touched, and say what would change.
    plate_z: robust scores within plates as a layer of the canonical matrix. pubchem: ask its service (rest), or only
    what is on this machine (local); rest resolves the compounds anew. workers, cluster: processes of this machine, or
    address of a Dask scheduler, that pool single cells; None: this process. allow_gene_loss: load what is left where
    most features are no gene of the vocabulary in use.
    """

    folder: Path | None = None
    until: Stage = "effects"
    force: bool = False
    verify: bool = False
    dry_run: bool = False
    plate_z: bool = False
    pubchem: Way = "local"
    workers: int | None = None
    cluster: str | None = None
    allow_gene_loss: bool = False


def load_source(
    source: Source,
    settings: Settings,
    choices: Choices,
    *,
    dataset: str | None = None,
    reporter: Reporter | None = None,
    pubchem: Lookup | None = None,
) -> list[dict[str, Any]]:
    """Load the datasets of a source (or one of them); return what each became.

    Raises:
        PbdbError: any of the tree; the database is then as it was, and the next run resumes.
    """
    chosen = [dataset] if dataset else list(source.datasets)
    unknown = [key for key in chosen if key not in source.datasets]
    if unknown:
        raise PbdbError(f"Source '{source.key}' has no dataset '{unknown[0]}'; it has {', '.join(source.datasets)}.")
    with told(f"The load of source '{source.key}'"):
        database.ready(settings)
        engine = connect.engine(settings)
        with engine.connect() as connection:
            require_loader(connection)
        asked = pubchem or lookup(settings, choices.pubchem)
        told_to = reporter or Silent()
        return [_Run(source.of(key), key, settings, choices, engine, told_to, asked).load() for key in chosen]


@dataclass
class _Run:
    """One dataset on its way into the database."""

    source: Source
    dataset: str
    settings: Settings
    choices: Choices
    engine: Engine
    reporter: Reporter
    pubchem: Lookup
    entries: list[Entry] = field(default_factory=list)
    located: dict[str, fetch.Located] = field(default_factory=dict)
    releases: list[tuple[str, str] | None] = field(default_factory=list)

    def load(self) -> dict[str, Any]:
        """Run the stages that are not done; the ledger tells of those that did work."""
        busy = f"Dataset '{self.dataset}' is being loaded by another process"
        with locks.alone(self.engine, f"load {self.dataset}", busy):
            try:
                return self._load()
            except Exception:
                self._record_failure()
                raise

    def _load(self) -> dict[str, Any]:
        self.reporter.stage("dataset", self.dataset)
        self._extract()
        if self._is_current():
            if not match_table.is_current(self.engine, self.dataset):
                self._match()
            self.reporter.stage("load", f"{self.dataset} is up to date, nothing to do")
            return self._unchanged()
        if self.choices.until == "extract":
            self._record()
            return self._unchanged()
        self.source = self.source.with_contexts(self._files())
        return self._load_samples()

    def _load_samples(self) -> dict[str, Any]:
        samples = self._transform()
        if self.choices.plate_z:
            self._score_plates()
        if self.choices.until == "transform":
            return self._unchanged()
        tables = self._validate(samples)
        if self.choices.dry_run:
            return {"dataset": self.dataset, "changed": False, "would_change": self._changes(tables)}
        if self.choices.until == "validate":
            return self._unchanged()
        stored = self._effects(samples, tables) if self.choices.until == "effects" else None
        self._publish(tables, stored)
        return self._unchanged() | {"changed": True, **load_report.summary(tables, stored)}

    def _unchanged(self) -> dict[str, Any]:
        return {"dataset": self.dataset, "changed": False, "fingerprint": self.fingerprint}

    # Fingerprints and places

    @cached_property
    def fingerprint(self) -> str:
        """Of everything that decides the samples: inputs, declaration, vocabularies, code of the stage."""
        declared = hashlib.sha256(registry.declaration(self.source).read_bytes()).hexdigest()
        inputs = sorted((key, file.sha256) for key, file in self.located.items())
        return stage_cache.fingerprint(
            [self.dataset, inputs, declared, self.releases, canonicalise.VERSION, sums.VERSION, structure.RULE_VERSION]
        )

    @cached_property
    def effects_fingerprint(self) -> str:
        """Of everything that decides the default fits."""
        return stage_cache.fingerprint([self.fingerprint, self.fit_choices.as_dict()])

    @cached_property
    def fit_choices(self) -> dataset_fits.FitOptions:
        """The default fits of the dataset."""
        options = Options(self.source.assay.readout, self.source.method, threads=self.settings.workers)
        return dataset_fits.FitOptions(options, min_cells=self.source.datasets[self.dataset].min_cells)

    @property
    def folder(self) -> Path:
        """Where the stages leave their artefacts."""
        return self.settings.cache / self.dataset / self.fingerprint

    @property
    def matrix(self) -> Path:
        """The canonical sample matrix."""
        return self.folder / "samples.h5ad"

    # Stages

    def _extract(self) -> None:
        with self._stage("extract") as entry:
            self.located = fetch.locate(
                self.source,
                self.dataset,
                self.settings,
                self.choices.folder,
                verify=self.choices.verify,
                progress=self.reporter.progress,
            )
            with self.engine.connect() as connection:
                self.releases = [vocabulary.current(connection, kind) for kind in vocabulary.DECIDING]
            entry.rows_in = entry.rows_out = len(self.located)
        n_bytes = sum(file.n_bytes for file in self.located.values())
        self.reporter.stage("extract", f"{len(self.located)} files, {n_bytes / 1e6:,.1f} MB, hashes checked")

    def _transform(self) -> pd.DataFrame:
        done = self.folder / "transform.json"
        if self.choices.force:
            stage_cache.forget(self.folder)
        if done.is_file():
            self.reporter.stage("transform", "done before")
            return stage_cache.read_samples(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._stage("transform") as entry:
            opened = self._files()
            samples, report = canonicalise.transform(
                self.source,
                self.dataset,
                opened,
                self._mapper(opened),
                self.matrix,
                lambda n: self.reporter.progress("transform samples", n, None),
                most_unknown=1 if self.choices.allow_gene_loss else canonicalise.MOST_UNKNOWN,
            )
            entry.rows_in, entry.rows_out = report.rows_in, len(samples)
            entry.report = report.as_dict() | {"unlisted_columns": opened.unlisted}
            entry.dropped = dict(report.dropped)
            stage_cache.write_samples(self.folder, samples)
            stage_cache.mark(done, entry.report)
        shutil.rmtree(self.folder / "pooled", ignore_errors=True)
        for told_of in load_report.transformed(len(samples), report, opened.unlisted):
            self.reporter.stage("transform", told_of)
        return samples

    def _score_plates(self) -> None:
        """Add the scores within plates to the canonical matrix, unless they are there."""
        if self.source.assay.readout != "log2_intensity":
            raise ConfigError(
                f"Source '{self.source.key}' has {self.source.assay.readout}: scores within plates need intensities."
            )
        if not plate_zscores.has_layer(self.matrix):
            plate_zscores.add_layer(self.matrix)
            self.reporter.stage("transform", f"scores within plates are the layer '{plate_zscores.LAYER}'")

    def _validate(self, samples: pd.DataFrame) -> table_rows.Tables:
        done = self.folder / "validate.json"
        if done.is_file() and self.choices.pubchem != "rest":
            self.reporter.stage("validate", "done before")
            return stage_cache.read_tables(self.folder)
        with self._stage("validate") as entry:
            opened = self._files()
            unknown = unknown_compounds(self.source, opened, samples)
            validate.check(f"Dataset '{self.dataset}'", samples, self.source.assay.readout, unknown)
            compounds, annotations = source_compounds(self.source, opened, samples, self.pubchem, self.settings.workers)
            tables = table_rows.dataset_tables(
                self.source, self.dataset, samples, compounds, annotations, self._cells()
            )
            tables["dataset"]["is_simulated"] = self._is_simulated()
            entry.rows_in, entry.rows_out = len(samples), len(tables["sample"])
            entry.report = load_report.resolution(tables)
            stage_cache.write_tables(self.folder, tables)
            stage_cache.mark(done, entry.report)
        self.reporter.stage("validate", load_report.in_words(entry.report))
        return tables

    def _effects(self, samples: pd.DataFrame, tables: table_rows.Tables) -> list[StoredFit]:
        with self._stage("effects") as entry:
            described = tables["sample"].assign(context=samples["context"].to_numpy())
            stored = dataset_fits.fit_dataset(
                self.dataset,
                self.matrix,
                described,
                self.fit_choices,
                self.folder / "fits",
                lambda what, done, total: self.reporter.progress(f"fit {what}", done, total),
            )
            found = load_report.statuses(stored)
            entry.rows_in, entry.rows_out = sum(found.values()), found.pop("ok", 0)
            entry.dropped = found
            entry.report = {one.label: one.facts["report"] for one in stored}
        left = ", ".join(f"{n} {code}" for code, n in entry.dropped.items()) or "none"
        self.reporter.stage("effects", f"{len(stored)} fits, {entry.rows_out:,} effects; without estimate: {left}")
        return stored

    def _publish(self, tables: table_rows.Tables, stored: list[StoredFit] | None) -> None:
        with self._stage("load") as entry:
            entry.rows_in = entry.rows_out = len(tables["sample"])
            sha256 = fetch.sha256(self.matrix, self.settings)
            load = Load(
                self.dataset,
                tables,
                stored,
                self.fingerprint,
                self.effects_fingerprint if stored is not None else None,
                matrix_file.read_annotations(self.matrix)[1],
                lambda connection: ledger.register(connection, self.settings, self.dataset, self.matrix, sha256),
            )
            publish(self.engine, load, self.reporter.progress)
        self.reporter.stage(
            "load", f"{len(tables['sample']):,} samples, {len(tables['condition']):,} conditions in the database"
        )
        self._tidy()
        self._match()

    def _match(self) -> None:
        """Find what the dataset's conditions match in other datasets."""
        with self._stage("match") as entry:
            done = match_table.refresh_dataset(self.engine, self.dataset)
            entry.rows_out = sum(one.matches for one in done)
            entry.report = {f"{one.rule.level} within {one.rule.time_tolerance_h:g} h": one.matches for one in done}
        found = "; ".join(f"{n:,} by {rule}" for rule, n in entry.report.items())
        self.reporter.stage("match", f"matches with other datasets: {found}")

    # What surrounds the stages

    def _files(self) -> Files:
        paths = {key: file.path for key, file in self.located.items()}
        declared = self.source.files_of(self.dataset)
        workers = Workers(self.choices.workers, self.choices.cluster, self.settings.workers)
        return Files(declared, paths, Pooled(declared, self.folder / "pooled", workers, self.reporter.progress))

    def _mapper(self, opened: Files) -> GeneMapper:
        with self.engine.connect() as connection:
            known = vocabulary.gene_vocabulary(connection)
        return gene_mapper(self.source, opened, known)

    def _cells(self) -> ContextVocabulary | None:
        with self.engine.connect() as connection:
            return vocabulary.cell_vocabulary(connection, self.settings)

    def _is_simulated(self) -> bool:
        """Simulated releases carry the truth that was planted; published ones do not."""
        return any((file.path.parent / "truth.csv").is_file() for file in self.located.values())

    def _is_current(self) -> bool:
        if self.choices.force or self.choices.dry_run or self.choices.pubchem == "rest":
            return False
        with self.engine.connect() as connection:
            row = connection.execute(
                text("SELECT fingerprint, effects_fingerprint FROM core.dataset WHERE dataset = :dataset"),
                {"dataset": self.dataset},
            ).one_or_none()
        if row is None or row.fingerprint != self.fingerprint:
            return False
        if self.choices.plate_z and not plate_zscores.has_layer(self.matrix):
            return False
        return self.choices.until != "effects" or row.effects_fingerprint == self.effects_fingerprint

    def _changes(self, tables: table_rows.Tables) -> dict[str, dict[str, int]]:
        """Rows that a load would add and remove, by table."""
        found = {}
        with self.engine.connect() as connection:
            for table in ("source_compound", "condition", "sample"):
                key = f"{table}_id"
                query = text(f"SELECT {key} FROM core.{table} WHERE dataset_id = :dataset_id")
                old = set(connection.execute(query, {"dataset_id": table_rows.dataset_id(self.dataset)}).scalars())
                new = set(tables[table][key].astype("int64"))
                found[table] = {"add": len(new - old), "remove": len(old - new), "keep": len(new & old)}
        return found

    @contextmanager
    def _stage(self, stage: Stage) -> Iterator[Entry]:
        """Time a stage and record it at its end, so that the ledger knows it whatever becomes of the next.

        Extract waits for the stage after it: a load that finds nothing to do leaves no trace.
        """
        entry = Entry(stage)
        self.entries.append(entry)
        names = [one.token for one in self.source.datasets.values() if one.token]
        with entry.timed(), told(f"Stage {stage} of dataset '{self.dataset}'"), redaction.unsaid(names):
            yield entry
        if stage != "extract":
            self._record()

    def _record(self) -> None:
        if not self.choices.dry_run:
            fingerprint = self.fingerprint if self.located else "unknown"
            ledger.record(self.engine, self.source, self.dataset, fingerprint, self.located, self.entries)
        self.entries.clear()

    def _record_failure(self) -> None:
        """Put a failed stage into the ledger, if the database can still be written."""
        try:
            self._record()
        except (PbdbError, SQLAlchemyError):
            self.reporter.stage("ledger", "the failure could not be written to the ledger")

    def _tidy(self) -> None:
        """Keep the canonical matrix and its tables; the tiles of fits and earlier loads are no longer needed."""
        shutil.rmtree(self.folder / "fits", ignore_errors=True)
        for other in self.folder.parent.iterdir():
            if other != self.folder:
                shutil.rmtree(other, ignore_errors=True)
