"""Tail probabilities on the log scale: they keep their magnitude where a p-value is no longer a number.

All come from the incomplete beta function I_x(a, b): the two-sided tail of t with d degrees of freedom is
I_x(d/2, 1/2) at x = d / (d + t^2), the upper tail of F is I_x(d2/2, d1/2) at x = d2 / (d2 + d1 f)
(DLMF 8.17, 26.5). SciPy's value is used where it can be represented, the continued fraction below.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numba import njit, prange
from scipy import special

from pbdb.common.arrays import Floats, Ints, Mask

LOG10 = float(np.log(10.0))
_SMALL = 1e-270
_STEP = 1 / 16
_NODES = 38 * 16 + 1


def log_t_tail(t: npt.ArrayLike, df: npt.ArrayLike) -> Floats:
    """Return the natural log of the two-sided tail probability of t; infinite df is the normal law."""
    size, d = np.broadcast_arrays(np.abs(np.asarray(t, np.float64)), np.asarray(df, np.float64))
    out = np.empty(size.shape)
    finite = np.isfinite(d) & np.isfinite(size)
    out[~finite] = np.log(2.0) + special.log_ndtr(-size[~finite])
    ratio = size[finite] ** 2 / d[finite]
    out[finite] = _log_beta_tail(0.5 * d[finite], np.full(ratio.shape, 0.5), ratio)
    out[np.isnan(d)] = np.nan
    return out


def log_f_tail(f: npt.ArrayLike, d1: npt.ArrayLike, d2: npt.ArrayLike) -> Floats:
    """Return the natural log of the upper tail probability of F; infinite d2 is chi-square / d1."""
    ratio, a, b = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (f, d1, d2)))
    out = np.empty(ratio.shape)
    finite = np.isfinite(b)
    out[finite] = _log_beta_tail(0.5 * b[finite], 0.5 * a[finite], (a * ratio)[finite] / b[finite])
    out[~finite] = _log_gamma_tail(0.5 * a[~finite], 0.5 * (a * ratio)[~finite])
    return out


def log_f_lower(f: npt.ArrayLike, d1: npt.ArrayLike, d2: npt.ArrayLike) -> Floats:
    """Return the natural log of the lower tail probability of F (the upper tail of 1 / F)."""
    ratio, a, b = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (f, d1, d2)))
    out = np.empty(ratio.shape)
    finite = np.isfinite(b)
    out[finite] = log_f_tail(1 / np.maximum(ratio[finite], 1e-300), b[finite], a[finite])
    with np.errstate(divide="ignore"):
        out[~finite] = np.log(special.gammainc(0.5 * a[~finite], 0.5 * (a * ratio)[~finite]))
    return out


def _log_beta_tail(a: Floats, b: Floats, ratio: Floats) -> Floats:
    """Return log I_x(a, b) at x = 1 / (1 + ratio); of x and 1 - x the smaller one is used, for it has more digits."""
    p, far = np.empty(ratio.shape), ratio >= 1.0
    p[far] = special.betainc(a[far], b[far], 1.0 / (1.0 + ratio[far]))
    p[~far] = special.betaincc(b[~far], a[~far], ratio[~far] / (1.0 + ratio[~far]))
    out = np.log(np.maximum(p, _SMALL))
    deep = p < _SMALL
    if deep.any():
        out[deep] = _beta_fraction(a[deep], b[deep], ratio[deep], special.betaln(a[deep], b[deep]))
    return np.asarray(np.minimum(out, 0.0))


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _beta_fraction(a: Floats, b: Floats, ratio: Floats, log_beta: Floats) -> Floats:
    """Return log I_x(a, b) by Lentz's method for the continued fraction DLMF 8.17.22, x = 1 / (1 + ratio)."""
    out = np.empty(len(a))
    for i in range(len(a)):
        x = 1.0 / (1.0 + ratio[i])
        front = -(a[i] + b[i]) * np.log1p(ratio[i]) + b[i] * np.log(ratio[i]) - np.log(a[i]) - log_beta[i]
        c, d = 1.0, 1.0 / (1.0 - (a[i] + b[i]) * x / (a[i] + 1.0))
        value = d
        for m in range(1, 20000):
            even = m * (b[i] - m) * x / ((a[i] + 2 * m - 1) * (a[i] + 2 * m))
            d, c = 1.0 / (1.0 + even * d), 1.0 + even / c
            value *= c * d
            odd = -(a[i] + m) * (a[i] + b[i] + m) * x / ((a[i] + 2 * m) * (a[i] + 2 * m + 1))
            d, c = 1.0 / (1.0 + odd * d), 1.0 + odd / c
            value *= c * d
            if abs(c * d - 1.0) < 1e-15:
                break
        out[i] = front + np.log(value)
    return out


