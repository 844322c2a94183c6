"""Write a fit to arrays too large for memory, by effect, in float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pbdb.common.arrays import Floats32, Ints
from pbdb.common.errors import ConfigError
from pbdb.effects.engine.adjust import FitWide, adjust_rows
from pbdb.effects.engine.all_statistics import row_blocks
from pbdb.effects.engine.fit import Fit
from pbdb.effects.engine.gene_fits import Block
from pbdb.effects.engine.matrix import transposed
from pbdb.effects.engine.null_check import NullCheck, NullResult, null_spread

ADJUSTED = "neg_log10_p_adj"
ADJUSTED_LIMMA = "neg_log10_p_adj_limma"
P_OF = {ADJUSTED: "neg_log10_p", ADJUSTED_LIMMA: "neg_log10_p_limma"}
OF_LIMMA = ("neg_log10_p_limma", ADJUSTED_LIMMA)
OF_ANY_FIT = ("log2_fc", "se", "t", "stdev_unscaled", "neg_log10_p", ADJUSTED)
STATISTICS = (*OF_ANY_FIT, *OF_LIMMA)
REQUIRED = ("log2_fc", "neg_log10_p", ADJUSTED)
LEVEL = 0.05


class Tile(Protocol):
    """What is written to: a NumPy array, a memory map, an HDF5 data set, ... of two dimensions."""

    def __getitem__(self, key: tuple[slice, slice]) -> Any: ...

    def __setitem__(self, key: tuple[slice, slice], value: Any) -> None: ...


@dataclass(frozen=True)
class Summary:
    """Per effect (those of status ok): genes with a value, and how many respond at 5 % up and down.

    n_up, n_down: by the adjustment within the effect; n_up_fit, n_down_fit: within the fit.
    cutoff_fit: -log10 p of the 5 % over the fit, None when nothing reaches it. For p values of counts also:
    null_spread, median |z| of the genes of an effect over that of the normal law (near 1 where few respond),
    dispersion of each gene (None: no count was tested), and the check on vehicle wells.
    """

    n_genes: Ints
    n_up: Ints
    n_down: Ints
    n_up_fit: Ints
    n_down_fit: Ints
    cutoff_fit: float | None
    n_tests: int
    null_spread: Floats32 | None = None
    dispersion: Floats32 | None = None
    null_check: NullResult | None = None


def fill(
    fit: Fit,
    tiles: Mapping[str, Tile],
    *,
    size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Write statistics of all ok effects to tiles and count the responding genes.

    `tiles` maps names of STATISTICS to tiles effects x genes (log2_fc, neg_log10_p and neg_log10_p_adj are required;
    those of limma only beside p values of counts). Gene blocks are written first; then blocks of effects are read back
    for the adjustment within each effect. `progress(done, of)` (genes) is called after each block of either kind: the
    caller may let go of what is written.

    Raises:
        ConfigError: a statistic that is unknown, or a required one without a tile.
    """
    of_counts = fit.p_values == "counts"
    _check_names(tiles, STATISTICS if of_counts else OF_ANY_FIT)
    n_effects, n_genes = len(fit.effects), len(fit.genes)
    fit_wide = FitWide(n_effects * n_genes, largest_p=LEVEL, dtype=np.float32)
    check, dispersion = NullCheck(fit.n_checked_wells, n_genes), np.full(n_genes, np.nan, np.float32)
    n_done = 0
    for block in fit.blocks(size, tiles):
        _write(block, tiles)
        fit_wide.add(block.neg_log10_p)
        check.add(block.genes, block.null_neg_log10_p)
        if block.dispersion is not None:
            dispersion[block.genes] = block.dispersion
        n_done += block.genes.stop - block.genes.start
        if progress:
            progress(n_done, n_genes)
    summary = _adjust(tiles, fit_wide, (n_effects, n_genes), progress)
    if not of_counts:
        return replace(summary, null_spread=None)
    return replace(summary, dispersion=dispersion, null_check=check.result())


def _check_names(tiles: Mapping[str, Tile], known: tuple[str, ...]) -> None:
    unknown = sorted(set(tiles) - set(known))
    if unknown:
        raise ConfigError(f"Statistic {unknown[0]!r} is not one of this fit; use {', '.join(known)}.")
    missing = [name for name in REQUIRED if name not in tiles]
    if missing:
        raise ConfigError(f"There is no tile for {', '.join(missing)}; the adjustment needs it.")


def _write(block: Block, tiles: Mapping[str, Tile]) -> None:
    for name in set(tiles) - set(P_OF):
        tiles[name][slice(None), block.genes] = transposed(getattr(block, name))


def _adjust(
    tiles: Mapping[str, Tile],
    fit_wide: FitWide,
    shape: tuple[int, int],
    progress: Callable[[int, int], None] | None,
) -> Summary:
    """Adjust each effect and count; the second pass. shape: effects, genes."""
    (n_effects, n_genes), cutoff = shape, fit_wide.cutoff(LEVEL)
    reached = np.inf if cutoff is None else cutoff
    counted, spread = np.zeros((5, n_effects), np.int64), np.empty(n_effects, np.float32)
    genes = slice(0, n_genes)
    for rows in row_blocks(n_effects, n_genes):
        for name in set(tiles) & set(P_OF):
            p: Floats32 = np.asarray(tiles[P_OF[name]][rows, genes], dtype=np.float32)
            adjusted = adjust_rows(p).astype(np.float32)
            tiles[name][rows, genes] = adjusted
            if name == ADJUSTED:
                up = np.asarray(tiles["log2_fc"][rows, genes]) > 0
                counted[:, rows], spread[rows] = count(p, up, adjusted, reached), null_spread(p)
        if progress:
            progress(n_genes, n_genes)
    return replace(summarise(counted, cutoff, fit_wide.n_tests), null_spread=spread)


def summarise(counted: Ints, cutoff: float | None, n_tests: int) -> Summary:
    """Name what `count` counted."""
    n_genes, n_up, n_down, n_up_fit, n_down_fit = counted
    return Summary(n_genes, n_up, n_down, n_up_fit, n_down_fit, cutoff, n_tests)


def count(p: Floats32, up: npt.NDArray[np.bool_], adjusted: Floats32, cutoff: float) -> Ints:
    """Count genes with a value, and those that respond up and down within the effect and over the fit, by row."""
    within, over_fit = adjusted > -np.log10(LEVEL), p >= cutoff
    return np.stack(
        [
            (~np.isnan(p)).sum(axis=1),
            (within & up).sum(axis=1),
            (within & ~up).sum(axis=1),
            (over_fit & up).sum(axis=1),
            (over_fit & ~up).sum(axis=1),
        ]
    )
