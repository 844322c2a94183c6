"""p values of counts beside those of edgeR's quasi-likelihood test on a small design with planted effects.

`edger_quasi_likelihood.csv.gz` holds -log10 p of edgeR 3.40.2 (R 4.2.2), genes x conditions, of the counts made here:
calcNormFactors; estimateDisp and glmQLFit on ~ condition + plate; glmQLFTest of each condition.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from pbdb.effects import engine

TABLE = Path(__file__).with_name("edger_quasi_likelihood.csv.gz")
SIZES = np.tile([1, 2, 3], 4)


def experiment() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Condition (0: vehicle), plate and counts (samples x genes)."""
    random = np.random.default_rng(20)
    condition = np.concatenate([np.zeros(8, int), np.repeat(1 + np.arange(len(SIZES)), SIZES)])
    plate = np.arange(len(condition)) % 2
    folds = np.where(random.random((len(SIZES) + 1, 300)) < 0.15, random.choice([-1.5, -1, 1, 1.5], (13, 300)), 0)
    folds[0] = 0
    mean = random.normal(4, 1, 300) + random.normal(0, 0.1, (2, 300))[plate] + folds[condition]
    mean = np.exp(mean + random.normal(0, 0.3, len(condition))[:, None])
    shape = 1 / (0.03 * np.exp(random.normal(0, 0.5, 300)))
    return condition, plate, random.poisson(mean * random.gamma(shape, 1 / shape, mean.shape))


@pytest.fixture(scope="module")
def both() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """-log10 p of ours, of limma and of edgeR, genes x conditions."""
    condition, plate, counts = experiment()
    design = engine.build_design(condition, condition == 0, plate=plate)
    (block,) = engine.prepare(counts, design, engine.Options(filter="none", threads=1)).blocks(1000)
    assert block.neg_log10_p_limma is not None
    return block.neg_log10_p, block.neg_log10_p_limma, np.loadtxt(TABLE, delimiter=",")


def test_p_values_rank_as_edgers_do(both: tuple[np.ndarray, np.ndarray, np.ndarray]):
    ours, limma, edger = both
    for wells in (1, 2, 3):
        chosen = wells == SIZES
        rho = stats.spearmanr(ours[:, chosen].ravel(), edger[:, chosen].ravel()).statistic
        assert rho > 0.99
        assert rho > stats.spearmanr(limma[:, chosen].ravel(), edger[:, chosen].ravel()).statistic


def test_calls_are_edgers_calls(both: tuple[np.ndarray, np.ndarray, np.ndarray]):
    ours, _, edger = (engine.adjust_rows(p.T) > -np.log10(0.05) for p in both)
    assert edger.sum() > 200
    assert (ours & edger).sum() / (ours | edger).sum() > 0.95
    assert (ours == edger).mean() > 0.99


def test_p_values_are_of_edgers_size(both: tuple[np.ndarray, np.ndarray, np.ndarray]):
    ours, _, edger = both
    middle = (edger > 1) & (edger < 6)
    assert np.median(ours[middle] / edger[middle]) == pytest.approx(1, abs=0.05)
