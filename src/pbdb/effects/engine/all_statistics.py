"""All statistics of a fit in float64, adjusted p-values and B included, in blocks of genes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pbdb.effects.engine.adjust import FitWide, adjust_rows
from pbdb.effects.engine.fit import Block, Fit
from pbdb.effects.engine.log_odds import TopGenes, log_odds
from pbdb.effects.engine.matrix import BLOCK_BYTES

Floats = npt.NDArray[np.float64]
ROWS = 256
VALUES_KEPT = 1 << 23
Allocate = Callable[[tuple[int, int]], Any]


@dataclass(frozen=True)
class CompleteBlock(Block):
    """A block with adjusted p-values and B, genes x effects; p_value is 0 below the smallest float64.

    p_adj: over the genes of one effect; p_adj_fit: over all genes and effects of the fit.
    """

    p_value: Floats
    p_adj: Floats
    p_adj_fit: Floats
    b: Floats


def complete(fit: Fit, size: int | None = None, allocate: Allocate = np.empty) -> Iterator[CompleteBlock]:
    """Yield every statistic of a fit, `size` genes at a time.

    Adjusted values need all genes. A small fit is kept in memory meanwhile; else the effects are computed twice: the
    first time only their -log10 p are kept, in an array effects x genes from `allocate` (hand in a function that maps
    a file where memory is short), and once more, sorted, for the adjustment over the fit.
    """
    n_effects, n_genes = len(fit.effects), len(fit.genes)
    if not n_effects:
        return
    adjusted = allocate((n_effects, n_genes))
    fit_wide, top = FitWide(n_effects * n_genes), TopGenes(n_effects, n_genes)
    kept = list(fit.blocks(size)) if n_effects * n_genes <= VALUES_KEPT else None
    for block in kept or fit.blocks(size):
        adjusted[:, block.genes] = block.neg_log10_p.T
        fit_wide.add(block.neg_log10_p)
        top.add(block.neg_log10_p, block.t, block.stdev_unscaled, fit.df_total[block.genes])
    for rows in row_blocks(n_effects, n_genes):
        adjusted[rows, :] = adjust_rows(np.asarray(adjusted[rows, :]))
    known = ~np.isnan(fit.s2_post)
    s2_prior, df_total = fit.moderated.s2_prior[known], fit.df_total[known]
    prior = np.full(n_effects, np.nan)
    if known.any():
        prior = top.prior_variance(float(np.median(s2_prior)), float(df_total.max()))
    for block in kept or fit.blocks(size):
        yield _completed(fit, block, np.asarray(adjusted[:, block.genes]).T, fit_wide, prior)


def _completed(fit: Fit, block: Block, adjusted: Floats, fit_wide: FitWide, prior: Floats) -> CompleteBlock:
    genes = block.genes
    return CompleteBlock(
        **vars(block),
        p_value=_power(block.neg_log10_p),
        p_adj=_power(adjusted),
        p_adj_fit=_power(fit_wide.adjust(block.neg_log10_p)),
        b=log_odds(block.t, block.stdev_unscaled, fit.df_total[genes], fit.df_prior[genes], prior),
    )


def _power(neg_log10_p: Floats) -> Floats:
    return np.asarray(10.0**-neg_log10_p)


def row_blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Cut rows into slices of bounded size, multiples of ROWS: chunked files should hold ROWS rows a chunk."""
    step = max(1, BLOCK_BYTES // (8 * ROWS * max(1, n_columns))) * ROWS
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))
