"""Sites for tests: served on loopback, and asked."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from pbdb.common.settings import Settings
from pbdb.serve import app
from pbdb.serve.app import open_place
from pbdb.serve.place import Place

HOSTS = ("127.0.0.1",)


@contextmanager
def client_of(place: Place, cache: Path, public: bool = False) -> Iterator[httpx.Client]:
    """Serve a place on loopback, and ask it."""
    server, thread = app.run_in_thread(app.create(place, cache, public=public, hosts=HOSTS))
    try:
        while not server.started:
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as found:
            yield found
    finally:
        server.should_exit = True
        thread.join(timeout=20)


def as_web(settings: Settings) -> Settings:
    """Settings whose login is pbdb_web."""
    return replace(settings, database_url=re.sub(r"user=\w+", "user=pbdb_web", settings.database_url or ""))


@contextmanager
def public_client(settings: Settings, cache: Path) -> Iterator[httpx.Client]:
    """Ask the public site of a database."""
    place = open_place(None, as_web(settings), public=True)
    try:
        with client_of(place, cache, public=True) as found:
            yield found
    finally:
        place.close()
