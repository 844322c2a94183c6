"""The embedded server: first start, stop, homes of all kinds."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import free_port, throwaway_home

from pbdb.common.errors import ConfigError, ServerError
from pbdb.common.settings import Settings
from pbdb.server import connect, postgres_programs
from pbdb.server.cluster import Cluster


def answer(settings: Settings, query: str) -> object:
    with connect.connect(settings) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row and row[0]


def test_first_use_makes_a_cluster_of_utf8_sorted_by_code_point(home: Path) -> None:
    settings = Settings(home=home)
    connect.ensure_running(settings)
    query = "SELECT pg_encoding_to_char(encoding) || ' ' || datlocale FROM pg_database WHERE datname = 'pbdb'"
    assert answer(settings, query) == "UTF8 C.UTF-8"
    assert answer(settings, "SELECT 'a' > 'B'") is True


def test_server_outlives_a_stop_and_keeps_its_data(settings: Settings) -> None:
    with connect.connect(settings) as connection:
        connection.execute("CREATE TABLE public.kept AS SELECT 42 AS x")
    assert connect.stop(settings) is True
    assert connect.status(settings).running is False
    assert answer(settings, "SELECT x FROM public.kept") == 42


def test_stop_of_what_does_not_run_says_so(home: Path) -> None:
    assert connect.stop(Settings(home=home)) is False
    assert not home.exists()


def test_status_starts_nothing(home: Path) -> None:
    found = connect.status(Settings(home=home))
    assert (found.running, found.url, found.pid) == (False, None, None)
    assert not home.exists()


def test_status_of_a_running_server(embedded: Settings) -> None:
    found = connect.status(embedded)
    assert found.running and found.embedded and found.tcp_port is None
    assert found.version is not None and found.version.startswith("18.")
    assert found.pid is not None and found.url is not None and "postgres@/pbdb?host=" in found.url


@pytest.mark.parametrize(
    "name",
    ["with space", 'it\'s a "home", 100% $HOME `x` \\n 日本', "/".join(["a" * 60] * 4)],
    ids=["space", "quotes", "long"],
)
def test_home_may_have_any_name(name: str) -> None:
    with throwaway_home(name) as home:
        settings = Settings(home=home)
        assert answer(settings, "SELECT 1") == 1
        argv, environment = connect.psql_command(settings, ["-Atc", "SELECT 2"])
        assert subprocess.run(argv, env=environment, capture_output=True, check=True).stdout == b"2\n"
        assert connect.stop(settings) is True
        assert answer(settings, "SELECT 3") == 3


def test_sockets_lie_in_a_folder_closed_to_others(embedded: Settings) -> None:
    found = Cluster(embedded.home).postmaster()
    assert found is not None
    assert stat.S_IMODE(Path(found.sockets).stat().st_mode) == 0o700
    assert stat.S_IMODE(Path(found.sockets, f".s.PGSQL.{found.port}").stat().st_mode) == 0o700


def test_socket_folder_of_somebody_else_is_not_used() -> None:
    with throwaway_home("x" * 120) as home:
        settings = Settings(home=home)
        connect.ensure_running(settings)
        found = Cluster(home).postmaster()
        connect.stop(settings)
        assert found is not None
        folder = Path(found.sockets)
        folder.mkdir()
        folder.chmod(0o777)
        with pytest.raises(ServerError, match="belongs to somebody else"):
            connect.ensure_running(settings)
        folder.rmdir()


def test_without_a_port_nothing_listens_on_tcp(embedded: Settings) -> None:
    assert answer(embedded, "SHOW listen_addresses") == ""


def test_settings_for_bulk_loads_stand(embedded: Settings) -> None:
    names = ["wal_level", "max_wal_senders", "max_wal_size", "jit", "timezone"]
    assert [answer(embedded, f"SHOW {name}") for name in names] == ["minimal", "0", "8GB", "off", "UTC"]


def test_local_conf_overrides(settings: Settings) -> None:
    folder = Cluster(settings.home).folder
    (folder / "local.conf").write_text("work_mem = 7MB\n")
    assert answer(settings, "SHOW work_mem") == "7MB"


def test_two_processes_may_start_it_first_at_once(home: Path) -> None:
    code = """
import sys; from pathlib import Path; from pbdb.server import connect; from pbdb.common.settings import Settings
with connect.connect(Settings(home=Path(sys.argv[1]))) as connection:
    print(connection.execute("SELECT pg_postmaster_start_time()").fetchone())
