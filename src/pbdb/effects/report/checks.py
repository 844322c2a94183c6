"""The tests of a page: arrays in, statistics and p values out. What each means and costs: docs/qc.md.

Values are wells x genes; codes number groups from 0. Nothing here decides: `worries` compares with thresholds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy import special, stats
from scipy.sparse.linalg import lsmr

from pbdb.common.arrays import Floats, Floats32, Ints, Mask
from pbdb.effects.report.profiles import PRIOR

MAD = 1.4826
PERMUTATIONS = 999


def centred(values: Floats32, codes: Ints) -> Floats32:
    """Take from each row the mean of its group."""
    means, _ = group_means(values, codes)
    return np.asarray(values - means[codes], np.float32)


def group_means(values: Floats32, codes: Ints) -> tuple[Floats32, Ints]:
    """Return the mean of each group, and its size."""
    n = int(codes.max()) + 1 if len(codes) else 0
    sizes = np.bincount(codes, minlength=n)
    member = sp.csr_matrix((np.ones(len(codes), np.float32), (codes, np.arange(len(codes)))), (n, len(codes)))
    return np.asarray(member @ values / np.maximum(sizes, 1)[:, None], np.float32), sizes


class Components(NamedTuple):
    """Scores of wells on the first components, and the share of variance of each."""

    scores: Floats32
    share: Floats


def components(values: Floats32, n: int = 10) -> Components:
    """Principal components by the covariance of genes; the sign makes the largest loading positive."""
    middle = values - values.mean(axis=0, dtype=np.float64).astype(np.float32)
    size, vectors = np.linalg.eigh(np.asarray(middle.T @ middle, np.float64))
    n = min(n, values.shape[1])
    vectors, size = vectors[:, ::-1][:, :n], np.maximum(size[::-1], 0.0)
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(n)])
    return Components(np.asarray(middle @ vectors, np.float32), size[:n] / max(size.sum(), 1e-12))


class PlateEffect(NamedTuple):
    """share: of the variance between wells that plates explain, less what chance gives; p by permutation."""

    pseudo_f: float
    share: float
    p: float


def plate_effect(values: Floats32, plate: Ints, stratum: Ints, seed: int = 0) -> PlateEffect:
    """Ask whether wells of one plate are more alike than wells of one stratum, plates permuted within strata.

    Anderson 2001 (Austral Ecology 26:32), Euclidean distances. Each plate lies within one stratum.
    """
    chance = np.random.default_rng(seed)
    y = centred(values, stratum).astype(np.float64)
    n_plates, n_strata = len(np.unique(plate)), len(np.unique(stratum))
    df_between, df_within = n_plates - n_strata, len(y) - n_plates
    total = float((y**2).sum())
    between = _between(y, plate)
    f = between / df_between / max((total - between) / df_within, 1e-12)
    order = np.lexsort((np.arange(len(y)), stratum))
    starts = np.flatnonzero(np.diff(stratum[order], prepend=-1))
    reached = 1
    for _ in range(PERMUTATIONS):
        moved = plate.copy()
        for part in np.split(order, starts[1:]):
            moved[part] = plate[chance.permutation(part)]
        reached += _between(y, moved) >= between
    within = (total - between) / df_within
    share = 1.0 - within / max(total / (len(y) - n_strata), 1e-12)
    return PlateEffect(float(f), float(max(share, 0.0)), reached / (PERMUTATIONS + 1))


def _between(y: Floats, plate: Ints) -> float:
    sizes = np.bincount(plate)
    member = sp.csr_matrix((np.ones(len(plate)), (plate, np.arange(len(plate)))), (len(sizes), len(plate)))
    sums = member @ y
    return float(((sums**2).sum(axis=1) / np.maximum(sizes, 1)).sum())


def apart(values: Floats32, plate: Ints) -> tuple[Floats, Floats]:
    """Say how far each plate's mean lies from the median of plates, in units of its sampling error, and the p value.

    The logarithm of each distance is compared with those of the other plates (t of a new observation).
    """
    means, sizes = group_means(values, plate)
    distance = np.linalg.norm(means - np.median(means, axis=0), axis=1) * np.sqrt(sizes)
    return np.asarray(distance / np.median(distance)), new_observation(np.log(np.maximum(distance, 1e-12)))


def new_observation(x: Floats) -> Floats:
    """One-sided p value of each of some numbers being as large, against the mean and sd of the others (t, n - 2 df)."""
    n = len(x)
    rest = (x.sum() - x) / (n - 1)
    square = np.array([np.delete(x, i).var(ddof=1) for i in range(n)]) if n > 2 else np.full(n, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (x - rest) / np.sqrt(square * (1 + 1 / (n - 1)))
    return np.asarray(stats.t.sf(t, n - 2))


def low_counts(log10_total: Floats, block: Ints) -> tuple[Floats, Floats]:
    """Fold of each well's counts of the median of its block, and robust z of its logarithm (MAD over blocks)."""
    deviation = log10_total - medians(log10_total, block)[block]
    spread = max(MAD * float(np.median(np.abs(deviation))), 1e-6)
    return np.asarray(10.0**deviation), np.asarray(deviation / spread)


