"""Fixtures: homes, embedded and external servers of a test's own, and client processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import Child, external_server, prepare, running_server, throwaway_home

from pbdb.common.settings import Settings
from pbdb.server.cluster import Cluster


@pytest.fixture
def home() -> Iterator[Path]:
    """A home of this test's own, without a server yet."""
    with throwaway_home() as folder:
        yield folder


@pytest.fixture
def settings(home: Path) -> Settings:
    """Settings that lead to this test's own cluster, which has not been started yet."""
    prepare(Cluster(home))
    return Settings(home=home)


@pytest.fixture(scope="session")
def embedded() -> Iterator[Settings]:
    """An embedded server that tests may use but must leave as it was."""
    with throwaway_home() as home, running_server(home) as settings:
        yield settings


@pytest.fixture(scope="session", params=[16, 18])
def external(request: pytest.FixtureRequest) -> Iterator[Settings]:
    """Servers over TCP with a password, in two versions; tests must leave them as they were."""
    with throwaway_home() as home, external_server(home, request.param) as settings:
        yield settings


@pytest.fixture
def child() -> Iterator[Child]:
    """Start Python code in a process of its own, killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *words: str | int | Path) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", code, *map(str, words)]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/")
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
