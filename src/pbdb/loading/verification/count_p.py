"""p values of counts (docs/p_values.md), a gene at a time: as the formulas stand there, in NumPy and SciPy.

Nothing of the engine's code: roots are found by bracketing, likelihoods are written out, sums run over labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import ndtri_exp, xlogy
from scipy.stats import t as student

from pbdb.loading.verification.least_squares import Floats

# What a gene needs to be judged: counts of the vehicle; wells, and their share, with 10 counts at the median library.
VEHICLE_COUNT, PASSING_COUNT, PASSING_WELLS, PASSING_SHARE = 10.0, 10.0, 3, 0.01
NEAR_NULL = 0.003  # of r: log(u / r) / r loses its digits there, and is taken from both sides


@dataclass(frozen=True)
class Counts:
    """One gene: counts and exposures of the wells of a fit, their effective libraries and groups."""

    y: Floats
    exposure: Floats
    library: Floats
    group: npt.NDArray[np.int64]

    def of(self, label: int) -> tuple[Floats, Floats]:
        """Counts and exposures of a group."""
        inside = self.group == label
        return self.y[inside], self.exposure[inside]

    @property
    def is_widely_seen(self) -> bool:
        """Whether 3 wells and 1 % of all pass the cut, or every well of one group of at least 3."""
        passes = (self.y > 0) & (self.y >= PASSING_COUNT * self.library / np.median(self.library))
        _, code, size = np.unique(self.group, return_inverse=True, return_counts=True)
        whole = (np.bincount(code, passes) == size) & (size >= PASSING_WELLS)
        return bool(whole.any()) or passes.sum() >= max(PASSING_WELLS, PASSING_SHARE * len(passes))


def dispersion(counts: Counts, n_free: int, shrinkage: float) -> float:
    """Moderated dispersion; n_free: plates with an effect of their own, shrinkage: s2_post / sigma^2."""
    phi = _dispersion(counts, n_free, _dispersion(counts, n_free, 0.0))
    y, x = counts.y, counts.exposure
    if not y.any() or not np.isfinite(shrinkage):
        return phi
    mean = max(y.sum(), (y * (y - 1) / x).sum() / y.sum() * x.sum()) / len(y)
    return float(max(0.0, (1 / mean + phi) * shrinkage - 1 / mean))


def _dispersion(counts: Counts, n_free: int, weight_at: float) -> float:
    """Phi at which Pearson's statistic within groups equals its degrees of freedom; rates are weighted at a phi."""
    y, x = counts.y, counts.exposure
    _, code, size = np.unique(counts.group, return_inverse=True, return_counts=True)
    rate = np.bincount(code, y) / np.bincount(code, x)
    weight = 1 / (1 + weight_at * rate[code] * x)
    rate = np.bincount(code, weight * y) / np.bincount(code, weight * x)
    df = float((size - 1)[rate > 0].sum() * ((size - 1).sum() - n_free) / max(1, (size - 1).sum()))
    used = (size[code] > 1) & (rate[code] > 0)
    mu = (rate[code] * x)[used]
    square = (y[used] - mu) ** 2 / mu

    def excess(phi: float) -> float:
        return float((square / (1 + phi * mu)).sum() - df)

    if df <= 0 or excess(0.0) <= 0:
        return 0.0
    most = 1.0
    while excess(most) > 0:
        most *= 10
    return float(brentq(excess, 0.0, most, xtol=1e-14, rtol=1e-10))


def deviates(counts: Counts, phi: float, contrasts: Sequence[tuple[int, int]], plate_variance: Floats) -> Floats:
    """Z of treated groups against vehicles; plate_variance: in log2, by contrast.

    NaN where a gene cannot be judged, or a contrast cannot be estimated (its variance is NaN).
    """
    is_seen = counts.is_widely_seen
    pairs = zip(contrasts, plate_variance, strict=True)
    return np.array([_deviate(counts, phi, *pair, of_plates, is_seen) for pair, of_plates in pairs])


