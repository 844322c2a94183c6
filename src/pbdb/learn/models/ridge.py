"""Weighted ridge regression of many responses, its penalty chosen by leave-one-out in closed form, or by folds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pbdb.learn.models.compendium import Floats, Ints

# In units of the mean eigenvalue of the features; infinity is the model that uses none of them.
PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0, np.inf)


@dataclass(frozen=True)
class Ridge:
    """A fitted ridge: coefficients (features x responses), and for each training row its prediction without itself.

    r_squared: share of each response's weighted sum of squares (around zero) that leave-one-out predicts, 0 where
    the features do not help.
    """

    coefficients: Floats
    left_out: Floats
    r_squared: Floats


def fit(
    features: Floats,
    responses: Floats,
    weights: Floats | None = None,
    *,
    together: bool = False,
    folds: int | None = None,
) -> Ridge:
    """Regress responses (rows x responses, centred) on features (rows x features), without intercept.

    weights: of the rows. Each response has a penalty of its own, or all have one if `together`. folds: choose it by so
    many random parts of the rows, each predicted by the others, instead of leaving out one row at a time.
    """
    root = np.sqrt(np.ones(len(features)) if weights is None else weights)[:, None]
    x, y = features * root, responses * root
    axes, size, scores = _principal(x)
    projected = scores.T @ y
    penalties = _candidates(size, len(features))
    if folds is None:
        errors = np.stack([((_without_itself(scores, size, projected, y, p) - y) ** 2).sum(axis=0) for p in penalties])
    else:
        errors = _by_folds(x, y, penalties, folds)
    chosen = _choose(errors, together)
    coefficients, left_out = np.zeros((x.shape[1], y.shape[1])), np.zeros_like(y)
    for i in np.unique(chosen):
        columns = np.flatnonzero(chosen == i)
        coefficients[:, columns] = axes @ (projected[:, columns] / (size + penalties[i])[:, None])
        left_out[:, columns] = _without_itself(scores, size, projected[:, columns], y[:, columns], penalties[i])
    total = np.maximum((y**2).sum(axis=0), np.finfo(float).tiny)
    best = np.take_along_axis(errors, chosen[None], axis=0)[0]
    return Ridge(coefficients, left_out / np.maximum(root, 1e-12), np.clip(1 - best / total, 0, 1))


def _principal(x: Floats) -> tuple[Floats, Floats, Floats]:
    """Axes (features x m), squared singular values (m) and scores x @ axes, by the smaller of the two products."""
    if x.shape[1] <= x.shape[0]:
        size, axes = np.linalg.eigh(x.T @ x)
        kept = size > 1e-9 * max(size[-1] if len(size) else 0.0, 1e-300)
        return axes[:, kept], size[kept], x @ axes[:, kept]
    size, left = np.linalg.eigh(x @ x.T)
    kept = size > 1e-9 * max(size[-1] if len(size) else 0.0, 1e-300)
    scores = left[:, kept] * np.sqrt(size[kept])
    return x.T @ (left[:, kept] / np.sqrt(size[kept])), size[kept], scores


def _candidates(size: Floats, n_rows: int) -> Floats:
    unit = size.sum() / max(n_rows, 1)
    return np.array([p * unit if np.isfinite(p) else np.inf for p in PENALTIES])


def _without_itself(scores: Floats, size: Floats, projected: Floats, y: Floats, penalty: float) -> Floats:
    """Prediction of each row by the fit to all others: y - (y - fit) / (1 - leverage)."""
    if not np.isfinite(penalty):
        return np.zeros_like(y)
    shrunk = 1 / (size + penalty)
    leverage = (scores**2) @ shrunk
    fitted = scores @ (projected * shrunk[:, None])
    return np.asarray(y - (y - fitted) / np.maximum(1 - leverage, 1e-9)[:, None])


def _by_folds(x: Floats, y: Floats, penalties: Floats, folds: int) -> Floats:
    """Squared errors of each penalty and response where each part of the rows is predicted by the other parts."""
    part = np.random.default_rng(0).permutation(len(x)) % folds
    errors = np.zeros((len(penalties), y.shape[1]))
    for held in (part == fold for fold in range(folds)):
        axes, size, scores = _principal(x[~held])
        projected, asked = scores.T @ y[~held], x[held] @ axes
        for i, penalty in enumerate(penalties):
            guess = asked @ (projected / (size + penalty)[:, None]) if np.isfinite(penalty) else 0.0
            errors[i] += ((y[held] - guess) ** 2).sum(axis=0)
    return errors


def _choose(errors: Floats, together: bool) -> Ints:
    """Position of the best penalty of each response; of equal ones the larger."""
    if together:
        return np.full(errors.shape[1], len(errors) - 1 - np.argmin(errors.sum(axis=1)[::-1]))
    return np.asarray(len(errors) - 1 - np.argmin(errors[::-1], axis=0))
