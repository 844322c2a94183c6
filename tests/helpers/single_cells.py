"""Single cells for tests: a small AnnData, written in the encodings of old and new files, and tasks that go wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from pbdb import readers
from pbdb.common.tasks import Workers
from pbdb.readers.profile_block import ProfileBlock
from pbdb.samples.pseudobulk import run as pooling
from pbdb.samples.pseudobulk.run import Pooled
from pbdb.sources.declaration import EVERY_CELL, File, Files, Pseudobulk

N_CELLS, N_GENES = 400, 60
KEYS = ("plate", "well", "line")
DECLARED = Pseudobulk(KEYS, constants=("drug", "dose"), filter=EVERY_CELL)


def cells(n_cells: int = N_CELLS, n_genes: int = N_GENES, seed: int = 1, kind: str = "float32") -> ad.AnnData:
    """Cells of 2 plates, 3 wells and 2 lines in no order; a tenth has no line."""
    rng = np.random.default_rng(seed)
    counts = sp.csr_matrix(rng.integers(1, 50, (n_cells, n_genes)) * (rng.random((n_cells, n_genes)) < 0.2))
    wells = rng.choice(["A1", "A2", "B3"], n_cells)
    obs = pd.DataFrame(
        {
            "plate": rng.choice(["p1", "p2"], n_cells),
            "well": wells,
            "line": rng.choice(np.array(["K562", "A549", None], dtype=object), n_cells, p=[0.5, 0.4, 0.1]),
            "drug": pd.Series(wells).map({"A1": "DMSO", "A2": "x", "B3": "y"}).to_numpy(),
            "dose": pd.Series(wells).map({"A1": 0.0, "A2": 0.5, "B3": 10.0}).to_numpy(),
        },
        index=[f"cell{place:04d}" for place in range(n_cells)],
    )
    genes = pd.DataFrame({"symbol": [f"G{i}" for i in range(n_genes)]}, [f"ENSG{i:011d}" for i in range(n_genes)])
    return ad.AnnData(counts.astype(kind), obs, genes)


def write(path: Path, table: ad.AnnData | None = None, **how: Any) -> Path:
    """Write cells as an h5ad file; text columns become categorical, as AnnData does."""
    (cells() if table is None else table).write_h5ad(path, **how)
    return path


def pooled(
    *paths: Path | str,
    folder: Path,
    declared: Pseudobulk = DECLARED,
    workers: Workers | None = None,
    place: Path | None = None,
    **how: Any,
) -> tuple[ad.AnnData, dict[str, Any]]:
    """Pool files; the samples and what became of the cells."""
    out = folder / "samples.h5ad"
    facts = pooling.pseudobulk(list(paths), out, declared, workers=workers, folder=place, **how)
    return ad.read_h5ad(out), facts


def joined(folder: Path, curated: pd.DataFrame, table: ad.AnnData | None = None) -> list[ProfileBlock]:
    """Blocks of a file of cells whose curated table is this."""
    files = {
        "cells": File("cells.h5ad", readers.cell_matrix, pseudobulk=replace(DECLARED, table="table")),
        "table": File("cells.parquet", readers.parquet),
    }
    curated.to_parquet(folder / "cells.parquet")
    paths = {"cells": write(folder / "cells.h5ad", table), "table": folder / "cells.parquet"}
    return list(Files(files, paths, Pooled(files, folder / "pooled", Workers()))["cells"])


def expected(table: ad.AnnData, keys: tuple[str, ...] = KEYS) -> pd.DataFrame:
    """Sums of cells by their keys, the plain way."""
    named = table.obs[list(keys)].astype(object)
    kept = named.notna().all(axis=1).to_numpy()
    sums = pd.DataFrame(table.X.toarray()[kept], columns=table.var_names)
    return sums.groupby(["_".join(row) for row in named[kept].itertuples(index=False)]).sum().astype("int64")


def frame(samples: ad.AnnData) -> pd.DataFrame:
    """Sums of samples, in the order of their names."""
    return pd.DataFrame(samples.X.toarray(), samples.obs_names, samples.var_names).sort_index().astype("int64")


def bits(samples: ad.AnnData) -> tuple[Any, ...]:
    """Everything a file of samples holds, as it is stored."""
    parts = (samples.X, samples.layers["psbulk_props"])
    return (*(array.tobytes() for one in parts for array in (one.data, one.indices, one.indptr)), samples.obs.to_csv())


def as_old(path: Path, target: Path, style: str) -> Path:
    """Rewrite an h5ad file as older versions of AnnData did: 'records' before 0.7, 'categories' of 0.7."""
    table = ad.read_h5ad(path)
    with h5py.File(target, "w") as file:
        group = file.create_group("X")
        group.attrs["h5sparse_format" if style == "records" else "encoding-type"] = (
            "csr" if style == "records" else "csr_matrix"
        )
        group.attrs["h5sparse_shape" if style == "records" else "shape"] = table.shape
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(table.X, name)
        (_records if style == "records" else _categories)(file, "obs", table.obs)
        (_records if style == "records" else _categories)(file, "var", table.var)
    return target


def _codes(column: pd.Series[Any]) -> tuple[Any, Any]:
    found = column.astype("category").cat
    return found.codes.to_numpy(), np.array(found.categories.tolist(), dtype="S")


def _records(file: h5py.File, name: str, table: pd.DataFrame) -> None:
    columns: dict[str, Any] = {"index": table.index.to_numpy().astype("S")}
    for column in table:
        if table[column].dtype.kind == "f":
            columns[column] = table[column].to_numpy()
        else:
            columns[column], texts = _codes(table[column])
            file[f"uns/{column}_categories"] = texts
    kinds = [(column, values.dtype) for column, values in columns.items()]
    records = np.empty(len(table), dtype=kinds)
    for column, values in columns.items():
        records[column] = values
    file[name] = records


def _categories(file: h5py.File, name: str, table: pd.DataFrame) -> None:
    group = file.create_group(name)
    group.attrs["_index"] = "names"
    group["names"] = table.index.to_numpy().astype("S")
    for column in table:
        if table[column].dtype.kind == "f":
            group[column] = table[column].to_numpy()
        else:
            group[column], texts = _codes(table[column])
            group[f"__categories/{column}"] = texts
            group[column].attrs["categories"] = group[f"__categories/{column}"].ref
