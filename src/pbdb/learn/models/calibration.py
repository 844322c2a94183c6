"""What validation rows teach: how far to trust a prediction (slope) and its standard deviation (scale), by dataset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from pbdb.learn.models.compendium import Floats, Ints, Rows, Values

LARGEST_SLOPE = 1.5
FEWEST_COMPOUNDS = 5
CONFIDENCE = 0.99


def slopes(rows: Sequence[Rows], truth: Sequence[Values], prediction: Sequence[Values]) -> dict[str, float]:
    """Slope in [0, 1.5] of each dataset's validation rows on their predictions, so that a useless model predicts 0.

    The least-squares slope is 0 unless it lies above 0 with 99 % confidence (compounds as clusters), and then shrunk by
    its error: times 1 - 1 / t^2, as James and Stein do. A dataset with fewer than five compounds takes the slope of all
    datasets together.
    """
    parts = [_products(*part) for part in zip(rows, truth, prediction, strict=True)]
    dataset = np.concatenate([[block.dataset] * len(block) for block in rows]) if rows else np.array([])
    cross, square, compound = (np.concatenate(column) for column in zip(*parts, strict=True))
    together = _slope(cross, square, compound)
    out = {}
    for name in sorted({block.dataset for block in rows}):
        here = dataset == name
        enough = len(np.unique(compound[here])) >= FEWEST_COMPOUNDS
        out[name] = _slope(cross[here], square[here], compound[here]) if enough else together
    return out


def _products(rows: Rows, truth: Values, prediction: Values) -> tuple[Floats, Floats, Ints]:
    cross = np.einsum("ij,ij->i", truth, prediction, dtype=np.float64)
    square = np.einsum("ij,ij->i", prediction, prediction, dtype=np.float64)
    return cross, square, rows.compound


def _slope(cross: Floats, square: Floats, compound: Ints) -> float:
    size = square.sum()
    _, cluster = np.unique(compound, return_inverse=True)
    n = cluster.max() + 1 if len(cluster) else 0
    if n < 2 or size <= 0:
        return 0.0
    slope = cross.sum() / size
    scores = np.bincount(cluster, weights=cross - slope * square)
    error = (scores**2).sum() * n / (n - 1) / size**2
    shrunk = slope * (1 - error / slope**2) if slope > stdtrit(n - 1, CONFIDENCE) * np.sqrt(error) else 0.0
    return float(np.clip(shrunk, 0, LARGEST_SLOPE))


def scaled(rows: Sequence[Rows], prediction: Sequence[Values], slope: dict[str, float]) -> list[Values]:
    """Multiply each block's predictions by its dataset's slope (0 where there is none)."""
    pairs = zip(rows, prediction, strict=True)
    return [values * np.float32(slope.get(block.dataset, 0.0)) for block, values in pairs]


def spread_scales(rows: Sequence[Rows], error: Sequence[Values], sd: Sequence[Values]) -> dict[str, float]:
    """Factor on each dataset's standard deviations that makes the mean squared z of its validation rows 1."""
    out = {}
    for name in sorted({block.dataset for block in rows}):
        pairs = [(e, s) for block, e, s in zip(rows, error, sd, strict=True) if block.dataset == name and len(block)]
        squares = [((e / s) ** 2).mean(axis=1, dtype=np.float64) for e, s in pairs]
        out[name] = float(np.sqrt(np.concatenate(squares).mean())) if squares else 1.0
    return out
