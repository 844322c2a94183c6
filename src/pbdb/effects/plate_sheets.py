"""Anyone's plates: a matrix and a sample sheet, read and checked against each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from pbdb.common import units
from pbdb.common.arrays import Mask, is_whole
from pbdb.common.errors import DataError, DesignError
from pbdb.common.typed_cells import is_no_compound, one_spelling, plain, said, told_as_one
from pbdb.effects.engine.checks import LARGEST_LOG2, check_counts, check_intensities
from pbdb.readers import matrices
from pbdb.readers.handwritten import sheets
from pbdb.readers.handwritten.controls import is_vehicle
from pbdb.readers.handwritten.headings import NAMES, SUFFIXES, first_choice, matching, spelled_as, suffix
from pbdb.readers.handwritten.pairing import of_matrix
from pbdb.readers.handwritten.quantities import first_not_a_number, in_unit, is_number, is_two_numbers

REQUIRED = ("sample_id", "compound", "dose_um", "time_h", "plate", "is_control")
OPTIONAL = ("context", "well", "stratum", "n_cells")
PARTS = {
    "sample_id": "sample", "compound": "compound", "dose_um": "dose", "time_h": "time", "plate": "plate",
    "is_control": "vehicle", "context": "context",
}  # fmt: skip
"""Columns that other headings may name too (`Wirkstoff`, `Dose (nM)`), where one does without doubt."""
UNITS = {"dose_um": "uM", "time_h": "h"}


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
        sheet[name] = _numbers(path, sheet, name, _units(text, headings.get(name), name))
    respelled = one_spelling(sheet["compound"].dropna())
    plates = one_spelling(sheet["plate"])
    sheet = sheet.assign(compound=sheet["compound"].replace(respelled), plate=sheet["plate"].replace(plates))
    sheet["condition"] = [label(*row) for row in sheet[["compound", "dose_um", "time_h", "stratum"]].to_numpy()]
    _refuse_one_sided(path, sheet)
    used = {*headings.values(), *(f"{heading} unit" for heading in headings.values())}
    ignored = tuple(name for name in text.columns if name not in used)
    notes = [*written.notes, *_notes(headings, sheet)]
    notes += [told_as_one(one, what) for one, what in ((respelled, "compounds"), (plates, "plates")) if one]
    return SampleRows(sheet, ignored, tuple(notes))


def _notes(headings: Mapping[str, str], sheet: pd.DataFrame) -> Iterator[str]:
    """Which columns were read by other names, and treated wells that are named like vehicle."""
    renamed = [f"'{heading}' as {name}" for name, heading in headings.items() if plain(heading) != plain(name)]
    if renamed:
        yield f"columns that were read: {', '.join(renamed)}"
    named = sorted({name for name in sheet["compound"][~sheet["is_control"]] if is_vehicle(name)})
    if named:
        yield f"treated wells have the name of a vehicle ({', '.join(named)}): is_control says they are none"


def _heading(columns: Sequence[str], name: str) -> list[str]:
    """Headings that say a column's name, whatever their case and signs, or in other words; a quantity with its unit."""
    same = spelled_as(columns, name)
    if same or name not in PARTS:
        return same
    part = PARTS[name]
    return [
        column
        for column in first_choice(columns, part)
        if name not in UNITS or suffix(column, part) or f"{column} unit" in columns
    ]


def _units(text: pd.DataFrame, heading: str | None, name: str) -> pd.Series[str] | None:
    """The unit of each cell of a quantity: what stands beside it, else what its heading says."""
    if heading is None or name not in UNITS:
        return None
    if f"{heading} unit" in text:
        return text[f"{heading} unit"]
    unit = units.SPELLINGS.get(suffix(heading, PARTS[name]) or "", UNITS[name])
    return pd.Series(unit, index=text.index, dtype=object)


def _only_heading(path: Path, text: pd.DataFrame, name: str) -> str | None:
    same = _heading(list(text.columns), name)
    if len(same) > 1:
        raise DataError(f"The columns {' and '.join(map(repr, same))} of '{path.name}' both say {name}: rename one.")
    return same[0] if same else None


def _without(path: Path, text: pd.DataFrame, name: str) -> str:
    part, unit = PARTS[name], UNITS.get(name)
    near = matching(text.columns, NAMES[part], SUFFIXES.get(part, ()))
    cure = f"; call '{near[0]}' so{f' if it is in {unit}' if unit else ''}" if near else ""
    if near and unit and (odd := first_not_a_number(text[near[0]])):
        cure = f": the cell '{odd}' of '{near[0]}' is no number, nor one with a unit"
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
    of_words = [name for name in lonely if name in profiles.left_out]
    if of_words:
        raise DataError(
            f"'{matrix}' holds words, not numbers, in the column of sample '{of_words[0]}': give its counts."
        )
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
    told = sheet["is_control"].map(said)
    if told.isna().any():
        raise _bad_cell(path, sheet, "is_control", told.isna(), "true or false")
    control = told.astype(bool)
    is_unnamed = ~control & sheet["compound"].map(lambda name: name is None or is_no_compound(name))
    if is_unnamed.any():
        sample = sheet["sample_id"][is_unnamed].iloc[0]
        raise DataError(
            f"Sample '{sample}' of the sheet '{path.name}' is treated with no compound: name it.",
            file=path.name,
            column="compound",
            value=sample,
        )
    return control


def _numbers(path: Path, sheet: pd.DataFrame, name: str, written_units: pd.Series[str] | None) -> pd.Series[float]:
    """Numbers of a column; cells with another unit are brought to that of the column."""
    values = sheet[name]
    numbers = pd.to_numeric(values.where(values.map(_is_number)), errors="coerce").astype(np.float64)
    wrong = values.notna() & ~(numbers >= 0)
    if wrong.any():
        raise _bad_cell(path, sheet, name, wrong, "a number from 0")
    if written_units is None:
        return numbers
    for at in np.flatnonzero(values.notna() & (written_units != UNITS[name])).tolist():
        unit = str(written_units.iloc[at])
        converted = in_unit(values.iloc[at], unit, UNITS[name])
        if converted is None and name == "dose_um" and sheet["is_control"].iloc[at]:
            converted = 0.0  # 0.1 % of the vehicle itself
        if converted is None:
            raise DataError(
                f"The {name} of sample '{sheet['sample_id'].iloc[at]}' in the sheet '{path.name}' is in '{unit}': "
                f"give it in {UNITS[name]}, or leave the cell empty."
            )
        numbers.iloc[at] = converted
    return numbers


def _is_number(cell: object) -> bool:
    return isinstance(cell, str) and is_number(cell)


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
