"""Refuse matrices that cannot be what the caller says they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pbdb.effects.matrix import Matrix
from pbdb.errors import DataError

LARGEST_LOG2 = 50.0


def check_counts(matrix: Matrix) -> None:
    """Refuse counts that are negative, fractional, missing or infinite.

    Raises:
        DataError: naming the first such value.
    """
    for values in matrix.stored():
        if values.dtype.kind == "f":
            _check_fractions(values)
        if values.dtype.kind != "u" and values.size and values.min() < 0:
            raise DataError(f"The counts hold a negative value ({values.min():g}); counts start at zero.")


def _check_fractions(values: npt.NDArray[Any]) -> None:
    if not np.isfinite(values).all():
        worst = values[~np.isfinite(values)][0]
        raise DataError(f"The counts hold {worst}; give 0 where nothing was counted, or leave the sample out.")
    fraction = values != np.rint(values)
    if fraction.any():
        raise DataError(
            f"The counts hold fractions (such as {values[fraction][0]:g}); "
            "give raw counts, or say that the values are log2 intensities."
        )


def check_intensities(matrix: Matrix) -> None:
    """Refuse log2 intensities that are infinite, too large for a logarithm, or whole numbers throughout.

    Missing values (NaN) are allowed.

    Raises:
        DataError: naming what was found.
    """
    all_whole, any_finite = True, False
    for values in matrix.stored():
        if np.isinf(values).any():
            raise DataError("The log2 intensities hold an infinite value; give NaN where a value is missing.")
        finite = values[np.isfinite(values)]
        any_finite |= finite.size > 0
        if finite.size and np.abs(finite).max() > LARGEST_LOG2:
            raise DataError(
                f"The log2 intensities hold {finite[np.abs(finite).argmax()]:g}, which no logarithm reaches; "
                "take log2 first, or say that the values are counts."
            )
        all_whole &= bool((finite == np.rint(finite)).all())
    if all_whole and any_finite:
        raise DataError("All log2 intensities are whole numbers; if these are raw counts, say so.")
    if not any_finite:
        raise DataError("The log2 intensities are all missing.")
