"""What a cosine between two compounds is worth: its rank among random pairs that are known as well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pbdb.learn.models.compendium import Floats, Ints

# The lower reliability of a pair decides its class; below the first edge a compound is hidden unless asked for.
EDGES = (0.3, 0.5, 0.7, 0.9)
LEVELS = (*(i / 100 for i in range(100)), 0.995, 0.999, 0.9995, 0.9999)
PAIRS = 100_000
FEWEST_COMPOUNDS = 10


@dataclass(frozen=True)
class Calibration:
    """Quantiles of the cosines of random pairs: for each class of reliability (5, from low to high) at LEVELS.

    A class with fewer than ten compounds has the quantiles of all.
    """

    quantiles: Floats

    def percentile(self, cosine: Floats, reliability: Floats) -> Floats:
        """Share of random pairs of the same class with a lower cosine; reliability: the lower one of each pair."""
        levels = np.array(LEVELS)
        row = np.searchsorted(EDGES, reliability, side="right")
        below = np.array(
            [np.searchsorted(self.quantiles[r], c, side="right") for r, c in zip(row, cosine, strict=True)]
        )
        return np.where(below > 0, levels[np.maximum(below - 1, 0)], 0.0)


def calibrate(vectors: Floats, reliability: Floats, seed: int = 0) -> Calibration:
    """Draw random pairs of compounds of each class of reliability, both at least as well known as the class says."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    usable = np.flatnonzero(np.any(vectors != 0, axis=1))
    of_all = _quantiles(unit, usable, np.random.default_rng([seed, len(EDGES) + 1]))
    lower, rows = np.concatenate([[-np.inf], EDGES]), []
    for i, edge in enumerate(lower):
        upper = EDGES[i] if i < len(EDGES) else np.inf
        members = usable[(reliability[usable] >= edge) & (reliability[usable] < upper)]
        enough = len(members) >= FEWEST_COMPOUNDS
        rows.append(_quantiles(unit, members, np.random.default_rng([seed, i])) if enough else of_all)
    return Calibration(np.stack(rows))


def _quantiles(unit: Floats, members: Ints, rng: np.random.Generator) -> Floats:
    if len(members) < 2:
        return np.zeros(len(LEVELS))
    first = rng.integers(0, len(members), PAIRS)
    second = (first + rng.integers(1, len(members), PAIRS)) % len(members)
    cosines = np.einsum("ij,ij->i", unit[members[first]], unit[members[second]])
    return np.asarray(np.quantile(cosines, LEVELS))
