"""Whether the p values of a fit hold on its own vehicle wells: each tested against the others of its vehicle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit, prange
from scipy import special

from pbdb.common.arrays import Floats, Floats32
from pbdb.effects.engine.adjust import adjust_rows

AnyFloats = npt.NDArray[np.floating]

LEVEL = 0.05
TAIL = 1e-3


@dataclass(frozen=True)
class NullResult:
    """Of n_wells vehicle wells, the share with any gene at 5 % (expected: 5 %), with its exact 95 % interval.

    tail_ratio: tests with p < 0.001 over the number expected (1 where p values hold).
    """

    n_wells: int
    any_share: float
    any_share_low: float
    any_share_high: float
    tail_ratio: float


class NullCheck:
    """Gathers the p values of the checked wells block by block: 4 bytes for each gene and well."""

    def __init__(self, n_wells: int, n_genes: int):
        self._neg_log10_p = np.full((n_wells, n_genes), np.nan, np.float32)

    def add(self, genes: slice, neg_log10_p: Floats | None) -> None:
        """Take in a block, genes x wells."""
        if neg_log10_p is not None:
            self._neg_log10_p[:, genes] = neg_log10_p.T

    def result(self) -> NullResult | None:
        """Sum up; None without wells or tests."""
        p = self._neg_log10_p
        n_tests, n_wells = int((~np.isnan(p)).sum()), len(p)
        if not n_tests:
            return None
        n_any = int((adjust_rows(p) > -np.log10(LEVEL)).any(axis=1).sum())
        low, high = binomial_interval(n_any, n_wells)
        return NullResult(n_wells, n_any / n_wells, low, high, float((p > -np.log10(TAIL)).sum() / (TAIL * n_tests)))


def binomial_interval(successes: int, trials: int, outside: float = 0.05) -> tuple[float, float]:
    """Return the exact interval of a share (Clopper & Pearson 1934, Biometrika 26:404)."""
    low = special.betaincinv(successes, trials - successes + 1, outside / 2) if successes else 0.0
    high = special.betaincinv(successes + 1, trials - successes, 1 - outside / 2) if successes < trials else 1.0
    return float(low), float(high)


def null_spread(neg_log10_p: AnyFloats) -> Floats32:
    """Return, by row, the median |z| of two-sided p values over that of the normal law; 1 where all genes are null.

    It shows an effect whose z are wider than noise among vehicles: many genes respond, or the wells are odd. To
    divide z by it would remove real effects, so it is a flag only.
    """
    median = np.full(len(neg_log10_p), np.nan, np.float32)
    _row_medians(neg_log10_p, median)
    # z at the median: the two-sided p is 10^-median, and p = 1/2 where all genes are null.
    return np.asarray(special.ndtri(0.5 * 10.0 ** -median.astype(np.float64)) / special.ndtri(0.25), np.float32)


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _row_medians(rows: AnyFloats, median: Floats32) -> None:
    for i in prange(len(rows)):
        known = rows[i][~np.isnan(rows[i])]
        if len(known):
            median[i] = np.median(known)
