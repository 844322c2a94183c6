"""Turn matrices over by small squares, which stay in the processor's cache: several times as fast as by rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from pbdb.common.arrays import Floats32

_SIDE = 64


def transposed(values: npt.NDArray[np.floating]) -> Floats32:
    """Return a matrix turned over, as float32."""
    out = np.empty(values.shape[::-1], np.float32)
    _transpose(np.asarray(values), out)
    return out


@njit(parallel=True, cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _transpose(values: npt.NDArray[np.floating], out: Floats32) -> None:
    n_rows, n_columns = values.shape
    for square in prange((n_columns + _SIDE - 1) // _SIDE):
        first, last = square * _SIDE, min(square * _SIDE + _SIDE, n_columns)
        for top in range(0, n_rows, _SIDE):
            for row in range(top, min(top + _SIDE, n_rows)):
                for column in range(first, last):
                    out[column, row] = values[row, column]
