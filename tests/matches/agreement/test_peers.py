"""Baselines: who the peers are, and what they say."""

from __future__ import annotations

import numpy as np
import pytest

from pbdb.matches.statistics import peers

NAN = np.nan
# sha256sum of the texts 20260505:11 to 20260505:16, sorted.
ORDER = [1, 4, 5, 2, 0, 3]


def test_the_order_of_peers_is_one_on_any_machine() -> None:
    assert peers.peer_order(np.array([11, 12, 13, 14, 15, 16])).tolist() == ORDER
    assert peers.peer_order(np.array([11, 12, 13, 14, 15, 16]), seed=1).tolist() != ORDER


def test_the_order_does_not_depend_on_how_rows_came() -> None:
    keys = np.arange(100)
    shuffled = np.random.default_rng(0).permutation(keys)
    assert (keys[peers.peer_order(keys)] == shuffled[peers.peer_order(shuffled)]).all()


def test_peers_are_the_first_rows_of_other_compounds() -> None:
    pool = np.array([7, 7, 1, 2, 7, 3])
    assert peers.peers_of(np.array([7, 1, 9]), pool, 2).tolist() == [
        [False, False, True, True, False, False],
        [True, True, False, False, False, False],
        [True, True, False, False, False, False],
    ]
    assert peers.peers_of(np.array([7]), pool, 0).sum() == 3


@pytest.mark.parametrize("cap", [0, 1, 3, 20, 500])
def test_enough_peers_are_read_and_no_more(cap: int) -> None:
    chance = np.random.default_rng(cap)
    pool, own = chance.integers(0, 6, 300), np.arange(8)
    needed = peers.enough_peers(own, pool, cap)
    assert (peers.peers_of(own, pool[:needed], cap).sum(axis=1) == peers.peers_of(own, pool, cap).sum(axis=1)).all()
    short = peers.peers_of(own, pool[: needed - 1], cap).sum(axis=1)
    assert cap in (0, 500) or (short < cap).any()


def test_a_summary_counts_the_peers_below_and_corrects_the_percentile() -> None:
    scores = np.array([[0.1, 0.2, 0.3, NAN], [0.5, 0.5, NAN, NAN], [NAN] * 4])
    found = peers.summarise(np.array([0.25, 0.5, 0.1]), scores)
    assert found.n.tolist() == [3, 2, 0]
    assert found.mean == pytest.approx([0.2, 0.5, NAN], nan_ok=True)
    assert found.sd == pytest.approx([0.1, 0, NAN], nan_ok=True)
    assert found.below == pytest.approx([2 / 3, 0, NAN], nan_ok=True)
    assert found.percentile == pytest.approx([3 / 4, 1 / 3, NAN], nan_ok=True)
    assert found.p == pytest.approx([2 / 4, 1, NAN], nan_ok=True)


def test_percentiles_lie_strictly_between_zero_and_one() -> None:
    found = peers.summarise(np.array([-9.0, 9.0]), np.zeros((2, 5)))
    assert ((found.percentile > 0) & (found.percentile < 1 + 1e-12)).all()
    assert found.percentile[0] == pytest.approx(1 / 6)


def test_an_undefined_value_has_peers_but_no_place_among_them() -> None:
    found = peers.summarise(np.array([NAN]), np.array([[1.0, 3.0]]))
    assert (found.mean[0], found.n[0]) == (2.0, 2)
    assert np.isnan([found.below[0], found.percentile[0], found.p[0]]).all()


def test_the_centroid_leaves_out_the_whole_compound() -> None:
    pool, compound = np.array([[1.0, 2], [3, 4], [5, NAN], [11, 10]]), np.array([1, 1, 2, 3])
    finite = np.isfinite(pool)
    filled = np.where(finite, pool, 0)
    own = np.array(
        [[filled[compound == c].sum(axis=0) for c in (1, 2)], [(~finite)[compound == c].sum(axis=0) for c in (1, 2)]]
    )
    n = np.array([(compound == c).sum() for c in (1, 2)])
    pool_sums = filled.sum(axis=0), (~finite).sum(axis=0), 4
    means = peers.means_of_others(*pool_sums, own[0], own[1], n)
    assert means == pytest.approx(np.array([[8, NAN], [5, 16 / 3]]), nan_ok=True)
    of_finite = peers.means_of_others(*pool_sums, own[0], own[1], n, of_finite=True)
    assert of_finite == pytest.approx(np.array([[8, 10], [5, 16 / 3]]))


def test_without_other_compounds_there_is_no_centroid() -> None:
    own = np.array([[4.0, 6.0]])
    means = peers.means_of_others(own[0], np.zeros(2, int), 2, own, np.zeros((1, 2), int), np.array([2]), True)
    assert np.isnan(means).all()
