"""Canonical sample matrices: AnnData files written row block by row block and read back by rows."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from pbdb.common.errors import DataError
from pbdb.common.output_files import Unfinished
from pbdb.identity.genes.columns import moved
from pbdb.readers.blocks import Stretches
from pbdb.samples.packed_array import THREADS, PackedArray

ROWS_PER_CHUNK = 1024
DENSE_CHUNK = (512, 256)
# Rows of counts so far apart are read apart: as many hold more values than a chunk of the file.
NEAR_ROWS = 64
SPARE_BYTES = 4 << 20
MAX_COUNT = np.iinfo(np.int32).max
FRACTIONS = "psbulk_props"


class Writer:
    """Write samples x genes to an AnnData file (h5ad), a block of rows at a time.

    Counts are stored as CSR (int32), intensities as a dense float32 matrix. Blocks may bring their genes in any
    order: columns are given out in the order in which genes first appear; a gene a block lacks is 0 there, or NaN
    in intensities. Of pooled cells a layer has the fraction expressing a gene. The file gets its name only when
    `finish` has written all of it.
    """

    def __init__(self, path: Path, *, dense: bool):
        self._unfinished = Unfinished(path)
        self._need_room(0)
        self._file = h5py.File(self._unfinished.path, "w")
        self._columns: dict[int, int] = {}
        self._before: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]] | None = None
        self._indptr: list[npt.NDArray[np.int64]] = [np.zeros(1, dtype=np.int64)]
        self._shares: PackedArray | None = None
        self._dense = dense
        self.n_rows = 0
        if dense:
            self._file.create_dataset("X", (0, 0), "f4", chunks=DENSE_CHUNK, maxshape=(None, None), fillvalue=np.nan)
        else:
            group = self._file.create_group("X")
            self._values, self._indices = (PackedArray(group, name, "i4") for name in ("data", "indices"))

    def add(
        self,
        matrix: sp.csr_matrix | npt.NDArray[Any],
        gene_keys: npt.NDArray[np.int32],
        fractions: sp.csr_matrix | None = None,
    ) -> None:
        """Append rows; gene_keys names the columns of this block. fractions: with values where the counts have them.

        Raises:
            DataError: a count does not fit 32 bits.
            OSError: the disk has no room for it.
        """
        block = np.asarray(matrix, dtype=np.float32) if self._dense else sp.csr_matrix(matrix)
        self._need_room(_size(block))
        columns = self._columns_of(gene_keys)
        if self._dense:
            self._add_dense(block, columns)
        else:
            self._add_sparse(block, columns, fractions)
        self.n_rows += matrix.shape[0]

    def _columns_of(self, gene_keys: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Columns of genes, new ones at the end; blocks mostly have the genes of the one before."""
        if self._before is None or not np.array_equal(gene_keys, self._before[0]):
            columns = [self._columns.setdefault(int(key), len(self._columns)) for key in gene_keys]
            self._before = gene_keys, np.array(columns, dtype=np.int32)
        return self._before[1]

    def _add_dense(self, matrix: npt.NDArray[np.float32], columns: npt.NDArray[np.int32]) -> None:
        values = self._file["X"]
        values.resize((self.n_rows + len(matrix), len(self._columns)))
        rows = np.full((len(matrix), len(self._columns)), np.nan, dtype=np.float32)
        rows[:, columns] = matrix
        values[self.n_rows :] = rows

    def _add_sparse(
        self, matrix: sp.csr_matrix, columns: npt.NDArray[np.int32], fractions: sp.csr_matrix | None
    ) -> None:
        if matrix.nnz and matrix.data.max() > MAX_COUNT:
            raise DataError(
                f"A count of {matrix.data.max()} is larger than {MAX_COUNT}: these are not counts of reads."
            )
        placed = _placed(matrix, columns, len(self._columns))
        start = len(self._values)
        self._values.extend(placed.data)
        self._indices.extend(placed.indices)
        self._indptr.append(placed.indptr[1:].astype(np.int64) + start)
        if fractions is not None:
            self._add_fractions(_placed(fractions, columns, len(self._columns)).data, start)

    def _add_fractions(self, values: npt.NDArray[np.float32], start: int) -> None:
        """Append fractions to those of all values before, missing where a block had none."""
        if self._shares is None:
            self._shares = PackedArray(self._file, FRACTIONS, "f4", start, np.nan)
        self._shares.extend(np.full(start - len(self._shares), np.nan, dtype=np.float32))
        self._shares.extend(values)

    @property
    def gene_keys(self) -> npt.NDArray[np.int32]:
        """Genes of the columns written so far."""
        return np.fromiter(self._columns, dtype=np.int32, count=len(self._columns))

    def finish(self, obs: pd.DataFrame, var: pd.DataFrame, uns: Mapping[str, str]) -> None:
        """Write the annotations, close the file and give it its name."""
        from anndata.io import write_elem

        self._need_room(2 * int(obs.memory_usage(deep=True).sum() + var.memory_usage(deep=True).sum()))
        if self._dense:
            self._file["X"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        else:
            group = self._file["X"]
            for array in (self._values, self._indices):
                array.finish()
            starts = np.concatenate(self._indptr)
            group.create_dataset("indptr", data=starts.astype(sp.get_index_dtype(maxval=int(starts[-1]))))
            self._mark_sparse(group)
        self._file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        for name, content in (("obs", obs), ("var", var), ("uns", uns), ("layers", {}), ("obsm", {}), ("varm", {})):
            write_elem(self._file, name, content)
        self._name_layer()
        self._file.close()
        self._unfinished.finish()

    def _mark_sparse(self, group: h5py.Group) -> None:
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        group.attrs["shape"] = np.array([self.n_rows, len(self._columns)])

    def _name_layer(self) -> None:
        """Make the fractions a layer; its places of values are those of X, by hard links."""
        if self._shares is not None:
            self._shares.finish()
            layer = self._file["layers"].create_group(FRACTIONS)
            self._file.move(FRACTIONS, f"layers/{FRACTIONS}/data")
            for name in ("indices", "indptr"):
                layer[name] = self._file["X"][name]
            self._mark_sparse(layer)

    def abandon(self) -> None:
        """Close and remove what was written so far."""
        with suppress(OSError, RuntimeError):
            self._file.close()
        self._unfinished.abandon()

    def _need_room(self, n_bytes: int) -> None:
        """Stop while there is room: HDF5 writes late, and a disk that is full then leaves it unable to close a file."""
        if shutil.disk_usage(self._unfinished.path.parent).free < n_bytes + SPARE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._unfinished.path))


