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
from pbdb.common.typed_cells import is_no_compound, plain, said
from pbdb.readers.handwritten.controls import is_untreated, is_vehicle, is_vehicle_or_control
from pbdb.readers.handwritten.headings import NAMES, SECOND_CHOICE, SUFFIXES, base, matching, suffix
from pbdb.readers.handwritten.pairing import of_matrix
from pbdb.readers.handwritten.quantities import NOT_MOLAR, first_not_a_number, is_two_numbers, logarithmic, unit_of

WELL = re.compile(r"[A-Pa-p]{1,2}\d{1,2}")
ANNOTATIONS = {"moa": ("moa", "mechanismofaction"), "target": ("target", "targets"), "pathway": ("pathway",)}
HOURS = ("hours", "stunden", "heures", "horas", "ore")
LARGEST_LOG2 = 30
MOST = 0.5
GENES: tuple[tuple[str, str, str | None], ...] = (
    (r"ENS[A-Z]*G\d{11}(\.\d+)?(_PAR_Y)?", "gene_id", None),
    (r"ENS[A-Z]*G\d{11}(\.\d+)?_at", "gene_id", r"(.+)_at"),
    (r"ENS[A-Z]*G\d{11}(\.\d+)?[|_:;].+", "gene_id", r"(ENS[A-Z]*G\d{11}(?:\.\d+)?)(?!_PAR_Y)[|_:;].+"),
    (r".+[|_:;]ENS[A-Z]*G\d{11}(\.\d+)?", "gene_id", r".+[|_:;](ENS[A-Z]*G\d{11}(?:\.\d+)?)"),
    (r".+\|\d+", "entrez", r".+\|(\d+)"),
    (r"\d+", "entrez", None),
    (r"[A-Za-z][A-Za-z0-9.-]*_\d+", "symbol", r"(.+)_\d+"),
    (r"(?!ILMN_)[A-Za-z][A-Za-z0-9.@_-]*(?<!_at)", "symbol", None),
)


@dataclass(frozen=True)
class Found:
    """Python text of one part of a declaration; `blank` says what belongs there where it is not known.

    columns: of the sheet, that it reads.
    """

    code: str
    blank: str | None = None
    columns: tuple[str, ...] = ()


NOTHING = Found("")
Mask = npt.NDArray[np.bool_]
Marked = dict[str, tuple[str, Mask]]


def quoted(value: str) -> str:
    """Write text as Python does, in double quotes and on one line, whatever is in it: what cannot be seen, as escape.

    It may stand in a docstring too.
    """
    return f'"{"".join(map(_in_quotes, value))}"'


