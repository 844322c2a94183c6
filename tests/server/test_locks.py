"""Locks of a session."""

from __future__ import annotations

from support import running_server, throwaway_home

from pbdb.server import connect, locks


def test_a_lock_is_free_as_soon_as_its_block_ends() -> None:
    with throwaway_home() as home, running_server(home) as settings:
        engine = connect.engine(settings)
        for _ in range(200):
            with locks.exclusive(engine, "x", "Busy"):
                pass
