"""The updates of the low-rank model: variational EM, each in closed form (Bishop 1999; Lim and Teh 2007).

    effect(i, g) = gain(i) u_c . W_s(:, g) + noise,   W_s(:, g) ~ N(V(:, g), 1 / tightness),   V ~ N(0, 1)
    u_c ~ N(m(structure of c), 1 / precision)

Covariances of u and of W go into every update: without them alternating least squares fits the noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pbdb.learn.models.compendium import Floats, Ints, Values
from pbdb.learn.models.lowrank_state import SMALLEST_VARIANCE, State, Work
from pbdb.learn.models.threads import each

NUMBERS_AT_ONCE = 4_000_000
PRIOR_ROWS_OF_NOISE = 10.0
PRIOR_WEIGHT_OF_GAIN = 4.0
GAIN_RANGE = (0.05, 5.0)
MOST_TIGHT = 1e4
NOISE_LEVELS = 24


def project(work: Work, state: State) -> Floats:
    """What each row says of its compound: R L W', rows x K, with L the noise precisions."""

    def of_block(s: int) -> Values:
        weighted = state.loadings[s] * state.noise[work.dataset[s], work.genes[s]]
        return np.asarray(work.values[s] @ weighted.T.astype(np.float32))

    return np.concatenate(list(each(of_block, range(len(work.values)), work.threads))).astype(np.float64)


def compounds(work: Work, state: State, projected: Floats) -> Floats:
    """Update the posteriors of the compounds; return energy (compounds x blocks): E[u' gram u], for the gains."""
    gain = state.gain[work.cell]
    pairs, told = work.pairs(gain**2), work.by_compound(gain) @ projected
    grams = state.grams(work).reshape(len(work.values), -1)

    def of_part(part: slice) -> tuple[Floats, Floats]:
        second = _posterior(state, part, pairs[part] @ grams, told[part])
        return pairs[part].T @ second, second @ grams.T

    moments, energy = np.zeros_like(grams), []
    for of_blocks, of_compounds in each(of_part, parts(work.n_compounds, state.rank**2), work.threads):
        moments += of_blocks
        energy.append(of_compounds)
    state.moments = moments.reshape(-1, state.rank, state.rank)
    return np.vstack(energy)


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

    def tells(self, noise: float) -> Floats:
        """Precision of a gene's shared loadings from this block, at a noise precision: K x K."""
        known = self.size * noise
        return np.asarray((self.axes * (known * self.tight / (known + self.tight))) @ self.axes.T)

    def of_shared(self) -> Floats:
        """What the effects say of shared loadings, its own integrated out: K x genes."""
        share = self.tight / (self.known + self.tight)
        return np.asarray(self.axes @ (share * self.noise * (self.axes.T @ self.told)))


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
    blocks = list(each(lambda s: _block(work, state, s), range(len(work.values)), work.threads))
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
    told = np.zeros((work.n_genes, k))
    for block, genes in zip(blocks, work.genes, strict=True):
        told[genes] += block.of_shared().T
    groups = _groups(work, state, blocks)
    trace, total = np.empty(work.n_genes), np.zeros((k, k))
    for part in parts(work.n_genes, k * k):
        precision = np.tile(np.eye(k), (part.stop - part.start, 1, 1))
        for group in groups:
            group.add(precision, part)
        covariance = np.linalg.inv(precision)
        state.shared[:, part] = np.einsum("gij,gj->ig", covariance, told[part])
        trace[part] = np.einsum("gii->g", covariance)
        total += covariance.sum(axis=0)
    return _Spread(total / work.n_genes, trace / trace.mean())


@dataclass(frozen=True)
class _Group:
    """Blocks of one dataset with the same genes: what they tell of shared loadings, as a function of the noise alone.

    table: K x K for each of a few noise precisions, evenly spaced in logarithm; between them it is interpolated, for
    the sum over all blocks would cost genes x blocks x K^2. lower, share: of each gene, where it lies among them.
    """

    genes: Ints
    table: Floats
    lower: Ints
    share: Floats

    def add(self, precision: Floats, part: slice) -> None:
        """Add the precision of some genes (those of the slice)."""
        start, stop = np.searchsorted(self.genes, [part.start, part.stop])
        lower, share = self.lower[start:stop], self.share[start:stop, None, None]
        told = (1 - share) * self.table[lower] + share * self.table[lower + 1]
        precision[self.genes[start:stop] - part.start] += told


def _groups(work: Work, state: State, blocks: list[_Block]) -> list[_Group]:
    members: dict[tuple[int, bytes], list[int]] = {}
    for s, genes in enumerate(work.genes):
        if len(work.values[s]):
            members.setdefault((int(work.dataset[s]), genes.tobytes()), []).append(s)
    return [_group(work.genes[same[0]], [blocks[s] for s in same]) for same in members.values()]


def _group(genes: Ints, blocks: list[_Block]) -> _Group:
    log = np.log(blocks[0].noise)
    grid = np.linspace(log.min(), max(log.max(), log.min() + 1e-6), NOISE_LEVELS)
    place = (log - grid[0]) / (grid[1] - grid[0])
    lower = np.clip(place.astype(np.int64), 0, NOISE_LEVELS - 2)
    table = np.stack([sum(block.tells(level) for block in blocks) for level in np.exp(grid)])
    return _Group(genes, table, lower, place - lower)


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
    square = state.shared @ state.shared.T / state.shared.shape[1] + spread
    size, own = np.linalg.eigh(square)
    # Factors the data do not need have loadings of nearly zero: they are not blown up without limit.
    root = np.sqrt(np.maximum(size, max(size[-1], SMALLEST_VARIANCE) * SMALLEST_VARIANCE))
    forth, back = (own * root) @ own.T, (own / root) @ own.T
    second = (state.mean.T @ state.mean + np.diag(state.spread.sum(axis=0))) / len(state.mean)
    _, axes = np.linalg.eigh(forth @ second @ forth)
    into, back = forth @ axes[:, ::-1], axes[:, ::-1].T @ back
    sign = np.sign(np.take_along_axis(back @ state.shared, _largest(back @ state.shared), axis=1))[:, 0]
    sign = np.where(sign == 0, 1.0, sign)
    into, back = into * sign, back * sign[:, None]
    state.mean, state.prior, state.data_only = state.mean @ into, state.prior @ into, state.data_only @ into
    state.coefficients = state.coefficients @ into
    state.spread = state.spread @ into**2
    state.shared = back @ state.shared
    state.loadings = [back @ loading for loading in state.loadings]
    state.loading_spread = [back @ spread @ back.T for spread in state.loading_spread]
    return np.asarray(into)


def _largest(values: Floats) -> Ints:
    return np.asarray(np.argmax(np.abs(values), axis=1)[:, None])
