"""Empirical Bayes moderation of variances: Smyth 2004 (SAGMB 3:3); robust: Phipson et al. 2016 (AoAS 10:946).

Variances s^2 on d degrees of freedom follow s0^2 F(d, d0). The prior s0^2, d0 is found by moments of log s^2,
once per fit. With a trend, s0^2 is a curve over the average expression. Results equal limma 3.54.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pbdb.common.arrays import Floats
from pbdb.effects.engine.robust import robust_prior
from pbdb.effects.engine.variance_prior import Prior, plain_prior


@dataclass(frozen=True)
class Moderated:
    """Per gene: prior and posterior variance, prior and total degrees of freedom (NaN without a variance)."""

    s2_prior: Floats
    df_prior: Floats
    s2_post: Floats
    df_total: Floats


def moderate(variance: Floats, df: Floats, *, covariate: Floats | None = None, robust: bool = True) -> Moderated:
    """Squeeze the variances of a fit towards their prior; `covariate` (average expression) gives a trend.

    Genes without residual degrees of freedom are NaN throughout; fewer than three others are left as they are.
    """
    ok = (df > 0) & np.isfinite(variance)
    if covariate is not None:
        ok &= np.isfinite(covariate)
    s2_prior, df_prior = np.full(len(df), np.nan), np.full(len(df), np.nan)
    x = None if covariate is None else covariate[ok]
    prior = _prior(variance[ok], df[ok], x, robust)
    s2_prior[ok], df_prior[ok] = prior.s2, prior.df
    s2_post = np.full(len(df), np.nan)
    s2_post[ok] = _posterior(variance[ok], df[ok], s2_prior[ok], df_prior[ok])
    df_total = np.minimum(df + df_prior, df[ok].sum())
    return Moderated(s2_prior, df_prior, s2_post, df_total)


def _prior(variance: Floats, df: Floats, covariate: Floats | None, robust: bool) -> Prior:
    """Fewer than three variances tell no spread: prior df 0 leaves them as they are, as limma does."""
    if len(variance) < 3:
        return Prior(variance, np.zeros(len(variance)))
    if robust and np.median(variance) > 0:
        return robust_prior(variance, df, covariate)
    return plain_prior(variance, df, covariate)


def _posterior(variance: Floats, df: Floats, s2_prior: Floats, df_prior: Floats) -> Floats:
    """s~^2 = (d s^2 + d0 s0^2) / (d + d0), Smyth 2004, equation 4; s0^2 where d0 is infinite."""
    finite = np.where(np.isfinite(df_prior), df_prior, 0.0)
    squeezed = (df * variance + finite * s2_prior) / (df + finite)
    return np.where(np.isfinite(df_prior), squeezed, s2_prior)
