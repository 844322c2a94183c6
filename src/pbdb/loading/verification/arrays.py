"""The arrays of effects against themselves: adjusted p values, counts, and the two orientations. Pure NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pbdb.loading.verification.tables import BY_GENE, Floats32

ALPHA = 0.05
# Stored values are single precision, and logarithms: a relative error of 1e-4 in p is 4e-5 here.
TOLERANCE = 1e-4

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]


def adjusted(neg_log10_p: npt.NDArray[Any]) -> Floats:
    """Benjamini & Hochberg 1995 within each row (effects x genes), on the scale of -log10; NaN does not count.

    p_(i) adjusted = min over j >= i of p_(j) n / j, of p ascending; at most 1.
    """
    p = np.where(np.isnan(neg_log10_p), -np.inf, neg_log10_p.astype(np.float64))
    order = np.argsort(-p, axis=1, kind="stable")
    n_tests = np.isfinite(neg_log10_p).sum(axis=1, keepdims=True) + np.isposinf(neg_log10_p).sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.take_along_axis(p, order, axis=1) - np.log10(n_tests / np.arange(1, p.shape[1] + 1))
    steps = np.maximum.accumulate(steps[:, ::-1], axis=1)[:, ::-1]
    result = np.empty_like(p)
    np.put_along_axis(result, order, np.maximum(steps, 0.0), axis=1)
    return np.where(np.isnan(neg_log10_p), np.nan, result)


def unlike(stored: npt.NDArray[Any], expected: npt.NDArray[Any], tolerance: float = TOLERANCE) -> Mask:
    """Where two arrays differ: by more than the tolerance, or in what is missing."""
    with np.errstate(invalid="ignore"):
        apart = np.abs(stored - expected) > tolerance * (1 + np.abs(expected))
    return np.asarray((apart & (stored != expected)) | (np.isnan(stored) != np.isnan(expected)))


def responding(values: npt.NDArray[Any], log2_fc: npt.NDArray[Any], least: float | None) -> dict[str, tuple[Any, Any]]:
    """How many genes of each row reach `least` and rise, or fall: the fewest and the most, as values are rounded."""
    slack = 0.0 if least is None else TOLERANCE * (1 + least)
    limits = (np.inf, np.inf) if least is None else (least + slack, least - slack)
    rising, falling = log2_fc > 0, ~(log2_fc > 0)
    with np.errstate(invalid="ignore"):
        sure, perhaps = (values >= limit for limit in limits)
    return {
        name: ((sure & side).sum(axis=1), (perhaps & side).sum(axis=1))
        for name, side in (("up", rising), ("down", falling))
    }


class Orientation:
    """Sums over the bits of all values of a fit, by effect and by gene: equal sums, equal values in equal places.

    The sum of an effect is sum over genes g of h(g) bits(value), modulo 2^64, with h a number hashed from the gene;
    that of a gene likewise over effects. Both orientations give the same sums whatever the order of their blocks, so
    that neither has to be held in memory; two unlike matrices give equal ones with probability 2^-64.
    """

    def __init__(self, effects: npt.ArrayLike, genes: npt.ArrayLike) -> None:
        self._of_effect, self._of_gene = _hashed(effects), _hashed(genes)
        self.by_effect = {name: np.zeros(len(self._of_effect), np.uint64) for name in BY_GENE}
        self.by_gene = {name: np.zeros(len(self._of_gene), np.uint64) for name in BY_GENE}

    def add_effects(self, rows: slice, block: Mapping[str, Floats32]) -> None:
        """Add arrays of some effects: effects x genes."""
        self._add(rows, slice(None), block)

    def add_genes(self, rows: slice, block: Mapping[str, Floats32]) -> None:
        """Add arrays of some genes: genes x effects."""
        self._add(slice(None), rows, {name: values.T for name, values in block.items()})

    def _add(self, effects: slice, genes: slice, block: Mapping[str, Floats32]) -> None:
        for name in BY_GENE:
            bits = _bits(block[name])
            self.by_effect[name][effects] += (bits * self._of_gene[None, genes]).sum(axis=1, dtype=np.uint64)
            self.by_gene[name][genes] += (bits * self._of_effect[effects, None]).sum(axis=0, dtype=np.uint64)


def _bits(values: Floats32) -> Hashes:
    """The bits of single precision, one number for every NaN; never 0, so that a place without a value tells."""
    plain = np.where(np.isnan(values), np.float32(np.nan), values).astype(np.float32)
    return np.ascontiguousarray(plain).view(np.uint32).astype(np.uint64) + np.uint64(1)


def _hashed(keys: npt.ArrayLike) -> Hashes:
    """Numbers from ids, every bit of each depending on all bits of the id (splitmix64; Steele et al. 2014), odd."""
    z = np.asarray(keys, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((z ^ (z >> np.uint64(31))) | np.uint64(1))
