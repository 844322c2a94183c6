"""The fits of a dataset on a Dask cluster: the same bytes as `dataset_fits`, made elsewhere.

Fits are independent of each other, so a fit is a task: a worker makes it in a folder of its own and sends the files.
A fit that is too large for one worker stays with the machine that loads: what needs all genes at once (filter, library
sizes, voom curve, moderation, adjustment) is done here, and each pass over blocks of genes between them is made of
tasks. Tasks are pure functions of what they are given, so that those of a lost worker are done again.

Workers read the canonical matrix, or of a large fit its counts by gene, at their path here where they see it (a folder
that all machines share); else values travel with the task.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pbdb.common import output_files, tasks
from pbdb.common.arrays import Ints
from pbdb.common.progress import silent
from pbdb.common.tasks import Parcel, UnseenError
from pbdb.effects.dataset_fits import FitJob, fit_group
from pbdb.effects.engine.fit import threads
from pbdb.effects.engine.gene_fits import Made, Reader, Work
from pbdb.effects.engine.matrix import Columns, gene_blocks
from pbdb.effects.stored_fit import LAST, StoredFit

LARGEST_WHOLE = 1 << 27  # samples x genes of a fit that is one task: it fits a worker of 4 GiB
ARRAYS = ("data", "indices", "indptr")

Files = dict[str, npt.NDArray[np.uint8]]


def fit_jobs(jobs: Iterable[FitJob], folder: Path, address: str | None) -> list[StoredFit]:
    """Make fits on the cluster whose scheduler is at `address`, else here; finished ones found in `folder` are kept.

    Raises:
        ConfigError: the cluster does not answer, has no worker, or its workers cannot run pbdb.
        PbdbError: that of a fit; WorkerError: a task has lost its worker again and again.
    """
    if address is None:
        return [fit_group(job, folder) for job in jobs]
    jobs = list(jobs)
    whole = [job for job in jobs if job.n_values <= LARGEST_WHOLE and not _place(job, folder).is_finished]
    if whole:
        parcels = (Parcel(job, _WholeFit.of(job), partial(_WholeFit.of, job, carry=True)) for job in whole)
        with closing(tasks.stream(_make_fit, parcels, address)) as made:
            for n_done, (job, files) in enumerate(made, start=1):
                _keep(files, _place(job, folder).folder)
                job.progress("contexts", n_done, len(whole))
    return [_fit_large(job, folder, address) for job in jobs]


def _place(job: FitJob, folder: Path) -> StoredFit:
    return StoredFit(folder / str(job.fit_id))


def _seen(path: Path, n_bytes: int) -> Path:
    """The path, if it is that file here too.

    Raises:
        UnseenError: there is no such file, another one, or one that may not be read.
    """
    if not (os.access(path, os.R_OK) and path.stat().st_size == n_bytes):
        raise UnseenError(str(path))
    return path


@dataclass(frozen=True)
class _WholeFit:
    """A fit as a task; values: of its samples, where they are carried (None where no sample takes part)."""

    job: FitJob
    n_bytes: int
    is_carried: bool
    values: Any

    @classmethod
    def of(cls, job: FitJob, *, carry: bool = False) -> _WholeFit:
        alone = replace(job.choices, options=replace(job.choices.options, threads=1))
        return cls(
            replace(job, choices=alone, progress=silent),
            job.matrix.stat().st_size,
            carry,
            job.values() if carry else None,
        )


def _make_fit(task: _WholeFit) -> Files:
    if not task.is_carried:
        _seen(task.job.matrix, task.n_bytes)
    with tempfile.TemporaryDirectory(prefix="pbdb-") as folder:
        stored = fit_group(task.job, Path(folder), task.values)
        return {file.name: np.fromfile(file, np.uint8) for file in stored.folder.iterdir()}


def _keep(files: Files, folder: Path) -> None:
    """Write the files of a fit, last the one that says that all are there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(files, key=lambda name: (name == LAST, name)):
        with output_files.replacing(folder / name) as part:
            files[name].tofile(part)


def _fit_large(job: FitJob, folder: Path, address: str) -> StoredFit:
    by_gene = folder / f"{job.fit_id}.counts"
    try:
        return fit_group(job, folder, blocks=_OnCluster(address, by_gene))
    finally:
        shutil.rmtree(by_gene, ignore_errors=True)


@dataclass(frozen=True)
class _OnCluster:
    """Does blocks of genes as tasks; `folder` is for the counts by gene, which workers read where they see it."""

    address: str
    folder: Path
    saved: dict[int, _Saved] = field(default_factory=dict)

    def __call__(self, reader: Reader, genes: Ints, size: int, work: Work[Made]) -> Iterator[tuple[slice, Made]]:
        parcels = (self._parcel(reader, genes[part], part, work) for part in gene_blocks(genes, size))
        with closing(tasks.stream(_make_block, parcels, self.address)) as made:
            yield from made

    def _parcel(self, reader: Reader, genes: Ints, part: slice, work: Work[Any]) -> Parcel:
        def carried() -> _Block:
            return _Block(reader.only(genes), np.arange(len(genes)), part, work)

        if not isinstance(reader.matrix, Columns):
            return Parcel(part, carried())
        on_disk: Any = self._saved(reader.matrix)
        return Parcel(part, _Block(replace(reader, matrix=on_disk, stdev={}), genes, part, work), carried)

    def _saved(self, matrix: Columns) -> _Saved:
        """The counts on disk, written when they are first asked for."""
        if id(matrix) not in self.saved:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name in ARRAYS:
                np.save(self.folder / f"{name}.npy", getattr(matrix, name))
            sizes = tuple((self.folder / f"{name}.npy").stat().st_size for name in ARRAYS)
            self.saved[id(matrix)] = _Saved(self.folder, sizes, matrix.shape)
        return self.saved[id(matrix)]


@dataclass(frozen=True)
class _Saved:
    """Counts by gene in a folder, of which only the genes asked for are read."""

    folder: Path
    sizes: tuple[int, ...]
    shape: tuple[int, int]

    def only(self, genes: Ints) -> Columns:
        paths = [_seen(self.folder / f"{name}.npy", n) for name, n in zip(ARRAYS, self.sizes, strict=True)]
        data, indices, indptr = (np.load(path, mmap_mode="r") for path in paths)
        return Columns(data, indices, indptr, self.shape).only(genes)


@dataclass(frozen=True)
class _Block:
    """A block of genes as a task: their positions in the reader's matrix, and their slice of all tested genes."""

    reader: Reader
    genes: Ints
    part: slice
    work: Work[Any]


def _make_block(task: _Block) -> Any:
    with threads(1):
        return task.work(task.reader.only(task.genes), np.arange(len(task.genes)), task.part)
