"""Cleveland's lowess, after the public-domain routine of netlib (Cleveland 1979, JASA 74:829)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from pbdb.common.arrays import Floats, Mask

Indices = npt.NDArray[np.int64]


def lowess(x: Floats, y: Floats, span: float, steps: int = 3, delta: float | None = None) -> Floats:
    """Smooth y over x with local lines; `steps` robust steps, `delta` 1 % of the range unless given.

    Returns the fitted value of each point, in the order given.
    """
    order, sorted_fit, _ = _sorted_lowess(x, y, span, steps, delta)
    fitted = np.empty_like(sorted_fit)
    fitted[order] = sorted_fit
    return fitted


def lowess_knots(x: Floats, y: Floats, span: float) -> tuple[Floats, Floats]:
    """Return the points (x rising, fitted y) between which the smooth curve is made of straight lines."""
    order, fitted, is_knot = _sorted_lowess(x, y, span, 3, None)
    knots, first = np.unique(x[order][is_knot], return_index=True)
    return knots, np.ascontiguousarray(fitted[is_knot][first])


def _sorted_lowess(x: Floats, y: Floats, span: float, steps: int, delta: float | None) -> tuple[Indices, Floats, Mask]:
    """Return the order of x, the fitted values in that order, and which of them were fitted by a local line."""
    order = np.argsort(x, kind="stable")
    xs, ys = np.ascontiguousarray(x[order]), np.ascontiguousarray(y[order])
    if len(x) < 2:
        return order, ys, np.ones(len(x), dtype=bool)
    gap = 0.01 * float(xs[-1] - xs[0]) if delta is None else delta
    window = max(2, min(len(xs), int(span * len(xs) + 1e-7)))
    fitted, is_knot = _smooth(xs, ys, window, steps, gap)
    return order, fitted, is_knot


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _smooth(x: Floats, y: Floats, window: int, steps: int, delta: float) -> tuple[Floats, Mask]:
    """Robust steps (Cleveland 1979, section 2) end early where the residuals are as good as none."""
    fitted, is_knot = np.zeros(len(x)), np.zeros(len(x), np.bool_)
    robust = np.ones(len(x))
    for step in range(steps + 1):
        _sweep(x, y, window, delta, robust, fitted, is_knot)
        if step == steps or not _robust_weights(np.abs(y - fitted), robust):
            break
    return fitted, is_knot


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _sweep(x: Floats, y: Floats, window: int, delta: float, robust: Floats, fitted: Floats, is_knot: Mask) -> None:
    """Fit at points at least delta apart and draw straight lines between them."""
    n = len(x)
    left, last, i = 0, -1, 0
    weight = np.zeros(n)
    while True:
        while left + window < n and x[i] - x[left] > x[left + window] - x[i]:
            left += 1
        is_knot[i] = True
        fitted[i] = _local_line(x, y, i, left, left + window - 1, robust, weight)
        for j in range(last + 1, i):
            share = (x[j] - x[last]) / (x[i] - x[last])
            fitted[j] = share * fitted[i] + (1.0 - share) * fitted[last]
        last, i = _next_point(x, i, delta, fitted)
        if last >= n - 1:
            break


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _next_point(x: Floats, last: int, delta: float, fitted: Floats) -> tuple[int, int]:
    """Return the last point that is fitted and the next one to fit; ties share the fitted value."""
    n = len(x)
    cut = x[last] + delta
    i = last + 1
    while i < n and x[i] <= cut:
        if x[i] == x[last]:
            fitted[i] = fitted[last]
            last = i
        i += 1
    return last, max(last + 1, i - 1)


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _local_line(x: Floats, y: Floats, at: int, left: int, right: int, robust: Floats, weight: Floats) -> float:
    """Evaluate the weighted local line at x[at]; y[at] itself where no point has weight."""
    n = len(x)
    here = x[at]
    reach = max(here - x[left], x[right] - here)
    total, end = 0.0, left
    while end < n:
        away = abs(x[end] - here)
        if away > 0.999 * reach:
            if x[end] > here:
                break
            weight[end] = 0.0
        else:
            near = away <= 0.001 * reach
            weight[end] = robust[end] * (1.0 if near else (1.0 - (away / reach) ** 3) ** 3)
            total += weight[end]
        end += 1
    if total <= 0.0:
        return float(y[at])
    return float(_weighted_line(x[left:end], y[left:end], weight[left:end] / total, here, reach, x[n - 1] - x[0]))


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _weighted_line(x: Floats, y: Floats, weight: Floats, here: float, reach: float, spread: float) -> float:
    """The line at `here` is sum(w y), w times 1 + (here - centre)(x - centre) / moment, as netlib's lowest."""
    if reach > 0.0:
        centre = 0.0
        for j in range(len(x)):
            centre += weight[j] * x[j]
        moment = 0.0
        for j in range(len(x)):
            moment += weight[j] * (x[j] - centre) ** 2
        if np.sqrt(moment) > 0.001 * spread:
            slope = (here - centre) / moment
            for j in range(len(x)):
                weight[j] *= slope * (x[j] - centre) + 1.0
    value = 0.0
    for j in range(len(x)):
        value += weight[j] * y[j]
    return value


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _robust_weights(residual: Floats, robust: Floats) -> bool:
    """Set bisquare weights from six median absolute residuals; False when the fit is exact already."""
    n = len(residual)
    ordered = np.sort(residual)
    scale = 3.0 * (ordered[n // 2] + ordered[n - n // 2 - 1])
    if scale < 1e-7 * residual.mean():
        return False
    for j in range(n):
        if residual[j] <= 0.001 * scale:
            robust[j] = 1.0
        elif residual[j] <= 0.999 * scale:
            robust[j] = (1.0 - (residual[j] / scale) ** 2) ** 2
        else:
            robust[j] = 0.0
    return True
