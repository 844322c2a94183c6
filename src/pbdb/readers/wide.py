"""Read wide Parquet tables of counts, one column a sample, some columns at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pbdb.common.errors import DataError, SourceError
from pbdb.readers.tables import Matrix, damaged, missing

if TYPE_CHECKING:
    import scipy.sparse as sp

COLUMNS = 256


class Wide:
    """A Parquet table of features x samples: names of both, and samples on demand as rows of CSR.

    Raises:
        SourceError: there is no such file, or no column of that name.
        DataError: it is damaged, or a name stands twice.
    """

    def __init__(self, path: Path, column: str):
        if not path.is_file():
            raise missing(path)
        self._path = path
        try:
            self._file = pq.ParquetFile(path)
            names = [str(name) for name in self._file.schema_arrow.names]
            if column not in names:
                raise SourceError(
                    f"The file '{path.name}' has no column '{column}', which names its genes.",
                    file=path.name,
                    column=column,
                )
            self.features = np.array(self._file.read([column]).column(0).to_pylist(), dtype=object)
        except (OSError, pa.ArrowException) as problem:
            raise damaged(path, problem) from None
        self.samples = np.array([name for name in names if name != column], dtype=object)
        self._refuse_twice(self.samples, "sample")
        self._refuse_twice(self.features, "gene")

    def blocks(self, wanted: Sequence[str], size: int = COLUMNS) -> Iterator[Matrix]:
        """Counts of the samples wanted, some at a time."""
        import scipy.sparse as sp

        for start in range(0, len(wanted), size):
            names = list(wanted[start : start + size])
            try:
                table = self._file.read(names)
            except (OSError, pa.ArrowException) as problem:
                raise damaged(self._path, problem) from None
            rows = [_sparse(table.column(name)) for name in names]
            yield Matrix(np.array(names, dtype=object), self.features, sp.vstack(rows, format="csr"))

    def _refuse_twice(self, names: np.ndarray[tuple[int], np.dtype[np.object_]], what: str) -> None:
        if len(set(names)) < len(names):
            raise DataError(
                f"A {what} stands twice in '{self._path.name}': every {what} must be there once.", file=self._path.name
            )


def wide(column: str) -> Callable[[Path], Wide]:
    """Make a reader of wide tables; `column` names the genes, the others are samples."""
    return lambda path: Wide(path, column)


def _sparse(column: pa.ChunkedArray) -> sp.csr_matrix:
    """One sample as a row; a missing count is refused later, as it is no whole number."""
    import scipy.sparse as sp

    values = column.to_numpy()
    places = np.flatnonzero(values)
    return sp.csr_matrix((values[places], (np.zeros(len(places), dtype=np.intp), places)), (1, len(values)))
