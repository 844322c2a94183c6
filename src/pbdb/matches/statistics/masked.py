"""Spearman correlation within a row's own genes, against many rows: ranked once, restricted while reading."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from pbdb.common.arrays import Mask
from pbdb.matches.statistics.ranks import Floats, rank_into

# Below one in this many genes it is quicker to sort the few than to walk through the order of all.
FEW = 12


def order_of(values: Floats) -> npt.NDArray[np.int32]:
    """Order of each row's genes, what is missing last; equal ones in any order."""
    return np.argsort(values, axis=1).astype(np.int32)


def spearman_within(
    x: Floats, mask: Mask, y: Floats, paired: bool, order: npt.NDArray[np.int32] | None = None
) -> npt.NDArray[np.float64]:
    """Spearman correlation of x and y over the genes of `mask` that are finite in both.

    x, mask: n x genes; y: n x genes (paired: n values) or m x genes (n x m values). Undefined (NaN) below two genes,
    or where either side's ranks are constant. order: `order_of(y)`, where it is known.
    """
    x64, y64 = (np.ascontiguousarray(values, dtype=np.float64) for values in (x, y))
    within = mask & np.isfinite(x64)
    order = order_of(y64) if order is None else order
    scores = np.asarray(_within(x64, within, y64, order, np.isfinite(y64), paired))
    return scores[:, 0] if paired else scores


@njit(parallel=True, cache=True)  # type: ignore[untyped-decorator]
def _within(
    x: Floats, mask: Mask, y: Floats, order: npt.NDArray[np.int32], finite: Mask, paired: bool
) -> npt.NDArray[np.float64]:  # pragma: no cover - compiled
    n, m = len(x), 1 if paired else len(y)
    scores = np.full((n, m), np.nan)
    for i in prange(n):
        genes = np.flatnonzero(mask[i])
        if len(genes) >= 2:
            weights, size = _centred_ranks(x[i], genes)
            for k in range(m):
                j = np.int64(i) if paired else np.int64(k)
                if not np.all(finite[j][genes]):
                    scores[i, k] = _over_common(x[i], y[j], genes, finite[j])
                elif size > 0 and len(genes) * FEW < len(mask[i]):
                    scores[i, k] = _by_sorting(weights, size, y[j], genes)
                elif size > 0:
                    scores[i, k] = _by_walking(weights, size, y[j], order[j], mask[i])
    return scores


@njit(cache=True)  # type: ignore[untyped-decorator]
def _centred_ranks(
    x: Floats, genes: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], float]:  # pragma: no cover - compiled
    """Centred ranks of x at the genes (0 elsewhere), and their sum of squares."""
    ranks = np.empty(len(genes))
    rank_into(x[genes], ranks)
    centred = np.zeros(len(x))
    size = 0.0
    middle = 0.5 * (len(genes) + 1)
    for place in range(len(genes)):
        centred[genes[place]] = ranks[place] - middle
        size += (ranks[place] - middle) ** 2
    return centred, size


@njit(cache=True)  # type: ignore[untyped-decorator]
def _by_walking(
    weights: Floats, size: float, y: Floats, order: npt.NDArray[np.int32], mask: Mask
) -> float:  # pragma: no cover - compiled
    """Correlation of centred ranks with the ranks of y within the mask, read off y's order over all genes."""
    # rho = sum (r_x - mean) r_y / sqrt(sum (r_x - mean)^2 sum (r_y - mean)^2): as the ranks of x are centred, those of
    # y need not be. Equal values of y come as a run and share the mean of its ranks, seen + (run + 1) / 2.
    dot, square, total, seen = 0.0, 0.0, 0.0, 0
    run, run_weight, last = 0, 0.0, np.nan
    for place in range(len(order)):
        gene = order[place]
        if mask[gene]:
            if run > 0 and y[gene] != last:
                rank = seen + 0.5 * (run + 1)
                dot += rank * run_weight
                square += run * rank * rank
                seen += run
                run, run_weight = 0, 0.0
            last = y[gene]
            run += 1
            run_weight += weights[gene]
    rank = seen + 0.5 * (run + 1)
    dot += rank * run_weight
    square += run * rank * rank
    seen += run
    # sum (r_y - mean)^2 = sum r_y^2 - n mean^2: whole and half numbers, exact; the least that is not 0 is 0.5.
    total = square - seen * (0.5 * (seen + 1)) ** 2
    return dot / np.sqrt(size * total) if total > 0.25 else np.nan


@njit(cache=True)  # type: ignore[untyped-decorator]
def _by_sorting(
    weights: Floats, size: float, y: Floats, genes: npt.NDArray[np.int64]
) -> float:  # pragma: no cover - compiled
    ranks = np.empty(len(genes))
    rank_into(y[genes], ranks)
    middle = 0.5 * (len(genes) + 1)
    dot, total = 0.0, 0.0
    for place in range(len(genes)):
        dot += weights[genes[place]] * ranks[place]
        total += (ranks[place] - middle) ** 2
    return dot / np.sqrt(size * total) if total > 0 else np.nan


@njit(cache=True)  # type: ignore[untyped-decorator]
def _over_common(
    x: Floats, y: Floats, genes: npt.NDArray[np.int64], finite: Mask
) -> float:  # pragma: no cover - compiled
    common = genes[finite[genes]]
    if len(common) < 2:
        return np.nan
    weights, size = _centred_ranks(x, common)
    return _by_sorting(weights, size, y, common) if size > 0 else np.nan
