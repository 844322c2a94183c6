"""How well effects are predicted: scores of each condition (a row), undefined as NaN.

Scores are of rows because compounds, not values, are what a result must generalise to: means and intervals follow from
them by resampling compounds.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from pbdb.learn.models.compendium import Floats, Mask, Values


def gained(truth: Values, prediction: Values) -> Floats:
    """By how much each row's sum of squares falls: around zero, less around the prediction.

    truth and prediction are differences from the mean of the context, rows x genes.
    """
    return np.asarray(_squares(truth) - _squares(truth - prediction))


def squares(truth: Values) -> Floats:
    """Sum of squares of each row: what there is to explain."""
    return _squares(truth)


def correlation(truth: Values, prediction: Values) -> Floats:
    """Pearson correlation of each row; NaN where either is constant."""
    x, y = (_centred(side) for side in (truth, prediction))
    return _ratio((x * y).sum(axis=1), np.sqrt(_squares(x) * _squares(y)))


def spearman(truth: Values, prediction: Values) -> Floats:
    """Spearman correlation of each row, average ranks; NaN where either is constant."""
    return correlation(*(rankdata(side, axis=1) for side in (truth, prediction)))


def cosine(truth: Values, prediction: Values) -> Floats:
    """Cosine of each row; NaN where either is zero."""
    x, y = (side.astype(np.float64) for side in (truth, prediction))
    return _ratio((x * y).sum(axis=1), np.sqrt(_squares(x) * _squares(y)))


def rmse(truth: Values, prediction: Values) -> Floats:
    """Root mean squared error of each row; its mean is OP3's MRRMSE."""
    return np.asarray(np.sqrt(_squares(truth - prediction) / truth.shape[1]))


def mae(truth: Values, prediction: Values) -> Floats:
    """Mean absolute error of each row."""
    return np.asarray(np.abs(truth - prediction).mean(axis=1, dtype=np.float64))


def direction(truth: Values, prediction: Values, significant: Mask) -> Floats:
    """Share of each row's significant genes predicted in their direction; a prediction of zero counts half."""
    agreed = np.where(prediction == 0, 0.5, np.sign(truth) == np.sign(prediction))
    return _ratio((agreed * significant).sum(axis=1).astype(float), significant.sum(axis=1).astype(float))


def op3_scores(truth: Values, prediction: Values) -> dict[str, float]:
    """The five metrics of OP3: missing predictions count as 0, rows without a correlation too."""
    filled = np.nan_to_num(prediction, nan=0.0, posinf=0.0, neginf=0.0)
    rows = {
        "mrrmse": rmse(truth, filled),
        "mae": mae(truth, filled),
        "pearson": correlation(truth, filled),
        "spearman": spearman(truth, filled),
        "cosine": cosine(truth, filled),
    }
    return {name: float(np.nan_to_num(score).mean()) for name, score in rows.items()}


def _squares(values: Values | Floats) -> Floats:
    return np.asarray(np.einsum("ij,ij->i", values, values, dtype=np.float64))


def _centred(values: Values) -> Floats:
    wide = values.astype(np.float64)
    return np.asarray(wide - wide.mean(axis=1, keepdims=True))


def _ratio(above: Floats, below: Floats) -> Floats:
    # Rounding leaves a constant row with a spread of about 1e-16 of its level: no correlation is told of it.
    return np.asarray(np.divide(above, below, out=np.full(len(above), np.nan), where=below > 1e-12))
