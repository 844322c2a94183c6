"""A snapshot as a place that answers: what place.py asks of the database, asked of DuckDB."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pbdb.common.errors import ConfigError, QueryError, first_line
from pbdb.common.rows import Row
from pbdb.exports.snapshots import reader
from pbdb.serve.place import PAGE_SECONDS, ROWS_AT_ONCE, TOO_LONG, Batches, BusyError, short_hash

# What a database finds by index, the values of a gene and neighbours, is here read from end to end.
SLOWER_THAN_DATABASE = 4


class SnapshotPlace:
    """A snapshot: its data cannot change while it is served."""

    is_database, signature_type = False, "FLOAT[]"

    def __init__(self, folder: Path, public: bool):
        self._snapshot = reader.Snapshot(folder)
        facts = self._snapshot.manifest
        closed = [str(row["dataset"]) for row in facts["datasets"] if not row["is_redistributable"]]
        if public and closed:
            raise ConfigError(f"'{folder}' holds {', '.join(closed)}, not to be passed on: serve it without --public.")
        self.release = str(facts["release"])
        self._state = short_hash(json.dumps(facts, sort_keys=True))

    @contextmanager
    def reading(self, seconds: float = PAGE_SECONDS) -> Iterator[SnapshotReading]:
        """Open a cursor of the file, interrupted after so many seconds of one query, or as many more as files take."""
        seconds *= SLOWER_THAN_DATABASE
        cursor = self._snapshot.connection.cursor()
        try:
            yield SnapshotReading(cursor, seconds)
        except duckdb.InterruptException:
            raise BusyError(TOO_LONG.format(seconds, "ask the snapshot itself: pbdb.connect(folder)")) from None
        except (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException) as problem:
            raise QueryError(f"DuckDB refused a value: {first_line(problem)}.") from None
        finally:
            cursor.close()

    def state(self) -> str:
        """Hash of the manifest."""
        return self._state

    def close(self) -> None:
        """Close the file."""
        self._snapshot.close()


class SnapshotReading:
    """A cursor of a snapshot: the same rows as the database's, to the last digit."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, seconds: float):
        self._cursor, self._seconds = cursor, seconds

    @contextmanager
    def _limited(self) -> Iterator[None]:
        timer = threading.Timer(self._seconds, self._cursor.interrupt)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def ask(self, query: str, given: Mapping[str, object] | None = None) -> list[Row]:
        """Rows of a query by column name; given: values of %(name)s."""
        with self._limited():
            done = self._cursor.execute(*_in_duckdb(query, given or {}))
            rows = done.fetchall()
        names = [column[0] for column in done.description or ()]
        kinds = [str(column[1]) for column in done.description or ()]
        columns = [_plain(list(column), kind) for column, kind in zip(zip(*rows), kinds)]  # noqa: B905
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def batches(self, query: str, given: Mapping[str, object], schema: pa.Schema) -> Batches:
        """Rows of a query as Arrow, as they come."""
        written, used = _in_duckdb(query, given)
        with self._limited():
            for batch in self._cursor.sql(written, params=used).to_arrow_reader(ROWS_AT_ONCE):
                columns = zip(batch.columns, schema, strict=True)
                yield pa.record_batch([column.cast(field.type) for column, field in columns], schema=schema)


def _plain(values: list[Any], kind: str) -> list[Any]:
    if kind == "JSON":
        return [None if value is None else json.loads(value) for value in values]
    if kind == "FLOAT[]":
        return [None if value is None else _plain(value, "FLOAT") for value in values]
    if kind == "FLOAT":  # as many digits as a float of 32 bits has
        return list(pa.array(values, pa.float32()).cast(pa.string()).cast(pa.float64()).to_pylist())
    return values


def _in_duckdb(query: str, given: Mapping[str, object]) -> tuple[str, dict[str, object] | None]:
    """The query with DuckDB's names of parameters, and those it has."""
    used = {name: given[name] for name in reader.NAMED.findall(query)}
    return reader.NAMED.sub(r"$\1", query), used or None
