"""The statistics of limma's top table for stored effects: what is not stored is computed from what is.

Stored are log2 fold change, standard error, -log10 p and its adjustment within an effect (float32), and for each gene
of the fit s2_post and df_total. t, the 95 % interval and B (Smyth 2004) follow from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from pbdb.common.arrays import Floats
from pbdb.effects.engine.adjust import FitWide
from pbdb.effects.engine.log_odds import TopGenes, log_odds

Arrays = Mapping[str, npt.NDArray[np.float32]]

ARRAYS = ("log2_fc", "se", "neg_log10_p", "neg_log10_p_adj")
LAYERS = (
    "logFC",
    "stdev.unscaled",
    "stdev.scaled",
    "CI.L",
    "CI.R",
    "AveExpr",
    "t",
    "P.Value",
    "adj.P.Value.within_one_contrast",
    "adj.P.Value.across_all_contrasts",
    "B",
)
WIDE = ("P.Value", "adj.P.Value.within_one_contrast", "adj.P.Value.across_all_contrasts")


@dataclass(frozen=True)
class FitFacts:
    """What a fit knows of its genes, and of its prior (None: the method has none).

    s2_prior_median: over the genes of the fit; df_prior: infinite where the variances do not differ.
    """

    ave_expr: Floats
    s2_post: Floats
    df_total: Floats
    df_prior: float | None
    s2_prior_median: float | None


def layers(arrays: Arrays, facts: FitFacts, fit_wide: FitWide) -> dict[str, Floats]:
    """Return LAYERS for some effects of a fit, effects x genes.

    found: ARRAYS. fit_wide: knows every -log10 p of the fit.
    """
    log2_fc, se, neg_log10_p, adjusted = (arrays[name].astype(np.float64) for name in ARRAYS)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = log2_fc / se
        unscaled = se / np.sqrt(facts.s2_post)
    half = se * _quantile(facts.df_total)
    return {
        "logFC": log2_fc,
        "stdev.unscaled": unscaled,
        "stdev.scaled": se,
        "CI.L": log2_fc - half,
        "CI.R": log2_fc + half,
        "AveExpr": np.where(np.isnan(log2_fc), np.nan, facts.ave_expr),
        "t": t,
        "P.Value": _power(neg_log10_p),
        "adj.P.Value.within_one_contrast": _power(adjusted),
        "adj.P.Value.across_all_contrasts": _power(_adjusted(arrays["neg_log10_p"], fit_wide)),
        "B": _b(neg_log10_p, t, unscaled, facts),
    }


def _adjusted(neg_log10_p: npt.NDArray[np.float32], fit_wide: FitWide) -> Floats:
    """Adjust over the fit in the order of size: looking up p-values as they come misses the cache each time."""
    order = np.argsort(neg_log10_p, axis=None)
    adjusted = np.empty(neg_log10_p.size)
    adjusted[order] = fit_wide.adjust(neg_log10_p.ravel()[order])
    return adjusted.reshape(neg_log10_p.shape)


def _power(neg_log10: Floats) -> Floats:
    with np.errstate(under="ignore"):
        return np.asarray(np.power(10.0, -neg_log10))


def _quantile(df_total: Floats) -> Floats:
    """Upper 2.5 % of t; of the normal where a method has no degrees of freedom."""
    df = np.where(np.isnan(df_total), np.inf, df_total)
    finite = np.isfinite(df)
    return np.asarray(np.where(finite, special.stdtrit(np.where(finite, df, 1.0), 0.975), special.ndtri(0.975)))


def _b(neg_log10_p: Floats, t: Floats, unscaled: Floats, facts: FitFacts) -> Floats:
    if facts.s2_prior_median is None or facts.df_prior is None:
        return np.full(t.shape, np.nan)
    largest = float(np.nanmax(facts.df_total))
    top = TopGenes(*t.shape)
    top.add(neg_log10_p.T, t.T, unscaled.T, facts.df_total)
    prior = top.prior_variance(facts.s2_prior_median, largest)
    return log_odds(t.T, unscaled.T, facts.df_total, _df_prior(facts, largest), prior).T


def _df_prior(facts: FitFacts, largest: float) -> Floats:
    """Prior df by gene: where the prior is infinite, only an outlying gene has less than the largest total df."""
    is_usual = facts.df_total >= largest
    return np.where(is_usual, float(facts.df_prior or 0.0), 0.0)
