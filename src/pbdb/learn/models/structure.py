"""Fingerprints as features in which a linear model is a kernel model on the Tanimoto similarity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pbdb.learn.models.compendium import Bits, Floats, Ints, Values

MOST_LANDMARKS = 1024
ROWS_AT_ONCE = 4096
SMALLEST_SHARE = 1e-6


@dataclass(frozen=True)
class StructureMap:
    """Maps fingerprints to features whose products are Tanimoto similarities (Nystroem, Williams and Seeger 2001).

    Exact while the landmarks are all the structures it was made from; else the best approximation they allow.
    """

    landmarks: Bits
    projection: Floats

    def features(self, fingerprints: Bits) -> Values:
        """Features of packed fingerprints: rows x features; zeros for an empty fingerprint."""
        parts = [
            tanimoto(fingerprints[start : start + ROWS_AT_ONCE], self.landmarks) @ self.projection.astype(np.float32)
            for start in range(0, len(fingerprints), ROWS_AT_ONCE)
        ]
        return np.vstack(parts) if parts else np.empty((0, self.projection.shape[1]), np.float32)


def structure_map(fingerprints: Bits, seed: int = 0, most: int = MOST_LANDMARKS) -> StructureMap:
    """Choose landmarks among the different structures at random, and the map they give."""
    different = np.unique(fingerprints[fingerprints.any(axis=1)], axis=0)
    if len(different) > most:
        different = different[np.sort(np.random.default_rng(seed).choice(len(different), most, replace=False))]
    if not len(different):
        return StructureMap(different, np.empty((0, 0)))
    size, axes = np.linalg.eigh(tanimoto(different, different).astype(np.float64))
    kept = size > SMALLEST_SHARE * size[-1]
    return StructureMap(different, axes[:, kept] / np.sqrt(size[kept]))


def tanimoto(a: Bits, b: Bits) -> Values:
    """Tanimoto similarity of every row of a with every row of b, packed bits; 0 where either is empty."""
    x, y = (np.unpackbits(side, axis=1).astype(np.float32) for side in (a, b))
    common = x @ y.T
    either = x.sum(axis=1)[:, None] + y.sum(axis=1)[None] - common
    return np.asarray(np.divide(common, either, out=np.zeros_like(common), where=either > 0))


def nearest(query: Bits, known: Bits, k: int) -> tuple[Ints, Values]:
    """Positions and Tanimoto similarities of the k structures of `known` nearest to each query: queries x k."""
    k = min(k, len(known))
    similarity = tanimoto(query, known)
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return order.astype(np.int64), np.take_along_axis(similarity, order, axis=1)
