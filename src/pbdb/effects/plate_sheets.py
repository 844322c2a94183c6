"""Anyone's plates: a matrix and a sample sheet, read and checked against each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from pbdb.common.arrays import Mask, is_whole
from pbdb.common.errors import DataError, DesignError
from pbdb.effects.engine.checks import LARGEST_LOG2, check_counts, check_intensities
from pbdb.readers import matrices
from pbdb.readers.people import sheets
from pbdb.readers.people.cells import one_spelling, told_as_one
from pbdb.readers.people.headings import NAMES, SUFFIXES, matching, spelled_as
from pbdb.readers.people.pairing import of_matrix
from pbdb.readers.people.quantities import in_unit, is_two_numbers

REQUIRED = ("sample_id", "compound", "dose_um", "time_h", "plate", "is_control")
OPTIONAL = ("context", "well", "stratum", "n_cells")
TRUE = frozenset({"true", "t", "yes", "y", "1", "1.0", "ja", "wahr", "oui", "vrai", "si", "s\u00ed", "verdadero", "x"})
FALSE = frozenset({"false", "f", "no", "n", "0", "0.0", "nein", "falsch", "non", "faux", "falso"})
PARTS = {"dose_um": ("dose", "uM"), "time_h": ("time", "h"), "compound": ("compound", ""), "plate": ("plate", "")}


@dataclass(frozen=True)
class Plates:
    """Samples, genes and values of an experiment.

    sheet: one row per sample in the order of the matrix, with REQUIRED and OPTIONAL columns (missing ones null)
    and `condition`, the label; dose_um is NaN where unknown. values: samples x genes.
    ignored: columns of the sheet that were not read. notes: what else was not taken as it stands, in sentences.
    """

    sheet: pd.DataFrame
    genes: npt.NDArray[np.object_]
    values: Any
    ignored: tuple[str, ...]
    notes: tuple[str, ...] = ()


def read(matrix: Path, sheet: Path, readout: str) -> Plates:
    """Read a matrix and its sample sheet; `readout` is counts or log2_intensity.

    Raises:
        SourceError: a file is not there.
        DataError: a file is unreadable, the two do not list the same samples, or values contradict the readout.
        DesignError: no sample is a vehicle, or all are.
    """
    read_rows = read_sheet(sheet)
    profiles = matrices.read(matrix, sparse=readout == "counts")
    samples, profiles, notes = _paired(read_rows.sheet, profiles, sheet.name, matrix.name)
    _check_values(profiles, readout)
    return Plates(samples, profiles.genes, profiles.values, read_rows.ignored, (*read_rows.notes, *notes))


@dataclass(frozen=True)
class SampleRows:
    """The rows of a sample sheet, checked: see `Plates`."""

    sheet: pd.DataFrame
    ignored: tuple[str, ...]
    notes: tuple[str, ...]


def read_sheet(path: Path) -> SampleRows:
    """Read a sample sheet in any form that people give tables.

    Raises:
        DataError: a column is not there, or a cell cannot be right; the sentence names it.
        DesignError: no sample is a vehicle, or all are.
    """
    written = sheets.read(path, fits=lambda table: all(map(partial(_heading, list(table.columns)), REQUIRED)))
    text = written.table
    headings = {name: heading for name in (*REQUIRED, *OPTIONAL) if (heading := _only_heading(path, text, name))}
    for name in REQUIRED:
        if name not in headings:
            raise DataError(_without(path, text, name), file=path.name, column=name)
    sheet = pd.DataFrame({name: text[heading] for name, heading in headings.items()}, dtype=object)
    sheet = sheet.reindex(columns=[*REQUIRED, *OPTIONAL])
    _refuse_empty(path, sheet, written.lines, "context" in headings)
    sheet["is_control"] = _flags(path, sheet)
    for name in ("dose_um", "time_h", "n_cells"):
        units_beside = text.get(f"{headings.get(name)} unit")
        sheet[name] = _numbers(path, sheet, name, None if units_beside is None else units_beside)
    respelled = one_spelling(sheet["compound"].dropna())
    sheet["compound"] = sheet["compound"].replace(respelled)
    sheet["condition"] = [label(*row) for row in sheet[["compound", "dose_um", "time_h", "stratum"]].to_numpy()]
    _refuse_one_sided(path, sheet)
    used = {*headings.values(), *(f"{heading} unit" for heading in headings.values())}
    notes = [*written.notes, *([told_as_one(respelled)] if respelled else [])]
    return SampleRows(sheet, tuple(name for name in text.columns if name not in used), tuple(notes))


def _heading(columns: Sequence[str], name: str) -> list[str]:
    """Headings that say a column's name, whatever their case and signs; a dose or time whose cells have units too."""
    same = spelled_as(columns, name)
    part, _ = PARTS.get(name, ("", ""))
    if same or part not in ("dose", "time"):
        return same
    return [column for column in matching(columns, NAMES[part]) if f"{column} unit" in columns]


def _only_heading(path: Path, text: pd.DataFrame, name: str) -> str | None:
    same = _heading(list(text.columns), name)
    if len(same) > 1:
        raise DataError(f"The columns {' and '.join(map(repr, same))} of '{path.name}' both say {name}: rename one.")
    return same[0] if same else None


