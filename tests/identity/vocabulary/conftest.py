"""A database with a loaded dataset and no vocabulary."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import made
import pytest
from databases import new_database
from loads import name_of

from pbdb.common.settings import Settings


@pytest.fixture(scope="session")
def with_made(database_server: Settings, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Name of a database into which the made source was loaded before any vocabulary."""
    folder = tmp_path_factory.mktemp("made")
    with new_database(database_server, folder / "home", template) as settings:
        made.load(settings, made.write(folder / "release"))
        yield name_of(settings)


@pytest.fixture
def loaded(database_server: Settings, with_made: str, tmp_path: Path) -> Iterator[Settings]:
    """A copy of that database; the release lies in tmp_path."""
    made.write(tmp_path / "release")
    with new_database(database_server, tmp_path / "home", with_made) as settings:
        yield settings
