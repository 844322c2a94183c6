"""The door: what an upgrade keeps, refuses and rolls back, and what check finds."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic import command
from rows import add_dataset, add_partitions
from sqlalchemy import Connection, Engine, text

from pbdb.common import packaged_files
from pbdb.common.errors import SchemaError, ServerError
from pbdb.common.settings import Settings
from pbdb.database import catalog, partitions, schema, views
from pbdb.server import connect, locks
from pbdb.server.connect import OWNER, READER


def _one(engine: Engine, query: str, **parameters: object) -> object:
    with engine.begin() as connection:
        return connection.execute(text(query), parameters).scalar()


def _run(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def _view_oids(engine: Engine) -> object:
    return _one(engine, "SELECT array_agg(oid ORDER BY oid) FROM pg_class WHERE relnamespace = 'pbdb'::regnamespace")


def _everything(engine: Engine) -> tuple[object, ...]:
    views_ = "SELECT array_agg((relname, relacl, pg_get_viewdef(oid))::text ORDER BY relname) FROM pg_class"
    with engine.begin() as connection:
        return catalog.facts(connection), _one(engine, views_ + " WHERE relnamespace = 'pbdb'::regnamespace")


@pytest.fixture
def sql_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of sql/ that the door reads instead."""
    copy = tmp_path / "sql"
    shutil.copytree(packaged_files.folder("sql"), copy)
    original = packaged_files.folder
    monkeypatch.setattr(packaged_files, "folder", lambda name: copy if name == "sql" else original(name))
    return copy


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "LIMIT", "100ms")


