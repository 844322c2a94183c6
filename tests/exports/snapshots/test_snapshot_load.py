"""A database filled from a snapshot alone is the one it was made of; damage is found, whoever looks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from databases import new_database
from loads import contents, load, query
from rows import add_dataset, add_partitions, add_signatures
from snapshots import OPEN, in_duckdb
from sqlalchemy import text

from pbdb.common.errors import SnapshotError
from pbdb.common.settings import Settings
from pbdb.exports.snapshots import build, duckdb_file, manifest, restore, verify
from pbdb.server import connect

Shared = tuple[Settings, Path]
LEFT_BEHIND = ("artifact", "etl_run", "part")
EFFECT = "effect/dataset=open_a/context=CVCL%3A0001/151.parquet"
GENES = "core/gene.parquet"


def tables(settings: Settings) -> dict[str, str]:
    """Checksums of the rows of every table that a snapshot holds."""
    return {name: found for name, found in contents(settings).items() if name not in LEFT_BEHIND}


def test_everything_comes_back_as_it_was(worlds: Settings, empty_database: Settings, tmp_path: Path) -> None:
    with connect.engine(worlds).begin() as connection:
        connection.execute(text("UPDATE core.vocabulary SET is_redistributable = true"))
        former = "INSERT INTO core.compound (compound_id, inchikey, name, replaced_by) VALUES (5, 'OLD', 'once', 1)"
        connection.execute(text(former))
        connection.execute(text("UPDATE core.effect SET n_up = 1, prior_var = 0.1 WHERE effect_id = 163"))
        connection.execute(text("UPDATE core.effect SET landmark_t = NULL, n_landmarks = NULL WHERE effect_id = 261"))
        add_signatures(connection)
    build.export(worlds, str(tmp_path / "release"), build.Choices("1", include=["closed"]))
    foreign = tmp_path / "release" / Path(EFFECT).with_name("copy of 151.parquet")
    shutil.copyfile(tmp_path / "release" / EFFECT, foreign)  # which the manifest does not know
    restore.load(empty_database, tmp_path / "release")
    assert tables(empty_database) == tables(worlds)


def test_a_loaded_release_comes_back_as_it_was_and_loading_it_again_changes_nothing(
    loaded: Settings, release: Path, database: Settings, tmp_path: Path
) -> None:
    build.export(loaded, str(tmp_path / "snapshot"), build.Choices("1"))
    restore.load(database, tmp_path / "snapshot")
    assert tables(database) == tables(loaded)
    before = contents(database, versions=True)
    load(database, release)
    assert {name for name, found in contents(database, versions=True).items() if found != before[name]} <= {"artifact"}


def test_the_ledger_goes_on_counting(shared_release: Shared, database: Settings) -> None:
    restore.load(database, shared_release[1])
    with connect.engine(database).begin() as connection:
        names = "source, dataset, release, stage, status, fingerprint, inputs, dropped, report, seconds, peak_mb"
        insert = f"INSERT INTO core.etl_run ({names}, code_version) SELECT {names}, '1' FROM core.etl_run LIMIT 1"
        new = connection.execute(text(f"{insert} RETURNING etl_run_id")).scalar_one()
    assert new == max(number for (number,) in query(database, "SELECT etl_run_id FROM core.etl_run"))


def test_a_snapshot_loads_into_an_empty_database_only(shared_release: Shared) -> None:
    settings, folder = shared_release
    before = contents(settings)
    with pytest.raises(SnapshotError, match="The database holds data already"):
        restore.load(settings, folder)
    assert contents(settings) == before


def test_a_damaged_snapshot_is_not_loaded(folder: Path, database: Settings) -> None:
    flip(folder / EFFECT)
    with pytest.raises(SnapshotError, match=r"151.parquet' is damaged \(changed"):
        restore.load(database, folder)
    assert query(database, "SELECT * FROM core.dataset") == []


def test_a_snapshot_of_another_schema_names_the_version_that_loads_it(folder: Path, database: Settings) -> None:
    path = folder / manifest.NAME
    told = path.read_text()
    path.write_text(told.replace('"revision": "', '"revision": "x'))
    with pytest.raises(SnapshotError, match=r"has schema x.*: load it with pbdb "):
        restore.load(database, folder)


def flip(path: Path, place: float = 0.5) -> None:
    """Turn one bit of a file."""
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "path", "problem"),
    [
        (lambda folder: flip(folder / EFFECT), EFFECT, "changed"),
        (lambda folder: (folder / EFFECT).unlink(), EFFECT, "missing"),
        (lambda folder: (folder / EFFECT).write_bytes(b"longer" * 9999), EFFECT, "bytes, not"),
        (lambda folder: (folder / "effect" / "note.txt").touch(), "effect/note.txt", "not in the manifest"),
        (lambda folder: flip(folder / GENES), GENES, "changed"),
        (lambda folder: (folder / GENES).write_bytes(bytes((folder / GENES).stat().st_size)), GENES, "changed"),
        (lambda folder: flip(folder / "README.md"), "README.md", "changed"),
        (lambda folder: flip(folder / "SHA256SUMS"), "SHA256SUMS", "changed"),
        (lambda folder: (folder / "SHA256SUMS").unlink(), "SHA256SUMS", "missing"),
        (lambda folder: (folder / "pbdb.duckdb").unlink(), "pbdb.duckdb", "missing"),
        (lambda folder: (folder / "pbdb.duckdb").write_bytes(b"no database"), "pbdb.duckdb", "cannot be read"),
    ],
    ids=[
        "bit",
        "missing",
        "longer",
        "extra",
        "table",
        "no table",
        "page",
        "sums",
        "no sums",
        "no duckdb",
        "no database",
    ],
)
def test_damage_is_found(folder: Path, damage: Callable[[Path], object], path: str, problem: str) -> None:
    damage(folder)
    found = verify.verify(folder)
    assert [one.path for one in found] == [path] and problem in found[0].problem


def test_a_changed_manifest_is_found(folder: Path) -> None:
    path = folder / manifest.NAME
    path.write_text(path.read_text().replace("2026.1", "2026.2"))
    assert [one.path for one in verify.verify(folder)] == ["manifest.json"]


def test_a_manifest_of_the_release_before_is_read(folder: Path) -> None:
    """It says `licence`; the files of such a snapshot are verified as ever."""
    terms = [dataset["license"] for dataset in manifest.read(folder)["datasets"]]
    path = folder / manifest.NAME
    path.write_text(path.read_text().replace('"license":', '"licence":'))
    assert terms and [dataset["license"] for dataset in manifest.read(folder)["datasets"]] == terms


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("UPDATE core.compound SET name = 'x' WHERE compound_id = 1", "core.compound does not hold"),
        ("DELETE FROM core.sample", "another number of rows"),
        ("DROP VIEW coverage", "tables and views are others"),
    ],
)
def test_a_changed_duckdb_is_found(folder: Path, change: str, problem: str) -> None:
    with duckdb_file.opened(folder / duckdb_file.NAME, read_only=False) as connection:
        connection.execute(change)
    (found,) = verify.verify(folder)
    assert found.path == duckdb_file.NAME and problem in found.problem


def test_duckdb_is_made_anew_whole_or_not_at_all(folder: Path) -> None:
    (folder / duckdb_file.NAME).unlink()
    effect = (folder / EFFECT).read_bytes()
    (folder / EFFECT).write_bytes(b"no Parquet")
    with pytest.raises(SnapshotError, match=r"^DuckDB stopped \("):
        verify.reindex(folder)
    assert list(folder.glob("pbdb.duckdb*")) == []
    (folder / EFFECT).write_bytes(effect)
    verify.reindex(folder)
    assert verify.verify(folder) == []


def test_duckdb_verifies_by_itself(folder: Path) -> None:
    assert in_duckdb(folder, "SELECT * FROM snapshot_damage") == []
    flip(folder / EFFECT)
    (folder / "core" / "gene.parquet").unlink()
    found = in_duckdb(folder, "SELECT * FROM snapshot_damage ORDER BY path")
    assert found == [{"path": "core/gene.parquet", "problem": "missing"}, {"path": EFFECT, "problem": "changed"}]


def test_duckdb_holds_one_file_at_a_time_while_it_verifies(tmp_path: Path) -> None:
    limits: duckdb_file.Limits = {"memory_limit": "80MB", "max_temp_directory_size": "0B", "threads": 1}
    with duckdb_file.connect(tmp_path / "x.duckdb", read_only=False, limits=limits) as connection:
        connection.execute(f"CREATE TABLE {duckdb_file.MANIFEST_TABLE} (path VARCHAR, sha256 VARCHAR)")
        for number in range(10):
            path = tmp_path / f"{number}.parquet"
            path.touch()
            os.truncate(path, 16 << 20)
            connection.execute(f"INSERT INTO {duckdb_file.MANIFEST_TABLE} VALUES (?, '')", [path.name])
        connection.execute(duckdb_file.DAMAGE)
        found = connection.execute("SELECT problem FROM snapshot_damage").fetchall()
    assert found == [("changed",)] * 10


def test_a_half_made_or_foreign_folder_is_no_snapshot(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    with pytest.raises(SnapshotError, match="is no snapshot: it has no manifest"):
        verify.verify(folder)


def test_a_snapshot_without_effects_is_one_too(database_server: Settings, template: str, tmp_path: Path) -> None:
    with new_database(database_server, tmp_path / "home", template) as settings:
        with connect.engine(settings).begin() as connection:
            add_dataset(connection, 1, "bare", **OPEN)
            add_partitions(connection, 1)
        build.export(settings, str(tmp_path / "release"), build.Choices("1"))
    assert in_duckdb(tmp_path / "release", "SELECT * FROM condition_effect") == []
    assert verify.verify(tmp_path / "release") == []
