"""Where the fit of the low-rank model begins: leading axes of what compounds have in common over all datasets."""

from __future__ import annotations

import numpy as np

from pbdb.learn.models.compendium import Floats, Values
from pbdb.learn.models.lowrank_state import SMALLEST_VARIANCE, State, Work
from pbdb.learn.models.threads import each

POWER_STEPS = 2
EXTRA = 8
FIRST_TIGHTNESS = 4.0


def start(work: Work, rank: int, n_cells: int, seed: int) -> State:
    """Begin with compounds by a randomised range finder (Halko et al. 2011) on scaled effects, loadings at zero."""
    noise = _noise(work)
    mean = _leading(work, noise, rank, seed)
    moments = np.stack([_moments(mean[work.compound[work.rows_of(s)]]) for s in range(len(work.values))])
    return State(
        mean=mean,
        prior=np.zeros_like(mean),
        spread=np.zeros_like(mean),
        precision=np.ones(rank),
        shared=np.zeros((rank, work.n_genes)),
        loadings=[np.zeros((rank, len(genes))) for genes in work.genes],
        loading_spread=[np.zeros((rank, rank)) for _ in work.genes],
        noise=noise,
        tightness=np.full(work.n_datasets, FIRST_TIGHTNESS),
        gain=np.ones(n_cells),
        moments=moments,
        data_only=np.zeros_like(mean),
        structure_share=np.zeros(rank),
        coefficients=np.zeros((0, rank)),
    )


def _noise(work: Work) -> Floats:
    """Precision of each gene in each dataset, as if all were noise."""
    squares, rows = (np.zeros((work.n_datasets, work.n_genes)) for _ in range(2))
    for s, genes in enumerate(work.genes):
        squares[work.dataset[s], genes] += work.squares[s]
        rows[work.dataset[s], genes] += len(work.values[s])
    usual = squares.sum(axis=1, keepdims=True) / np.maximum(rows.sum(axis=1, keepdims=True), 1)
    variance = (squares + usual) / (rows + 1)
    return np.asarray(1 / np.maximum(variance, SMALLEST_VARIANCE))


def _moments(u: Floats) -> Floats:
    return np.asarray(u.T @ u)


def _leading(work: Work, noise: Floats, rank: int, seed: int) -> Floats:
    """Compounds x rank: an orthogonal base of the leading axes, mean square 1 over the compounds that have effects."""
    width = rank + EXTRA
    genes = np.random.default_rng(seed).normal(size=(width, work.n_genes))
    base = np.linalg.qr(_of_compounds(work, noise, genes))[0]
    for _ in range(POWER_STEPS):
        base = np.linalg.qr(_of_compounds(work, noise, _of_genes(work, noise, base)))[0]
    turned = _by_size(work, noise, base)[:, :rank]
    if turned.shape[1] < rank:
        turned = np.pad(turned, ((0, 0), (0, rank - turned.shape[1])))
    return np.asarray(turned * np.sqrt(max(int(work.seen.sum()), 1)))


def _by_size(work: Work, noise: Floats, base: Floats) -> Floats:
    genes = _of_genes(work, noise, base)
    _, axes = np.linalg.eigh(genes @ genes.T)
    return np.asarray(base @ axes[:, ::-1])


def _of_compounds(work: Work, noise: Floats, genes: Floats) -> Floats:
    """Scaled effects of each compound, summed over its rows, times genes': compounds x width."""

    def of_block(s: int) -> Values:
        weighted = genes[:, work.genes[s]] * np.sqrt(noise[work.dataset[s], work.genes[s]])
        return np.asarray(work.values[s] @ weighted.T.astype(np.float32))

    rows = np.concatenate(list(each(of_block, range(len(work.values)), work.threads)))
    return np.asarray(work.by_compound(_even(work)) @ rows.astype(np.float64))


def _of_genes(work: Work, noise: Floats, compounds: Floats) -> Floats:
    """The transposed product: width x genes."""
    even, out = _even(work), np.zeros((compounds.shape[1], work.n_genes))
    for s, values in enumerate(work.values):
        rows = work.rows_of(s)
        u = compounds[work.compound[rows]] * even[rows, None]
        scale = np.sqrt(noise[work.dataset[s], work.genes[s]])
        out[:, work.genes[s]] += (u.T.astype(np.float32) @ values) * scale
    return out


def _even(work: Work) -> Floats:
    """Weight of each row: 1 / sqrt(rows of its compound), so that compounds of a thousand rows do not lead alone."""
    return np.asarray(1 / np.sqrt(np.bincount(work.compound, minlength=work.n_compounds)[work.compound]))
