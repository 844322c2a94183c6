"""The hierarchical low-rank model of effects: compounds as posteriors, loadings per dataset and context.

It pools datasets with different genes, gives each dataset and gene its own noise, and says how sure it is of each
compound. `lowrank_steps` has the formulas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pbdb.learn.models import lowrank_start, lowrank_steps, ridge
from pbdb.learn.models.compendium import Bits, Compendium, Floats, Ints, Mask, Rows, Values
from pbdb.learn.models.lowrank_state import State, Work, cell_keys, work
from pbdb.learn.models.structure import StructureMap, structure_map

FIRST_WITH_STRUCTURE = 2
STRUCTURE_EVERY = 4
FIRST_WITH_GAINS = 2
LEAST_RELIABLE = 0.02
CONVERGED = 1e-4
FEWEST_STRUCTURES = 20

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Options:
    """How the model is fitted.

    rank: number of factors; iterations: at most; structure: whether fingerprints inform the compounds' prior; threads:
    to use, without changing what comes out.
    """

    rank: int = 32
    iterations: int = 30
    structure: bool = True
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True)
class LowRank:
    """A fitted model.

    keys: (dataset, context) of each block; genes: per block, positions; loadings: per block, K x genes; noise: per
    block, variance of each gene; grams: per block, K x K; gain: of (dataset, dose, time), see `cell_keys`.
    embedding: compounds x K; information: compounds x blocks, sums of squared gains; prior_root: K x K, A with A A'
    the covariance of the prior;
    reliability: compounds, share of the prior variance the data (or the structure) took away; from_structure: those
    without effects; structure_share: K, of each factor's variance what structure tells (leave-one-out). structure,
    coefficients: features of fingerprints, and features x K, to guess the vector of a compound that was never seen.
    """

    keys: tuple[tuple[str, str], ...]
    genes: tuple[Ints, ...]
    loadings: tuple[Values, ...]
    noise: tuple[Values, ...]
    grams: Floats
    gain: dict[tuple[str, int, float], float]
    embedding: Floats
    information: Values
    prior_root: Floats
    reliability: Floats
    from_structure: Mask
    structure_share: Floats
    structure: StructureMap
    coefficients: Floats

    def predict(self, rows: Rows) -> Values:
        """Expected effects around the mean of the context: rows x the block's genes; zero for an unknown block."""
        s = self._block(rows)
        if s is None:
            return np.zeros((len(rows), len(rows.genes)), np.float32)
        u = self.embedding[rows.compound] * self.gains(rows)[:, None]
        return np.asarray(u.astype(np.float32) @ self.loadings[s].astype(np.float32))

    def sd(self, rows: Rows) -> Values:
        """Standard deviation of an effect around its prediction: posterior of the compound, and noise."""
        s = self._block(rows)
        if s is None:
            return np.full((len(rows), len(rows.genes)), np.nan, np.float32)
        different, back = np.unique(rows.compound, return_inverse=True)
        loading = self.loadings[s].astype(np.float64)
        each = [np.einsum("kg,kg->g", loading, self.covariance(c) @ loading) for c in different]
        variance = np.reshape(each, (len(different), loading.shape[1]))  # also of no row at all
        total = self.gains(rows)[:, None] ** 2 * variance[back] + self.noise[s]
        return np.asarray(np.sqrt(total), np.float32)

    def covariance(self, compound: int) -> Floats:
        """Posterior covariance of a compound's vector."""
        information = np.tensordot(self.information[compound].astype(np.float64), self.grams, axes=1)
        return np.asarray(posterior(information[None], self.prior_root)[0])

    def guess(self, fingerprint: Bits) -> tuple[Floats, Floats]:
        """Vector (K) and covariance of a compound of which only the structure is known."""
        features = self.structure.features(fingerprint[None]).astype(np.float64)
        vector = (features @ self.coefficients)[0] if self.coefficients.size else np.zeros(len(self.prior_root))
        return vector, self.prior_root @ self.prior_root.T

    def gains(self, rows: Rows) -> Floats:
        """Gain of each row; 1 where its dose and time are new to the dataset."""
        return np.array([self.gain.get(key, 1.0) for key in cell_keys(rows)])

    def _block(self, rows: Rows) -> int | None:
        key = (rows.dataset, rows.context)
        return self.keys.index(key) if key in self.keys else None


def fit(
    centred: Compendium,
    options: Options,
    progress: Progress | None = None,
    begun: State | None = None,
    keep: Callable[[State], None] | None = None,
) -> LowRank:
    """Fit the model to effects centred on the means of their contexts. Deterministic for a seed.

    keep: is handed the state after each iteration; begun: such a state of the same fit, to go on from.
    """
    arranged, cells = work(centred, options.threads)
    state = begun or _first(arranged, options, len(cells))
    structure = _Structure.of(centred, arranged, options)
    while state.steps < options.iterations:
        before = state.noise_size
        _iterate(arranged, state, structure)
        if keep:
            keep(state)
        if progress:
            progress(state.steps, options.iterations)
        enough = state.steps > FIRST_WITH_STRUCTURE + STRUCTURE_EVERY + 1
        if enough and abs(before - state.noise_size) < CONVERGED * state.noise_size:
            break
    return _finished(centred, arranged, state, cells, structure)


def _first(arranged: Work, options: Options, n_cells: int) -> State:
    state = lowrank_start.start(arranged, options.rank, n_cells, options.seed)
    lowrank_steps.loadings(arranged, state)
    return state


