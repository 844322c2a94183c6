"""Retrieval of a query's partners among many candidates, and its exact distribution under random labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit, prange
from scipy.special import gammaln

from pbdb.common.arrays import Mask
from pbdb.matches.statistics.ranks import Floats, unit_rows

# Scores of equal rows differ by rounding when a product is cut into blocks: within this they are one.
TIE = 1e-12
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


def prepared(values: Floats, kind: str) -> npt.NDArray[np.float64]:
    """Rows as `similarity` needs them: of unit length for cosine and spearman (of ranks), as they are for euclidean."""
    if kind in ("cosine", "spearman"):
        return unit_rows(values, "cosine" if kind == "cosine" else "spearman")
    return np.asarray(values, dtype=np.float64)


def similarity(x: Floats, y: Floats, kind: str) -> npt.NDArray[np.float64]:
    """Similarity of every prepared row of x with every one of y: cosine, spearman, or negative euclidean distance."""
    if kind in ("cosine", "spearman"):
        return np.asarray(x @ y.T)
    # |x - y|^2 = |x|^2 + |y|^2 - 2 <x, y> is one matrix product; rounding can make it slightly negative.
    squares = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1)[None, :] - 2 * x @ y.T
    return np.asarray(-np.sqrt(np.maximum(squares, 0)))


def paired_similarity(x: Floats, y: Floats, kind: str) -> npt.NDArray[np.float64]:
    """Similarity of prepared row i with prepared row i; NaN where either has a missing value."""
    if kind in ("cosine", "spearman"):
        return np.asarray(np.einsum("ij,ij->i", x, y))
    return np.asarray(-np.linalg.norm(x - y, axis=1))


def in_order(similar: Floats, candidate: Mask) -> npt.NDArray[np.float64]:
    """Scores of each query's candidates in ascending order, n x m; what is no candidate stands below them all."""
    return np.asarray(np.sort(np.where(candidate, similar, -np.inf), axis=1))


def rank_among(values: Floats, ordered: Floats) -> npt.NDArray[np.float64]:
    """1 + candidates that score higher than each value: n x k; NaN for a missing value.

    values: scores of other rows with each of n queries (n x k); ordered: those of the candidates, `in_order`.
    """
    return np.asarray(_rank_among(np.ascontiguousarray(values), ordered))


@njit(parallel=True, cache=True)  # type: ignore[untyped-decorator]
def _rank_among(values: Floats, ordered: Floats) -> Floats:  # pragma: no cover - compiled
    ranks = np.full(values.shape, np.nan)
    for row in prange(len(values)):
        for column in range(values.shape[1]):
            if np.isfinite(values[row, column]):
                upto = np.searchsorted(ordered[row], values[row, column] + TIE, side="right")
                ranks[row, column] = 1 + ordered.shape[1] - upto
    return ranks


def normalised(rank: Numbers, n_candidates: Numbers) -> npt.NDArray[np.float64]:
    """1 - (R - 1) / (N - 1); NaN where there is one candidate."""
    N = np.asarray(n_candidates, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(N > 1, 1 - (np.asarray(rank) - 1) / (N - 1), np.nan))


def retrieve(similar: Floats, positive: Mask, candidate: Mask) -> Retrieved:
    """Judge the scores of n queries with m candidates.

    positive, candidate: which of the m are positives of, and candidates for, each query (positives are candidates;
    a query itself never is). R = 1 + #{candidates that score higher than the best positive}.
    """
    positive = positive & candidate
    n_candidates, n_positives = candidate.sum(axis=1), positive.sum(axis=1)
    best = np.where(positive, similar, -np.inf).max(axis=1, initial=-np.inf)
    rank = 1.0 + (candidate & (similar > best[:, None] + TIE)).sum(axis=1)
    defined = (n_positives > 0) & (n_candidates > n_positives)
    rank[~defined] = np.nan
    return Retrieved(
        rank,
        normalised(rank, n_candidates),
        np.where(defined, rank == 1, np.nan),
        _auroc(similar, positive, candidate, defined),
        n_candidates,
        n_positives,
    )


def _auroc(similar: Floats, positive: Mask, candidate: Mask, defined: Mask) -> npt.NDArray[np.float64]:
    """Probability that a positive scores above another candidate, ties counted one half.

    The Mann-Whitney U over its maximum: sum over positives of (#below + #not above) / 2, over K (N - K).
    """
    areas = np.full(len(similar), np.nan)
    for row in np.flatnonzero(defined):
        others = np.sort(similar[row, candidate[row] & ~positive[row]])
        ours = similar[row, positive[row]]
        below = np.searchsorted(others, ours - TIE, side="left")
        upto = np.searchsorted(others, ours + TIE, side="right")
        areas[row] = (below + upto).sum() / (2 * len(others) * len(ours))
    return areas


def at_least(rank: Numbers, n_candidates: Numbers, n_positives: Numbers) -> npt.NDArray[np.float64]:
    """P(R >= r) of the best rank of K random positives among N: C(N-r+1, K) / C(N, K)."""
    N, K, r = (np.asarray(value, dtype=np.float64) for value in (n_candidates, n_positives, rank))
    # R >= r when all K positives lie among the N - r + 1 candidates from rank r on. Logarithms of binomial
    # coefficients, as they pass the largest float from N of about 1,030 on.
    left = N - r + 1
    with np.errstate(invalid="ignore"):
        value = np.exp(_log_choose(np.maximum(left, K), K) - _log_choose(N, K))
    return np.asarray(np.where(r <= 1, 1.0, np.where(left < K, 0.0, value)))


def mid_p(rank: Numbers, n_candidates: Numbers, n_positives: Numbers) -> npt.NDArray[np.float64]:
    """P(R < r) + P(R = r) / 2: mean 1/2 under random labels (Lancaster 1961).

    1 - (P(R >= r) + P(R >= r + 1)) / 2 is the same in two tails.
    """
    here, after = (at_least(np.asarray(rank) + step, n_candidates, n_positives) for step in (0, 1))
    return np.asarray(1 - (here + after) / 2)


def expected_rank(n_candidates: Numbers, n_positives: Numbers) -> npt.NDArray[np.float64]:
    """E[R] = (N + 1) / (K + 1)."""
    return np.asarray((np.asarray(n_candidates) + 1) / (np.asarray(n_positives) + 1), dtype=np.float64)


def expected_normalised_rank(n_candidates: Numbers, n_positives: Numbers) -> npt.NDArray[np.float64]:
    """The floor of the normalised rank: 0.5 for one positive, more for more."""
    return normalised(expected_rank(n_candidates, n_positives), n_candidates)


def _log_choose(n: Floats, k: Floats) -> npt.NDArray[np.float64]:
    return np.asarray(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))
