"""What a sheet and a matrix say by themselves: columns, units, vehicle wells, readout, names of genes.

Each function returns a `Found`: Python text for a declaration, or a blank with what belongs there. Nothing is
guessed where two columns would do.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb.common import units

NUMBER = re.compile(r"\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+")
WELL = re.compile(r"[A-Pa-p]{1,2}\d{1,2}")
NAMES = {
    "plate": ("plate", "plateid", "platename", "platebarcode", "assayplate", "detplate", "batch", "batchid"),
    "well": ("well", "wellid", "wellname", "wellposition", "platewell"),
    "compound": (
        "compound", "compoundname", "treatment", "treatmentname", "drug", "drugname", "perturbagen", "perturbation",
        "pertiname", "chemical", "chemicalname", "molecule", "substance", "testarticle", "treatmentid", "compoundid",
        "drugid",
    ),
    "dose": ("dose", "concentration", "conc", "finalconcentration", "finalconc", "pertdose"),
    "time": ("time", "timepoint", "hours", "duration", "exposure", "exposuretime", "treatmenttime", "perttime"),
    "context": (
        "cellline", "cell", "cells", "celltype", "celllinename", "cellname", "cellid", "cellmodel", "line", "context",
    ),
}  # fmt: skip
STRUCTURES = {
    "smiles": ("smiles", "canonicalsmiles", "isomericsmiles"),
    "inchikey": ("inchikey",),
    "pubchem_cid": ("pubchemcid", "cid"),
    "cas": ("cas", "casnumber", "casno", "casrn"),
}
ANNOTATIONS = {"moa": ("moa", "mechanismofaction"), "target": ("target", "targets"), "pathway": ("pathway",)}
SUFFIXES = {"dose": ("um", "nm", "mm", "pm"), "time": ("h", "hr", "hrs", "hours", "min", "minutes", "d", "days")}
VEHICLES = ("dmso", "dmsocontrol", "dimethylsulfoxide", "vehicle", "vehiclecontrol", "solvent", "solventcontrol")
CONTROLS = (*VEHICLES, "control", "ctrl", "ctlvehicle", "negativecontrol", "negcon", "negctrl")
UNTREATED = (
    "media", "medium", "mediaonly", "untreated", "notreatment", "nodrug", "nocompound", "none", "blank", "empty",
    "nocells", "cellsonly", "water",
)  # fmt: skip
LARGEST_LOG2 = 30
MOST = 0.5
GENES: tuple[tuple[str, str, str | None], ...] = (
    (r"ENS[A-Z]*G\d{11}(\.\d+)?(_PAR_Y)?", "gene_id", None),
    (r"ENS[A-Z]*G\d{11}(\.\d+)?_at", "gene_id", r"(.+)_at"),
    (r"\d+", "entrez", None),
    (r"[A-Za-z][A-Za-z0-9.-]*_\d+", "symbol", r"(.+)_\d+"),
    (r"(?!ILMN_)[A-Za-z][A-Za-z0-9.@_-]*(?<!_at)", "symbol", None),
)
YES = ("true", "t", "yes", "y", "1")
OF_VEHICLE = ("iscontrol", "isvehicle", "control", "vehicle")


@dataclass(frozen=True)
class Found:
    """Python text of one part of a declaration; `blank` says what belongs there where it is not known.

    columns: of the sheet, that it reads.
    """

    code: str
    blank: str | None = None
    columns: tuple[str, ...] = ()


def quoted(value: str) -> str:
    """Write text as Python does, in double quotes and on one line, whatever is in it: what cannot be seen, as escape.

    It may stand in a docstring too.
    """
    return f'"{"".join(map(_in_quotes, value))}"'


def _in_quotes(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def plain(name: object) -> str:
    """Lower case without punctuation, micro as u: `Cell_type` is celltype, `Dose (µM)` doseum."""
    return re.sub(r"[^a-z0-9]", "", re.sub("[\u00b5\u03bc]", "u", str(name).lower()))


def named(sheet: pd.DataFrame, names: Iterable[str], suffixes: Iterable[str] = ()) -> list[str]:
    """Columns of one of the names, best first; a number at the end, and one of the suffixes, do not matter."""
    found = []
    for wanted in names:
        shapes = {wanted, *(wanted + suffix for suffix in suffixes)}
        found += [str(c) for c in sheet.columns if c and re.sub(r"\d+$", "", plain(c)) in shapes]
    return [column for column in dict.fromkeys(found) if sheet[column].notna().any()]


def sample_column(sheet: pd.DataFrame, samples: npt.NDArray[np.object_]) -> str | None:
    """The column that holds most names of the matrix, each once; None where no column holds any."""
    wanted = set(samples)
    shared = {str(column): sheet[column].str.strip().isin(wanted) for column in sheet.columns if column}
    fit = {column: int(there.sum()) for column, there in shared.items() if sheet[column][there].is_unique}
    best = max(fit, key=lambda column: fit[column], default=None)
    return best if best is not None and fit[best] else None


def plate(sheet: pd.DataFrame) -> Found:
    """The column of plates; wells of one plate share its effect."""
    return _first(sheet, "plate", "the column of plates, col('...'), or const('1') where there is one plate")


def compound(sheet: pd.DataFrame) -> Found:
    """The column of compounds."""
    return _first(sheet, "compound", "the column of compounds, col('...')")


def well(sheet: pd.DataFrame) -> Found | None:
    """The column of wells (A01), where there is one."""
    for column in named(sheet, NAMES["well"]):
        if sheet[column].dropna().str.fullmatch(WELL).all():
            return Found(f"col({quoted(column)})", None, (column,))
    return None


def context(sheet: pd.DataFrame) -> Found:
    """The column of cells."""
    return _first(sheet, "context", "the cells of all samples, const('MCF7'), or their column, col('...')")


def _first(sheet: pd.DataFrame, what: str, blank: str) -> Found:
    for column in named(sheet, NAMES[what]):
        return Found(f"col({quoted(column)})", None, (column,))
    return Found("FILL_IN", blank)


def dose(sheet: pd.DataFrame) -> tuple[Found, tuple[str, ...]]:
    """The column of doses with its unit, and units of it that are not molar."""
    column = _numeric(sheet, "dose")
    if column is None:
        return Found("FILL_IN", "the column of doses and their unit, col('...', unit='uM')"), ()
    unit = _suffix(column, "dose")
    if unit is not None:
        return Found(f"col({quoted(column)}, unit={quoted(units.molar_unit(unit))})", None, (column,)), ()
    for beside in _unit_columns(sheet, column, _is_molar):
        spelled = sheet[beside].dropna().map(units.molar_unit)
        other = tuple(sorted(set(spelled) - set(units.FM_PER_UNIT)))
        return Found(f"col({quoted(column)}, unit_column={quoted(beside)})", None, (column, beside)), other
    return Found(f"col({quoted(column)}, unit=FILL_IN)", "the unit of the doses: 'uM', 'nM', 'mM', ...", (column,)), ()


def time(sheet: pd.DataFrame) -> Found:
    """The column of times with its unit."""
    column = _numeric(sheet, "time")
    if column is None:
        return Found("FILL_IN", "hours of treatment, const(24), or their column, col('...', unit='h')")
    unit = _suffix(column, "time") or ("h" if plain(column).startswith("hours") else None)
    if unit is not None:
        return Found(f"col({quoted(column)}, unit={quoted(units.SPELLINGS[unit])})", None, (column,))
    for beside in _unit_columns(sheet, column, _is_time):
        return Found(f"col({quoted(column)}, unit_column={quoted(beside)})", None, (column, beside))
    return Found(f"col({quoted(column)}, unit=FILL_IN)", "the unit of the times: 'h', 'min' or 'd'", (column,))


def _numeric(sheet: pd.DataFrame, what: str) -> str | None:
    """The first column of that name whose cells are numbers, or empty."""
    for column in named(sheet, NAMES[what], SUFFIXES[what]):
        if sheet[column].dropna().str.strip().str.fullmatch(NUMBER).all():
            return column
    return None


def _suffix(column: str, what: str) -> str | None:
    """The unit a column's name ends with: `dose_um`, `Time (h)`."""
    name = re.sub(r"\d+$", "", plain(column))
    for base in NAMES[what]:
        if name.startswith(base) and name[len(base) :] in SUFFIXES[what]:
            return name[len(base) :]
    return None