def _placed(matrix: sp.csr_matrix, columns: npt.NDArray[np.int32], n_columns: int) -> sp.csr_matrix:
    """The same values in other columns, ascending, without zeros."""
    if matrix.has_sorted_indices and (np.diff(columns) > 0).all() and matrix.data.all():
        return sp.csr_matrix((matrix.data, columns[matrix.indices], matrix.indptr), (matrix.shape[0], n_columns))
    return moved(matrix, columns, n_columns)


def _size(block: sp.csr_matrix | npt.NDArray[np.float32]) -> int:
    """Bytes on disk that a block may take, before compression."""
    if not isinstance(block, np.ndarray):
        return 8 * int(block.nnz)
    return 4 * (len(block) + DENSE_CHUNK[0]) * (int(block.shape[1]) + DENSE_CHUNK[1])


def read_annotations(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read obs and var of a canonical file; the matrix is not touched."""
    from anndata.io import read_elem

    with h5py.File(path) as file:
        return read_elem(file["obs"]), read_elem(file["var"])


def read_rows(path: Path, rows: npt.NDArray[np.intp]) -> sp.csr_matrix | npt.NDArray[np.float32]:
    """Read some samples (ascending positions): CSR of int32 counts, or dense float32 intensities."""
    with h5py.File(path) as file:
        matrix = file["X"]
        if isinstance(matrix, h5py.Dataset):
            return _dense_rows(matrix, rows)
        return sp.vstack([sp.csr_matrix((0, int(matrix.attrs["shape"][1])), dtype=np.int32), *count_chunks(path, rows)])


def is_dense(path: Path) -> bool:
    """Whether a canonical file holds intensities."""
    with h5py.File(path) as file:
        return isinstance(file["X"], h5py.Dataset)


def count_chunks(path: Path, rows: npt.NDArray[np.intp]) -> Iterator[sp.csr_matrix]:
    """Read the counts of some samples (ascending positions) as CSR, a thousand samples at a time."""
    with h5py.File(path) as file, ThreadPoolExecutor(THREADS) as pool:
        group = file["X"]
        indptr, n_genes = group["indptr"][:].astype(np.int64), int(group.attrs["shape"][1])
        arrays = [Stretches(group[name], pool) for name in ("data", "indices")]
        for some in _stretches(rows, ROWS_PER_CHUNK):
            wanted = rows[some]
            near = [_values(arrays, indptr, wanted[piece]) for piece in _stretches(wanted, NEAR_ROWS)]
            data, indices = (_joined([run for piece in runs for run in piece]) for runs in zip(*near, strict=True))
            ends = np.concatenate(([0], np.cumsum(indptr[wanted + 1] - indptr[wanted])))
            yield sp.csr_matrix((data, indices, ends), (len(wanted), n_genes))


def _values(arrays: Sequence[Stretches], indptr: npt.NDArray[np.int64], rows: npt.NDArray[np.intp]) -> list[list[Any]]:
    """Counts and columns of some rows that lie near each other, by runs, from one reading of all between them."""
    low, high = int(indptr[rows[0]]), int(indptr[rows[-1] + 1])
    runs = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    spans = [slice(indptr[run[0]] - low, indptr[run[-1] + 1] - low) for run in runs]
    return [[values[span] for span in spans] for values in (array.read(low, high) for array in arrays)]


def _joined(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _dense_rows(matrix: h5py.Dataset, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
    dense = np.empty((len(rows), matrix.shape[1]), dtype=np.float32)
    for some in _stretches(rows, DENSE_CHUNK[0]):
        wanted = rows[some]
        dense[some] = matrix[wanted[0] : wanted[-1] + 1][wanted - wanted[0]]
    return dense


def _stretches(rows: npt.NDArray[np.intp], apart: int) -> Iterator[slice]:
    """Slices of rows that lie within ROWS_PER_CHUNK rows of the file, each less than `apart` from the next."""
    cuts = np.flatnonzero((np.diff(rows // ROWS_PER_CHUNK) > 0) | (np.diff(rows) >= apart)) + 1
    return (slice(first, last) for first, last in pairwise(dict.fromkeys((0, *cuts.tolist(), len(rows)))))
