"""Types of arrays, by what they hold; and whether values are whole numbers."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

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
