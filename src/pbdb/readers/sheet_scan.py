"""Scan the XML of a worksheet: numbers go into an array, texts are noted by place, nothing else is looked at."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

SHARED, TEXT, OTHER = 1, 2, 3
"""What a noted cell holds: the number of a shared string, text from one byte to another, or what is no number."""

_LT, _GT, _SLASH, _QUOTE, _SPACE, _A = (ord(one) for one in '<>/" A')
_C, _R, _O, _W, _T, _S, _V, _N, _I, _B, _E, _D, _MINUS, _PLUS, _DOT = (ord(one) for one in "crowtsvnibed-+.")
_DIGIT = ord("0")


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def scan(text: Any, values: Any, notes: Any) -> tuple[int, int, int]:
    """Read whole rows of a worksheet.

    text: the bytes. values: rows x columns, NaN where nothing is; filled. notes: what, row, column and two numbers of
    every cell that is no number, with room for all cells; filled. Returns the number of rows that hold something, of
    notes, and 1 if a cell lies beyond the rows or columns.
    """
    n, at, row, column, n_notes, is_new = len(text), 0, -1, 0, 0, True
    while at < n - 2:
        is_cell, is_row = _is_tag(text, at)
        if is_row:
            is_new, column = True, 0
        if not is_cell:
            at += 1
            continue
        at, column, kind, start, stop = _cell(text, at + 2, column)
        if stop > start:
            if is_new:
                row, is_new = row + 1, False
            if row >= values.shape[0] or not 0 <= column < values.shape[1]:
                return row, n_notes, 1
            n_notes += _keep(text, start, stop, kind, row, column, values, notes[n_notes])
        column += 1
    return row + 1, n_notes, 0


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _keep(text: Any, start: int, stop: int, kind: int, row: int, column: int, values: Any, note: Any) -> int:
    """Put the content of a cell where it belongs; 1 if that is a note."""
    value = _number(text, start, stop) if kind in (0, SHARED) else np.nan
    if kind == 0 and not np.isnan(value):
        values[row, column] = value
        return 0
    is_odd = kind == 0 or (kind == SHARED and np.isnan(value))
    note[0], note[1], note[2] = (OTHER if is_odd else kind), row, column
    note[3], note[4] = (int(value) if kind == SHARED and not is_odd else start), stop
    return 1


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _is_tag(text: Any, at: int) -> tuple[bool, bool]:
    """Whether a cell or a row begins here: `<c` or `<row` before a space, an end or a slash."""
    if text[at] != _LT:
        return False, False
    if text[at + 1] == _C:
        after = text[at + 2]
        return after in (_SPACE, _GT, _SLASH), False
    if at + 4 < len(text) and text[at + 1] == _R and text[at + 2] == _O and text[at + 3] == _W:
        return False, text[at + 4] in (_SPACE, _GT, _SLASH)
    return False, False


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _cell(text: Any, at: int, column: int) -> tuple[int, int, int, int, int]:
    """Read a cell: where it ends, its column, its kind, and where its content starts and stops."""
    at, column, kind, is_empty = _attributes(text, at, column)
    if is_empty:
        return at, column, kind, at, at
    at, start, stop = _content(text, at)
    return at, column, kind, start, stop


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _attributes(text: Any, at: int, column: int) -> tuple[int, int, int, bool]:
    """Read the attributes of a cell: where they end, its column, its kind (0: a number), and whether it is empty."""
    kind = 0
    while at < len(text) and text[at] != _GT:
        if text[at] == _SPACE and at + 3 < len(text) and text[at + 3] == _QUOTE:
            name, at = text[at + 1], at + 4
            if name == _R:
                column = 0
                while text[at] >= _A:
                    column = 26 * column + text[at] - _A + 1
                    at += 1
                column -= 1
            elif name == _T:
                kind = _kind(text, at)
            while at < len(text) and text[at] != _QUOTE:
                at += 1
        at += 1
    return at + 1, column, kind, text[at - 1] == _SLASH


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _kind(text: Any, at: int) -> int:
    """Kind of a cell by its type: s (shared), str and inlineStr (text), n (number), b, e, d (others)."""
    first, second = text[at], text[at + 1]
    if first == _N:
        return 0
    if first == _S and second == _QUOTE:
        return SHARED
    return TEXT if first in (_S, _I) else OTHER


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _content(text: Any, at: int) -> tuple[int, int, int]:
    """Find the content of a cell, in `<v>` or in `<t>`: where the cell ends, and where its content starts and stops."""
    start, stop = at, at
    while at < len(text) - 2:
        if text[at] == _LT:
            if text[at + 1] == _SLASH and text[at + 2] == _C:
                return at + 3, start, stop
            if text[at + 1] in (_V, _T) and text[at + 2] in (_GT, _SPACE):
                while text[at] != _GT:
                    at += 1
                start = at + 1
                stop = start
                while stop < len(text) and text[stop] != _LT:
                    stop += 1
                at = stop - 1
        at += 1
    return at, start, stop


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _number(text: Any, start: int, stop: int) -> float:
    """A decimal number with or without exponent; NaN for anything else."""
    at, sign, digits, scale, exponent, exponent_sign = start, 1.0, 0, 0, 0, 1
    mantissa = 0.0
    if at < stop and text[at] in (_MINUS, _PLUS):
        sign, at = (-1.0 if text[at] == _MINUS else 1.0), at + 1
    is_fraction = False
    while at < stop and (_DIGIT <= text[at] <= _DIGIT + 9 or (text[at] == _DOT and not is_fraction)):
        if text[at] == _DOT:
            is_fraction = True
        else:
            mantissa, digits, scale = 10 * mantissa + text[at] - _DIGIT, digits + 1, scale + is_fraction
        at += 1
    if at + 1 < stop and text[at] | 32 == _E and digits:
        at += 1
        if text[at] in (_MINUS, _PLUS):
            exponent_sign, at = (-1 if text[at] == _MINUS else 1), at + 1
        while at < stop and _DIGIT <= text[at] <= _DIGIT + 9:
            exponent, at = 10 * exponent + text[at] - _DIGIT, at + 1
    if at < stop or not digits:
        return np.nan
    return sign * mantissa * 10.0 ** (exponent_sign * exponent - scale)


def empty(n_rows: int, n_columns: int) -> npt.NDArray[np.float64]:
    """Values of rows in which nothing was read yet."""
    return np.full((n_rows, n_columns), np.nan)
