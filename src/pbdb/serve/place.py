"""Where answers come from: the database through a login that only reads, or a snapshot; the same SQL asks both.

A request is one read-only transaction that sees one state and has its own time limit.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
import pyarrow as pa
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from psycopg.types.string import TextLoader
from psycopg_pool import ConnectionPool, PoolTimeout

from pbdb.common.errors import ConfigError, QueryError, ServerError, first_line
from pbdb.common.settings import Settings
from pbdb.database.models.policies import PUBLIC, WEB
from pbdb.exports.snapshots import reader
from pbdb.query import database
from pbdb.server import connect, connection_parameters

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]
Batches = Iterator[pa.RecordBatch]
PAGE_SECONDS, FILE_SECONDS, WAIT_SECONDS = 5.0, 60.0, 10.0
STATE_SECONDS = 2.0
ROWS_AT_ONCE = 10_000
POOL_SIZE = 6
ARROW = {
    16: pa.bool_(), 20: pa.int64(), 21: pa.int16(), 23: pa.int32(), 700: pa.float32(), 701: pa.float64(),
    1184: pa.timestamp("us", "UTC"), 1114: pa.timestamp("us"), 1082: pa.date32(), 1009: pa.list_(pa.string()),
    1016: pa.list_(pa.int64()), 1007: pa.list_(pa.int32()), 1021: pa.list_(pa.float32()), 1022: pa.list_(pa.float64()),
}  # fmt: skip


class BusyError(ServerError):
    """An answer that takes too long, or a server with too much to do: worth trying again, or narrower."""


class Reading(Protocol):
    """One transaction: `ask` gives all rows, `batches` the schema and rows as they come."""

    def ask(self, query: str, given: Mapping[str, Any] | None = None) -> list[Row]:
        """Rows of a query by column name; given: values of %(name)s."""

    def batches(self, query: str, given: Mapping[str, Any]) -> tuple[pa.Schema, Batches]:
        """Rows of a query as Arrow."""


class Place(Protocol):
    """The database or a snapshot, open for requests."""

    release: str
    is_database: bool
    signature_type: str

    def reading(self, seconds: float = PAGE_SECONDS) -> Any:
        """Begin a transaction, as a context that gives a Reading; ended after so many seconds of one query."""

    def state(self) -> str:
        """What changes whenever an answer could."""

    def close(self) -> None:
        """Let go of connections."""


def open_place(folder: Path | None, settings: Settings, public: bool) -> Place:
    """Open the snapshot in a folder, or the database of the settings; public: see open data sets only.

    Raises:
        ConfigError: what is there must not be shown in public.
    """
    if folder is None:
        return DatabasePlace(settings, public)
    return SnapshotPlace(folder, public)


class DatabasePlace:
    """The database, through few connections that are kept."""

    is_database = True
    signature_type = "public.halfvec"

    def __init__(self, settings: Settings, public: bool):
        database.ready(settings)
        self.release = "live"
        self._state = ("", 0.0)
        conninfo = make_conninfo("", **_login(settings, public))
        self._pool = ConnectionPool(
            conninfo,
            min_size=1,
            max_size=POOL_SIZE,
            timeout=WAIT_SECONDS,
            kwargs={"autocommit": True},
            check=ConnectionPool.check_connection,
            open=False,
        )
        self._pool.open(wait=True, timeout=WAIT_SECONDS)
        if public:
            self._refuse_insiders()

    def _refuse_insiders(self) -> None:
        with self.reading() as reading:
            (row,) = reading.ask(_WHO)
        if row["sees_more"]:
            raise ConfigError(
                f"PBDB_DATABASE_URL names '{row['login']}', who sees more than the public: for --public name"
                f" the login {WEB}"
                f" (pbdb db psql -- -c \"ALTER ROLE {WEB} PASSWORD '...'\")."
            )

    @contextmanager
    def reading(self, seconds: float = PAGE_SECONDS) -> Iterator[Reading]:
        """Begin a transaction of the database; see Place."""
        try:
            with self._pool.connection() as connection:
                limit = f"SET LOCAL statement_timeout = {int(seconds * 1000)}"
                connection.execute(f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {limit}")
                try:
                    yield _DatabaseReading(connection)
                finally:
                    if not connection.closed:
                        connection.execute("ROLLBACK")
        except psycopg.errors.QueryCanceled:
            raise BusyError(_TOO_LONG.format(seconds)) from None
        except PoolTimeout:
            raise BusyError("The server has too much to do: try again in a few seconds.") from None
        except psycopg.errors.DataError as problem:
            raise QueryError(f"The database refused a value: {first_line(problem)}.") from None
        except psycopg.OperationalError:
            raise BusyError("The database does not answer: try again in a few seconds.") from None

    def state(self) -> str:
        """Hash of the next transaction's number: any write of anybody changes it."""
        kept, since = self._state
        if time.monotonic() - since > STATE_SECONDS:
            with self.reading() as reading:
                (row,) = reading.ask("SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS x, current_database() d")
            kept = hashlib.sha256(f"{row['d']} {row['x']}".encode()).hexdigest()[:16]
            self._state = (kept, time.monotonic())
        return kept

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()


