"""Locks: who may change a schema or a dataset, and how long anybody is made to wait."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
import psycopg.errors
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from pbdb.common.errors import ServerError

T = TypeVar("T")
log = logging.getLogger(__name__)

TRIES = 3
LIMIT = "5s"
LONGEST = "15min"
BUSY = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)


def with_retries(connection: Connection, work: Callable[[], T], what: str, key: int = 0) -> T:
    """Do `work` in a savepoint that waits for locks 5 s at most, three times; then say who is in the way.

    `key` is the advisory lock that the work takes, if it takes one.

    Raises:
        ServerError: another session did not let go; the sentence names its pid and application.
    """
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LIMIT}'")
    for _ in range(TRIES):
        try:
            with connection.begin_nested():
                return work()
        except (OperationalError, *BUSY) as error:
            if not isinstance(getattr(error, "orig", error), BUSY):
                raise
    raise ServerError(
        f"{what} had to wait too long for {_holder(connection, key, SQL_OF_OURS)}: try again when it is done."
    )


@contextmanager
def exclusive(engine: Engine, name: str, busy: str) -> Iterator[None]:
    """Hold the lock of a name for as long as the block runs.

    Raises:
        ServerError: another process holds it; `busy` says what it does.
    """
    with engine.connect() as connection:
        if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key_of(name)}).scalar_one():
            raise ServerError(f"{busy} ({_holder(connection, key_of(name), SQL_OF_KEY)}): wait until it ends.")
        connection.commit()
        try:
            yield
        finally:
            # The server notices a closed session a moment later; who asks in between must not find its lock.
            with suppress(DBAPIError):
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key_of(name)})
                connection.commit()


def take(connection: Connection, key: int, what: str = "The work") -> None:
    """Take an advisory lock until the end of the transaction; say who holds it, and wait for it a quarter of an hour.

    Where the transaction has a lock_timeout already, as in `with_retries`, that one is the limit.

    Raises:
        ServerError: another session did not let go of it.
    """
    if connection.exec_driver_sql("SHOW lock_timeout").scalar_one() != "0":
        connection.execute(_TAKE, {"key": key})
    elif not connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": key}).scalar_one():
        log.warning("%s waits for %s.", what, _holder(connection, key, SQL_OF_KEY))
        _wait(connection, key, what)


def _wait(connection: Connection, key: int, what: str) -> None:
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LONGEST}'")
            connection.execute(_TAKE, {"key": key})
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
    except OperationalError as error:
        if not isinstance(error.orig, BUSY):
            raise
        holder = _holder(connection, key, SQL_OF_KEY)
        raise ServerError(f"{what} waited {LONGEST} for {holder}: try again when it is done.") from None


def take_now(connection: psycopg.Connection[tuple[Any, ...]], key: int, what: str) -> None:
    """Take an advisory lock for the session; wait for it 10 s at most.

    Raises:
        ServerError: another session did not let go of it.
    """
    deadline = time.monotonic() + 10
    while connection.execute("SELECT pg_try_advisory_lock(%s)", [key]).fetchone() != (True,):
        if time.monotonic() > deadline:
            row = connection.execute(
                f"{SQL_OF_HOLDER}{SQL_OF_KEY}{SQL_OF_OLDEST}".replace(":key", "%s").encode(), [key]
            )
            holder = row.fetchone()
            raise ServerError(
                f"{what} had to wait too long for {_named(*holder) if holder else GONE}: try again later."
            )
        time.sleep(0.05)


def key_of(name: str) -> int:
    """The advisory lock's number of a name: 63 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1


def _holder(connection: Connection, key: int, of: str) -> str:
    row = connection.execute(text(f"{SQL_OF_HOLDER}{of}{SQL_OF_OLDEST}"), {"key": key}).one_or_none()
    return _named(*row) if row else GONE


def _named(pid: int, application: str) -> str:
    return f"the session with pid {pid} of application '{application}'"


GONE = "a session that has ended since"
_TAKE = text("SELECT pg_advisory_xact_lock(:key)")
SQL_OF_KEY = """l.locktype = 'advisory' AND l.objsubid = 1
    AND (CAST(l.classid AS bigint) << 32 | CAST(l.objid AS bigint)) = :key"""
SQL_OF_OURS = f"""(n.nspname IN ('core', 'part', 'pbdb') OR {SQL_OF_KEY})"""
# The oldest transaction that holds a lock of our relations, or the advisory lock asked for.
SQL_OF_HOLDER = """
    SELECT a.pid, coalesce(nullif(a.application_name, ''), 'unknown') AS application
    FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    LEFT JOIN pg_class c ON c.oid = l.relation LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE l.granted AND l.pid <> pg_backend_pid()
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND """
SQL_OF_OLDEST = " ORDER BY a.xact_start, a.pid LIMIT 1"
