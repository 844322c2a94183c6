"""How far two signatures agree: each statistic for pairs of rows, or for every row of one side with every of the other.

Shapes: signatures are rows x genes over the same genes. `paired` functions compare row i with row i and return n
values; otherwise they return n x m. Undefined is NaN, never zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pbdb.common.arrays import Mask
from pbdb.matches.statistics.masked import order_of, spearman_within
from pbdb.matches.statistics.ranks import Floats, Kind, unit_rows

Scores = npt.NDArray[np.float64]
Vector = Literal["log2_fc", "t"]
ALPHA = 0.05
TOP_SIGNED = 50


@dataclass(frozen=True)
class Signatures:
    """log2 fold changes and moderated t, with the mask of significant genes (None: a centroid, which has none).

    What the statistics need of a side (ranks, orders, marks) is computed once and kept.
    """

    log2_fc: Floats
    t: Floats
    significant: Mask | None = None
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.log2_fc)

    def take(self, rows: npt.NDArray[np.intp]) -> Signatures:
        """Return some of the rows, in the order given."""
        mask = None if self.significant is None else self.significant[rows]
        return Signatures(self.log2_fc[rows], self.t[rows], mask)

    def values(self, vector: Vector) -> Floats:
        """Return one of the two matrices."""
        return self.log2_fc if vector == "log2_fc" else self.t

    def once(self, key: Any, compute: Callable[[], Any]) -> Any:
        """Return what was computed under this key before, or compute it now."""
        if key not in self._kept:
            self._kept[key] = compute()
        return self._kept[key]

    @cached_property
    def n_significant(self) -> npt.NDArray[np.int64]:
        """Significant genes of each row."""
        assert self.significant is not None
        return np.asarray(self.significant.sum(axis=1))


def significant(log2_fc: Floats, neg_log10_p_adj: Floats, alpha: float = ALPHA) -> Mask:
    """Mask of genes that are finite and have an adjusted p value strictly below alpha."""
    with np.errstate(invalid="ignore"):
        below = neg_log10_p_adj > -np.log10(alpha)
    return np.asarray(np.isfinite(log2_fc) & below)


def correlation(x: Signatures, y: Signatures, vector: Vector, kind: Kind, paired: bool) -> Scores:
    """Spearman or Pearson correlation, or cosine, over the genes finite on both sides, two at least."""
    if x.log2_fc.shape[1] < 2:
        return np.full(len(x) if paired else (len(x), len(y)), np.nan)
    whole_x, whole_y = (_whole(side, vector) for side in (x, y))
    # r(x, y) = <u(x), u(y)> of centred (cosine: plain) rows, or ranks, of unit length: one matrix product for all
    # pairs. Pairs with a missing value, few in practice, are ranked anew over the genes that they share.
    scores = _products(_units(x, vector, kind), _units(y, vector, kind), paired)
    odd = np.diag(~(whole_x & whole_y)) if paired else ~(whole_x[:, None] & whole_y[None, :])
    for i, j in np.argwhere(odd):
        scores[i if paired else (i, j)] = _over_common(x.values(vector)[i], y.values(vector)[j], kind)
    return scores


def n_common(x: Signatures, y: Signatures, vector: Vector) -> npt.NDArray[np.int64]:
    """Genes finite on both sides, row by row."""
    return np.asarray((np.isfinite(x.values(vector)) & np.isfinite(y.values(vector))).sum(axis=1))


def _whole(side: Signatures, vector: Vector) -> npt.NDArray[np.bool_]:
    complete: npt.NDArray[np.bool_] = side.once(("whole", vector), lambda: np.isfinite(side.values(vector)).all(axis=1))
    return complete


def _units(side: Signatures, vector: Vector, kind: Kind) -> Scores:
    """Rows of length 1, whose product is a cosine (a correlation of centred rows or ranks); once for each side."""

    def compute() -> Scores:
        complete, values = _whole(side, vector), side.values(vector)
        if complete.all():
            return unit_rows(values, kind)
        scaled = np.full(values.shape, np.nan)
        scaled[complete] = unit_rows(values[complete], kind)
        return scaled

    units: Scores = side.once(("units", vector, kind), compute)
    return units


def _products(x: Floats, y: Floats, paired: bool) -> Scores:
    return np.asarray(np.einsum("ij,ij->i", x, y) if paired else x @ y.T, dtype=np.float64)


def _over_common(x: Floats, y: Floats, kind: Kind) -> float:
    common = np.isfinite(x) & np.isfinite(y)
    if common.sum() < 2:
        return float("nan")
    return float(unit_rows(x[None, common], kind)[0] @ unit_rows(y[None, common], kind)[0])


def deg_spearman(x: Signatures, y: Signatures, paired: bool) -> Scores:
    """Spearman correlation of log2 fold changes over the significant genes of x."""
    assert x.significant is not None
    order = y.once("order", lambda: order_of(y.log2_fc))
    return spearman_within(x.log2_fc, x.significant, y.log2_fc, paired, order)


def direction(x: Signatures, y: Signatures, paired: bool, both: bool = False) -> tuple[Scores, npt.NDArray[np.int64]]:
    """Share of genes with one sign on both sides, among the significant genes of x finite in y; and their number.

    both: genes significant on both sides. A zero has only a zero's sign.
    """
    # A = sum over signs s of #{g: sign x_g = sign y_g = s} / #{g}: three products of 0/1 marks, no n x m x genes array.
    n = _products(_sign_marks(x, None, True), _sign_marks(y, None, both), paired)
    same = np.zeros_like(n)
    for sign in (-1, 0, 1):
        ours = _sign_marks(x, sign, True)
        if ours.any():
            same += _products(ours, _sign_marks(y, sign, both), paired)
    return _ratio(same, n), n.astype(np.int64)


def _sign_marks(side: Signatures, sign: int | None, only_significant: bool) -> Floats:
    """1 at finite (or significant) genes, of one sign (None: of any). Single precision counts exactly to 2^24."""

    def compute() -> Floats:
        counted = side.significant if only_significant else np.isfinite(side.log2_fc)
        assert counted is not None
        return (counted if sign is None else counted & (np.sign(side.log2_fc) == sign)).astype(np.float32)

    marks: Floats = side.once(("sign", sign, only_significant), compute)
    return marks


def jaccard(x: Signatures, y: Signatures, paired: bool) -> tuple[Scores, npt.NDArray[np.int64]]:
    """Significant genes of both over those of either, and the number of the latter: J = |X & Y| / |X | Y|."""
    # |X | Y| = |X| + |Y| - |X & Y|
    shared = _products(_sign_marks(x, None, True), _sign_marks(y, None, True), paired)
    total = _sum(x.n_significant, y.n_significant, paired) - shared
    return _ratio(shared, total), total.astype(np.int64)


def overlap(x: Signatures, y: Signatures, top: int, paired: bool) -> Scores:
    """Share of the `top` significant genes by |log2 fold change| that both sides have: |X & Y| / top.

    Each side must have so many; a shorter list could never reach 1.
    """
    scores = _products(_strongest(x, top), _strongest(y, top), paired) / top
    scores[~_both(x.n_significant >= top, y.n_significant >= top, paired)] = np.nan
    return scores


def signed_overlap(x: Signatures, y: Signatures, paired: bool, share: float = 0.5) -> Scores:
    """Mean overlap of the k most positive and the k most negative t, k = min(50, share of the genes).

    (|X_up & Y_up| + |X_down & Y_down|) / 2k.
    """
    k = min(TOP_SIGNED, int(x.t.shape[1] * share))
    if k == 0:
        return np.full(len(x) if paired else (len(x), len(y)), np.nan)
    scores = np.zeros(len(x) if paired else (len(x), len(y)))
    for sign in (1, -1):
        scores += _products(_most(x, sign, k), _most(y, sign, k), paired) / (2 * k)
    enough_x, enough_y = (np.isfinite(side.t).sum(axis=1) >= k for side in (x, y))
    scores[~_both(enough_x, enough_y, paired)] = np.nan
    return scores


def _most(side: Signatures, sign: int, k: int) -> Floats:
    """1 at the k genes of largest (sign -1: smallest) t, the first of equal ones."""
    marks: Floats = side.once(("most", sign, k), lambda: _extreme(sign * side.t, k))
    return marks


def _strongest(side: Signatures, top: int) -> Floats:
    """1 at the `top` significant genes of largest |log2 fold change|, the first of equal ones."""

    def compute() -> Floats:
        assert side.significant is not None
        return _extreme(np.where(side.significant, np.abs(side.log2_fc), np.nan), top)

    marks: Floats = side.once(("strongest", top), compute)
    return marks


def _extreme(values: Floats, k: int) -> Floats:
    """1 at the k largest finite values of each row, the first of equal ones."""
    keys = np.where(np.isfinite(values), -values, np.inf)
    if k > keys.shape[1]:
        return np.isfinite(keys).astype(np.float32)
    # Partition finds the k-th value in linear time where a sort of all genes is not needed; of those equal to it the
    # first are taken until there are k, as a stable sort would.
    last = np.partition(keys, k - 1, axis=1)[:, k - 1 : k]
    chosen, tied = keys < last, keys == last
    left = k - chosen.sum(axis=1, keepdims=True)
    chosen |= tied & (np.cumsum(tied, axis=1) <= left)
    return (chosen & np.isfinite(keys)).astype(np.float32)


def _ratio(part: Floats, total: Floats) -> Scores:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(total > 0, part / total, np.nan), dtype=np.float64)


def _sum(x: npt.NDArray[np.int64], y: npt.NDArray[np.int64], paired: bool) -> Floats:
    return np.asarray(x + y if paired else x[:, None] + y[None, :], dtype=np.float64)


def _both(x: npt.NDArray[np.bool_], y: npt.NDArray[np.bool_], paired: bool) -> npt.NDArray[np.bool_]:
    return x & y if paired else x[:, None] & y[None, :]
