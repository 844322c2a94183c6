"""Compound-clustered bootstrap intervals, bias-corrected and accelerated (Efron 1987)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from pbdb.common.arrays import Floats
from pbdb.matches.statistics.peers import SEED

RESAMPLES = 2000
FEWEST_RESAMPLES = 20
FEWEST_JACKKNIFES = 3
ALPHA = 0.05
CLUSTERS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval; status bca, percentile, degenerate or not_estimable."""

    mean: float
    low: float
    high: float
    status: Literal["bca", "percentile", "degenerate", "not_estimable"]
    n_clusters: int


def seed_of(*name: object) -> int:
    """Seed of a summary: the general one plus a number made of its name."""
    digest = hashlib.sha256("|".join(map(str, name)).encode()).digest()
    return SEED + int.from_bytes(digest[:6], "big")


def clustered(
    values: Floats,
    cluster: npt.NDArray[np.int64],
    seed: int,
    inner: npt.NDArray[np.int64] | None = None,
    outer: npt.NDArray[np.int64] | None = None,
    resamples: int = RESAMPLES,
) -> Interval:
    """Mean of values and its interval, clusters (compounds) resampled.

    NaN values are left out. inner: stratum of each value; outer: group of strata. The estimate is the mean over outer
    groups of the mean over their strata of the mean within each.
    """
    # theta = mean over groups o of mean over their strata s of (sum over clusters k of S_ks / sum of N_ks).
    kept = np.isfinite(values)
    if not kept.any():
        return Interval(np.nan, np.nan, np.nan, "not_estimable", 0)
    strata = np.zeros(len(values), dtype=np.int64) if inner is None else inner
    groups = np.zeros(len(values), dtype=np.int64) if outer is None else outer
    sums, counts, group_of = _tables(values[kept], cluster[kept], strata[kept], groups[kept])
    estimate = float(_means(sums.sum(axis=0)[None], counts.sum(axis=0)[None], group_of)[0])
    if len(sums) < 2:
        return Interval(estimate, np.nan, np.nan, "not_estimable", len(sums))
    drawn = _resampled(sums, counts, group_of, seed, resamples)
    return _interval(estimate, drawn[np.isfinite(drawn)], _left_out(sums, counts, group_of), len(sums))


def _tables(
    values: Floats, cluster: npt.NDArray[np.int64], strata: npt.NDArray[np.int64], groups: npt.NDArray[np.int64]
) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Sums and counts by cluster and stratum, and the outer group of each stratum."""
    _, row = np.unique(cluster, return_inverse=True)
    _, first, column = np.unique(np.stack([groups, strata]), axis=1, return_index=True, return_inverse=True)
    shape = (row.max() + 1, column.max() + 1)
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, (row, column), values)
    np.add.at(counts, (row, column), 1)
    return sums, counts, groups[first]


def _means(sums: Floats, counts: Floats, group_of: npt.NDArray[np.int64]) -> Floats:
    """Mean over groups of the mean over strata; each row of sums and counts (rows x strata) gives one number."""
    with np.errstate(invalid="ignore", divide="ignore"):
        strata = sums / counts
        parts = [_finite_mean(strata[:, group_of == group]) for group in np.unique(group_of)]
        return _finite_mean(np.stack(parts, axis=1))


def _finite_mean(values: Floats) -> Floats:
    known = np.isfinite(values)
    return np.asarray(np.where(known, values, 0).sum(axis=1) / known.sum(axis=1))


def _resampled(sums: Floats, counts: Floats, group_of: npt.NDArray[np.int64], seed: int, resamples: int) -> Floats:
    chance = np.random.default_rng(seed)
    n = len(sums)
    means = np.empty(resamples)
    step = max(1, CLUSTERS_AT_ONCE // n)
    for start in range(0, resamples, step):
        chosen = chance.integers(0, n, (min(step, resamples - start), n))
        # How often a cluster is drawn, times its sums: one product for thousands of resamples, no copies of rows.
        times = _times(chosen, n)
        means[start : start + len(chosen)] = _means(times @ sums, times @ counts, group_of)
    return means


def _times(chosen: npt.NDArray[np.int64], n: int) -> Floats:
    """How often each cluster was drawn in each resample."""
    flat = chosen + n * np.arange(len(chosen))[:, None]
    return np.bincount(flat.ravel(), minlength=n * len(chosen)).reshape(len(chosen), n).astype(np.float64)


def _left_out(sums: Floats, counts: Floats, group_of: npt.NDArray[np.int64]) -> Floats:
    # theta_(k), the jackknife: the sums of all clusters less those of one.
    means = _means(sums.sum(axis=0) - sums, counts.sum(axis=0) - counts, group_of)
    return means[np.isfinite(means)]


def _interval(estimate: float, drawn: Floats, left_out: Floats, n: int) -> Interval:
    """BCa where its levels can be had, else percentiles; none from few resamples, a point where they do not differ."""
    if len(drawn) < FEWEST_RESAMPLES:
        return Interval(estimate, np.nan, np.nan, "not_estimable", n)
    if np.ptp(drawn) <= 1e-12 * max(1.0, abs(estimate)):
        return Interval(estimate, estimate, estimate, "degenerate", n)
    tails = np.array([ALPHA / 2, 1 - ALPHA / 2])
    levels = _bca_levels(estimate, drawn, left_out, tails)
    low, high = np.quantile(drawn, tails if levels is None else levels)
    return Interval(estimate, float(low), float(high), "percentile" if levels is None else "bca", n)


def _bca_levels(estimate: float, drawn: Floats, left_out: Floats, tails: Floats) -> Floats | None:
    """Levels of the bootstrap quantiles that correct for bias and acceleration; None where they cannot be had.

    Efron 1987: z0 = Phi^-1(#{theta* < theta} / B), a = sum (m - theta_(k))^3 / (6 (sum (m - theta_(k))^2)^1.5) with m
    the mean of the jackknife values theta_(k), level(z) = Phi(z0 + (z0 + z) / (1 - a (z0 + z))).
    """
    if len(left_out) < FEWEST_JACKKNIFES:
        return None
    apart = left_out.mean() - left_out
    spread = float((apart**2).sum())
    if spread <= 0:
        return None
    acceleration = float((apart**3).sum()) / (6 * spread**1.5)
    # Where all resamples lie on one side, z0 would be infinite: half a resample is the nearest share it can tell.
    share = np.clip((drawn < estimate).mean(), 1 / (2 * len(drawn)), 1 - 1 / (2 * len(drawn)))
    bias = float(ndtri(share))
    shifted = bias + ndtri(tails)
    below = 1 - acceleration * shifted
    levels = np.asarray(ndtr(bias + shifted / below))
    return levels if (below > 0).all() and np.isfinite(levels).all() else None
