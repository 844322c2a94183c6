"""Files of single cells to samples: tasks over ranges of cells, what is done kept on disk, parts added up.

    pseudobulk(["plate1.h5ad", "plate2.h5ad"], "samples.h5ad", Pseudobulk(keys=("plate", "well", "cell_line")))

A task is a range of cells of fixed size, so that a run with other workers goes on with what one before has done.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import CodeType
from typing import Any

import fsspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb.common import tasks as cluster
from pbdb.common.errors import DataError
from pbdb.common.hashing import SHORT, code_fingerprint
from pbdb.common.progress import Progress, silent
from pbdb.common.tasks import Workers
from pbdb.readers.csr import CellMatrix, cell_matrix, translate_errors
from pbdb.readers.profile_block import ProfileBlock
from pbdb.samples.pseudobulk import parts as cell_parts
from pbdb.samples.pseudobulk.cell_table import sample_names
from pbdb.samples.pseudobulk.h5ad import write_h5ad
from pbdb.samples.pseudobulk.parts import CellCounts
from pbdb.samples.pseudobulk.range_task import Genes, Range, pool
from pbdb.samples.pseudobulk.sums import IS_LEFT_OUT, IS_MALAT1, IS_MITO
from pbdb.sources.declaration import File, Files
from pbdb.sources.pseudobulk_declaration import MALAT1, Pseudobulk

CELLS_PER_TASK = 1 << 20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CellFile:
    """A file of cells on its way: where it is, what its declaration says, its genes and how many cells it has."""

    address: str
    declared: Pseudobulk
    features: npt.NDArray[Any]
    genes: Genes
    n_cells: int
    curated: str | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Of all that decides its samples; functions by their code."""
        derive = self.declared.derive
        parts = [
            code_fingerprint("readers", "samples/pseudobulk"),
            *(self.address, self.curated, _version(self.address), self.curated and _version(self.curated)),
            replace(self.declared, derive=None, genes=None),
            derive and _code(derive.__code__),
            *(self.genes.columns.tobytes(), self.genes.marks.tobytes()),
        ]
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:SHORT]

    def tasks(self, folder: Path, threads: int) -> list[tuple[Range, Path]]:
        """Its ranges of cells, and where the part of each goes."""
        declared = replace(self.declared, genes=None)
        return [
            (
                Range(self.address, start, stop, declared, self.genes, self.curated, threads),
                folder / self.fingerprint / f"{start}-{stop}.h5",
            )
            for start in range(0, max(1, self.n_cells), CELLS_PER_TASK)
            for stop in [min(start + CELLS_PER_TASK, self.n_cells)]
        ]


def _code(code: CodeType) -> list[Any]:
    """What a function does; nested ones by what they do, not by where they lie in memory."""
    return [code.co_code, code.co_names, *map(_constant, code.co_consts)]


def _constant(value: Any) -> Any:
    if isinstance(value, CodeType):
        return _code(value)
    return sorted(map(repr, value)) if isinstance(value, frozenset) else value  # the order of a set is another each run


def _version(address: str) -> tuple[Any, ...]:
    """Size and date of a file, or what its server says instead."""
    with translate_errors(address):
        filesystem, path = fsspec.url_to_fs(address)
        info = filesystem.info(path)
        return tuple(info.get(name) for name in ("size", "mtime", "ETag", "LastModified"))


def cell_file(
    address: Path | str, declared: Pseudobulk, files: Files | None = None, curated: Path | str | None = None
) -> CellFile:
    """Look at a file of cells: its genes and its number of cells.

    Raises:
        PbdbError: it is damaged, or its genes are not what the declaration says.
    """
    with cell_matrix(address, declared.matrix) as matrix:
        table = _gene_table(matrix)
        named = declared.genes(files, table) if declared.genes is not None else _as_named(table)
        if len(named) != len(table):
            raise DataError(
                f"`genes` gives {len(named):,} genes for the {len(table):,} of '{address}', in their order.",
                file=str(address),
            )
        features, genes = _genes(named)
        if declared.filter.malat1 is not None and not (genes.marks & IS_MALAT1).any():
            log.warning("'%s' has no gene MALAT1 (%s): its cells are not filtered by it.", address, MALAT1)
        return CellFile(str(address), declared, features, genes, matrix.shape[0], str(curated) if curated else None)


def _gene_table(matrix: CellMatrix) -> pd.DataFrame:
    with translate_errors(matrix.name):
        columns = {name: matrix.var.column(name) for name in matrix.var.columns}
        return pd.DataFrame(columns).set_axis(pd.Index(matrix.var.names()), axis=0)


def _as_named(table: pd.DataFrame) -> pd.DataFrame:
    symbols = table.get("symbol", table.index)
    return pd.DataFrame({"feature": table.index, "symbol": np.asarray(symbols, dtype=object)})


def _genes(named: pd.DataFrame) -> tuple[npt.NDArray[Any], Genes]:
    features = named["feature"].astype(object).to_numpy()
    pooled = ~pd.isna(features)
    columns = np.where(pooled, np.cumsum(pooled) - 1, -1).astype(np.int32)
    symbols = named["symbol"].astype(object).fillna("").astype(str)
    is_malat1 = [str(name).split(".")[0] == MALAT1 for name in features]
    if not any(is_malat1):
        is_malat1 = (symbols == "MALAT1").tolist()
    marks = IS_MITO * symbols.str.startswith("MT-").to_numpy() + IS_MALAT1 * np.array(is_malat1, dtype=bool)
    marks = np.where(pooled, marks, IS_LEFT_OUT)
    return features[pooled], Genes(columns, marks.astype(np.uint8))


