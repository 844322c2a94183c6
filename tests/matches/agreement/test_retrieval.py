"""Retrieval: ranks counted by hand, and the exact null against random labels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pbdb.matches.statistics import retrieval
from pbdb.matches.statistics.population import Moments


def test_the_best_positive_is_ranked_among_candidates_only() -> None:
    scores = np.array([[0.9, 0.5, 0.7, 0.1, 0.8]])
    positive = np.array([[0, 1, 0, 1, 0]], dtype=bool)
    candidate = np.array([[0, 1, 1, 1, 1]], dtype=bool)
    found = retrieval.retrieve(scores, positive, candidate)
    assert (found.rank[0], found.recall_1[0], found.n_candidates[0], found.n_positives[0]) == (3, 0, 4, 2)
    assert found.normalised_rank[0] == pytest.approx(1 - 2 / 3)
    assert found.auroc[0] == 0


def test_ties_count_one_half_in_the_area_and_not_against_the_rank() -> None:
    scores = np.array([[0.5, 0.5 + 1e-14, 0.5, 0.2]])
    found = retrieval.retrieve(scores, np.array([[True, False, False, False]]), np.ones((1, 4), dtype=bool))
    assert (found.rank[0], found.recall_1[0]) == (1, 1)
    assert found.auroc[0] == pytest.approx((0.5 + 0.5 + 1) / 3)


def test_the_area_is_that_of_the_rank_sum() -> None:
    chance = np.random.default_rng(0)
    scores = np.round(chance.normal(size=(5, 60)), 1)
    positive = chance.random(scores.shape) < 0.2
    found = retrieval.retrieve(scores, positive, np.ones_like(positive))
    for row in range(5):
        ours, others = scores[row, positive[row]], scores[row, ~positive[row]]
        peer = stats.mannwhitneyu(ours, others).statistic / (len(ours) * len(others))
        assert found.auroc[row] == pytest.approx(peer)


def test_a_query_without_positives_or_without_others_is_undefined() -> None:
    positive = np.array([[False, False], [True, True]])
    found = retrieval.retrieve(np.zeros((2, 2)), positive, np.ones((2, 2), dtype=bool))
    for values in (found.rank, found.normalised_rank, found.recall_1, found.auroc):
        assert np.isnan(values).all()


@pytest.mark.parametrize(("n", "k"), [(20, 1), (20, 4), (7, 6)])
def test_the_exact_null_is_that_of_random_labels(n: int, k: int) -> None:
    chance = np.random.default_rng(n + k)
    positive = np.argsort(chance.random((40_000, n)), axis=1) < k
    scores = np.tile(np.arange(n, dtype=float), (len(positive), 1))
    found = retrieval.retrieve(scores, positive, np.ones_like(positive))
    assert found.rank.mean() == pytest.approx(retrieval.expected_rank(n, k), rel=0.02)
    assert found.normalised_rank.mean() == pytest.approx(retrieval.expected_normalised_rank(n, k), abs=0.01)
    assert found.recall_1.mean() == pytest.approx(k / n, abs=0.01)
    assert found.auroc.mean() == pytest.approx(0.5, abs=0.01)
    assert retrieval.mid_p(found.rank, n, k).mean() == pytest.approx(0.5, abs=0.01)
    for rank in range(1, n + 1):
        share = (found.rank >= rank).mean()
        assert retrieval.at_least(np.array([rank]), n, k)[0] == pytest.approx(share, abs=0.01)


def test_one_candidate_has_no_normalised_rank() -> None:
    assert np.isnan(retrieval.expected_normalised_rank([1, 1], [1, 0])).all()


def test_the_null_adds_up() -> None:
    ranks = np.arange(1, 32)
    tail = retrieval.at_least(ranks, 30, 4)
    assert tail[0] == 1 and tail[27] == 0 and (np.diff(tail) <= 0).all()
    assert tail[1:].sum() + 1 == pytest.approx(31 / 5)


@pytest.mark.parametrize("kind", ["cosine", "spearman", "euclidean"])
def test_similarities_are_the_usual_ones(kind: str) -> None:
    x, y = np.random.default_rng(1).normal(size=(2, 4, 9))
    peer = {
        "cosine": lambda a, b: a @ b / np.sqrt((a @ a) * (b @ b)),
        "spearman": lambda a, b: stats.spearmanr(a, b).statistic,
        "euclidean": lambda a, b: -np.linalg.norm(a - b),
    }[kind]
    found = retrieval.similarity(retrieval.prepared(x, kind), retrieval.prepared(y, kind), kind)
    assert found == pytest.approx(np.array([[peer(a, b) for b in y] for a in x]))


def test_population_scores_merge_blocks_to_the_same_as_all_at_once() -> None:
    values = np.random.default_rng(2).normal(3, 2, size=(50, 6))
    values[4, 2] = np.nan
    values[1:, 3] = np.nan
    values[:, 4] = 7.0
    merged = Moments.of(values[:7]).merged(Moments.of(values[7:31])).merged(Moments.of(values[31:]))
    z = merged.z(values)
    for gene in (0, 1, 2, 5):
        assert z[:, gene] == pytest.approx(stats.zscore(values[:, gene], nan_policy="omit"), nan_ok=True)
    assert np.isnan(z[:, [3, 4]]).all()
