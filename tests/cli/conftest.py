"""A home in which the demo ran once, and the command line in it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import call
from support import running_server, throwaway_home


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
