"""Least squares for condition means and plate effects, gene by gene, through the structure of the design.

With weights w and responses y of one gene, conditions c and plates p, the sums of w and of w y over each cell
(c, p) are all that is needed. d_c is the weight of condition c, B_cp that of cell (c, p), s_p that of plate p:

    S = diag(s) - B' diag(1/d) B          (plates x plates, one plate of each component left out)
    plate effects g = S^-1 (Zp' W y - B' diag(1/d) Zc' W y),     condition means b_c = (sum w y in c - B_c g) / d_c
    Var(b_c - b_0) / sigma^2 = 1/d_c + 1/d_0 + u' S^-1 u,        u = B_c / d_c - B_0 / d_0

A condition that lies on one plate only adds nothing to S. Genes are independent of each other, so the results
do not depend on the number of threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from pbdb.common.arrays import Floats, Ints
from pbdb.effects.engine.design import Design, Layout

_FAST = {"reassoc", "contract"}
_ROUNDING = 1e-26


class Fitted(NamedTuple):
    """Fits of a block of genes: variance (sigma^2) and df_residual by gene; genes x effects for the rest."""

    variance: Floats
    df_residual: Floats
    log2_fc: Floats
    stdev_unscaled: Floats


class PlateEffects(NamedTuple):
    """What plates add to responses, by gene, on their scale (log2), in units of sigma^2 where a variance.

    effect: of each plate with an effect of its own (genes x free plates).
    variance: u' S^-1 u, the part of the plates in the variance of each effect (genes x effects).
    vehicle_variance: the same for one well of each cell of vehicles against its vehicle (genes x vehicle cells);
    NaN where no effect asks for that vehicle.
    """

    effect: Floats
    variance: Floats
    vehicle_variance: Floats


def fit_weighted(y: Floats, w: Floats, design: Design, effects: Ints) -> Fitted:
    """Fit each gene with its own weights; y and w are genes x samples, w > 0.

    `effects` are positions in `design.effects`; empty when only the variance is wanted.
    """
    return fit_with_plates(y, w, design, effects)[0]


def fit_with_plates(y: Floats, w: Floats, design: Design, effects: Ints) -> tuple[Fitted, PlateEffects]:
    """Fit as `fit_weighted` does, and return the plate effects too."""
    out = _room(len(y), len(effects))
    start = design.layout.condition_start
    n_vehicle_cells = int(start[-1] - start[len(start) - 1 - int(design.is_vehicle.sum())])
    plates = PlateEffects(
        np.zeros((len(y), design.n_free)),
        np.full((len(y), len(effects)), np.nan),
        np.full((len(y), n_vehicle_cells), np.nan),
    )
    treated, vehicle = design.effects.treated[effects], design.effects.vehicle[effects]
    _fit_weighted((y, w), design.layout, (treated, vehicle), *out, *plates)
    return out, plates


def fit_missing(y: Floats, design: Design, effects: Ints) -> Fitted:
    """Fit each gene without weights where some values are NaN.

    The graph of conditions and plates is taken anew for each gene; a comparison it does not connect is NaN.
    """
    out = _room(len(y), len(effects))
    treated, vehicle = design.effects.treated[effects], design.effects.vehicle[effects]
    _fit_missing(y, design.layout, treated, vehicle, *out)
    return out


def _room(n_genes: int, n_effects: int) -> Fitted:
    shape = (n_genes, n_effects)
    return Fitted(np.empty(n_genes), np.empty(n_genes), np.empty(shape), np.empty(shape))


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _fit_weighted(
    values: tuple[Floats, Floats], layout: Layout, pairs: tuple[Ints, Ints],
    variance: Floats, df: Floats, log2_fc: Floats, stdev: Floats,
    effect: Floats, plate_variance: Floats, vehicle_variance: Floats,
) -> None:  # fmt: skip
    # What a parallel loop fills must be arguments of their own: through a tuple, Numba (0.68) loses it.
    y, w = values
    treated, vehicle = pairs
    for i in prange(len(y)):
        of_gene = PlateEffects(effect[i], plate_variance[i], vehicle_variance[i])
        variance[i], df[i] = _fit_gene(y[i], w[i], layout, treated, vehicle, log2_fc[i], stdev[i], of_gene)


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _fit_missing(
    y: Floats, layout: Layout, treated: Ints, vehicle: Ints,
    variance: Floats, df: Floats, log2_fc: Floats, stdev: Floats,
) -> None:  # fmt: skip
    for i in prange(len(y)):
        w = np.ones(y.shape[1])
        filled = y[i].copy()
        for s in range(len(w)):
            if np.isnan(filled[s]):
                w[s] = 0.0
                filled[s] = 0.0
        known = _components(w, layout)
        n_vehicle_cells = len(layout.cell_plate) if len(vehicle) else 0
        plates = PlateEffects(np.empty(len(layout.free)), np.empty(len(treated)), np.empty(n_vehicle_cells))
        variance[i], df[i] = _fit_gene(filled, w, known, treated, vehicle, log2_fc[i], stdev[i], plates)


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _fit_gene(
    y: Floats, w: Floats, layout: Layout, treated: Ints, vehicle: Ints, log2_fc: Floats, stdev: Floats,
    plates: PlateEffects,
) -> tuple[float, float]:  # fmt: skip
    """Fill the effects of one gene and return its residual variance and degrees of freedom."""
    sw, swy, d, r = _sums(y, w, layout)
    n_free = int(layout.free.max()) + 1
    factor, g = plate_system(sw, swy, d, r, layout, n_free)
    cholesky(factor)
    _solve(factor, g)
    plates.effect[: len(g)] = g
    mean = condition_means(sw, d, r, g, layout)
    n_used, n_present = 0, 0
    for s in range(len(w)):
        n_used += w[s] > 0.0
    for c in range(len(d)):
        n_present += d[c] > 0.0
    df = n_used - n_present - n_free
    rss = residual_sum(y, w, mean, g, layout)
    if len(treated):
        contrasts(sw, d, mean, inverse(factor), layout, treated, vehicle, log2_fc, stdev, plates)
    return (rss / df if df > 0 else np.nan), float(df)


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _sums(y: Floats, w: Floats, layout: Layout) -> tuple[Floats, Floats, Floats, Floats]:
    """Return sums of w and w y by cell, and by condition."""
    n_cells, n_conditions = len(layout.cell_plate), len(layout.condition_start) - 1
    sw, swy = np.zeros(n_cells), np.zeros(n_cells)
    d, r = np.zeros(n_conditions), np.zeros(n_conditions)
    for c in range(n_conditions):
        for k in range(layout.condition_start[c], layout.condition_start[c + 1]):
            for s in range(layout.cell_start[k], layout.cell_start[k + 1]):
                sw[k] += w[s]
                swy[k] += w[s] * y[s]
            d[c] += sw[k]
            r[c] += swy[k]
    return sw, swy, d, r


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def plate_system(sw: Floats, swy: Floats, d: Floats, r: Floats, layout: Layout, n_free: int) -> tuple[Floats, Floats]:
    """Return the lower half of S and its right-hand side."""
    S, rhs = np.zeros((n_free, n_free)), np.zeros(n_free)
    for c in range(len(d)):
        first, last = layout.condition_start[c], layout.condition_start[c + 1]
        if last - first < 2 or d[c] <= 0.0:
            continue
        for k in range(first, last):
            p = layout.free[layout.cell_plate[k]]
            if p < 0:
                continue
            S[p, p] += sw[k] * (d[c] - sw[k]) / d[c]
            rhs[p] += swy[k] - sw[k] * r[c] / d[c]
            for j in range(first, k):
                q = layout.free[layout.cell_plate[j]]
                if q >= 0:
                    S[max(p, q), min(p, q)] -= sw[k] * sw[j] / d[c]
    return S, rhs


@njit(cache=True, error_model="numpy", fastmath=_FAST)  # type: ignore[untyped-decorator]
def cholesky(S: Floats) -> None:
    """Replace the lower half of S by its Cholesky factor."""
    for i in range(len(S)):
        for j in range(i + 1):
            total = 0.0
            for k in range(j):
                total += S[i, k] * S[j, k]
            if i == j:
                S[i, i] = np.sqrt(S[i, i] - total)
            else:
                S[i, j] = (S[i, j] - total) / S[j, j]


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _solve(L: Floats, x: Floats) -> None:
    """Replace x by the solution of L L' z = x."""
    n = len(L)
    for i in range(n):
        for k in range(i):
            x[i] -= L[i, k] * x[k]
        x[i] /= L[i, i]
    for i in range(n - 1, -1, -1):
        x[i] /= L[i, i]
        for k in range(i):
            x[k] -= L[i, k] * x[i]


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def inverse(L: Floats) -> Floats:
    """Return (L L')^-1, both halves filled."""
    half, product = _invert_factor(L), np.zeros(L.shape)
    for i in range(len(L)):
        for k in range(i + 1):
            factor = half[i, k]
            for j in range(k + 1):
                product[k, j] += factor * half[i, j]
    for i in range(len(L)):
        for j in range(i):
            product[j, i] = product[i, j]
    return product


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _invert_factor(L: Floats) -> Floats:
    """L^-1 row by row, by forward substitution of the identity."""
    half = np.zeros(L.shape)
    for i in range(len(L)):
        half[i, i] = 1.0
        for k in range(i):
            factor = L[i, k]
            for j in range(k + 1):
                half[i, j] -= factor * half[k, j]
        for j in range(i + 1):
            half[i, j] /= L[i, i]
    return half


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def condition_means(sw: Floats, d: Floats, r: Floats, g: Floats, layout: Layout) -> Floats:
    """Return the mean of each condition on the reference plate; NaN where it has no weight."""
    mean = np.empty(len(d))
    for c in range(len(d)):
        total = r[c]
        for k in range(layout.condition_start[c], layout.condition_start[c + 1]):
            p = layout.free[layout.cell_plate[k]]
            if p >= 0:
                total -= sw[k] * g[p]
        mean[c] = total / d[c] if d[c] > 0.0 else np.nan
    return mean


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def residual_sum(y: Floats, w: Floats, mean: Floats, g: Floats, layout: Layout) -> float:
    """Return the weighted residual sum of squares; what is only rounding counts as zero."""
    rss, raw = 0.0, 0.0
    for c in range(len(mean)):
        for k in range(layout.condition_start[c], layout.condition_start[c + 1]):
            p = layout.free[layout.cell_plate[k]]
            fitted = mean[c] + (g[p] if p >= 0 else 0.0)
            for s in range(layout.cell_start[k], layout.cell_start[k + 1]):
                if w[s] > 0.0:
                    rss += w[s] * (y[s] - fitted) ** 2
                    raw += w[s] * y[s] ** 2
    return rss if rss > _ROUNDING * raw else 0.0


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def contrasts(
    sw: Floats, d: Floats, mean: Floats, H: Floats, layout: Layout,
    treated: Ints, vehicle: Ints, log2_fc: Floats, stdev: Floats, plates: PlateEffects,
) -> None:  # fmt: skip
    """Fill treated minus vehicle, its unscaled standard error and the plates' part of that.

    NaN where the graph does not connect treated and vehicle. With a_c = B_c / d_c, the shares of the plates in the
    weight of condition c, u' H u for u = a_c - a_v is a_c'H a_c - 2 a_c'H a_v + a_v'H a_v: here cc - 2 cv + vv,
    and hv = H a_v. For one well on plate p in place of c, a_c is the unit vector e_p.
    """
    component = layout.condition_component
    # What depends on the vehicle alone is computed once for each; vehicles are the last conditions of a design.
    first = vehicle.min() if len(vehicle) else len(d)
    hv, vv = np.zeros((len(d) - first, len(H))), np.full(len(d) - first, np.nan)
    for e in range(len(treated)):
        c, v = treated[e], vehicle[e]
        if not (d[c] > 0.0 and d[v] > 0.0 and component[c] == component[v]):
            log2_fc[e] = stdev[e] = np.nan
            continue
        k = v - first
        if np.isnan(vv[k]):
            hv[k] = _times_share(sw, d, v, H, layout)
            vv[k] = _share_dot(sw, d, v, hv[k], layout)
            _fill_vehicle_variance(H, hv[k], vv[k], layout, v, plates.vehicle_variance)
        cc = _share_square(sw, d, c, H, layout)
        cv = _share_dot(sw, d, c, hv[k], layout)
        log2_fc[e] = mean[c] - mean[v]
        plates.variance[e] = max(0.0, cc - 2.0 * cv + vv[k])
        stdev[e] = np.sqrt(1.0 / d[c] + 1.0 / d[v] + plates.variance[e])


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _fill_vehicle_variance(H: Floats, hv: Floats, vv: float, layout: Layout, v: int, vehicle_variance: Floats) -> None:
    """Fill (e_p - a_v)' H (e_p - a_v) of each cell (v, p); `vehicle_variance` is of the last cells of the layout."""
    first_cell = len(layout.cell_plate) - len(vehicle_variance)
    for k in range(layout.condition_start[v], layout.condition_start[v + 1]):
        p = layout.free[layout.cell_plate[k]]
        at_plate = H[p, p] - 2.0 * hv[p] if p >= 0 else 0.0
        vehicle_variance[k - first_cell] = max(0.0, at_plate + vv)


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _times_share(sw: Floats, d: Floats, c: int, H: Floats, layout: Layout) -> Floats:
    """Return H a, a = the share of each plate in the weight of condition c."""
    product = np.zeros(len(H))
    for k in range(layout.condition_start[c], layout.condition_start[c + 1]):
        p = layout.free[layout.cell_plate[k]]
        if p >= 0:
            product += H[p] * (sw[k] / d[c])
    return product


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _share_dot(sw: Floats, d: Floats, c: int, x: Floats, layout: Layout) -> float:
    """Return a'x, a = the share of each plate in the weight of condition c."""
    total: float = 0.0
    for k in range(layout.condition_start[c], layout.condition_start[c + 1]):
        p = layout.free[layout.cell_plate[k]]
        if p >= 0:
            total += x[p] * sw[k]
    return float(total / d[c])


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _share_square(sw: Floats, d: Floats, c: int, H: Floats, layout: Layout) -> float:
    """Return a'Ha, a = the share of each plate in the weight of condition c."""
    total = 0.0
    for k in range(layout.condition_start[c], layout.condition_start[c + 1]):
        p = layout.free[layout.cell_plate[k]]
        if p < 0:
            continue
        for j in range(layout.condition_start[c], layout.condition_start[c + 1]):
            q = layout.free[layout.cell_plate[j]]
            if q >= 0:
                total += H[p, q] * sw[k] * sw[j]
    return float(total / d[c] ** 2)


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _components(w: Floats, layout: Layout) -> Layout:
    """Return the layout with the graph of only those cells that have weight.

    A plate without weight is not free. Components are named by a node of the graph.
    """
    n_conditions, n_plates = len(layout.condition_start) - 1, len(layout.free)
    parent = np.arange(n_conditions + n_plates)
    used = np.zeros(n_plates, np.bool_)
    for c in range(n_conditions):
        for k in range(layout.condition_start[c], layout.condition_start[c + 1]):
            if w[layout.cell_start[k] : layout.cell_start[k + 1]].sum() > 0.0:
                used[layout.cell_plate[k]] = True
                parent[_root(parent, c)] = _root(parent, n_conditions + layout.cell_plate[k])
    free = np.full(n_plates, -1)
    has_reference = np.zeros(len(parent), np.bool_)
    n_free = 0
    for p in range(n_plates):
        root = _root(parent, n_conditions + p)
        if used[p] and has_reference[root]:
            free[p] = n_free
            n_free += 1
        has_reference[root] = True
    component = np.empty(n_conditions, np.int64)
    for c in range(n_conditions):
        component[c] = _root(parent, c)
    return Layout(layout.cell_start, layout.cell_plate, layout.condition_start, free, component)


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _root(parent: Ints, node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node
