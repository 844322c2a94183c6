"""Two snapshots for tests: release 1, and release 2 in which a dataset, compounds and conditions changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import made
import pytest
from databases import new_database
from export_worlds import OPEN, counts, declared, sheet
from sqlalchemy import text

from pbdb.common.settings import Settings
from pbdb.exports.snapshots import build
from pbdb.learn.splits import store as splits
from pbdb.learn.splits.rules import Shares
from pbdb.learn.splits.store import Rule
from pbdb.server import connect

SECOND = ("aspirin sodium", "vorinostat", "sulforaphane")


@dataclass(frozen=True)
class Releases:
    """Folders of the two snapshots, and the database the second one is of."""

    first: Path
    second: Path
    settings: Settings


@pytest.fixture(scope="session")
def releases(
    database_server: Settings,
    two_datasets: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Releases]:
    """Snapshots of both datasets: 2026.1; then `second` loaded anew, `third` added, two compounds made one: 2026.2."""
    place = tmp_path_factory.mktemp("releases")
    with new_database(database_server, place / "home", two_datasets) as settings:
        splits.make(settings, Rule("compound", seed=1, shares=Shares(0.25, 0.25)), "held")
        _export(settings, place / "first", "2026.1", ["second"])
        for seed, (dataset, drugs) in enumerate((("second", SECOND), ("third", OPEN)), start=5):
            table = sheet(drugs, "3.33333" if dataset == "second" else "10")
            made.write(place / f"{dataset}-files", table, counts(table, seed))
            made.load(settings, place / f"{dataset}-files", declared(dataset, is_redistributable=True))
        with connect.engine(settings).begin() as connection:
            connection.execute(text(_MERGE))
        _export(settings, place / "second", "2026.2", [])
        yield Releases(place / "first", place / "second", settings)


def _export(settings: Settings, out: Path, release: str, include: list[str]) -> None:
    build.export(settings, str(out), build.Choices(release, include=include))


_MERGE = """
UPDATE core.source_compound SET compound_id = (SELECT compound_id FROM core.compound WHERE pubchem_cid = 2244)
WHERE name = 'aspirin sodium'"""
