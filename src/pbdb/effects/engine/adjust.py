"""Benjamini-Hochberg adjustment (1995, JRSS B 57:289) on the -log10 scale.

With m p-values, adjusted p_(k) = min over j >= k of m p_(j) / j; on the -log10 scale that is a running maximum.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from pbdb.common.arrays import Codes, Floats

AnyFloats = npt.NDArray[np.floating]
_BITS = 11
_DIGITS = 1 << _BITS
_PLACES = 6  # of 11 bits in 64


def adjust(neg_log10_p: AnyFloats) -> Floats:
    """Adjust one family of p-values of any shape; NaN stays NaN and does not count."""
    flat = np.asarray(neg_log10_p, dtype=np.float64).ravel()
    return np.asarray(adjust_rows(flat[None, :])[0].reshape(np.shape(neg_log10_p)))


def adjust_rows(neg_log10_p: AnyFloats) -> Floats:
    """Adjust each row (the genes of one effect) by itself."""
    out = np.empty(neg_log10_p.shape)
    _adjust_rows(neg_log10_p, out)
    return out


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _adjust_rows(rows: AnyFloats, out: Floats) -> None:
    """Of m values rising in -log10 p, the j-th from 0 has rank m - j: p m / rank subtracts log10(m / (m - j))."""
    n = rows.shape[1]
    without_gaps = np.empty(n)
    for j in range(n):
        without_gaps[j] = np.log10(n / (n - j))
    for i in prange(len(rows)):
        row = rows[i].astype(np.float64)
        m = _from_zero(row)
        order = _rising_order(row.view(np.uint64))
        running = 0.0
        for j in range(m):
            running = max(running, row[order[j]] - (without_gaps[j] if m == n else np.log10(m / (m - j))))
            out[i, order[j]] = running
        for j in range(m, n):
            out[i, order[j]] = np.nan


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _from_zero(row: Floats) -> int:
    """Make 0 of what is below it, and of -0: then bits rise as values do, NaN last. Return how many are known."""
    known = 0
    for j in range(len(row)):
        if not np.isnan(row[j]):
            known += 1
            row[j] = max(0.0, row[j])
    return known


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _rising_order(keys: npt.NDArray[np.uint64]) -> Codes:
    """Positions in rising order of whole numbers: a radix sort, five times as fast here as a sort by comparing.

    Digits that all numbers share, as the last ones of what was float32, cost no pass.
    """
    n, mask = len(keys), np.uint64(_DIGITS - 1)
    order, spare = np.arange(n).astype(np.int32), np.empty(n, np.int32)
    counts = np.zeros((_PLACES, _DIGITS), np.int64)
    for j in range(n):
        for place in range(_PLACES):
            counts[place, (keys[j] >> np.uint64(_BITS * place)) & mask] += 1
    for place in range(_PLACES):
        shift, next_of = np.uint64(_BITS * place), counts[place]
        if n == 0 or next_of[(keys[0] >> shift) & mask] == n:
            continue
        total = 0
        for digit in range(_DIGITS):
            here = next_of[digit]
            next_of[digit] = total
            total += here
        for j in range(n):
            digit = (keys[order[j]] >> shift) & mask
            spare[next_of[digit]] = order[j]
            next_of[digit] += 1
        order, spare = spare, order
    return order


class FitWide:
    """The adjustment over all genes and effects of a fit, from p-values met block by block.

    `capacity` is the largest number of p-values that may come. Only those up to `largest_p` are kept (no other
    can be significant at that level), so memory is one number for each of them, sorted in place; `cutoff` and
    `adjust` are exact for adjusted values up to `largest_p`.
    """

    def __init__(self, capacity: int, largest_p: float = 1.0, dtype: npt.DTypeLike = np.float64):
        self._floor = -np.log10(largest_p)
        self._kept: AnyFloats = np.empty(capacity, dtype)
        self._n_kept = 0
        self._steps: tuple[AnyFloats, AnyFloats] | None = None
        self.n_tests = 0

    def add(self, neg_log10_p: AnyFloats) -> None:
        """Take in the p-values of a block; NaN does not count."""
        flat = np.asarray(neg_log10_p).ravel()
        self.n_tests += int(np.count_nonzero(~np.isnan(flat)))
        chosen = flat[flat >= self._floor]
        self._kept[self._n_kept : self._n_kept + len(chosen)] = chosen
        self._n_kept += len(chosen)
        self._steps = None

    def cutoff(self, level: float) -> float | None:
        """Return the -log10 p from which tests are significant at this false discovery rate, None if none is."""
        values, adjusted = self._rising()
        first = int(np.searchsorted(adjusted, -np.log10(level)))
        return float(values[first]) if first < len(values) else None

    def adjust(self, neg_log10_p: AnyFloats) -> Floats:
        """Return the adjusted values of p-values that were added; NaN for those above `largest_p`."""
        values, adjusted = self._rising()
        asked = np.asarray(neg_log10_p, dtype=self._kept.dtype)
        place = np.searchsorted(values, asked, side="right") - 1
        out = np.where(place >= 0, adjusted[np.maximum(place, 0)], 0.0) if len(values) else np.zeros(asked.shape)
        out[~(asked >= self._floor)] = np.nan
        return np.asarray(out, dtype=np.float64)

    def _rising(self) -> tuple[AnyFloats, AnyFloats]:
        """Return the kept values at which the adjusted value rises, and those adjusted values."""
        if self._steps is None:
            values = self._kept[: self._n_kept]
            values.sort()
            place = np.empty(_count_rises(values, self.n_tests), np.int64)
            adjusted = np.empty(len(place))
            _find_rises(values, self.n_tests, place, adjusted)
            self._steps = values[place], adjusted
        return self._steps


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _count_rises(values: AnyFloats, n_tests: int) -> int:
    """How many steps `_find_rises` will find: counted first, so that one array holds them."""
    rises, highest = 0, 0.0
    for j in range(len(values)):
        adjusted_p = values[j] - np.log10(n_tests / (len(values) - j))
        if adjusted_p > highest:
            highest = adjusted_p
            rises += 1
    return rises


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _find_rises(values: AnyFloats, n_tests: int, place: npt.NDArray[np.int64], adjusted: Floats) -> None:
    """Where the running maximum of the adjusted values rises: values between have the last one."""
    rises, highest = 0, 0.0
    for j in range(len(values)):
        adjusted_p = values[j] - np.log10(n_tests / (len(values) - j))
        if adjusted_p > highest:
            highest = adjusted_p
            place[rises], adjusted[rises] = j, adjusted_p
            rises += 1
