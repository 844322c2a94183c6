"""Numbers as people type them: decimal commas, and doses or times with their unit in the cell."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import pandas as pd

from pbdb.common import units
from pbdb.common.typed_cells import plain
from pbdb.readers.handwritten.headings import is_quantity

NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_COMMA = re.compile(r"[-+]?(?:\d{1,3}(?:\.\d{3})+|\d*),\d+(?:[eE][-+]?\d+)?", re.ASCII)
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+", re.ASCII)
_WITH_UNIT = re.compile(r"(?P<number>[-+]?[\d.,]+(?:[eE][-+]?\d+)?)\s*(?P<unit>[^\d\s.,+-][^\d]*)?", re.ASCII)
_WORDS_OF_TIME = {
    "hour": "h", "hours": "h", "std": "h", "std.": "h", "stunde": "h", "stunden": "h", "heure": "h", "heures": "h",
    "hora": "h", "horas": "h", "minute": "min", "minuten": "min", "minutos": "min", "mins": "min", "tag": "d",
    "tage": "d", "jour": "d", "jours": "d", "dia": "d", "dias": "d", "d\u00eda": "d", "d\u00edas": "d",
}  # fmt: skip
NOT_MOLAR = (
    "ug/ml", "ng/ml", "mg/ml", "pg/ml", "mg/l", "ug/l", "%", "u/ml", "iu/ml", "% dmso", "%dmso", "vol%", "%v/v",
    "mg/kg", "ng", "ug", "mg",
)  # fmt: skip


def unit_of(text: str) -> str | None:
    """A unit of dose or time as units has it, or one of mass or share; None for anything else.

    `m` alone, which may be minutes, months or molar, is none.
    """
    written = text.strip().rstrip(".").translate({0xB5: "u", 0x3BC: "u"})
    if written in units.FM_PER_UNIT:
        return written
    low = written.lower().replace(" ", "")
    if low == "m":
        return None
    if low in ("mol/l", "moll-1", "molar"):
        return "M"
    molar = units.molar_unit(written)
    if molar in units.FM_PER_UNIT:
        return molar
    low = _WORDS_OF_TIME.get(low, low)
    return units.SPELLINGS.get(low) or (low if low in NOT_MOLAR else None)


def tidied(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Write decimal commas as points, and part doses and times from the units in their cells.

    A column is changed where all its filled cells agree; a cell that could be read in two ways leaves the column as it
    is. The units of `Dose` go into `Dose unit`. Also returns what was changed, in sentences.
    """
    notes: list[str] = []
    columns: dict[str, Sequence[object]] = {}
    for name in table.columns:
        cells = table[name].tolist()
        columns[name] = cells
        if is_quantity(name) and f"{name} unit" not in table and (parted := _parted(cells)):
            columns[name], columns[f"{name} unit"] = parted
            notes.append(f"the cells of '{name}' hold units: they are read as '{name}' and '{name} unit'")
            continue
        if pointed := _with_points([cell for cell in cells if cell is not None]):
            columns[name] = [None if cell is None else pointed[cell] for cell in cells]
            notes.append(f"the commas in '{name}' are read as decimal points")
    return pd.DataFrame(columns, index=table.index, dtype=object), notes


def number(text: str) -> str | None:
    """A cell as a number with a decimal point, None where it is none or could be two (`1,000`)."""
    if NUMBER.fullmatch(text):
        return text
    pointed = _with_points([text])
    return pointed[text] if pointed else None


def is_two_numbers(text: str) -> bool:
    """Whether a number could be read in two ways: `1,000` is 1 and 1000."""
    return _THOUSANDS.fullmatch(text) is not None


def _with_points(cells: Sequence[str]) -> dict[str, str] | None:
    """Numbers with decimal commas as numbers with points; None where they are not, or may be thousands."""
    distinct = set(cells)
    commas = {cell for cell in distinct if _COMMA.fullmatch(cell)}
    if not commas or not all(cell in commas or NUMBER.fullmatch(cell) for cell in distinct):
        return None
    if all(map(is_two_numbers, commas)):
        return None
    if any("." in cell for cell in distinct - commas):  # a point and a comma in one column: which is the decimal one?
        return None
    return {cell: cell.replace(".", "").replace(",", ".") if cell in commas else cell for cell in distinct}


def _parted(cells: Sequence[str | None]) -> tuple[list[str | None], list[str | None]] | None:
    """Numbers and units of cells such as `10 µM`; None where a cell has no number, an unknown unit, or lacks one."""
    known = {cell: _WITH_UNIT.fullmatch(cell) for cell in dict.fromkeys(cells) if cell is not None}
    if not all(known.values()) or not any(match and match["unit"] for match in known.values()):
        return None
    spelled = {cell: unit_of(match["unit"]) if match["unit"] else "" for cell, match in known.items() if match}
    pointed = _with_points([match["number"] for match in known.values() if match]) or {}
    numbers = {cell: pointed.get(match["number"], match["number"]) for cell, match in known.items() if match}
    if None in spelled.values() or not all(map(NUMBER.fullmatch, numbers.values())):
        return None
    if any(not spelled[cell] and float(numbers[cell]) for cell in known):
        return None
    usual = max(filter(None, spelled.values()), key=list(spelled.values()).count)  # of a zero, any unit will do
    return (
        [None if cell is None else numbers[cell] for cell in cells],
        [None if cell is None else spelled[cell] or usual for cell in cells],
    )


def in_unit(value: str, unit: str, wanted: str) -> float | None:
    """A dose or time in another unit (`uM` or `h`); None where it is not molar, or no time."""
    known = unit_of(unit)
    if wanted == "h":
        return units.hours(value, known) if known in units.HOURS_PER_UNIT else None
    return units.dose_fm(value, known) / units.dose_fm(1, wanted) if known in units.FM_PER_UNIT else None


def first_not_a_number(column: pd.Series[str]) -> str | None:
    """The first cell of a column that is no number."""
    return next((cell for cell in column.dropna() if not is_number(cell)), None)


def is_number(cell: str) -> bool:
    """Whether a cell is a number with a decimal point, of a size that numbers have."""
    return NUMBER.fullmatch(cell) is not None and math.isfinite(float(cell))


def logarithmic(name: object) -> bool:
    """Whether a heading says that its numbers are logarithms."""
    return re.match(r"log|ln|p(ic|ec|c)50|p?(dosis|dose|conc|konz|molar)\w*log", plain(name)) is not None
