"""Which genes a fit tests, and library sizes that can be compared.

filterByExpr: Chen, Lun & Smyth 2016 (F1000Research 5:1438). TMM: Robinson & Oshlack 2010 (Genome Biology 11:R25).
Results equal edgeR 3.40.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, prange

from pbdb.common.arrays import Floats, Ints, Mask
from pbdb.common.errors import ConfigError
from pbdb.effects.engine.design import Design
from pbdb.effects.engine.matrix import BLOCK_BYTES, Matrix, gene_blocks, genes_per_block
from pbdb.effects.engine.unweighted import Shared
from pbdb.effects.options import Filter

FLOOR_ABOVE_SAMPLES = 500
FLOOR_SHARE = 0.01
FLOOR_WELLS = 3
MIN_TOTAL = 15.0


@dataclass(frozen=True)
class Kept:
    """Genes tested (positions) and the rule: CPM cut, samples that must pass it, floor on samples (0 = none)."""

    genes: Ints
    rule: str
    cpm_cut: float
    samples_needed: float
    floor_samples: float


def samples_needed(largest_hat: float) -> float:
    """Return how many samples must pass the CPM cut: 1 / hat, above ten only 70 % of the excess counts."""
    n = 1.0 / largest_hat
    return n if n <= 10 else 10 + 0.7 * (n - 10)


def keep_genes(matrix: Matrix, shared: Shared, library: Floats, rule: Filter) -> Kept:
    """Choose the genes of a fit; `library` holds the total counts of its samples.

    `limma` is filterByExpr with the hat values of the design. `floor` asks in fits of more than 500 samples
    also that the cut is passed in 1 % of the samples, or in all wells of a condition of at least 3 wells.
    """
    design = shared.design
    everything = np.arange(matrix.shape[1])
    if rule == "none":
        return Kept(everything, rule, 0.0, 0.0, 0.0)
    if rule not in ("floor", "limma"):
        raise ConfigError(f"Filter {rule!r} is unknown; use floor, limma or none.")
    cut = 10 / float(np.median(library)) * 1e6
    needed = samples_needed(shared.largest_hat())
    floored = rule == "floor" and design.n_samples > FLOOR_ABOVE_SAMPLES
    floor = FLOOR_SHARE * design.n_samples if floored else 0.0
    start = design.layout.cell_start[design.layout.condition_start]
    keep = np.zeros(len(everything), dtype=bool)
    for genes in gene_blocks(everything, genes_per_block(design.n_samples)):
        block = matrix.genes(everything[genes], design.samples)
        passing, total, in_condition = _count_passing(block, library, cut, start)
        keep[genes] = (passing >= needed - 1e-9) & (total >= MIN_TOTAL - 1e-9)
        keep[genes] &= (passing >= floor) | in_condition
    return Kept(everything[keep], rule, cut, needed, floor)


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _count_passing(block: Floats, library: Floats, cut: float, start: Ints) -> tuple[Floats, Floats, Mask]:
    """Per gene: samples at or above the cut, total count, and whether a whole condition passes."""
    n_genes = len(block)
    passing, total = np.zeros(n_genes), np.zeros(n_genes)
    all_passing = np.zeros(n_genes, np.bool_)
    for g in prange(n_genes):
        for c in range(len(start) - 1):
            here = 0
            for s in range(start[c], start[c + 1]):
                count = block[g, s]
                if count > 0:
                    total[g] += count
                    here += count / library[s] * 1e6 >= cut
            passing[g] += here
            if here == start[c + 1] - start[c] and here >= FLOOR_WELLS:
                all_passing[g] = True
    return passing, total, all_passing


def detected_genes(matrix: Matrix, design: Design, genes: Ints) -> Ints:
    """Return those of `genes` that have a count in any sample of the fit."""
    seen = np.zeros(len(genes), dtype=bool)
    for part in gene_blocks(genes, genes_per_block(design.n_samples)):
        seen[part] = (matrix.genes(genes[part], design.samples) > 0).any(axis=1)
    return genes[seen]


def tmm(matrix: Matrix, design: Design, genes: Ints, library: Floats) -> Floats:
    """Return the TMM factor of each sample of the fit, in the order of the design, geometric mean 1.

    `library` holds total counts over `genes`, each of which has a count. The reference is the sample whose
    upper quartile of count / library is nearest the mean; trims are 30 % of log ratios and 5 % of abundances,
    by average rank.
    """
    by_sample = np.zeros(matrix.shape[0])
    by_sample[design.samples] = library
    quartile, root = _describe_samples(matrix, genes, by_sample)
    fitted = np.sort(design.samples)
    upper = quartile[fitted]
    nearest = np.argmax(root[fitted]) if np.median(upper) < 1e-20 else np.argmin(np.abs(upper - upper.mean()))
    reference = int(fitted[nearest])
    reference_counts = matrix.samples(reference, reference + 1, genes)[0]
    factor = np.ones(matrix.shape[0])
    for rows in _sample_blocks(matrix, genes):
        block = matrix.samples(rows.start, rows.stop, genes)
        factor[rows] = _tmm(block, by_sample[rows], reference_counts, by_sample[reference])
    chosen = factor[design.samples]
    return np.asarray(chosen / np.exp(np.log(chosen).mean()))


def _sample_blocks(matrix: Matrix, genes: Ints) -> list[slice]:
    step = max(1, BLOCK_BYTES // (8 * max(1, len(genes))))
    return [slice(a, min(a + step, matrix.shape[0])) for a in range(0, matrix.shape[0], step)]


def _describe_samples(matrix: Matrix, genes: Ints, library: Floats) -> tuple[Floats, Floats]:
    """Return upper quartile of count / library, and sum of square roots, of each sample."""
    quartile, root = np.zeros(matrix.shape[0]), np.zeros(matrix.shape[0])
    for rows in _sample_blocks(matrix, genes):
        quartile[rows], root[rows] = _upper_quartile(matrix.samples(rows.start, rows.stop, genes))
    return quartile / np.where(library > 0, library, 1.0), root


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _upper_quartile(block: Floats) -> tuple[Floats, Floats]:
    """Quantile 0.75 by R's type 7 (as edgeR's calcFactorQuantile), from one partition of each row instead of a sort."""
    quartile, root = np.zeros(len(block)), np.zeros(len(block))
    place = 0.75 * (block.shape[1] - 1)
    low = int(place)
    high = min(low + 1, block.shape[1] - 1)
    for i in prange(len(block)):
        parted = np.partition(block[i], high)
        below = parted[: low + 1].max()
        quartile[i] = below + (place - low) * (parted[high] - below)
        root[i] = np.sqrt(block[i]).sum()
    return quartile, root


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _tmm(block: Floats, library: Floats, reference: Floats, reference_library: float) -> Floats:
    """A sample without counts keeps the factor 1."""
    factor = np.ones(len(block))
    for i in prange(len(block)):
        if library[i] > 0:
            factor[i] = _tmm_factor(block[i], library[i], reference, reference_library)
    return factor


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _tmm_factor(counts: Floats, library: float, reference: Floats, reference_library: float) -> float:
    """Weighted trimmed mean of log ratios of one sample against the reference, as a factor."""
    ratio, level, variance = np.empty(len(counts)), np.empty(len(counts)), np.empty(len(counts))
    n = 0
    for j in range(len(counts)):
        if counts[j] > 0 and reference[j] > 0:
            a, b = counts[j] / library, reference[j] / reference_library
            ratio[n] = np.log2(a / b)
            level[n] = (np.log2(a) + np.log2(b)) / 2
            variance[n] = (1 - a) / counts[j] + (1 - b) / reference[j]
            n += 1
    if n == 0 or np.abs(ratio[:n]).max() < 1e-6:
        return 1.0
    kept = _inner_ranks(ratio[:n], 0.3) & _inner_ranks(level[:n], 0.05)
    above, below = 0.0, 0.0
    for j in range(n):
        if kept[j] and variance[j] > 0:
            above += ratio[j] / variance[j]
            below += 1 / variance[j]
    return float(2.0 ** (above / below)) if below > 0 else 1.0


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _inner_ranks(values: Floats, trim: float) -> Mask:
    """Mark values whose average rank lies between the trims."""
    low = int(np.floor(len(values) * trim)) + 1
    high = len(values) + 1 - low
    parted = np.partition(values, low - 1)
    first = parted[low - 1]
    last = np.partition(parted[low - 1 :], high - low)[high - low] if high >= low else first
    keep_first, keep_last = _average_rank(values, first) >= low, _average_rank(values, last) <= high
    inner = np.zeros(len(values), np.bool_)
    for j in range(len(values)):
        value = values[j]
        inner[j] = first < value < last or (value == first and keep_first) or (value == last and keep_last)
    if first == last:
        inner[:] = inner & keep_first & keep_last
    return inner


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _average_rank(values: Floats, value: float) -> float:
    """Return the average rank (from 1) of a value among all."""
    smaller, equal = 0, 0
    for j in range(len(values)):
        smaller += values[j] < value
        equal += values[j] == value
    return smaller + (equal + 1) / 2
