"""How surprising is one count beside another: the modified signed likelihood root r* of two negative binomial counts.

Y has mean rate x M and dispersion phi, T mean rate x T and dispersion psi (variance mu + dispersion mu^2); z judges
log rate ratio = 0. r is the signed root of the log likelihood ratio, and r* = r + log(u / r) / r follows the normal
law to third order (Barndorff-Nielsen 1986, Biometrika 73:307; u after Fraser & Reid 1995). Counts lie on a lattice:
2 tanh(d / 2) in place of the step d of the canonical parameter gives mid-p values (compare Daniels 1987).
"""

from __future__ import annotations

import math

from numba import njit

_LOG_HALF = math.log(0.5)
_ROOT_TWO = math.sqrt(2.0)
_LOG_ROOT_TWO_PI = 0.5 * math.log(2.0 * math.pi)
# Below this dispersion the terms in 1 / phi lose their digits; the Poisson limit is exact to 1e-9 there.
_POISSON = 1e-9
# Below this |r|, log(u / r) / r is a difference of nearly equal numbers; its limit is used.
_NEAR_NULL = 0.05
# erfc keeps all its digits to about here; beyond it the asymptotic series is exact to 1e-13.
_FAR = 25.0


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def half_deviance(y: float, mu: float, phi: float) -> float:
    """Return half the negative binomial deviance of a count y from its mean mu."""
    if y <= 0.0:
        return float(math.log1p(phi * mu) / phi if phi > _POISSON else mu)
    d = y - mu
    far = y * math.log1p(d / mu)
    if phi <= _POISSON:
        return far - d
    return float(far - (y + 1.0 / phi) * math.log1p(phi * d / (1.0 + phi * mu)))


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def score(Y: float, M: float, phi: float, T: float, psi: float) -> float:
    """Return the standard normal deviate of a count Y, expected M, against a count T > 0; positive when Y is larger.

    phi and psi are their dispersions; M is what T leads to expect, so both have one rate under the null.
    """
    if Y <= 0.0:
        # No root on one side: P(Y = 0), halved for the mid-p, with the uncertainty of T added to the dispersion.
        spread = phi + (1.0 + phi) * (1.0 + psi * T) / T
        return float(_quantile_of_log(_LOG_HALF - half_deviance(0.0, M, spread)))
    rate: float = _common_rate(Y, M, phi, T, psi)
    m, t = M * rate, T * rate
    r = math.copysign(math.sqrt(2.0 * max(0.0, half_deviance(Y, m, phi) + half_deviance(T, t, psi))), Y - M)
    if abs(r) < _NEAR_NULL:
        return float(r + _skewness_at_null(M, phi, T, psi))
    e, f = 1.0 / (1.0 + phi * m), 1.0 / (1.0 + psi * t)
    g, h = 1.0 / (1.0 + phi * Y), 1.0 / (1.0 + psi * T)
    # The canonical parameter of a count is log(mu / (1 + phi mu)); its step from the null to the estimate:
    step = math.log(Y * g / (m * e)) - math.log(T * h / (t * f)) * e / f
    information = m * (1.0 + phi * Y) * e * e + t * (1.0 + psi * T) * f * f
    u = 2.0 * math.tanh(0.5 * step) * f * math.sqrt(Y * T / (g * h * information))
    return float(r + math.log(u / r) / r if u * r > 0.0 else r)


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _common_rate(Y: float, M: float, phi: float, T: float, psi: float) -> float:
    """Return the rate both counts share under the null: the positive root of the score equation, a x^2 + b x - c."""
    a = M * T * (phi + psi)
    b = M + T - T * (Y * psi + M * phi)
    c = Y + T
    root = math.sqrt(b * b + 4.0 * a * c)
    # Two forms of one root, each without cancellation for its sign of b.
    return float(2.0 * c / (b + root) if b > 0.0 else (root - b) / (2.0 * a))


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _skewness_at_null(M: float, phi: float, T: float, psi: float) -> float:
    """Return the limit of log(u / r) / r at r = 0: a sixth of the skewness of the difference of log counts."""
    s, v = (1.0 + phi * M) / M, (1.0 + psi * T) / T
    return float((s * (1.0 + 2.0 * phi * M) / M - v * (1.0 + 2.0 * psi * T) / T) / (6.0 * (s + v) ** 1.5))


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _quantile_of_log(log_p: float) -> float:
    """Return z with log Phi(z) = log_p, for log_p up to log 1/2 (so z <= 0).

    Newton's method on log Phi(-x), which is concave: from a start beyond the root it comes back monotonically, and
    Phi(-x) <= exp(-x^2 / 2) / 2 gives such a start.
    """
    if log_p >= _LOG_HALF:
        return 0.0
    x = math.sqrt(2.0 * (_LOG_HALF - log_p))
    for _ in range(20):
        tail = _log_tail(x)
        step = (tail - log_p) * math.exp(tail + 0.5 * x * x + _LOG_ROOT_TWO_PI)
        x += step
        if abs(step) < 1e-10 * x:
            break
    return -x


@njit(cache=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _log_tail(x: float) -> float:
    """Return log Phi(-x) for x >= 0 (DLMF 7.12.1 far out)."""
    if x < _FAR:
        return math.log(0.5 * math.erfc(x / _ROOT_TWO))
    q = 1.0 / (x * x)
    return -0.5 * x * x - math.log(x) - _LOG_ROOT_TWO_PI + math.log1p(-q * (1.0 - 3.0 * q * (1.0 - 5.0 * q)))