def _login(settings: Settings, public: bool) -> dict[str, str]:
    """Connection parameters of the reader, or of the web's login."""
    server = connect.ensure_running(settings)
    given = dict(server.parameters)
    role = None
    if server.embedded:
        connect.reader_password(settings)
        given["user"] = WEB if public else connect.READER
    elif not public:
        role = connect.READER
    return given | {
        "application_name": "pbdb serve",
        "options": connection_parameters.session_options(given, role),
        "client_encoding": "UTF8",
        "connect_timeout": "10",
    }


class _DatabaseReading:
    def __init__(self, connection: psycopg.Connection[Any]):
        self._connection = connection
        self._cursors = 0

    def ask(self, query: str, given: Mapping[str, Any] | None = None) -> list[Row]:
        with self._connection.cursor(row_factory=dict_row) as cursor:
            # Prepared: planned once, and the protocol of prepared statements takes one statement only.
            return cursor.execute(query, given, prepare=True).fetchall()

    def batches(self, query: str, given: Mapping[str, Any]) -> tuple[pa.Schema, Batches]:
        cursor = self._connection.cursor()
        for kind in ("json", "jsonb"):
            cursor.adapters.register_loader(kind, TextLoader)
        # A cursor of the server's: rows come when they are asked for, and none is kept here.
        self._cursors += 1
        fetch = f"FETCH FORWARD {ROWS_AT_ONCE} FROM answer_{self._cursors}"
        cursor.execute(f"DECLARE answer_{self._cursors} NO SCROLL CURSOR FOR {query}", given)
        head = cursor.execute(fetch)
        fields = [(column.name, ARROW.get(column.type_code, pa.string())) for column in head.description or ()]
        schema = pa.schema(fields)
        return schema, _fetched(cursor, schema, fetch)


def _fetched(cursor: psycopg.Cursor[Any], schema: pa.Schema, fetch: str) -> Batches:
    while rows := cursor.fetchall():
        columns = zip(*rows, strict=True)
        yield pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)
        if len(rows) < ROWS_AT_ONCE:
            return
        cursor.execute(fetch)


class SnapshotPlace:
    """A snapshot: its data cannot change while it is served."""

    is_database = False
    signature_type = "FLOAT[]"

    def __init__(self, folder: Path, public: bool):
        self._snapshot = reader.Snapshot(folder)
        facts = self._snapshot.manifest
        closed = [str(row["dataset"]) for row in facts["datasets"] if not row["is_redistributable"]]
        if public and closed:
            raise ConfigError(f"'{folder}' holds {', '.join(closed)}, not to be passed on: serve it without --public.")
        self.release = str(facts["release"])
        self._hash = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
        self._places = threading.BoundedSemaphore(POOL_SIZE)

    @contextmanager
    def reading(self, seconds: float = PAGE_SECONDS) -> Iterator[Reading]:
        """Open a cursor of the file; see Place."""
        import duckdb

        if not self._places.acquire(timeout=WAIT_SECONDS):
            raise BusyError("The server has too much to do: try again in a few seconds.")
        cursor = self._snapshot.connection.cursor()
        timer = threading.Timer(seconds, cursor.interrupt)
        timer.start()
        try:
            yield _SnapshotReading(cursor)
        except duckdb.InterruptException:
            raise BusyError(_TOO_LONG.format(seconds)) from None
        except (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException) as problem:
            raise QueryError(f"DuckDB refused a value: {first_line(problem)}.") from None
        finally:
            timer.cancel()
            cursor.close()
            self._places.release()

    def state(self) -> str:
        """Hash of the manifest."""
        return self._hash

    def close(self) -> None:
        """Close the file."""
        self._snapshot.close()


class _SnapshotReading:
    def __init__(self, cursor: duckdb.DuckDBPyConnection):
        self._cursor = cursor

    def ask(self, query: str, given: Mapping[str, Any] | None = None) -> list[Row]:
        done = self._cursor.execute(*_in_duckdb(query, given or {}))
        described = [(column[0], str(column[1]) == "JSON") for column in done.description or ()]
        return [
            {name: json.loads(v) if is_json and v else v for (name, is_json), v in zip(described, row, strict=True)}
            for row in done.fetchall()
        ]

    def batches(self, query: str, given: Mapping[str, Any]) -> tuple[pa.Schema, Batches]:
        written, used = _in_duckdb(query, given)
        stream = self._cursor.sql(written, params=used).to_arrow_reader(ROWS_AT_ONCE)
        fields = [pa.field(f.name, pa.string() if "json" in str(f.type) else f.type) for f in stream.schema]
        schema = pa.schema(fields)
        return schema, (batch.cast(schema) for batch in stream)


def _in_duckdb(query: str, given: Mapping[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """The query with DuckDB's names of parameters, and those it has."""
    used = {name: given[name] for name in reader.NAMED.findall(query)}
    return reader.NAMED.sub(r"$\1", query), used or None


def plain_name(text: str) -> str:
    """A text as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", text).strip("_.")[:80]


_TOO_LONG = "The answer took longer than {:g} s and was stopped: ask for less, or take the whole as a snapshot."
_WHO = f"""
SELECT session_user AS login, EXISTS (
    SELECT FROM pg_roles r
    WHERE pg_has_role(session_user, r.oid, 'MEMBER') AND r.rolname NOT IN (session_user, '{PUBLIC}')
        OR r.rolname = session_user AND (r.rolsuper OR r.rolbypassrls OR r.rolcreaterole)
) AS sees_more"""
