"""Differential expression: pure arrays in, arrays out.

One fit holds all samples of a dataset x context (x stratum): a mean per condition plus an effect per plate, by
limma-voom (counts) or limma-trend (log2 intensities), each treated condition against the vehicle of its time.

    keep = enough_cells(n_cells, min_cells)                        # optional, pseudobulk
    design = build_design(condition, is_control, plate=plate, time=time, keep=keep, mode="pooled")
    fit = prepare(matrix, design, Options(readout="counts"))       # filter, normalise, weigh, moderate

`matrix` is samples x genes: CSC or CSR counts, chunks of CSR through `gather` (best for large ones), or a NumPy
array of any numeric type. `design.effects` has one row per condition (or per treated sample, mode "replicate")
with its status; only those of status `ok` (`fit.effects`: their positions) have numbers. `fit.genes` are the
tested genes. By gene: `fit.ave_expr, sigma, s2_post, df_total, df_prior, df_residual`. `fit.report()` is a plain
dict. p values of counts are those of `count_test`, which hold for one well; limma's stand beside them. Then one of:

    for block in fit.blocks():        # genes x effects, float64: log2_fc, se, t, neg_log10_p, stdev_unscaled, ...
    for block in complete(fit):       # the same and p_value, p_adj, p_adj_fit, b
    summary = fill(fit, {"log2_fc": tile, ...})   # float32 to tiles of any size

Beside it: `deseq2.run(matrix, design, tested_genes(matrix, design))`, one DESeq2 fit per effect, and
`batching.published_batches(perturbagen, is_control)`, the batches of the published runs (fit each with filter
"limma"). Chunked files as tiles are fastest with `ROWS` effects a chunk.

Memory is that of the matrix plus a few blocks of 48 MiB; for `gather` 384 MiB besides, for `fill` 4 bytes per value of
p <= 0.05, for `complete` 16 bytes per value, 24 beside limma's p values, all but 8 of them from `allocate`, which may
map a file, and 56 in fits of up to 8 million values, whose blocks are kept.
Results do not depend on the number of threads.
"""

from pbdb.effects.engine.adjust import FitWide, adjust, adjust_rows
from pbdb.effects.engine.all_statistics import ROWS, CompleteBlock, complete
from pbdb.effects.engine.design import (
    CONFOUNDED,
    NO_DOSE,
    NO_GENE,
    NO_RESIDUAL_DF,
    NO_SAMPLE,
    NO_VEHICLE,
    OK,
    Design,
    Effects,
    enough_cells,
)
from pbdb.effects.engine.design import build as build_design
from pbdb.effects.engine.fit import Fit, FitReport, prepare, tested_genes
from pbdb.effects.engine.gene_fits import Block, Blocks, in_turn
from pbdb.effects.engine.matrix import gather
from pbdb.effects.engine.null_check import NullCheck, NullResult
from pbdb.effects.engine.write_tiles import STATISTICS, Summary, fill
from pbdb.effects.options import Options

__all__ = [
    "CONFOUNDED",
    "NO_DOSE",
    "NO_GENE",
    "NO_RESIDUAL_DF",
    "NO_SAMPLE",
    "NO_VEHICLE",
    "OK",
    "ROWS",
    "STATISTICS",
    "Block",
    "Blocks",
    "CompleteBlock",
    "Design",
    "Effects",
    "Fit",
    "FitReport",
    "FitWide",
    "NullCheck",
    "NullResult",
    "Options",
    "Summary",
    "adjust",
    "adjust_rows",
    "build_design",
    "complete",
    "enough_cells",
    "fill",
    "gather",
    "in_turn",
    "prepare",
    "tested_genes",
]
