"""What killed loads leave: caches that were half removed, tables that no load goes on with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import made
import pytest
from click.testing import CliRunner
from loads import environment, query, value

from pbdb.cli import pbdb
from pbdb.common.settings import Settings
from pbdb.database import partitions, tidy
from pbdb.loading import leftovers, stage_cache
from pbdb.server import connect, locks


def _releases(tmp_path: Path) -> tuple[Path, Path]:
    samples = made.sheet()["sample"].tolist()
    return made.write(tmp_path / "a"), made.write(tmp_path / "b", values=made.counts(samples, seed=2))


@pytest.mark.parametrize(
    "gone", ["tables/sample.parquet", "tables/condition.parquet", "samples.parquet", "samples.h5ad"]
)
def test_an_earlier_release_whose_cache_was_half_removed_loads_again(
    database: Settings, tmp_path: Path, gone: str
) -> None:
    a, b = _releases(tmp_path)
    made.load(database, a)
    (folder,) = (database.cache / "made").iterdir()
    before = query(database, "SELECT sample_id, n_counts FROM core.sample ORDER BY 1")
    shutil.copytree(folder, tmp_path / "kept")
    made.load(database, b)
    shutil.copytree(tmp_path / "kept", folder)
    (folder / gone).unlink()
    assert made.load(database, a)["changed"]
    assert query(database, "SELECT sample_id, n_counts FROM core.sample ORDER BY 1") == before


def test_a_folder_that_is_being_removed_bears_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "release"
    folder.mkdir()
    (folder / "transform.json").write_text("{}")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            stage_cache.discard(folder)
        assert folder.exists()  # killed before the name changed: all of it is there
        patched.setattr(shutil, "rmtree", lambda path, **_: killed() if path.exists() else None)
        with pytest.raises(KeyboardInterrupt):
            stage_cache.discard(folder)
    assert [path.name for path in tmp_path.iterdir()] == [f"release{stage_cache.GONE}"]
    stage_cache.discard(tmp_path / f"release{stage_cache.GONE}")
    assert list(tmp_path.iterdir()) == []


def test_what_a_load_left_when_it_was_killed_after_its_publish_goes_with_the_next_run(
    database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = _releases(tmp_path)
    made.load(database, a)
    with monkeypatch.context() as killed:
        killed.setattr(stage_cache, "tidy", lambda folder: None)
        made.load(database, b)
    assert len(list((database.cache / "made").iterdir())) == 2
    assert not made.load(database, b)["changed"]
    assert len(list((database.cache / "made").iterdir())) == 1


def test_tidy_removes_what_no_load_goes_on_with(
    database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = _releases(tmp_path)
    made.load(database, a)
    with monkeypatch.context() as killed:
        killed.setattr(stage_cache, "tidy", lambda folder: None)
        made.load(database, b)
    resumable = database.cache / "made" / "0123456789abcdef"
    resumable.mkdir()
    engine = connect.engine(database)
    with engine.begin() as connection:
        number = partitions.new_generation(connection)
        half_filled = partitions.create_standalone(connection, "effect", 1, number)
    with locks.exclusive(engine, partitions.lock_name(number), "it is being filled"):
        assert leftovers.clear(database).waiting == (half_filled,)
    done = CliRunner().invoke(pbdb, ["db", "tidy", "--json"], env=environment(database))
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"tables": [half_filled], "folders": [], "waiting": []}
    current = value(database, "SELECT fingerprint FROM core.dataset")
    assert sorted(path.name for path in (database.cache / "made").iterdir()) == sorted([current, resumable.name])


def test_who_reads_another_database_keeps_nothing_from_going(
    database: Settings, database_server: Settings, tmp_path: Path
) -> None:
    a, b = _releases(tmp_path)
    made.load(database, a)
    with connect.connect(database_server) as elsewhere:
        elsewhere.execute("SELECT 1")
        made.load(database, b)
        assert tidy.tidy(connect.engine(database)).waiting == ()
    with connect.connect(database) as here:
        here.execute("SELECT count(*) FROM core.effect")
        made.load(database, a)
        assert tidy.tidy(connect.engine(database)).waiting != ()


def test_partitions_that_were_attached_and_never_shown_go(database: Settings, tmp_path: Path) -> None:
    made.load(database, made.write(tmp_path / "a"))
    engine = connect.engine(database)
    key = value(database, "SELECT dataset_id FROM core.dataset")
    before = query(database, "SELECT * FROM core.generation")
    with engine.begin() as connection:
        number = partitions.new_generation(connection)
        names = {
            table: partitions.create_standalone(connection, table, key, number) for table in partitions.PARTITIONED
        }
        for table, name in names.items():
            partitions.finish(connection, table, name)
        partitions.attach(connection, key, number, names)
    assert len(tidy.tidy(engine).dropped) == 3
    assert query(database, "SELECT * FROM core.generation") == before
