"""Add cells up to samples: sums of counts and numbers of cells expressing each gene, exact whole numbers.

Both stand in one number of 64 bits: the sum in the lower SUM_BITS, the number of cells above them, so that a count
costs one addition at one place. Large totals begin with 32 bits, of which the lower FEW_BITS are the sum: all that the
cells of one task need as a rule. Sums of whole numbers do not depend on the order or the division of the cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from pbdb.common.arrays import Codes, Ints, Values
from pbdb.common.errors import DataError

SUM_BITS = 36
CELL = 1 << SUM_BITS
SUM_MASK = CELL - 1
FEW_BITS = 22
LARGE_BYTES = 1 << 28
MAX_CELLS = 1 << (63 - SUM_BITS)
IS_MITO, IS_MALAT1, IS_LEFT_OUT = 1, 2, 4
PROBLEMS = {
    1: "has a count that is negative, fractional or no number: raw counts are needed",
    2: "names a gene beyond the last one: its indices are damaged",
    3: "names a gene twice: sum such counts first (sum_duplicates)",
}


class Measures:
    """What the filters need to know of cells: genes detected, counts, mitochondrial counts and those of MALAT1."""

    def __init__(self, n_cells: int):
        self.n_genes, self.n_counts, self.mito, self.malat1 = (np.zeros(n_cells, dtype=np.int64) for _ in range(4))


def measure(
    indptr: Ints, indices: Values, data: Values, marks: npt.NDArray[np.uint8], pool: Executor, threads: int
) -> tuple[Measures, int, int]:
    """Measure cells in compressed sparse rows; marks: the IS_ bits of each gene.

    Genes that are left out do not count. Returns the measures, and of the first cell that cannot be right its position
    and its problem (else 0).
    """
    measures = Measures(len(indptr) - 1)
    cuts = np.searchsorted(indptr, np.linspace(0, indptr[-1], threads + 1)[1:-1]).tolist()
    bounds = [0, *cuts, len(indptr) - 1]
    out = (measures.n_genes, measures.n_counts, measures.mito, measures.malat1)
    waiting = [pool.submit(_measure, low, high, indptr, indices, data, marks, *out) for low, high in pairwise(bounds)]
    problems = [job.result() for job in waiting]
    return measures, *next((problem for problem in problems if problem[1]), (0, 0))


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _measure(
    low: int,
    high: int,
    indptr: Ints,
    indices: Values,
    data: Values,
    marks: npt.NDArray[np.uint8],
    n_genes: Ints,
    n_counts: Ints,
    mito: Ints,
    malat1: Ints,
) -> tuple[int, int]:
    """Measure cells low to high; return the first cell with a problem, and which, or 0."""
    for cell in range(low, high):
        before, is_sorted = -1, True
        for at in range(indptr[cell], indptr[cell + 1]):
            gene, value = np.int64(indices[at]), data[at]
            problem = _problem(gene, value, len(marks))
            if problem:
                return cell, problem
            if gene <= before:
                is_sorted = False
            before = int(gene)
            if marks[gene] & IS_LEFT_OUT:
                continue
            count = np.int64(value)
            n_genes[cell] += count > 0
            n_counts[cell] += count
            if marks[gene]:
                mito[cell] += count if marks[gene] & IS_MITO else 0
                malat1[cell] += count if marks[gene] & IS_MALAT1 else 0
        if not is_sorted and _repeats(indices[indptr[cell] : indptr[cell + 1]]):
            return cell, 3
    return 0, 0


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _problem(gene: int, value: float, n_genes: int) -> int:
    if not value >= 0 or value != np.floor(value) or value >= CELL:
        return 1
    return 2 if gene < 0 or gene >= n_genes else 0


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _repeats(indices: Values) -> bool:
    ordered = np.sort(indices)
    return bool((ordered[1:] == ordered[:-1]).any())


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _add(
    rows: Ints, slots: Ints, indptr: Ints, indices: Values, data: Values, columns: Codes, cell_mark: int, totals: Values
) -> None:
    """Add rows to the totals of their slots; `one` is added to each value above 0, columns below 0 are left out."""
    for row in rows:
        total = totals[slots[row]]
        for at in range(indptr[row], indptr[row + 1]):
            column = columns[indices[at]]
            value = np.int64(data[at])
            if column >= 0 and value > 0:
                total[column] += value + cell_mark


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def compressed(totals: Values, rows: Ints, bits: int) -> tuple[Ints, Codes, Ints]:
    """Non-zero totals of some rows in compressed sparse rows: indptr, indices, values of 64 bits.

    bits: of a sum in `totals`. Zeros are written too and then written over: to branch on them is slower.
    """
    indptr = np.zeros(len(rows) + 1, dtype=np.int64)
    for place, row in enumerate(rows):
        indptr[place + 1] = indptr[place] + np.count_nonzero(totals[row])
    indices, values = np.empty(indptr[-1] + 1, dtype=np.int32), np.empty(indptr[-1] + 1, dtype=np.int64)
    at = 0
    for row in rows:
        for column in range(totals.shape[1]):
            total = np.int64(totals[row, column])
            indices[at] = column
            values[at] = (total & ((1 << bits) - 1)) + ((total >> bits) << SUM_BITS)
            at += total != 0
    return indptr, indices[:at], values[:at]


class Totals:
    """Totals of samples x genes while cells come in, dense; memory: 4, later 8 bytes x slots x genes.

    A sample gets a slot when its first cell comes. n_cells and n_counts: of all samples, by their codes.
    """

    def __init__(self, n_samples: int, n_columns: int, n_slots: int):
        self.n_slots = max(1, min(n_slots, n_samples))
        self.n_cells, self.n_counts = (np.zeros(n_samples, dtype=np.int64) for _ in range(2))
        self._shape = (self.n_slots, n_columns)
        self._slots = np.full(n_samples, -1, dtype=np.int64)
        self._n_used = 0
        is_large = 8 * self.n_slots * n_columns > LARGE_BYTES
        self._bits = FEW_BITS if is_large else SUM_BITS
        self._totals: Values = np.zeros(self._shape, dtype=np.uint32 if is_large else np.int64)

    def room_for(self, codes: Codes, n_counts: Ints) -> int:
        """How many of these cells, sorted by their samples, can be added before the totals are taken."""
        samples, first, n_cells = np.unique(codes, return_index=True, return_counts=True)
        used = self._n_used + np.cumsum(self._slots[samples] < 0)
        fits = used <= self.n_slots
        if self._bits == FEW_BITS:
            fits &= self.n_cells[samples] + n_cells < 1 << (32 - FEW_BITS)
            added = np.add.reduceat(n_counts, first) if len(first) else n_counts
            fits &= self.n_counts[samples] + added < 1 << FEW_BITS
        return len(codes) if fits.all() else int(first[np.argmin(fits)])

    def add(
        self, rows: Ints, codes: Codes, block: tuple[Any, Any, Any], columns: Codes, pool: Executor, threads: int
    ) -> None:
        """Add some rows of a block (indptr, indices, data), sorted by their samples; codes: of those rows.

        Each thread has samples of its own.
        """
        self._give_slots(codes)
        slots = np.zeros(len(block[0]), dtype=np.int64)
        slots[rows] = self._slots[codes]
        parts = np.split(rows, _cuts(codes, threads))
        rest: tuple[Any, ...] = (slots, *block, columns, 1 << self._bits, self._totals)
        for job in [pool.submit(_add, part, *rest) for part in parts]:
            job.result()

    def count(self, codes: Codes, n_counts: Ints) -> None:
        """Count cells and what was counted in them, and refuse what the totals could not hold.

        Raises:
            DataError: a sample has more cells or counts than fit.
        """
        self.n_cells += np.bincount(codes, minlength=len(self.n_cells))
        np.add.at(self.n_counts, codes, n_counts)
        refuse_overflow(self.n_cells, self.n_counts)

    def _give_slots(self, codes: Codes) -> None:
        new = np.unique(codes[self._slots[codes] < 0])
        self._slots[new] = np.arange(self._n_used, self._n_used + len(new))
        self._n_used += len(new)

    @property
    def present(self) -> Ints:
        """Codes of the samples that have a cell, ascending."""
        return np.flatnonzero(self._slots >= 0)

    def rows(self, n_rows: int) -> Iterator[tuple[Ints, Codes, Ints]]:
        """Totals of the samples that are present, n_rows at a time: indptr, indices, values."""
        slots = self._slots[self.present]
        for start in range(0, len(slots), n_rows):
            yield compressed(self._totals, slots[start : start + n_rows], self._bits)

    def clear(self) -> None:
        """Begin anew, with 64 bits."""
        del self._totals
        self._totals, self._bits = np.zeros(self._shape, dtype=np.int64), SUM_BITS
        self._slots[:], self.n_cells[:], self.n_counts[:] = -1, 0, 0
        self._n_used = 0


def _cuts(codes: Codes, n: int) -> Ints:
    """Where to cut rows, sorted by their samples, into n parts that share no sample."""
    middles = codes[np.arange(1, n) * len(codes) // n]
    return np.searchsorted(codes, middles).astype(np.int64)


def refuse_overflow(n_cells: Ints, n_counts: Ints) -> None:
    """Refuse samples whose totals do not fit.

    Raises:
        DataError: a sample has 2^27 cells or 2^36 counts.
    """
    too_large = np.flatnonzero((n_cells >= MAX_CELLS) | (n_counts >= CELL))
    if len(too_large):
        raise DataError(
            f"A sample would have {n_cells[too_large[0]]:,} cells and {n_counts[too_large[0]]:,} counts, more than one "
            f"can hold ({MAX_CELLS:,} and {CELL:,}): name samples by more columns."
        )


def added(parts: list[tuple[Ints, Ints, Codes, Ints]], n_rows: int, n_columns: int) -> tuple[Ints, Codes, Ints]:
    """Add totals of several parts: rows of the result, indptr, indices, values of each; compressed sparse rows."""
    totals = np.zeros((n_rows, n_columns), dtype=np.int64)
    columns = np.arange(n_columns, dtype=np.int32)
    for rows, indptr, indices, values in parts:
        _add(np.arange(len(rows)), rows, indptr, indices, values, columns, 0, totals)
    compressed_rows: tuple[Ints, Codes, Ints] = compressed(totals, np.arange(n_rows), SUM_BITS)
    return compressed_rows
