"""A reader is only a reader: no lock, no write, no setting of its own stays, and no way out of the role."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from support import external_server, running_server, throwaway_home

from pbdb.common.errors import PbdbError, ServerError
from pbdb.common.settings import Settings
from pbdb.database import reader_limits, schema
from pbdb.query import database as reading
from pbdb.server import connect, locks
from pbdb.server.connect import READER


@pytest.fixture(scope="module")
def embedded() -> Iterator[Settings]:
    """An embedded server with the schema."""
    with throwaway_home() as home, running_server(home) as settings:
        reading.ready(settings)
        schema.settle(connect.engine(settings))
        yield settings


FORBIDDEN = [
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_lock(1)",
    "SELECT pg_advisory_xact_lock_shared(1, 2)",
    "SELECT pg_try_advisory_xact_lock(1)",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT lo_create(0)",
    "SELECT lo_creat(-1)",
    "CREATE TEMPORARY TABLE mine (x int)",
    "SELECT pg_terminate_backend(pg_backend_pid())",
    "SELECT pg_cancel_backend(pg_backend_pid())",
    "SELECT pg_logical_emit_message(false, 'a', 'b')",
    "COPY (SELECT 1) TO PROGRAM 'id'",
    "SET ROLE pbdb_owner",
    "ALTER ROLE CURRENT_USER CONNECTION LIMIT -1",
    "SET temp_file_limit = -1",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_what_a_reader_may_not(embedded: Settings, statement: str) -> None:
    with (
        connect.connect_as_reader(embedded) as connection,
        pytest.raises((errors.InsufficientPrivilege, errors.UndefinedFunction)),
    ):
        connection.execute(statement.encode())
        pytest.fail("it was permitted")


def test_the_owner_keeps_what_loads_need(embedded: Settings) -> None:
    with connect.connect(embedded, role="pbdb_owner") as connection:
        (got_it,) = connection.execute("SELECT pg_try_advisory_lock(2) FROM pg_advisory_xact_lock(1)").fetchone() or (
            None,
        )
        assert got_it is True
        connection.execute("CREATE TEMPORARY TABLE mine (x int)")
        assert connection.execute("SELECT count(*) FROM mine").fetchone() == (0,)


@pytest.mark.parametrize(
    "setting", ["search_path = pg_temp", "statement_timeout = 0", "work_mem = '1GB'", "role = 'pbdb_reader'"]
)
@pytest.mark.parametrize("where", ["", "IN DATABASE pbdb"])
def test_settings_that_a_reader_gives_itself_are_seen_and_set_again(
    embedded: Settings, setting: str, where: str
) -> None:
    engine = connect.engine(embedded)
    assert schema.check(engine) == []
    with connect.connect_as_reader(embedded) as connection:
        connection.execute(f"ALTER ROLE pbdb_reader {where} SET {setting}".encode())
    (fault,) = schema.check(engine)
    assert setting.split(maxsplit=1)[0] in fault and "pbdb db start" in fault
    schema.settle(engine)
    assert schema.check(engine) == []


def test_limits_that_the_owner_of_the_database_chose_are_kept(database: Settings) -> None:
    engine = connect.engine(database)
    with connect.connect(database, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"""ALTER DATABASE "{name}" SET "pbdb.reader_statement_timeout" = '1h'""".encode())
    with engine.connect() as looking:
        assert reader_limits.limits(looking, READER) == reader_limits.SETTINGS | {"statement_timeout": "1h"}


def test_a_password_that_a_reader_gives_itself_is_seen_and_replaced(embedded: Settings) -> None:
    password = connect.reader_password(embedded)
    assert not connect.has_changed_password(embedded)
    with connect.connect_as_reader(embedded) as connection:
        connection.execute("ALTER ROLE CURRENT_USER PASSWORD 'mine'")
    assert connect.has_changed_password(embedded)
    assert connect.reader_password(embedded) == password
    assert not connect.has_changed_password(embedded)


@pytest.mark.parametrize("verifier", ["NULL", "'SCRAM-SHA-256$2147483647:QQ==$QUFB:QUFB'", "'md5" + "0" * 32 + "'"])
def test_a_password_of_any_form_is_replaced_at_once(embedded: Settings, verifier: str) -> None:
    try:
        with connect.connect_as_reader(embedded) as connection:
            connection.execute(f"ALTER ROLE CURRENT_USER PASSWORD {verifier}".encode())
    except psycopg.Error:
        pytest.skip("this PostgreSQL takes no such password")
    assert connect.has_changed_password(embedded)
    connect.reader_password(embedded)
    assert not connect.has_changed_password(embedded)


def test_a_lock_on_the_password_stops_nobody_whose_password_is_there(embedded: Settings) -> None:
    connect.reader_password(embedded)
    with connect.connect(embedded) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [locks.key_of("reader.password")])
        with connect.connect_as_reader(embedded) as reader:
            assert reader.execute("SELECT 1").fetchone() == (1,)


def test_who_holds_a_lock_is_named(embedded: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "LONGEST", "100ms")
    engine = connect.engine(embedded)
    with connect.connect(embedded, application_name="somebody") as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [locks.key_of("x")])
        pid = holder.info.backend_pid
        with pytest.raises(ServerError, match=rf"^Busy \(the session with pid {pid} of application 'somebody'\): wait"):
            locks.exclusive(engine, "x", "Busy").__enter__()
        with (
            engine.connect() as waiting,
            pytest.raises(ServerError, match=rf"^Matching waited 100ms for .* pid {pid} "),
        ):
            locks.take(waiting, locks.key_of("x"), "Matching")


def test_readers_leave_connections_to_others(embedded: Settings) -> None:
    with connect.connect(embedded) as connection:
        limit, most = connection.execute(
            "SELECT rolconnlimit, current_setting('max_connections')::int FROM pg_roles WHERE rolname = 'pbdb_reader'"
        ).fetchone() or (0, 0)
        connection.execute("SELECT 1")
    assert 0 < limit < most


@pytest.fixture(scope="module")
def external() -> Iterator[Settings]:
    """An external server with the schema, and its superuser's URL."""
    with throwaway_home() as home, external_server(home) as settings:
        schema.upgrade(connect.engine(settings))
        yield settings


