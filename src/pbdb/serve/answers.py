"""Rows for JSON, files of rows as CSV, Arrow and Parquet; both engines give the same types, and so the same text."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from pbdb.common import memory
from pbdb.common.rows import Row
from pbdb.serve.filters import Selection
from pbdb.serve.place import FILE_SECONDS, ROWS_AT_ONCE, Batches, BusyError, Place, Reading

MEDIA = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}
LONGEST_SECONDS = 300
_WRITERS: dict[str, Callable[[Any, pa.Schema], Any]] = {
    "csv": pyarrow.csv.CSVWriter,
    "arrow": pa.ipc.new_stream,
    "parquet": lambda sink, schema: pq.ParquetWriter(sink, schema, compression="zstd"),
}


def table(reading: Reading, selection: Selection) -> tuple[list[Row], str | None]:
    """Rows of a selection, and the token of the next page where there is one."""
    found = reading.ask(selection.sql, selection.given)
    token = selection.next_token(found[selection.size - 1]) if len(found) > selection.size else None
    rows = found[: selection.size]
    only_sorted_by = selection.fields[len(selection.columns) :]
    for row in rows:
        for name in only_sorted_by:
            del row[name]
    return rows, token


def file(
    place: Place, selection: Selection, kind: str, facts: dict[str, str], stack: ExitStack
) -> tuple[Iterator[bytes], bool | None]:
    """A file of a selection's rows, sent while they are read, and whether it was cut (None: shows only at the end).

    facts: of the release, for the file's head; stack: what to let go of in the end.
    """
    columns = selection.view.columns
    asked = pa.schema([columns[name].arrow for name in selection.fields])
    head = {"description": selection.view.comment, **facts}
    schema = pa.schema([columns[name].arrow for name in selection.columns], head)
    stack.callback(memory.give_back)  # when all else is let go of
    try:
        reading = stack.enter_context(place.reading(FILE_SECONDS))
        batches = reading.batches(selection.sql, selection.given, asked)
        stack.callback(batches.close)  # before its connection goes to somebody else
        first = next(batches, pa.RecordBatch.from_pylist([], asked))
    except BaseException:
        stack.close()
        raise
    is_known = first.num_rows < ROWS_AT_ONCE or selection.size < ROWS_AT_ONCE
    parts = _written(_cut(first, batches, selection), kind, schema)
    return _closing(stack, parts), first.num_rows > selection.size if is_known else None


def _cut(first: pa.RecordBatch, rest: Batches, selection: Selection) -> Batches:
    batch, left = first, selection.size
    while batch is not None and left > 0:
        yield batch.select(selection.columns).slice(0, left)
        left -= batch.num_rows
        batch = next(rest, None) if left > 0 else None


def _written(batches: Batches, kind: str, schema: pa.Schema) -> Iterator[bytes]:
    if kind == "csv":  # which has no lists
        schema = pa.schema([pa.field(f.name, pa.string() if pa.types.is_list(f.type) else f.type) for f in schema])
    drain = _Drain()
    with _WRITERS[kind](drain, schema) as writer:
        for batch in batches:
            columns = [_flat(column, field) for column, field in zip(batch.columns, schema, strict=True)]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            yield drain.take()
    yield drain.take()


def _flat(column: pa.Array, field: pa.Field) -> pa.Array:
    if pa.types.is_list(column.type) and not pa.types.is_list(field.type):
        return pa.array([None if value is None else json.dumps(value) for value in column.to_pylist()], pa.string())
    return column


def _closing(stack: ExitStack, parts: Iterator[bytes]) -> Iterator[bytes]:
    with stack:
        deadline = time.monotonic() + LONGEST_SECONDS
        for part in parts:
            yield part
            if time.monotonic() > deadline:
                raise BusyError("The reader is too slow.")


class _Drain(io.RawIOBase):
    """A file whose bytes are taken away while it is written."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self._at += len(self._parts[-1])
        return len(self._parts[-1])

    def tell(self) -> int:
        return self._at

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken
