"""Types of arrays, by what they hold; and whether values are whole numbers."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pbdb.common.errors import DataError

Floats: TypeAlias = npt.NDArray[np.float64]
Floats32: TypeAlias = npt.NDArray[np.float32]
Ints: TypeAlias = npt.NDArray[np.int64]
Codes: TypeAlias = npt.NDArray[np.int32]
Mask: TypeAlias = npt.NDArray[np.bool_]
Labels: TypeAlias = npt.NDArray[np.object_]
Values: TypeAlias = npt.NDArray[Any]

AT_ONCE = 1 << 20  # values looked at together, so that temporary arrays stay small


def is_whole(values: Values, largest: float = np.inf) -> Mask:
    """Mark the whole numbers from 0 to `largest`; a missing or infinite value is none."""
    marks = (values >= 0) & (values <= largest)
    if values.dtype.kind == "f":
        marks &= (values == np.rint(values)) & np.isfinite(values)
    return np.asarray(marks)


def are_whole(values: Values) -> bool:
    """Whether all values are whole numbers from 0."""
    flat = values.ravel()
    return all(bool(is_whole(flat[at : at + AT_ONCE]).all()) for at in range(0, len(flat), AT_ONCE))


def check_columns(indices: Values, n_columns: int) -> None:
    """Refuse a sparse matrix whose values name columns that it does not have: compiled code would not notice.

    Raises:
        DataError: there is one.
    """
    if len(indices) and not (indices.min() >= 0 and indices.max() < n_columns):
        worst = int(indices.min() if indices.min() < 0 else indices.max())
        raise DataError(
            f"A count is of gene {worst} (from 0), and there are {n_columns}: the matrix is damaged, take it from its "
            "source again."
        )
