"""PostgreSQL's COPY BINARY format for rows of one shape, built and written by NumPy without a loop over rows.

Rows of effects have arrays of one length, so each row takes the same number of bytes: a block of rows is one
structured array. Layout: PostgreSQL documentation, COPY, "Binary Format"; arrays as array_recv reads them,
halfvec as pgvector's halfvec_recv does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pbdb.common.errors import DataError

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
FLOAT4_OID = 700
INT4_OID = 23
INT8_OID = 20
SCALARS = {"i8": ">i8", "i4": ">i4", "f8": ">f8", "f4": ">f4", "b1": "?"}
ELEMENTS = {"f4": (FLOAT4_OID, ">f4"), "i4": (INT4_OID, ">i4"), "i8": (INT8_OID, ">i8")}
MAX_DIMENSIONS = 2

Value = npt.NDArray[Any] | str | int | float | bool | None


class Source(Protocol):
    """What COPY TO STDOUT sends, piece by piece; nothing at its end."""

    def read(self) -> bytes | bytearray | memoryview:
        """Return the next piece."""


def rows(columns: Mapping[str, Value], n_rows: int) -> bytes:
    """Encode rows in the order of `columns`, without header and trailer.

    A value is an array of n_rows scalars (int64, int32, float64, float32, bool), a matrix of n_rows x k (float32,
    int32, int64: an array column; float16: a halfvec), or one scalar or text or None for all rows.
    """
    return bytes(Encoder().rows(columns, n_rows))


class Encoder:
    """Encode block after block in the same memory: fresh memory costs more than the encoding itself."""

    def __init__(self) -> None:
        self._memory = np.empty(0, dtype=np.uint8)

    def rows(self, columns: Mapping[str, Value], n_rows: int) -> memoryview:
        """Encode as the function `rows`; the result is good until the next call."""
        fields = {name: _field(value) for name, value in columns.items()}
        layout = [("n_fields", ">i2")] + [part for name, field in fields.items() for part in _layout(name, field)]
        kind = np.dtype(layout)
        if len(self._memory) < n_rows * kind.itemsize:
            self._memory = np.empty(n_rows * kind.itemsize, dtype=np.uint8)
        block = self._memory[: n_rows * kind.itemsize].view(kind)
        block["n_fields"] = len(fields)
        for name, field in fields.items():
            _fill(block, name, field)
        return self._memory[: n_rows * kind.itemsize].data


def decode(data: bytes, columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Decode what COPY BINARY sent, header and trailer included: a structured array with the named columns.

    columns: an empty array of each column's kind, as `rows` would take it; no value may be null and arrays of one
    column have one length.
    """
    return np.frombuffer(data[len(HEADER) : len(data) - len(TRAILER)], dtype=_kind(columns))


class Decoder:
    """Decode rows as they come, block after block in the same two pieces of memory."""

    def __init__(self) -> None:
        self._memory = [np.empty(0, dtype=np.uint8), np.empty(0, dtype=np.uint8)]

    def blocks(
        self, source: Source, columns: Mapping[str, npt.NDArray[Any]], n_rows: int
    ) -> Iterator[npt.NDArray[Any]]:
        """Blocks of n_rows, the last one shorter; each is good until the one after the next is asked for.

        columns: as for `decode`.

        Raises:
            DataError: a value is null, or an array is of another length than that of its column.
        """
        kind = _kind(columns)
        memory, filled, header = self._next(n_rows * kind.itemsize), 0, len(HEADER)
        while piece := source.read():
            rest = np.frombuffer(piece, dtype=np.uint8)[header:]
            header -= min(header, len(piece))
            while len(rest):
                taken = min(len(rest), len(memory) - filled)
                memory[filled : filled + taken] = rest[:taken]
                rest, filled = rest[taken:], filled + taken
                if filled == len(memory):
                    yield _checked(memory.view(kind), columns)
                    memory, filled = self._next(len(memory)), 0
        last = filled // kind.itemsize * kind.itemsize
        if memory[last:filled].tobytes() != TRAILER:
            raise DataError(_OTHER_SHAPE)
        if last:
            yield _checked(memory[:last].view(kind), columns)

    def _next(self, size: int) -> npt.NDArray[np.uint8]:
        """The piece of memory whose block is no longer used."""
        self._memory.reverse()
        if len(self._memory[0]) < size:
            self._memory[0] = np.empty(size, dtype=np.uint8)
        return self._memory[0][:size]


