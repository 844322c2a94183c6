"""What a page is made from: wells with their profiles, fits, and effects."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from pbdb.common.arrays import Floats, Floats32, Ints, Mask
from pbdb.effects.engine.null_check import NullResult

FORMATS = ((8, 12), (16, 24), (32, 48))
WELLS = (
    "sample", "plate", "well", "compound", "condition", "dose_um", "time_h", "is_vehicle", "group", "left_out", "total",
    "detected",
)  # fmt: skip


@dataclass(frozen=True)
class FitPicture:
    """A fit: its genes on the axes of its trend, the curve, and the check on its vehicle wells.

    x, y: by gene; `axes` says what they are. curve: rising x and y, None where there is none.
    """

    label: str
    words: str
    axes: tuple[str, str] = ("", "")
    x: Floats = field(default_factory=lambda: np.empty(0))
    y: Floats = field(default_factory=lambda: np.empty(0))
    curve: tuple[Floats, Floats] | None = None
    null: NullResult | None = None


@dataclass(frozen=True)
class Volcano:
    """The genes of one effect: gene, log2_fc, p_value, p_adj."""

    title: str
    genes: pd.DataFrame


@dataclass(frozen=True)
class Screen:
    """Everything on the page.

    wells: WELLS, one row a well; condition is unique over groups (fits), left_out is empty where the well takes part.
    values: wells x genes, None where there is no matrix, with `missing` to say why. effects: condition, compound,
    dose_um, time_h, group, status, n_up, n_down. p_values: count of tests in equal bins from 0 to 1; p_source says
    what they are of.
    """

    title: str
    readout: str
    facts: dict[str, int]
    wells: pd.DataFrame
    effects: pd.DataFrame
    fits: list[FitPicture]
    p_values: Ints
    p_source: str
    volcanoes: list[Volcano]
    values: Floats32 | None = None
    missing: str = ""
    notes: tuple[str, ...] = ()

    @cached_property
    def usable(self) -> Mask:
        """Wells that take part in a fit and have values."""
        took_part = (self.wells["left_out"] == "").to_numpy()
        if self.values is None:
            return np.asarray(took_part)
        return np.asarray(took_part & np.isfinite(self.values).any(axis=1))

    @cached_property
    def compared(self) -> Compared:
        """The usable wells as arrays."""
        return Compared.of(self.wells[self.usable], None if self.values is None else self.values[self.usable])


@dataclass(frozen=True)
class Compared:
    """Wells as arrays for tests; codes from 0. stratum: group and time; block: a plate within it."""

    rows: Ints
    values: Floats32 | None
    log10_total: Floats
    is_vehicle: Mask
    stratum: Ints
    block: Ints
    condition: Ints
    conditions: list[str]
    blocks: list[str]
    is_edge: Floats
    frame: pd.DataFrame

    @classmethod
    def of(cls, wells: pd.DataFrame, values: Floats32 | None) -> Compared:
        """Code wells; missing values of genes become the mean of their gene in the stratum's wells."""
        stratum, _ = pd.factorize(wells["group"].astype(str) + "|" + wells["time_h"].astype(str))
        names = wells["plate"].astype(str)
        block, block_names = pd.factorize(pd.Series(stratum, index=wells.index).astype(str) + "|" + names)
        condition, conditions = pd.factorize(wells["condition"])
        with np.errstate(divide="ignore"):
            total = np.log10(wells["total"].to_numpy(np.float64))
        return cls(
            rows=wells.index.to_numpy(np.int64),
            values=None if values is None else filled(values),
            log10_total=np.where(np.isfinite(total), total, np.nan),
            is_vehicle=wells["is_vehicle"].to_numpy(bool),
            stratum=stratum.astype(np.int64),
            block=block.astype(np.int64),
            condition=condition.astype(np.int64),
            conditions=[str(name) for name in conditions],
            blocks=[str(name).split("|", 1)[1] for name in block_names],
            is_edge=edges(wells),
            frame=wells,
        )

    @cached_property
    def has_counts(self) -> bool:
        """Whether every well has a total count."""
        return len(self.rows) > 0 and bool(np.isfinite(self.log10_total).all())


def filled(values: Floats32) -> Floats32:
    """Missing values as the mean of their gene."""
    missing = np.isnan(values)
    if not missing.any():
        return values
    with np.errstate(invalid="ignore"):
        mean = np.nan_to_num(np.where(missing, 0, values).sum(axis=0) / np.maximum((~missing).sum(axis=0), 1))
    return np.where(missing, mean, values).astype(np.float32)


def position(well: Any) -> tuple[int, int] | None:
    """Row and column (from 0) of a well's name: B07, AF9; None where it is no place."""
    said = re.fullmatch(r"\s*([A-Za-z]|A[A-Fa-f])[-_ ]?0*(\d{1,2})\s*", well) if isinstance(well, str) else None
    if said is None or not 1 <= int(said[2]) <= 48:
        return None
    letters = said[1].upper()
    return (ord(letters[-1]) - 65 + 26 * (len(letters) - 1), int(said[2]) - 1)


def plate_format(places: list[tuple[int, int]]) -> tuple[int, int]:
    """The smallest usual plate (rows, columns) that has these wells."""
    rows, columns = max(r for r, _ in places) + 1, max(c for _, c in places) + 1
    return next((f for f in FORMATS if rows <= f[0] and columns <= f[1]), FORMATS[-1])


def edges(wells: pd.DataFrame) -> Floats:
    """1 for wells on the outer rows and columns of their plate, 0 within, NaN where the place is not known."""
    out = np.full(len(wells), np.nan)
    places = [position(well) for well in wells["well"]]
    for members in wells.reset_index(drop=True).groupby(wells["plate"].to_numpy()).indices.values():
        known = [(int(at), place) for at in members if (place := places[at]) is not None]
        if known:
            n_rows, n_columns = plate_format([place for _, place in known])
            for at, (row, column) in known:
                out[at] = row in (0, n_rows - 1) or column in (0, n_columns - 1)
    return out


def condition_words(compound: object, dose_um: float, time_h: float) -> str:
    """Write compound, dose and time."""
    dose = "unknown dose" if pd.isna(dose_um) else f"{dose_um:.4g} \N{MICRO SIGN}M"
    return f"{compound}, {dose}, {time_h:g} h"
