"""The table of effects in the forms people open: CSV, a workbook, or AnnData of effects x genes."""

from __future__ import annotations

import gzip
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from pbdb.common import workbook_writer
from pbdb.common.errors import ConfigError, DataError
from pbdb.common.output_files import replacing
from pbdb.effects.long_table import GENE_SYMBOL, OF_EFFECT, SAMPLE

MOST_ROWS = 1_048_576  # of a worksheet
X = "log2_fc"


def form_of(out: Path) -> str:
    """The form a name asks for.

    Raises:
        ConfigError: the name asks for none of them.
    """
    form = next((ending for ending in FORMS if out.name.lower().endswith(ending)), None)
    if form is None:
        raise ConfigError(f"Effects are written as {', '.join(FORMS)}; let the name '{out.name}' end in one of these.")
    return form


@contextmanager
def parquet_of(out: Path) -> Iterator[Path]:
    """Give the name of a Parquet file; what is written there becomes `out` in its form, whole or not at all.

    Raises:
        DataError: the rows do not fit a worksheet.
    """
    form = form_of(out)
    if form == ".parquet":
        yield out
        return
    parquet = out.with_name(f"{out.name}.rows")
    try:
        yield parquet
        with replacing(out) as part:
            FORMS[form](parquet, part)
    finally:
        parquet.unlink(missing_ok=True)


def _as_csv(parquet: Path, part: Path) -> None:
    with part.open("wb") as out:
        _write_csv(parquet, out)


def _as_packed_csv(parquet: Path, part: Path) -> None:
    with part.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as out:
        _write_csv(parquet, out)


def _write_csv(parquet: Path, out: Any) -> None:
    """Text with commas; quotes where a cell needs them, an empty cell where there is no number."""
    with pq.ParquetFile(parquet) as file:
        options = arrow_csv.WriteOptions(quoting_style="needed")
        with arrow_csv.CSVWriter(out, file.schema_arrow, write_options=options) as writer:
            for batch in file.iter_batches():
                writer.write_batch(batch)


def _as_workbook(parquet: Path, part: Path) -> None:
    with pq.ParquetFile(parquet) as file:
        if file.metadata.num_rows >= MOST_ROWS:
            raise DataError(
                f"{file.metadata.num_rows:,} rows do not fit a worksheet, which has {MOST_ROWS:,}: write .csv.gz or "
                ".parquet."
            )
        workbook_writer.save(part, {"effects": _rows(file)})


def _rows(file: pq.ParquetFile) -> Iterator[list[Any]]:
    """Headings and rows; a worksheet has no infinite numbers, so these are the word inf."""
    yield list(file.schema_arrow.names)
    for batch in file.iter_batches():
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield [str(cell) if isinstance(cell, float) and not math.isfinite(cell) else cell for cell in row]


def _as_anndata(parquet: Path, part: Path) -> None:
    """Effects x genes: X is log2_fc, every other number of a gene a layer; NaN where a gene was not tested."""
    import anndata

    table = pd.read_parquet(parquet)
    keys = [name for name in OF_EFFECT if name in table]
    effects = table[[*keys, "status"]].astype(object)
    rows, obs = _numbered(effects)
    tested = table["gene"].notna().to_numpy()
    columns, genes = pd.factorize(table["gene"][tested])
    var = pd.DataFrame(index=pd.Index(np.asarray(genes, dtype=str)))
    if GENE_SYMBOL in table:
        symbols = table[tested].drop_duplicates("gene").set_index("gene")[GENE_SYMBOL]
        var[GENE_SYMBOL] = symbols.loc[genes].to_numpy(dtype=object)
    layers = {}
    for name in table.columns.drop([*keys, "gene", "status"]).drop(GENE_SYMBOL, errors="ignore"):
        layer = np.full((len(obs), len(genes)), np.nan)
        layer[rows[tested], columns] = table[name].to_numpy(np.float64)[tested]
        layers[str(name)] = layer
    effects_by_genes = anndata.AnnData(layers.pop(X), obs=obs, var=var, layers=layers)
    effects_by_genes.write_h5ad(part, compression="gzip")


def _numbered(effects: pd.DataFrame) -> tuple[np.ndarray[Any, Any], pd.DataFrame]:
    """The number of each row's effect, and the effects with a name each."""
    codes = effects.groupby(list(effects.columns), dropna=False, sort=False).ngroup().to_numpy()
    obs = effects[~pd.Series(codes).duplicated().to_numpy()].reset_index(drop=True)
    parts = [name for name in ("context", "condition", SAMPLE) if name in obs and obs[name].notna().any()]
    names = obs[parts].fillna("").astype(str).agg("|".join, axis=1)
    numbers = names.groupby(names).cumcount()
    obs.index = pd.Index(names.where(numbers == 0, names + "|" + (numbers + 1).astype(str)))
    for name in obs.columns:
        column = obs[name].infer_objects()
        obs[name] = column.astype("category") if column.dtype == object else column
    return codes, obs


FORMS: dict[str, Callable[[Path, Path], None]] = {
    ".csv": _as_csv,
    ".csv.gz": _as_packed_csv,
    ".xlsx": _as_workbook,
    ".h5ad": _as_anndata,
    ".parquet": os.replace,
}
"""How each form is made of a Parquet file."""