def _without(path: Path, text: pd.DataFrame, name: str) -> str:
    part, unit = PARTS.get(name, ("", ""))
    near = matching(text.columns, NAMES[part], SUFFIXES.get(part, ())) if part else []
    of_unit = f" if it is in {unit}" if unit else ""
    cure = f"; call '{near[0]}' so{of_unit}" if near else ""
    return (
        f"The sheet '{path.name}' has no column '{name}'{cure}; it needs {', '.join(REQUIRED)} "
        f"and may have {', '.join(OPTIONAL)}. It has {', '.join(map(str, text.columns)) or 'none'}."
    )


def _paired(
    samples: pd.DataFrame, profiles: matrices.Profiles, sheet: str, matrix: str
) -> tuple[pd.DataFrame, matrices.Profiles, list[str]]:
    """Rows of the sheet in the order of the matrix; samples of the matrix that have no row are left out, and told.

    Raises:
        DataError: a sample stands twice in the sheet, or is not in the matrix.
    """
    names = samples["sample_id"]
    twice = names[names.duplicated()]
    if len(twice):
        which = samples[names == twice.iloc[0]]
        raise DataError(
            f"'{twice.iloc[0]}' stands twice in '{sheet}': every sample must be there once ({sheets.alike(which)})."
        )
    same, how = of_matrix(names.tolist(), profiles.samples.tolist())
    lonely = sorted(set(names) - set(same))
    if lonely:
        raise DataError(
            f"'{lonely[0]}' stands in '{sheet}' but not in '{matrix}' ({len(lonely)} such); the matrix has "
            f"'{profiles.samples[0]}' and others: every row of the sheet must be a sample of the matrix."
        )
    samples = samples.assign(sample_id=names.map(same)).set_index("sample_id", drop=False)
    kept = np.flatnonzero(np.isin(profiles.samples.astype(str), list(same.values())))
    notes = [f"names of '{sheet}' and of '{matrix}' are the same {how}"] if how else []
    if profiles.left_out:
        notes.append(f"left out of '{matrix}', as no gene or sample: {', '.join(profiles.left_out)}")
    if len(kept) < len(profiles.samples):
        absent = profiles.samples[np.setdiff1d(np.arange(len(profiles.samples)), kept)[0]]
        notes.append(
            f"{len(profiles.samples) - len(kept)} samples of '{matrix}' have no row in '{sheet}' and are left out, "
            f"such as '{absent}'"
        )
        profiles = profiles._replace(samples=profiles.samples[kept], values=profiles.values[kept])
    return samples.loc[profiles.samples.tolist()].reset_index(drop=True), profiles, notes


def label(compound: object, dose_um: float, time_h: float, stratum: object) -> str:
    """Return the name of a condition: {compound}_{dose}uM_{time}h[_{stratum}], numbers with 15 digits.

    An unknown dose is written `nan`.
    """
    name = f"{compound}_{_digits(dose_um)}uM_{_digits(time_h)}h"
    return f"{name}_{stratum}" if isinstance(stratum, str) else name


def _digits(number: float) -> str:
    """Write a number with up to 15 significant digits and without exponent."""
    return "nan" if math.isnan(number) else format(Decimal(f"{number:.15g}"), "f")


def _refuse_empty(path: Path, sheet: pd.DataFrame, lines: Sequence[int], has_context: bool) -> None:
    """Refuse cells that say nothing; a dose may be unknown, and a vehicle needs no compound."""
    for name in ("sample_id", "time_h", "plate", "is_control", *(["context"] if has_context else [])):
        empty = np.flatnonzero(sheet[name].isna())
        if len(empty):
            raise DataError(
                f"Row {lines[empty[0]]} of the sheet '{path.name}' has no {name}: fill it in.",
                file=path.name,
                line=int(lines[empty[0]]),
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


def _numbers(path: Path, sheet: pd.DataFrame, name: str, written_units: pd.Series[str] | None) -> pd.Series[float]:
    """Numbers of a column; cells that came with a unit are brought to that of the column."""
    values = sheet[name]
    if written_units is not None:
        pairs = zip(values, written_units, strict=True)
        values = pd.Series(
            [cell if cell is None else in_unit(cell, unit, PARTS[name][1]) for cell, unit in pairs], dtype=object
        )
        odd = sheet[name].notna() & values.isna()
        if odd.any():
            unit = written_units[odd].iloc[0]
            raise DataError(
                f"The {name} of sample '{sheet['sample_id'][odd].iloc[0]}' in the sheet '{path.name}' is in '{unit}': "
                f"give it in {PARTS[name][1]}, or leave the cell empty."
            )
    numbers = pd.to_numeric(values, errors="coerce").astype(np.float64)
    wrong = sheet[name].notna() & ~(np.isfinite(numbers) & (numbers >= 0))
    if wrong.any():
        raise _bad_cell(path, sheet, name, wrong, "a number from 0")
    return numbers


def _bad_cell(path: Path, sheet: pd.DataFrame, name: str, wrong: pd.Series[bool], wanted: str) -> DataError:
    row = sheet[wrong].iloc[0]
    if is_two_numbers(str(row[name])):
        wanted = f"{row[name].replace(',', '.')} or {row[name].replace(',', '')}"
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
