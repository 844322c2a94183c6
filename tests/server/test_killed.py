"""Servers and clients that were killed."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from support import Child

from pbdb.common.errors import ServerError
from pbdb.common.settings import Settings
from pbdb.server import cluster as embedded
from pbdb.server import cluster_processes, connect
from pbdb.server.cluster import Cluster

CLIENT = """
import sys, time; from pathlib import Path; from pbdb.server import connect; from pbdb.common.settings import Settings
connection = connect.connect(Settings(home=Path(sys.argv[1])), autocommit=True)
print("connected", flush=True)
connection.execute(sys.argv[2])
"""
# The backend never looks up from this for a signal of its postmaster's death.
BUSY = "DO $$ BEGIN LOOP END LOOP; END $$"


def pid_of(settings: Settings) -> int:
    found = Cluster(settings.home).postmaster()
    assert found is not None
    return found.pid


def kill(pid: int, how: signal.Signals = signal.SIGKILL) -> None:
    os.kill(pid, how)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/cwd").exists() and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.fixture
def filled(settings: Settings) -> Settings:
    """A server with a committed table."""
    with connect.connect(settings) as connection:
        connection.execute("CREATE TABLE public.kept AS SELECT generate_series(1, 1000) AS x")
    return settings


def is_whole(settings: Settings) -> bool:
    with connect.connect(settings) as connection:
        return connection.execute("SELECT sum(x) FROM public.kept").fetchone() == (500500,)


def test_idle_server_killed(filled: Settings) -> None:
    kill(pid_of(filled))
    assert is_whole(filled)


def test_server_killed_with_a_busy_backend(filled: Settings, child: Child, caplog: pytest.LogCaptureFixture) -> None:
    client = child(CLIENT, filled.home, BUSY)
    assert client.stdout is not None and client.stdout.readline() == "connected\n"
    time.sleep(0.2)
    kill(pid_of(filled))
    assert cluster_processes.standing_in(Cluster(filled.home).data) != []
    assert is_whole(filled)
    assert "was killed: ending the 1 processes it left" in caplog.text
    assert client.wait(10) != 0


def test_every_process_of_the_server_killed(filled: Settings) -> None:
    for pid in cluster_processes.standing_in(Cluster(filled.home).data):
        with suppress(ProcessLookupError):  # some end by themselves when the first is gone
            kill(pid)
    assert is_whole(filled)


def test_client_killed_in_a_statement(filled: Settings, child: Child) -> None:
    client = child(CLIENT, filled.home, "DELETE FROM public.kept WHERE pg_sleep(0.1) IS NOT NULL")
    assert client.stdout is not None and client.stdout.readline() == "connected\n"
    before = pid_of(filled)
    client.kill()
    client.wait()
    assert is_whole(filled)
    assert pid_of(filled) == before


def test_server_survives_the_client_that_started_it(settings: Settings, child: Child) -> None:
    client = child(CLIENT, settings.home, "SELECT pg_sleep(60)")
    assert client.stdout is not None and client.stdout.readline() == "connected\n"
    before = pid_of(settings)
    client.kill()
    client.wait()
    assert connect.status(settings).pid == before


def test_client_killed_in_the_first_start(home: Path, child: Child) -> None:
    settings = Settings(home=home)
    client = child(CLIENT, home, "SELECT 1")
    new = Cluster(home).folder / "data.new" / "base"
    while not new.exists():
        time.sleep(0.001)
    client.kill()
    client.wait()
    with connect.connect(settings) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("pbdb",)


def test_database_is_made_when_the_first_start_died_before_it(settings: Settings) -> None:
    parameters = connect.ensure_running(settings).parameters
    with psycopg.connect(**parameters | {"dbname": "postgres"}, autocommit=True) as connection:  # type: ignore[arg-type]
        connection.execute("DROP DATABASE pbdb")
    with connect.connect(settings) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("pbdb",)


@pytest.mark.parametrize("pid", [1, os.getpid(), 2**22 - 1], ids=["init", "this", "nobody"])
def test_stale_pid_file_even_of_a_living_process(filled: Settings, pid: int) -> None:
    file = Cluster(filled.home).data / "postmaster.pid"
    text = file.read_text()
    connect.stop(filled)
    file.write_text(text.replace(text.split("\n", 1)[0], str(pid), 1))
    assert connect.status(filled).running is False
    assert is_whole(filled)
    assert pid_of(filled) != pid


def test_stop_after_a_kill_leaves_nothing_behind(filled: Settings, child: Child) -> None:
    client = child(CLIENT, filled.home, BUSY)
    assert client.stdout is not None and client.stdout.readline() == "connected\n"
    kill(pid_of(filled))
    assert connect.stop(filled) is False
    assert cluster_processes.standing_in(Cluster(filled.home).data) == []


def test_living_server_whose_socket_vanished_is_not_killed(filled: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "GRACE_S", 0.3)
    found = Cluster(filled.home).postmaster()
    assert found is not None
    Path(found.sockets, f".s.PGSQL.{found.port}").unlink()
    with pytest.raises(ServerError, match="does not answer: run `pbdb db stop`"):
        connect.ensure_running(filled)
    assert Path(f"/proc/{found.pid}").exists()
    assert connect.stop(filled) is True
    assert is_whole(filled)


def test_leftovers_that_end_by_themselves_are_not_another_machine(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    end = Cluster._end_leftovers

    def a_moment_later(cluster: Cluster) -> None:
        monkeypatch.undo()
        end(cluster)

    monkeypatch.setattr(embedded, "ORPHAN_GRACE_S", 0)
    monkeypatch.setattr(cluster_processes, "standing_in", lambda folder: [2**22 - 1])
    monkeypatch.setattr(Cluster, "_end_leftovers", a_moment_later)
    with connect.connect(Settings(home=home)) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("pbdb",)


def test_server_elsewhere_on_a_shared_home_is_not_doubled(filled: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "ORPHAN_GRACE_S", 0.3)
    found = Cluster(filled.home).postmaster()
    assert found is not None
    socket = Path(found.sockets, f".s.PGSQL.{found.port}")
    socket.rename(socket.with_suffix(".hidden"))
    monkeypatch.setattr(cluster_processes, "standing_in", lambda folder: [])
    with pytest.raises(ServerError, match="on another machine or in another container"):
        connect.ensure_running(filled)
    socket.with_suffix(".hidden").rename(socket)
    monkeypatch.undo()
    assert pid_of(filled) == found.pid and is_whole(filled)


def test_waits_for_a_server_that_is_shutting_down(filled: Settings) -> None:
    os.kill(pid_of(filled), signal.SIGTERM)  # waits for sessions to end: the next connections are rejected
    assert is_whole(filled)


def test_log_of_the_run_before_is_kept(filled: Settings) -> None:
    file = Cluster(filled.home).log_file
    before = file.read_text()
    connect.stop(filled)
    connect.ensure_running(filled)
    assert file.with_suffix(".log.1").read_text().startswith(before)


def test_unfinished_cluster_is_thrown_away(home: Path) -> None:
    rest = Cluster(home).folder / "data.new" / "base"
    rest.mkdir(parents=True)
    connect.ensure_running(Settings(home=home))
    assert not rest.exists()
