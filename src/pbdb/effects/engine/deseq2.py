"""A second method for counts: DESeq2 (Love, Huber & Anders 2014, Genome Biology 15:550) through PyDESeq2.

One fit per effect: its treated wells and the vehicle wells of the same time on the same plates (of all plates if
those are fewer than three), model ~ plate + condition. PyDESeq2's defaults hold: Cook's outliers are refitted or
lose their p-value, and independent filtering takes genes of low mean from the adjustment (their p_adj is NaN).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pbdb.common.arrays import Floats, Ints, Mask
from pbdb.effects.engine.adjust import FitWide
from pbdb.effects.engine.design import CONFOUNDED, NO_RESIDUAL_DF, OK, Design
from pbdb.effects.engine.matrix import wrap
from pbdb.effects.engine.tails import LOG10, log_t_tail
from pbdb.effects.engine.write_tiles import ADJUSTED, LEVEL, Summary, Tile, count, summarise

NOT_FITTED = "not_fitted"
MIN_VEHICLES = 3


@dataclass(frozen=True)
class Subset:
    """Wells of one effect: positions in the caller's order, which are treated, and the plate (code) of each."""

    samples: Ints
    treated: Mask
    plate: Ints

    @property
    def status(self) -> str:
        """`ok`, or why ~ plate + condition cannot be fitted to these wells."""
        plates = (self.plate[:, None] == np.unique(self.plate)).astype(float)
        rank = int(np.linalg.matrix_rank(np.column_stack([plates, self.treated])))
        if rank <= plates.shape[1]:
            return CONFOUNDED
        return OK if len(self.samples) > rank else NO_RESIDUAL_DF


@dataclass(frozen=True)
class Wald:
    """Result of one effect: arrays by gene (those asked for), NaN where DESeq2 gives none; None unless ok."""

    effect: int
    status: str
    subset: Subset
    base_mean: Floats | None = None
    log2_fc: Floats | None = None
    se: Floats | None = None
    statistic: Floats | None = None
    neg_log10_p: Floats | None = None
    p_value: Floats | None = None
    p_adj: Floats | None = None


def wells(design: Design, effect: int) -> Subset:
    """Choose the wells of one effect (a position in `design.effects`, of status ok)."""
    layout = design.layout
    plate = np.repeat(layout.cell_plate, np.diff(layout.cell_start))
    treated = design.sample_condition == design.effects.treated[effect]
    vehicle = design.sample_condition == design.effects.vehicle[effect]
    near = vehicle & np.isin(plate, plate[treated])
    chosen = np.flatnonzero(treated | (near if near.sum() >= MIN_VEHICLES else vehicle))
    return Subset(design.samples[chosen], treated[chosen], plate[chosen])


def run(matrix: Any, design: Design, genes: Ints | None = None, threads: int = 1) -> Iterator[Wald]:
    """Fit every effect of status ok, `threads` at a time, and yield the results in the order of the design.

    `matrix` holds counts, samples x genes; `genes` are positions of the genes wanted (all unless given).

    Raises:
        DataError: values that cannot be counts.
    """
    from joblib import Parallel, delayed  # type: ignore[import-untyped]

    values = wrap(matrix, "counts")
    chosen = np.arange(values.shape[1]) if genes is None else genes
    jobs = (
        delayed(fit_effect)(int(effect), subset, values.genes(chosen, subset.samples).T)
        for effect in design.ok
        for subset in [wells(design, int(effect))]
    )
    yield from Parallel(n_jobs=threads, return_as="generator")(jobs)


def fit_effect(effect: int, subset: Subset, counts: Floats) -> Wald:
    """Fit one effect; counts are wells x genes."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if subset.status != OK:
        return Wald(effect, subset.status, subset)
    try:
        with warnings.catch_warnings(), threadpool_limits(1):  # its matrices are tiny: threads only get in the way
            warnings.simplefilter("ignore")
            table = _fit(counts.astype(np.int64), subset)
    except (ValueError, FloatingPointError, np.linalg.LinAlgError):
        return Wald(effect, NOT_FITTED, subset)
    column = {name: table[name].to_numpy(dtype=np.float64) for name in table.columns}
    tail = log_t_tail(column["stat"], np.inf) / -LOG10
    return Wald(
        effect,
        OK,
        subset,
        base_mean=column["baseMean"],
        log2_fc=column["log2FoldChange"],
        se=column["lfcSE"],
        statistic=column["stat"],
        neg_log10_p=np.where(np.isnan(column["pvalue"]), np.nan, tail),
        p_value=column["pvalue"],
        p_adj=column["padj"],
    )


def fill(results: Sequence[Wald], tiles: Mapping[str, Tile]) -> Summary:
    """Write results of status ok to tiles, as `tiles.fill` does, and count the responding genes.

    The adjustment within an effect is DESeq2's own: NaN where it gives none.
    """
    n_genes = len(results[0].log2_fc) if results and results[0].log2_fc is not None else 0
    fit_wide = FitWide(max(1, len(results) * n_genes), largest_p=LEVEL, dtype=np.float32)
    for row, result in enumerate(results):
        statistics = {"log2_fc": result.log2_fc, "se": result.se, "neg_log10_p": result.neg_log10_p}
        statistics[ADJUSTED] = _adjusted(result)
        for name, values in statistics.items():
            tiles[name][row : row + 1, :] = np.asarray(values, dtype=np.float32)[None]
        fit_wide.add(np.asarray(result.neg_log10_p, dtype=np.float32))
    everything = (slice(0, len(results)), slice(0, n_genes))
    cutoff = fit_wide.cutoff(LEVEL)
    p, adjusted = (np.asarray(tiles[name][everything]) for name in ("neg_log10_p", ADJUSTED))
    counted = count(p, np.asarray(tiles["log2_fc"][everything]) > 0, adjusted, np.inf if cutoff is None else cutoff)
    return summarise(counted, cutoff, fit_wide.n_tests)


def _adjusted(result: Wald) -> Floats:
    """-log10 of the adjusted p-values; where these are too small for a number, Bonferroni's bound."""
    p_adj, tail = np.asarray(result.p_adj), np.asarray(result.neg_log10_p)
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(p_adj == 0, tail - np.log10(len(tail)), -np.log10(p_adj)))


def _fit(counts: Ints, subset: Subset) -> Any:
    """Return PyDESeq2's table of results."""
    import pandas as pd
    from pydeseq2.dds import DeseqDataSet
    from pydeseq2.default_inference import DefaultInference
    from pydeseq2.ds import DeseqStats

    names = [f"w{i}" for i in range(len(counts))]
    sheet = pd.DataFrame(
        {
            "plate": [f"p{code}" for code in subset.plate],
            "condition": np.where(subset.treated, "treated", "vehicle"),
        },
        index=names,
    )
    frame = pd.DataFrame(counts, index=names, columns=[f"g{i}" for i in range(counts.shape[1])])
    formula = "~plate + condition" if sheet.plate.nunique() > 1 else "~condition"
    inference = DefaultInference(n_cpus=1)
    model = DeseqDataSet(counts=frame, metadata=sheet, design=formula, inference=inference, quiet=True)
    model.deseq2()
    contrast = DeseqStats(model, contrast=["condition", "treated", "vehicle"], inference=inference, quiet=True)
    contrast.summary()
    return contrast.results_df
