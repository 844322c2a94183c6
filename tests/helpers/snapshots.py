"""Snapshots for tests: databases of a few rows with everything in them, exported once, and what a snapshot answers."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from databases import new_database
from loads import name_of
from rows import add_genes, add_match, add_signatures, add_world, insert
from sqlalchemy import Connection

from pbdb.common.settings import Settings
from pbdb.exports.snapshots import build, duckdb_file
from pbdb.server import connect

OPEN = {"is_redistributable": True}
FINGERPRINT = "01" * 1024


@pytest.fixture(scope="session")
def with_worlds(database_server: Settings, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Name of a database with two open datasets, matched, and a closed one; all that a test needs in few rows."""
    with new_database(database_server, tmp_path_factory.mktemp("worlds"), template) as settings:
        with connect.engine(settings).begin() as connection:
            fill(connection)
        yield name_of(settings)


def fill(connection: Connection, *, with_closed: bool = True) -> None:
    """Write the worlds; the closed one too, unless it is to be left out."""
    add_genes(connection)
    add_world(connection, 100, "open_a", **OPEN)
    add_world(connection, 200, "open_b", overlap_group="b", doi="10.1/b", **OPEN)
    add_match(connection, 100, 200)
    if with_closed:
        add_world(connection, 300, "closed")
        add_match(connection, 100, 300)
    odd = {"source_sample": 'a "quoted", {odd}\\ name\nof two lines', "flags": ['one "flag"', "two, flags", ""]}
    sample = {
        "sample_id": 149,
        "dataset_id": 100,
        "plate_id": 120,
        "context_id": 1,
        "is_vehicle": False,
        "in_fit": False,
    }
    insert(connection, "sample", sample | odd | {"attributes": {"note": "é", "n": 1.5}})
    connection.exec_driver_sql(f"UPDATE core.compound SET fingerprint = B'{FINGERPRINT}' WHERE compound_id IN (1, 100)")
    landmarks = ",".join(str(n % 7 - 3) for n in range(978))
    connection.exec_driver_sql(
        f"UPDATE core.effect SET landmark_t = '[{landmarks}]', n_landmarks = 978 WHERE effect_id IN (161, 261)"
    )
    add_signatures(connection)


@pytest.fixture
def worlds(database_server: Settings, with_worlds: str, tmp_path: Path) -> Iterator[Settings]:
    """The worlds, in a database of the test's own."""
    with new_database(database_server, tmp_path / "home", with_worlds) as found:
        yield found


@pytest.fixture(scope="session")
def shared_release(
    database_server: Settings, with_worlds: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Settings, Path]]:
    """A database of worlds and its snapshot, in both layouts; tests leave both as they are."""
    folder = tmp_path_factory.mktemp("snapshot")
    with new_database(database_server, folder / "home", with_worlds) as settings:
        choices = build.Choices("2026.1", layouts=(build.ARRAY, build.LONG))
        build.export(settings, str(folder / "release"), choices)
        yield settings, folder / "release"


@pytest.fixture
def folder(shared_release: tuple[Settings, Path], tmp_path: Path) -> Path:
    """The snapshot, in a folder of the test's own."""
    shutil.copytree(shared_release[1], tmp_path / "release")
    return tmp_path / "release"


def in_duckdb(folder: Path, query: str) -> list[dict[str, Any]]:
    """Rows of a query to the DuckDB file of a snapshot."""
    with duckdb_file.opened(folder / duckdb_file.NAME) as connection:
        done = connection.execute(query)
        names = [column[0] for column in done.description or ()]
        return [dict(zip(names, map(plain, row), strict=True)) for row in done.fetchall()]


def in_postgres(settings: Settings, query: str, role: str = "pbdb_public") -> list[dict[str, Any]]:
    """Rows of a query as somebody sees them who may see what may be passed on."""
    with connect.connect(settings, role=role) as connection:
        done = connection.execute(query.encode())
        names = [column.name for column in done.description or ()]
        return [dict(zip(names, map(plain, row), strict=True)) for row in done.fetchall()]


def plain(value: Any) -> Any:
    """A value as both say it: JSON as objects, times in UTC, numbers to six digits, which is what float32 holds."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        return json.loads(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else str(value)
    return [plain(item) for item in value] if isinstance(value, list) else value


def ordered(rows: list[dict[str, Any]]) -> list[str]:
    """Rows in an order that both can be put into."""
    return sorted(json.dumps(row, sort_keys=True, default=str) for row in rows)
