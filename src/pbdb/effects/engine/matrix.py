"""Read a samples x genes matrix in dense blocks: by genes in the order of the design, or by samples.

Sparse counts are held by gene. CSC is used as it is; CSR is copied once, into small integers (4 bytes a count up
to 65,535 samples and counts). Blocks are float64 and small: nothing of size samples x genes is dense in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, prange
from scipy import sparse

from pbdb.common.arrays import Floats, Floats32, Ints, check_columns
from pbdb.common.errors import DataError
from pbdb.effects.engine.checks import check_counts, check_intensities
from pbdb.effects.options import Readout

BLOCK_BYTES = 48 * 2**20
SQUARE = 64
HELD_BYTES = 384 * 2**20


@dataclass(frozen=True)
class Dense:
    """A NumPy array, samples x genes."""

    values: npt.NDArray[Any]

    @property
    def shape(self) -> tuple[int, int]:
        """Samples and genes."""
        return self.values.shape[0], self.values.shape[1]

    def genes(self, genes: Ints, samples: Ints) -> Floats:
        """Return the values of `genes` (rows) in `samples` (columns)."""
        return np.ascontiguousarray(self.values[np.ix_(samples, genes)].T, dtype=np.float64)

    def samples(self, start: int, stop: int, genes: Ints) -> Floats:
        """Return the values of samples `start` to `stop` (rows) in `genes` (columns)."""
        return np.ascontiguousarray(self.values[start:stop, genes], dtype=np.float64)

    def totals(self) -> Floats:
        """Sum each sample over all genes."""
        return np.asarray(self.values.sum(axis=1, dtype=np.float64))

    def only(self, genes: Ints) -> Dense:
        """Return the matrix of these genes, a copy."""
        return Dense(np.ascontiguousarray(self.values[:, genes]))


@dataclass(frozen=True)
class Columns:
    """A sparse matrix by gene: the values of gene g are data[indptr[g]:indptr[g + 1]], samples rising."""

    data: npt.NDArray[Any]
    indices: npt.NDArray[Any]
    indptr: npt.NDArray[Any]
    shape: tuple[int, int]

    def genes(self, genes: Ints, samples: Ints) -> Floats:
        """Return the values of `genes` (rows) in `samples` (columns)."""
        position = np.full(self.shape[0], -1)
        position[samples] = np.arange(len(samples))
        block = np.zeros((len(genes), len(samples)))
        _scatter_genes(self.data, self.indices, self.indptr, genes, position, block)
        return block

    def samples(self, start: int, stop: int, genes: Ints) -> Floats:
        """Return the values of samples `start` to `stop` (rows) in `genes` (columns)."""
        block = np.zeros((stop - start, len(genes)))
        _scatter_samples(self.data, self.indices, self.indptr, genes, start, block)
        return block

    def totals(self) -> Floats:
        """Sum each sample over all genes."""
        total = np.zeros(self.shape[0])
        _add_up(self.data, self.indices, total)
        return total

    def only(self, genes: Ints) -> Columns:
        """Return the matrix of these genes, a copy; of arrays that map files nothing else is read."""
        spans = [slice(self.indptr[gene], self.indptr[gene + 1]) for gene in genes]
        ends = np.cumsum([0, *(span.stop - span.start for span in spans)])
        data, indices = (np.empty(ends[-1], values.dtype) for values in (self.data, self.indices))
        for span, start, stop in zip(spans, ends[:-1], ends[1:], strict=True):
            data[start:stop], indices[start:stop] = self.data[span], self.indices[span]
        return Columns(data, indices, ends, (self.shape[0], len(genes)))


Matrix = Dense | Columns


def wrap(values: Any, readout: Readout) -> Matrix:
    """Check a dense or sparse samples x genes matrix and make it readable by gene.

    Raises:
        DataError: not a numeric matrix, without samples or genes, or values that contradict the readout.
    """
    if isinstance(values, Columns):
        return values
    matrix: Any = values if sparse.issparse(values) else np.asarray(values)
    if matrix.ndim != 2 or 0 in matrix.shape or matrix.dtype.kind not in "iufb":
        raise DataError(f"The matrix has shape {matrix.shape} and type {matrix.dtype}; give numbers, samples x genes.")
    if sparse.issparse(matrix) and matrix.format == "csr" and readout == "counts":
        return gather(lambda: [matrix])
    columns = _by_gene(matrix) if sparse.issparse(matrix) else None
    (check_counts if readout == "counts" else check_intensities)(matrix if columns is None else columns.data)
    return columns or Dense(matrix)


def _by_gene(matrix: Any) -> Columns:
    by_gene = _without_duplicates(matrix.tocsc())
    return Columns(by_gene.data, by_gene.indices, by_gene.indptr, by_gene.shape)


def _without_duplicates(matrix: Any) -> Any:
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return matrix


def gather(chunks: Callable[[], Iterable[Any]]) -> Columns:
    """Gather counts from CSR chunks of consecutive samples, of which only HELD_BYTES are ever held together.

    Where they are more, `chunks` is called twice (to count, then to fill) and must yield the same chunks both times.

    Raises:
        DataError: values that cannot be counts.
    """
    held = _Held()
    per_gene, n_samples, largest = _measure(map(held.add, chunks()))
    indptr = np.concatenate([[0], np.cumsum(per_gene)])
    data: npt.NDArray[Any] = np.empty(indptr[-1], _whole_type(largest))
    indices = np.empty(indptr[-1], np.uint16 if n_samples <= 2**16 else np.int32)
    place, start = indptr[:-1].copy(), 0
    for chunk in map(_without_duplicates, chunks() if held.chunks is None else held.chunks):
        _fill(chunk.data, chunk.indices, chunk.indptr, start, place, data, indices)
        start += chunk.shape[0]
    return Columns(data, indices, indptr, (n_samples, len(per_gene)))


class _Held:
    """Chunks that have been read; None as soon as they are too large to be held together."""

    def __init__(self) -> None:
        self.chunks: list[Any] | None = []
        self._n_bytes = 0

    def add(self, chunk: Any) -> Any:
        """Return the chunk as it is."""
        self._n_bytes += chunk.data.nbytes + chunk.indices.nbytes
        self.chunks = None if self.chunks is None or self._n_bytes > HELD_BYTES else [*self.chunks, chunk]
        return chunk


def _measure(chunks: Iterable[Any]) -> tuple[Ints, int, float]:
    """Return stored values by gene, samples, and the largest count."""
    per_gene, n_samples, largest = np.zeros(0, np.int64), 0, 0.0
    for chunk in map(_without_duplicates, chunks):
        check_counts(chunk.data)
        check_columns(chunk.indices, chunk.shape[1])
        per_gene = per_gene if n_samples else np.zeros(chunk.shape[1], np.int64)
        _count_genes(chunk.indices, per_gene)
        n_samples += chunk.shape[0]
        largest = max(largest, float(chunk.data.max()) if len(chunk.data) else 0.0)
    return per_gene, n_samples, largest


def _whole_type(largest: float) -> npt.DTypeLike:
    return np.uint16 if largest < 2**16 else np.uint32 if largest < 2**32 else np.float64


def transposed(values: npt.NDArray[np.floating]) -> Floats32:
    """Return a matrix turned over, as float32: by small squares, which stay in the processor's cache."""
    out = np.empty(values.shape[::-1], np.float32)
    _transpose(np.asarray(values), out)
    return out


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _transpose(values: npt.NDArray[np.floating], out: Floats32) -> None:
    n_rows, n_columns = values.shape
    for square in prange((n_columns + SQUARE - 1) // SQUARE):
        first, last = square * SQUARE, min(square * SQUARE + SQUARE, n_columns)
        for top in range(0, n_rows, SQUARE):
            for row in range(top, min(top + SQUARE, n_rows)):
                for column in range(first, last):
                    out[column, row] = values[row, column]


def genes_per_block(n_samples: int) -> int:
    """Return how many genes of n_samples float64 values fit one block."""
    return int(np.clip(BLOCK_BYTES // (8 * max(1, n_samples)), 16, 2048))


def gene_blocks(genes: Ints, size: int) -> Iterator[slice]:
    """Cut a list of genes into consecutive slices."""
    for start in range(0, len(genes), size):
        yield slice(start, min(start + size, len(genes)))


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _scatter_genes(data: Any, indices: Any, indptr: Any, genes: Ints, position: Ints, block: Floats) -> None:
    for g in prange(len(genes)):
        for k in range(indptr[genes[g]], indptr[genes[g] + 1]):
            column = position[indices[k]]
            if column >= 0:
                block[g, column] = data[k]


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _scatter_samples(data: Any, indices: Any, indptr: Any, genes: Ints, start: int, block: Floats) -> None:
    stop = start + len(block)
    for g in prange(len(genes)):
        first, last = indptr[genes[g]], indptr[genes[g] + 1]
        k = first + np.searchsorted(indices[first:last], start)
        while k < last and indices[k] < stop:
            block[indices[k] - start, g] = data[k]
            k += 1


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _add_up(data: Any, indices: Any, total: Floats) -> None:
    for k in range(len(data)):
        total[indices[k]] += data[k]


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _count_genes(genes: Any, per_gene: Ints) -> None:
    for k in range(len(genes)):
        per_gene[genes[k]] += 1


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _fill(chunk: Any, genes: Any, indptr: Any, start: int, place: Ints, data: Any, indices: Any) -> None:
    """Append the rows of a CSR chunk to the columns; `place` is where each gene goes on."""
    for row in range(len(indptr) - 1):
        for k in range(indptr[row], indptr[row + 1]):
            gene = genes[k]
            data[place[gene]] = chunk[k]
            indices[place[gene]] = start + row
            place[gene] += 1
