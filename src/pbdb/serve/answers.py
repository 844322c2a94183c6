"""Rows as JSON, CSV, Arrow and Parquet; both engines give the same types, and so the same text."""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from pbdb.serve.catalog import Column
from pbdb.serve.filters import Selection
from pbdb.serve.place import FILE_SECONDS, ROWS_AT_ONCE, BusyError, Place, Reading, Row

MEDIA = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}
LONGEST_SECONDS = 300
_TYPES = {
    "integer": pa.int64(), "boolean": pa.bool_(), "text": pa.string(), "json": pa.string(), "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"), "list": pa.list_(pa.string()), "numbers": pa.list_(pa.float32()),
}  # fmt: skip


@dataclass
class File:
    """A file to send: parts as they come; truncated: None where that shows only at the end."""

    parts: Iterator[bytes]
    truncated: bool | None


def arrow_type(column: Column) -> pa.DataType:
    """The Arrow type of a column, whatever the engine makes of it."""
    if column.kind == "number":
        return pa.float32() if column.sql_type in ("real", "float") else pa.float64()
    return _TYPES[column.kind]


def table(reading: Reading, selection: Selection) -> tuple[list[Row], str | None]:
    """Rows of a selection as JSON has them, and the token of the next page where there is one."""
    found = pa.Table.from_batches(
        _typed(reading, selection), _schema(selection, selection.columns + _hidden(selection))
    )
    shown = plain_rows(found.slice(0, selection.size), selection)
    if found.num_rows <= selection.size:
        return _without(shown, _hidden(selection)), None
    token = selection.next_token(shown[-1])
    return _without(shown, _hidden(selection)), token


def _hidden(selection: Selection) -> list[str]:
    return [name for name in selection.sort if name not in selection.columns]


def _without(rows: list[Row], names: list[str]) -> list[Row]:
    return [{name: v for name, v in row.items() if name not in names} for row in rows] if names else rows


def plain_rows(found: pa.Table, selection: Selection) -> list[Row]:
    """Rows as Python values that JSON knows: float32 as it is written, what is not finite as None."""
    columns = {}
    for name in found.column_names:
        values = found[name]
        kind = selection.view.columns[name].kind
        if pa.types.is_float32(values.type):
            values = pc.cast(pc.cast(values, pa.string()), pa.float64())
        listed = values.to_pylist()
        if kind == "number":
            listed = [v if v is None or math.isfinite(v) else None for v in listed]
        elif kind == "json":
            listed = [None if v is None else json.loads(v) for v in listed]
        elif kind in ("timestamp", "date"):
            listed = [None if v is None else v.isoformat() for v in listed]
        columns[name] = listed
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _schema(selection: Selection, names: list[str], facts: dict[str, str] | None = None) -> pa.Schema:
    columns = [selection.view.columns[name] for name in names]
    fields = [pa.field(c.name, arrow_type(c), metadata={"description": c.comment}) for c in columns]
    return pa.schema(fields, metadata={"description": selection.view.comment, **(facts or {})})


def _typed(reading: Reading, selection: Selection) -> Iterator[pa.RecordBatch]:
    schema = _schema(selection, selection.columns + _hidden(selection))
    _, batches = reading.batches(selection.sql, selection.given)
    for batch in batches:
        yield pa.record_batch([c.cast(f.type) for c, f in zip(batch.columns, schema, strict=True)], schema=schema)


def file(place: Place, selection: Selection, kind: str, facts: dict[str, str], stack: ExitStack) -> File:
    """Rows of a selection as a file of some kind, sent while they are read; stack: what to let go of in the end."""
    try:
        reading = stack.enter_context(place.reading(FILE_SECONDS))
        batches = _typed(reading, selection)
        first = next(batches, None)
    except BaseException:
        stack.close()
        raise
    schema = _schema(selection, selection.columns, facts)
    is_known = first is None or first.num_rows < ROWS_AT_ONCE or selection.size < ROWS_AT_ONCE
    truncated = first is not None and first.num_rows > selection.size
    cut = _cut(first, batches, schema, selection.size)
    return File(_closing(stack, _WRITERS[kind](cut, schema)), truncated if is_known else None)


def _closing(stack: ExitStack, parts: Iterator[bytes]) -> Iterator[bytes]:
    with stack:
        deadline = time.monotonic() + LONGEST_SECONDS
        for part in parts:
            yield part
            if time.monotonic() > deadline:
                raise BusyError("The reader is too slow.")


def _cut(
    first: pa.RecordBatch | None, rest: Iterator[pa.RecordBatch], schema: pa.Schema, left: int
) -> Iterator[pa.RecordBatch]:
    batch = first
    while batch is not None and left > 0:
        part = batch.slice(0, left)
        yield pa.record_batch(part.columns[: len(schema)], schema=schema)
        left -= part.num_rows
        batch = next(rest, None) if left else None


def _csv(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[bytes]:
    yield (",".join(f'"{name}"' for name in schema.names) + "\n").encode()
    options = arrow_csv.WriteOptions(include_header=False)
    for batch in batches:
        sink = io.BytesIO()
        columns = [_flat(column) for column in batch.columns]
        arrow_csv.write_csv(pa.record_batch(columns, names=schema.names), sink, options)
        yield sink.getvalue()


def _flat(column: pa.Array) -> pa.Array:
    if pa.types.is_list(column.type):
        return pa.array([None if v is None else json.dumps(v) for v in column.to_pylist()], pa.string())
    return column


class _Drain(io.RawIOBase):
    """A file whose bytes are taken away while it is written."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._at += len(part)
        return len(part)

    def tell(self) -> int:
        return self._at

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


def _arrow(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[bytes]:
    drain = _Drain()
    with pa.ipc.new_stream(drain, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield drain.take()
    yield drain.take()


def _parquet(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[bytes]:
    drain = _Drain()
    with pq.ParquetWriter(drain, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield drain.take()
    yield drain.take()


_WRITERS = {"csv": _csv, "arrow": _arrow, "parquet": _parquet}
