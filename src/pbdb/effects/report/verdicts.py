"""A verdict of a test of the page, and what all tests share: their level, the wells they take, words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import NamedTuple

import numpy as np
from scipy import stats

from pbdb.common.arrays import Floats32, Ints, Mask
from pbdb.effects.report import checks
from pbdb.effects.report.screen import Compared, Screen, condition_words

N_TESTS = 10
ALPHA = 0.05 / N_TESTS
"""False alarms of one test; 5 % for all tests of a page (Bonferroni)."""

PLATE_SHARE = 0.10
FEW_FOLD, DYING_FOLD = 0.25, 0.5
ALIKE, HALF_ALIKE = 0.4, 0.5
UNLIKE = 0.2
EDGE_COUNTS, EDGE_SHIFT = 0.1, 0.3
PATTERN = 0.1
APART_FOLD, VEHICLE_FOLD = 1.5, 1.25
FAR_WELLS, FAR_CONDITIONS, FAR_Z = 10, 5, 4.0
NAMED = 6


@dataclass(frozen=True)
class Verdict:
    """What one test said.

    key, asks: the test and its question. method: statistic, threshold and how many were compared, in words. says:
    sentences to worry about, none where it is quiet. not_tested: why it could not be asked. marked: wells (rows of
    Screen.wells) it points at. advice: what to do.
    """

    key: str
    asks: str
    method: str
    statistic: str = ""
    p: float | None = None
    says: tuple[str, ...] = ()
    not_tested: str = ""
    advice: str = ""
    marked: tuple[int, ...] = ()

    @property
    def state(self) -> str:
        """worry, quiet or not tested."""
        return "worry" if self.says else "not tested" if self.not_tested else "quiet"


Test = Callable[[Screen], Verdict]


class Answer(NamedTuple):
    """What came of a test; see `Verdict`."""

    statistic: str
    p: float | None = None
    says: tuple[str, ...] = ()
    marked: tuple[int, ...] = ()


class NotTestedError(Exception):
    """The wells do not allow a test; the message says why."""


def asked(key: str, asks: str, method: str, advice: str) -> Callable[[Callable[[Screen], Answer]], Test]:
    """Make a test of a page from what answers it."""

    def make(examine: Callable[[Screen], Answer]) -> Test:
        @wraps(examine)
        def ask(screen: Screen) -> Verdict:
            try:
                answer = examine(screen)
            except NotTestedError as problem:
                return Verdict(key, asks, method, not_tested=str(problem), advice=advice)
            statistic, p, says, marked = answer
            return Verdict(key, asks, method, statistic, p, says, advice=advice, marked=marked)

        return ask

    return make


NO_COUNTS = "intensities have no total counts"


def vehicles_of(screen: Screen, least: int) -> Compared:
    """The usable vehicle wells of plates that have so many.

    Raises:
        NotTestedError: there are none.
    """
    wells = screen.compared
    if wells.values is None:
        raise NotTestedError(screen.missing or "there is no matrix")
    n = np.bincount(wells.block, wells.is_vehicle) if len(wells.block) else np.zeros(0)
    kept = wells.is_vehicle & (n[wells.block] >= least)
    if not kept.any():
        raise NotTestedError(f"no plate has {least} vehicle wells")
    return only(wells, kept)


def treated_of(screen: Screen) -> tuple[Compared, Floats32]:
    """The treated wells and their values, free of the mean of their plate.

    Raises:
        NotTestedError: there are none.
    """
    wells = screen.compared
    if wells.values is None:
        raise NotTestedError(screen.missing or "there is no matrix")
    treated = ~wells.is_vehicle
    if not treated.any():
        raise NotTestedError("no treated well takes part")
    return only(wells, treated), checks.centred(wells.values, wells.block)[treated]


def only(wells: Compared, kept: Mask) -> Compared:
    """Some of the wells, coded anew."""
    return Compared.of(wells.frame[kept], None if wells.values is None else wells.values[kept])


def n_blocks(wells: Compared, stratum: Ints) -> int:
    """How many plates a stratum has."""
    return len(np.unique(wells.block[wells.stratum == stratum]))


def normal_cut(alpha: float) -> float:
    """Where a standard normal number is exceeded with probability alpha."""
    return float(stats.norm.isf(alpha))


def t_cut(alpha: float, df: int) -> float:
    """The same of Student's t."""
    return float(stats.t.isf(alpha, df))


def p_words(p: float) -> str:
    """Write a p value after the letter."""
    return f"= {min(p, 1.0):.2g}" if p >= 1e-4 else "< 0.0001"


def few(says: list[str]) -> tuple[str, ...]:
    """The first sentences, and how many more there are."""
    more = len(says) - NAMED
    return (*says[:NAMED], f"And {more} more of this kind.") if more > 0 else tuple(says)


def listed(names: list[str], of: int) -> str:
    """Join names, and say how many more there are."""
    more = of - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def wells_words(n: int) -> str:
    """Write a number of wells with its verb."""
    return "1 well is" if n == 1 else f"{n:,} wells are"


def of_vehicle(n: int) -> str:
    """Say how many of them are vehicle."""
    return f" ({n} of them vehicle)" if n else ""


def well_name(wells: Compared, at: int) -> str:
    """Name a well by place and plate."""
    row = wells.frame.iloc[at]
    place = row["well"] if isinstance(row["well"], str) else row["sample"]
    return f"{place} of plate {row['plate']}"


def names_of(wells: Compared, at: Ints, words: Callable[[int], str]) -> str:
    """Name wells, each with a few words."""
    return listed([f"{well_name(wells, int(a))} ({words(int(a))})" for a in at[:NAMED]], len(at))


def condition_label(wells: Compared, condition: int) -> str:
    """Name a condition for people: compound, dose and time."""
    row = wells.frame.iloc[int(np.flatnonzero(wells.condition == condition)[0])]
    return condition_words(row["compound"], row["dose_um"], row["time_h"])
