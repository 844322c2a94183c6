"""PostgreSQL's COPY BINARY format for rows of one shape, built and written by NumPy without a loop over rows.

Rows of effects have arrays of one length, so each row takes the same number of bytes: a block of rows is one
structured array. Layout: PostgreSQL documentation, COPY, "Binary Format"; arrays as array_recv reads them,
halfvec as pgvector's halfvec_recv does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
FLOAT4_OID = 700
INT4_OID = 23
INT8_OID = 20
SCALARS = {"i8": ">i8", "i4": ">i4", "f8": ">f8", "b1": "?"}
ELEMENTS = {"f4": (FLOAT4_OID, ">f4"), "i4": (INT4_OID, ">i4"), "i8": (INT8_OID, ">i8")}
MAX_DIMENSIONS = 2

Value = npt.NDArray[Any] | str | int | float | bool | None


def rows(columns: Mapping[str, Value], n_rows: int) -> bytes:
    """Encode rows in the order of `columns`, without header and trailer.

    A value is an array of n_rows scalars (int64, int32, float64, bool), a matrix of n_rows x k (float32, int32,
    int64: an array column; float16: a halfvec), or one scalar or text or None for all rows.
    """
    fields = {name: _field(value) for name, value in columns.items()}
    layout = [("", ">i2")] + [part for name, field in fields.items() for part in _layout(name, field)]
    block = np.zeros(n_rows, dtype=[(name or "n_fields", *rest) for name, *rest in layout])
    block["n_fields"] = len(fields)
    for name, field in fields.items():
        _fill(block, name, field)
    return block.tobytes()


def decode(data: bytes, columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Decode what COPY BINARY sent, header and trailer included: a structured array with the named columns.

    columns: an empty array of each column's kind, as `rows` would take it; no value may be null and arrays of one
    column have one length.
    """
    layout = [("n_fields", ">i2")] + [part for name, field in columns.items() for part in _layout(name, field)]
    return np.frombuffer(data[len(HEADER) : len(data) - len(TRAILER)], dtype=layout)


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
        block[f"{name}:head"] = (field.shape[1], 0)
        block[name] = field
    else:
        # Dimensions, no nulls, element type, size and lower bound of the one dimension.
        block[f"{name}:head"] = (1, 0, ELEMENTS[field.dtype.str[1:]][0], field.shape[1], 1)
        block[name]["length"] = field.dtype.itemsize
        block[name]["value"] = field


def _length(field: npt.NDArray[Any]) -> int:
    if field.ndim < MAX_DIMENSIONS:
        return int(field.dtype.itemsize)
    if field.dtype == np.float16:
        return 4 + 2 * int(field.shape[1])
    return int(20 + (4 + int(field.dtype.itemsize)) * field.shape[1])
