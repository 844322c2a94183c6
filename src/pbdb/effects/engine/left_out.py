"""Vehicle wells left out one by one: what the plate effects would be without each, without a new fit.

Leaving observation s out of a least squares fit turns its residual e into e / (1 - h), with h its leverage (Cook &
Weisberg 1982, section 2.2). Otherwise a well would be compared with plate effects that follow it, and look better
than it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from pbdb.common.arrays import Floats, Ints
from pbdb.effects.engine.design import Design, Layout
from pbdb.effects.engine.weighted import PlateEffects

MOST_WELLS = 300
_LEAST_FREE = 1e-6


class Wells(NamedTuple):
    """Vehicle wells (positions in design order), their condition, and their cell counted from the first vehicle's."""

    well: Ints
    condition: Ints
    cell: Ints


class LeftOut(NamedTuple):
    """By gene and well, in log2: how much lower the well's plate effect is without it, and its unscaled variance.

    NaN where the plate would not be connected without the well.
    """

    shift: Floats
    variance: Floats


def checked_wells(design: Design) -> Wells:
    """Choose at most 300 wells, evenly spread, of those vehicles of the ok effects that have two wells or more."""
    vehicles = np.unique(design.effects.vehicle[design.ok])
    vehicles = vehicles[design.condition_sizes[vehicles] > 1]
    well = np.flatnonzero(np.isin(design.sample_condition, vehicles))
    if len(well) > MOST_WELLS:
        well = well[(np.arange(MOST_WELLS) * len(well)) // MOST_WELLS]
    layout, first = design.layout, design.n_conditions - int(design.is_vehicle.sum())
    cell = np.searchsorted(layout.cell_start, well, side="right") - 1
    return Wells(well, design.sample_condition[well], cell - layout.condition_start[first])


def leave_out(y: Floats, w: Floats, plates: PlateEffects, design: Design, wells: Wells) -> LeftOut:
    """Leave each of `wells` out; y and w are the responses and weights (genes x samples) that gave `plates`."""
    out = LeftOut(np.empty((len(y), len(wells.well))), np.empty((len(y), len(wells.well))))
    _leave_out(y, w, plates.effect, plates.vehicle_variance, design.layout, wells, *out)
    return out


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _leave_out(
    y: Floats, w: Floats, effect: Floats, vehicle_variance: Floats, layout: Layout, wells: Wells,
    shift: Floats, variance: Floats,
) -> None:  # fmt: skip
    first_cell = len(layout.cell_plate) - vehicle_variance.shape[1]
    for i in prange(len(y)):
        condition, d, mean = -1, 0.0, 0.0
        for j in range(len(wells.well)):
            if wells.condition[j] != condition:
                condition = wells.condition[j]
                d, mean = _vehicle_mean(y[i], w[i], effect[i], layout, condition)
            s = wells.well[j]
            p = layout.free[layout.cell_plate[wells.cell[j] + first_cell]]
            residual = y[i, s] - mean - (effect[i, p] if p >= 0 else 0.0)
            spread = 1.0 / d + vehicle_variance[i, wells.cell[j]]
            left = 1.0 - w[i, s] * spread
            if not left > _LEAST_FREE:
                shift[i, j] = variance[i, j] = np.nan
                continue
            # Of the change of the residual, that of the vehicle's mean is left to the counts themselves.
            of_mean = d / (d - w[i, s])
            shift[i, j] = residual * (1.0 / left - of_mean)
            variance[i, j] = max(0.0, spread / left - of_mean / d)


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _vehicle_mean(y: Floats, w: Floats, effect: Floats, layout: Layout, condition: int) -> tuple[float, float]:
    """Return the weight of a condition and its mean on the reference plate."""
    d, total = 0.0, 0.0
    for k in range(layout.condition_start[condition], layout.condition_start[condition + 1]):
        p = layout.free[layout.cell_plate[k]]
        for s in range(layout.cell_start[k], layout.cell_start[k + 1]):
            d += w[s]
            total += w[s] * (y[s] - (effect[p] if p >= 0 else 0.0))
    return d, total / d
