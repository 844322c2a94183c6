"""B, the log odds that a gene responds (Smyth 2004, section 6.3, equations for the prior variance and B).

One per cent of the genes of each effect is expected to respond. The prior variance of their log2 fold changes
comes from the top half per cent by p-value, clamped to (0.1^2 .. 4^2) / median prior variance.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from pbdb.common.arrays import Floats
from pbdb.effects.engine.tails import LOG10, log_t_tail, t_quantile

RESPONDING = 0.01
_LIMITS = np.array([0.1, 4.0])
_INFINITE_PRIOR = 1e6


class TopGenes:
    """The most significant genes of each effect, gathered block by block."""

    def __init__(self, n_effects: int, n_genes: int):
        """Keep the top RESPONDING / 2 by p: limma's prior variance is of these (tmixture.vector)."""
        self._wanted = int(np.ceil(RESPONDING / 2 * n_genes))
        self._neg_log10_p = np.empty((0, n_effects))
        self._abs_t = np.empty((0, n_effects))
        self._stdev = np.empty((0, n_effects))
        self._df = np.empty((0, n_effects))
        self._tested = np.zeros(n_effects)

    def add(self, neg_log10_p: Floats, t: Floats, stdev_unscaled: Floats, df: Floats) -> None:
        """Take in a block (genes x effects; df by gene)."""
        self._tested += np.isfinite(t).sum(axis=0)
        p = np.vstack([self._neg_log10_p, np.where(np.isfinite(t), neg_log10_p, -np.inf)])
        top = np.argsort(-p, axis=0, kind="stable")[: self._wanted]
        wide_df = np.broadcast_to(df[:, None], t.shape)
        self._neg_log10_p = np.take_along_axis(p, top, axis=0)
        self._abs_t = np.take_along_axis(np.vstack([self._abs_t, np.abs(t)]), top, axis=0)
        self._stdev = np.take_along_axis(np.vstack([self._stdev, stdev_unscaled]), top, axis=0)
        self._df = np.take_along_axis(np.vstack([self._df, wide_df]), top, axis=0)

    def prior_variance(self, median_s2_prior: float, largest_df: float) -> Floats:
        """Return the prior variance of log2 fold changes (in units of sigma^2) of each effect."""
        limits = _LIMITS**2 / median_s2_prior
        return np.array([self._one(e, limits, largest_df) for e in range(len(self._tested))])

    def _one(self, effect: int, limits: Floats, largest_df: float) -> float:
        """Of each top gene v0 in (i - 1/2) / n = share P(t / sqrt(1 + v0 / v1)) + (1 - share) P(t), as limma.

        P: tail of t on the largest df, to which all t are brought at equal p. The mean of the clamped v0 is returned.
        """
        tested = self._tested[effect]
        n = int(np.ceil(RESPONDING / 2 * tested))
        if n < 1:
            return float("nan")
        share = max(n / tested, RESPONDING)
        log_p = -LOG10 * self._neg_log10_p[:n, effect]
        t = self._abs_t[:n, effect].copy()
        fewer = self._df[:n, effect] < largest_df
        if fewer.any():
            t[fewer] = t_quantile(log_p[fewer], largest_df)
        p_null = np.exp(log_t_tail(t, largest_df))
        p_target = ((np.arange(1, n + 1) - 0.5) / tested - (1 - share) * p_null) / share
        variance = np.zeros(n)
        more = p_target > p_null
        quantile = _t_upper(p_target[more], largest_df)
        variance[more] = self._stdev[:n, effect][more] ** 2 * ((t[more] / quantile) ** 2 - 1)
        return float(np.clip(variance, *limits).mean())


def _t_upper(p: Floats, df: float) -> Floats:
    if np.isinf(df):
        return np.asarray(-special.ndtri(p / 2))
    return np.asarray(-special.stdtrit(df, p / 2))


def log_odds(t: Floats, stdev_unscaled: Floats, df_total: Floats, df_prior: Floats, prior: Floats) -> Floats:
    """Return B (genes x effects); df by gene, `prior` the prior variance by effect.

    Genes of infinite (> 1e6) prior df take the normal kernel, though their total df is finite.
    """
    inflation = 1 + prior / stdev_unscaled**2
    df = df_total[:, None]
    with np.errstate(invalid="ignore"):
        heavy = (1 + df) / 2 * np.log((t**2 + df) / (t**2 / inflation + df))
    normal = t**2 * (1 - 1 / inflation) / 2
    kernel = np.where(df_prior[:, None] > _INFINITE_PRIOR, normal, heavy)
    return np.asarray(np.log(RESPONDING / (1 - RESPONDING)) - np.log(inflation) / 2 + kernel)