def medians(x: Floats, codes: Ints) -> Floats:
    """Median of each group."""
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(int(codes.max()) + 1))
    return np.array([np.median(part) for part in np.split(x[order], starts[1:])])


class Dying(NamedTuple):
    """By condition: fold of the counts of vehicle on the same plates, and p value (one-sided, counts below)."""

    condition: Ints
    fold: Floats
    p: Floats


def dying(log10_total: Floats, block: Ints, condition: Ints, is_vehicle: Mask) -> Dying:
    """Compare the counts of each treated condition with those of the vehicle wells of its blocks (t, pooled variance).

    The variance is that of wells of one condition and block, vehicle included; blocks without two vehicle wells, and
    conditions with one well in the others, are left out.
    """
    n_vehicle = np.bincount(block, is_vehicle)
    level = np.bincount(block, np.where(is_vehicle, log10_total, 0.0)) / np.maximum(n_vehicle, 1)
    usable = n_vehicle[block] >= 2
    deviation = log10_total - level[block]
    cell = np.unique(block * (int(condition.max()) + 1) + condition, return_inverse=True)[1]
    mean = np.bincount(cell, log10_total) / np.bincount(cell)
    df = int(usable.sum() - len(np.unique(cell[usable])))
    variance = float(((log10_total - mean[cell])[usable] ** 2).sum()) / max(df, 1)
    treated = usable & ~is_vehicle
    n = np.bincount(condition[treated], minlength=int(condition.max()) + 1)
    sums = np.bincount(condition[treated], deviation[treated], minlength=len(n))
    # A block's vehicle mean enters as often as the condition has wells there.
    in_cell = np.bincount(cell[treated], minlength=int(cell.max()) + 1)[cell[treated]]
    of_vehicle = np.bincount(condition[treated], in_cell / n_vehicle[block[treated]], minlength=len(n))
    known = np.flatnonzero(n >= 2)
    if df < 2 or not len(known):
        return Dying(known[:0], np.empty(0), np.empty(0))
    difference = sums[known] / n[known]
    se = np.sqrt(variance * (1 / n[known] + of_vehicle[known] / n[known] ** 2))
    return Dying(known, 10.0**difference, stats.t.cdf(difference / np.maximum(se, 1e-12), df))


def distances(values: Floats32, block: Ints, log10_total: Floats) -> Floats:
    """Log distance of each vehicle well from the others of its block, less what its counts alone would give.

    Each gene counts in units of its spread (MAD) over all wells.
    """
    _, sizes = group_means(values, block)
    n = sizes[block]
    left_out: Floats = centred(values, block).astype(np.float64) * np.sqrt(n / np.maximum(n - 1, 1))[:, None]
    return log_distance(left_out, gene_spread(left_out), values.mean(axis=0, dtype=np.float64), log10_total)


def gene_spread(deviations: Floats) -> Floats:
    """Spread of each gene (MAD); infinite where it has none, so that it does not count."""
    spread = MAD * np.median(np.abs(deviations), axis=0)
    return np.where(spread > 0, spread, np.inf)


def log_distance(deviations: Floats, spread: Floats, mean: Floats, log10_total: Floats) -> Floats:
    """Log root mean square of deviations in units of spread, less the logarithm of what noise of counts would give."""
    used = np.isfinite(spread)
    x = 0.5 * np.log(np.maximum(((deviations[:, used] / spread[used]) ** 2).mean(axis=1), 1e-12))
    if np.isfinite(log10_total).all():
        x = x - 0.5 * np.log(noise_of_depth(mean[used], spread[used], 10.0**log10_total))
    return np.asarray(x)


