"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# The processes of pytest-xdist share the processors already. Set before NumPy and Numba are imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ |= {"NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import pytest
from databases import migrated_template, new_database, server_for_tests

from pbdb.common.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
OF_THE_DEMO, OF_THE_SITE = "tests/cli/test_readme.py", "tests/serve"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let the tests of a file run in one process, so that what they share is made once."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return together(nodeid)

    return Together(config, log)


def together(nodeid: str) -> str:
    """Name the tests that run in one process: those of a file, of the demo, of the site, or of a source."""
    file, _, test = nodeid.partition("::")
    of_source = re.search(r"\[([a-z0-9]+)", test) if file == "tests/sources/test_contract.py" else None
    if of_source:
        return f"tests/sources/test_{of_source[1]}.py"
    if file.startswith(OF_THE_SITE):
        return OF_THE_SITE
    return OF_THE_DEMO if file == "tests/cli/test_sql.py" else file


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and golden results beside the checkout; tests that need it skip elsewhere."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the folder of real data (../shared/data) is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def database_server() -> Iterator[Settings]:
    """A server for databases of tests: PBDB_TEST_DATABASE_URL, or an embedded one that runs for the session."""
    with server_for_tests() as settings:
        yield settings


@pytest.fixture(scope="session")
def template(database_server: Settings) -> Iterator[str]:
    """Name of a database that went through the door once."""
    with migrated_template(database_server) as name:
        yield name


@pytest.fixture
def empty_database(database_server: Settings, tmp_path: Path) -> Iterator[Settings]:
    """An empty database of the test's own; settings lead to it."""
    with new_database(database_server, tmp_path / "home") as settings:
        yield settings


@pytest.fixture
def database(database_server: Settings, template: str, tmp_path: Path) -> Iterator[Settings]:
    """A database at head of the test's own, with a home for its cache; settings lead to both."""
    with new_database(database_server, tmp_path / "home", template) as settings:
        yield settings
