"""All statistics of a fit in float64, adjusted p-values and B included, in blocks of genes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from pbdb.common.arrays import Floats
from pbdb.effects.engine.adjust import FitWide, adjust_rows
from pbdb.effects.engine.fit import Fit
from pbdb.effects.engine.gene_fits import Block
from pbdb.effects.engine.log_odds import TopGenes, log_odds
from pbdb.effects.engine.matrix import BLOCK_BYTES
from pbdb.effects.engine.null_check import NullCheck

ROWS = 256
VALUES_KEPT = 1 << 23
Allocate = Callable[[tuple[int, int]], Any]


@dataclass(frozen=True)
class CompleteBlock(Block):
    """A block with adjusted p-values and B, genes x effects; p_value is 0 below the smallest float64.

    p_adj: over the genes of one effect; p_adj_fit: over all genes and effects of the fit. p_value_limma and
    p_adj_limma stand beside p values of counts, else they are None.
    """

    _: KW_ONLY
    p_value: Floats
    p_adj: Floats
    p_adj_fit: Floats
    b: Floats
    p_value_limma: Floats | None = None
    p_adj_limma: Floats | None = None


def complete(
    fit: Fit, size: int | None = None, allocate: Allocate = np.empty, check: NullCheck | None = None
) -> Iterator[CompleteBlock]:
    """Yield every statistic of a fit, `size` genes at a time.

    Adjusted values need all genes. A small fit is kept in memory meanwhile; else the effects are computed twice: the
    first time only their -log10 p are kept, in arrays effects x genes from `allocate` (hand in a function that maps
    a file where memory is short), and once more, sorted, for the adjustment over the fit. `check` gathers the p
    values of the checked vehicle wells.
    """
    n_effects, n_genes = len(fit.effects), len(fit.genes)
    if not n_effects:
        return
    adjusted = {name: allocate((n_effects, n_genes)) for name in _p_names(fit)}
    fit_wide, top = FitWide(n_effects * n_genes), TopGenes(n_effects, n_genes)
    kept = list(fit.blocks(size)) if n_effects * n_genes <= VALUES_KEPT else None
    for block in kept or fit.blocks(size):
        for name, values in adjusted.items():
            values[:, block.genes] = getattr(block, name).T
        fit_wide.add(block.neg_log10_p)
        limma_p = block.neg_log10_p if block.neg_log10_p_limma is None else block.neg_log10_p_limma
        top.add(limma_p, block.t, block.stdev_unscaled, fit.df_total[block.genes])
        if check is not None:
            check.add(block.genes, block.null_neg_log10_p)
    for values in adjusted.values():
        for rows in row_blocks(n_effects, n_genes):
            values[rows, :] = adjust_rows(np.asarray(values[rows, :]))
    prior = _prior_variance(fit, top)
    for block in kept or fit.blocks(size):
        of_genes = {name: np.asarray(values[:, block.genes]).T for name, values in adjusted.items()}
        yield _completed(fit, block, of_genes, fit_wide, prior)


def _prior_variance(fit: Fit, top: TopGenes) -> Floats:
    """As limma's eBayes: the median prior variance and the largest df serve all effects of a fit."""
    known = ~np.isnan(fit.s2_post)
    if not known.any():
        return np.full(len(fit.effects), np.nan)
    s2_prior, df_total = fit.moderated.s2_prior[known], fit.df_total[known]
    return top.prior_variance(float(np.median(s2_prior)), float(df_total.max()))


def _p_names(fit: Fit) -> tuple[str, ...]:
    return ("neg_log10_p", "neg_log10_p_limma") if fit.p_values == "counts" else ("neg_log10_p",)


def _completed(fit: Fit, block: Block, adjusted: dict[str, Floats], fit_wide: FitWide, prior: Floats) -> CompleteBlock:
    """All statistics of a block; p values leave the -log10 scale here, on which nothing underflows."""
    genes, limma_p = block.genes, block.neg_log10_p_limma
    return CompleteBlock(
        **vars(block),
        p_value=_power(block.neg_log10_p),
        p_adj=_power(adjusted["neg_log10_p"]),
        p_value_limma=None if limma_p is None else _power(limma_p),
        p_adj_limma=None if limma_p is None else _power(adjusted["neg_log10_p_limma"]),
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
