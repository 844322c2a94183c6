"""The updates of the low-rank model: variational EM, each in closed form (Bishop 1999; Lim and Teh 2007).

    effect(i, g) = gain(i) u_c . W_s(:, g) + noise,   W_s(:, g) ~ N(V(:, g), 1 / tightness),   V ~ N(0, 1)
    u_c ~ N(m(structure of c), 1 / precision)

Covariances of u and of W go into every update: without them alternating least squares fits the noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pbdb.learn.models.compendium import Floats, Ints
from pbdb.learn.models.lowrank_state import SMALLEST_VARIANCE, State, Work

NUMBERS_AT_ONCE = 4_000_000
PRIOR_ROWS_OF_NOISE = 10.0
PRIOR_WEIGHT_OF_GAIN = 4.0
GAIN_RANGE = (0.05, 5.0)
MOST_TIGHT = 1e4


def project(work: Work, state: State) -> Floats:
    """What each row says of its compound: R L W', rows x K, with L the noise precisions."""
    out = np.empty((len(work.compound), state.rank))
    for s, values in enumerate(work.values):
        weighted = state.loadings[s] * state.noise[work.dataset[s], work.genes[s]]
        out[work.rows_of(s)] = values @ weighted.T.astype(np.float32)
    return out


def compounds(work: Work, state: State, projected: Floats) -> Floats:
    """Update the posteriors of the compounds; return energy (compounds x blocks): E[u' gram u], for the gains."""
    gain = state.gain[work.cell]
    pairs, told = work.pairs(gain**2), work.by_compound(gain) @ projected
    grams = state.grams(work).reshape(len(work.values), -1)
    state.moments = np.zeros_like(grams)
    energy = np.empty((work.n_compounds, len(work.values)))
    for part in parts(work.n_compounds, state.rank**2):
        second = _posterior(state, part, (pairs[part] @ grams), told[part])
        state.moments += pairs[part].T @ second
        energy[part] = second @ grams.T
    state.moments = state.moments.reshape(-1, state.rank, state.rank)
    return energy


def _posterior(state: State, part: slice, information: Floats, told: Floats) -> Floats:
    """Means and variances of some compounds; return E[u u'], compounds x K^2."""
    k = state.rank
    precision = information.reshape(-1, k, k) + np.diag(state.precision)
    covariance = np.linalg.inv(precision)
    mean = np.einsum("cij,cj->ci", covariance, told + state.precision * state.prior[part])
    state.mean[part] = mean
    state.data_only[part] = np.einsum("cij,cj->ci", covariance, told)
    state.spread[part] = np.einsum("cii->ci", covariance)
    return np.asarray((covariance + mean[:, :, None] * mean[:, None, :]).reshape(-1, k * k))