def _unit_columns(sheet: pd.DataFrame, column: str, is_unit: Callable[[str], bool]) -> list[str]:
    """Columns that say `unit` and hold at least one unit of the kind; those after the quantity first."""
    found = [
        str(name)
        for name in sheet.columns
        if "unit" in plain(name) and any(is_unit(text) for text in sheet[name].dropna().unique())
    ]
    order = [str(name) for name in sheet.columns]
    return sorted(found, key=lambda name: (order.index(name) < order.index(column), order.index(name)))


def _is_molar(text: str) -> bool:
    return units.molar_unit(text) in units.FM_PER_UNIT


def _is_time(text: str) -> bool:
    return units.SPELLINGS.get(text.strip().lower(), text) in units.HOURS_PER_UNIT


def vehicle(sheet: pd.DataFrame, compounds: Found) -> Found:
    """The rule that finds vehicle wells: by the name of the compound, else by a column that says control.

    Where two such columns mark different wells, neither is taken.
    """
    by_name = _marked(sheet, compounds.columns, VEHICLES)
    candidates = by_name or _marked(sheet, named(sheet, OF_VEHICLE), YES) or _marked(sheet, sheet.columns, CONTROLS)
    masks = {tuple(mask) for _, mask in candidates.values()}
    if len(masks) == 1:
        column, (rule, _) = next(iter(candidates.items()))
        return Found(quoted(rule), None, (column,))
    hint = "the wells of vehicle, an expression over columns: \"`Drug` == 'DMSO'\""
    if candidates:
        hint += f"; {' and '.join(candidates)} mark different wells"
    if not all(map(_can_be_in_a_rule, compounds.columns)):
        hint += f"; no rule can hold the name {compounds.columns[0]!r}: rename that column in the sheet"
    return Found("FILL_IN", hint)


