"""Average ranks of rows, and rows scaled so that a correlation is a product."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from numba import njit, prange

Floats = npt.NDArray[np.floating[Any]]
Kind = Literal["spearman", "pearson", "cosine"]
# A row whose spread is rounding error beside its size is constant.
FLAT = 1e-12


def average_ranks(values: Floats) -> npt.NDArray[np.float64]:
    """Rank each row from 1 among its finite values, ties by their average; NaN where not finite."""
    return np.asarray(_rank_rows(np.ascontiguousarray(values)))


def unit_rows(values: Floats, kind: Kind) -> npt.NDArray[np.float64]:
    """Scale rows so that the product of two is their Spearman or Pearson correlation, or cosine.

    values: rows x genes without NaN. A constant row (cosine: a row of zeros) becomes NaN, its correlation undefined.
    """
    rows = average_ranks(values) if kind == "spearman" else np.asarray(values, dtype=np.float64)
    if rows.shape[1] == 0:
        return np.full(rows.shape, np.nan)
    # u = (x - mean) / |x - mean| (cosine: x / |x|; Spearman: of ranks), so that <u, v> is the coefficient.
    size = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    if kind != "cosine":
        rows = rows - rows.mean(axis=1, keepdims=True)
    norm = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    norm[norm <= FLAT * size] = np.nan
    scaled: npt.NDArray[np.float64] = rows / norm[:, None]
    return scaled


@njit(cache=True)  # type: ignore[untyped-decorator]
def rank_into(values: Floats, ranks: Floats) -> None:  # pragma: no cover - compiled
    """Write the average ranks of finite values into `ranks`."""
    order = np.argsort(values)
    start = 0
    # A run of equal values at places start + 1 .. end gets their mean, (start + 1 + end) / 2.
    while start < len(values):
        end = start + 1
        while end < len(values) and values[order[end]] == values[order[start]]:
            end += 1
        for place in range(start, end):
            ranks[order[place]] = 0.5 * (start + 1 + end)
        start = end


@njit(parallel=True, cache=True)  # type: ignore[untyped-decorator]
def _rank_rows(values: Floats) -> npt.NDArray[np.float64]:  # pragma: no cover - compiled
    ranks = np.full(values.shape, np.nan)
    for row in prange(values.shape[0]):
        finite = np.flatnonzero(np.isfinite(values[row]))
        of_finite = np.empty(len(finite))
        rank_into(values[row][finite], of_finite)
        for place in range(len(finite)):
            ranks[row, finite[place]] = of_finite[place]
    return ranks
