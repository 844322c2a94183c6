"""Pooled samples as an AnnData file: sums as X, the fraction of cells expressing a gene as a layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb.common import output_files
from pbdb.common.errors import DataError
from pbdb.samples.matrix_file import FRACTIONS, MAX_COUNT
from pbdb.samples.packed_array import PackedArray
from pbdb.samples.pseudobulk.cell_table import sample_names
from pbdb.samples.pseudobulk.parts import Part, fractions


def write_h5ad(part: Part, features: npt.NDArray[Any], keys: tuple[str, ...], path: Path) -> None:
    """Write pooled samples, some at a time, whole or not at all.

    Raises:
        DataError: a sum does not fit 32 bits.
    """
    with output_files.replacing(path) as unfinished, h5py.File(unfinished, "w") as file:
        _write_matrix(file, part)
        _annotate(file, part.samples, features, keys)


def _annotate(file: h5py.File, samples: pd.DataFrame, features: npt.NDArray[Any], keys: tuple[str, ...]) -> None:
    from anndata.io import write_elem

    names = sample_names(samples, keys)
    obs = samples.rename(columns={"n_cells": "psbulk_cells", "n_counts": "psbulk_counts"})
    for name in obs.columns[[kind.kind == "O" for kind in obs.dtypes]]:
        obs[name] = obs[name].astype("category")
    file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    var = pd.DataFrame(index=pd.Index(features.astype(str)))
    write_elem(file, "obs", obs.set_axis(pd.Index(names, dtype=object), axis=0))
    write_elem(file, "var", var)
    for name in ("uns", "obsm", "varm"):
        write_elem(file, name, {})


def _write_matrix(file: h5py.File, part: Part) -> None:
    matrix, layer = file.create_group("X"), file.create_group(f"layers/{FRACTIONS}")
    counts, columns, shares = (
        PackedArray(group, name, kind)
        for group, name, kind in ((matrix, "data", "i4"), (matrix, "indices", "i4"), (layer, "data", "f4"))
    )
    for samples, sums, expressing in part.blocks():
        if sums.nnz and sums.data.max() > MAX_COUNT:
            raise DataError(f"A sum of {sums.data.max():,} counts is larger than {MAX_COUNT:,}: pool fewer cells.")
        counts.extend(sums.data)
        columns.extend(sums.indices)
        shares.extend(fractions(expressing, samples["n_cells"].to_numpy()).data)
    for array in (counts, columns, shares):
        array.finish()
    fits = part.indptr[-1] <= MAX_COUNT  # SciPy wants row starts of the type of the indices, where that holds them
    matrix.create_dataset("indptr", data=part.indptr, dtype="i4" if fits else "i8")
    for name in ("indices", "indptr"):
        layer[name] = matrix[name]  # a hard link: both matrices have values at the same places
    for group in (matrix, layer):
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
        group.attrs["shape"] = np.array([len(part.samples), part.n_columns])
    file["layers"].attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
