"""Intervals: known answers, degenerate cases, coverage, and the same to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pbdb.matches.statistics.intervals import clustered, seed_of


def test_the_interval_is_scipys_bca_where_each_cluster_has_one_value() -> None:
    values = np.random.default_rng(0).gamma(2.0, size=40)
    found = clustered(values, np.arange(40), seed=1, resamples=20_000)
    peer = stats.bootstrap((values,), np.mean, n_resamples=20_000, rng=np.random.default_rng(2)).confidence_interval
    assert found.status == "bca" and found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((peer.low, peer.high), abs=0.02)


def test_one_seed_gives_the_same_interval_to_the_bit_and_another_one_another() -> None:
    values, cluster = np.random.default_rng(3).normal(size=100), np.arange(100) // 4
    one, again, other = (clustered(values, cluster, seed_of(name)) for name in ("a", "a", "b"))
    assert one == again != other
    assert seed_of("direction", 1) != seed_of("direction", 2)


def test_clusters_are_resampled_whole() -> None:
    """Ten copies of each value are no more evidence than one."""
    values = np.random.default_rng(4).normal(size=30)
    one = clustered(values, np.arange(30), seed=5)
    many = clustered(np.repeat(values, 10), np.repeat(np.arange(30), 10), seed=5)
    assert (many.low, many.high) == pytest.approx((one.low, one.high))


def test_constant_values_have_a_degenerate_interval() -> None:
    found = clustered(np.full(9, 0.3), np.arange(9) // 2, seed=1)
    assert (found.status, found.low, found.high) == ("degenerate", found.mean, found.mean)


def test_one_compound_or_none_has_no_interval() -> None:
    one = clustered(np.array([1.0, 2.0, np.nan]), np.array([4, 4, 5]), seed=1)
    assert (one.status, one.mean, one.n_clusters) == ("not_estimable", 1.5, 1) and np.isnan(one.low)
    none = clustered(np.array([np.nan]), np.array([1]), seed=1)
    assert none.status == "not_estimable" and np.isnan(none.mean)


def test_two_compounds_have_too_few_jackknife_values_and_get_percentiles() -> None:
    assert clustered(np.array([1.0, 2.0]), np.array([1, 2]), seed=1).status == "percentile"


def test_strata_weigh_alike_within_groups_and_groups_alike() -> None:
    values = np.array([1.0] * 8 + [3.0, 3.0] + [10.0] * 3)
    inner, outer = np.array([0] * 8 + [1, 1] + [0] * 3), np.array([0] * 10 + [1] * 3)
    found = clustered(values, np.arange(13), seed=1, inner=inner, outer=outer)
    assert found.mean == pytest.approx(((1 + 3) / 2 + 10) / 2)


def test_intervals_hold_the_truth_nearly_as_often_as_they_say() -> None:
    chance = np.random.default_rng(6)
    held = 0
    for trial in range(200):
        cluster = np.repeat(np.arange(40), 3)
        values = chance.normal(size=40)[cluster] + 0.3 * chance.normal(size=120)
        found = clustered(values, cluster, seed=trial, resamples=400)
        held += found.low <= 0 <= found.high
    assert 0.88 <= held / 200 <= 0.99
