"""Retrieval of a query's partners among many candidates, and its exact distribution under random labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from pbdb.agreement.ranks import Floats, unit_rows

TIE = 1e-12
Mask = npt.NDArray[np.bool_]
Numbers = npt.ArrayLike


@dataclass(frozen=True)
class Retrieved:
    """What each query found; arrays of n queries, NaN where a query has no positive or no negative candidate."""

    rank: npt.NDArray[np.float64]
    normalised_rank: npt.NDArray[np.float64]
    recall_1: npt.NDArray[np.float64]
    auroc: npt.NDArray[np.float64]
    n_candidates: npt.NDArray[np.int64]
    n_positives: npt.NDArray[np.int64]


def scores(queries: Floats, candidates: Floats, kind: str) -> npt.NDArray[np.float64]:
    """Similarity of every query with every candidate: cosine, spearman, or negative euclidean distance."""
    if kind in ("cosine", "spearman"):
        x, y = (unit_rows(side, "cosine" if kind == "cosine" else "spearman") for side in (queries, candidates))
        return np.asarray(x @ y.T)
    x64, y64 = np.asarray(queries, dtype=np.float64), np.asarray(candidates, dtype=np.float64)
    squares = (x64**2).sum(axis=1)[:, None] + (y64**2).sum(axis=1)[None, :] - 2 * x64 @ y64.T
    return np.asarray(-np.sqrt(np.maximum(squares, 0)))


def retrieve(found: Floats, positive: Mask, candidate: Mask) -> Retrieved:
    """Judge the scores of n queries with m candidates.

    positive, candidate: which of the m are positives of, and candidates for, each query (positives are candidates;
    a query itself never is).
    """
    positive = positive & candidate
    n_candidates, n_positives = candidate.sum(axis=1), positive.sum(axis=1)
    best = np.where(positive, found, -np.inf).max(axis=1, initial=-np.inf)
    rank = 1.0 + (candidate & (found > best[:, None] + TIE)).sum(axis=1)
    defined = (n_positives > 0) & (n_candidates > n_positives)
    rank[~defined] = np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        normalised = 1 - (rank - 1) / (n_candidates - 1)
    return Retrieved(
        rank,
        normalised,
        np.where(defined, rank == 1, np.nan),
        _auroc(found, positive, candidate, defined),
        n_candidates,
        n_positives,
    )


def _auroc(found: Floats, positive: Mask, candidate: Mask, defined: Mask) -> npt.NDArray[np.float64]:
    """Probability that a positive scores above another candidate, ties counted one half."""
    areas = np.full(len(found), np.nan)
    for row in np.flatnonzero(defined):
        others = np.sort(found[row, candidate[row] & ~positive[row]])
        ours = found[row, positive[row]]
        below = np.searchsorted(others, ours - TIE, side="left")
        upto = np.searchsorted(others, ours + TIE, side="right")
        areas[row] = (below + upto).sum() / (2 * len(others) * len(ours))
    return areas


def at_least(rank: Numbers, n_candidates: Numbers, n_positives: Numbers) -> npt.NDArray[np.float64]:
    """P(R >= r) of the best rank of K random positives among N: C(N-r+1, K) / C(N, K)."""
    N, K, r = (np.asarray(value, dtype=np.float64) for value in (n_candidates, n_positives, rank))
    left = N - r + 1
    with np.errstate(invalid="ignore"):
        value = np.exp(_log_choose(np.maximum(left, K), K) - _log_choose(N, K))
    return np.asarray(np.where(r <= 1, 1.0, np.where(left < K, 0.0, value)))


def mid_p(rank: Numbers, n_candidates: Numbers, n_positives: Numbers) -> npt.NDArray[np.float64]:
    """P(R < r) + P(R = r) / 2: mean 1/2 under random labels."""
    here, after = (at_least(np.asarray(rank) + step, n_candidates, n_positives) for step in (0, 1))
    return np.asarray(1 - (here + after) / 2)


def expected_rank(n_candidates: Numbers, n_positives: Numbers) -> npt.NDArray[np.float64]:
    """E[R] = (N + 1) / (K + 1)."""
    return np.asarray((np.asarray(n_candidates) + 1) / (np.asarray(n_positives) + 1), dtype=np.float64)


def expected_normalised_rank(n_candidates: Numbers, n_positives: Numbers) -> npt.NDArray[np.float64]:
    """The floor of the normalised rank: 0.5 for one positive, more for more."""
    N = np.asarray(n_candidates, dtype=np.float64)
    return np.asarray(1 - (expected_rank(N, n_positives) - 1) / (N - 1))


def _log_choose(n: Floats, k: Floats) -> npt.NDArray[np.float64]:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
