"""Profiles of many wells over few genes, read block by block: what the pictures and tests of a page need of a matrix.

Counts become log2 counts per million with a prior count in proportion to the library (as limma-trend has it);
intensities stay as they are. The genes are the most variable ones of those highly expressed, chosen on wells spread
evenly over the matrix: low counts would add noise only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from pbdb.common.arrays import Floats, Floats32, Ints, Mask

Read = Callable[[Ints], Any]
"""Rows (ascending) of the matrix to samples x genes, CSR or dense."""

WELLS_THAT_CHOOSE = 2000
GENES_HIGH = 2000
GENES = 500
VALUES_AT_ONCE = 1 << 22
ROWS_AT_ONCE = 4096
PRIOR = 2.0


@dataclass(frozen=True)
class Profiles:
    """By well: total counts (NaN for intensities), genes detected, and values over `genes` (NaN where unusable)."""

    total: Floats
    detected: Ints
    genes: Ints
    values: Floats32


def read(read_rows: Read, shape: tuple[int, int], readout: str, usable: Mask | None = None) -> Profiles:
    """Read the profiles of a matrix, samples x genes; `usable` wells choose the genes and have values."""
    n_wells, n_genes = shape
    # Counts are sparse until genes are chosen: few large blocks, for rows of a matrix by columns are costly to find.
    step = ROWS_AT_ONCE if readout == "counts" else _step(n_genes)
    total, detected = np.full(n_wells, np.nan), np.zeros(n_wells, np.int64)
    for rows in _blocks(np.arange(n_wells), step):
        block = read_rows(rows)
        detected[rows] = _detected(block)
        if readout == "counts":
            total[rows] = np.asarray(block.sum(axis=1)).ravel()
    fit = np.ones(n_wells, bool) if usable is None else usable
    if readout == "counts":
        fit = fit & (total > 0)
    wells = np.flatnonzero(fit)
    genes = _choose(read_rows, wells, n_genes, total)
    values = np.full((n_wells, len(genes)), np.nan, np.float32)
    for rows in _blocks(wells, step):
        values[rows] = _logged(_dense(read_rows(rows)[:, genes]), total[rows], total[wells])
    return Profiles(total, detected, genes, values)


def _step(n_genes: int) -> int:
    return max(1, VALUES_AT_ONCE // max(1, n_genes))


def _blocks(rows: Ints, step: int) -> Iterator[Ints]:
    return (rows[start : start + step] for start in range(0, len(rows), step))


def _choose(read_rows: Read, wells: Ints, n_genes: int, total: Floats) -> Ints:
    """Positions of the GENES most variable genes of the GENES_HIGH most expressed ones."""
    some = wells[:: max(1, -(-len(wells) // WELLS_THAT_CHOOSE))]
    sums, squares, known = np.zeros(n_genes), np.zeros(n_genes), np.zeros(n_genes)
    for rows in _blocks(some, _step(n_genes)):
        values = _logged(_dense(read_rows(rows)), total[rows], total[wells])
        is_known = ~np.isnan(values)
        values = np.where(is_known, values, 0.0)
        known += is_known.sum(axis=0)
        sums += values.sum(axis=0)
        squares += (values**2).sum(axis=0)
    mean = sums / np.maximum(known, 1)
    variance = squares / np.maximum(known, 1) - mean**2
    mean[known < len(some) / 2] = -np.inf
    high = np.argsort(-mean, kind="stable")[:GENES_HIGH]
    high = high[np.isfinite(mean[high]) & (variance[high] > 0)]
    return np.sort(high[np.argsort(-variance[high], kind="stable")[:GENES]])


def _detected(block: Any) -> npt.NDArray[Any]:
    if sp.issparse(block):
        return np.asarray((block > 0).sum(axis=1)).ravel()
    return np.asarray((~np.isnan(block)).sum(axis=1) if np.isnan(block).any() else (block > 0).sum(axis=1))


def _dense(block: Any) -> Floats:
    return np.asarray(block.toarray() if sp.issparse(block) else block, dtype=np.float64)


def _logged(block: Floats, total: Floats, of_all: Floats) -> Floats:
    """Values as they are compared; counts by the mean library of all wells."""
    if np.isnan(total).all():
        return block
    prior = PRIOR * total / of_all.mean()
    return np.asarray(np.log2((block + prior[:, None]) / (total + 2 * prior)[:, None] * 1e6))
