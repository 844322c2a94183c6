"""Statistics of agreement: hand-computed cases, identities, and scipy where it has the same statistic."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pbdb.matches.statistics import metrics
from pbdb.matches.statistics.masked import spearman_within
from pbdb.matches.statistics.metrics import Signatures
from pbdb.matches.statistics.ranks import average_ranks

NAN = np.nan


def drawn(n: int, genes: int = 60, seed: int = 0, ties: bool = False) -> Signatures:
    chance = np.random.default_rng(seed)
    values = chance.normal(size=(n, genes))
    if ties:
        values = np.round(values, 1)
    return Signatures(values, values / 0.3, chance.random((n, genes)) < 0.4)


def one(log2_fc: list[float], significant: list[int] | None = None) -> Signatures:
    values = np.array([log2_fc])
    mask = np.ones(values.shape, dtype=bool) if significant is None else np.array([significant], dtype=bool)
    return Signatures(values, values, mask)


def test_ranks_are_averages_of_ties_and_leave_out_what_is_missing() -> None:
    assert average_ranks(np.array([[3.0, 1.0, NAN, 3.0, 2.0]])).tolist()[0] == pytest.approx(
        [3.5, 1, NAN, 3.5, 2], nan_ok=True
    )
    values = drawn(5, ties=True).log2_fc
    assert np.array_equal(average_ranks(values), stats.rankdata(values, axis=1))


@pytest.mark.parametrize("ties", [False, True])
def test_correlations_are_scipys(ties: bool) -> None:
    x, y = drawn(4, seed=1, ties=ties), drawn(3, seed=2, ties=ties)
    x.log2_fc[1, 5] = y.log2_fc[2, 7] = y.log2_fc[2, 8] = NAN
    for i in range(4):
        for j in range(3):
            both = np.isfinite(x.log2_fc[i]) & np.isfinite(y.log2_fc[j])
            expected = {"spearman": stats.spearmanr, "pearson": stats.pearsonr}
            for kind, peer in expected.items():
                found = metrics.correlation(x, y, "log2_fc", kind, paired=False)[i, j]
                assert found == pytest.approx(peer(x.log2_fc[i, both], y.log2_fc[j, both]).statistic, abs=1e-12)


def test_paired_statistics_are_the_diagonal_of_all_with_all() -> None:
    x, y = drawn(6, seed=3, ties=True), drawn(6, seed=4, ties=True)
    x.log2_fc[2, 3] = NAN
    for score in (
        *(lambda a, b, paired, kind=kind: metrics.correlation(a, b, "log2_fc", kind, paired)
          for kind in ("spearman", "pearson", "cosine")),
        metrics.deg_spearman,
        lambda a, b, paired: metrics.direction(a, b, paired)[0],
        lambda a, b, paired: metrics.direction(a, b, paired, both=True)[0],
        lambda a, b, paired: metrics.jaccard(a, b, paired)[0],
        lambda a, b, paired: metrics.overlap(a, b, 20, paired),
        metrics.signed_overlap,
    ):  # fmt: skip
        assert score(x, y, True) == pytest.approx(np.diag(score(x, y, False)), nan_ok=True, abs=1e-12)


@pytest.mark.parametrize("share", [0.03, 0.9])
@pytest.mark.parametrize("ties", [False, True])
def test_restricted_spearman_is_scipys_on_the_genes_of_the_mask(share: float, ties: bool) -> None:
    x, y = drawn(5, 200, seed=5, ties=ties).log2_fc, drawn(4, 200, seed=6, ties=ties).log2_fc
    mask = np.random.default_rng(7).random(x.shape) < share
    y[3, 10:40] = NAN
    x[0, 3] = NAN
    found = spearman_within(x, mask, y, paired=False)
    for i in range(5):
        for j in range(4):
            kept = mask[i] & np.isfinite(x[i]) & np.isfinite(y[j])
            assert found[i, j] == pytest.approx(_spearman(x[i, kept], y[j, kept]), abs=1e-12, nan_ok=True)


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return NAN
    return float(stats.spearmanr(x, y).statistic)


def test_restricted_spearman_is_undefined_where_there_is_nothing_to_rank() -> None:
    x = np.array([[1.0, 2, 3, 4], [1, 2, 3, 4], [5, 5, 5, 5]])
    y = np.array([[1.0, 2, 2, 2], [7, 7, 1, 2], [1, 2, 3, 4]])
    mask = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]], dtype=bool)
    assert np.isnan(spearman_within(x, mask, y, paired=True)).all()
    assert np.isnan(
        spearman_within(np.tile(x, 40), np.tile(mask, 40) & (np.arange(160) < 4), np.tile(y, 40), True)
    ).all()


def test_identical_signatures_agree_fully_and_opposite_ones_not_at_all() -> None:
    x = drawn(4, 300, seed=8)
    opposite = Signatures(-x.log2_fc, -x.t, x.significant)
    for y, rho, share in ((x, 1.0, 1.0), (opposite, -1.0, 0.0)):
        for kind in ("spearman", "pearson", "cosine"):
            assert metrics.correlation(x, y, "t", kind, paired=True) == pytest.approx(rho)
        assert metrics.deg_spearman(x, y, paired=True) == pytest.approx(rho)
        assert (metrics.direction(x, y, paired=True)[0] == share).all()
        assert (metrics.signed_overlap(x, y, paired=True) == share).all()
        assert (metrics.jaccard(x, y, paired=True)[0] == 1).all()
        assert (metrics.overlap(x, y, 50, paired=True) == 1).all()


def test_direction_counts_one_sign_on_both_sides_and_zero_as_a_sign_of_its_own() -> None:
    x, y = one([1, -1, 0, 2, 3, 4], [1, 1, 1, 1, 1, 0]), one([2, -1, 0, 0, NAN, 4], [1, 0, 1, 1, 0, 1])
    share, n = metrics.direction(x, y, paired=True)
    assert (share[0], n[0]) == (0.75, 4)
    share, n = metrics.direction(x, y, paired=True, both=True)
    assert (share[0], n[0]) == (pytest.approx(2 / 3), 3)
    share, n = metrics.direction(one([1, 2], [0, 0]), one([1, 2]), paired=True)
    assert np.isnan(share[0]) and n[0] == 0


def test_significant_is_strictly_below_five_percent() -> None:
    edge = np.float64(-np.log10(0.05))
    values = np.array([edge, np.nextafter(edge, 9), 5.0, NAN])
    assert metrics.significant(np.array([1.0, 1, NAN, 1]), values).tolist() == [False, True, False, False]


def test_overlap_counts_the_strongest_and_needs_enough_of_them() -> None:
    x, y = one([5, -4, 3, 2, 9], [1, 1, 1, 1, 0]), one([1, -9, 8, 2, 7], [1, 1, 1, 0, 1])
    assert metrics.overlap(x, y, 2, paired=True)[0] == 0.5
    assert np.isnan(metrics.overlap(x, y, 5, paired=True)[0])


def test_overlap_takes_the_first_of_equally_strong_genes() -> None:
    x, y = one([1, -1, 1, 1]), one([1, 0.5, 0.2, 3])
    assert metrics.overlap(x, y, 2, paired=True)[0] == 0.5


def test_jaccard_is_shared_over_either() -> None:
    share, n = metrics.jaccard(one([1] * 4, [1, 1, 1, 0]), one([1] * 4, [0, 1, 1, 1]), paired=True)
    assert (share[0], n[0]) == (0.5, 4)
    assert np.isnan(metrics.jaccard(one([1], [0]), one([1], [0]), paired=True)[0][0])


def test_signed_overlap_takes_half_the_genes_at_most() -> None:
    x, y = one([4, 3, 2, 1]), one([4, 1, 3, 2])
    # Up: {4, 3} and {4, 3rd}; down: {3rd, 4th} and {2nd, 4th}.
    assert metrics.signed_overlap(x, y, paired=True)[0] == 0.5
    assert metrics.signed_overlap(x, y, paired=True, share=1.0)[0] == 1.0
    assert np.isnan(metrics.signed_overlap(one([1]), one([1]), paired=True)[0])


@pytest.mark.parametrize("genes", [0, 1])
@pytest.mark.parametrize("kind", ["spearman", "pearson", "cosine"])
def test_below_two_shared_genes_nothing_correlates(genes: int, kind: str) -> None:
    x = drawn(3, genes)
    assert np.isnan(metrics.correlation(x, x, "t", kind, paired=True)).tolist() == [True] * 3
    assert np.isnan(metrics.correlation(x, x, "t", kind, paired=False)).all()


def test_constant_rows_have_no_correlation() -> None:
    flat, other, zero = one([0.1] * 5), one([0, 1, 2, 3, 4]), one([0.0] * 5)
    assert np.isnan(metrics.correlation(flat, other, "log2_fc", "spearman", True)[0])
    assert np.isnan(metrics.correlation(flat, other, "log2_fc", "pearson", True)[0])
    assert np.isnan(metrics.correlation(zero, other, "log2_fc", "cosine", True)[0])
