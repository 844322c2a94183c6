"""Data folders of other versions of PostgreSQL."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest
from support import prepare

from pbdb.common.errors import ServerError
from pbdb.common.settings import Settings
from pbdb.server import cluster_data, cluster_processes, connect, postgres_programs
from pbdb.server.cluster import Cluster


@pytest.fixture
def older(home: Path) -> Settings:
    """A home whose cluster was made and filled by PostgreSQL 16."""
    cluster = Cluster(home, 16)
    prepare(cluster)
    with psycopg.connect(**cluster.start()) as connection:  # type: ignore[arg-type]
        connection.execute("CREATE EXTENSION vector")
        connection.execute("CREATE ROLE pbdb_reader LOGIN")
        connection.execute("CREATE TABLE kept AS SELECT x, array[x, 1, 2]::vector AS v FROM generate_series(1, 99) x")
        connection.execute("GRANT SELECT ON kept TO pbdb_reader")
        connection.execute("ALTER DATABASE pbdb SET geqo_threshold = 20")
    cluster.stop()
    return Settings(home=home)


def assert_upgraded(settings: Settings) -> None:
    with connect.connect(settings, role="pbdb_reader") as connection:
        row = connection.execute(
            "SELECT sum(x), sum(v <-> v), current_setting('server_version_num')::int / 10000 FROM kept"
        )
        assert row.fetchone() == (4950, 0.0, 18)
    folder = Cluster(settings.home).folder
    assert not (folder / "data.old").exists() and not (folder / "data.new").exists()
    assert not (folder / "data" / "delete_old_cluster.sh").exists()


def test_a_cluster_of_16_is_upgraded_with_one_line(older: Settings, caplog: pytest.LogCaptureFixture) -> None:
    assert_upgraded(older)
    assert "from PostgreSQL 16 to 18" in caplog.text and len(caplog.records) == 1
    connect.stop(older)
    assert_upgraded(older)


def test_a_cluster_of_16_whose_server_was_killed_is_upgraded(older: Settings) -> None:
    cluster = Cluster(older.home, 16)
    with psycopg.connect(**cluster.start()) as connection:  # type: ignore[arg-type]
        connection.execute("UPDATE kept SET x = x")
        connection.execute("CHECKPOINT")
    cluster.stop(immediately=True)
    assert_upgraded(older)


@pytest.mark.parametrize("name", ['it\'s a "home", $HOME', "/".join(["a" * 60] * 4)], ids=["quotes", "long"])
def test_upgrade_under_any_name(older: Settings, name: str) -> None:
    moved = older.home.parent / name
    moved.parent.mkdir(parents=True, exist_ok=True)
    older.home.rename(moved)
    try:
        assert_upgraded(Settings(home=moved))
    finally:
        connect.stop(Settings(home=moved), immediately=True)


def test_failed_upgrade_leaves_the_old_cluster(older: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_data, "_checksum_option", lambda *given: ["--data-checksums"])
    with pytest.raises(ServerError, match=r"could not be upgraded and is as it was: .*checksum"):
        connect.ensure_running(older)
    assert (Cluster(older.home).data / "PG_VERSION").read_text() == "16\n"
    monkeypatch.undo()
    assert_upgraded(older)


def test_killed_upgrade_starts_over(older: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(*given: object) -> None:
        raise Killed

    monkeypatch.setattr(cluster_data, "_run_pg_upgrade", die)
    monkeypatch.setattr(
        Path, "rename", lambda self, target: shutil.move(self, target) if self.name == "data" else die()
    )
    with pytest.raises(Killed):
        connect.ensure_running(older)
    monkeypatch.undo()
    folder = Cluster(older.home).folder
    assert (folder / "data.old").exists() and not (folder / "data").exists()
    assert_upgraded(older)


def test_a_cluster_without_programs_for_its_version_is_refused(settings: Settings) -> None:
    (Cluster(settings.home).data / "PG_VERSION").write_text("17\n")
    with pytest.raises(ServerError, match=r"made by PostgreSQL 17, which this pbdb cannot read"):
        connect.ensure_running(settings)


def test_a_newer_cluster_is_refused(settings: Settings) -> None:
    (Cluster(settings.home).data / "PG_VERSION").write_text("19\n")
    with pytest.raises(ServerError, match=r"made by PostgreSQL 19, this pbdb has 18"):
        connect.ensure_running(settings)
    assert (Cluster(settings.home).data / "PG_VERSION").read_text() == "19\n"


def test_an_upgrade_left_running_by_a_killed_client_is_ended(older: Settings) -> None:
    cluster = Cluster(older.home, 16)
    words = ["-c", f"unix_socket_directories={cluster.data}", "-c", "listen_addresses="]
    left = subprocess.Popen(
        [postgres_programs.programs(16) / "postgres", "-D", cluster.data, *words],
        cwd=cluster.data,
        env=postgres_programs.ENVIRONMENT,
        stderr=subprocess.DEVNULL,
        **postgres_programs.account(cluster.data).popen(),
    )
    while len(cluster_processes.standing_in(cluster.data)) < 4:
        assert left.poll() is None
    cluster.data.rename(cluster.folder / "data.old")
    assert_upgraded(older)
    left.wait(10)  # fails if it still runs
