"""The plain moment estimate of the variance prior, with or without a trend (Smyth 2004, section 6.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from pbdb.common.arrays import Floats


@dataclass(frozen=True)
class Prior:
    """Prior variance and prior degrees of freedom (infinite when variances differ by chance only), per gene."""

    s2: Floats
    df: Floats


def plain_prior(variance: Floats, df: Floats, covariate: Floats | None) -> Prior:
    """Match mean and variance of log s^2; tiny variances are lifted to 1e-5 of the median."""
    median = float(np.median(variance))
    x = np.maximum(variance, 1e-5 * (median if median > 0 else 1.0))
    e = np.log(x) - special.digamma(df / 2) + np.log(df / 2)
    centre, spread = _centre(e, covariate)
    excess = spread - float(special.polygamma(1, df / 2).mean())
    if excess > 0:
        df_prior = 2 * trigamma_inverse(excess)
        s2 = np.exp(centre + special.digamma(df_prior / 2) - np.log(df_prior / 2))
    else:
        df_prior = np.inf
        s2 = np.exp(centre) if covariate is not None else np.full(len(x), x.mean())
    return Prior(s2, np.full(len(x), df_prior))


def _centre(e: Floats, covariate: Floats | None) -> tuple[Floats, float]:
    """Return the centre of each value and the variance around it, by mean or by natural spline."""
    if covariate is None:
        return np.full(len(e), e.mean()), float(e.var(ddof=1))
    wanted = 1 + sum(len(e) >= n for n in (3, 6, 30))
    df = min(wanted, len(np.unique(covariate)))
    basis = natural_spline(covariate, df)
    coefficients, _, rank, _ = np.linalg.lstsq(basis, e, rcond=None)
    fitted = basis @ coefficients
    return fitted, float(((e - fitted) ** 2).sum() / max(1, len(e) - int(rank)))


def natural_spline(x: Floats, df: int) -> Floats:
    """Return a basis of natural cubic splines with `df` columns (constant included), knots at quantiles of x."""
    low, high = float(x.min()), float(x.max())
    if df == 1 or low == high:
        return np.ones((len(x), 1))
    u = (x - low) / (high - low)
    knots = np.quantile(u, np.linspace(0, 1, df))
    columns = [np.ones_like(u), u]
    end = _cubic(u, knots, df - 2)
    columns += [_cubic(u, knots, k) - end for k in range(df - 2)]
    return np.stack(columns, axis=1)


def _cubic(u: Floats, knots: Floats, k: int) -> Floats:
    rise = np.maximum(u - knots[k], 0.0) ** 3 - np.maximum(u - knots[-1], 0.0) ** 3
    return np.asarray(rise / (knots[-1] - knots[k]))


def trigamma_inverse(x: float) -> float:
    """Solve trigamma(y) = x by Newton's method on 1 / trigamma, which is nearly linear."""
    if x > 1e7:
        return float(1 / np.sqrt(x))
    if x < 1e-6:
        return 1 / x
    y = 0.5 + 1 / x
    for _ in range(50):
        value = float(special.polygamma(1, y))
        step = value * (1 - value / x) / float(special.polygamma(2, y))
        y += step
        if -step / y < 1e-8:
            break
    return y
