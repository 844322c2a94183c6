"""Read a samples x genes matrix in dense blocks: by genes in the order of the design, or by samples.

A sparse matrix is read column by column (CSC); CSR is converted once, which needs a second copy of it.
Blocks are float64 and small; nothing of size samples x genes is ever dense in float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, prange
from scipy import sparse

from pbdb.errors import DataError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BLOCK_BYTES = 48 * 2**20


@dataclass(frozen=True)
class Matrix:
    """A samples x genes matrix (NumPy array or CSC with sorted indices)."""

    values: Any

    @property
    def shape(self) -> tuple[int, int]:
        """Samples and genes."""
        n, m = self.values.shape
        return int(n), int(m)

    @property
    def is_sparse(self) -> bool:
        """Whether zeros are left out of storage."""
        return bool(sparse.issparse(self.values))

    def genes(self, genes: Ints, samples: Ints) -> Floats:
        """Return the values of `genes` (rows) in `samples` (columns)."""
        if not self.is_sparse:
            return np.ascontiguousarray(self.values[np.ix_(samples, genes)].T, dtype=np.float64)
        position = np.full(self.shape[0], -1)
        position[samples] = np.arange(len(samples))
        block = np.zeros((len(genes), len(samples)))
        _scatter_genes(self.values.data, self.values.indices, self.values.indptr, genes, position, block)
        return block

    def samples(self, start: int, stop: int, genes: Ints) -> Floats:
        """Return the values of samples `start` to `stop` (rows) in `genes` (columns)."""
        if not self.is_sparse:
            return np.ascontiguousarray(self.values[start:stop, genes], dtype=np.float64)
        block = np.zeros((stop - start, len(genes)))
        _scatter_samples(self.values.data, self.values.indices, self.values.indptr, genes, start, block)
        return block

    def stored(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the stored values in pieces, each a flat array."""
        flat = self.values.data if self.is_sparse else self.values
        step = max(1, BLOCK_BYTES // (8 * max(1, flat[:1].size)))
        for start in range(0, len(flat), step):
            yield np.asarray(flat[start : start + step]).ravel()

    def totals(self) -> Floats:
        """Sum each sample over all genes."""
        if self.is_sparse:
            return np.asarray(self.values.sum(axis=1, dtype=np.float64)).ravel()
        return np.asarray(self.values.sum(axis=1, dtype=np.float64))


def wrap(values: Any) -> Matrix:
    """Wrap a dense or sparse samples x genes matrix.

    Raises:
        DataError: not a numeric matrix of two dimensions, or without samples or genes.
    """
    if isinstance(values, Matrix):
        return values
    if sparse.issparse(values):
        matrix = values.tocsc()
        matrix = matrix if matrix.has_canonical_format else _canonical(matrix)
    else:
        matrix = np.asarray(values)
    if matrix.ndim != 2 or 0 in matrix.shape or matrix.dtype.kind not in "iufb":
        raise DataError(f"The matrix has shape {matrix.shape} and type {matrix.dtype}; give numbers, samples x genes.")
    return Matrix(matrix)


def _canonical(matrix: Any) -> Any:
    matrix = matrix.copy()
    matrix.sum_duplicates()
    return matrix


def genes_per_block(n_samples: int) -> int:
    """Return how many genes of n_samples float64 values fit one block."""
    return int(np.clip(BLOCK_BYTES // (8 * max(1, n_samples)), 16, 2048))


def gene_blocks(genes: Ints, size: int) -> Iterator[slice]:
    """Cut a list of genes into consecutive slices."""
    for start in range(0, len(genes), size):
        yield slice(start, min(start + size, len(genes)))


@njit(parallel=True, cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _scatter_genes(data: Any, indices: Any, indptr: Any, genes: Ints, position: Ints, block: Floats) -> None:
    for g in prange(len(genes)):
        for k in range(indptr[genes[g]], indptr[genes[g] + 1]):
            column = position[indices[k]]
            if column >= 0:
                block[g, column] = data[k]


@njit(parallel=True, cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _scatter_samples(data: Any, indices: Any, indptr: Any, genes: Ints, start: int, block: Floats) -> None:
    stop = start + len(block)
    for g in prange(len(genes)):
        first, last = indptr[genes[g]], indptr[genes[g] + 1]
        k = first + np.searchsorted(indices[first:last], start)
        while k < last and indices[k] < stop:
            block[indices[k] - start, g] = data[k]
            k += 1
