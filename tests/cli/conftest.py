"""A home in which the demo ran once, and the command line in it, as a process or in this one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from commands import call
from support import running_server, throwaway_home

from pbdb.cli import pbdb as root


@pytest.fixture(scope="session")
def demo_home() -> Iterator[Path]:
    """The home of a demo that ran as `pbdb demo`; its server runs."""
    with throwaway_home("demo") as home, running_server(home):
        call(home.parent, "demo", check=True)
        yield home


@pytest.fixture
def pbdb(demo_home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run pbdb with arguments in the demo's home; returns the finished process."""

    def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return call(demo_home, *arguments, **options)

    return run


@pytest.fixture
def typed(demo_home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Type arguments of pbdb in the demo's home, in this process; returns what became of them."""
    monkeypatch.setenv("PBDB_HOME", str(demo_home))
    monkeypatch.delenv("PBDB_DATABASE_URL", raising=False)
    return lambda *words, **options: CliRunner().invoke(root, [str(word) for word in words], **options)