def values(block: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """A column of a decoded block: scalars, or the matrix of an array column, in foreign byte order."""
    column: npt.NDArray[Any] = block[name]
    return column["value"] if column.dtype.names else column


def _kind(columns: Mapping[str, npt.NDArray[Any]]) -> np.dtype[Any]:
    return np.dtype([("n_fields", ">i2")] + [part for name, field in columns.items() for part in _layout(name, field)])


def _checked(block: npt.NDArray[Any], columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Make sure that every row has the shape of the columns: that all its lengths stand where they should."""
    is_right = block["n_fields"] == len(columns)
    for name, column in columns.items():
        is_right &= block[f"{name}:length"] == _length(column)
        if column.ndim == MAX_DIMENSIONS:
            is_right &= (block[f"{name}:head"] == _head(column)).all(axis=1)
    if not is_right.all():
        raise DataError(_OTHER_SHAPE)
    return block


def _field(value: Value) -> npt.NDArray[Any] | bytes | None:
    if value is None or isinstance(value, np.ndarray):
        return value
    if isinstance(value, str):
        return value.encode()
    return np.asarray(value, dtype="f8" if isinstance(value, float) else "b1" if isinstance(value, bool) else "i8")


def _layout(name: str, field: npt.NDArray[Any] | bytes | None) -> list[tuple[Any, ...]]:
    parts: list[tuple[Any, ...]] = [(f"{name}:length", ">i4")]
    if isinstance(field, bytes):
        parts.append((name, f"S{len(field)}"))
    elif field is None:
        pass
    elif field.ndim < MAX_DIMENSIONS:
        parts.append((name, SCALARS[field.dtype.str[1:]]))
    elif field.dtype == np.float16:
        parts += [(f"{name}:head", ">i2", (2,)), (name, ">f2", field.shape[1:])]
    else:
        element = np.dtype([("length", ">i4"), ("value", ELEMENTS[field.dtype.str[1:]][1])])
        parts += [(f"{name}:head", ">i4", (5,)), (name, element, field.shape[1:])]
    return parts


def _fill(block: npt.NDArray[Any], name: str, field: npt.NDArray[Any] | bytes | None) -> None:
    if field is None:
        block[f"{name}:length"] = -1
        return
    if isinstance(field, bytes):
        block[f"{name}:length"] = len(field)
        block[name] = field
        return
    block[f"{name}:length"] = _length(field)
    if field.ndim < MAX_DIMENSIONS:
        block[name] = field
    elif field.dtype == np.float16:
        block[f"{name}:head"] = _head(field)
        block[name] = field
    else:
        block[f"{name}:head"] = _head(field)
        block[name]["length"] = field.dtype.itemsize
        block[name]["value"] = field


def _head(field: npt.NDArray[Any]) -> tuple[int, ...]:
    """Of an array: dimensions, no nulls, element type, size and lower bound of the one dimension."""
    if field.dtype == np.float16:
        return (field.shape[1], 0)
    return (1, 0, ELEMENTS[field.dtype.str[1:]][0], field.shape[1], 1)


def _length(field: npt.NDArray[Any]) -> int:
    if field.ndim < MAX_DIMENSIONS:
        return int(field.dtype.itemsize)
    if field.dtype == np.float16:
        return 4 + 2 * int(field.shape[1])
    return int(20 + (4 + int(field.dtype.itemsize)) * field.shape[1])


_OTHER_SHAPE = "An array of effects in the database has not one value for each gene of its fit: compute the fit again."
