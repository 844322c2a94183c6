"""What disk and server can have against an export or a load, in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError

from pbdb.common.errors import SnapshotError, first_line
from pbdb.database.error_messages import DISK_FULL


@contextmanager
def told(place: str) -> Iterator[None]:
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
            f"{place} cannot be written or read ({why}): put that right and run the command again."
        ) from problem
    except (psycopg.Error, DBAPIError, adbc_driver_manager.Error) as problem:
        cause = getattr(problem, "orig", None) or problem
        raise SnapshotError(f"The server ended the work ({first_line(cause)}): run the command again.") from problem
    except duckdb.Error as problem:
        raise SnapshotError(f"DuckDB ended the work ({first_line(problem)}): run the command again.") from problem
