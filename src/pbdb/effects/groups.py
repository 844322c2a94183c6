"""What is fitted together, of which wells, and what becomes of the rest: one set of rules for every way to the engine.

A table of wells has one row per sample; its index is the row of the matrix. Columns: condition, compound, plate,
time_h, is_vehicle, has_dose, n_cells, context and stratum (text or null), and unusable, the reason or empty text.

    for group in fit_groups(wells, choices):      # by context, stratum, and published batch where asked for
        plan = make_plan(group, choices)          # the design of the wells that take part, and a row per effect
        prepare(values_of(plan.rows), plan.design, choices.options)

Conditions and plates enter the engine in the order in which they first appear, not by name: the same matrix and sheet
give the same sums in the same order, hence the same bits, whatever the conditions are called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb.common.arrays import Ints
from pbdb.common.errors import DesignError
from pbdb.effects.engine import (
    NO_DOSE,
    NO_GENE,
    NO_SAMPLE,
    NO_VEHICLE,
    OK,
    Design,
    build_design,
    deseq2,
    enough_cells,
)
from pbdb.effects.engine.batching import published_batches
from pbdb.effects.options import FitOptions, Mode

PADDED = "padded"
FEW_CELLS = "too_few_cells"
NUMBERS = ("n_treated", "n_vehicle", "n_plates", "n_vehicle_same_plates")


@dataclass(frozen=True)
class Group:
    """The wells of one fit, in the order of the matrix; their index is the row of the matrix.

    batch: its number from 1 where a context was cut, else None; padded: conditions whose effects are not made here,
    for another batch makes them, or nobody wants them.
    """

    context: str | None
    stratum: str | None
    wells: pd.DataFrame
    batch: int | None = None
    padded: frozenset[Any] = frozenset()

    @property
    def label(self) -> str:
        """Context, stratum and batch in words."""
        parts = (self.context, self.stratum, f"batch {self.batch}" if self.batch else None)
        return ", ".join(part for part in parts if part) or "all samples"

    def only(self, wanted: frozenset[Any]) -> list[Group]:
        """The group without the effects of other conditions; nothing where it has none of those wanted."""
        conditions = frozenset(self.wells["condition"])
        return [replace(self, padded=self.padded | (conditions - wanted))] if conditions & wanted else []


def fit_groups(wells: pd.DataFrame, choices: FitOptions) -> Iterator[Group]:
    """Cut wells by context and stratum, in order of their names, and into published batches if asked."""
    for (context, stratum), rows in wells.groupby(["context", "stratum"], dropna=False, sort=True):
        group = Group(_text_or_none(context), _text_or_none(stratum), rows)
        yield from _batches(group) if choices.batching == "published" else [group]


def _text_or_none(name: object) -> str | None:
    return name if isinstance(name, str) else None


def _batches(group: Group) -> Iterator[Group]:
    """Cut a context as the published runs did: from its usable wells, before wells of few cells are left out.

    Wells that cannot be used stay with their condition, conditions without a usable well with the first batch.
    """
    usable = group.wells[group.wells["unusable"] == ""]
    unusable = group.wells[group.wells["unusable"] != ""]
    batches = published_batches(usable["compound"].to_numpy(), usable["is_vehicle"].to_numpy(dtype=bool))
    if len(batches) == 1:
        yield group
        return
    homeless = ~unusable["condition"].isin(usable["condition"])
    for number, batch in enumerate(batches, start=1):
        members = usable.iloc[batch.samples]
        joins = unusable["condition"].isin(members["condition"]) | (homeless & (number == 1))
        padded = frozenset(members.loc[batch.padded, "condition"])
        yield replace(group, wells=pd.concat([members, unusable[joins]]).sort_index(), batch=number, padded=padded)


def reasons_left_out(wells: pd.DataFrame, min_cells: int) -> npt.NDArray[Any]:
    """Why each well is left out of its fit; empty text where it takes part."""
    n_cells = pd.to_numeric(wells["n_cells"]).to_numpy(dtype=np.float64, na_value=np.nan)
    few = ~enough_cells(n_cells, min_cells)
    unknown_dose = ~wells["has_dose"].to_numpy(dtype=bool)
    return np.select([few, unknown_dose], [FEW_CELLS, NO_DOSE], default=wells["unusable"].to_numpy(dtype=object))


@dataclass(frozen=True)
class Plan:
    """A group ready for the engine.

    left_out: why each well of the group takes no part, or empty text. effects: one row per effect that is made here,
    whatever its status: `condition`, `well` (position in the group of its first or only treated well), `status`,
    NUMBERS. design: of the wells in the fit, None where there is none; `rows` are their rows of the matrix, rising,
    `positions` theirs in the group. estimated: which row of `effects` each effect of status ok of the design is.
    problem: why nothing can be estimated.
    """

    group: Group
    left_out: npt.NDArray[Any]
    effects: pd.DataFrame
    design: Design | None = None
    positions: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    estimated: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    problem: str | None = None

    @property
    def rows(self) -> Ints:
        """Rows of the matrix that are in the fit, rising."""
        return self.group.wells.index.to_numpy(dtype=np.int64)[self.positions]

    @property
    def samples(self) -> Ints:
        """Positions in the group of the samples of the design, in its order."""
        return self.positions[self.design.samples] if self.design else self.positions

    def without_gene(self, problem: DesignError) -> Plan:
        """The plan of a group none of whose genes can be tested."""
        effects = self.effects.assign(status=self.effects["status"].replace(OK, NO_GENE))
        return replace(self, effects=effects, estimated=self.estimated[:0], problem=str(problem))

    def with_deseq2(self, results: list[deseq2.Wald]) -> Plan:
        """The plan after DESeq2 has said which effects it could fit."""
        status = self.effects["status"].to_numpy(dtype=object).copy()
        status[self.estimated] = [result.status for result in results]
        fitted = self.estimated[[result.status == OK for result in results]]
        return replace(self, effects=self.effects.assign(status=status), estimated=fitted)


def make_plan(group: Group, choices: FitOptions) -> Plan:
    """Build the design of a group and say of every effect whether it can be estimated."""
    wells = group.wells
    left_out = reasons_left_out(wells, choices.min_cells)
    codes, conditions = pd.factorize(wells["condition"])
    try:
        design = build_design(
            codes,
            wells["is_vehicle"].to_numpy(dtype=bool),
            plate=pd.factorize(wells["plate"])[0],
            time=wells["time_h"].to_numpy(dtype=np.float64),
            keep=left_out == "",
            mode=choices.mode,
        )
    except DesignError as problem:
        effects = _without_design(wells.assign(keep=left_out == ""), choices.mode)
        effects = _shown(group, effects).reset_index(drop=True)
        return Plan(group, left_out, effects, problem=str(problem))
    effects = _of_design(wells, design, conditions, codes)
    design = replace(design, effects=replace(design.effects, status=effects["status"].to_numpy(dtype=str)))
    shown = _shown(group, effects)
    design = _without(design, np.setdiff1d(np.arange(len(effects)), shown.index))
    estimated = np.searchsorted(shown.index, design.ok).astype(np.int64)
    return Plan(group, left_out, shown.reset_index(drop=True), *_of_used(design), estimated)


def _shown(group: Group, effects: pd.DataFrame) -> pd.DataFrame:
    """Effects that are made in this group and in no other."""
    return effects[~effects["condition"].isin(group.padded)]


def _without(design: Design, effects: Ints) -> Design:
    """The design that estimates nothing of some effects; their wells stay in the fit."""
    status = design.effects.status.astype(object)
    status[effects] = PADDED
    return replace(design, effects=replace(design.effects, status=status.astype(str)))


def _of_used(design: Design) -> tuple[Design, Ints]:
    """The design over its own samples, and where these are among those it was built of."""
    positions = np.sort(design.samples)
    return replace(design, samples=np.searchsorted(positions, design.samples), n_given=len(positions)), positions


def _of_design(wells: pd.DataFrame, design: Design, conditions: Any, codes: npt.NDArray[Any]) -> pd.DataFrame:
    """One row per effect of a design, in its order."""
    treated = np.flatnonzero(~wells["is_vehicle"].to_numpy(dtype=bool))
    first = np.zeros(len(conditions), dtype=np.int64)
    first[codes[treated][::-1]] = treated[::-1]  # of several wells of a condition the first is written last
    of_condition = design.effects.condition.astype(np.int64)
    well = np.where(design.effects.sample < 0, first[of_condition], design.effects.sample)
    numbers = {name: getattr(design.effects, name) for name in NUMBERS}
    table = {"condition": conditions[of_condition], "well": well, "status": design.effects.status, **numbers}
    return _with_unknown_doses(wells, pd.DataFrame(table))


def _without_design(wells: pd.DataFrame, mode: Mode) -> pd.DataFrame:
    """One row per effect of a group that has no vehicle, or no treated well, left; `keep` marks wells that are."""
    is_vehicle, keep = wells["is_vehicle"].to_numpy(dtype=bool), wells["keep"].to_numpy(dtype=bool)
    treated = wells.assign(well=np.arange(len(wells)))[~is_vehicle]
    n_plates = treated[treated["keep"]].groupby("condition")["plate"].nunique()
    if mode == "pooled":
        n_treated = treated.groupby("condition")["keep"].transform("sum")
        effects = treated.assign(n_treated=n_treated).drop_duplicates("condition")
    else:
        effects = treated.assign(n_treated=treated["keep"].astype(int))
    plates = effects["condition"].map(n_plates).fillna(0).astype(np.int64)
    effects = effects.assign(
        status=np.where(effects["n_treated"] > 0, NO_VEHICLE, NO_SAMPLE),
        n_vehicle=0 if keep[~is_vehicle].any() else int((is_vehicle & keep).sum()),
        n_plates=np.minimum(plates, effects["n_treated"]),
        n_vehicle_same_plates=0,
    )
    return _with_unknown_doses(wells, effects[["condition", "well", "status", *NUMBERS]])


def _with_unknown_doses(wells: pd.DataFrame, effects: pd.DataFrame) -> pd.DataFrame:
    """An effect of unknown dose says so."""
    has_dose = wells["has_dose"].to_numpy(dtype=bool)[effects["well"].to_numpy(dtype=np.int64)]
    return effects.assign(status=np.where(has_dose, effects["status"], NO_DOSE))


def run_deseq2(
    values: Any, plan: Plan, genes: Ints, threads: int, progress: Callable[[int, int], None]
) -> tuple[Plan, list[deseq2.Wald]]:
    """Fit each effect of a plan by itself; return the plan with their statuses, and the results of those fitted."""
    assert plan.design is not None
    results = []
    for result in deseq2.run(values, plan.design, genes, threads):
        results.append(result)
        progress(len(results), len(plan.estimated))
    return plan.with_deseq2(results), [result for result in results if result.status == OK]