def noise_of_depth(mean: Floats, spread: Floats, total: Floats) -> Floats:
    """Variance that wells of some total counts would have, in units of that at the mean total; mean over genes.

    Counts vary by Poisson noise and by a dispersion, which `spread` tells; mean: log2 counts per million, both as
    `profiles` has them (prior count PRIOR).
    """
    middle = float(total.mean())
    share = np.maximum(2.0**mean / 1e6 * (middle + 2 * PRIOR) - PRIOR, 0.05) / middle
    expected = share * middle
    dispersion = np.maximum((spread * np.log(2)) ** 2 * (expected + PRIOR) ** 2 - expected, 0.0) / expected**2
    of_middle = (expected + dispersion * expected**2) / (expected + PRIOR) ** 2
    out = np.empty(len(total))
    for at, depth in enumerate(total):
        at_depth = share * depth
        out[at] = ((at_depth + dispersion * at_depth**2) / (at_depth + PRIOR * depth / middle) ** 2 / of_middle).mean()
    return out


def largest_outliers(x: Floats, alpha: float, most: int) -> tuple[Ints, Floats]:
    """Positions of values too large for a normal sample (generalised ESD, one-sided); each statistic over its limit.

    Rosner 1983 (Technometrics 25:165): up to `most` outliers, alpha for the whole sample.
    """
    left, outliers, ratio = list(range(len(x))), [], []
    n_found, n = 0, len(x)
    for i in range(min(most, n - 3)):
        part = x[left]
        place = int(part.argmax())
        statistic = (part[place] - part.mean()) / max(float(part.std(ddof=1)), 1e-12)
        t = stats.t.isf(alpha / (n - i), n - i - 2)
        limit = (n - i - 1) * t / np.sqrt((n - i - 2 + t**2) * (n - i))
        outliers.append(left.pop(place))
        ratio.append(statistic / limit)
        if statistic > limit:
            n_found = i + 1
    return np.array(outliers[:n_found], np.int64), np.array(ratio or [0.0])[: max(n_found, 1)]


class Fellows(NamedTuple):
    """By well of a condition of three wells or more: its mean correlation with the others, and theirs without it."""

    well: Ints
    with_others: Floats
    others: Floats


def fellows(values: Floats32, condition: Ints) -> Fellows:
    """Correlate the wells of each condition, over genes; values are free of their plate's mean."""
    wells, with_others, others = [], [], []
    unit = _unit(values)
    for members in _members(condition, 3):
        r = (unit[members] @ unit[members].T).astype(np.float64)
        n = len(members)
        row = r.sum(axis=1) - r.diagonal()
        wells.append(members)
        with_others.append(row / (n - 1))
        others.append((row.sum() - 2 * row) / ((n - 1) * (n - 2)))
    if not wells:
        return Fellows(np.empty(0, np.int64), np.empty(0), np.empty(0))
    return Fellows(np.concatenate(wells), np.concatenate(with_others), np.concatenate(others))


def replicate_means(values: Floats32, condition: Ints) -> tuple[Ints, Floats]:
    """Condition codes of two wells or more, and the mean correlation between their wells."""
    unit, codes, mean = _unit(values), [], []
    for members in _members(condition, 2):
        n, summed = len(members), unit[members].sum(axis=0, dtype=np.float64)
        codes.append(int(condition[members[0]]))
        mean.append((float(summed @ summed) - n) / (n * (n - 1)))
    return np.array(codes, np.int64), np.array(mean)


def _members(condition: Ints, least: int) -> list[Ints]:
    order = np.argsort(condition, kind="stable")
    starts = np.flatnonzero(np.diff(condition[order], prepend=-1))
    return [part for part in np.split(order, starts[1:]) if len(part) >= least] if len(order) else []


def _unit(values: Floats32) -> Floats32:
    middle = values - values.mean(axis=1, keepdims=True)
    return np.asarray(middle / np.maximum(np.linalg.norm(middle, axis=1, keepdims=True), 1e-12), np.float32)


