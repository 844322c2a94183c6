"""Plain weighted least squares of one mean per condition and one effect per plate, and voom's weights. NumPy, SciPy.

The design as it is written, a column for each condition and plate, and its normal equations solved directly; nothing
of the engine's structure, blocks or compiled code. Papers: Law et al. 2014 (voom), Robinson & Oshlack 2010 (TMM),
Cleveland 1979 (lowess).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]

RATIO_TRIM, LEVEL_TRIM = 0.3, 0.05
MILLION = float(np.log2(1e6))


class Model:
    """y = X b + e, Var(e) = s^2 / w: X has a column for each group and for all plates but one of each component.

    group, plate: of each sample (n); weight: n.
    """

    def __init__(self, group: npt.NDArray[Any], plate: npt.NDArray[Any], weight: Floats):
        self.groups, row = np.unique(group, return_inverse=True)
        plates, column = np.unique(plate, return_inverse=True)
        n, k = len(group), len(self.groups)
        edges = sp.coo_array((np.ones(n), (row, k + column)), shape=(k + len(plates),) * 2)
        n_components, component = connected_components(edges, directed=False)
        self.component = component[:k]
        # In each component one plate is the reference: its effect is part of the means.
        kept = np.setdiff1d(np.arange(len(plates)), np.unique(component[k:], return_index=True)[1])
        everything = sp.csr_array((np.ones(2 * n), (np.tile(np.arange(n), 2), np.concatenate([row, k + column]))))
        self.design = everything[:, np.concatenate([np.arange(k), k + kept])]
        self.weight = weight
        self.df = n - (k + len(plates) - n_components)
        normal = self.design.T @ (self.design * weight[:, None])
        self._solve = splu(sp.csc_array(normal), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve

    def coefficients(self, y: Floats) -> Floats:
        """B = (X'WX)^-1 X'W y; y: n, or n x genes."""
        weighted = y * (self.weight if y.ndim == 1 else self.weight[:, None])
        return np.asarray(self._solve(np.ascontiguousarray(self.design.T @ weighted)))

    def place(self, label: object) -> int:
        """Column of a group; -1 where it has no sample."""
        at = int(np.searchsorted(self.groups, label))  # type: ignore[call-overload]
        return at if at < len(self.groups) and self.groups[at] == label else -1

    def contrast(self, coefficients: Floats, treated: object, vehicle: object) -> tuple[float, float]:
        """Difference of two groups and its standard error over s, sqrt(c'(X'WX)^-1 c); NaN where not estimable."""
        a, b = self.place(treated), self.place(vehicle)
        if min(a, b) < 0 or self.component[a] != self.component[b]:
            return float("nan"), float("nan")
        c = np.zeros(self.design.shape[1])
        c[a], c[b] = 1.0, -1.0
        return float(coefficients[a] - coefficients[b]), float(np.sqrt(c @ self._solve(c)))


@dataclass(frozen=True)
class Refit:
    """One gene: log2 fold change and unscaled standard error of some contrasts, and the residual SD.

    plate_effect: of each sample that has a value; n_free: plates with an effect of their own.
    """

    log2_fc: Floats
    stdev_unscaled: Floats
    sigma: float
    plate_effect: Floats
    n_free: int


def refit(
    group: npt.NDArray[Any], plate: npt.NDArray[Any], y: Floats, weight: Floats, contrasts: Sequence[tuple[Any, Any]]
) -> Refit:
    """Fit one gene over the samples that have a value."""
    known = np.isfinite(y)
    if not known.any():
        nothing = np.full(len(contrasts), np.nan)
        return Refit(nothing, nothing, float("nan"), np.empty(0), 0)
    model = Model(group[known], plate[known], weight[known])
    coefficients = model.coefficients(y[known])
    residual = y[known] - model.design @ coefficients
    sigma = float(np.sqrt((weight[known] * residual**2).sum() / model.df)) if model.df > 0 else float("nan")
    pairs = [model.contrast(coefficients, treated, vehicle) for treated, vehicle in contrasts]
    log2_fc, unscaled = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    n_groups = len(model.groups)
    plate_effect = model.design[:, n_groups:] @ coefficients[n_groups:]
    return Refit(log2_fc, unscaled, sigma, np.asarray(plate_effect), model.design.shape[1] - n_groups)


@dataclass(frozen=True)
class Voom:
    """The trend of sqrt(sigma) over log2 count, as points with rising x."""

    x: Floats
    y: Floats

    def weights(self, log2_count: Floats) -> Floats:
        """curve(fitted log2 count)^-4, flat outside."""
        return np.asarray(np.interp(log2_count, self.x, self.y) ** -4.0)


def log_cpm(counts: Floats, library: Floats) -> Floats:
    """log2((r + 0.5) / (L + 1) 10^6); counts: n, or n x genes; library: n, TMM factors included."""
    size = np.log2(library + 1) if counts.ndim == 1 else np.log2(library + 1)[:, None]
    return np.asarray(np.log2(counts + 0.5) - size + MILLION)


def log_cpm_with_prior(counts: Floats, library: Floats, prior: float = 2.0) -> Floats:
    """log2 counts per million with a prior count in proportion to the library (limma-trend on counts)."""
    prior_counts = prior * library / library.mean()
    return np.asarray(np.log2((counts + prior_counts) / (library + 2 * prior_counts)) + MILLION)


def voom(counts: Floats, library: Floats, model: Model, span: float) -> Voom:
    """The trend over some genes (counts: n x genes); model: unweighted."""
    y = log_cpm(counts, library)
    residual = y - model.design @ model.coefficients(y)
    sigma = np.sqrt((residual**2).sum(axis=0) / model.df)
    level = y.mean(axis=0) + np.log2(library + 1).mean() - MILLION
    seen = counts.any(axis=0)
    return Voom(*lowess(level[seen], np.sqrt(sigma[seen]), span))


def tmm(rows: Callable[[], Iterator[Floats]], library: Floats) -> Floats:
    """Trimmed means of log ratios against the sample of the middle upper quartile, geometric mean 1.

    rows: gives the counts of one sample after the other, from the first, each time it is called.
    """
    found = np.array([(np.quantile(row, 0.75), np.sqrt(row).sum()) for row in rows()])
    quartile = found[:, 0] / library
    nearest = int(np.argmin(np.abs(quartile - quartile.mean())))
    if np.median(quartile) < 1e-20:
        nearest = int(np.argmax(found[:, 1]))
    reference = next(islice(rows(), nearest, None))
    factors = np.array(
        [_factor(row, size, reference, library[nearest]) for row, size in zip(rows(), library, strict=True)]
    )
    return np.asarray(factors / np.exp(np.log(factors).mean()))


def _factor(counts: npt.NDArray[Any], library: float, reference: Floats, reference_library: float) -> float:
    both = (counts > 0) & (reference > 0)
    a, b = counts[both] / library, reference[both] / reference_library
    # As edgeR writes it: of levels that are equal but for rounding, rounding decides which are trimmed.
    ratio, level = np.log2(a / b), (np.log2(a) + np.log2(b)) / 2
    if not len(ratio) or np.abs(ratio).max() < 1e-6:
        return 1.0
    variance = (1 - a) / counts[both] + (1 - b) / reference[both]
    kept = _inner(ratio, RATIO_TRIM) & _inner(level, LEVEL_TRIM) & (variance > 0)
    return float(2 ** np.average(ratio[kept], weights=1 / variance[kept])) if kept.any() else 1.0


def _inner(values: Floats, trim: float) -> npt.NDArray[np.bool_]:
    low = np.floor(len(values) * trim) + 1
    rank = rankdata(values)
    return np.asarray((rank >= low) & (rank <= len(values) + 1 - low))


def lowess(x: Floats, y: Floats, span: float, steps: int = 3) -> tuple[Floats, Floats]:
    """Local lines at points 1 % of the range apart, straight lines between them; `steps` times reweighted."""
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    points = np.unique(x)
    window = max(2, min(len(x), int(span * len(x) + 1e-7)))
    anchors = _anchors(points, 0.01 * (x[-1] - x[0]))
    robust = np.ones(len(x))
    for step in range(steps + 1):
        heights = np.array([_local_line(x, y, robust, points[at], window) for at in anchors])
        residual = np.abs(y - np.interp(x, points[anchors], heights))
        scale = 6 * np.median(residual)
        if step == steps or scale < 1e-7 * residual.mean():
            break
        share = residual / scale
        robust = np.where(share <= 0.001, 1.0, np.where(share <= 0.999, (1 - share**2) ** 2, 0.0))
    return points[anchors], heights


def _anchors(points: Floats, apart: float) -> list[int]:
    """Places to fit: from each the last one within reach, or else the next."""
    chosen = [0]
    while chosen[-1] < len(points) - 1:
        reach = int(np.searchsorted(points, points[chosen[-1]] + apart, side="right")) - 1
        chosen.append(max(chosen[-1] + 1, reach))
    return chosen


def _local_line(x: Floats, y: Floats, robust: Floats, here: float, window: int) -> float:
    """The line through the nearest points, weighted by the tricube of their distance, at one place."""
    away = np.abs(x - here)
    reach = np.partition(away, window - 1)[window - 1]
    near = (
        np.where(away <= 0.001 * reach, 1.0, np.where(away <= 0.999 * reach, (1 - (away / reach) ** 3) ** 3, 0.0))
        if reach > 0
        else (away == 0).astype(float)
    )
    weight = near * robust
    if weight.sum() <= 0:
        return float(y[np.argmin(away)])
    weight /= weight.sum()
    centre = weight @ x
    moment = weight @ (x - centre) ** 2
    slope = weight @ ((x - centre) * y) / moment if np.sqrt(moment) > 0.001 * (x[-1] - x[0]) else 0.0
    return float(weight @ y + slope * (here - centre))
