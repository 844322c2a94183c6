"""Planted worlds: compendia whose factors, noise and use of structure are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pbdb.learn.models.compendium import Block, Compendium

Floats = np.ndarray


@dataclass(frozen=True)
class World:
    """A compendium and its truth: factors (compounds x K); signal, per block, rows x genes without noise."""

    compendium: Compendium
    factors: Floats
    signal: list[Floats]


@dataclass(frozen=True)
class Plan:
    """A dataset to be made: name, contexts, compounds, share of the genes, share of signal in the variance."""

    name: str
    contexts: int
    compounds: int
    genes: float
    signal: float
    doses: tuple[float, ...] = (10.0,)


PLANS = (
    Plan("array", 4, 260, 0.5, 0.3, (1.0, 10.0)),
    Plan("bulk", 1, 180, 1.0, 0.3, (10.0,)),
    Plan("targeted", 2, 150, 0.3, 0.4),
    Plan("cells", 3, 70, 0.9, 0.4, (5.0,)),
)


def world(
    seed: int,
    plans: Sequence[Plan] = PLANS,
    n_compounds: int = 320,
    n_genes: int = 240,
    rank: int = 6,
    structure: float = 0.6,
    signal: float = 1.0,
    nonlinear: bool = False,
) -> World:
    """Make a world: structure is the share of the factors' variance that families of structures have in common."""
    rng = np.random.default_rng(seed)
    family, fingerprints = _structures(rng, n_compounds)
    common = rng.normal(size=(family.max() + 1, rank))[family]
    factors = np.sqrt(structure) * common + np.sqrt(1 - structure) * rng.normal(size=(n_compounds, rank))
    factors *= rng.lognormal(0, 0.5, (n_compounds, 1))
    shared = rng.normal(size=(rank, n_genes))
    blocks, truth = [], []
    for plan in plans:
        compounds = np.sort(rng.choice(n_compounds, plan.compounds, replace=False))
        genes = np.sort(rng.choice(n_genes, int(plan.genes * n_genes), replace=False))
        for i in range(plan.contexts):
            block, clean = _block(rng, plan, i, compounds, genes, factors, shared, signal, nonlinear)
            blocks.append(block)
            truth.append(clean)
    names = tuple(f"COMPOUND{i:05d}" for i in range(n_compounds))
    gene_names = tuple(f"ENSG{i:011d}" for i in range(n_genes))
    return World(Compendium(tuple(blocks), gene_names, names, fingerprints), factors, truth)


def _structures(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Families of structures that share most of their bits."""
    family = rng.integers(0, max(n // 6, 1), n)
    core = rng.random((family.max() + 1, 2048)) < 0.02
    own = rng.random((n, 2048)) < 0.006
    return family, np.packbits(core[family] | own, axis=1)


def _block(
    rng: np.random.Generator,
    plan: Plan,
    i: int,
    compounds: np.ndarray,
    genes: np.ndarray,
    factors: Floats,
    shared: Floats,
    signal: float,
    nonlinear: bool,
) -> tuple[Block, Floats]:
    compound = np.repeat(compounds, len(plan.doses))
    dose = np.tile(plan.doses, len(compounds))
    loading = shared[:, genes] + 0.5 * rng.normal(size=(len(shared), len(genes)))
    gain = (dose / (dose + 2.0))[:, None]
    clean = gain * (factors[compound] @ loading)
    if nonlinear:
        clean = np.tanh(clean / clean.std()) * clean.std()
    share = plan.signal * signal
    clean = clean / clean.std() * np.sqrt(share)
    noise = rng.lognormal(0, 0.3, len(genes)) * rng.normal(size=clean.shape) * np.sqrt(1 - share)
    batch = rng.normal(0, 0.5, len(genes))
    values = (clean + noise + batch).astype(np.float32)
    n = len(compound)
    block = Block(plan.name, f"{plan.name}_{i}", genes, compound, dose, np.full(n, 24.0), values)
    return block, clean
