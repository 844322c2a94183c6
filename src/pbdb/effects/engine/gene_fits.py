"""Turn genes of a matrix into responses, and fit them block by block, here or elsewhere.

All that needs every gene at once (filter, library sizes, voom curve, moderation, adjustment) stays with the caller;
between these lie passes over blocks of genes, each of which is a pure function of a `Reader` of its genes and plain
arrays. `in_turn` does them here; another `Blocks` may send them to other machines: genes are independent of each other
and nothing is summed across a block, so where and in which order they are done decides no bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from pbdb.common.arrays import Floats, Ints
from pbdb.effects.engine import count_test, unweighted, voom, weighted
from pbdb.effects.engine.count_test import CountTests, GeneFacts
from pbdb.effects.engine.left_out import checked_wells, leave_out
from pbdb.effects.engine.matrix import Matrix, gene_blocks, genes_per_block
from pbdb.effects.engine.weighted import Fitted


@dataclass
class Reader:
    """Turns genes of the matrix into responses and fits them."""

    matrix: Matrix
    shared: unweighted.Shared
    method: Literal["voom", "trend"]
    library: Floats | None
    stdev: dict[bytes, Floats] = field(default_factory=dict)

    def only(self, genes: Ints) -> Reader:
        """Return the reader of these genes alone, numbered from 0."""
        return replace(self, matrix=self.matrix.only(genes), stdev={})

    def values(self, genes: Ints) -> Floats:
        """Return the responses of genes, genes x samples in design order."""
        block = self.matrix.genes(genes, self.shared.design.samples)
        if self.library is None:
            return block
        log_cpm = voom.log_cpm if self.method == "voom" else voom.log_cpm_prior
        return log_cpm(block, self.library)

    def weights(self, y: Floats, curve: voom.Curve) -> Floats:
        """Return the voom weights of responses."""
        assert self.library is not None
        return voom.weights(unweighted.fit(y, self.shared), self.shared.design, self.library, curve)

    def fit(self, genes: Ints, effects: Ints, curve: voom.Curve | None) -> Fitted:
        """Fit genes with weights when there is a curve, else without."""
        y = self.values(genes)
        if curve is not None:
            return weighted.fit_weighted(y, self.weights(y, curve), self.shared.design, effects)
        return self.fit_values(y, effects)

    def fit_and_test(
        self, genes: Ints, effects: Ints, curve: voom.Curve, facts: GeneFacts
    ) -> tuple[Fitted, CountTests]:
        """Fit genes with weights and test their counts; facts: of the same genes."""
        assert self.library is not None
        design = self.shared.design
        counts = self.matrix.genes(genes, design.samples)
        y = voom.log_cpm(counts.copy(), self.library)
        w = self.weights(y, curve)
        fitted, plates = weighted.fit_with_plates(y, w, design, effects)
        left_out = leave_out(y, w, plates, design, checked_wells(design))
        return fitted, count_test.run(counts, self.library, plates, left_out, facts, design)

    def fit_values(self, y: Floats, effects: Ints) -> Fitted:
        """Fit responses without weights; genes with missing values one by one."""
        design = self.shared.design
        missing = np.asarray(np.isnan(y).any(axis=1))
        if missing.all():
            return weighted.fit_missing(y, design, effects)
        complete = unweighted.fit(np.where(missing[:, None], 0.0, y) if missing.any() else y, self.shared)
        out = Fitted(
            complete.variance,
            np.full(len(y), float(design.df_residual)),
            complete.log2_fc(design, effects),
            np.tile(self._stdev_unscaled(effects), (len(y), 1)),
        )
        if missing.any():
            for all_genes, some in zip(out, weighted.fit_missing(y[missing], design, effects), strict=True):
                all_genes[missing] = some
        return out

    def _stdev_unscaled(self, effects: Ints) -> Floats:
        key = effects.tobytes()
        if key not in self.stdev:
            self.stdev[key] = self.shared.stdev_unscaled(effects)
        return self.stdev[key]


Made = TypeVar("Made")
# What is made of a block of genes: their positions in the reader's matrix, and their slice of all tested genes.
Work = Callable[[Reader, Ints, slice], Made]


class Blocks(Protocol):
    """Does work on genes in blocks."""

    def __call__(self, reader: Reader, genes: Ints, size: int, work: Work[Made], /) -> Iterator[tuple[slice, Made]]:
        """Work on `genes`, `size` at a time; yield what is made of each block, in any order."""
        ...


def in_turn(reader: Reader, genes: Ints, size: int, work: Work[Made]) -> Iterator[tuple[slice, Made]]:
    """Do the blocks here, one after the other."""
    for part in gene_blocks(genes, size):
        yield part, work(reader, genes[part], part)


class FirstPass(NamedTuple):
    """By gene: average expression, variance and df of the fit without weights; and the voom curve (or None)."""

    ave_expr: Floats
    variance: Floats
    df_residual: Floats
    curve: voom.Curve | None


def first_pass(reader: Reader, genes: Ints, span: voom.Span, blocks: Blocks = in_turn) -> FirstPass:
    """Fit genes without weights; for voom draw the curve of the weights, unless no df are left."""
    n, design = len(genes), reader.shared.design
    ave_expr, variance, df = np.empty(n), np.empty(n), np.empty(n)
    detected = np.ones(n, dtype=bool)
    for part, found in blocks(reader, genes, genes_per_block(design.n_samples), _first_of_block):
        ave_expr[part], variance[part], df[part], detected[part] = found
    curve = None
    if reader.method == "voom" and reader.library is not None and design.df_residual > 0:
        curve = voom.trend(ave_expr, np.sqrt(variance), detected, reader.library, span)
    return FirstPass(ave_expr, variance, df, curve)


def _first_of_block(reader: Reader, genes: Ints, part: slice) -> tuple[Floats, Floats, Floats, npt.NDArray[np.bool_]]:
    y = reader.values(genes)
    fitted = reader.fit_values(y, np.empty(0, np.int64))
    return _mean_of_known(y), fitted.variance, fitted.df_residual, _has_counts(y, reader)


def _mean_of_known(y: Floats) -> Floats:
    mean = np.asarray(y.mean(axis=1))
    for gene in np.flatnonzero(np.isnan(mean)):
        known = y[gene][~np.isnan(y[gene])]
        mean[gene] = known.mean() if len(known) else np.nan
    return mean


def _has_counts(y: Floats, reader: Reader) -> npt.NDArray[np.bool_]:
    """Whether any response lies above that of a zero count."""
    if reader.method != "voom" or reader.library is None:
        return np.ones(len(y), dtype=bool)
    zero = voom.log_cpm(np.zeros((1, y.shape[1])), reader.library)
    return np.asarray((y > zero).any(axis=1))


def variances(reader: Reader, genes: Ints, curve: voom.Curve, blocks: Blocks = in_turn) -> tuple[Floats, Floats]:
    """Fit genes with weights, for their variances and df only."""
    variance, df = np.empty(len(genes)), np.empty(len(genes))
    size = genes_per_block(reader.shared.design.n_samples)
    for part, found in blocks(reader, genes, size, partial(_variances_of_block, curve=curve)):
        variance[part], df[part] = found
    return variance, df


def _variances_of_block(reader: Reader, genes: Ints, part: slice, *, curve: voom.Curve) -> tuple[Floats, Floats]:
    fitted = reader.fit(genes, np.empty(0, np.int64), curve)
    return fitted.variance, fitted.df_residual
