"""Columns of counts in compressed sparse rows brought to other places."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numba import njit

from pbdb.common.arrays import Values, check_columns


def moved(matrix: Any, columns: Values, n_columns: int) -> sp.csr_matrix:
    """Values in other columns, ascending in each row, without zeros; columns: the new ones, below 0 those left out.

    Values of a row that meet in one column are summed. The dtype stays.

    Raises:
        DataError: a value names a column that the matrix does not have.
    """
    rows = matrix.tocsr()
    check_columns(rows.indices, len(columns))
    indptr, indices, data = _moved(rows.indptr, rows.indices, rows.data, columns, n_columns)
    return type(rows)((data, indices, indptr), (rows.shape[0], n_columns))


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _moved(
    indptr: Values, indices: Values, data: Values, columns: Values, n_columns: int
) -> tuple[Values, Values, Values]:
    """Add each row up in a dense one: reading that off from left to right is faster than sorting.

    Zeros are written too and then written over: to branch on them is slower.
    """
    row_of = np.zeros(n_columns, dtype=data.dtype)
    ends = np.zeros(len(indptr), dtype=indptr.dtype)
    to, values = np.empty(len(data) + 1, dtype=np.int32), np.empty(len(data) + 1, dtype=data.dtype)
    n = 0
    for row in range(len(indptr) - 1):
        first, last = n_columns, -1
        for at in range(indptr[row], indptr[row + 1]):
            column = columns[indices[at]]
            if column >= 0:
                row_of[column] += data[at]
                first, last = min(first, column), max(last, column)
        for column in range(first, last + 1):
            to[n], values[n] = column, row_of[column]
            n += row_of[column] != 0
            row_of[column] = 0
        ends[row + 1] = n
    return ends, to[:n], values[:n]