def _iterate(arranged: Work, state: State, structure: _Structure) -> None:
    projected = lowrank_steps.project(arranged, state)
    energy = lowrank_steps.compounds(arranged, state, projected)
    if state.steps >= FIRST_WITH_GAINS:
        lowrank_steps.gains(arranged, state, projected, energy)
    if state.steps >= FIRST_WITH_STRUCTURE and state.steps % STRUCTURE_EVERY == FIRST_WITH_STRUCTURE:
        structure.inform(state)
    lowrank_steps.turn(state, lowrank_steps.loadings(arranged, state))
    lowrank_steps.precisions(arranged, state)
    state.steps += 1
    state.noise_size = _size_of_noise(state, arranged)


def _size_of_noise(state: State, arranged: Work) -> float:
    used = [1 / state.noise[arranged.dataset[s], genes] for s, genes in enumerate(arranged.genes)]
    return float(np.mean([part.mean() for part in used]))


@dataclass(frozen=True)
class _Structure:
    """The prior from fingerprints: ridge of the factors on structure, its penalty by leave-one-out."""

    features: Floats
    known: Mask
    mapped: StructureMap

    @classmethod
    def of(cls, centred: Compendium, arranged: Work, options: Options) -> _Structure:
        known = centred.has_structure
        enough = options.structure and (known & arranged.seen).sum() >= FEWEST_STRUCTURES
        if not enough:
            return cls(np.empty((len(known), 0)), np.zeros_like(known), structure_map(centred.fingerprints[:0]))
        mapped = structure_map(centred.fingerprints[known & arranged.seen], options.seed)
        features = mapped.features(centred.fingerprints).astype(np.float64)
        return cls(features, known, mapped)

    def inform(self, state: State) -> None:
        """Set each compound's prior to what the structures of the others say of it.

        Response: the estimate from a compound's effects alone, unshrunk; its variance is total / reliability, so the
        reliability is its weight. Compounds without effects get the prediction of the fit.
        """
        if not self.features.size:
            return
        reliable = np.clip(1 - state.precision * state.spread, 0, 1)
        used = self.known & (reliable.mean(axis=1) > LEAST_RELIABLE)
        if used.sum() < FEWEST_STRUCTURES:
            return
        response = state.data_only[used] / np.maximum(reliable[used], LEAST_RELIABLE)
        fitted = ridge.fit(self.features[used], response, reliable[used].mean(axis=1))
        state.prior = np.where(self.known[:, None], self.features @ fitted.coefficients, 0.0)
        state.prior[used] = fitted.left_out
        state.structure_share = fitted.r_squared
        state.coefficients = fitted.coefficients


def _finished(
    centred: Compendium, arranged: Work, state: State, cells: dict[tuple[str, int, float], int], structure: _Structure
) -> LowRank:
    """The model in its final base: shared loadings of mean square 1, so a vector's length is the size of its effects.

    Uncertainty is counted from the loadings themselves: what is uncertain about them tells nothing of a compound.
    """
    lowrank_steps.compounds(arranged, state, lowrank_steps.project(arranged, state))
    deviations = np.diag(1 / np.sqrt(state.precision))
    into = lowrank_steps.turn(state, np.zeros_like(deviations))
    data = tuple(1 / state.noise[arranged.dataset[s], genes] for s, genes in enumerate(arranged.genes))
    state.loading_spread = [np.zeros((state.rank, state.rank)) for _ in state.loadings]
    model = LowRank(
        keys=tuple((block.dataset, block.context) for block in centred.blocks),
        genes=tuple(block.genes for block in centred.blocks),
        loadings=tuple(loading.astype(np.float32) for loading in state.loadings),
        noise=tuple(variance.astype(np.float32) for variance in data),
        grams=state.grams(arranged),
        gain={key: float(state.gain[i]) for key, i in cells.items()},
        embedding=state.mean,
        information=np.asarray(arranged.pairs(state.gain[arranged.cell] ** 2).toarray(), np.float32),
        prior_root=into.T @ deviations,
        reliability=np.zeros(len(state.mean)),
        from_structure=~arranged.seen & structure.known & state.prior.any(axis=1),
        structure_share=state.structure_share,
        structure=structure.mapped,
        coefficients=state.coefficients,
    )
    return replace(model, reliability=_reliability(model, state.prior, arranged.seen))


def _reliability(model: LowRank, prior: Floats, seen: Mask) -> Floats:
    """1 - posterior variance over the variance among compounds; 0 without effects and structure."""
    unexplained = float((model.prior_root**2).sum())
    total = unexplained + (prior[seen] ** 2).mean(axis=0).sum()
    left = np.concatenate([_left(model, part) for part in lowrank_steps.parts(len(prior), model.prior_root.size)])
    told = seen | prior.any(axis=1)
    return np.where(told, np.clip(1 - left / max(total, np.finfo(float).tiny), 0, 1), 0.0)


def _left(model: LowRank, part: slice) -> Floats:
    """Posterior variance of some compounds, summed over the factors."""
    k = len(model.prior_root)
    information = model.information[part].astype(np.float64) @ model.grams.reshape(len(model.grams), -1)
    return np.asarray(np.einsum("cii->c", posterior(information.reshape(-1, k, k), model.prior_root)))


def posterior(information: Floats, root: Floats) -> Floats:
    """Covariances of compounds given information (compounds x K x K), and a root A of the prior's covariance.

    A (1 + A' I A)^-1 A', which stays exact where some factor has hardly any prior variance.
    """
    middle = np.linalg.inv(np.eye(len(root)) + root.T @ information @ root)
    return np.asarray(root @ middle @ root.T)