def parts(n: int, size: int) -> Iterator[slice]:
    """Cut n items into parts whose matrices of `size` numbers each fit in a little memory."""
    step = max(1, NUMBERS_AT_ONCE // size)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def gains(work: Work, state: State, projected: Floats, energy: Floats) -> None:
    """Update the gain of each (dataset, dose, time), shrunk to 1."""
    agreement = np.einsum("ik,ik->i", state.mean[work.compound], projected)
    size = energy[work.compound, work.block]
    n = len(state.gain)
    above = np.bincount(work.cell, weights=agreement, minlength=n) + PRIOR_WEIGHT_OF_GAIN
    below = np.bincount(work.cell, weights=size, minlength=n) + PRIOR_WEIGHT_OF_GAIN
    state.gain = np.clip(above / below, *GAIN_RANGE)


def precisions(work: Work, state: State) -> None:
    """Update how far the compounds lie from their prior, factor by factor: needless factors shrink away."""
    seen = work.seen
    around = (state.mean[seen] - state.prior[seen]) ** 2 + state.spread[seen]
    state.precision = 1 / np.maximum(around.mean(axis=0), SMALLEST_VARIANCE)


# --- loadings ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Block:
    """One block's regression of effects on compounds, in the axes in which its moments are diagonal.

    size: K; axes: K x K; told: K x genes, U'R; noise: genes, precisions; tight: precision around the shared loadings.
    """

    size: Floats
    axes: Floats
    told: Floats
    noise: Floats
    tight: float

    @property
    def known(self) -> Floats:
        """Precision from the data: K x genes."""
        return np.asarray(self.size[:, None] * self.noise)


@dataclass(frozen=True)
class _Spread:
    """Posterior covariance of the shared loadings: its mean over genes (K x K), and each gene's size against it."""

    mean: Floats
    size: Floats

    def along(self, axes: Floats, genes: Ints) -> Floats:
        """Variances along axes: K x genes."""
        return np.asarray(np.einsum("ki,kl,li->i", axes, self.mean, axes)[:, None] * self.size[genes])


def loadings(work: Work, state: State) -> Floats:
    """Update shared loadings, each block's own, the noise, and how tight the own ones lie around the shared.

    Returns the mean covariance of the shared loadings, K x K.
    """
    blocks = [_block(work, state, s) for s in range(len(work.values))]
    shared = _shared(work, state, blocks)
    residual, residual_rows = np.zeros_like(state.noise), np.zeros_like(state.noise)
    apart, n_apart = np.zeros(work.n_datasets), np.zeros(work.n_datasets)
    for s, block in enumerate(blocks):
        d, genes = work.dataset[s], work.genes[s]
        variance = shared.along(block.axes, genes)
        spread = _own(state, s, block, state.shared[:, genes], variance)
        residual[d, genes] += _residual(state.loadings[s], block, spread, work.squares[s])
        residual_rows[d, genes] += len(work.values[s])
        apart[d] += _apart(state.loadings[s], block, state.shared[:, genes], variance)
        n_apart[d] += state.loadings[s].size
    state.noise = _noise(residual, residual_rows)
    state.tightness = np.minimum((n_apart + 1) / (apart + 1), MOST_TIGHT)
    return shared.mean


def _block(work: Work, state: State, s: int) -> _Block:
    rows, d = work.rows_of(s), work.dataset[s]
    u = state.mean[work.compound[rows]] * state.gain[work.cell[rows]][:, None]
    told = (u.T.astype(np.float32) @ work.values[s]).astype(np.float64)
    size, axes = np.linalg.eigh(state.moments[s])
    return _Block(np.maximum(size, 0), axes, told, state.noise[d, work.genes[s]], float(state.tightness[d]))


def _shared(work: Work, state: State, blocks: list[_Block]) -> _Spread:
    """Update the shared loadings with the blocks' own integrated out."""
    k = state.rank
    where = np.full((len(blocks), work.n_genes), -1)
    for s, genes in enumerate(work.genes):
        where[s, genes] = np.arange(len(genes))
    trace, total = np.empty(work.n_genes), np.zeros((k, k))
    for part in parts(work.n_genes, k * k):
        precision = np.tile(np.eye(k), (part.stop - part.start, 1, 1))
        told = np.zeros((part.stop - part.start, k))
        for block, columns in zip(blocks, where[:, part], strict=True):
            _add(block, columns, precision, told)
        covariance = np.linalg.inv(precision)
        state.shared[:, part] = np.einsum("gij,gj->ig", covariance, told)
        trace[part] = np.einsum("gii->g", covariance)
        total += covariance.sum(axis=0)
    return _Spread(total / work.n_genes, trace / trace.mean())


def _add(block: _Block, columns: Floats, precision: Floats, told: Floats) -> None:
    """Add what a block says of the shared loadings of some genes; columns: their place in the block, or -1."""
    here = np.flatnonzero(columns >= 0)
    if not len(here) or not block.size[-1]:
        return
    own = columns[here]
    known = block.known[:, own]
    share = block.tight / (known + block.tight)
    weighted = block.axes[None] * (known * share).T[:, None, :]
    precision[here] += (weighted.reshape(-1, len(block.axes)) @ block.axes.T).reshape(weighted.shape)
    told[here] += (block.axes @ (share * block.noise[own] * (block.axes.T @ block.told[:, own]))).T


def _own(state: State, s: int, block: _Block, shared: Floats, variance: Floats) -> Floats:
    """Update a block's loadings; return their variances in its axes, K x genes."""
    shrunk = 1 / (block.known + block.tight)
    told = block.axes.T @ (block.told * block.noise + block.tight * shared)
    state.loadings[s] = block.axes @ (shrunk * told)
    spread = shrunk + variance * (block.tight * shrunk) ** 2
    state.loading_spread[s] = (block.axes * (spread @ block.noise)) @ block.axes.T
    return np.asarray(spread)


def _residual(loading: Floats, block: _Block, spread: Floats, squares: Floats) -> Floats:
    """Expected residual sum of squares of each gene, from U'R and U'U alone."""
    turned = block.axes.T @ loading
    explained = 2 * np.einsum("kg,kg->g", loading, block.told) - block.size @ (turned**2)
    return np.asarray(np.maximum(squares - explained + block.size @ spread, 0))


def _apart(loading: Floats, block: _Block, shared: Floats, variance: Floats) -> float:
    """Expected sum of squares of a block's loadings around the shared ones."""
    shrunk = 1 / (block.known + block.tight)
    spread = shrunk + variance * (block.known * shrunk) ** 2
    return float(((loading - shared) ** 2).sum() + spread.sum())


def _noise(residual: Floats, rows: Floats) -> Floats:
    """Precisions of datasets x genes; each variance with ten rows of its dataset's mean."""
    usual = residual.sum(axis=1, keepdims=True) / np.maximum(rows.sum(axis=1, keepdims=True), 1)
    variance = (residual + PRIOR_ROWS_OF_NOISE * usual) / (rows + PRIOR_ROWS_OF_NOISE)
    return np.asarray(1 / np.maximum(variance, SMALLEST_VARIANCE))


def turn(state: State, spread: Floats) -> Floats:
    """Turn the factors so that shared loadings are uncorrelated with mean square 1 and factors go by variance.

    The fit is the same; updates of single precisions then act on factors that mean something, and two runs agree.
    spread: K x K, covariance of a shared loading, counted in its mean square. Returns the change of base: old u @ it
    is new u.
    """
    square = state.shared @ state.shared.T / state.shared.shape[1]
    root = np.linalg.cholesky(square + spread + SMALLEST_VARIANCE * np.eye(state.rank))
    second = (state.mean.T @ state.mean + np.diag(state.spread.sum(axis=0))) / len(state.mean)
    _, axes = np.linalg.eigh(root.T @ second @ root)
    into = root @ axes[:, ::-1]
    back = np.linalg.inv(into)
    sign = np.sign(np.take_along_axis(back @ state.shared, _largest(back @ state.shared), axis=1))[:, 0]
    into, back = into * sign, back * sign[:, None]
    state.mean, state.prior, state.data_only = state.mean @ into, state.prior @ into, state.data_only @ into
    state.spread = state.spread @ into**2
    state.shared = back @ state.shared
    state.loadings = [back @ loading for loading in state.loadings]
    state.loading_spread = [back @ spread @ back.T for spread in state.loading_spread]
    return np.asarray(into)


def _largest(values: Floats) -> Ints:
    return np.asarray(np.argmax(np.abs(values), axis=1)[:, None])
