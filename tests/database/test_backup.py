"""Backup and restore: the round trip, and what is refused."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import external_server, running_server, throwaway_home

from pbdb.common.errors import ConfigError, DataError, ServerError
from pbdb.common.settings import Settings
from pbdb.database import backup
from pbdb.server import connect
from pbdb.server.cluster import Cluster

TOY = """
CREATE ROLE pbdb_owner NOLOGIN;
CREATE ROLE pbdb_reader LOGIN PASSWORD 'secret';
CREATE ROLE pbdb_public NOLOGIN;
CREATE ROLE "Anna B." LOGIN CONNECTION LIMIT 3;
CREATE ROLE stranger;
GRANT pbdb_public TO pbdb_reader;
GRANT pbdb_reader TO "Anna B." WITH ADMIN OPTION;
ALTER ROLE pbdb_reader SET statement_timeout = '5min';
ALTER ROLE "Anna B." IN DATABASE pbdb SET search_path = "Odd, name", public;
ALTER DATABASE pbdb SET search_path = pbdb, core, public;
ALTER DATABASE pbdb SET geqo_threshold = 20;
REVOKE CONNECT ON DATABASE pbdb FROM PUBLIC;
GRANT CONNECT ON DATABASE pbdb TO pbdb_reader;
GRANT CREATE ON DATABASE pbdb TO pbdb_owner;
CREATE EXTENSION vector;
CREATE SCHEMA core AUTHORIZATION pbdb_owner;
CREATE SCHEMA pbdb AUTHORIZATION pbdb_owner;
GRANT USAGE ON SCHEMA core, pbdb TO pbdb_reader, pbdb_public;
SET ROLE pbdb_owner;
CREATE TABLE core.sample (id bigint, name text, landmark halfvec(3), is_open boolean) PARTITION BY LIST (is_open);
CREATE TABLE core.sample_open PARTITION OF core.sample FOR VALUES IN (true);
CREATE TABLE core.sample_closed PARTITION OF core.sample FOR VALUES IN (false);
INSERT INTO core.sample
    SELECT i, 'line' || chr(10) || i, array[i, 0, 1]::halfvec, i % 2 = 0 FROM generate_series(1, 500) i;
