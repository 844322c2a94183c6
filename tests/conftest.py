"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# The processes of pytest-xdist share the processors already. Set before NumPy and Numba are imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ |= {"NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import pytest
from databases import migrated_template, new_database, server_for_tests

from pbdb.config import Settings

ROOT = Path(__file__).resolve().parents[1]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests of a file run in one process (-n 2 --dist loadgroup), so that what they share is made once."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(ROOT / "tests"))))


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
