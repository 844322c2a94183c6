"""Read AnnData files (h5ad) by rows: annotations at once, the matrix a few samples at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb.common.errors import DataError, SourceError
from pbdb.readers.bombs import require_plausible
from pbdb.readers.tables import damaged, missing

if TYPE_CHECKING:
    import scipy.sparse as sp

ROWS = 1024
Positions = npt.NDArray[np.intp]


class Annotated:
    """An h5ad file of samples x features: `obs`, `var`, and rows of X on demand as CSR.

    Raises:
        SourceError: there is no such file.
        DataError: it is damaged, or X is neither dense nor CSR.
    """

    def __init__(self, path: Path):
        import h5py
        from anndata.io import read_elem

        if not path.is_file():
            raise missing(path)
        require_plausible(path)
        self._path = path
        try:
            with h5py.File(path) as file:
                self.obs: pd.DataFrame = read_elem(file["obs"])
                self.var: pd.DataFrame = read_elem(file["var"])
                self.shape, self._indptr = _layout(path, file["X"])
        except (OSError, KeyError) as problem:
            raise damaged(path, problem) from None

    def need(self, obs: Sequence[str] = (), var: Sequence[str] = ()) -> None:
        """Check that the annotations have these columns.

        Raises:
            SourceError: one is missing.
        """
        for name, table, columns in (("obs", self.obs, obs), ("var", self.var, var)):
            lacking = [column for column in columns if column not in table]
            if lacking:
                raise SourceError(
                    f"The {name} of '{self._path.name}' lacks the column '{lacking[0]}': it is not the release this "
                    "source was written for; get that release.",
                    file=self._path.name,
                    column=lacking[0],
                )

    def rows(self, positions: Positions) -> sp.csr_matrix:
        """Rows at ascending positions, in that order."""
        import h5py
        import scipy.sparse as sp

        try:
            with h5py.File(self._path) as file:
                parts = [self._run(file["X"], run) for run in _runs(positions)]
        except OSError as problem:
            raise damaged(self._path, problem) from None
        return sp.vstack([sp.csr_matrix((0, self.shape[1])), *parts], format="csr")

    def blocks(self, size: int = ROWS) -> Iterator[tuple[slice, sp.csr_matrix]]:
        """All rows, some at a time, with where they stand."""
        for start in range(0, self.shape[0], size):
            some = slice(start, min(start + size, self.shape[0]))
            yield some, self.rows(np.arange(some.start, some.stop))

    def _run(self, matrix: Any, run: slice) -> sp.csr_matrix:
        import scipy.sparse as sp

        if self._indptr is None:
            return sp.csr_matrix(matrix[run])
        low, high = self._indptr[run.start], self._indptr[run.stop]
        parts = (matrix["data"][low:high], matrix["indices"][low:high], self._indptr[run.start : run.stop + 1] - low)
        return sp.csr_matrix(parts, (run.stop - run.start, self.shape[1]))


def _layout(path: Path, matrix: Any) -> tuple[tuple[int, int], npt.NDArray[np.int64] | None]:
    """Shape of X, and where its rows begin if it is sparse."""
    import h5py

    if isinstance(matrix, h5py.Dataset):
        return (int(matrix.shape[0]), int(matrix.shape[1])), None
    if matrix.attrs.get("encoding-type") != "csr_matrix":
        raise DataError(
            f"The matrix X of '{path.name}' is stored by columns: write it by rows (CSR) or dense.", file=path.name
        )
    n_rows, n_columns = (int(n) for n in matrix.attrs["shape"])
    return (n_rows, n_columns), matrix["indptr"][:].astype(np.int64)


def _runs(positions: Positions) -> list[slice]:
    """Ascending positions as runs of neighbours."""
    if not len(positions):
        return []
    parts = np.split(positions, np.flatnonzero(np.diff(positions) != 1) + 1)
    return [slice(int(part[0]), int(part[-1]) + 1) for part in parts]


def ordered(table: pd.DataFrame, names: pd.Index[Any], table_name: str, name: str) -> pd.DataFrame:
    """Rows of a table in the order of these names, which are its index; rows of other names are left out.

    Raises:
        DataError: a name stands twice in either, or is not in the table.
    """
    for index, where in ((table.index, table_name), (names, name)):
        twice = index[index.duplicated()]
        if len(twice):
            raise DataError(f"'{twice[0]}' stands twice in '{where}': every name must be there once.", value=twice[0])
    lacking = names[~names.isin(table.index)]
    if len(lacking):
        raise DataError(
            f"'{lacking[0]}' stands in '{name}' but not in '{table_name}' ({len(lacking)} such).", value=lacking[0]
        )
    rows: pd.DataFrame = table.loc[names]
    return rows
