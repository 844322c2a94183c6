"""Troubles with disk, server and permissions: `translate_errors` of loads, `exporting` of snapshots."""

from __future__ import annotations

import errno
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from pbdb.common.errors import DiskError, ServerError, SnapshotError, first_line
from pbdb.server.connect import OWNER

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
LOST = ("08", "57", "58")  # classes of SQLSTATE: connection, operator intervention, system error
UNHARMED = "what was loaded before stands"


@contextmanager
def translate_errors(what: str) -> Iterator[None]:
    """Turn troubles of disk and server into sentences that begin with `what`; errors of the code pass as they are.

    Raises:
        DiskError: a file cannot be written or read.
        ServerError: the server is full, gone, or does not permit it.
    """
    try:
        yield
    except (OSError, sqlite3.OperationalError) as problem:
        raise DiskError(_of_disk(what, problem)) from problem
    except (DBAPIError, psycopg.Error) as problem:
        sentence = _of_server(what, getattr(problem, "orig", problem))
        if sentence is None:
            raise
        raise ServerError(sentence) from problem


@contextmanager
def exporting(place: str) -> Iterator[None]:
    """Turn errors of the system and of the server into a sentence; place: where files are written.

    Raises:
        SnapshotError: instead of them.
    """
    import adbc_driver_manager
    import duckdb

    try:
        yield
    except OSError as problem:
        if problem.errno in DISK_FULL:
            raise SnapshotError(f"The disk of {place} is full: make room and run the command again.") from problem
        why = problem.strerror or problem
        raise SnapshotError(
            f"{place} cannot be written or read ({why}): correct that and run the command again."
        ) from problem
    except (psycopg.Error, DBAPIError, adbc_driver_manager.Error) as problem:
        cause = getattr(problem, "orig", None) or problem
        raise SnapshotError(f"The server stopped ({first_line(cause)}): run the command again.") from problem
    except duckdb.Error as problem:
        raise SnapshotError(f"DuckDB stopped ({first_line(problem)}): run the command again.") from problem


def require_loader(connection: Connection) -> None:
    """Stop before any work unless the login may load data.

    Raises:
        ServerError: the server is a read-only copy, or the login may only read.
    """
    query = """SELECT current_user AS login, pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'
        AS is_read_only, pg_has_role(current_user, CAST(:owner AS name), 'MEMBER') AS may_load"""
    row = connection.execute(text(query), {"owner": OWNER}).one()
    if row.is_read_only:
        raise ServerError("The server takes no changes (a standby, or read-only): load into the primary.")
    if not row.may_load:
        raise ServerError(
            f"Role '{row.login}' may read but not load data: log in as a member of {OWNER}, "
            f'or let an administrator run GRANT {OWNER} TO "{row.login}".'
        )


def _of_disk(what: str, problem: OSError | sqlite3.OperationalError) -> str:
    if getattr(problem, "errno", None) in DISK_FULL or re.search("No space left|disk is full", str(problem)):
        return f"{what} stopped because the disk is full: make room, then run the command again; {UNHARMED}."
    name = getattr(problem, "filename", None)
    place = f" ('{name}')" if name else ""
    reason = " ".join((getattr(problem, "strerror", None) or str(problem)).split())
    return f"{what} stopped: {reason}{place}; {UNHARMED}."


def _of_server(what: str, problem: BaseException | None) -> str | None:
    if isinstance(problem, errors.DiskFull):
        return f"{what} stopped because the server's disk is full: make room there, then run it again; {UNHARMED}."
    if isinstance(problem, (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction)):
        return f"{what} is not permitted to this login ({first_line(problem)}): log in as a member of {OWNER}."
    if isinstance(problem, psycopg.OperationalError) and (problem.sqlstate or "08")[:2] in LOST:
        return f"{what} lost the server ({first_line(problem)}): see that it runs, then run it again; {UNHARMED}."
    return None
