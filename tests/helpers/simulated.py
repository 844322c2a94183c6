"""Simulated releases of sources, each written and loaded once for all tests of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from databases import new_database
from loads import load, name_of

from pbdb.common.settings import Settings
from pbdb.identity.vocabulary import releases
from pbdb.sources import registry
from pbdb.sources.declaration import Source

SIZES = {"drugseq": {"compounds": 8, "plates": 3, "genes": 600, "doses": (0.1, 10)}}


@dataclass(frozen=True)
class Simulated:
    """A source in a database that tests only read: all its datasets, from a release of which the truth is known."""

    source: Source
    settings: Settings
    folder: Path
    truth: Any
    outcomes: list[dict[str, Any]]


@pytest.fixture(scope="session")
def simulated(
    database_server: Settings, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Simulated]]:
    """Write and load the release of a source, when it is asked for first."""
    with ExitStack() as databases:

        @cache
        def made(key: str) -> Simulated:
            place = tmp_path_factory.mktemp(key)
            folder = place / "release"
            truth = importlib.import_module(f"pbdb.simulate.{key}").write(folder, **SIZES.get(key, {}))
            settings = databases.enter_context(new_database(database_server, place / "home", template))
            if (folder / "genes.tsv").is_file():
                releases.import_files(settings, "genes", folder / "genes.tsv", release="simulated")
            source = registry.get(key)
            outcomes = [load(settings, folder, key, dataset=dataset) for dataset in source.datasets]
            return Simulated(source, settings, folder, truth, outcomes)

        yield made


@pytest.fixture
def own(one: Simulated, database_server: Settings, tmp_path: Path) -> Iterator[Settings]:
    """A database of the test's own that holds what `one` does, and a home without cache."""
    with new_database(database_server, tmp_path / "home", name_of(one.settings)) as settings:
        yield settings
