"""p values of counts that hold for one well: a condition and its vehicle as one negative binomial count each.

voom judges a lone well by the precision that its own count suggests, on a skewed scale. Here the question is how
surprising the count of a condition is, given that of its vehicle, the plates and libraries of both, and the
variability of the gene. Per gene, with x = library x 2^(plate effect of the voom fit), natural logs:

    dispersion phi   Pearson's X(phi) = sum (y - mu)^2 / (mu (1 + phi mu)) = its degrees of freedom, within conditions
    moderated        phi' = (1 / ybar + phi) s2_post / sigma^2 - 1 / ybar, limma's shrinkage carried over
    vehicle          T = E sum(w y) / sum(w x) + 1/2 on the exposure E = sum x, w = 1 / (1 + phi' mu)
    condition        Y = M sum(w y) / sum(w m) where m = x T / E is expected, M = sum m
    z                r*(Y, M, phi_Y; T, psi), see `signed_root`; psi also holds the uncertainty of the plate effects

z is compared with t on the gene's total degrees of freedom. Genes are independent of each other, nothing is solved
per condition, and the results do not depend on the number of threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from pbdb.common.arrays import Floats, Ints
from pbdb.effects.engine.design import Design, Layout
from pbdb.effects.engine.left_out import LeftOut, checked_wells
from pbdb.effects.engine.signed_root import score
from pbdb.effects.engine.weighted import PlateEffects

_FAST = {"reassoc", "contract"}
_START = 0.05
_STEPS = 50
_ENOUGH = 1e-7
_LN2_SQUARED = float(np.log(2.0) ** 2)
# A burst of counts in one well of a gene that is silent elsewhere cannot be judged: neither the vehicle, nor enough
# other wells, nor the condition's other wells say how such a gene varies.
_VEHICLE_COUNT = 10.0
_PASSING_WELLS = 3
_PASSING_SHARE = 0.01
_PASSING_COUNT = 10.0


class GeneFacts(NamedTuple):
    """By gene: residual and posterior variance of the voom fit."""

    variance: Floats
    s2_post: Floats


class CountTests(NamedTuple):
    """z (genes x effects), z of the checked vehicle wells (genes x wells), moderated dispersion (by gene)."""

    z: Floats
    null_z: Floats
    dispersion: Floats


class _Pairs(NamedTuple):
    """What is compared: conditions of the effects, and vehicle wells with their condition.

    `first` is the first vehicle condition (they are the last of a design), `first_well` the first well of each
    condition and, at the end, the number of wells.
    """

    treated: Ints
    vehicle: Ints
    well: Ints
    well_vehicle: Ints
    first: int
    first_well: Ints


def run(
    counts: Floats, library: Floats, plates: PlateEffects, left_out: LeftOut, facts: GeneFacts, design: Design
) -> CountTests:
    """Test every ok effect, and each of `checked_wells` against the other wells of its vehicle.

    counts: genes x samples in design order; library: effective library sizes; plates, left_out: of the same genes'
    voom fit. A gene that cannot be judged (no variance, or a burst in a gene that is silent elsewhere) is NaN.
    """
    wells, table, layout = checked_wells(design), design.effects, design.layout
    pairs = _Pairs(
        treated=table.treated[design.ok],
        vehicle=table.vehicle[design.ok],
        well=wells.well,
        well_vehicle=wells.condition,
        first=int(design.n_conditions - design.is_vehicle.sum()),
        first_well=layout.cell_start[layout.condition_start],
    )
    shape = len(counts), len(pairs.treated)
    out = CountTests(np.empty(shape), np.empty((len(counts), len(wells.well))), np.empty(len(counts)))
    passing = _PASSING_COUNT * library / np.median(library)
    _run(counts, (library, passing), plates, left_out, facts, layout, pairs, *out)
    return out


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _run(
    counts: Floats, libraries: tuple[Floats, Floats], plates: PlateEffects, left_out: LeftOut, facts: GeneFacts,
    layout: Layout, pairs: _Pairs, z: Floats, null_z: Floats, dispersion: Floats,
) -> None:  # fmt: skip
    library, passing = libraries
    for i in prange(len(counts)):
        y = counts[i]
        x = _exposures(library, plates.effect[i], layout)
        s2_post = facts.s2_post[i]
        phi = _moderated(_dispersion(y, x, pairs.first_well, len(plates.effect[i])), y, x, facts.variance[i], s2_post)
        dispersion[i] = phi
        vehicles = _vehicles(y, x, pairs, phi, passing)
        _test_effects(y, x, pairs, vehicles, phi, s2_post * plates.variance[i], z[i])
        _test_wells(y, x, pairs, vehicles, phi, left_out.shift[i], s2_post * left_out.variance[i], null_z[i])


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _exposures(library: Floats, plate_effect: Floats, layout: Layout) -> Floats:
    """Return library x 2^(plate effect) of each well; the plate effect of each component's first plate is zero."""
    x = np.empty(len(library))
    factor = np.ones(len(layout.free))
    for p in range(len(factor)):
        if layout.free[p] >= 0:
            factor[p] = 2.0 ** plate_effect[layout.free[p]]
    for k in range(len(layout.cell_plate)):
        for s in range(layout.cell_start[k], layout.cell_start[k + 1]):
            x[s] = library[s] * factor[layout.cell_plate[k]]
    return x


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _dispersion(y: Floats, x: Floats, first_well: Ints, n_free: int) -> float:
    """Return the dispersion at which Pearson's statistic within conditions equals its degrees of freedom.

    Degrees of freedom are those of conditions with a count (as others fit perfectly), less their share of the plate
    effects. Rates are sums of counts over sums of exposures at first, weighted by the first dispersion then; that
    equals the dispersion of a full negative binomial model.
    """
    phi, weight_at = _START, 0.0
    mu, square = np.empty(len(y)), np.empty(len(y))
    for _ in range(2):
        n, df_with_count, df_all = _residuals(y, x, first_well, weight_at, mu, square)
        if df_with_count == 0 or df_all <= n_free:
            return 0.0
        phi = _solve_pearson(mu[:n], square[:n], df_with_count * (df_all - n_free) / df_all, phi)
        weight_at = phi
    return phi


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _residuals(y: Floats, x: Floats, first_well: Ints, phi: float, mu: Floats, square: Floats) -> tuple[int, int, int]:
    """Fill fitted counts mu and (y - mu)^2 / mu of the wells that count; return how many, and degrees of freedom."""
    n, df_with_count, df_all = 0, 0, 0
    for c in range(len(first_well) - 1):
        a, b = first_well[c], first_well[c + 1]
        if b - a < 2:
            continue
        df_all += b - a - 1
        rate = _rate(y, x, a, b, phi)
        if rate <= 0.0:
            continue
        df_with_count += b - a - 1
        for s in range(a, b):
            mu[n] = rate * x[s]
            square[n] = (y[s] - mu[n]) ** 2 / mu[n]
            n += 1
    return n, df_with_count, df_all


