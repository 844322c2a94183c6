"""Robust z-scores within plates, what L1000 calls level 4, as a layer of a canonical file of intensities."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from pbdb.common import output_files
from pbdb.samples import matrix_file

LAYER = "plate_z"
MAD_TO_SD = 1.4826
LEAST_MAD = 0.1


def plate_z(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Score the wells x genes of one plate: (x - median) / (1.4826 max(MAD, 0.1)) by gene, missing wells aside.

    Subramanian et al. 2017, Cell 171:1437, level 4.
    """
    median = _median(values)
    deviation = values - median
    spread = MAD_TO_SD * np.maximum(_median(np.abs(deviation)), LEAST_MAD)
    return np.asarray(deviation / spread, dtype=np.float32)


def _median(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Median of each column; NaN where no well has a value."""
    if not np.isnan(values).any():
        return np.asarray(np.median(values, axis=0))
    medians = np.full(values.shape[1], np.nan, dtype=values.dtype)
    some = ~np.isnan(values).all(axis=0)
    medians[some] = np.nanmedian(values[:, some], axis=0)
    return medians


def has_layer(path: Path) -> bool:
    """Whether a canonical file holds the scores."""
    if not path.is_file():
        return False
    with h5py.File(path) as file:
        return f"layers/{LAYER}" in file


def add_layer(path: Path) -> None:
    """Write the scores of every plate into a canonical file, a plate at a time; every well of a plate counts.

    It is done on a copy that takes the file's place at the end: stopped anywhere, the file is as it was.
    """
    plates = matrix_file.read_annotations(path)[0]["plate"].astype(str).to_numpy()
    with output_files.replacing(path) as part:
        shutil.copyfile(path, part)
        with h5py.File(part, "r+") as file:
            _score(file, plates)


def _score(file: h5py.File, plates: npt.NDArray[Any]) -> None:
    matrix = file["X"]
    chunks = tuple(map(min, matrix.chunks, matrix.shape))
    layer = file.create_dataset(f"layers/{LAYER}", matrix.shape, "f4", chunks=chunks)
    layer.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    for rows in _rows_of(plates):
        together = len(rows) == rows[-1] + 1 - rows[0]
        where = slice(rows[0], rows[-1] + 1) if together else rows
        layer[where] = plate_z(matrix[where])


def _rows_of(plates: npt.NDArray[Any]) -> list[npt.NDArray[np.intp]]:
    """Rows of each plate, ascending."""
    order = np.argsort(plates, kind="stable")
    borders = np.flatnonzero(plates[order][1:] != plates[order][:-1]) + 1
    return np.split(order, borders) if len(plates) else []
