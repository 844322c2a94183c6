"""Effects with one row per condition and gene, made from the files that have one row per condition."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pbdb.common.progress import Progress
from pbdb.database.effect_arrays import BY_EFFECT, OF_LIMMA
from pbdb.exports.snapshots import effects_parquet, parquet
from pbdb.exports.snapshots.arrow_schemas import Words, described
from pbdb.exports.snapshots.effects_parquet import Fit
from pbdb.exports.snapshots.parquet import Written

FOLDER = "effect_long"
ROWS_AT_ONCE = 1 << 20
ARRAYS = (*BY_EFFECT, *OF_LIMMA)
LARGEST = 307  # beyond it a p value is 0, as in the views

OF_EFFECT = ("effect_id", "condition_id", "compound_name", "inchikey", "context_name", "dose_um", "time_h", "stratum")
SCHEMA = pa.schema(
    [effects_parquet.SCHEMA.field(name) for name in OF_EFFECT]
    + [("gene_id", pa.string()), ("gene_symbol", pa.string()), ("log2_fc", pa.float32()), ("se", pa.float32())]
    + [("t", pa.float32())]
    + [(name, pa.float64()) for name in ("p_value", "p_adj", "p_value_limma", "p_adj_limma")]
)
SPLIT = ("log2_fc", "se", "t", "p_value", "p_adj", "p_value_limma", "p_adj_limma")


def write(root: Path, fit: Fit, genes: pa.Table, words: Words, progress: Progress) -> Written:
    """Write the long file of a fit, whose other file is done; genes without an estimate are left out.

    genes: gene_id and gene_symbol in array order.
    """
    schema = described(SCHEMA, "condition_effect", words)
    path = fit.path(FOLDER)
    with parquet.written(root, path, schema, SPLIT) as (table, done):
        for rows in _estimated(root / fit.path(), max(1, ROWS_AT_ONCE // max(1, fit.n_genes))):
            table.add(_long(rows, genes))
            progress(path, table.rows, None)
        if not table.rows:
            table.add(SCHEMA.empty_table())
    return done[0]


def _estimated(path: Path, n_rows: int) -> Iterator[pa.RecordBatch]:
    """Effects that have numbers, some at a time."""
    names = [*OF_EFFECT, *ARRAYS]
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(n_rows, columns=names, use_threads=False):
            n_full = batch.num_rows - batch["log2_fc"].null_count
            if n_full:
                yield batch.slice(0, n_full)


def _long(rows: pa.RecordBatch, genes: pa.Table) -> pa.Table:
    flat = {name: _values(rows[name], genes.num_rows) for name in ARRAYS}
    is_there = ~np.isnan(flat["log2_fc"])
    of_effect = pa.array(np.repeat(np.arange(rows.num_rows), genes.num_rows)[is_there])
    of_gene = pa.array(np.tile(np.arange(genes.num_rows), rows.num_rows)[is_there])
    kept = {name: values[is_there] for name, values in flat.items()}
    columns = [rows[name].take(of_effect) for name in OF_EFFECT]
    columns += [genes[name].combine_chunks().take(of_gene) for name in ("gene_id", "gene_symbol")]
    columns += [pa.array(kept["log2_fc"]), pa.array(kept["se"]), _t(kept["log2_fc"], kept["se"])]
    columns += [_p(kept[name]) for name in ARRAYS[2:]]
    return pa.table(columns, schema=SCHEMA)


def _values(lists: pa.Array, n_genes: int) -> npt.NDArray[np.float32]:
    """One value per effect and gene; NaN where the effects have no such list."""
    if lists.null_count == len(lists):
        return np.full(len(lists) * n_genes, np.nan, dtype=np.float32)
    return np.asarray(lists.flatten().to_numpy())


def _t(log2_fc: npt.NDArray[np.float32], se: npt.NDArray[np.float32]) -> pa.Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return pa.array(log2_fc / se, mask=(se == 0))


def _p(neg_log10: npt.NDArray[np.float32]) -> pa.Array:
    wide = neg_log10.astype(np.float64)
    with np.errstate(under="ignore"):
        return pa.array(np.where(wide > LARGEST, 0.0, np.power(10.0, -wide)), mask=np.isnan(wide))
