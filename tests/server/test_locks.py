"""Locks of a session."""

from __future__ import annotations

import psycopg
from sqlalchemy import create_engine
from support import running_server, throwaway_home

from pbdb.server import connect, locks

HELD = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"


def held(connection: psycopg.Connection[tuple[object, ...]]) -> object:
    row = connection.execute(HELD).fetchone()
    return row and row[0]


def test_a_lock_is_free_when_its_block_ends_though_its_session_lives_on() -> None:
    with throwaway_home() as home, running_server(home) as settings:
        # Its pool keeps the session open: as a server does that has not noticed yet that it was closed.
        engine = create_engine("postgresql+psycopg://", creator=lambda: connect.connect(settings))
        with connect.connect(settings, autocommit=True) as other:
            with locks.exclusive(engine, "x", "Busy"):
                assert held(other) == 1
            assert held(other) == 0
        engine.dispose()
