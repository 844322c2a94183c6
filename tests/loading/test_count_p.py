"""p values of counts as `pbdb db verify` computes them: the engine's, found in another way."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pbdb.effects.engine import signed_root
from pbdb.loading.verification import count_p
from pbdb.loading.verification.count_p import Counts


@pytest.mark.parametrize("phi", [0.0, 1e-8, 0.02, 0.5])
@pytest.mark.parametrize("psi", [0.0, 1e-4, 0.1])
def test_the_signed_root_is_that_of_the_engine(phi: float, psi: float) -> None:
    for M in (1.0, 7.0, 300.0):
        for Y in (0.0, M / 9, M * 0.999, M, M * 1.002, M * 4):
            expected = signed_root.score(Y, M, phi, 40.5, psi)
            assert count_p.signed_root(Y, M, phi, 40.5, psi) == pytest.approx(expected, abs=0.01), (Y, M)


def test_of_poisson_counts_it_is_the_exact_binomial_mid_p() -> None:
    for Y, M, T in ((12, 4.0, 20), (1, 6.0, 30), (40, 15.0, 60)):
        share = M / (M + T)
        tail = stats.binom.sf(Y, Y + T, share) if Y > M else stats.binom.cdf(Y - 1, Y + T, share)
        exact = stats.norm.isf(tail + stats.binom.pmf(Y, Y + T, share) / 2) * np.sign(Y - M)
        assert count_p.signed_root(Y, M, 0.0, T, 0.0) == pytest.approx(exact, abs=0.03)


def test_dispersion_is_that_of_the_counts_and_shrinks_with_the_variance() -> None:
    rng = np.random.default_rng(3)
    group, exposure = np.repeat(np.arange(100), 6), rng.uniform(0.5, 2, 600)
    rate = np.repeat(rng.uniform(20, 200, 100), 6) * exposure
    y = rng.negative_binomial(1 / 0.2, 1 / (1 + 0.2 * rate)).astype(float)
    counts = Counts(y, exposure, np.ones(600), group)
    whole = count_p.dispersion(counts, 0, 1.0)
    assert whole == pytest.approx(0.2, rel=0.15)
    assert count_p.dispersion(counts, 0, 2.0) > 2 * whole
    assert count_p.dispersion(counts, 0, 0.01) == 0.0


def test_a_burst_in_a_silent_gene_is_not_judged() -> None:
    y = np.array([0, 0, 0, 0, 90.0, 0, 9, 9])
    counts = Counts(y, np.ones(8), np.ones(8), np.array([-1, -1, -1, -1, 5, 5, 6, 6]))
    burst, both = count_p.deviates(counts, 0.1, [(5, -1), (6, -1)], np.zeros(2))
    assert np.isnan(burst)
    assert both > 2