"""
    argv = [sys.executable, "-c", code, str(home)]
    racers = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers = {racer.communicate()[0] for racer in racers}
    assert [racer.returncode for racer in racers] == [0] * 4
    assert len(answers) == 1


def test_a_home_that_another_process_makes_meanwhile_is_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir()
    there = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path != home and there(path))
    Cluster(home)._prepare()
    assert (home / "server").is_dir()


def test_a_home_that_cannot_be_made_is_refused(home: Path) -> None:
    home.write_text("a file")
    with pytest.raises(ServerError, match=r"cannot be used.*PBDB_HOME"):
        connect.ensure_running(Settings(home=home / "inside"))


def test_a_readonly_home_is_refused() -> None:
    with pytest.raises(ServerError, match=r"cannot be used.*PBDB_HOME"):
        connect.ensure_running(Settings(home=Path("/proc/pbdb")))


def test_a_data_folder_of_something_else_is_refused(home: Path) -> None:
    data = Cluster(home).data
    data.mkdir(parents=True)
    (data / "notes.txt").write_text("mine")
    if os.geteuid() == 0:
        shutil.chown(data, postgres_programs.account(home / "none").uid)
    with pytest.raises(ServerError, match="holds no PostgreSQL database"):
        connect.ensure_running(Settings(home=home))
    assert (data / "notes.txt").read_text() == "mine"


def test_why_it_does_not_start_is_told(settings: Settings) -> None:
    folder = Cluster(settings.home).folder
    (folder / "local.conf").write_text("shared_buffers = 'lots'\n")
    with pytest.raises(ServerError, match=r"did not start.*local\.conf"):
        connect.ensure_running(settings)


@pytest.mark.parametrize("size", ["10m", "38m"])
def test_a_full_disk_is_told(size: str) -> None:
    with throwaway_home() as home:
        home.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(home)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("a small disk cannot be mounted here")
        try:
            with pytest.raises(ServerError, match=r"No space left on device|wrote only"):
                connect.ensure_running(Settings(home=home))
        finally:
            connect.stop(Settings(home=home), immediately=True)
            subprocess.run(["umount", str(home)], check=True)


def test_a_missing_wheel_points_to_an_external_server(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_programs, "PACKAGE", "no_such_package")
    with pytest.raises(ServerError, match="set PBDB_DATABASE_URL"):
        connect.ensure_running(Settings(home=home))


def test_port_makes_it_reachable_with_the_readers_password(settings: Settings) -> None:
    port = free_port()
    connect.start(settings, port)
    address = connect.url(settings)
    assert address.startswith("postgresql://pbdb_reader:") and address.endswith(f"@127.0.0.1:{port}/pbdb")
    assert answer(Settings(home=settings.home, database_url=address), "SELECT session_user::text") == "pbdb_reader"
    assert connect.status(settings).tcp_port == port


def test_password_file_is_private_and_a_removed_one_is_a_new_password(settings: Settings) -> None:
    connect.start(settings, free_port())
    before = connect.url(settings)
    file = Cluster(settings.home).folder / "reader.password"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.unlink()
    with ThreadPoolExecutor(4) as clients:
        assert len(set(clients.map(connect.reader_password, [settings] * 4))) == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(ServerError, match="refuses user 'pbdb_reader'"):
        connect.connect(Settings(home=settings.home, database_url=before))
    assert answer(Settings(home=settings.home, database_url=connect.url(settings)), "SELECT 1") == 1


def test_superuser_cannot_log_in_over_tcp(settings: Settings) -> None:
    port = free_port()
    connect.start(settings, port)
    with pytest.raises(ServerError, match="refuses user 'postgres'"):
        connect.connect(Settings(home=settings.home, database_url=f"postgresql://postgres:x@127.0.0.1:{port}/pbdb"))


def test_port_is_kept_over_a_shutdown_and_given_up_on_request(settings: Settings) -> None:
    port = free_port()
    connect.start(settings, port)
    connect.stop(settings)
    connect.ensure_running(settings)
    assert connect.status(settings).tcp_port == port
    connect.start(settings, 0)
    assert connect.status(settings).tcp_port is None
    assert connect.url(settings).startswith("postgresql://postgres@/pbdb?host=")


def test_same_port_again_restarts_nothing(settings: Settings) -> None:
    port = free_port()
    connect.start(settings, port)
    before = connect.status(settings).pid
    connect.start(settings, port)
    connect.start(settings)
    assert connect.status(settings).pid == before


def test_a_changed_port_does_not_end_open_sessions(settings: Settings) -> None:
    with connect.connect(settings, application_name="long load") as connection:
        with pytest.raises(ServerError, match=r"long load \(pid \d+\)"):
            connect.start(settings, free_port())
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_taken_port_is_refused_at_start_and_done_without_later(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    connect.ensure_running(settings)
    before = connect.status(settings).pid
    file = Cluster(settings.home).folder / "port"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ServerError, match=f"Port {port} .* is taken"):
            connect.start(settings, port)
        with pytest.raises(ConfigError, match="Port 70000 does not exist"):
            connect.start(settings, 70000)
        assert connect.status(settings).pid == before and not file.exists()
        connect.stop(settings)
        file.write_text(str(port))
        assert answer(settings, "SELECT 1") == 1
        assert connect.status(settings).tcp_port is None
    assert "starts without TCP" in caplog.text
