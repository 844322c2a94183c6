"""The robust estimate of the variance prior (Phipson et al. 2016, Annals of Applied Statistics 10:946).

Log variances are winsorised (5 % low, 10 % high) around a robust centre; the prior df is the one whose
log F distribution has the same winsorised variance. Genes too variable for it get a smaller prior df of their own.
Genes on unequal df (missing values only) are first mapped to the largest df by tail probability, as limma did
up to about 3.61; later versions treat them otherwise.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from pbdb.common.arrays import Floats
from pbdb.effects.engine.lowess import lowess
from pbdb.effects.engine.tails import log_f_lower, log_f_tail
from pbdb.effects.engine.variance_prior import Prior, plain_prior

LOW_TAIL, HIGH_TAIL = 0.05, 0.10
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(128)


def robust_prior(variance: Floats, df: Floats, covariate: Floats | None) -> Prior:
    """Estimate the prior of variances (median above zero), per gene."""
    plain = plain_prior(variance, df, covariate)
    d1 = float(df.max())
    x = _to_one_df(variance, df, d1, plain)
    x = np.maximum(x, 1e-12 * np.median(x))
    lower_bound = float(plain_prior(x, np.full(len(x), d1), covariate).df[0])
    z = np.log(x)
    centre = _centre(z, covariate)
    mean, spread = _winsorised(z - centre)
    d2 = _match_spread(spread, d1, lower_bound)
    centre = centre + mean - winsorised_moments(d1, d2)[0]
    return Prior(np.exp(centre), _df_by_gene(z - centre, d1, d2))


def _to_one_df(variance: Floats, df: Floats, largest: float, prior: Prior) -> Floats:
    """Map variances on fewer df to the largest df at equal tail probability."""
    out = variance.copy()
    few = df < largest - 1e-14
    if not few.any():
        return out
    d2 = float(prior.df[0])
    f, d = variance[few] / prior.s2[few], df[few]
    upper, lower = log_f_tail(f, d, d2), log_f_lower(f, d, d2)
    mapped = np.where(upper < lower, _f_upper_quantile(upper, largest, d2), _f_lower_quantile(lower, largest, d2))
    out[few] = mapped * prior.s2[few]
    return out


def _f_lower_quantile(log_p: Floats, d1: float, d2: float) -> Floats:
    p = np.exp(np.maximum(log_p, -690.0))
    if np.isinf(d2):
        return np.asarray(2 * special.gammaincinv(d1 / 2, p) / d1)
    return np.asarray(special.fdtri(d1, d2, p))


def _f_upper_quantile(log_p: Floats, d1: float, d2: float) -> Floats:
    p = np.exp(np.maximum(log_p, -690.0))
    if np.isinf(d2):
        return np.asarray(2 * special.gammainccinv(d1 / 2, p) / d1)
    return np.asarray(1 / special.fdtri(d2, d1, p))


def _centre(z: Floats, covariate: Floats | None) -> Floats:
    if covariate is None:
        return np.full(len(z), _trimmed_mean(z, HIGH_TAIL))
    return lowess(covariate, z, span=0.4)


def _trimmed_mean(z: Floats, share: float) -> float:
    cut = int(len(z) * share)
    return float(np.sort(z)[cut : len(z) - cut].mean())


def _winsorised(residual: Floats) -> tuple[float, float]:
    low, high = np.quantile(residual, [LOW_TAIL, 1 - HIGH_TAIL])
    clipped = np.clip(residual, low, high)
    return float(clipped.mean()), float(clipped.var(ddof=1))


def winsorised_moments(d1: float, d2: float) -> tuple[float, float]:
    """Return mean and variance of the winsorised log of F(d1, d2), by Gauss-Legendre nodes in f / (1 + f)."""
    tails = np.array([LOW_TAIL, HIGH_TAIL])
    ends = np.array([_f_lower_quantile(np.log(LOW_TAIL), d1, d2), _f_upper_quantile(np.log(HIGH_TAIL), d1, d2)])
    low, high = ends / (1 + ends)
    nodes = low + (high - low) * (_NODES + 1) / 2
    f = nodes / (1 - nodes)
    mass = (high - low) / 2 * _NODE_WEIGHTS * np.exp(_log_f_density(f, d1, d2)) / (1 - nodes) ** 2
    mean = float((mass * np.log(f)).sum() + (tails * np.log(ends)).sum())
    variance = (mass * (np.log(f) - mean) ** 2).sum() + (tails * (np.log(ends) - mean) ** 2).sum()
    return mean, float(variance)


def _log_f_density(f: Floats, d1: float, d2: float) -> Floats:
    """f^(a-1) (1 + d1 f / d2)^-(a+b) (d1 / d2)^a / B(a, b), in logs; for d2 infinite the density of chi^2(d1) / d1."""
    a = d1 / 2
    if np.isinf(d2):
        return np.asarray(a * np.log(a) + (a - 1) * np.log(f) - a * f - special.gammaln(a))
    b = d2 / 2
    front = a * np.log(d1 / d2) - special.betaln(a, b)
    return np.asarray(front + (a - 1) * np.log(f) - (a + b) * np.log1p(d1 / d2 * f))


def _match_spread(spread: float, d1: float, lower_bound: float) -> float:
    """Return the prior df whose winsorised variance equals the observed one, not below `lower_bound`."""

    def excess(u: float) -> float:
        d2 = u / (1 - u) if u < 1 else np.inf
        return float(np.log(spread / winsorised_moments(d1, d2)[1]))

    if spread <= 0 or np.isinf(lower_bound) or excess(1.0) <= 0:
        return np.inf
    low = lower_bound / (1 + lower_bound)
    if excess(low) >= 0:
        return lower_bound
    u = float(optimize.brentq(excess, low, 1.0, xtol=1e-14))
    return u / (1 - u) if u < 1 else np.inf


def _df_by_gene(residual: Floats, d1: float, d2: float) -> Floats:
    """Lower the prior df of genes whose variance is too large to be chance; monotone in the tail probability."""
    n = len(residual)
    f = np.exp(residual)
    log_tail = log_f_tail(f, d1, d2)
    log_expected = np.log((n - _average_ranks(f) + 0.5) / n)
    log_inlier = np.minimum(log_tail - log_expected, 0.0)
    if not (log_inlier < 0).any():
        return np.full(n, d2)
    order = np.argsort(log_tail, kind="stable")
    if np.isinf(d2):
        shrunk = np.where(log_inlier < 0, np.exp(log_inlier) * n * d1, np.inf)
        return _put(order, np.maximum.accumulate(shrunk[order]))
    outlier = _outlier_df(f.max(), log_tail.min(), d1, d2)
    shrunk = np.exp(log_inlier) * d2 - np.expm1(log_inlier) * outlier
    return _put(order, _monotone(shrunk[order]))


def _average_ranks(values: Floats) -> Floats:
    """Average ranks of ties, from 1."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place])


def _outlier_df(largest: float, log_tail: float, d1: float, d2: float) -> float:
    """Return the prior df at which the most variable gene is a median one, by one repeated step."""
    first = np.log(0.5) / log_tail * d2
    again = float(log_f_tail(largest, d1, first))
    return float(np.log(0.5) / again * first)


def _monotone(ordered: Floats) -> Floats:
    """Cumulative means up to their least, then a running maximum: df rise with the tail, as in limma."""
    means = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    lowest = int(np.argmin(means))
    out = ordered.copy()
    out[: lowest + 1] = means[lowest]
    return np.asarray(np.maximum.accumulate(out))


def _put(order: npt.NDArray[np.int64], values: Floats) -> Floats:
    out = np.empty(len(values))
    out[order] = values
    return out
