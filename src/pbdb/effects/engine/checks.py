"""Refuse values that cannot be what the caller says they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pbdb.common.errors import DataError

LARGEST_LOG2 = 50.0
_PIECE = 2**22


def _pieces(values: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """Cut values along their first dimension, so that temporary arrays stay small."""
    step = max(1, _PIECE // max(1, values[:1].size))
    for start in range(0, len(values), step):
        yield values[start : start + step]


def check_counts(values: npt.NDArray[Any]) -> None:
    """Refuse counts that are negative, fractional, missing or infinite.

    Raises:
        DataError: naming the first such value.
    """
    for piece in _pieces(values):
        if piece.dtype.kind == "f":
            _check_fractions(piece)
        if piece.dtype.kind not in "ub" and piece.size and piece.min() < 0:
            raise DataError(f"The counts hold a negative value ({piece.min():g}); counts start at zero.")


def _check_fractions(values: npt.NDArray[Any]) -> None:
    """Floats may hold counts (Matrix Market, R): what matters is that rounding changes none."""
    if not np.isfinite(values).all():
        worst = values[~np.isfinite(values)][0]
        raise DataError(f"The counts hold {worst}; give 0 where nothing was counted, or leave the sample out.")
    fraction = values != np.rint(values)
    if fraction.any():
        raise DataError(
            f"The counts hold fractions (such as {values[fraction][0]:g}); "
            "give raw counts, or say that the values are log2 intensities."
        )


def check_intensities(values: npt.NDArray[Any]) -> None:
    """Refuse log2 intensities that are infinite, too large for a logarithm, or whole numbers throughout.

    Missing values (NaN) are allowed.

    Raises:
        DataError: naming what was found.
    """
    all_whole, any_known = True, False
    for piece in _pieces(values):
        if np.isinf(piece).any():
            raise DataError("The log2 intensities hold an infinite value; give NaN where a value is missing.")
        known = piece[~np.isnan(piece)]
        any_known |= known.size > 0
        all_whole &= bool((known == np.rint(known)).all())
        if known.size and np.abs(known).max() > LARGEST_LOG2:
            raise DataError(
                f"The log2 intensities hold {known[np.abs(known).argmax()]:g}, which no logarithm reaches; "
                "take log2 first, or say that the values are counts."
            )
    if not any_known:
        raise DataError("The log2 intensities are all missing.")
    if all_whole:
        raise DataError("All log2 intensities are whole numbers; if these are raw counts, say so.")
