"""The two files of anyone's plates, a matrix and a sheet, read and fitted to each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pbdb import readers
from pbdb.common.errors import ConfigError, DataError
from pbdb.common.typed_cells import one_spelling, told_as_one
from pbdb.loading.sheet_inference import compound, quoted, sample_column
from pbdb.readers import matrices, mtx_folders
from pbdb.readers.handwritten import sheets
from pbdb.readers.handwritten.pairing import of_matrix
from pbdb.readers.matrices import Profiles
from pbdb.readers.opening import ending
from pbdb.readers.profile_block import ProfileBlock
from pbdb.readers.profiles import TENX_MATRIX


@dataclass(frozen=True)
class TwoFiles:
    """The two files as read, and where they lie; `sheet` holds the rows of samples that the matrix has."""

    declaration: Path
    folder: Path
    matrix: Path
    samples: Path
    profiles: Profiles
    sheet: pd.DataFrame
    sample: str
    counted: Mapping[str, int]
    all_have_counts: bool
    reader: str
    notes: tuple[str, ...]

    @property
    def key(self) -> str:
        """Of the source, and of its one dataset."""
        return self.declaration.stem


def read(path: Path, matrix: Path, samples: Path | None) -> TwoFiles:
    """Read a matrix and its sheet, and keep the rows whose samples the matrix has; see `draft_source.write`.

    Raises:
        ConfigError: there is no sheet.
        SourceError, DataError: a file is not there or cannot be read, or the two share no sample.
    """
    if samples is None and ending(matrix) != ".h5ad":
        raise ConfigError(f"'{matrix.name}' does not describe its samples: give a sheet with --samples.")
    profiles = matrices.read(matrix.parent if matrix.name in TENX_MATRIX else matrix, sparse=True)
    written = _sheet(matrix, samples, profiles)
    key = sample_column(written.table, profiles.samples)
    if key is None:
        for column in written.table.columns:  # names that stand twice are refused there, by name
            if of_matrix(written.table[column].dropna().tolist(), profiles.samples.tolist())[0]:
                readers.paired(profiles, written.table, str(column))
        raise DataError(
            f"No column of '{(samples or matrix).name}' holds sample names of '{matrix.name}', such as "
            f"'{profiles.samples[0]}': add one that says which column of the matrix a row is."
        )
    block = readers.paired(profiles, written.table, key)
    place = mtx_folders.tenx_files(matrix)[0] if matrix.is_dir() else matrix
    values, table = place.absolute(), (samples or matrix).absolute()
    folder = Path(os.path.commonpath([values.parent, table.parent]))
    reader = "obs" if samples is None else f"worksheet({quoted(written.worksheet)})" if written.worksheet else "sheet"
    notes = (*written.notes, *_notes(profiles, block.samples, written.table[key].dropna(), matrix))
    counted, has_counts = block.left_out, _no_zero(block)
    return TwoFiles(path, folder, values, table, profiles, block.samples, key, counted, has_counts, reader, notes)


def _sheet(matrix: Path, samples: Path | None, profiles: Profiles) -> sheets.Sheet:
    if samples is None:
        table = readers.obs(matrix)
        return sheets.Sheet(table, tuple(range(len(table))))
    return read_sheet(samples, lambda table: sample_column(table, profiles.samples) is not None)


def _notes(profiles: Profiles, rows: pd.DataFrame, names: pd.Series[str], matrix: Path) -> Iterator[str]:
    """What of the matrix is not taken as it stands, and compounds written in two ways."""
    _, how = of_matrix(names.tolist(), profiles.samples.tolist())
    if how:
        yield f"names of the sheet and of '{matrix.name}' are the same {how}"
    if profiles.left_out:
        yield f"left out of '{matrix.name}', as no gene or sample: {', '.join(profiles.left_out)}"
    for column in compound(rows).columns:
        if respelled := one_spelling(rows[column].dropna()):
            yield told_as_one(respelled)


def _no_zero(block: ProfileBlock) -> bool:
    return bool((abs(block.matrix).sum(axis=1) != 0).all())


def read_sheet(path: Path, fits: Callable[[pd.DataFrame], bool] | None = None) -> sheets.Sheet:
    """Read a sample sheet in any form that people give tables; see `sheets.read`.

    Raises:
        DataError: it has one column only.
    """
    sheet = sheets.read(path, fits)
    if len(sheet.table.columns) < 2 or sheet.table.empty:
        raise DataError(
            f"The sheet '{path.name}' has {len(sheet.table.columns)} columns and {len(sheet.table)} rows: give one row "
            "per sample, its cells separated by commas, semicolons or tabs, or in a workbook (.xlsx)."
        )
    return sheet