def correlations(values: Floats32, condition: Ints, most: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Correlations of at most so many pairs of wells of one condition, and of as many pairs of different ones."""
    chance = np.random.default_rng(seed)
    unit = _unit(values)
    pairs = [np.stack(np.triu_indices(len(part), 1)) for part in _members(condition, 2)]
    members = _members(condition, 2)
    same = np.concatenate([part[pair] for part, pair in zip(members, pairs, strict=True)] or [np.empty((2, 0), int)], 1)
    if same.shape[1] > most:
        same = same[:, np.sort(chance.choice(same.shape[1], most, replace=False))]
    other = chance.integers(0, len(condition), (2, 4 * max(same.shape[1], 1)))
    other = other[:, condition[other[0]] != condition[other[1]]][:, : same.shape[1]]
    of_same, of_other = (np.einsum("ij,ij->i", unit[a], unit[b]).astype(np.float64) for a, b in (same, other))
    return of_same, of_other


class Edge(NamedTuple):
    """Difference between edge and inner wells of one condition and plate, its standard error, t and p (two-sided)."""

    difference: float
    se: float
    t: float
    p: float


def edge(y: Floats, is_edge: Mask, block: Ints, condition: Ints) -> Edge | None:
    """Regress on edge, with a mean for each block and condition; the variance is the larger of the usual one and HC1.

    None where too few wells tell edges from conditions and plates.
    """
    x_free, y_free = (without_means(v, block, condition) for v in (is_edge.astype(np.float64), y))
    weight = float(x_free @ x_free)
    df = len(y) - len(np.unique(block)) - len(np.unique(condition))
    if weight < 4 or df < 10:
        return None
    slope = float(x_free @ y_free) / weight
    left = y_free - slope * x_free
    of_each, of_all = len(y) / df * float(x_free**2 @ left**2), weight * float(left @ left) / df
    se = float(np.sqrt(max(of_each, of_all))) / weight
    t = slope / max(se, 1e-12)
    return Edge(slope, se, t, float(2 * stats.t.sf(abs(t), df)))


def without_means(y: Floats, block: Ints, condition: Ints) -> Floats:
    """What is left of values after the least squares means of blocks and conditions."""
    design = _indicators(block, condition)
    return np.asarray(y - design @ lsmr(design, y, atol=1e-10, btol=1e-10)[0])


def neighbours(plate: Ints, row: Ints, column: Ints) -> tuple[Ints, Ints]:
    """Pairs of wells that touch on one plate, at a side or a corner; positions of both."""
    where = {key: at for at, key in enumerate(zip(plate.tolist(), row.tolist(), column.tolist(), strict=True))}
    pairs = [
        (at, other)
        for (p, r, c), at in where.items()
        for step_r, step_c in ((0, 1), (1, -1), (1, 0), (1, 1))
        if (other := where.get((p, r + step_r, c + step_c))) is not None
    ]
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T
    return first, second


class Pattern(NamedTuple):
    """How alike touching wells are (1: the same, 0: as chance has it), and p by permutation."""

    i: float
    p: float


def pattern(y: Floats, pairs: tuple[Ints, Ints], block: Ints, seed: int = 0) -> Pattern:
    """Moran's I of values over pairs of wells, values permuted within blocks (Cliff & Ord 1981)."""
    chance, (first, second) = np.random.default_rng(seed), pairs
    y = y - y.mean()
    scale = len(y) / (len(first) * max(float(y @ y), 1e-300))
    observed = float(y[first] @ y[second])
    members = _members(block, 1)
    reached = 1
    for _ in range(PERMUTATIONS):
        moved = y.copy()
        for part in members:
            moved[part] = y[chance.permutation(part)]
        reached += float(moved[first] @ moved[second]) >= observed
    return Pattern(observed * scale, reached / (PERMUTATIONS + 1))


def _indicators(*codes: Ints) -> sp.csr_matrix:
    n = len(codes[0])
    parts = [sp.csr_matrix((np.ones(n), (np.arange(n), np.unique(c, return_inverse=True)[1]))) for c in codes]
    return sp.hstack(parts).tocsr()


def too_many(successes: int, trials: int, expected: float = 0.05) -> float:
    """One-sided binomial p value of at least so many successes."""
    return float(special.bdtrc(successes - 1, trials, expected)) if successes else 1.0
