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
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from pbdb.common.arrays import Floats, Ints, Mask
from pbdb.effects.engine import count_test, unweighted, voom, weighted
from pbdb.effects.engine.count_test import CountTests, GeneFacts
from pbdb.effects.engine.left_out import checked_wells, leave_out
from pbdb.effects.engine.matrix import Matrix, gene_blocks, genes_per_block
from pbdb.effects.engine.tails import neg_log10_p
from pbdb.effects.engine.weighted import Fitted
from pbdb.effects.options import Span


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


OF_EFFECTS = ("log2_fc", "stdev_unscaled", "se", "t", "neg_log10_p", "neg_log10_p_limma")
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


def first_pass(reader: Reader, genes: Ints, span: Span, blocks: Blocks = in_turn) -> FirstPass:
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


@dataclass(frozen=True)
class Block:
    """Effects of consecutive tested genes, float64, genes x effects (those of status ok, in design order).

    `genes` is the slice of `Fit.genes` it holds. neg_log10_p is of the kind the fit has; where that is `counts`,
    neg_log10_p_limma stands beside it, null_neg_log10_p is of the checked vehicle wells (genes x wells), and
    dispersion of each gene.
    """

    genes: slice
    log2_fc: Floats
    stdev_unscaled: Floats
    se: Floats
    t: Floats
    neg_log10_p: Floats
    neg_log10_p_limma: Floats | None = None
    null_neg_log10_p: Floats | None = None
    dispersion: Floats | None = None

    def only(self, names: frozenset[str]) -> Block:
        """Keep these statistics of the effects, in float32, and empty the others; what is of wells or genes stays."""
        kept: dict[str, Any] = {}
        for name in OF_EFFECTS:
            values = getattr(self, name)
            if values is not None:
                kept[name] = values.astype(np.float32) if name in names else np.empty((0, 0), np.float32)
        if self.null_neg_log10_p is not None:
            kept["null_neg_log10_p"] = self.null_neg_log10_p.astype(np.float32)
        return replace(self, **kept)


@dataclass(frozen=True)
class EffectsOfBlock:
    """Makes the effects of one block after another.

    effects: positions in the design. By tested gene: variance, s2_post, df_total, and whether tables of tails are worth
    making. names: see `Fit.blocks`.
    """

    effects: Ints
    curve: voom.Curve | None
    tests_counts: bool
    variance: Floats
    s2_post: Floats
    df_total: Floats
    in_table: Mask
    names: frozenset[str] | None = None

    def __call__(self, reader: Reader, genes: Ints, part: slice) -> Block:
        """Fit the genes of a block and moderate; test counts where the fit does."""
        block = self._block(reader, genes, part)
        return block if self.names is None else block.only(self.names)

    def _block(self, reader: Reader, genes: Ints, part: slice) -> Block:
        if self.tests_counts and self.curve is not None:
            facts = GeneFacts(self.variance[part], self.s2_post[part])
            fitted, tests = reader.fit_and_test(genes, self.effects, self.curve, facts)
            return self._with_count_p(self._moderate(part, fitted), tests)
        return self._moderate(part, reader.fit(genes, self.effects, self.curve))

    def _with_count_p(self, block: Block, tests: CountTests) -> Block:
        df, in_table = self.df_total[block.genes], self.in_table[block.genes]
        tests.z[np.isnan(block.t)] = np.nan
        return replace(
            block,
            neg_log10_p=neg_log10_p(tests.z, df, in_table),
            neg_log10_p_limma=block.neg_log10_p,
            null_neg_log10_p=neg_log10_p(tests.null_z, df, in_table),
            dispersion=tests.dispersion,
        )

    def _moderate(self, part: slice, fitted: Fitted) -> Block:
        se = fitted.stdev_unscaled * np.sqrt(self.s2_post[part])[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(se > 0, fitted.log2_fc / se, np.nan)
        se[np.isnan(t)] = np.nan
        p = neg_log10_p(t, self.df_total[part], self.in_table[part])
        return Block(part, fitted.log2_fc, fitted.stdev_unscaled, se, t, p)
