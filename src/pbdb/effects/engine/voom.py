"""voom: log counts per million and the precision weight of each of them (Law et al. 2014, Genome Biology 15:R29)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from pbdb.common.arrays import Floats, Ints
from pbdb.effects.engine.design import Design, Layout
from pbdb.effects.engine.lowess import lowess_knots
from pbdb.effects.engine.unweighted import SharedFit
from pbdb.effects.options import Span, choose_span

_LOG2_MILLION = float(np.log2(1e6))
_LOG2_HALVES = np.log2(np.arange(4096) + 0.5)
_BINS = 4096
_LEAST = 1e-24


def log_cpm(counts: Floats, library: Floats) -> Floats:
    """Replace counts (genes x samples) by log2((count + 0.5) / (library + 1) x 1e6)."""
    _log_cpm(counts, _LOG2_MILLION - np.log2(library + 1.0), _LOG2_HALVES)
    return counts


def log_cpm_prior(counts: Floats, library: Floats, prior: float = 2.0) -> Floats:
    """Return log2 counts per million with a prior count in proportion to the library (for limma-trend)."""
    prior_count = prior * library / library.mean()
    return np.asarray(np.log2((counts + prior_count) / (library + 2 * prior_count) * 1e6))


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _log_cpm(counts: Floats, offset: Floats, table: Floats) -> None:
    """Counts are small whole numbers: log2(count + 0.5) from a table saves most of the logarithms."""
    for g in prange(len(counts)):
        for s in range(counts.shape[1]):
            count = counts[g, s]
            log2 = table[int(count)] if count < len(table) else np.log2(count + 0.5)
            counts[g, s] = log2 + offset[s]


@dataclass(frozen=True)
class Curve:
    """The trend of sqrt(sigma) over log2 count: straight lines between (x, y), flat outside.

    `bin_start` holds, for equal bins of x, the segment where each bin begins.
    """

    x: Floats
    y: Floats
    bin_start: Ints

    @classmethod
    def through(cls, x: Floats, y: Floats) -> Curve:
        """Draw the curve through points with rising x."""
        edges = np.linspace(x[0], x[-1], _BINS + 1)
        start = np.maximum(np.searchsorted(x, edges[:-1], side="right") - 1, 0)
        return cls(x, y, start)


def trend(ave_expr: Floats, sigma: Floats, detected: npt.NDArray[np.bool_], library: Floats, span: Span) -> Curve:
    """Smooth sqrt(sigma) over mean log2 count; genes without any count (not `detected`) are left out."""
    level = ave_expr + np.log2(library + 1.0).mean() - _LOG2_MILLION
    x, y = level[detected], np.sqrt(sigma[detected])
    return Curve.through(*lowess_knots(x, y, choose_span(span, len(sigma))))


def weights(fit: SharedFit, design: Design, library: Floats, curve: Curve) -> Floats:
    """Return the weight of each value (genes x samples): curve(log2 of the fitted count)^-4."""
    w = np.empty((len(fit.mean), design.n_samples))
    offset = np.log2(library + 1.0) - _LOG2_MILLION
    _weights(fit.mean, fit.plate, design.layout, offset, curve.x, curve.y, curve.bin_start, w)
    return w


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _weights(
    mean: Floats, plate: Floats, layout: Layout, offset: Floats, x: Floats, y: Floats, start: Ints, w: Floats
) -> None:
    """Law et al. 2014 (Genome Biology 15:R29): weight = 1 / curve(fitted log2 count)^4, kept finite."""
    bins_per_unit = len(start) / max(x[-1] - x[0], 1e-300)
    for g in prange(len(mean)):
        for c in range(mean.shape[1]):
            for k in range(layout.condition_start[c], layout.condition_start[c + 1]):
                fitted = mean[g, c] + plate[g, layout.cell_plate[k]]
                for s in range(layout.cell_start[k], layout.cell_start[k + 1]):
                    square = _height(fitted + offset[s], x, y, start, bins_per_unit) ** 2
                    w[g, s] = 1.0 / max(square * square, _LEAST)


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _height(at: float, x: Floats, y: Floats, start: Ints, bins_per_unit: float) -> float:
    """Evaluate the curve at one point."""
    last = len(x) - 1
    if at <= x[0]:
        return float(y[0])
    if at >= x[last]:
        return float(y[last])
    i = start[min(int((at - x[0]) * bins_per_unit), len(start) - 1)]
    while x[i] > at:
        i -= 1
    while x[i + 1] < at:
        i += 1
    return float(y[i] + (y[i + 1] - y[i]) * ((at - x[i]) / (x[i + 1] - x[i])))