def _log_gamma_tail(a: Floats, x: Floats) -> Floats:
    """Return log Q(a, x); far out by its continued fraction."""
    p = np.asarray(special.gammaincc(a, x))
    out = np.log(np.maximum(p, _SMALL))
    deep = p < _SMALL
    if deep.any():
        out[deep] = _gamma_fraction(a[deep], x[deep], np.asarray(special.gammaln(a[deep])))
    return np.asarray(out)


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _gamma_fraction(a: Floats, x: Floats, log_gamma: Floats) -> Floats:
    """Return log Q(a, x) by Lentz's method for the continued fraction DLMF 8.9.2."""
    out = np.empty(len(a))
    for i in range(len(a)):
        base = x[i] + 1.0 - a[i]
        c, d = 1e300, 1.0 / base
        value = d
        for m in range(1, 20000):
            step = -m * (m - a[i])
            base += 2.0
            d, c = 1.0 / (step * d + base), base + step / c
            value *= c * d
            if abs(c * d - 1.0) < 1e-15:
                break
        out[i] = a[i] * np.log(x[i]) - x[i] - log_gamma[i] + np.log(value)
    return out


def log_t_density(t: Floats, df: float) -> Floats:
    """Return the natural log of the density of t."""
    if np.isinf(df):
        return np.asarray(-0.5 * t**2 - 0.5 * np.log(2 * np.pi))
    scale = -0.5 * np.log(df) - special.betaln(0.5 * df, 0.5)
    return np.asarray(scale - 0.5 * (df + 1) * np.log1p(t**2 / df))


def t_quantile(log_p: Floats, df: float) -> Floats:
    """Return |t| whose two-sided log tail probability is log_p, by Newton's method in log t."""
    start = np.abs(special.stdtrit(min(df, 1e9), 0.5 * np.exp(np.maximum(log_p, -600.0))))
    t: Floats = np.clip(np.nan_to_num(start, posinf=1e100), 1e-12, 1e100)
    for _ in range(100):
        tail = log_t_tail(t, df)
        slope = -2.0 * t * np.exp(log_t_density(t, df) - tail)
        step = np.clip((tail - log_p) / slope, -5.0, 5.0)
        t = t * np.exp(-step)
        if np.all(np.abs(step) <= 1e-13):
            break
    return np.asarray(t)


def worth_tables(df: Floats, n_effects: int) -> Mask:
    """Mark the genes of a fit whose df has more values of t (genes that share it x effects) than a table has nodes."""
    _, place, n_genes = np.unique(df, return_inverse=True, return_counts=True)
    return np.asarray((n_genes * n_effects > _NODES)[place] & ~np.isnan(df))


def neg_log10_p(t: Floats, df: Floats, in_table: Mask) -> Floats:
    """Return -log10 of the two-sided p-value of t (genes x effects), df by gene.

    Genes marked `in_table`, where t is below 38, are read from a table of the log tail and its two derivatives,
    joined by quintic Hermite polynomials in steps of 1/16 (error below 1e-11, at one df 3e-11); all else is computed
    directly.
    """
    genes = np.flatnonzero(in_table)
    distinct, place = np.unique(df[genes], return_inverse=True)
    out = np.full(t.shape, np.nan)
    if len(genes):
        _read_table(t, genes, np.stack([_table(float(d)) for d in distinct]), place, out)
    rest = np.isnan(out) & ~np.isnan(t)
    out[rest] = log_t_tail(t[rest], np.broadcast_to(df[:, None], t.shape)[rest])
    return np.asarray(np.maximum(out / -LOG10, 0.0))


@lru_cache(maxsize=256)
def _table(df: float) -> Floats:
    """Return log tail, first and second derivative (scaled by the step) at the nodes; nodes x 3."""
    t: Floats = np.arange(_NODES) * np.float64(_STEP)
    tail = log_t_tail(t, df)
    first = -2.0 * np.exp(log_t_density(t, df) - tail)
    log_density_slope = -t if np.isinf(df) else -(df + 1) * t / (df + t**2)
    second = first * (log_density_slope - first)
    return np.stack([tail, first * _STEP, second * _STEP**2], axis=1)


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _read_table(t: Floats, genes: Ints, tables: Floats, place: Ints, out: Floats) -> None:
    """Log tails between the nodes by `_hermite`; beyond the table `out` stays as it is."""
    last = tables.shape[1] - 1
    for k in prange(len(genes)):
        g, table = genes[k], tables[place[k]]
        for e in range(t.shape[1]):
            at = abs(t[g, e]) / _STEP
            if at < last:
                i = int(at)
                out[g, e] = _hermite(table[i], table[i + 1], at - i)


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _hermite(a: Floats, b: Floats, u: float) -> float:
    """Join value, slope and curvature at both ends of a unit interval."""
    rise = b[0] - a[0] - a[1] - 0.5 * a[2]
    slope = b[1] - a[1] - a[2]
    bend = b[2] - a[2]
    third = 10.0 * rise - 4.0 * slope + 0.5 * bend
    fourth = -15.0 * rise + 7.0 * slope - bend
    fifth = 6.0 * rise - 3.0 * slope + 0.5 * bend
    return float(a[0] + u * (a[1] + u * (0.5 * a[2] + u * (third + u * (fourth + u * fifth)))))
