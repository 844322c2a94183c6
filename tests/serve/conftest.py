"""Screens that share compounds, as a database and as its snapshot, served both ways."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from commands import call
from serving import client_of
from support import running_server, throwaway_home

from pbdb.common.settings import Settings
from pbdb.serve.app import open_place
from pbdb.serve.place import Place
from pbdb.simulate import screens as simulated
from pbdb.simulate.declarations import screens


@pytest.fixture(scope="session")
def demo() -> Iterator[tuple[Settings, Path]]:
    """A database of the matched demo's screens, with their agreement, and its snapshot."""
    with throwaway_home() as home, running_server(home) as settings:
        release = home / "release"
        simulated.write_screens(release, compounds=12)
        for line in (
            ("vocab", "import", "genes", str(release / simulated.VOCABULARY), "--release", "simulated"),
            ("vocab", "import", "landmarks", str(release / simulated.LANDMARKS)),
            ("etl", "load", screens.__file__, "--from", str(release)),
            ("agreement", "run", "--peers", "16"),
            ("export", "snapshot", "--release", "2026.1", "--out", str(home / "snapshot")),
        ):
            call(home, *line, check=True)
        yield settings, home / "snapshot"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for Vega's script, which is made once."""
    return tmp_path_factory.mktemp("assets")


@pytest.fixture(scope="session", params=["database", "snapshot"])
def place(request: pytest.FixtureRequest, demo: tuple[Settings, Path]) -> Iterator[Place]:
    """The demo, as a database and as a snapshot."""
    settings, folder = demo
    found = open_place(folder if request.param == "snapshot" else None, settings, public=False)
    yield found
    found.close()


@pytest.fixture(scope="session")
def client(place: Place, cache: Path) -> Iterator[httpx.Client]:
    """Ask the site of the demo."""
    with client_of(place, cache) as found:
        yield found