ESCAPE = """DO $$ BEGIN PERFORM set_config('role', 'none', true);
    EXECUTE 'COPY (SELECT 1) TO PROGRAM ''id > {out}'''; END $$"""


def test_queries_are_not_run_with_a_superusers_url(external: Settings, tmp_path: Path) -> None:
    db = reading.connect(external)
    with pytest.raises(ServerError, match=r"'postgres' may run programs on the server.* PBDB_READER_URL"):
        db.sql(ESCAPE.format(out=tmp_path / "x"))
    assert not (tmp_path / "x").exists()


def test_queries_run_with_a_login_of_their_own(external: Settings, tmp_path: Path) -> None:
    with connect.connect(external, autocommit=True) as connection:
        connection.execute("CREATE ROLE somebody LOGIN PASSWORD 'sesame' IN ROLE pbdb_reader")
    url = str(external.database_url).replace("postgres:", "somebody:")
    db = reading.connect(Settings(external.home, external.database_url, reader_url=url))
    assert db.sql("SELECT count(*) AS n FROM compound")["n"][0] == 0
    with pytest.raises(PbdbError):
        db.sql(ESCAPE.format(out=tmp_path / "x"))
    assert not (tmp_path / "x").exists()


def test_a_superusers_url_runs_queries_where_that_was_said(external: Settings) -> None:
    db = reading.connect(Settings(external.home, external.database_url, read_as_superuser=True))
    assert db.sql("SELECT session_user AS who")["who"][0] == "postgres"
