"""Moderation where variances are unusual."""

from __future__ import annotations

import numpy as np
import pytest

from pbdb.effects.engine.moderate import moderate
from pbdb.effects.engine.robust import winsorised_moments
from pbdb.effects.engine.variance_prior import natural_spline, trigamma_inverse


def variances(n: int = 2000, d: float = 6, d0: float = 8, s2: float = 0.3, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return s2 * random.chisquare(d, n) / d / (random.chisquare(d0, n) / d0)


@pytest.mark.parametrize("robust", [False, True])
def test_prior_of_simulated_variances_is_found(robust: bool):
    out = moderate(variances(20_000), np.full(20_000, 6.0), robust=robust)
    assert np.median(out.df_prior) == pytest.approx(8, rel=0.1)
    assert np.median(out.s2_prior) == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize("robust", [False, True])
def test_equal_true_variances_have_infinite_prior_df(robust: bool):
    x = 0.3 * np.random.default_rng(1).chisquare(50, 400) / 50
    x = 0.3 + 0.001 * (x - x.mean())
    out = moderate(x, np.full(400, 50.0), robust=robust)
    assert np.isinf(out.df_prior).all()
    np.testing.assert_allclose(out.s2_post, out.s2_prior)
    assert (out.df_total == 400 * 50.0).all()


def test_outlying_variance_keeps_its_own_value_when_robust():
    x = variances()
    x[0] = 500.0
    df = np.full(len(x), 6.0)
    plain, robust = moderate(x, df, robust=False), moderate(x, df)
    assert robust.df_prior[0] < 0.2 * np.median(robust.df_prior)
    assert robust.s2_post[0] > 2 * plain.s2_post[0]


def test_zero_variances_are_moderated_not_refused():
    x = variances()
    x[:50] = 0.0
    for robust in (False, True):
        out = moderate(x, np.full(len(x), 6.0), robust=robust)
        assert (out.s2_post[:50] > 0).all()


def test_mostly_zero_variances_do_not_raise():
    x = np.zeros(100)
    x[:20] = 1.0
    assert np.isfinite(moderate(x, np.full(100, 4.0)).s2_post).all()


def test_trend_follows_the_covariate():
    level = np.linspace(0, 10, 3000)
    x = variances(3000) * np.exp(-0.3 * level)
    out = moderate(x, np.full(3000, 6.0), covariate=level)
    np.testing.assert_allclose(np.log(out.s2_prior), np.log(0.3) - 0.3 * level, atol=0.35)


def test_gene_without_df_is_missing_and_does_not_disturb_the_others():
    x, df = variances(300), np.full(300, 6.0)
    alone = moderate(x, df)
    with_gap = moderate(np.append(x, np.nan), np.append(df, 0.0))
    assert np.isnan(with_gap.s2_post[-1])
    np.testing.assert_allclose(with_gap.s2_post[:-1], alone.s2_post)


def test_fewer_than_three_genes_are_left_as_they_are():
    out = moderate(np.array([0.2, 0.7]), np.array([5.0, 5.0]))
    np.testing.assert_array_equal(out.s2_post, [0.2, 0.7])
    np.testing.assert_array_equal(out.df_total, [5.0, 5.0])


def test_unequal_df_are_accepted():
    x, df = variances(500), np.full(500, 6.0)
    df[:100] = 3.0
    out = moderate(x, df)
    assert np.isfinite(out.s2_post).all()
    np.testing.assert_allclose(out.df_total, np.minimum(df + out.df_prior, df.sum()))


def test_winsorised_moments_equal_simulation():
    random = np.random.default_rng(0)
    f = random.chisquare(5, 400_000) / 5 / (random.chisquare(9, 400_000) / 9)
    z = np.clip(np.log(f), *np.log(np.quantile(f, [0.05, 0.9])))
    mean, variance = winsorised_moments(5, 9)
    assert mean == pytest.approx(z.mean(), abs=0.005)
    assert variance == pytest.approx(z.var(), rel=0.01)


def test_trigamma_inverse_inverts():
    from scipy.special import polygamma

    for y in (1e-8, 0.01, 1.0, 50.0, 1e7):
        assert trigamma_inverse(float(polygamma(1, y))) == pytest.approx(y, rel=1e-6)


def test_spline_basis_has_full_rank_and_spans_lines():
    x = np.random.default_rng(0).normal(size=100)
    basis = natural_spline(x, 4)
    assert np.linalg.matrix_rank(basis) == 4
    (residual,) = np.linalg.lstsq(basis, 2 * x + 1, rcond=None)[1]
    assert residual < 1e-18
