"""Baselines: other compounds of the same dataset, context, dose and time, one by one and as their mean."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pbdb.matches.statistics.ranks import Floats

SEED = 20260505
DEFAULT_CAP = 512
# What a summary says, but for the number of peers.
FACTS = ("mean", "sd", "below", "percentile", "p")

Indices = npt.NDArray[np.intp]


def peer_order(keys: npt.NDArray[np.int64], seed: int = SEED) -> Indices:
    """Order in which rows serve as peers: by SHA-256 of seed and key, the same on every machine.

    The first `cap` in this order are a random sample without replacement that does not depend on the other rows.
    """
    digests = [hashlib.sha256(f"{seed}:{int(key)}".encode()).digest() for key in keys]
    return np.array(sorted(range(len(keys)), key=digests.__getitem__), dtype=np.intp)


def peers_of(compounds: npt.NDArray[np.int64], peers: npt.NDArray[np.int64], cap: int) -> npt.NDArray[np.bool_]:
    """Which rows of a pool, in peer order, each row is compared with: the first `cap` of other compounds (0: all).

    compounds: that of each row (n); peers: compound of each row of the pool (m). Returns n x m.
    """
    other = compounds[:, None] != peers[None, :]
    return np.asarray(other if cap == 0 else other & (np.cumsum(other, axis=1) <= cap))


def enough_peers(compounds: npt.NDArray[np.int64], peers: npt.NDArray[np.int64], cap: int) -> int:
    """How many rows of a pool, in peer order, must be read so that each row finds its peers."""
    if cap == 0 or cap >= len(peers):
        return len(peers)
    chosen = (np.flatnonzero(peers != compound)[:cap] for compound in np.unique(compounds))
    return max((int(places[-1]) + 1 for places in chosen if len(places)), default=0)


@dataclass(frozen=True)
class Summary:
    """What peers say of observed values; arrays of n, NaN where undefined."""

    mean: npt.NDArray[np.float64]
    sd: npt.NDArray[np.float64]
    below: npt.NDArray[np.float64]
    percentile: npt.NDArray[np.float64]
    p: npt.NDArray[np.float64]
    n: npt.NDArray[np.int64]


def summarise(observed: Floats, scores: Floats) -> Summary:
    """Summarise the scores of peers (n x m, NaN where there is none or it is undefined) beside observed values (n).

    percentile = (1 + #{m < o}) / (K + 1), p = (1 + #{m >= o}) / (K + 1) of K peers m and the observed o: the observed
    value counts as one of its peers, so that no p is zero (Phipson & Smyth 2010, equation 2).
    """
    finite = np.isfinite(scores)
    n = finite.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(finite, scores, 0).sum(axis=1) / n
        apart = np.where(finite, scores - mean[:, None], 0)
        sd = np.where(n > 1, np.sqrt(np.einsum("ij,ij->i", apart, apart) / np.maximum(n - 1, 1)), np.nan)
        below = (finite & (scores < observed[:, None])).sum(axis=1)
        above = (finite & (scores >= observed[:, None])).sum(axis=1)
        known = np.isfinite(observed) & (n > 0)
        return Summary(
            mean=mean,
            sd=sd,
            below=np.where(known, below / n, np.nan),
            percentile=np.where(known, (1 + below) / (n + 1), np.nan),
            p=np.where(known, (1 + above) / (n + 1), np.nan),
            n=n,
        )


def means_of_others(
    total: Floats,
    missing: npt.NDArray[np.int64],
    n: int,
    own_total: Floats,
    own_missing: Floats,
    own_n: Floats,
    of_finite: bool = False,
) -> npt.NDArray[np.float64]:
    """Mean of a pool without the rows of each row's own compound: n x genes; NaN where a peer is not finite.

    total, missing: sums of finite values and numbers of others over the n rows of the pool (genes); own_*: the same
    over the rows of each row's compound (rows x genes; own_n: rows). of_finite: the mean of the peers that are finite.
    """
    # (total - own total) / (n - own n): one pass over the pool serves every compound, instead of one each.
    lacking = missing[None, :] - own_missing
    finite = (n - own_n)[:, None] - lacking
    known = (finite > 0) & (of_finite | (lacking == 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(known, (total[None, :] - own_total) / finite, np.nan))