def _deviate(counts: Counts, phi: float, treated: int, vehicle: int, of_plates: float, is_seen: bool) -> float:
    if np.isnan(of_plates):
        return float("nan")
    (y, x), (y0, x0) = counts.of(treated), counts.of(vehicle)
    exposure, rate = x0.sum(), y0.sum() / x0.sum()
    weight = 1 / (1 + phi * rate * x0)
    count = exposure * (weight * y0).sum() / (weight * x0).sum()
    if not (is_seen or count >= VEHICLE_COUNT or (len(y) > 1 and y.all())):
        return float("nan")
    psi = phi * (x0**2).sum() / exposure**2 if count == 0 else 1 / (rate * (weight * x0).sum()) - 1 / count
    psi = max(0.0, psi) + np.log(2) ** 2 * of_plates
    m = x * (count + 0.5) / exposure
    weight = 1 / (1 + phi * m)
    information = (weight * m).sum()
    spread = max(0.0, 1 / information - 1 / m.sum())
    return signed_root(m.sum() * (weight * y).sum() / information, m.sum(), spread, count + 0.5, psi)


def signed_root(Y: float, M: float, phi: float, T: float, psi: float) -> float:
    """r* of a count Y, expected M, of dispersion phi, against a count T of dispersion psi."""
    if Y <= 0:  # half the probability of no count, T's uncertainty added to the dispersion
        spread = phi + (1 + phi) * (1 + psi * T) / T
        return float(ndtri_exp(-np.log(2) - np.log1p(spread * M) / spread))
    r, u = _roots(Y, M, phi, T, psi)
    if abs(r) > NEAR_NULL:
        return r + _correction(r, u)
    aside = min(0.9, 10 * NEAR_NULL * np.sqrt((1 + phi * M) / M + (1 + psi * T) / T))
    return r + sum(_correction(*_roots(M * (1 + way), M, phi, T, psi)) for way in (aside, -aside)) / 2


def _correction(r: float, u: float) -> float:
    return float(np.log(u / r) / r) if u * r > 0 else 0.0


def _roots(Y: float, M: float, phi: float, T: float, psi: float) -> tuple[float, float]:
    """Signed root r of the log likelihood ratio, and u: the step of the canonical parameter in standard errors."""

    def slope(x: float) -> float:  # of the log likelihood over the common rate
        return (Y - M * x) / (1 + phi * M * x) + (T - T * x) / (1 + psi * T * x)

    x = float(brentq(slope, min(1.0, Y / M), max(1.0, Y / M), xtol=1e-15, rtol=1e-14)) if Y != M else 1.0
    m, t = M * x, T * x
    gain = _gain(Y, m, phi) + _gain(T, t, psi)
    r = np.copysign(np.sqrt(2 * max(0.0, gain)), Y - M)
    e, f, g, h = 1 / (1 + phi * m), 1 / (1 + psi * t), 1 / (1 + phi * Y), 1 / (1 + psi * T)
    step = np.log(Y * g / (m * e)) - np.log(T * h / (t * f)) * e / f
    information = m * (1 + phi * Y) * e**2 + t * (1 + psi * T) * f**2
    return float(r), float(2 * np.tanh(step / 2) * f * np.sqrt(Y * T / (g * h * information)))


def _gain(y: float, mu: float, phi: float) -> float:
    """How far the log likelihood of a negative binomial count rises from mean mu to mean y; phi all but 0: Poisson."""
    means = np.array([mu, y])
    if phi < 1e-9:
        return float(np.diff(xlogy(y, means) - means)[0])
    return float(np.diff(xlogy(y, means / (1 + phi * means)) - np.log1p(phi * means) / phi)[0])


def neg_log10_p(z: Floats, df: float) -> Floats:
    """Two-sided p of t on df degrees of freedom, as far as its logarithm can be computed."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(-(np.log(2) + student.logsf(np.abs(z), df)) / np.log(10))
