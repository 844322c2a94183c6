"""Metrics against cases worked out by hand and against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pbdb.learn.models import metrics, scores
from pbdb.learn.models.compendium import Rows

TRUTH = np.array([[1.0, -1.0, 2.0], [0.0, 0.0, 1.0]], np.float32)


def rows(dataset: str, n: int, n_genes: int = 3) -> Rows:
    return Rows(dataset, "cells", np.arange(n_genes), np.arange(n), np.ones(n), np.ones(n))


def skill(prediction: np.ndarray) -> np.ndarray:
    return scores.score([rows("a", 2)], [TRUTH], [prediction]).values["skill"]


def test_skill_is_one_minus_the_share_of_squares_left() -> None:
    prediction = np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]], np.float32)
    # Squares: 6 and 1; left: 2 and 1. Skill 1 - 3/7; each row's part is (before - after) / 3.5.
    assert skill(prediction) == pytest.approx([4 / 3.5, 0.0])
    assert skill(prediction).mean() == pytest.approx(1 - 3 / 7)


def test_skill_of_the_truth_is_one_of_zero_nothing_of_the_opposite_minus_three() -> None:
    assert skill(TRUTH).mean() == pytest.approx(1)
    assert skill(0 * TRUTH).mean() == 0
    assert skill(-TRUTH).mean() == pytest.approx(-3)


def test_skill_is_of_the_dataset_not_of_its_blocks() -> None:
    parts = [rows("a", 2), rows("b", 2), rows("a", 2), rows("a", 0)]
    truth = [TRUTH, 10 * TRUTH, 3 * TRUTH, TRUTH[:0]]
    scored = scores.score(parts, truth, [TRUTH, 0 * TRUTH, 0 * TRUTH, TRUTH[:0]])
    of_a = scored.values["skill"][scored.dataset == "a"]
    assert of_a.mean() == pytest.approx(7 / (7 + 63))
    assert scored.block.tolist() == [0, 0, 1, 1, 2, 2] and scored.place.tolist() == [0, 1] * 3
    nothing = scores.score([rows("a", 2)], [0 * TRUTH], [TRUTH])
    assert np.isnan(nothing.values["skill"]).all()


def test_correlation_and_cosine_by_hand() -> None:
    prediction = np.array([[2.0, -2.0, 4.0], [1.0, 1.0, 1.0]], np.float32)
    assert metrics.correlation(TRUTH, prediction)[0] == pytest.approx(1)
    assert np.isnan(metrics.correlation(TRUTH, prediction)[1])
    assert metrics.cosine(TRUTH, prediction) == pytest.approx([1, 1 / np.sqrt(3)])


def test_direction_counts_significant_genes_and_a_prediction_of_zero_half() -> None:
    prediction = np.array([[5.0, 3.0, 0.0], [1.0, 1.0, 1.0]], np.float32)
    significant = np.array([[True, True, True], [False, False, False]])
    assert metrics.direction(TRUTH, prediction, significant)[0] == pytest.approx((1 + 0 + 0.5) / 3)
    assert np.isnan(metrics.direction(TRUTH, prediction, significant)[1])


def test_op3_metrics_are_their_formulas() -> None:
    rng = np.random.default_rng(3)
    truth, prediction = rng.normal(size=(2, 7, 40)).astype(np.float32)
    prediction[2] = np.round(prediction[2])
    prediction[4, 5] = np.nan
    prediction[5] = 0.0
    p = np.nan_to_num(prediction)
    pairs = list(zip(p, truth, strict=True))
    scores = metrics.op3_scores(truth, prediction)
    cosines = [0.0 if not a.any() else a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs]
    pearson = [0.0 if not a.any() else stats.pearsonr(a, b).statistic for a, b in pairs]
    spearman = [0.0 if not a.any() else stats.spearmanr(a, b).statistic for a, b in pairs]
    assert scores["mrrmse"] == pytest.approx(np.mean(np.sqrt(np.mean((truth - p) ** 2, axis=1))), rel=1e-5)
    assert scores["mae"] == pytest.approx(np.mean(np.abs(truth - p)), rel=1e-5)
    assert scores["pearson"] == pytest.approx(np.mean(pearson), rel=1e-5)
    assert scores["spearman"] == pytest.approx(np.mean(spearman), rel=1e-5)
    assert scores["cosine"] == pytest.approx(np.mean(cosines), rel=1e-5)
