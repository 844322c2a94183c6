"""The structured solution equals plain dense least squares."""

from __future__ import annotations

import numpy as np
import pytest

from pbdb.effects import engine
from pbdb.effects.engine import unweighted, weighted


def random_design(seed: int) -> engine.Design:
    """Up to 12 conditions over up to 6 plates, some singletons, often in several components."""
    random = np.random.default_rng(seed)
    n, n_conditions, n_plates = int(random.integers(25, 60)), random.integers(3, 12), random.integers(1, 7)
    condition = np.concatenate([np.arange(n_conditions), random.integers(0, n_conditions, n)])
    plate = (condition + random.choice([0, 0, 0, 1], len(condition))) % n_plates
    return engine.build_design(condition, condition == 0, plate=plate)


def dense(y: np.ndarray, w: np.ndarray, design: engine.Design) -> tuple[np.ndarray, np.ndarray, float]:
    """Fold changes and unscaled standard errors (ok effects) and variance, by the pseudo-inverse."""
    plate = np.repeat(design.layout.cell_plate, np.diff(design.layout.cell_start))
    X = np.hstack([np.eye(design.n_conditions)[design.sample_condition], np.eye(design.n_plates)[plate]])
    used = w > 0
    X, y, w = X[used], y[used], w[used]
    inverse = np.linalg.pinv(X.T @ (w[:, None] * X))
    beta = inverse @ X.T @ (w * y)
    df = len(y) - np.linalg.matrix_rank(X)
    table = design.effects
    contrast = np.zeros((len(design.ok), X.shape[1]))
    rows = np.arange(len(design.ok))
    contrast[rows, table.treated[design.ok]] = 1
    contrast[rows, table.vehicle[design.ok]] -= 1
    stdev = np.sqrt(np.einsum("ij,jk,ik->i", contrast, inverse, contrast))
    return contrast @ beta, stdev, float((w * (y - X @ beta) ** 2).sum() / df)


@pytest.mark.parametrize("seed", range(25))
def test_weighted_fit_equals_dense_least_squares(seed: int):
    design = random_design(seed)
    random = np.random.default_rng(seed)
    y, w = random.normal(5, 1, (3, design.n_samples)), random.gamma(2, 1, (3, design.n_samples))
    fitted = weighted.fit_weighted(y, w, design, design.ok)
    for gene in range(3):
        log2_fc, stdev, variance = dense(y[gene], w[gene], design)
        np.testing.assert_allclose(fitted.log2_fc[gene], log2_fc, atol=1e-9)
        np.testing.assert_allclose(fitted.stdev_unscaled[gene], stdev, rtol=1e-8)
        np.testing.assert_allclose(fitted.variance[gene], variance, rtol=1e-9)


@pytest.mark.parametrize("seed", range(25))
def test_shared_fit_equals_the_weighted_one_with_equal_weights(seed: int):
    design = random_design(seed)
    y = np.random.default_rng(seed).normal(5, 1, (2, design.n_samples))
    common = unweighted.share(design)
    fitted = unweighted.fit(y, common)
    expected = weighted.fit_weighted(y, np.ones_like(y), design, design.ok)
    np.testing.assert_allclose(fitted.log2_fc(design, design.ok), expected.log2_fc, atol=1e-9)
    np.testing.assert_allclose(common.stdev_unscaled(design.ok), expected.stdev_unscaled[0], rtol=1e-9)
    np.testing.assert_allclose(fitted.variance, expected.variance, rtol=1e-9)


@pytest.mark.parametrize("seed", range(25))
def test_missing_values_leave_out_their_samples_only(seed: int):
    design = random_design(seed)
    random = np.random.default_rng(seed)
    y = random.normal(5, 1, (1, design.n_samples))
    y[0, random.random(design.n_samples) < 0.3] = np.nan
    fitted = weighted.fit_missing(y, design, design.ok)
    known = ~np.isnan(y[0])
    log2_fc, stdev, variance = dense(np.nan_to_num(y[0]), known.astype(float), design)
    estimable = ~np.isnan(fitted.log2_fc[0])
    np.testing.assert_allclose(fitted.log2_fc[0][estimable], log2_fc[estimable], atol=1e-9)
    np.testing.assert_allclose(fitted.stdev_unscaled[0][estimable], stdev[estimable], rtol=1e-8)
    if fitted.df_residual[0] > 0:
        np.testing.assert_allclose(fitted.variance[0], variance, rtol=1e-9)


@pytest.mark.parametrize("seed", range(25))
def test_only_comparisons_that_lie_in_the_row_space_are_estimated(seed: int):
    design = random_design(seed)
    plate = np.repeat(design.layout.cell_plate, np.diff(design.layout.cell_start))
    X = np.hstack([np.eye(design.n_conditions)[design.sample_condition], np.eye(design.n_plates)[plate]])
    onto_rows = np.linalg.pinv(X) @ X
    table = design.effects
    for effect in range(len(table)):
        contrast = np.zeros(X.shape[1])
        contrast[table.treated[effect]] = 1
        contrast[table.vehicle[effect]] = -1
        estimable = np.allclose(contrast @ onto_rows, contrast, atol=1e-9)
        assert (table.status[effect] == "ok") == estimable


@pytest.mark.parametrize("seed", range(10))
def test_largest_hat_value_equals_the_dense_one(seed: int):
    design = random_design(seed)
    plate = np.repeat(design.layout.cell_plate, np.diff(design.layout.cell_start))
    X = np.hstack([np.eye(design.n_conditions)[design.sample_condition], np.eye(design.n_plates)[plate]])
    hat = np.diag(X @ np.linalg.pinv(X)).max()
    assert unweighted.share(design).largest_hat() == pytest.approx(hat, rel=1e-10)


def test_constant_gene_has_exactly_zero_variance():
    design = random_design(1)
    y = np.full((1, design.n_samples), 7.3)
    assert weighted.fit_weighted(y, np.ones_like(y), design, design.ok).variance[0] == 0.0
    assert unweighted.fit(y, unweighted.share(design)).variance[0] == 0.0
