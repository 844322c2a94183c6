"""Where answers come from: the database through a login that only reads, or a snapshot; the same SQL asks both.

A request is one read-only transaction that sees one state and has its own time limit.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import psycopg
import pyarrow as pa
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from psycopg.types.numeric import FloatLoader
from psycopg.types.string import TextLoader
from psycopg_pool import ConnectionPool, PoolTimeout

from pbdb.common.errors import ConfigError, QueryError, ServerError, first_line
from pbdb.common.rows import Row
from pbdb.common.settings import Settings
from pbdb.query import database
from pbdb.server import connect, connection_parameters
from pbdb.server.connect import PUBLIC, READER, WEB

Batches = Generator[pa.RecordBatch]
PAGE_SECONDS, FILE_SECONDS, WAIT_SECONDS = 5.0, 60.0, 10.0
STATE_SECONDS = 2.0
ROWS_AT_ONCE = 10_000
TOO_LONG = "The answer took longer than {:g} s and was stopped: ask for less, or {}."
# Eight requests, and two readings of what all of them share: as many connections as the web's login may have.
POOL_SIZE = 10


class BusyError(ServerError):
    """An answer that takes too long, or a server with too much to do: worth trying again, or narrower."""


class ReplacedError(BusyError):
    """A data set was replaced while it was read: worth trying again at once."""


class Reading(Protocol):
    """One state of the data, for as long as a request lasts."""

    def ask(self, query: str, given: Mapping[str, object] | None = None) -> list[Row]:
        """Rows of a query by column name; given: values of %(name)s."""

    def batches(self, query: str, given: Mapping[str, object], schema: pa.Schema) -> Batches:
        """Rows of a query as Arrow, as they come."""


class Place(Protocol):
    """What is served; signature_type: what its SQL calls a signature."""

    is_database: bool
    release: str
    signature_type: str

    def reading(self, seconds: float = PAGE_SECONDS) -> AbstractContextManager[Reading]:
        """Begin to read one state, ended after so many seconds of one query."""

    def state(self) -> str:
        """A text that changes with the data."""

    def close(self) -> None:
        """Let go of what is held."""


class DatabasePlace:
    """The database, through few connections that are kept."""

    is_database, release, signature_type = True, "live", "public.halfvec"

    def __init__(self, settings: Settings, public: bool):
        database.ready(settings)
        self._state, self._state_lock = ("", 0.0), threading.Lock()
        self._pool = ConnectionPool(
            make_conninfo("", **_login(settings, public)),
            min_size=1,
            max_size=POOL_SIZE,
            timeout=WAIT_SECONDS,
            kwargs={"autocommit": True},
            configure=lambda connection: connection.adapters.register_loader("numeric", FloatLoader),
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
    def reading(self, seconds: float = PAGE_SECONDS) -> Iterator[DatabaseReading]:
        """Begin a transaction, ended after so many seconds of one query."""
        try:
            with self._pool.connection() as connection:
                limit = f"SET LOCAL statement_timeout = {int(seconds * 1000)}"
                connection.execute(f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {limit}")
                try:
                    yield DatabaseReading(connection)
                finally:
                    if not connection.closed:
                        connection.execute("ROLLBACK")
        except psycopg.errors.QueryCanceled:
            raise BusyError(TOO_LONG.format(seconds, "take the whole as a snapshot")) from None
        except psycopg.errors.SerializationFailure:
            raise ReplacedError("A data set was replaced while it was read: try again in a few seconds.") from None
        except PoolTimeout:
            raise BusyError("The server has too much to do: try again in a few seconds.") from None
        except psycopg.errors.DataError as problem:
            raise QueryError(f"The database refused a value: {first_line(problem)}.") from None
        except psycopg.OperationalError:
            raise BusyError("The database does not answer: try again in a few seconds.") from None

    def state(self) -> str:
        """Hash of the next transaction's number: any write of anybody changes it."""
        with self._state_lock:
            if time.monotonic() - self._state[1] > STATE_SECONDS:
                with self.reading() as reading:
                    (row,) = reading.ask(_STATE)
                self._state = (short_hash(row["state"]), time.monotonic())
            return self._state[0]

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.close()


def short_hash(text: str) -> str:
    """Sixteen hexadecimal digits that tell texts apart."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _login(settings: Settings, public: bool) -> dict[str, str]:
    """Connection parameters of the reader, or of the web's login."""
    server = connect.ensure_running(settings)
    given = dict(server.parameters)
    if server.embedded:
        connect.reader_password(settings)
        given["user"] = WEB if public else READER
    role = None if server.embedded or public else READER
    # A page asks a dozen small questions, always the same: planned once for all values, not for each. Others ask at the
    # same time, so that helpers of one would take the processor from all.
    options = connection_parameters.session_options(given, role)
    options += " -c plan_cache_mode=force_generic_plan -c max_parallel_workers_per_gather=0"
    return given | {
        "application_name": "pbdb serve",
        "options": options,
        "client_encoding": "UTF8",
        "connect_timeout": "10",
    }


class DatabaseReading:
    """A transaction of the database."""

    def __init__(self, connection: psycopg.Connection[Any]):
        self.connection = connection

    def ask(self, query: str, given: Mapping[str, object] | None = None) -> list[Row]:
        """Rows of a query by column name; given: values of %(name)s."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            # Prepared: planned once, and the protocol of prepared statements takes one statement only.
            return cursor.execute(query, given, prepare=True).fetchall()

    def batches(self, query: str, given: Mapping[str, object], schema: pa.Schema) -> Batches:
        """Rows of a query as Arrow, as they come."""
        with self.connection.cursor(name="answer") as cursor:
            for kind in ("json", "jsonb"):
                cursor.adapters.register_loader(kind, TextLoader)
            cursor.execute(query, given)
            while rows := cursor.fetchmany(ROWS_AT_ONCE):
                columns = zip(zip(*rows, strict=True), schema, strict=True)
                yield pa.record_batch([pa.array(values, field.type) for values, field in columns], schema=schema)


_STATE = "SELECT current_database() || ' ' || pg_snapshot_xmax(pg_current_snapshot())::text AS state"
_WHO = f"""
SELECT session_user AS login, EXISTS (
    SELECT FROM pg_roles r
    WHERE pg_has_role(session_user, r.oid, 'MEMBER') AND r.rolname NOT IN (session_user, '{PUBLIC}')
        OR r.rolname = session_user AND (r.rolsuper OR r.rolbypassrls OR r.rolcreaterole)
) AS sees_more"""