def _in_quotes(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def named(sheet: pd.DataFrame, names: Iterable[str], suffixes: Iterable[str] = ()) -> list[str]:
    """Columns of one of the names, best first, that hold something."""
    return [column for column in matching(sheet.columns, names, suffixes) if sheet[column].notna().any()]


def sample_column(sheet: pd.DataFrame, samples: npt.NDArray[np.object_]) -> str | None:
    """The column that holds most names of the matrix, each once; None where no column holds any."""
    shared = {str(column): of_matrix(sheet[column].dropna().tolist(), list(samples))[0] for column in sheet.columns}
    fit = {
        column: len(same)
        for column, same in shared.items()
        if same and sheet[column][sheet[column].isin(list(same))].is_unique
    }
    return max(fit, key=lambda column: fit[column], default=None)


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
    """The column of a part; a blank where there is none, or two that tell the samples apart in different ways."""
    every = named(sheet, NAMES[what])
    columns = [column for column in every if base(column) not in SECOND_CHOICE.get(what, ())] or every
    if not columns:
        return Found("FILL_IN", blank)
    other = next((column for column in columns[1:] if not _tell_the_same(sheet, columns[0], column)), None)
    if other is not None:
        return Found("FILL_IN", f"{blank}; both {columns[0]!r} and {other!r} may be it, and they say different things")
    return Found(f"col({quoted(columns[0])})", None, (columns[0],))


def _tell_the_same(sheet: pd.DataFrame, first: str, second: str) -> bool:
    """Whether two columns group the samples alike."""
    pairs = sheet[[first, second]].fillna("").drop_duplicates()
    return bool(pairs[first].is_unique and pairs[second].is_unique)


def dose(sheet: pd.DataFrame) -> tuple[Found, Found]:
    """The column of doses with its unit, and units of it that are not molar."""
    column, hint = _quantity(sheet, "dose", _is_molar)
    if column is None:
        return Found("FILL_IN", f"the column of doses and their unit, col('...', unit='uM'){hint}"), NOTHING
    unit = suffix(column, "dose")
    besides = _unit_columns(sheet, column, _is_molar)
    if unit is not None and f"{column} unit" not in besides:
        return Found(f"col({quoted(column)}, unit={quoted(units.molar_unit(unit))})", None, (column,)), NOTHING
    for beside in besides:
        found = Found(f"col({quoted(column)}, unit_column={quoted(beside)})", None, (column, beside))
        return found, _non_molar(sheet[beside].dropna().unique())
    blank = "the unit of the doses: 'uM', 'nM', 'mM', ..."
    return Found(f"col({quoted(column)}, unit=FILL_IN)", blank, (column,)), NOTHING


def _non_molar(written: Iterable[str]) -> Found:
    """Units of mass or share, whose doses are unknown; a blank where a unit is not known at all."""
    others = sorted({text for text in written if not _is_molar(text)})
    code = f"({''.join(f'{quoted(unit)}, ' for unit in others).rstrip()})"
    strange = [unit for unit in others if unit_of(unit) not in NOT_MOLAR]
    if strange:
        listed = ", ".join(map(repr, strange[:3]))
        return Found(
            "FILL_IN", f"are {listed} units that are not molar? then {code}; else spell them uM, nM, ... in the sheet"
        )
    return Found(code) if others else NOTHING


def time(sheet: pd.DataFrame) -> Found:
    """The column of times with its unit."""
    column, hint = _quantity(sheet, "time", _is_time)
    if column is None:
        return Found("FILL_IN", f"hours of treatment, const(24), or their column, col('...', unit='h'){hint}")
    unit = suffix(column, "time") or ("h" if base(column) in HOURS else None)
    besides = _unit_columns(sheet, column, _is_time)
    if unit is not None and f"{column} unit" not in besides:
        return Found(f"col({quoted(column)}, unit={quoted(units.SPELLINGS[unit])})", None, (column,))
    for beside in besides:
        return Found(f"col({quoted(column)}, unit_column={quoted(beside)})", None, (column, beside))
    return Found(f"col({quoted(column)}, unit=FILL_IN)", "the unit of the times: 'h', 'min' or 'd'", (column,))


def _quantity(sheet: pd.DataFrame, what: str, is_unit: Callable[[str], bool]) -> tuple[str | None, str]:
    """The column of doses or times, or None and why there is none.

    One whose unit is told is an answer, one without is not; of several answers that differ, the only one that says
    `final` is what the cells were in.
    """
    columns = named(sheet, NAMES[what], SUFFIXES[what])
    numeric = [column for column in columns if _is_quantity(sheet[column])]
    if not numeric:
        return None, _why_no_number(sheet, columns, what)
    with_unit = [column for column in numeric if _has_unit(sheet, column, what, is_unit)] or numeric
    final = [column for column in with_unit if re.search("final|end", base(column))]
    if len(final) == 1:
        return final[0], ""
    other = next((column for column in with_unit[1:] if not _is_equal(sheet, with_unit[0], column, what)), None)
    if other is not None:
        return None, f"; both {with_unit[0]!r} and {other!r} may be it, and they say different things"
    return with_unit[0], ""


def _is_quantity(column: pd.Series[str]) -> bool:
    return first_not_a_number(column) is None and not (pd.to_numeric(column) < 0).any()


def _has_unit(sheet: pd.DataFrame, column: str, what: str, is_unit: Callable[[str], bool]) -> bool:
    return suffix(column, what) is not None or base(column) in HOURS or bool(_unit_columns(sheet, column, is_unit))


def _is_equal(sheet: pd.DataFrame, first: str, second: str, what: str) -> bool:
    """Whether two columns hold the same quantities: the same numbers in the same unit, or after conversion."""
    scales = {"dose": units.FM_PER_UNIT, "time": units.HOURS_PER_UNIT}[what]
    spelled_units = [units.SPELLINGS.get(suffix(column, what) or "") for column in (first, second)]
    factors = [float(scales[unit]) if unit else None for unit in spelled_units]
    if (factors[0] is None) != (factors[1] is None):
        return False
    values = [pd.to_numeric(sheet[column]).to_numpy(np.float64) for column in (first, second)]
    return bool(np.allclose(values[0] * (factors[0] or 1), values[1] * (factors[1] or 1), rtol=1e-9, equal_nan=True))


def _why_no_number(sheet: pd.DataFrame, columns: Iterable[str], what: str) -> str:
    """The first cell that is no number, or a column of logarithms."""
    for column in columns:
        if (cell := first_not_a_number(sheet[column])) is None:
            return f"; {column!r} has negative numbers: are they logarithms? add a column of the {what}s themselves"
        why = f"may be {cell.replace(',', '.')} or {cell.replace(',', '')}" if is_two_numbers(cell) else "is no number"
        return f"; the cell {cell!r} of {column!r} {why}: correct it in the sheet"
    for column in sheet.columns:
        if what == "dose" and logarithmic(column) and re.search("dos[ei]|[ck]onc|konz|m$", plain(column)):
            return f"; {column!r} holds logarithms: add a column of the doses themselves"
        if what == "dose" and re.search("(dos[ei]|[ck]onc|konz).*([mgk]g|g(l|ml)$)", plain(column)):
            return f"; {column!r} is not molar: add a column of molar doses"
    return ""


def _unit_columns(sheet: pd.DataFrame, column: str, is_unit: Callable[[str], bool]) -> list[str]:
    """Columns that say `unit` and hold at least one unit of the kind; the column's own, and those after it, first."""
    of_units = [
        str(name)
        for name in sheet.columns
        if re.search("unit|einheit|unite|unidad", plain(name))
        and any(is_unit(text) for text in sheet[name].dropna().unique())
        and (name == f"{column} unit" or not (str(name).endswith(" unit") and str(name)[:-5] in sheet))
    ]
    order = [str(name) for name in sheet.columns]
    return sorted(
        of_units,
        key=lambda name: (name != f"{column} unit", order.index(name) < order.index(column), order.index(name)),
    )


def _is_molar(text: str) -> bool:
    return unit_of(text) in units.FM_PER_UNIT


def _is_time(text: str) -> bool:
    return units.SPELLINGS.get(text.strip().lower(), text) in units.HOURS_PER_UNIT


def vehicle(sheet: pd.DataFrame, compounds: Found, doses: Found = NOTHING) -> Found:
    """The rule that finds vehicle wells: a column that says so, else the name of the compound, else any word for it.

    A blank where two columns mark different wells; that a column marks treated names more than the names do is no
    contradiction, unless these wells have a dose.
    """
    marked = _marked(sheet, named(sheet, NAMES["vehicle"]), said)
    by_name = _marked(sheet, compounds.columns, is_vehicle)
    others = [column for column in sheet.columns if column not in compounds.columns]
    candidates = marked or by_name or _marked(sheet, others, is_vehicle_or_control)
    masks = {tuple(mask) for _, mask in candidates.values()}
    hint = "the wells of vehicle, an expression over columns: \"`Drug` == 'DMSO'\""
    if len(masks) == 1:
        column, (rule, mask) = next(iter(candidates.items()))
        contradiction = _contradiction(sheet, column, mask, by_name, doses) if marked else ""
        if not contradiction:
            return Found(quoted(rule), None, (column,))
        hint += contradiction
    elif candidates:
        hint += f"; {' and '.join(candidates)} mark different wells"
    elif compounds.columns and (like := _like_controls(sheet[compounds.columns[0]])):
        hint += f"; {compounds.columns[0]} has {' and '.join(map(repr, like))}: is that it?"
    if not all(map(_can_be_in_a_rule, compounds.columns)):
        hint += f"; no rule can hold the name {compounds.columns[0]!r}: rename that column in the sheet"
    return Found("FILL_IN", hint)


def _contradiction(sheet: pd.DataFrame, column: str, mask: Mask, by_name: Marked, doses: Found) -> str:
    """What speaks against the wells that a column marks: wells of a vehicle's name among the others, or doses."""
    for name, (_, named_mask) in by_name.items():
        if (named_mask & ~mask).any():
            return f"; {column} and {name} mark different wells"
        extra = mask & ~named_mask
        if extra.any() and doses.columns and (pd.to_numeric(sheet[doses.columns[0]])[extra] > 0).any():
            words = sorted(sheet[name][extra].dropna().unique())[:3]
            return f"; {column} also marks wells of {', '.join(words)}, which have a dose: are they positive controls?"
    return ""


def _like_controls(names: pd.Series[str]) -> list[str]:
    return [name for name in names.dropna().unique() if is_vehicle_or_control(name) or is_untreated(name)][:3]


def _marked(sheet: pd.DataFrame, columns: Iterable[str], says: Callable[[str], bool | None]) -> Marked:
    """By column that says so in some cell, but not in every row: the rule that finds them, and its rows."""
    marked: Marked = {}
    for column in filter(_can_be_in_a_rule, columns):
        spelled = [value for value in sheet[column].dropna().unique() if says(value)]
        mask = sheet[column].isin(spelled).to_numpy()
        if spelled and not mask.all() and all(map(_can_be_in_a_rule, spelled)):
            marked[str(column)] = (is_one_of(str(column), spelled), mask)
    return marked


def _can_be_in_a_rule(name: object) -> bool:
    """Whether an expression may name the column or value; pandas takes these signs for its own, even in backticks."""
    return bool(name) and not set("`'#") & set(str(name)) and str(name).isprintable()


def is_one_of(column: str, values: list[str]) -> str:
    """The rule `column == value`, or `column in [values]`."""
    return f"`{column}` == {values[0]!r}" if len(values) == 1 else f"`{column}` in {sorted(values)!r}"


def flags(sheet: pd.DataFrame, compounds: Found) -> list[str]:
    """Flags of wells that were not treated, or whose compound is not told."""
    rules = []
    for column in filter(_can_be_in_a_rule, compounds.columns):
        spelled = [value for value in sheet[column].dropna().unique() if is_untreated(value)]
        if spelled and all(map(_can_be_in_a_rule, spelled)):
            rules.append(f'Flag("untreated", {quoted(is_one_of(column, spelled))}, has_condition=False)')
        zeros = [value for value in sheet[column].dropna().unique() if is_no_compound(value)]
        if zeros or sheet[column].isna().any():
            rule = f"`{column}`.isnull()" + (f" | {is_one_of(column, zeros)}" if zeros else "")
            rules.append(f'Flag("no_compound", {quoted(rule)}, has_condition=False)')
    return rules


def unnamed_vehicles(sheet: pd.DataFrame, compounds: Found, vehicles: Found) -> list[Found]:
    """A blank for vehicle wells without a compound: they would be left out as untold."""
    if not compounds.columns or vehicles.blank:
        return []
    column = compounds.columns[0]
    n = int((_rows_of(sheet, vehicles) & sheet[column].isna()).sum())
    return [Found("FILL_IN", f"{n} vehicle wells have no {column}: write the vehicle there, such as DMSO")] if n else []


def _rows_of(sheet: pd.DataFrame, rule: Found) -> pd.Series[bool]:
    return pd.Series(sheet.eval(ast.literal_eval(rule.code), engine="python"), dtype=bool)


def zero_doses(sheet: pd.DataFrame, doses: Found, compounds: Found, vehicles: Found) -> list[Found]:
    """A blank for treated wells whose dose is 0: they are no vehicle, and only their owner knows what they are."""
    if not doses.columns or not compounds.columns or vehicles.blank:
        return []
    names = sheet[compounds.columns[0]]
    is_treated = names.map(lambda name: isinstance(name, str) and not is_untreated(name)).astype(bool)
    treated = ~_rows_of(sheet, vehicles) & is_treated
    treated &= pd.to_numeric(sheet[doses.columns[0]]) == 0
    if not treated.any():
        return []
    rule = is_one_of(compounds.columns[0], list(names[treated].unique()))
    hint = f"{treated.sum()} treated wells have dose 0; to leave them out: Flag('zero_dose', {quoted(rule)})"
    return [Found("FILL_IN", hint)]


def columns_of(sheet: pd.DataFrame, kinds: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Which column holds which kind of statement about compounds, where one does."""
    by_kind = {kind: named(sheet, names) for kind, names in kinds.items()}
    return {kind: columns[0] for kind, columns in by_kind.items() if columns}


def readout(values: npt.NDArray[np.float64]) -> Found:
    """Counts where all values are whole and not negative, log2 intensities where none is beyond 30."""
    known = values[np.isfinite(values)]
    is_whole = bool((known == np.rint(known)).all())
    if known.size and known.min() >= 0 and is_whole:
        if len(known) == len(values):
            return Found('"counts"')
        return Found(
            "FILL_IN", "'counts': but cells without a number are no counts, so give 0 where nothing was counted"
        )
    if known.size and np.abs(known).max() <= LARGEST_LOG2:
        return Found('"log2_intensity"')
    what = "whole but negative" if is_whole else "fractional and large"
    return Found(
        "FILL_IN", f"'counts' or 'log2_intensity': values are {what}, neither of these, so give another matrix"
    )


def genes(names: npt.NDArray[np.object_]) -> tuple[Found, str | None]:
    """What the features are called, and the pattern that finds the gene's name in a feature's."""
    for shape, kind, pattern in GENES:
        if np.mean([re.fullmatch(shape, name) is not None for name in names]) > MOST:
            return Found(f"Features({quoted(kind)})"), pattern
    example = names[0] if len(names) else ""
    return Found("Features(FILL_IN)", f"what names like {example!r} are: 'gene_id', 'symbol', 'entrez'"), None
