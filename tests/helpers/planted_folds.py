"""Folds of a planted world: held-out compounds, as transfer between datasets or everywhere."""

from __future__ import annotations

import numpy as np

from pbdb.learn.models.compendium import Compendium
from pbdb.learn.models.problem import Problem, divide


def transfer(compendium: Compendium, seed: int, share: float = 0.12) -> list[np.ndarray]:
    """Hold compounds out of a dataset that another dataset has."""
    rng = np.random.default_rng(seed)
    held = {}
    for name in compendium.datasets:
        own = _compounds(compendium, name)
        elsewhere = np.concatenate([_compounds(compendium, other) for other in compendium.datasets if other != name])
        shared = rng.permutation(np.intersect1d(own, elsewhere))
        n = int(share * len(shared))
        held[name] = shared[:n], shared[n : 2 * n]
    return [
        (np.isin(b.compound, held[b.dataset][0]) + 2 * np.isin(b.compound, held[b.dataset][1])).astype(np.int8)
        for b in compendium.blocks
    ]


def everywhere(compendium: Compendium, seed: int, share: float = 0.12) -> list[np.ndarray]:
    """Hold compounds out of all datasets."""
    shares = [1 - 2 * share, share, share]
    fold = np.random.default_rng(seed).choice(3, len(compendium.compounds), p=shares).astype(np.int8)
    return [fold[block.compound] for block in compendium.blocks]


def _compounds(compendium: Compendium, name: str) -> np.ndarray:
    return np.unique(np.concatenate([block.compound for block in compendium.blocks if block.dataset == name]))


def problem(compendium: Compendium, seed: int = 0) -> Problem:
    """The transfer task of a world."""
    return divide(compendium, transfer(compendium, seed))
