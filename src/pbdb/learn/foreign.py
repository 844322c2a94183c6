"""Other people's models: embeddings and predictions in Parquet files, and models of pbdb in folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pbdb.common.errors import DataError, first_line
from pbdb.learn import model_files
from pbdb.learn.compendium_input import Loaded
from pbdb.learn.models.compendium import Floats, Mask, Rows, Values

KEYS = ("parent_inchikey", "inchikey")
VECTORS = ("vector", "vec", "embedding")
OF_PREDICTIONS = ("condition_id", "gene_id", "value")


@dataclass(frozen=True)
class Embedding:
    """Vectors for the compounds of a compendium: compounds x dimensions; manifest where pbdb made it, else None."""

    name: str
    vectors: Floats
    known: Mask
    folder: Path | None

    @property
    def is_declared(self) -> bool:
        """Whether it says what it learned from."""
        return self.folder is not None


def embedding(argument: str, loaded: Loaded) -> Embedding:
    """Read NAME=PATH or PATH: a model's folder, or a Parquet file with parent_inchikey or inchikey, and a vector.

    Raises:
        DataError: the file cannot be read, has no such columns, or knows no compound.
    """
    name, _, path_text = argument.rpartition("=")
    path = Path(path_text)
    folder = path if path.is_dir() else None
    table = model_files.read_vectors(path) if folder else _parquet(path)
    key, vector = (_column(table, names, path) for names in (KEYS, VECTORS))
    rows = dict(zip(table[key].astype(str), table[vector], strict=True))
    names = loaded.conditions.drop_duplicates("compound").set_index("compound")[key]
    vectors = [rows.get(str(names.get(i))) for i in range(len(loaded.compounds))]
    known = np.array([vector is not None for vector in vectors])
    if not known.any():
        raise DataError(f"'{path}' has no vector of any compound here: its {key} must be a standard InChIKey.")
    return Embedding(name or path.stem, _stacked(vectors, path), known, folder)


def _stacked(vectors: list[Any], path: Path) -> Floats:
    width = next(len(vector) for vector in vectors if vector is not None)
    if any(vector is not None and len(vector) != width for vector in vectors):
        raise DataError(f"'{path}' has vectors of different lengths.")
    table = np.array([np.zeros(width) if vector is None else vector for vector in vectors], dtype=np.float64)
    if not np.isfinite(table).all():
        raise DataError(f"'{path}' has vectors with missing or infinite numbers.")
    return table


def _parquet(path: Path) -> pd.DataFrame:
    try:
        table: pd.DataFrame = pq.read_table(path).to_pandas()
    except (OSError, pa.ArrowInvalid) as problem:
        raise DataError(f"'{path}' cannot be read as Parquet ({first_line(problem)}).") from None
    return table


def _column(table: pd.DataFrame, names: tuple[str, ...], path: Path) -> str:
    name = next((name for name in names if name in table), None)
    if name is None:
        raise DataError(f"'{path}' has no column {' or '.join(names)}: it has {', '.join(map(str, table.columns))}.")
    return name


def predictions(
    argument: str, loaded: Loaded, tested: list[Rows], condition_ids: list[Any]
) -> tuple[str, list[Values], int]:
    """Read NAME=PATH or PATH: a Parquet file with condition_id, gene_id, value (log2 fold change).

    Returns the name, values for each tested row (NaN where there is none), and how many tested conditions it has.

    Raises:
        DataError: the file cannot be read, or has no tested condition.
    """
    name, _, path_text = argument.rpartition("=")
    path = Path(path_text)
    table = _parquet(path)
    for column in OF_PREDICTIONS:
        _column(table, (column,), path)
    gene = {gene: i for i, gene in enumerate(loaded.compendium.genes)}
    table = table.assign(gene=table["gene_id"].map(gene)).dropna(subset=["gene"])
    by_condition = dict(list(table.groupby("condition_id")))
    n, out = 0, []
    for rows, ids in zip(tested, condition_ids, strict=True):
        values = np.full((len(rows), len(rows.genes)), np.nan, np.float32)
        for place, condition in enumerate(ids):
            if (part := by_condition.get(condition)) is not None:
                here = part[part["gene"].isin(rows.genes)]
                values[place, np.searchsorted(rows.genes, here["gene"].to_numpy(dtype=np.int64))] = here["value"]
                n += 1
        out.append(values)
    if not n:
        raise DataError(
            f"'{path}' predicts none of the held-out conditions: condition_id must be those of the database."
        )
    return name or path.stem, out, n