ALTER TABLE core.sample ENABLE ROW LEVEL SECURITY;
CREATE POLICY open_only ON core.sample TO pbdb_public USING (is_open);
CREATE VIEW pbdb.sample WITH (security_invoker) AS SELECT * FROM core.sample;
GRANT SELECT ON core.sample, pbdb.sample TO pbdb_public;
COMMENT ON COLUMN core.sample.name IS 'what :"DBNAME" it is';
RESET ROLE;
"""

FACTS = {
    "rows": "SELECT count(*), sum(id), min(name), sum(landmark <-> landmark) FROM core.sample",
    "roles": """SELECT rolname, rolcanlogin, rolinherit, rolconnlimit FROM pg_roles
        WHERE rolname !~ '^pg_|^postgres$' ORDER BY 1""",
    "members": """SELECT roleid::regrole::text, member::regrole::text, admin_option FROM pg_auth_members
        WHERE member > 16383 ORDER BY 1, 2""",
    "settings": """SELECT coalesce(datname, ''), coalesce(rolname, ''), setconfig FROM pg_db_role_setting
        LEFT JOIN pg_database d ON d.oid = setdatabase LEFT JOIN pg_roles r ON r.oid = setrole ORDER BY 1, 2""",
    "database": """SELECT privilege_type, grantee::regrole::text FROM pg_database, aclexplode(datacl)
        WHERE datname = 'pbdb' ORDER BY 1, 2""",
    "tables": """SELECT relname, relowner::regrole::text, relrowsecurity, relacl::text, reloptions FROM pg_class
        WHERE relnamespace IN ('core'::regnamespace, 'pbdb'::regnamespace)
        ORDER BY relnamespace::regnamespace::text, 1""",
    "policies": "SELECT tablename, policyname, roles, qual FROM pg_policies ORDER BY 1",
    "comment": "SELECT col_description('core.sample'::regclass, 2)",
    "schemas": "SELECT nspname, nspacl::text FROM pg_namespace WHERE nspname IN ('core', 'pbdb', 'public') ORDER BY 1",
}


def facts(settings: Settings) -> dict[str, list[Any]]:
    with connect.connect(settings) as connection:
        return {name: connection.execute(query.encode()).fetchall() for name, query in FACTS.items()}


def fill(settings: Settings) -> None:
    with connect.connect(settings, autocommit=True) as connection:
        connection.execute(TOY.encode())


@pytest.fixture(scope="module")
def toy() -> Iterator[Settings]:
    """An embedded server with a small schema, roles, grants and settings."""
    with throwaway_home() as home, running_server(home) as settings:
        fill(settings)
        yield settings


@pytest.fixture(scope="module")
def saved(toy: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("backup") / "toy.backup"
    assert backup.backup(toy, file) == file.stat().st_size > 0
    return file


def test_restore_into_a_fresh_home_gives_the_same(toy: Settings, saved: Path, settings: Settings) -> None:
    backup.restore(settings, saved)
    expected = facts(toy)
    expected["roles"] = [row for row in expected["roles"] if row[0] != "stranger"]
    assert facts(settings) == expected
    assert len(expected["settings"]) == 3 and len(expected["members"]) == 2
    with connect.connect(settings, role="pbdb_public") as connection:
        assert connection.execute("SELECT count(*) FROM sample").fetchone() == (250,)
    with connect.connect(settings) as connection:
        query = "SELECT reltuples FROM pg_class WHERE relname = 'sample_open'"  # ANALYZE was run
        assert connection.execute(query).fetchone() == (250,)


def test_backup_is_private_and_holds_no_password(saved: Path) -> None:
    assert saved.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(saved) as archive:
        written = archive.read("roles.sql") + archive.read("settings.sql")
    assert b"SCRAM" not in written and b"secret" not in written


def test_restore_refuses_a_filled_database_and_leaves_it(saved: Path, settings: Settings) -> None:
    with connect.connect(settings) as connection:
        connection.execute("CREATE TABLE public.mine AS SELECT 1 AS x")
    with pytest.raises(ServerError, match=r"'pbdb' is not empty: .* --replace"):
        backup.restore(settings, saved)
    with connect.connect(settings) as connection:
        assert connection.execute("SELECT x FROM public.mine").fetchone() == (1,)


def test_restore_replaces_on_request(toy: Settings, saved: Path, settings: Settings) -> None:
    fill(settings)
    with connect.connect(settings) as connection:
        connection.execute("CREATE TABLE public.mine AS SELECT 1 AS x")
        connection.execute("DELETE FROM core.sample")
    backup.restore(settings, saved, replace=True)
    assert facts(settings) == facts(toy)
    with connect.connect(settings) as connection:
        assert connection.execute("SELECT to_regclass('public.mine')").fetchone() == (None,)


def test_an_extension_already_there_does_not_count_as_filled(toy: Settings, saved: Path, settings: Settings) -> None:
    with connect.connect(settings) as connection:
        connection.execute("CREATE EXTENSION vector")
    backup.restore(settings, saved)
    assert facts(settings)["rows"] == facts(toy)["rows"]


def change(saved: Path, target: Path, name: str, edit: Any) -> Path:
    """Copy the backup with one member changed."""
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.namelist():
            content = old.read(member)
            new.writestr(member, edit(content) if member == name else content)
    return target


def test_failing_restore_changes_nothing(saved: Path, settings: Settings, tmp_path: Path) -> None:
    wrong = b"ALTER DATABASE :\"DBNAME\" SET geqo_threshold TO 'many';\n"
    bad = change(saved, tmp_path / "bad", "settings.sql", lambda text: text + wrong)
    with pytest.raises(ServerError, match=r"changed nothing: .*invalid value for parameter"):
        backup.restore(settings, bad)
    with connect.connect(settings) as connection:
        assert connection.execute("SELECT to_regnamespace('core'), to_regrole('pbdb_owner')").fetchone() == (None, None)


def test_failing_restore_keeps_what_was_to_be_replaced(saved: Path, settings: Settings, tmp_path: Path) -> None:
    with connect.connect(settings) as connection:
        connection.execute("CREATE SCHEMA core; CREATE TABLE core.mine AS SELECT 1 AS x")
    bad = change(saved, tmp_path / "bad", "database.dump", lambda dump: dump[: len(dump) // 2])
    with pytest.raises((ServerError, DataError)):
        backup.restore(settings, bad, replace=True)
    with connect.connect(settings) as connection:
        assert connection.execute("SELECT x FROM core.mine").fetchone() == (1,)


def test_an_early_error_of_psql_is_the_one_told(saved: Path, settings: Settings, tmp_path: Path) -> None:
    bad = change(saved, tmp_path / "bad", "roles.sql", lambda text: b"GRANT nobody_there TO nobody_else;\n" + text)
    with pytest.raises(ServerError, match=r"changed nothing: .*nobody_(there|else)"):
        backup.restore(settings, bad)


def test_flipped_bytes_are_noticed(saved: Path, settings: Settings, tmp_path: Path) -> None:
    content = bytearray(saved.read_bytes())
    middle = content.index(b"PGDMP") + 1000
    content[middle : middle + 8] = bytes(255 - byte for byte in content[middle : middle + 8])
    assert bytes(content) != saved.read_bytes()
    (tmp_path / "flipped").write_bytes(content)
    with pytest.raises((DataError, ServerError)):
        backup.restore(settings, tmp_path / "flipped")
    with connect.connect(settings) as connection:
        assert connection.execute("SELECT to_regnamespace('core')").fetchone() == (None,)


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
def test_a_truncated_backup_is_refused(saved: Path, home: Path, tmp_path: Path, keep: float) -> None:
    content = saved.read_bytes()
    (tmp_path / "cut").write_bytes(content[: int(keep if keep >= 1 else keep * len(content))])
    with pytest.raises(DataError, match="is no backup made by pbdb, or it is damaged"):
        backup.restore(Settings(home), tmp_path / "cut")
    assert not home.exists()


def test_what_is_no_backup_is_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no backup"):
        backup.restore(Settings(home), tmp_path / "none")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("x", "y")
    with pytest.raises(DataError, match="is no backup made by pbdb"):
        backup.restore(Settings(home), tmp_path / "other.zip")


def test_a_backup_of_a_newer_format_is_refused(saved: Path, home: Path, tmp_path: Path) -> None:
    newer = change(saved, tmp_path / "new", "manifest.json", lambda text: text.replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(DataError, match="made by a newer pbdb"):
        backup.restore(Settings(home), newer)


def test_backup_into_a_missing_folder_is_refused(toy: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be written to '.*/none/toy': No such file"):
        backup.backup(toy, tmp_path / "none" / "toy")


def test_failed_backup_leaves_the_earlier_one(toy: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy").write_text("earlier")
    monkeypatch.setattr(connect, "client_program", lambda *given: "/bin/false")
    with pytest.raises(ConfigError, match=r"exists already.*--force"):
        backup.backup(toy, tmp_path / "toy")
    with pytest.raises(ServerError, match="The backup failed"):
        backup.backup(toy, tmp_path / "toy", replace=True)
    assert [file.name for file in tmp_path.iterdir()] == ["toy"]
    assert (tmp_path / "toy").read_text() == "earlier"


@pytest.fixture(scope="module")
def sixteen() -> Iterator[Settings]:
    """A filled external server of PostgreSQL 16."""
    with throwaway_home() as home, external_server(home, 16) as settings:
        fill(settings)
        yield settings


def test_external_server_of_16_to_embedded_18_and_back_to_16(
    sixteen: Settings, settings: Settings, tmp_path: Path
) -> None:
    backup.backup(sixteen, tmp_path / "from16")
    backup.restore(settings, tmp_path / "from16")
    assert facts(settings)["rows"] == facts(sixteen)["rows"]
    assert facts(settings)["settings"] == facts(sixteen)["settings"]
    backup.restore(sixteen, tmp_path / "from16", replace=True)
    assert facts(sixteen)["policies"] == facts(settings)["policies"]


def test_a_login_without_superuser_rights_restores_its_own_database(sixteen: Settings, tmp_path: Path) -> None:
    backup.backup(sixteen, tmp_path / "toy")
    with throwaway_home() as home, external_server(home, 16) as administrator:
        with connect.connect(administrator, autocommit=True) as connection:
            connection.execute("CREATE ROLE lab LOGIN PASSWORD 'sesame' CREATEROLE")
            connection.execute("CREATE EXTENSION vector")
            connection.execute("ALTER DATABASE pbdb OWNER TO lab")
        url = str(administrator.database_url).replace("postgres:", "lab:")
        backup.restore(Settings(home=home, database_url=url), tmp_path / "toy")
        assert facts(administrator)["rows"] == facts(sixteen)["rows"]
        assert facts(administrator)["policies"] == facts(sixteen)["policies"]


def test_a_server_older_than_the_backup_is_refused(sixteen: Settings, saved: Path) -> None:
    with pytest.raises(ServerError, match="was made on PostgreSQL 18 and the server is 16"):
        backup.restore(sixteen, saved, replace=True)


def test_a_server_newer_than_our_programs_is_refused(
    toy: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "MAJOR", 17)
    with pytest.raises(ServerError, match="newer than the programs of this pbdb"):
        backup.backup(toy, tmp_path / "toy")


def test_settings_follow_the_database_to_another_name(saved: Path, settings: Settings) -> None:
    with connect.connect(settings, autocommit=True) as connection:
        connection.execute("CREATE DATABASE clone")
    assert Cluster(settings.home).alive()
    found = connect.ensure_running(settings).parameters
    url = f"postgresql://postgres@/clone?host={found['host']}&port={found['port']}"
    clone = Settings(home=settings.home, database_url=url)
    backup.restore(clone, saved)
    assert [row[0] for row in facts(clone)["settings"]] == ["", "clone", "clone"]