def _marked(
    sheet: pd.DataFrame, columns: Iterable[str], words: tuple[str, ...]
) -> dict[str, tuple[str, npt.NDArray[np.bool_]]]:
    """By column that holds one of the words, but not in every row: the rule that finds them, and its rows."""
    found = {}
    for column in filter(_can_be_in_a_rule, columns):
        spelled = [value for value in sheet[column].dropna().unique() if plain(value) in words]
        mask = sheet[column].isin(spelled).to_numpy()
        if spelled and not mask.all() and all(map(_can_be_in_a_rule, spelled)):
            found[str(column)] = (is_one_of(str(column), spelled), mask)
    return found


def _can_be_in_a_rule(name: object) -> bool:
    """Whether an expression may name the column or value; pandas takes these signs for its own, even in backticks."""
    return bool(name) and not set("`'#") & set(str(name)) and str(name).isprintable()


def is_one_of(column: str, values: list[str]) -> str:
    """The rule `column == value`, or `column in [values]`."""
    return f"`{column}` == {values[0]!r}" if len(values) == 1 else f"`{column}` in {sorted(values)!r}"


def flags(sheet: pd.DataFrame, compounds: Found) -> list[str]:
    """Flags of wells that were not treated, or whose compound is not told."""
    found = []
    for column in filter(_can_be_in_a_rule, compounds.columns):
        spelled = [value for value in sheet[column].dropna().unique() if plain(value) in UNTREATED]
        if spelled and all(map(_can_be_in_a_rule, spelled)):
            found.append(f'Flag("untreated", {quoted(is_one_of(column, spelled))}, has_condition=False)')
        if sheet[column].isna().any():
            found.append(f'Flag("no_compound", {quoted(f"`{column}`.isnull()")}, has_condition=False)')
    return found


def zero_doses(sheet: pd.DataFrame, doses: Found, compounds: Found, vehicles: Found) -> list[Found]:
    """A blank for treated wells whose dose is 0: they are no vehicle, and only their owner knows what they are."""
    if not doses.columns or not compounds.columns or vehicles.blank:
        return []
    names = sheet[compounds.columns[0]]
    is_vehicle = pd.Series(sheet.eval(ast.literal_eval(vehicles.code), engine="python"), dtype=bool)
    treated = ~is_vehicle & names.notna() & ~names.map(plain).isin(UNTREATED)
    treated &= pd.to_numeric(sheet[doses.columns[0]]) == 0
    if not treated.any():
        return []
    rule = is_one_of(compounds.columns[0], list(names[treated].unique()))
    hint = f"{treated.sum()} treated wells have dose 0; to leave them out: Flag('zero_dose', {quoted(rule)})"
    return [Found("FILL_IN", hint)]


def columns_of(sheet: pd.DataFrame, kinds: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Which column holds which kind of statement about compounds, where one does."""
    found = {kind: named(sheet, names) for kind, names in kinds.items()}
    return {kind: columns[0] for kind, columns in found.items() if columns}


def readout(values: npt.NDArray[np.float64]) -> Found:
    """Counts where all values are whole and not negative, log2 intensities where none is beyond 30."""
    known = values[~np.isnan(values)]
    if known.size and known.min() >= 0 and (known == np.rint(known)).all():
        return Found('"counts"')
    if known.size and np.abs(known).max() <= LARGEST_LOG2:
        return Found('"log2_intensity"')
    return Found("FILL_IN", "'counts' or 'log2_intensity': the values are fractional and large, so give another matrix")


def genes(names: npt.NDArray[np.object_]) -> tuple[Found, str | None]:
    """What the features are called, and the pattern that finds the gene's name in a feature's."""
    for shape, kind, pattern in GENES:
        if np.mean([re.fullmatch(shape, name) is not None for name in names]) > MOST:
            return Found(f"Features({quoted(kind)})"), pattern
    example = names[0] if len(names) else ""
    return Found("Features(FILL_IN)", f"what names like {example!r} are: 'gene_id', 'symbol', 'entrez'"), None
