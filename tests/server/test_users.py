"""Who the server runs as, and who may use it."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

import pytest
from support import Child, as_root, free_port, throwaway_home

from pbdb.common.errors import ServerError
from pbdb.common.settings import Settings
from pbdb.server import cluster_processes, connect, postgres_programs
from pbdb.server.cluster import Cluster

# The interpreter itself may lie where only root can enter: everything is imported before root's rights are given up.
CLIENT = """
import os, sys
from pathlib import Path
from pbdb.server import connect
from pbdb.common.settings import Settings
from pbdb.common.errors import PbdbError
uid = int(sys.argv[2])
os.setgroups([]); os.setgid(uid); os.setuid(uid)
settings = Settings(home=Path(sys.argv[1]))
try:
    with connect.connect(settings) as connection:
        print(connection.execute("SELECT 1").fetchone())
    print(connect.stop(settings))
except PbdbError as error:
    print(error)
"""
NOBODY = pwd.getpwnam("nobody").pw_uid


def owner_of_server(home: Path) -> int:
    return os.stat(f"/proc/{cluster_processes.standing_in(Cluster(home).data)[0]}").st_uid


@as_root
def test_root_runs_it_as_an_unprivileged_user(settings: Settings) -> None:
    connect.ensure_running(settings)
    assert owner_of_server(settings.home) == postgres_programs.account(Path("/no data yet")).uid != 0


@as_root
@pytest.mark.parametrize(
    ("known", "expected"), [(["nobody", "postgres"], "postgres"), (["daemon", "nobody"], "nobody")]
)
def test_root_prefers_postgres_then_nobody(
    known: list[str], expected: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    users = [pwd.struct_passwd((name, "x", 5 + i, 5, "", "/", "")) for i, name in enumerate(known)]
    monkeypatch.setattr(pwd, "getpwall", lambda: users)
    assert postgres_programs.account(Path("/no data yet")).name == expected
    assert caplog.text == ""


@as_root
def test_root_says_which_other_user_it_takes(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(pwd, "getpwall", lambda: [pwd.struct_passwd(("lab", "x", 1000, 5, "", "/", ""))])
    assert postgres_programs.account(Path("/no data yet")).name == "lab"
    assert "runs as user 'lab'" in caplog.text


@as_root
def test_root_without_any_other_user_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwall", lambda: [pwd.getpwuid(0)])
    with pytest.raises(ServerError, match="no other user"):
        postgres_programs.account(Path("/no data yet"))


@as_root
def test_another_user_runs_it_as_himself(home: Path, child: Child) -> None:
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    assert child(CLIENT, home, NOBODY).communicate() == ("(1,)\nTrue\n", "")
    assert (home / "server").stat().st_uid == NOBODY
    assert (home / "server").stat().st_mode & 0o777 == 0o700


@as_root
def test_root_uses_another_users_home_as_that_user(home: Path, child: Child) -> None:
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    assert child(CLIENT, home, NOBODY).communicate()[0] == "(1,)\nTrue\n"
    connect.ensure_running(Settings(home=home))
    assert owner_of_server(home) == NOBODY
    assert connect.stop(Settings(home=home))
    assert child(CLIENT, home, NOBODY).communicate()[0] == "(1,)\nTrue\n"


@as_root
def test_root_leaves_the_readers_password_to_the_homes_owner(home: Path, child: Child) -> None:
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    child(CLIENT, home, NOBODY).communicate()
    connect.start(Settings(home=home), free_port())
    assert (home / "server" / "reader.password").stat().st_uid == NOBODY


@as_root
@pytest.mark.parametrize("running", [True, False])
def test_another_user_cannot_use_roots_server(settings: Settings, child: Child, running: bool) -> None:
    connect.ensure_running(settings)
    if not running:
        connect.stop(settings)
    output, errors = child(CLIENT, settings.home, NOBODY).communicate()
    assert "belongs to another user" in output and errors == ""
    assert connect.status(settings).running is running


@as_root
def test_a_user_without_a_name_is_told(home: Path, child: Child) -> None:
    home.mkdir()
    os.chown(home, 54321, 54321)
    output, errors = child(CLIENT, home, 54321).communicate()
    assert "could not look up effective user ID 54321" in output and errors == ""


@as_root
def test_a_closed_folder_on_the_way_is_named_and_not_opened(home: Path) -> None:
    (home / "closed").mkdir(parents=True)
    (home / "closed").chmod(0o700)
    with pytest.raises(ServerError, match=f"may not enter '{home}/closed'"):
        connect.ensure_running(Settings(home=home / "closed" / "inside" / "home"))
    assert (home / "closed").stat().st_mode & 0o777 == 0o700


@as_root
def test_folders_that_root_makes_can_be_entered_whatever_its_umask(home: Path) -> None:
    before = os.umask(0o077)
    try:
        connect.ensure_running(Settings(home=home / "a" / "b"))
    finally:
        os.umask(before)
        connect.stop(Settings(home=home / "a" / "b"))
    assert (home / "a").stat().st_mode & 0o777 == 0o755


@as_root
def test_data_of_root_is_refused(settings: Settings) -> None:
    os.chown(Cluster(settings.home).data, 0, 0)
    with pytest.raises(ServerError, match=r"belongs to root.*chown"):
        connect.ensure_running(settings)


@as_root
def test_programs_out_of_reach_are_copied(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with throwaway_home("wheel") as closed:
        package = postgres_programs.programs().parents[1]
        for name in (package.name, f"{package.name}.libs"):
            shutil.copytree(package.parent / name, closed / name, ignore=shutil.ignore_patterns("pginstall", "include"))
        closed.chmod(0o700)
        monkeypatch.setattr(
            postgres_programs, "programs", lambda version=18: closed / package.name / "pginstall18" / "bin"
        )
        with connect.connect(Settings(home=home)) as connection:
            row = connection.execute("SELECT setting FROM pg_config WHERE name = 'BINDIR'").fetchone()
    assert row is not None and row[0].startswith(str(home / "server" / "programs"))
    with connect.connect(Settings(home=home), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")


def test_a_copy_that_cannot_run_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_programs, "runs", lambda program, user: False)
    with pytest.raises(ServerError, match="can run PostgreSQL neither in"):
        connect.ensure_running(Settings(home=home))
