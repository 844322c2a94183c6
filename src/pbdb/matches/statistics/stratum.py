"""All statistics of matches that share their peers, with the four baselines of each.

A stratum is a set of matches with one context, time and dose on each side, so that every match of it has the same
two pools of peers. Both sides stand in one block of 2n rows: n of side a, then n of side b, so that each pool is
scored once against all rows.

Of a row x of dataset A with partner y in B, s(x, .) being a statistic:

    source centroid  s(x, mean of peers of x in A)      target centroid  s(x, mean of peers of y in B)
    source peers     s(x, each peer of x in A)          target peers     s(x, each peer of y in B)

Peers are other compounds at the context, time and dose of x (source) or y (target). What a match scores beyond its
target baselines is owed to the compound; what the source baselines score beyond the target's, to staying in one assay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from pbdb.matches.statistics import metrics
from pbdb.matches.statistics.metrics import Scores, Signatures
from pbdb.matches.statistics.peers import FACTS, Summary, peers_of, summarise
from pbdb.matches.statistics.ranks import Kind

TOPS = (50, 100, 200)
KINDS: tuple[Kind, ...] = ("spearman", "pearson", "cosine")
VECTORS: tuple[metrics.Vector, ...] = ("log2_fc", "t")
Score = Callable[[Signatures, Signatures, bool], Scores]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Side:
    """One side of the matches of a stratum, over the shared genes.

    effects: n rows; centroid: n rows, the mean of the pool without each row's compound; n_pool: how many that averages;
    peers: m rows in peer order; peer_compound: their compounds.
    """

    effects: Signatures
    centroid: Signatures
    n_pool: Counts
    peers: Signatures
    peer_compound: Counts


@dataclass(frozen=True)
class Baseline:
    """A statistic against the mean of a pool (of n_pool effects; 0 where it has no such baseline) and its peers."""

    centroid: Scores
    n_pool: Counts
    peers: Summary


@dataclass(frozen=True)
class Result:
    """One statistic for n matches: the score, the genes it rests on, and its baselines of both datasets."""

    metric: str
    score: Scores
    n: Counts
    source: Baseline
    target: Baseline


@dataclass(frozen=True)
class _Baselines:
    """Scores of 2n rows against centroids (2n) and peers (2n x m, NaN where none) of the own and the other side."""

    source_centroid: Scores
    target_centroid: Scores
    source: Scores
    target: Scores
    of_centroids: bool


def score(a: Side, b: Side, compound: Counts, cap: int, same_pool: bool = False) -> Iterator[Result]:
    """Yield every statistic of n matches with its baselines.

    compound: the compound of each match, in the same numbers as the sides' peer_compound; cap: peers at most (0: all).
    same_pool: replicates of one condition, whose sides have one pool: a peer's score is its mean over the two, and
    half the genes is no limit to signed overlap.
    """
    block = _Block(a, b, compound, cap, same_pool)
    for vector in VECTORS:
        n = metrics.n_common(a.effects, b.effects, vector)
        for kind in KINDS:
            yield block.symmetric(f"{kind}_{vector}", partial(_correlation, vector, kind), n)
    yield from _restricted(block)
    yield from _direction(block)
    for top in TOPS:
        n = np.minimum(a.effects.n_significant, b.effects.n_significant)
        yield block.symmetric(f"overlap_{top}", partial(_overlap, top), n, of_centroids=False)
    n = metrics.jaccard(a.effects, b.effects, True)[1]
    yield block.symmetric("jaccard", _jaccard, n, of_centroids=False)
    n = metrics.n_common(a.effects, b.effects, "t")
    # Above half the genes, up and down of unlike datasets would overlap by necessity; replicates may take them all.
    share = 1.0 if same_pool else 0.5
    yield block.symmetric(f"signed_overlap_{metrics.TOP_SIGNED}", partial(metrics.signed_overlap, share=share), n)


def _correlation(vector: metrics.Vector, kind: Kind, x: Signatures, y: Signatures, paired: bool) -> Scores:
    return metrics.correlation(x, y, vector, kind, paired)


def _overlap(top: int, x: Signatures, y: Signatures, paired: bool) -> Scores:
    return metrics.overlap(x, y, top, paired)


def _jaccard(x: Signatures, y: Signatures, paired: bool) -> Scores:
    return metrics.jaccard(x, y, paired)[0]


def _same_direction(x: Signatures, y: Signatures, paired: bool) -> Scores:
    return metrics.direction(x, y, paired)[0]


def _restricted(block: _Block) -> Iterator[Result]:
    """Spearman correlation over each side's significant genes, and the mean of the two.

    rho_A = rho(x, y | genes significant in x), rho_B = rho(y, x | those in y), rho = (rho_A + rho_B) / 2 where both
    are defined. A peer is judged on the row's own genes: against rho_A or rho_B, not against their mean.
    """
    sides = metrics.deg_spearman(block.rows, block.partners, True)
    n = _n_restricted(block.rows, block.partners)
    baselines = block.baselines(metrics.deg_spearman)
    yield block.of_side("deg_spearman_a", 0, sides, n, baselines)
    yield block.of_side("deg_spearman_b", 1, sides, n, baselines)
    yield block.of_both("deg_spearman", _strict_mean(sides), _sum(n), sides, baselines)


def _n_restricted(x: Signatures, y: Signatures) -> Counts:
    assert x.significant is not None
    return np.asarray((x.significant & np.isfinite(x.log2_fc) & np.isfinite(y.log2_fc)).sum(axis=1))


def _direction(block: _Block) -> Iterator[Result]:
    """Direction over genes significant on both sides (as published), on each side, and the mean of the sides.

    The baselines know one side's significant genes only: direction_both stands beside unlike gene sets and looks
    better for it; the other three compare like with like.
    """
    # A = #{g in S: sign x_g = sign y_g} / |S|; S: genes significant in x and finite in y (both=True: in y as well).
    sides, n = metrics.direction(block.rows, block.partners, True)
    both, n_both = metrics.direction(block.a.effects, block.b.effects, True, both=True)
    baselines = block.baselines(_same_direction)
    yield block.of_both("direction_both", both, n_both, np.concatenate([both, both]), baselines)
    yield block.of_side("direction_a", 0, sides, n, baselines)
    yield block.of_side("direction_b", 1, sides, n, baselines)
    mean = _strict_mean(sides)
    yield block.of_both("direction", mean, _sum(n), np.concatenate([mean, mean]), baselines)


class _Block:
    """The 2n rows of a stratum, their partners, and which peers count for which row."""

    def __init__(self, a: Side, b: Side, compound: Counts, cap: int, same_pool: bool):
        self.a, self.b, self.n, self.same_pool = a, b, len(compound), same_pool
        self.rows = _stacked(a.effects, b.effects)
        self.partners = _stacked(b.effects, a.effects)
        self.own_centroids = _stacked(a.centroid, b.centroid)
        self.other_centroids = _stacked(b.centroid, a.centroid)
        self.valid_a, self.valid_b = (peers_of(compound, side.peer_compound, cap) for side in (a, b))

    def baselines(self, function: Score, of_centroids: bool = True) -> _Baselines:
        """Score all rows against both pools: each pool is prepared once for both sides."""
        against_a, against_b = (function(self.rows, side.peers, False) for side in (self.a, self.b))
        # Row i of a and row i of b are of one match and one compound: what counts as a peer is the same for both
        # (tile). Against pool a, the first half of the rows stays within its dataset (to_a), the second crosses (to_b).
        to_a, to_b = _halves(np.where(np.tile(self.valid_a, (2, 1)), against_a, np.nan))
        from_a, from_b = _halves(np.where(np.tile(self.valid_b, (2, 1)), against_b, np.nan))
        nothing = np.full(2 * self.n, np.nan)
        return _Baselines(
            function(self.rows, self.own_centroids, True) if of_centroids else nothing,
            function(self.rows, self.other_centroids, True) if of_centroids else nothing,
            _padded(to_a, from_b),  # source: a's rows with pool a, b's rows with pool b
            _padded(from_a, to_b),  # target: a's rows with pool b, b's rows with pool a
            of_centroids,
        )

    def symmetric(self, metric: str, function: Score, n: Counts, of_centroids: bool = True) -> Result:
        """A statistic that is the same seen from either side."""
        value = function(self.a.effects, self.b.effects, True)
        return self.of_both(metric, value, n, np.concatenate([value, value]), self.baselines(function, of_centroids))

    def of_both(self, metric: str, value: Scores, n: Counts, observed: Scores, baselines: _Baselines) -> Result:
        """The mean of the sides that are defined, peers judged against `observed` of each row."""
        if self.same_pool:
            # One pool: averaging a peer's two scores first counts it once; else it would stand twice in n and in p.
            n_pool = self.a.n_pool
            source, target = (
                summarise(value, _mean(*_halves(scores))) for scores in (baselines.source, baselines.target)
            )
        else:
            n_pool = self.a.n_pool + self.b.n_pool
            source, target = (
                _mean_summary(summarise(observed, scores)) for scores in (baselines.source, baselines.target)
            )
        return Result(
            metric,
            value,
            n,
            Baseline(_mean(*_halves(baselines.source_centroid)), n_pool * baselines.of_centroids, source),
            Baseline(_mean(*_halves(baselines.target_centroid)), n_pool * baselines.of_centroids, target),
        )

    def of_side(self, metric: str, side: int, values: Scores, n: Counts, baselines: _Baselines) -> Result:
        """One side alone: 0 for a, 1 for b."""
        rows = slice(side * self.n, (side + 1) * self.n)  # the side's half of the 2n rows
        query, partner = (self.a, self.b)[side], (self.b, self.a)[side]
        return Result(
            metric,
            values[rows],
            n[rows],
            Baseline(baselines.source_centroid[rows], query.n_pool, summarise(values[rows], baselines.source[rows])),
            Baseline(baselines.target_centroid[rows], partner.n_pool, summarise(values[rows], baselines.target[rows])),
        )


def _stacked(first: Signatures, second: Signatures) -> Signatures:
    mask = None
    if first.significant is not None and second.significant is not None:
        mask = np.concatenate([first.significant, second.significant])
    return Signatures(np.concatenate([first.log2_fc, second.log2_fc]), np.concatenate([first.t, second.t]), mask)


def _halves(values: npt.NDArray[np.generic]) -> tuple[npt.NDArray, npt.NDArray]:  # type: ignore[type-arg]
    middle = len(values) // 2
    return values[:middle], values[middle:]


def _padded(first: Scores, second: Scores) -> Scores:
    """One block of two with different numbers of columns; what is missing is NaN."""
    width = max(first.shape[1], second.shape[1])
    rows = [np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=np.nan) for part in (first, second)]
    return np.concatenate(rows)


def _strict_mean(sides: Scores) -> Scores:
    """Mean of the two sides where both are defined; one side alone would be compared with means of two."""
    first, second = _halves(sides)
    return np.asarray((first + second) / 2)


def _sum(sides: Counts) -> Counts:
    first, second = _halves(sides)
    return np.asarray(first + second)


def _mean(first: Scores, second: Scores) -> Scores:
    """Mean of those of two values that are defined."""
    known = np.isfinite(first).astype(float) + np.isfinite(second)  # 0, 1 or 2 defined values
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(known > 0, (np.nan_to_num(first) + np.nan_to_num(second)) / known, np.nan))


def _mean_summary(both: Summary) -> Summary:
    # Each side's peers are summarised against its own row; then the sides' means, SDs and percentiles are averaged.
    means = {name: _mean(*_halves(getattr(both, name))) for name in FACTS}
    return Summary(**means, n=_sum(both.n))