def test_up_down_and_up_again_gives_the_same_schema(empty_engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    schema.upgrade(empty_engine)
    before = _everything(empty_engine)
    with caplog.at_level(logging.WARNING):
        schema.downgrade(empty_engine, "base")
    assert "there are no views" in caplog.text
    assert (
        _one(empty_engine, "SELECT count(*) FROM pg_class WHERE relkind = 'v' AND relnamespace = 'pbdb'::regnamespace")
        == 0
    )
    with empty_engine.begin() as connection:
        assert catalog.facts(connection) == {}
    schema.upgrade(empty_engine)
    assert _everything(empty_engine) == before


def test_at_head_nothing_is_dropped(engine: Engine) -> None:
    before = _view_oids(engine)
    schema.upgrade(engine)
    with engine.begin() as connection:
        schema.upgrade(connection)
    assert _view_oids(engine) == before


@pytest.mark.parametrize("move", [schema.upgrade, schema.downgrade])
def test_an_unknown_revision_is_one_sentence(engine: Engine, move: Callable[[Engine, str], None]) -> None:
    with pytest.raises(SchemaError, match=r"cannot be brought to revision 'next': Can't locate .*'next'\.$"):
        move(engine, "next")


def test_check_current_and_revision_touch_no_view(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    _run(engine, "COMMENT ON SCHEMA pbdb IS 'stale'")
    before = _view_oids(engine)
    for verb in (command.check, command.current):
        with engine.begin() as connection:
            verb(schema.config(connection))
    assert _view_oids(engine) == before
    capsys.readouterr()


def test_alembic_sees_no_difference_though_there_are_partitions(engine: Engine) -> None:
    with engine.begin() as connection:
        add_dataset(connection, 1, "one")
        add_partitions(connection, 1)
        command.check(schema.config(connection))


def _alembic(database: Settings, root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PBDB_DATABASE_URL": str(database.database_url), "PBDB_HOME": str(database.home)}
    argv = [sys.executable, "-m", "alembic", *words]
    return subprocess.run(argv, cwd=root, env=environment, capture_output=True, text=True, check=False)


def test_bare_alembic_is_the_same_door(empty_database: Settings, shared_engine: Engine, root: Path) -> None:
    done = _alembic(empty_database, root, "upgrade", "head")
    assert done.returncode == 0, done.stderr
    assert _everything(connect.engine(empty_database)) == _everything(shared_engine)


def test_bare_alembic_says_errors_in_one_sentence(database: Settings, root: Path) -> None:
    _run(
        connect.engine(database),
        "CREATE VIEW public.mine AS SELECT * FROM pbdb.gene",
        "COMMENT ON SCHEMA pbdb IS 'stale'",
    )
    done = _alembic(database, root, "upgrade", "head")
    assert (done.returncode, "Traceback" in done.stderr) == (255, False)
    assert "view mine" in done.stderr + done.stdout


def test_sql_scripts_are_refused(database: Settings, root: Path) -> None:
    done = _alembic(database, root, "upgrade", "head", "--sql")
    assert done.returncode == 255
    assert "--sql is not possible" in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("make", "named"),
    [
        ("CREATE VIEW public.mine AS SELECT * FROM pbdb.gene", "view mine"),
        ("CREATE VIEW pbdb.mine AS SELECT gene_id FROM pbdb.gene", "view pbdb.mine"),
        (
            "CREATE MATERIALIZED VIEW public.mine AS SELECT count(*) FROM pbdb.condition_effect",
            "materialized view mine",
        ),
        (
            "CREATE FUNCTION public.mine() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM pbdb.gene; END",
            "function mine()",
        ),
        ("CREATE FUNCTION public.mine(pbdb.gene) RETURNS int LANGUAGE sql AS 'SELECT 1'", "function mine(pbdb.gene)"),
        ("CREATE VIEW public.mine AS SELECT pbdb.p_value(3)", "view mine"),
    ],
)
def test_views_others_depend_on_are_not_rebuilt(engine: Engine, make: str, named: str) -> None:
    _run(engine, make, "COMMENT ON SCHEMA pbdb IS 'stale'")
    before = _view_oids(engine)
    with pytest.raises(SchemaError, match="others depend on them") as caught:
        schema.upgrade(engine)
    assert named in str(caught.value)
    assert _view_oids(engine) == before


def test_tables_others_depend_on_are_not_dropped(engine: Engine) -> None:
    _run(engine, "CREATE VIEW public.mine AS SELECT gene_id FROM core.gene")
    before = _view_oids(engine)
    with pytest.raises(
        SchemaError, match=r"Others depend on the tables of pbdb: .*view mine depends on table core.gene"
    ):
        schema.downgrade(engine, "base")
    assert _view_oids(engine) == before


def test_a_view_of_somebody_else_in_our_schema_stays(engine: Engine) -> None:
    _run(engine, "CREATE VIEW pbdb.mine AS SELECT 1 AS one", "COMMENT ON SCHEMA pbdb IS 'stale'")
    schema.upgrade(engine)
    assert _one(engine, "SELECT one FROM pbdb.mine") == 1


@pytest.fixture
def analyst(engine: Engine) -> str:
    """A role that goes when the database goes."""
    name = f"analyst_{engine.url.database}"
    _run(engine, f"CREATE ROLE {name}")
    yield name
    _run(engine, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def test_privileges_survive_a_rebuild(engine: Engine, analyst: str) -> None:
    _run(
        engine,
        f"GRANT USAGE ON SCHEMA pbdb TO {analyst}",
        f"GRANT SELECT ON pbdb.gene TO {analyst} WITH GRANT OPTION",
        f"GRANT SELECT (dataset) ON pbdb.condition TO {analyst}",
        f"GRANT EXECUTE ON FUNCTION pbdb.find_compound(text) TO {analyst} WITH GRANT OPTION",
        "COMMENT ON SCHEMA pbdb IS 'stale'",
    )
    before = _view_oids(engine)
    schema.upgrade(engine)
    assert _view_oids(engine) != before
    for privilege in (
        f"has_table_privilege('{analyst}', 'pbdb.gene', 'SELECT WITH GRANT OPTION')",
        f"has_column_privilege('{analyst}', 'pbdb.condition', 'dataset', 'SELECT')",
        f"has_function_privilege('{analyst}', 'pbdb.find_compound(text)', 'EXECUTE WITH GRANT OPTION')",
        f"NOT has_table_privilege('{analyst}', 'pbdb.condition', 'SELECT')",
        f"has_schema_privilege('{analyst}', 'pbdb', 'USAGE')",
    ):
        assert _one(engine, f"SELECT {privilege}") is True, privilege


def test_default_privileges_hold_for_new_views(engine: Engine, analyst: str, sql_folder: Path) -> None:
    _run(engine, f"ALTER DEFAULT PRIVILEGES IN SCHEMA pbdb GRANT SELECT ON TABLES TO {analyst}")
    text_ = "CREATE VIEW pbdb.news AS SELECT 1 AS gene_key; COMMENT ON VIEW pbdb.news IS 'News';"
    (sql_folder / "500_news.sql").write_text(text_)
    schema.upgrade(engine)
    assert _one(engine, f"SELECT has_table_privilege('{analyst}', 'pbdb.news', 'SELECT')") is True
    assert _one(engine, f"SELECT has_table_privilege('{analyst}', 'pbdb.gene', 'SELECT')") is False
    assert _one(engine, "SELECT count(*) FROM pg_default_acl") == 1


def test_a_broken_view_file_rolls_everything_back(engine: Engine, sql_folder: Path) -> None:
    before = _view_oids(engine)
    (sql_folder / "500_broken.sql").write_text("CREATE VIEW pbdb.broken AS SELECT nonsense FROM core.gene;")
    with pytest.raises(SchemaError, match=r"sql/500_broken.sql cannot be applied: column \"nonsense\" does not exist"):
        schema.upgrade(engine)
    assert _view_oids(engine) == before


def test_a_broken_view_file_rolls_the_tables_back_too(empty_engine: Engine, sql_folder: Path) -> None:
    (sql_folder / "500_broken.sql").write_text("nonsense;")
    with pytest.raises(SchemaError, match="syntax error"):
        schema.upgrade(empty_engine)
    assert _one(empty_engine, "SELECT to_regnamespace('core')") is None


def test_a_view_column_without_words_is_refused(engine: Engine, sql_folder: Path) -> None:
    (sql_folder / "500_bare.sql").write_text("CREATE VIEW pbdb.bare AS SELECT 1 AS unheard_of;")
    with pytest.raises(SchemaError, match=r"column pbdb.bare.unheard_of needs a comment"):
        schema.upgrade(engine)


def test_a_reader_in_the_way_is_named(engine: Engine, database: Settings, short_waits: None) -> None:
    _run(engine, "COMMENT ON SCHEMA pbdb IS 'stale'")
    with connect.connect(database, application_name="Metabase") as reader:
        reader.execute("SELECT * FROM pbdb.gene")
        with pytest.raises(ServerError, match=f"pid {reader.info.backend_pid} of application 'Metabase'"):
            schema.upgrade(engine)
        reader.rollback()
        schema.upgrade(engine)
    with engine.begin() as connection:
        schema.require_head(connection)


def test_upgrades_at_once_all_succeed(empty_database: Settings, root: Path) -> None:
    engine = connect.engine(empty_database)
    with ThreadPoolExecutor(3) as pool:
        others = [pool.submit(_alembic, empty_database, root, "upgrade", "head") for _ in range(2)]
        pool.submit(schema.upgrade, engine).result()
    assert [done.result().returncode for done in others] == [0, 0]
    assert schema.check(engine) == []


def test_any_session_finds_views_first_and_plans_many_joins(database: Settings) -> None:
    with psycopg.connect(str(database.database_url)) as plain:
        settings = ("search_path", "join_collapse_limit", "from_collapse_limit", "geqo_threshold")
        found = [plain.execute(f"SHOW {name}").fetchone() for name in settings]
    assert found == [("pbdb, core, public",), ("16",), ("16",), ("20",)]


def test_everything_belongs_to_the_owner(connection: Connection) -> None:
    query = """SELECT relname FROM pg_class WHERE relnamespace::regnamespace::text IN ('core', 'part', 'pbdb')
        AND pg_get_userbyid(relowner) <> :owner"""
    assert connection.execute(text(query), {"owner": OWNER}).scalars().all() == []


def test_head_is_required(empty_engine: Engine) -> None:
    def refusal() -> str:
        with pytest.raises(SchemaError) as caught, empty_engine.begin() as connection:
            schema.require_head(connection)
        assert schema.check(empty_engine) == [str(caught.value)]
        return str(caught.value)

    assert "no schema of pbdb yet: run `pbdb db upgrade`" in refusal()
    schema.upgrade(empty_engine)
    _run(empty_engine, "UPDATE core.alembic_version SET version_num = '9999'")
    assert "does not know: update pbdb" in refusal()
    drops = ("DROP VIEW pbdb.compendium", "DROP FUNCTION pbdb.find_compound")
    _run(empty_engine, f"UPDATE core.alembic_version SET version_num = '{schema.head()}'", *drops)
    assert "The database lacks pbdb.compendium, pbdb.find_compound: run `pbdb db upgrade`" in refusal()
    schema.upgrade(empty_engine)
    _run(empty_engine, "COMMENT ON SCHEMA pbdb IS 'stale'")
    assert "not those of this version of pbdb: run `pbdb db upgrade`" in refusal()


def test_head_is_visible_to_readers(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL ROLE {READER}")
    assert connection.exec_driver_sql("SELECT current_user").scalar_one() == READER
    schema.require_head(connection)


def test_check_is_silent_on_a_fresh_schema(engine: Engine) -> None:
    with engine.begin() as connection:
        add_dataset(connection, 1, "one")
        add_partitions(connection, 1)
    assert schema.check(engine) == []


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ("ALTER TABLE core.artifact ALTER COLUMN n_bytes TYPE int", "column artifact.n_bytes is 'integer, not null"),
        ("ALTER TABLE core.fit ALTER COLUMN n_plates DROP NOT NULL", "column fit.n_plates"),
        ("ALTER TABLE core.fit ALTER COLUMN is_stale SET DEFAULT true", "column fit.is_stale"),
        ("ALTER TABLE core.fit ADD COLUMN more int", "column fit.more is not in the models: integer"),
        ("ALTER TABLE core.gene DROP COLUMN biotype CASCADE", "column gene.biotype is missing"),
        ("ALTER TABLE core.fit DROP CONSTRAINT ck_fit_mode", "constraint fit.ck_fit_mode is missing"),
        ("ALTER TABLE core.fit DROP CONSTRAINT fk_fit_dataset_id", "constraint fit.fk_fit_dataset_id is missing"),
        (
            "DROP INDEX core.ix_condition_source_compound_id",
            "index condition.ix_condition_source_compound_id is missing",
        ),
        ("CREATE INDEX more ON core.gene (biotype)", "index gene.more is not in the models"),
        ("ALTER TABLE part.effect ALTER COLUMN se SET STORAGE EXTENDED", "column effect.se is 'real[], storage x"),
        (
            "ALTER TABLE part.effect ALTER COLUMN se SET STATISTICS 100",
            "column effect.se is 'real[], storage e, statistics 100",
        ),
        (
            "ALTER TABLE part.effect_{generation} ALTER COLUMN se SET STATISTICS 100",
            "column part.effect_{generation}.se has storage e",
        ),
        ("DROP POLICY public ON core.fit", "policy fit.public is missing"),
        ("ALTER POLICY public ON core.fit USING (true)", "policy fit.public is 'r, {pbdb_public}, true'"),
        ("ALTER TABLE core.fit DISABLE ROW LEVEL SECURITY", "table fit is 'plain, One model"),
        ("DROP TRIGGER pass_compound_name ON core.compound", "trigger compound.pass_compound_name is missing"),
        ("REVOKE SELECT ON core.fit FROM pbdb_reader", "privilege fit of pbdb_reader is missing"),
        ("GRANT INSERT ON core.fit TO pbdb_public", "privilege fit of pbdb_public is 'INSERT, SELECT'"),
        ("COMMENT ON COLUMN core.fit.span IS NULL", "table core.fit column span has no comment"),
        ("COMMENT ON COLUMN pbdb.gene.gene_id IS NULL", "view pbdb.gene column gene_id has no comment"),
        ("CREATE TABLE core.more (x int)", "table more is not in the models"),
    ],
)
def test_check_finds(connection: Connection, change: str, finding: str) -> None:
    add_dataset(connection, 1, "one")
    add_partitions(connection, 1)
    number = str(partitions.current(connection, 1))
    connection.exec_driver_sql(change.replace("{generation}", number))
    found = catalog.differences(connection)
    assert any(finding.replace("{generation}", number) in sentence for sentence in found), found


def test_fingerprint_follows_the_files(sql_folder: Path) -> None:
    before = views.fingerprint()
    (sql_folder / "500_more.sql").write_text("-- more")
    assert views.fingerprint() != before