@njit(cache=True, error_model="numpy", fastmath=_FAST)  # type: ignore[untyped-decorator]
def _rate(y: Floats, x: Floats, a: int, b: int, phi: float) -> float:
    """Return the counts per exposure of wells a to b; with a dispersion, each weighted by 1 / (1 + phi mu)."""
    sum_y, sum_x = 0.0, 0.0
    for s in range(a, b):
        sum_y += y[s]
        sum_x += x[s]
    if phi == 0.0 or sum_y == 0.0:
        return sum_y / sum_x
    rate, sum_wy, sum_wx = sum_y / sum_x, 0.0, 0.0
    for s in range(a, b):
        w = 1.0 / (1.0 + phi * rate * x[s])
        sum_wy += w * y[s]
        sum_wx += w * x[s]
    return sum_wy / sum_wx


@njit(cache=True, error_model="numpy", fastmath=_FAST)  # type: ignore[untyped-decorator]
def _solve_pearson(mu: Floats, square: Floats, df: float, phi: float) -> float:
    """Return phi >= 0 with X(phi) = df, or 0 where even X(0) is smaller.

    Newton's method on 1 / X, which is concave in phi and a straight line where all mu are equal; on X itself it
    would double its way up from zero, and stop short for large counts.
    """
    for _ in range(_STEPS):
        X, Q = 0.0, 0.0
        for s in range(len(mu)):
            v = 1.0 / (1.0 + phi * mu[s])
            X += square[s] * v
            Q += square[s] * v * v * mu[s]
        if X <= 0.0:
            return 0.0
        before = phi
        phi = max(0.0, phi + (X - df) / Q * (X / df))
        if abs(phi - before) <= _ENOUGH * before:
            break
    return phi


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _moderated(phi: float, y: Floats, x: Floats, variance: float, s2_post: float) -> float:
    """Shrink the dispersion as limma shrinks the variance: 1 / mean + phi is that of the log of a mean count."""
    if np.isnan(s2_post):
        return np.nan
    mean = _count_where_seen(y, x)
    if mean <= 0.0 or variance <= 0.0:
        return phi
    return float(max(0.0, (1.0 / mean + phi) * s2_post / variance - 1.0 / mean))


