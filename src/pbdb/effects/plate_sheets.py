"""Anyone's plates: a matrix and a sample sheet, read and checked against each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from pbdb.common.arrays import Mask, is_whole
from pbdb.common.errors import DataError, DesignError
from pbdb.effects.engine.checks import LARGEST_LOG2, check_counts, check_intensities
from pbdb.readers import matrices, tables

REQUIRED = ("sample_id", "compound", "dose_um", "time_h", "plate", "is_control")
OPTIONAL = ("context", "well", "stratum", "n_cells")
TRUE = frozenset({"true", "t", "yes", "y", "1", "1.0"})
FALSE = frozenset({"false", "f", "no", "n", "0", "0.0"})


@dataclass(frozen=True)
class Plates:
    """Samples, genes and values of an experiment.

    sheet: one row per sample in the order of the matrix, with REQUIRED and OPTIONAL columns (missing ones null)
    and `condition`, the label; dose_um is NaN where unknown. values: samples x genes.
    ignored: columns of the sheet that were not read.
    """

    sheet: pd.DataFrame
    genes: npt.NDArray[np.object_]
    values: Any
    ignored: tuple[str, ...]


def read(matrix: Path, sheet: Path, readout: str) -> Plates:
    """Read a matrix and its sample sheet; `readout` is counts or log2_intensity.

    Raises:
        SourceError: a file is not there.
        DataError: a file is unreadable, the two do not list the same samples, or values contradict the readout.
        DesignError: no sample is a vehicle, or all are.
    """
    samples, ignored = read_sheet(sheet)
    profiles = matrices.read(matrix, sparse=readout == "counts")
    samples = tables.aligned(samples, "sample_id", profiles.samples, sheet.name, matrix.name)
    _check_values(profiles, readout)
    return Plates(samples, profiles.genes, profiles.values, ignored)


def read_sheet(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read a sample sheet (.csv, or .tsv and .txt with tabs); also return the names of columns left unread."""
    text = (tables.tsv if matrices.ending(path) in (".tsv", ".txt") else tables.csv)(path)
    text.columns = text.columns.str.strip()
    missing = [name for name in REQUIRED if name not in text]
    if missing:
        raise DataError(
            f"The sheet '{path.name}' has no column '{missing[0]}'; it needs {', '.join(REQUIRED)} "
            f"and may have {', '.join(OPTIONAL)}.",
            file=path.name,
            column=missing[0],
        )
    sheet = text.reindex(columns=[*REQUIRED, *OPTIONAL])
    _refuse_empty(path, sheet, "context" in text)
    sheet["is_control"] = _flags(path, sheet)
    for name in ("dose_um", "time_h", "n_cells"):
        sheet[name] = _numbers(path, sheet, name)
    sheet["condition"] = [label(*row) for row in sheet[["compound", "dose_um", "time_h", "stratum"]].to_numpy()]
    _refuse_one_sided(path, sheet)
    return sheet, tuple(name for name in text.columns if name not in (*REQUIRED, *OPTIONAL))


def label(compound: object, dose_um: float, time_h: float, stratum: object) -> str:
    """Return the name of a condition: {compound}_{dose}uM_{time}h[_{stratum}], numbers with 15 digits.

    An unknown dose is written `nan`.
    """
    name = f"{compound}_{_digits(dose_um)}uM_{_digits(time_h)}h"
    return f"{name}_{stratum}" if isinstance(stratum, str) else name


def _digits(number: float) -> str:
    """Write a number with up to 15 significant digits and without exponent."""
    return "nan" if math.isnan(number) else format(Decimal(f"{number:.15g}"), "f")


def _refuse_empty(path: Path, sheet: pd.DataFrame, has_context: bool) -> None:
    """Refuse empty cells; a dose may be unknown, and a vehicle needs no compound."""
    for name in ("sample_id", "time_h", "plate", "is_control", *(["context"] if has_context else [])):
        empty = np.flatnonzero(sheet[name].isna())
        if len(empty):
            raise DataError(
                f"Row {empty[0] + 2} of the sheet '{path.name}' has no {name}: fill it in.",
                file=path.name,
                line=int(empty[0]) + 2,
                column=name,
            )


def _flags(path: Path, sheet: pd.DataFrame) -> pd.Series[bool]:
    text = sheet["is_control"].str.strip().str.lower()
    wrong = ~text.isin(TRUE | FALSE)
    if wrong.any():
        raise _bad_cell(path, sheet, "is_control", wrong, "true or false")
    control = text.isin(TRUE)
    if (~control & sheet["compound"].isna()).any():
        sample = sheet["sample_id"][~control & sheet["compound"].isna()].iloc[0]
        raise DataError(
            f"Sample '{sample}' of the sheet '{path.name}' is treated with no compound: name it.",
            file=path.name,
            column="compound",
            value=sample,
        )
    return control


def _numbers(path: Path, sheet: pd.DataFrame, name: str) -> pd.Series[float]:
    numbers = pd.to_numeric(sheet[name], errors="coerce").astype(np.float64)
    wrong = sheet[name].notna() & ~(np.isfinite(numbers) & (numbers >= 0))
    if wrong.any():
        raise _bad_cell(path, sheet, name, wrong, "a number from 0")
    return numbers


def _bad_cell(path: Path, sheet: pd.DataFrame, name: str, wrong: pd.Series[bool], wanted: str) -> DataError:
    row = sheet[wrong].iloc[0]
    return DataError(
        f"The {name} of sample '{row['sample_id']}' in the sheet '{path.name}' is '{row[name]}': give {wanted}.",
        file=path.name,
        column=name,
        value=row[name],
    )


def _refuse_one_sided(path: Path, sheet: pd.DataFrame) -> None:
    if not sheet["is_control"].any():
        raise DesignError(
            f"No sample of the sheet '{path.name}' is a vehicle: set is_control to true for those wells.",
            file=path.name,
            column="is_control",
        )
    if sheet["is_control"].all():
        raise DesignError(
            f"All samples of the sheet '{path.name}' are vehicles: there is nothing to compare with them.",
            file=path.name,
            column="is_control",
        )


def _check_values(profiles: matrices.Profiles, readout: str) -> None:
    """Refuse values that contradict the readout, and say where the first of them is."""
    try:
        stored = profiles.values.data if sp.issparse(profiles.values) else profiles.values
        (check_counts if readout == "counts" else check_intensities)(stored)
    except DataError as problem:
        wrong = _wrong_count if readout == "counts" else _wrong_intensity
        raise DataError(f"{str(problem).rstrip('.')}{_where(profiles, wrong)}.") from None
    if readout == "counts" and not stored.any():
        raise DataError("All counts of the matrix are zero: it is not the one that belongs to the sheet.")


def _wrong_count(values: npt.NDArray[Any]) -> Mask:
    return ~is_whole(values)


def _wrong_intensity(values: npt.NDArray[Any]) -> Mask:
    return np.asarray(np.abs(values) > LARGEST_LOG2)


def _where(profiles: matrices.Profiles, is_wrong: Any) -> str:
    values = profiles.values
    if sp.issparse(values):
        stored = values.tocoo()
        wrong = is_wrong(stored.data)
        samples, genes = stored.coords[0][wrong], stored.coords[1][wrong]
    else:
        samples, genes = np.nonzero(is_wrong(values))
    if not len(genes):
        return ""
    first = np.lexsort((samples, genes))[0]
    return f" (gene {profiles.genes[genes[first]]} in sample {profiles.samples[samples[first]]})"
