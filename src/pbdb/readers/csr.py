"""Cells x genes in compressed sparse rows on disk (h5ad, zarr), local or at an address, read in blocks of rows."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from pbdb.common.arrays import Ints
from pbdb.common.errors import DataError, SourceError
from pbdb.readers.annotations import Annotations
from pbdb.readers.blocks import Stretches

VALUES_PER_BLOCK = 1 << 25
DAMAGED: tuple[Any, ...] = (
    OSError,
    EOFError,
    KeyError,
    RuntimeError,
    ValueError,
    zlib.error,
    isal_zlib.error,
)


@dataclass(frozen=True)
class Rows:
    """Some cells: the position of the first, and their values in compressed sparse rows, as they are stored."""

    start: int
    indptr: Ints
    indices: npt.NDArray[Any]
    data: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.indptr) - 1


class CellMatrix:
    """An open store of cells: tables `obs` and `var`, and the matrix in blocks of rows."""

    def __init__(self, store: Any, name: str, place: str):
        self.name = name
        self.obs, self.var = Annotations(store, "obs"), Annotations(store, "var")
        group = store.get(place)
        if group is None or hasattr(group, "dtype") or any(part not in group for part in ("data", "indices", "indptr")):
            raise DataError(
                f"its matrix '{place}' is not there or not sparse; store counts in compressed sparse rows (CSR)",
                value=place,
            )
        self._matrix = group
        self._refuse_columns()
        self.shape = self._shape()
        self._refuse_strangers(place)

    def _refuse_columns(self) -> None:
        attributes = self._matrix.attrs
        encoding = str(attributes.get("encoding-type", attributes.get("h5sparse_format", "csr")))
        if not encoding.startswith("csr"):
            raise DataError(
                f"its matrix is stored as {encoding}; store it in compressed sparse rows (CSR)", value=encoding
            )

    def _shape(self) -> tuple[int, int]:
        for name in ("shape", "h5sparse_shape"):
            if name in self._matrix.attrs:
                n_cells, n_genes = self._matrix.attrs[name]
                return int(n_cells), int(n_genes)
        if "shape" in self._matrix:
            n_cells, n_genes = self._matrix["shape"][:]
            return int(n_cells), int(n_genes)
        return self._matrix["indptr"].shape[0] - 1, self.var.n_rows

    def _refuse_strangers(self, place: str) -> None:
        """The matrix and its tables must speak of the same cells and genes."""
        tables = (self.obs.n_rows, self.var.n_rows)
        if self.shape != tables or self._matrix["indptr"].shape[0] != tables[0] + 1:
            raise DataError(
                f"its matrix '{place}' has {self.shape[0]:,} cells and {self.shape[1]:,} genes "
                f"({self._matrix['indptr'].shape[0] - 1:,} rows are there), its tables obs and var {tables[0]:,} and "
                f"{tables[1]:,}",
                value=place,
            )

    def blocks(self, start: int, stop: int, threads: int = 1, n_values: int = VALUES_PER_BLOCK) -> Iterator[Rows]:
        """Cells from start to stop, about n_values stored values at a time; chunks are inflated by `threads`.

        Raises:
            DataError: the file is damaged.
        """
        with translate_errors(self.name):
            indptr = np.asarray(self._matrix["indptr"][start : stop + 1]).astype(np.int64)
            n_stored = min(self._matrix[name].shape[0] for name in ("indices", "data"))
            if (np.diff(indptr, prepend=0) < 0).any() or indptr[-1] > n_stored:
                raise DataError("the starts of its rows do not ascend within the values there are")
        with ThreadPoolExecutor(threads) as pool:
            arrays = [Stretches(self._matrix[name], pool) for name in ("indices", "data")]
            first = 0
            while first < len(indptr) - 1:
                last = max(first + 1, int(np.searchsorted(indptr, indptr[first] + n_values, side="right")) - 1)
                low, high = int(indptr[first]), int(indptr[last])
                with translate_errors(self.name):
                    indices, data = (_common(array.read(low, high)) for array in arrays)
                yield Rows(start + first, indptr[first : last + 1] - low, indices, data)
                first = last


def _common(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values in a type that compiled code takes: of this machine's byte order, and no float of 16 bits."""
    kind = values.dtype.newbyteorder("=")
    return values.astype(np.float32 if kind == np.float16 else kind, copy=False)


@contextmanager
def cell_matrix(address: Path | str, place: str = "X") -> Iterator[CellMatrix]:
    """Open a store of cells: an h5ad file, a zarr folder, or the address of either (fsspec).

    Raises:
        SourceError: there is nothing at this address.
        DataError: it is damaged, or its cells are not in compressed sparse rows.
    """
    name = str(address)
    with ExitStack() as opened:
        with translate_errors(name):
            matrix = CellMatrix(_open(name, opened), name, place)
        yield matrix


@contextmanager
def translate_errors(name: str) -> Iterator[None]:
    """Reading of a store may fail in many ways; each becomes one sentence."""
    try:
        yield
    except FileNotFoundError:
        raise SourceError(f"There is no file '{name}', or this machine does not see it.", file=name) from None
    except DataError as problem:
        raise DataError(
            f"'{name}' cannot be read as cells: {problem}.", file=name, column=problem.column, value=problem.value
        ) from None
    except DAMAGED as problem:
        raise DataError(
            f"'{name}' cannot be read to its end ({_line(problem)}): it is damaged, or its download was interrupted; "
            "delete it and get it again.",
            file=name,
        ) from problem


def _line(problem: BaseException) -> str:
    return " ".join(str(problem).split())[:200] or type(problem).__name__


def _open(name: str, opened: ExitStack) -> Any:
    is_remote = "://" in name
    if name.rstrip("/").endswith(".zarr") or (not is_remote and Path(name).is_dir()):
        import zarr

        return zarr.open_group(name, mode="r")
    import h5py

    if not is_remote:
        return opened.enter_context(h5py.File(name, "r"))
    import fsspec

    content = opened.enter_context(fsspec.open(name, "rb"))
    return opened.enter_context(h5py.File(content, "r"))
