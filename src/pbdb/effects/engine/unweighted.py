"""The fit without weights: one plate system and one set of standard errors serve every gene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from scipy.sparse import csr_array

from pbdb.common.arrays import Floats, Ints
from pbdb.effects.engine import weighted
from pbdb.effects.engine.design import Design, Layout


@dataclass(frozen=True)
class Shared:
    """What all genes share: S^-1 over the free plates, cell and condition sizes as weights."""

    design: Design
    inverse: Floats
    cell_size: Floats
    condition_size: Floats

    def stdev_unscaled(self, effects: Ints) -> Floats:
        """Return the unscaled standard error of each effect."""
        table = self.design.effects
        stdev, ignored = np.empty(len(effects)), np.empty(len(effects))
        plates = weighted.PlateEffects(ignored, np.empty(len(effects)), np.empty(len(self.cell_size)))
        weighted.contrasts(
            self.cell_size,
            self.condition_size,
            np.zeros(self.design.n_conditions),
            self.inverse,
            self.design.layout,
            table.treated[effects],
            table.vehicle[effects],
            ignored,
            stdev,
            plates,
        )
        return stdev

    def largest_hat(self) -> float:
        """Return the largest leverage of a sample; 1 as soon as one condition has a single sample."""
        if (self.condition_size == 1).any():
            return 1.0
        layout = self.design.layout
        cell_condition = np.repeat(np.arange(self.design.n_conditions), np.diff(layout.condition_start))
        share = csr_array(
            (self.cell_size / self.condition_size[cell_condition], layout.cell_plate, layout.condition_start),
            shape=(self.design.n_conditions, self.design.n_plates),
        )
        inverse = self._with_reference_plates()
        spread = share @ inverse
        within = np.asarray(share.multiply(spread).sum(axis=1)).ravel()
        p = layout.cell_plate
        hat = 1 / self.condition_size[cell_condition] + inverse[p, p] + within[cell_condition]
        return float((hat - 2 * spread[cell_condition, p]).max())

    def _with_reference_plates(self) -> Floats:
        free = np.flatnonzero(self.design.layout.free >= 0)
        inverse = np.zeros((self.design.n_plates,) * 2)
        inverse[np.ix_(free, free)] = self.inverse
        return inverse


@dataclass(frozen=True)
class SharedFit:
    """Fits of a block: condition means and plate effects (genes x conditions, genes x plates), sigma^2."""

    mean: Floats
    plate: Floats
    variance: Floats

    def log2_fc(self, design: Design, effects: Ints) -> Floats:
        """Return treated minus vehicle, genes x effects."""
        table = design.effects
        return np.asarray(self.mean[:, table.treated[effects]] - self.mean[:, table.vehicle[effects]])


def share(design: Design) -> Shared:
    """Solve the plate system of a design once."""
    layout = design.layout
    cell_size = np.diff(layout.cell_start).astype(np.float64)
    condition_size = design.condition_sizes.astype(np.float64)
    zeros = np.zeros(len(cell_size))
    system, _ = weighted.plate_system(
        cell_size, zeros, condition_size, np.zeros(len(condition_size)), layout, design.n_free
    )
    weighted.cholesky(system)
    return Shared(design, weighted.inverse(system), cell_size, condition_size)


def fit(y: Floats, shared: Shared) -> SharedFit:
    """Fit a block of genes (genes x samples, no missing value) without weights."""
    design = shared.design
    mean, plate = np.empty((len(y), design.n_conditions)), np.empty((len(y), design.n_plates))
    rss = np.empty(len(y))
    _fit(y, design.layout, shared.inverse, shared.cell_size, shared.condition_size, mean, plate, rss)
    df = design.df_residual
    return SharedFit(mean, plate, rss / df if df > 0 else np.full(len(y), np.nan))


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _fit(y: Floats, layout: Layout, H: Floats, sw: Floats, d: Floats, mean: Floats, plate: Floats, rss: Floats) -> None:
    """Plate effects g = S^-1 rhs, means of conditions, residual sum of squares: gene by gene."""
    for i in prange(len(y)):
        swy, r = _cell_sums(y[i], layout)
        g = _plate_effects(sw, swy, d, r, layout, H)
        mean[i] = weighted.condition_means(sw, d, r, g, layout)
        rss[i] = _residual_sum(y[i], mean[i], g, layout)
        for p in range(len(layout.free)):
            plate[i, p] = g[layout.free[p]] if layout.free[p] >= 0 else 0.0


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _cell_sums(y: Floats, layout: Layout) -> tuple[Floats, Floats]:
    """Sums of y by cell (swy) and by condition (r)."""
    swy, r = np.zeros(len(layout.cell_plate)), np.zeros(len(layout.condition_start) - 1)
    for c in range(len(r)):
        for k in range(layout.condition_start[c], layout.condition_start[c + 1]):
            for s in range(layout.cell_start[k], layout.cell_start[k + 1]):
                swy[k] += y[s]
            r[c] += swy[k]
    return swy, r


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _plate_effects(sw: Floats, swy: Floats, d: Floats, r: Floats, layout: Layout, H: Floats) -> Floats:
    """rhs_p = sum over cells of plate p of (sum of y - cell size x mean of the condition); g = S^-1 rhs."""
    rhs = np.zeros(len(H))
    for c in range(len(d)):
        for k in range(layout.condition_start[c], layout.condition_start[c + 1]):
            p = layout.free[layout.cell_plate[k]]
            if p >= 0:
                rhs[p] += swy[k] - sw[k] * r[c] / d[c]
    g = np.zeros(len(H))
    for p in range(len(H)):
        g += H[p] * rhs[p]
    return g


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _residual_sum(y: Floats, mean: Floats, g: Floats, layout: Layout) -> float:
    return float(weighted.residual_sum(y, np.ones(len(y)), mean, g, layout))