@njit(cache=True, error_model="numpy", fastmath=_FAST)  # type: ignore[untyped-decorator]
def _count_where_seen(y: Floats, x: Floats) -> float:
    """Return the mean count at the mean exposure, of rates weighted by themselves; at least the plain mean.

    For one rate throughout, sum y (y - 1) / x over sum y estimates it without the bias of squares, so this is the
    mean. For a gene that few conditions switch on it is their level, which the dispersion was estimated at; the
    plain mean, near zero, would turn any shrinkage of a silent gene into an enormous dispersion.
    """
    sum_y, sum_x, sum_squares = 0.0, 0.0, 0.0
    for s in range(len(y)):
        sum_y += y[s]
        sum_x += x[s]
        sum_squares += y[s] * (y[s] - 1.0) / x[s]
    if sum_y <= 0.0:
        return 0.0
    return max(sum_y, sum_squares / sum_y * sum_x) / len(y)


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _vehicles(y: Floats, x: Floats, pairs: _Pairs, phi: float, passing: Floats) -> Floats:
    """Return a row for each vehicle: exposure E, count T0, rate, sums of w x, w y and x^2, whether it can judge."""
    rows = np.empty((len(pairs.first_well) - 1 - pairs.first, 7))
    widely_seen = _is_widely_seen(y, passing, pairs.first_well)
    for v in range(len(rows)):
        a, b = pairs.first_well[pairs.first + v], pairs.first_well[pairs.first + v + 1]
        rate, exposure, sum_wx, sum_wy, sum_xx = _rate(y, x, a, b, 0.0), 0.0, 0.0, 0.0, 0.0
        for s in range(a, b):
            w = 1.0 / (1.0 + phi * rate * x[s])
            exposure += x[s]
            sum_wx += w * x[s]
            sum_wy += w * y[s]
            sum_xx += x[s] * x[s]
        count = exposure * sum_wy / sum_wx
        judges = widely_seen or count >= _VEHICLE_COUNT
        rows[v] = exposure, count, rate, sum_wx, sum_wy, sum_xx, 1.0 if judges else 0.0
    return rows


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _is_widely_seen(y: Floats, passing: Floats, first_well: Ints) -> bool:
    """Whether enough wells pass the CPM cut: 3 and 1 % of all, or all wells of one condition of at least 3.

    This is the floor of the default expression filter, asked of every fit, whatever its filter.
    """
    n_passing = 0
    for c in range(len(first_well) - 1):
        a, b = first_well[c], first_well[c + 1]
        here = 0
        for s in range(a, b):
            here += y[s] > 0.0 and y[s] >= passing[s]
        if here == b - a and here >= _PASSING_WELLS:
            return True
        n_passing += here
    return n_passing >= max(float(_PASSING_WELLS), _PASSING_SHARE * len(y))


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _vehicle_dispersion(count: float, information: float, at_zero: float, plate_variance: float) -> float:
    """Return psi: what the variance of the vehicle's log rate has beyond 1 / T0, and that of the plate effects.

    at_zero is the limit of the first as the vehicle's count goes to zero, phi' sum x^2 / (sum x)^2.
    """
    of_wells = max(0.0, 1.0 / information - 1.0 / count) if count > 0.0 else at_zero
    return of_wells + _LN2_SQUARED * plate_variance


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _test_effects(
    y: Floats, x: Floats, pairs: _Pairs, vehicles: Floats, phi: float, plate_variance: Floats, z: Floats
) -> None:
    """Fill z of each effect; plate_variance: that of the difference of plate effects in log2, by effect."""
    for e in range(len(pairs.treated)):
        exposure, count, rate, sum_wx, _, sum_xx, judges = vehicles[pairs.vehicle[e] - pairs.first]
        a, b = pairs.first_well[pairs.treated[e]], pairs.first_well[pairs.treated[e] + 1]
        if np.isnan(phi) or (judges == 0.0 and not (b - a > 1 and y[a:b].min() > 0.0)):
            z[e] = np.nan
            continue
        psi = _vehicle_dispersion(count, rate * sum_wx, phi * sum_xx / exposure**2, plate_variance[e])
        T = count + 0.5
        M, information, sum_wy = 0.0, 0.0, 0.0
        for s in range(a, b):
            m = x[s] * T / exposure
            w = 1.0 / (1.0 + phi * m)
            M += m
            information += w * m
            sum_wy += w * y[s]
        z[e] = score(M * sum_wy / information, M, max(0.0, 1.0 / information - 1.0 / M), T, psi)


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _test_wells(
    y: Floats, x: Floats, pairs: _Pairs, vehicles: Floats, phi: float, shift: Floats, plate_variance: Floats, z: Floats
) -> None:
    """Fill z of each checked vehicle well against the other wells of its vehicle.

    The well is taken out of the vehicle's sums and of the plate effects (shift); weights and dispersion stay.
    """
    for i in range(len(pairs.well)):
        s = pairs.well[i]
        exposure, _, rate, sum_wx, sum_wy, sum_xx, judges = vehicles[pairs.well_vehicle[i] - pairs.first]
        if judges == 0.0 or np.isnan(phi) or np.isnan(shift[i]):
            z[i] = np.nan
            continue
        w = 1.0 / (1.0 + phi * rate * x[s])
        others = exposure - x[s]
        rate = (sum_wy - w * y[s]) / (sum_wx - w * x[s])
        count = max(0.0, others * rate)
        at_zero = phi * (sum_xx - x[s] * x[s]) / others**2
        psi = _vehicle_dispersion(count, rate * (sum_wx - w * x[s]), at_zero, plate_variance[i])
        T = count + 0.5
        z[i] = score(y[s], x[s] * 2.0 ** -shift[i] * T / others, phi, T, psi)
