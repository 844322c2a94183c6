"""One dataset on its way into the database: what was asked, where its artifacts are, and what its stages hand on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from pbdb.common import hashing, redaction
from pbdb.common.errors import PbdbError
from pbdb.common.progress import Reporter
from pbdb.common.settings import Settings
from pbdb.common.tasks import Workers
from pbdb.database.error_messages import translate_errors
from pbdb.database.stage_names import STAGES, Stage
from pbdb.effects.options import FitOptions, Options
from pbdb.identity.compounds.pubchem_bulk_lookup import Way
from pbdb.identity.compounds.pubchem_rest import Lookup
from pbdb.loading import ledger
from pbdb.loading.ledger import Entry
from pbdb.matches.match_table import Matched
from pbdb.sources import fetch, registry
from pbdb.sources.declaration import Files, Source

if TYPE_CHECKING:
    from pbdb.effects.stored_fit import StoredFit
    from pbdb.loading.table_rows import Tables

# Packages and modules whose code decides what a stage makes: a changed line in them makes it anew.
ROOMS_OF_SAMPLES = (
    "common/arrays.py",
    "common/ids.py",
    "common/typed_cells.py",
    "common/units.py",
    "identity/compounds",
    "identity/contexts",
    "identity/genes",
    "identity/published_form.py",
    "loading/table_rows.py",
    "readers",
    "samples",
    "sources/declaration.py",
    "sources/pseudobulk_declaration.py",
)
ROOMS_OF_EFFECTS = (
    "effects/dataset_fits.py",
    "effects/engine",
    "effects/groups.py",
    "effects/options.py",
    "database/effect_arrays.py",
    "effects/stored_fit.py",
)
# Libraries whose version decides what becomes of a structure; RDKit brings InChI along.
CHEMISTRY = ("rdkit", "chembl-structure-pipeline")


@dataclass(frozen=True)
class Choices:
    """What a user asks of a load.

    folder: where the files are (None: fetch them). until: last stage to run. effects: fit them, or load the samples
    alone. force: do everything again. verify: hash files again. dry_run: stop before the database is touched, and say
    what would change. plate_z: robust scores within plates as a layer of the canonical matrix. pubchem: ask its
    service (rest), or only what is on this machine (local); rest resolves the compounds again. workers: processes of
    this machine that pool single cells; cluster: address of the Dask scheduler whose workers do that and make the fits;
    None: this process.
    allow_gene_loss: load what is left where most features are no gene of the vocabulary in use.
    """

    folder: Path | None = None
    until: Stage = STAGES[-1]
    effects: bool = True
    force: bool = False
    verify: bool = False
    dry_run: bool = False
    plate_z: bool = False
    pubchem: Way = "local"
    workers: int | None = None
    cluster: str | None = None
    allow_gene_loss: bool = False

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages to run, in order; a dry run ends before the database is touched."""
        asked = STAGES[: STAGES.index(self.until) + 1]
        if self.dry_run:
            asked = tuple(stage for stage in asked if stage not in ("effects", "publish", "match"))
        return asked if self.effects else tuple(stage for stage in asked if stage != "effects")


@dataclass
class DatasetLoad:
    """One dataset on its way into the database.

    located, releases: files of `extract` and the vocabularies in use. samples: canonical samples of `transform`.
    tables: rows of `validate`. fits: of `effects`; None where effects are left out.
    """

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
    samples: pd.DataFrame = field(default_factory=pd.DataFrame)
    tables: Tables = field(default_factory=dict)
    fits: list[StoredFit] | None = None
    is_published: bool = False
    matched: Matched | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Of everything that decides the samples: inputs, declaration, vocabularies, code and chemistry libraries.

        Known once `extract` has located the files.
        """
        declared = hashing.sha256_of_file(registry.declaration(self.source))
        inputs = sorted((key, file.sha256) for key, file in self.located.items())
        code = hashing.code_fingerprint(*ROOMS_OF_SAMPLES)
        chemistry = [version(library) for library in CHEMISTRY]
        return hashing.fingerprint([self.dataset, inputs, declared, self.releases, code, chemistry])

    @cached_property
    def effects_fingerprint(self) -> str:
        """Of everything that decides the default fits."""
        code = hashing.code_fingerprint(*ROOMS_OF_EFFECTS)
        return hashing.fingerprint([self.fingerprint, self.fit_choices.as_dict(), code])

    @cached_property
    def fit_choices(self) -> FitOptions:
        """The default fits of the dataset."""
        options = Options(self.source.assay.readout, self.source.effect_method, threads=self.settings.workers)
        return FitOptions(options, min_cells=self.source.datasets[self.dataset].min_cells)

    @property
    def folder(self) -> Path:
        """Where the stages leave their artifacts."""
        return self.settings.cache / self.dataset / self.fingerprint

    @property
    def matrix(self) -> Path:
        """The canonical sample matrix."""
        return self.folder / "samples.h5ad"

    @property
    def fits_folder(self) -> Path:
        """Where finished fits wait to be published; those of other code or choices are not taken for them."""
        return self.folder / "fits" / self.effects_fingerprint

    def files(self) -> Files:
        """The located files, with single cells pooled to samples when they are read."""
        from pbdb.samples.pseudobulk.run import Pooled

        paths = {key: file.path for key, file in self.located.items()}
        declared = self.source.files_of(self.dataset)
        workers = Workers(self.choices.workers, self.choices.cluster, self.settings.workers)
        return Files(declared, paths, Pooled(declared, self.folder / "pooled", workers, self.reporter.progress))

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[Entry]:
        """Time a stage and record it at its end, so that the ledger knows it whatever becomes of the next.

        Extract waits for the stage after it: a load that finds nothing to do leaves no trace.
        """
        entry = Entry(stage)
        self.entries.append(entry)
        self.reporter.progress(stage, 0, None)
        tokens = [dataset.token for dataset in self.source.datasets.values() if dataset.token]
        with entry.timed(), translate_errors(f"Stage {stage} of dataset '{self.dataset}'"), redaction.unsaid(tokens):
            yield entry
        if stage != "extract":
            self.record()

    def record(self) -> None:
        """Write the entries made so far to the ledger; a dry run leaves none."""
        if not self.choices.dry_run:
            fingerprint = self.fingerprint if self.located else "unknown"
            ledger.record(self.engine, self.source, self.dataset, fingerprint, self.located, self.entries)
        self.entries.clear()

    def record_failure(self) -> None:
        """Put a failed stage into the ledger, if the database can still be written."""
        try:
            self.record()
        except (PbdbError, SQLAlchemyError):
            self.reporter.stage("ledger", "the failure could not be written to the ledger")
