"""Loads for tests: a simulated release, databases that know its genes or hold it, and what a database holds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from databases import new_database
from sqlalchemy import text

from pbdb.common.settings import Settings
from pbdb.identity.vocabulary import releases
from pbdb.loading import pipeline
from pbdb.server import connect
from pbdb.simulate import driad
from pbdb.sources import registry

UNSTABLE = ("etl_run", "generation", "signature_fit")


def load(settings: Settings, folder: Path | None, key: str = "driad", **choices: Any) -> dict[str, Any]:
    """Load the one dataset of a source (or the one named) and return what it became."""
    dataset = choices.pop("dataset", None)
    (outcome,) = pipeline.load_source(
        registry.get(key), settings, pipeline.Choices(folder=folder, **choices), dataset=dataset
    )
    return dict(outcome.as_dict())


def query(settings: Settings, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    """Rows of a query."""
    with connect.engine(settings).connect() as connection:
        return [tuple(row) for row in connection.execute(text(statement), values)]


def value(settings: Settings, statement: str, **values: Any) -> Any:
    """The one value of a query."""
    ((found,),) = query(settings, statement, **values)
    return found


def contents(settings: Settings, *, versions: bool = False) -> dict[str, str]:
    """A checksum of what every table and view of core shows, ledger and generations excepted, and the partitions.

    versions: of which transaction wrote which row (of the tables in part that the views show), so that an equal row
    written anew is a difference.
    """
    relations = "SELECT relname FROM pg_class WHERE relnamespace = '{}'::regnamespace AND relkind IN {}"
    row = "concat(t.tableoid, t.xmin, t.ctid)" if versions else "t::text"
    schemas = {name: "core" for (name,) in query(settings, relations.format("core", "('r')")) if name not in UNSTABLE}
    stored = query(settings, relations.format("part", "('p')"))
    schemas |= {name: "part" if versions else "core" for (name,) in stored}
    found = {
        name: value(settings, f"SELECT md5(string_agg({row}, '|' ORDER BY {row})) FROM {schema}.{name} t")
        for name, schema in schemas.items()
    }
    partitions = query(settings, relations.format("part", "('r')"))
    return found | {"part": str(sorted(partitions) if versions else len(partitions))}


def copy_of(release: Path, folder: Path) -> Path:
    """A copy of a release that a test may damage; without SHA256SUMS, which would be the first to notice."""
    shutil.copytree(release, folder)
    (folder / "SHA256SUMS").unlink()
    return folder


def name_of(settings: Settings) -> str:
    """The database that settings lead to."""
    return str(value(settings, "SELECT current_database()"))


@contextmanager
def copied(on: Settings, original: Settings, home: Path) -> Iterator[Settings]:
    """A copy of a database, and of the cache of its loads."""
    with new_database(on, home, name_of(original)) as settings:
        shutil.copytree(original.cache, settings.cache)
        yield settings


@pytest.fixture(scope="session")
def truth(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, driad.Truth]:
    """A simulated DRIAD release, and what was planted in it."""
    folder = tmp_path_factory.mktemp("driad") / "release"
    return folder, driad.write(folder)


@pytest.fixture(scope="session")
def release(truth: tuple[Path, driad.Truth]) -> Path:
    """The folder of the simulated release; tests must leave it as it is."""
    return truth[0]


@pytest.fixture(scope="session")
def with_genes(
    database_server: Settings, template: str, release: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Name of a database that knows the genes of the simulated release."""
    with new_database(database_server, tmp_path_factory.mktemp("genes"), template) as settings:
        releases.import_files(settings, "genes", release / driad.VOCABULARY, release="simulated")
        yield name_of(settings)


@pytest.fixture(scope="session")
def with_driad(
    database_server: Settings, with_genes: str, release: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Name of a database that holds the simulated release."""
    with new_database(database_server, tmp_path_factory.mktemp("loaded"), with_genes) as settings:
        load(settings, release)
        yield name_of(settings)


@pytest.fixture
def settings(database_server: Settings, with_genes: str, tmp_path: Path) -> Iterator[Settings]:
    """A database of the test's own that knows the genes of the simulated release, and a home without cache."""
    with new_database(database_server, tmp_path / "home", with_genes) as found:
        yield found


@pytest.fixture
def loaded(database_server: Settings, with_driad: str, tmp_path: Path) -> Iterator[Settings]:
    """A database of the test's own that holds the simulated release, and a home without cache."""
    with new_database(database_server, tmp_path / "home", with_driad) as found:
        yield found


def environment(settings: Settings) -> dict[str, str]:
    """Environment in which the command line uses these settings."""
    own = {
        "PBDB_HOME": str(settings.home),
        "PBDB_DATABASE_URL": str(settings.database_url),
        "PBDB_WORKERS": "1",
        "PBDB_READ_AS_SUPERUSER": "1",
    }
    return {key: text for key, text in os.environ.items() if not key.startswith("PBDB_")} | own
