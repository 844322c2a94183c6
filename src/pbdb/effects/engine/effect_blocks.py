"""The effects of a block of genes: a pure function of the block, the fit's facts of its genes, and the voom curve."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pbdb.common.arrays import Floats, Ints, Mask
from pbdb.effects.engine import voom
from pbdb.effects.engine.count_test import CountTests, GeneFacts
from pbdb.effects.engine.gene_fits import Reader
from pbdb.effects.engine.tails import neg_log10_p
from pbdb.effects.engine.weighted import Fitted


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


OF_EFFECTS = ("log2_fc", "stdev_unscaled", "se", "t", "neg_log10_p", "neg_log10_p_limma")


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
