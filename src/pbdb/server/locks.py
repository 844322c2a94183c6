"""Locks: who may change a schema or a dataset, and how long anybody is made to wait."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import psycopg.errors
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from pbdb.common.errors import ServerError

T = TypeVar("T")

TRIES = 3
LIMIT = "5s"
BUSY = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)


def patiently(connection: Connection, work: Callable[[], T], what: str, key: int = 0) -> T:
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
    raise ServerError(f"{what} had to wait too long for {_holder(connection, key)}: try again when it is done.")


@contextmanager
def alone(engine: Engine, name: str, busy: str) -> Iterator[None]:
    """Hold the lock of a name for as long as the block runs.

    Raises:
        ServerError: another process holds it; `busy` says what it does.
    """
    with engine.connect() as connection:
        if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key_of(name)}).scalar_one():
            raise ServerError(f"{busy}: wait until it ends.")
        connection.commit()
        yield


def take(connection: Connection, key: int) -> None:
    """Take an advisory lock until the end of the transaction."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def key_of(name: str) -> int:
    """The advisory lock's number of a name: 63 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1


def _holder(connection: Connection, key: int) -> str:
    row = connection.execute(_HOLDER, {"key": key}).one_or_none()
    if row is None:
        return "a session that has ended since"
    return f"the session with pid {row.pid} of application '{row.application}'"


# The oldest transaction that holds a lock of our relations, or the advisory lock asked for.
_HOLDER = text("""
    SELECT a.pid, coalesce(nullif(a.application_name, ''), 'unknown') AS application
    FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    LEFT JOIN pg_class c ON c.oid = l.relation LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE l.granted AND l.pid <> pg_backend_pid()
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (n.nspname IN ('core', 'part', 'pbdb')
           OR l.locktype = 'advisory' AND l.objsubid = 1
              AND (CAST(l.classid AS bigint) << 32 | CAST(l.objid AS bigint)) = :key)
    ORDER BY a.xact_start, a.pid LIMIT 1
""")
