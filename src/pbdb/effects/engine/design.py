"""The structured design of one fit: conditions, plates, the graph they form, and what can be estimated.

A fit holds all samples of one dataset x context (x stratum). Its model is one mean per condition plus one
effect per plate. Samples on one plate and in one condition form a cell; conditions and plates are the two
sides of a graph whose edges are the cells. Two conditions can be compared exactly when that graph connects them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pbdb.common.arrays import Ints, Mask
from pbdb.common.errors import ConfigError, DataError, DesignError
from pbdb.effects.options import Mode

Labels = npt.NDArray[Any]

OK = "ok"
NO_VEHICLE = "no_vehicle"
CONFOUNDED = "confounded_with_plate"
NO_SAMPLE = "no_sample"
NO_RESIDUAL_DF = "no_residual_df"
NO_DOSE = "no_dose"
NO_GENE = "no_gene"


class Layout(NamedTuple):
    """Integer arrays that describe the design to compiled code; samples are sorted by condition, then plate.

    Cell k holds samples `cell_start[k]:cell_start[k + 1]`, all on plate `cell_plate[k]`; condition c holds
    cells `condition_start[c]:condition_start[c + 1]`. `free[p]` is the position of plate p among those with
    an effect of their own, or -1 for the one plate of each component whose effect is fixed at zero.
    """

    cell_start: Ints
    cell_plate: Ints
    condition_start: Ints
    free: Ints
    condition_component: Ints


@dataclass(frozen=True)
class Effects:
    """One row per treated condition (pooled) or treated sample (replicate), whatever its status.

    `condition` is the label given by the caller, `sample` the position of the well (-1 when pooled),
    `treated` and `vehicle` are positions among the design's conditions (-1 where there is none).
    """

    condition: Labels
    sample: Ints
    status: npt.NDArray[np.str_]
    treated: Ints
    vehicle: Ints
    n_treated: Ints
    n_vehicle: Ints
    n_plates: Ints
    n_vehicle_same_plates: Ints

    def __len__(self) -> int:
        return len(self.status)


@dataclass(frozen=True)
class Design:
    """The design of one fit.

    `samples` lists the positions (in the caller's order) of the samples in the fit, sorted by condition
    and plate; `layout` describes them. `is_vehicle` marks vehicle conditions.
    """

    mode: Mode
    samples: Ints
    layout: Layout
    plates: Labels
    is_vehicle: Mask
    effects: Effects
    n_given: int
    n_components: int

    @property
    def n_samples(self) -> int:
        """Samples in the fit."""
        return len(self.samples)

    @property
    def n_conditions(self) -> int:
        """Conditions in the fit, vehicles included."""
        return len(self.layout.condition_start) - 1

    @property
    def n_plates(self) -> int:
        """Plates in the fit."""
        return len(self.plates)

    @property
    def df_residual(self) -> int:
        """Samples minus the rank of the design."""
        return self.n_samples - (self.n_conditions + self.n_plates - self.n_components)

    @property
    def n_free(self) -> int:
        """Plate effects that are estimated."""
        return self.n_plates - self.n_components

    @property
    def ok(self) -> Ints:
        """Positions of the effects that can be estimated; result arrays hold these, in this order."""
        return np.flatnonzero(self.effects.status == OK)

    @property
    def condition_sizes(self) -> Ints:
        """Samples of each condition."""
        return np.diff(self.layout.cell_start[self.layout.condition_start])

    @property
    def sample_condition(self) -> Ints:
        """Condition of each sample of the fit."""
        return np.repeat(np.arange(self.n_conditions), self.condition_sizes)

    @property
    def is_control(self) -> Mask:
        """Whether each sample of the fit is a vehicle well."""
        return self.is_vehicle[self.sample_condition]


def enough_cells(n_cells: npt.ArrayLike, min_cells: int) -> Mask:
    """Mark the pseudobulk samples of at least `min_cells` cells; unknown numbers (NaN or negative) stay."""
    cells = np.asarray(n_cells, dtype=np.float64)
    known = np.isfinite(cells) & (cells >= 0)
    return ~known | (cells >= min_cells)


def build(
    condition: npt.ArrayLike,
    is_control: npt.ArrayLike,
    *,
    plate: npt.ArrayLike | None = None,
    time: npt.ArrayLike | None = None,
    keep: npt.ArrayLike | None = None,
    mode: Mode = "pooled",
) -> Design:
    """Build the design from one entry per sample.

    `condition` labels treated samples (labels of controls are not read: all controls of one time are one
    vehicle condition). `keep` is False for samples left out of the fit; a condition without any sample left
    has status `no_sample`. Controls at a time without treated samples are left out too.

    Raises:
        DataError: lists of different lengths.
        DesignError: no vehicle, no treated sample, or a condition that is given at two times.
    """
    control = np.asarray(is_control, dtype=bool)
    n = len(control)
    wells = _Wells(
        condition=_column(condition, n, "condition"),
        control=control,
        plate=_column(np.zeros(n, np.int64) if plate is None else plate, n, "plate"),
        time=_codes(_column(np.zeros(n, np.int64) if time is None else time, n, "time"))[1],
        keep=np.ones(n, bool) if keep is None else _column(np.asarray(keep, dtype=bool), n, "keep"),
    )
    if mode not in ("pooled", "replicate"):
        raise ConfigError(f"Mode {mode!r} is unknown; use pooled or replicate.")
    return _build(_without_idle_controls(wells), mode)


@dataclass(frozen=True)
class _Wells:
    condition: Labels
    control: Mask
    plate: Labels
    time: Ints
    keep: Mask


def _column(values: npt.ArrayLike, n: int, what: str) -> Labels:
    """Return the values as an array; object columns become text, so that they can be sorted."""
    column = np.asarray(values)
    if column.shape != (n,):
        raise DataError(f"The column {what} has shape {column.shape} for {n} samples; give one value per sample.")
    return column.astype(str) if column.dtype == object else column


def _codes(values: Labels) -> tuple[Labels, Ints]:
    labels, codes = np.unique(values, return_inverse=True)
    return labels, codes.astype(np.int64)


def _without_idle_controls(wells: _Wells) -> _Wells:
    """Leave out controls at times that have no treated sample."""
    if not (wells.keep & wells.control).any():
        raise DesignError("There is no vehicle well in this fit; mark the vehicle wells as controls.")
    if not (wells.keep & ~wells.control).any():
        raise DesignError("There is no treated well in this fit; nothing can be compared with the vehicle.")
    used_times = np.unique(wells.time[wells.keep & ~wells.control])
    return replace(wells, keep=wells.keep & (~wells.control | np.isin(wells.time, used_times)))


def _build(wells: _Wells, mode: Mode) -> Design:
    """Samples in the order condition, plate: a cell is then a run of samples, a condition a run of cells.

    Treated groups have the codes 0 to n - 1, the vehicle of each time the codes from n on; `position` leads from a code
    to the condition's number in the fit, -1 where none of its samples is kept.
    """
    labels, group, sample = _treated_groups(wells, mode)
    n_treated_groups = len(labels)
    group[wells.control] = n_treated_groups + wells.time[wells.control]
    used = np.flatnonzero(wells.keep)
    plates, plate_code = _codes(wells.plate[used])
    order = np.lexsort((plate_code, group[used]))
    samples, plate_code = used[order], plate_code[order]
    present, condition_code = np.unique(group[samples], return_inverse=True)
    layout, n_components = _layout(condition_code, plate_code, len(present), len(plates))
    position = np.full(n_treated_groups + int(wells.time.max()) + 1, -1)
    position[present] = np.arange(len(present))
    first = np.unique(group[~wells.control], return_index=True)[1]
    time_of_group = wells.time[~wells.control][first]
    design = Design(
        mode=mode,
        samples=samples,
        layout=layout,
        plates=plates,
        is_vehicle=present >= n_treated_groups,
        effects=_no_effects(),
        n_given=len(group),
        n_components=n_components,
    )
    treated, vehicle = position[:n_treated_groups], position[n_treated_groups + time_of_group]
    return replace(design, effects=_effects(design, labels, sample, treated, vehicle))


def _treated_groups(wells: _Wells, mode: Mode) -> tuple[Labels, Ints, Ints]:
    """Return label of each effect, effect of each sample (0 for controls), and sample of each effect."""
    treated = np.flatnonzero(~wells.control)
    labels, code = _codes(wells.condition[treated])
    _refuse_two_times(labels, code, wells.time[treated])
    group = np.zeros(len(wells.control), np.int64)
    if mode == "pooled":
        group[treated] = code
        return labels, group, np.full(len(labels), -1)
    group[treated] = np.arange(len(treated))
    return labels[code], group, treated


def _refuse_two_times(labels: Labels, code: Ints, time: Ints) -> None:
    """A condition is compared with the vehicle of one time: the least and the largest time of each label must agree."""
    low = np.full(len(labels), np.iinfo(np.int64).max)
    high = np.full(len(labels), -1)
    np.minimum.at(low, code, time)
    np.maximum.at(high, code, time)
    if (low < high).any():
        label = labels[np.flatnonzero(low < high)[0]]
        raise DesignError(f"Condition {label!r} has wells at two times; give each time its own condition label.")


def _layout(condition: Ints, plate: Ints, n_conditions: int, n_plates: int) -> tuple[Layout, int]:
    """Cells, and the components of the graph of conditions and plates.

    Additive effects of conditions and plates can be told apart within a component only, up to one constant: the first
    plate of each is its reference (effect 0), all others are free.
    """
    cell, start = np.unique(condition * n_plates + plate, return_index=True)
    cell_condition, cell_plate = np.divmod(cell, n_plates)
    graph = coo_array(
        (np.ones(len(cell), np.int8), (cell_condition, n_conditions + cell_plate)),
        shape=(n_conditions + n_plates,) * 2,
    )
    n_components, component = connected_components(graph.tocsr(), directed=False)
    component = component.astype(np.int64)
    reference = np.unique(component[n_conditions:], return_index=True)[1]
    is_free = np.ones(n_plates, bool)
    is_free[reference] = False
    layout = Layout(
        cell_start=np.append(start, len(condition)).astype(np.int64),
        cell_plate=cell_plate,
        condition_start=np.searchsorted(cell_condition, np.arange(n_conditions + 1)).astype(np.int64),
        free=np.where(is_free, np.cumsum(is_free) - 1, -1),
        condition_component=component[:n_conditions],
    )
    return layout, int(n_components)


def _effects(design: Design, labels: Labels, sample: Ints, treated: Ints, vehicle: Ints) -> Effects:
    """Of several reasons the last one that holds is stated: residual df, component, no vehicle, no sample."""
    sizes = np.append(design.condition_sizes, 0)
    cells = np.append(np.diff(design.layout.condition_start), 0)
    component = np.append(design.layout.condition_component, -1)
    status = np.full(len(labels), OK, dtype="U24")
    if design.df_residual <= 0:
        status[:] = NO_RESIDUAL_DF
    status[component[treated] != component[vehicle]] = CONFOUNDED
    status[vehicle < 0] = NO_VEHICLE
    status[treated < 0] = NO_SAMPLE
    return Effects(
        condition=labels,
        sample=sample,
        status=status,
        treated=treated,
        vehicle=vehicle,
        n_treated=sizes[treated],
        n_vehicle=sizes[vehicle],
        n_plates=cells[treated],
        n_vehicle_same_plates=_controls_on_plates(design, treated, vehicle),
    )


def _controls_on_plates(design: Design, treated: Ints, vehicle: Ints) -> Ints:
    """Count, for each effect, its vehicle wells on the plates of its treated wells."""
    layout = design.layout
    cell_size = np.diff(layout.cell_start)
    wells = {}
    for v in np.unique(vehicle[vehicle >= 0]):
        cells = slice(layout.condition_start[v], layout.condition_start[v + 1])
        wells[v] = np.bincount(layout.cell_plate[cells], cell_size[cells], design.n_plates)
    count = np.zeros(len(treated), np.int64)
    for e in np.flatnonzero((treated >= 0) & (vehicle >= 0)):
        cells = slice(layout.condition_start[treated[e]], layout.condition_start[treated[e] + 1])
        count[e] = int(wells[vehicle[e]][layout.cell_plate[cells]].sum())
    return count


def _no_effects() -> Effects:
    none = np.empty(0, np.int64)
    return Effects(none, none, np.empty(0, "U24"), none, none, none, none, none, none)
