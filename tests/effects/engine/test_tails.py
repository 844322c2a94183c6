"""Tails of t and F on the log scale, against integrals, SciPy's values and extremes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, special, stats

from pbdb.effects.engine.tails import (
    LOG10,
    log_f_lower,
    log_f_tail,
    log_t_density,
    log_t_tail,
    neg_log10_p,
    t_quantile,
    worth_tables,
)


def integrated(t: float, df: float) -> float:
    """Log of the two-sided tail: the density at t times an integral of relative densities."""
    at = log_t_density(np.array([t]), df)[0]
    scale = (df + t**2) / ((df + 1) * t)  # the tail falls by 1/e over about this length
    relative = lambda u: float(np.exp(log_t_density(np.array([t + u * scale]), df)[0] - at)) * scale  # noqa: E731
    return float(at + np.log(2 * integrate.quad(relative, 0, np.inf, epsabs=0, epsrel=1e-11, limit=500)[0]))


@pytest.mark.parametrize(
    ("t", "df"), [(2.0, 5), (60.0, 5000), (45.0, 30), (300.0, 40.5), (40.0, 1e6), (37.9, 36000), (500.0, 200)]
)
def test_tail_of_t_equals_its_integral(t: float, df: float):
    assert log_t_tail(t, df) == pytest.approx(integrated(t, df), rel=1e-9)


def test_extreme_p_values_keep_their_magnitude():
    tail = log_t_tail(np.array([60.0, 100.0, 1000.0]), 5000) / -LOG10
    assert np.isfinite(tail).all()
    assert 550 < tail[0] < tail[1] < tail[2]


def test_infinite_df_is_the_normal_law():
    t = np.array([0.0, 1.0, 10.0, 100.0])
    np.testing.assert_allclose(log_t_tail(t, np.inf), np.log(2) + special.log_ndtr(-t))
    np.testing.assert_allclose(log_t_tail(t[:3], 1e12), log_t_tail(t[:3], np.inf), rtol=1e-8, atol=1e-12)


def test_tail_of_f_equals_scipy_and_goes_on_below_it():
    f = np.array([0.5, 3.0, 40.0])
    np.testing.assert_allclose(log_f_tail(f, 5, 9.5), stats.f.logsf(f, 5, 9.5), rtol=1e-10)
    np.testing.assert_allclose(log_f_lower(f, 5, 9.5), stats.f.logcdf(f, 5, 9.5), rtol=1e-9)
    np.testing.assert_allclose(log_f_tail(f, 5, np.inf), stats.chi2.logsf(5 * f, 5), rtol=1e-10)
    assert -np.inf < log_f_tail(1e4, 500, 300) < -800
    assert -np.inf < log_f_tail(1e3, 50, np.inf) < -800


def test_quantile_inverts_the_tail():
    for df, lowest in ((3.0, -600.0), (40.0, -3000.0), (30_000.0, -9000.0)):
        log_p = np.array([-0.001, -1.0, -50.0, lowest])
        np.testing.assert_allclose(log_t_tail(t_quantile(log_p, df), df), log_p, rtol=1e-9)


@pytest.mark.parametrize("df", [1.5, 8.0, 40.0, 36_000.0, 4e8, np.inf])
def test_table_equals_direct_values(df: float):
    t = np.concatenate([np.linspace(-45, 45, 4001), [0.0]])[None, :]
    direct = log_t_tail(t, df) / -LOG10
    np.testing.assert_allclose(neg_log10_p(t, np.array([df]), np.array([True])), direct, rtol=1e-9, atol=1e-11)


def test_df_of_few_values_and_of_none_need_no_table():
    df = np.repeat([3.5, 3.25, np.nan], [200, 20, 200])
    in_table = worth_tables(df, 4)
    np.testing.assert_array_equal(in_table, df == 3.5)
    t = np.random.default_rng(0).normal(0, 9, (len(df), 4))
    t[0, 0] = np.nan
    p = neg_log10_p(t, df, in_table)
    np.testing.assert_allclose(p, np.maximum(log_t_tail(t, df[:, None]) / -LOG10, 0), rtol=1e-9, atol=1e-11)
    np.testing.assert_array_equal(np.isnan(p), np.isnan(t + df[:, None]))