def pool_files(files: Sequence[CellFile], folder: Path, workers: Workers, progress: Progress = silent) -> list[Path]:
    """Pool the cells of files; return where the samples of each are.

    Parts and pooled files that lie in `folder` from an earlier run are not made again.

    Raises:
        PbdbError: any of the tree; what is done stays in `folder`.
    """
    targets = {file.fingerprint: folder / f"{file.fingerprint}.h5" for file in files}
    planned = {file.fingerprint: file.tasks(folder, workers.threads_of_task) for file in files}
    todo = [
        (task, path)
        for key, tasks in planned.items()
        if not targets[key].is_file()
        for task, path in tasks
        if not path.is_file()
    ]
    sizes = {path: task.stop - task.start for task, path in todo}
    total = sum(file.n_cells for file in files)
    done = total - sum(sizes.values())
    for _, path in todo:
        path.parent.mkdir(parents=True, exist_ok=True)
    for path in cluster.each(pool, todo, workers):
        done += sizes[path]
        progress("pool cells", done, total)
        _finish(planned, targets, path.parent.name)
    for key in planned:
        _finish(planned, targets, key)
    return [targets[file.fingerprint] for file in files]


def _finish(planned: Mapping[str, list[tuple[Range, Path]]], targets: Mapping[str, Path], key: str) -> None:
    """Add the parts of a file up, once all are there."""
    parts = [path for _, path in planned[key]]
    if not targets[key].is_file() and all(path.is_file() for path in parts):
        task = planned[key][0][0]
        cell_parts.merge(parts, targets[key], task.declared.order, task.address)
        shutil.rmtree(parts[0].parent)


class Pooled:
    """Blocks of samples for the files of cells of one dataset; all are pooled when the first is asked for."""

    def __init__(
        self, declared: Mapping[str, File], folder: Path, workers: Workers, progress: Progress = silent
    ) -> None:
        self._cells = {key: file.pseudobulk for key, file in declared.items() if file.pseudobulk is not None}
        self._folder, self._workers, self._progress = folder, workers, progress
        self._found: dict[str, tuple[CellFile, Path]] = {}

    def __call__(self, files: Files, key: str) -> Iterator[ProfileBlock]:
        """Samples of one file, some at a time."""
        if not self._found:
            looked_at = {name: self._look(files, name, cells) for name, cells in self._cells.items() if name in files}
            paths = pool_files(list(looked_at.values()), self._folder, self._workers, self._progress)
            self._found = dict(zip(looked_at, zip(looked_at.values(), paths, strict=True), strict=True))
        return blocks(*self._found[key])

    def _look(self, files: Files, key: str, cells: Pseudobulk) -> CellFile:
        curated = files.path(cells.table) if cells.table is not None and cells.table in files else None
        return cell_file(files.path(key), cells, files, curated)


def blocks(file: CellFile, path: Path) -> Iterator[ProfileBlock]:
    """Pooled samples of a file as blocks; the first tells of the cells.

    Raises:
        DataError: no cell was in the cell table.
    """
    with ExitStack() as keep:
        part = cell_parts.opened(path, keep)
        cells, left_out = part.facts.cells, part.facts.left_out
        if cells and part.facts.unnamed == cells:
            raise DataError(
                f"No cell of '{file.address}' is in its cell table: the names of cells differ; see whether both are of "
                "one release.",
                file=file.address,
            )
        unpooled = int((file.genes.columns < 0).sum())
        for samples, sums, expressing in part.blocks():
            yield ProfileBlock(
                samples.drop(columns="n_counts").assign(sample=sample_names(samples, file.declared.keys)),
                sums,
                file.features,
                features_left_out={"not_pooled": unpooled} if unpooled else {},
                cells=cells,
                cells_left_out=left_out,
                expressing=expressing,
            )
            cells, left_out = 0, {}


def pseudobulk(
    addresses: Sequence[Path | str],
    out: Path | str,
    declared: Pseudobulk,
    *,
    workers: Workers | None = None,
    folder: Path | None = None,
    progress: Progress = silent,
) -> CellCounts:
    """Pool cells of files (paths or addresses) to an AnnData file of samples; return cells read and left out.

    X: sums; layer psbulk_props: fraction of cells expressing a gene; obs: keys, constants, psbulk_cells,
    psbulk_counts. A sample in several files is added up. folder: keeps what is done, so that a run that was stopped
    goes on.

    Raises:
        PbdbError: a file is damaged, or holds what cannot be right; `out` is then not written.
    """
    with ExitStack() as keep:
        place = folder or Path(keep.enter_context(tempfile.TemporaryDirectory(dir=Path(out).parent, prefix="pooling-")))
        files = [cell_file(address, declared) for address in addresses]
        for file in files[1:]:
            if not np.array_equal(file.features, files[0].features):
                raise DataError(
                    f"'{file.address}' has other genes than '{files[0].address}': pool them one by one.",
                    file=file.address,
                    value=files[0].address,
                )
        parts = pool_files(files, place, workers or Workers(), progress)
        merged = parts[0]
        if len(parts) > 1:
            merged = place / "all.h5"
            cell_parts.merge(parts, merged, declared.order, " and ".join(map(str, addresses[:2])))
        part = cell_parts.opened(merged, keep)
        write_h5ad(part, files[0].features, declared.keys, Path(out))
        return part.facts
