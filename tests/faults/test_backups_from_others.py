"""A backup from others: what stands in roles.sql and settings.sql is of the forms that pbdb writes, or refused."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from pbdb.common.errors import DataError, ServerError
from pbdb.common.settings import Settings
from pbdb.database import backup, backup_lines
from pbdb.database.backup_lines import statements
from pbdb.server import connect, postgres_programs

GOOD_ROLE = (
    "DO $do$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{0}') THEN CREATE ROLE {1} LOGIN"
    " INHERIT CONNECTION LIMIT 3; IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER) THEN"
    " GRANT {1} TO CURRENT_USER; END IF; END IF; END $do$;\n"
)
ROLES = [
    "\\! id > {out}\n",
    "\\o |id > {out}\n",
    "\\copy (SELECT 1) TO PROGRAM 'id > {out}'\n",
    "COPY (SELECT 1) TO PROGRAM 'id > {out}';\n",
    "CREATE ROLE evil SUPERUSER LOGIN;\n",
    "GRANT pbdb_owner TO x; COPY (SELECT 1) TO PROGRAM 'id > {out}';\n",
    'GRANT "x\n\\! id > {out}\n" TO y; SELECT 1;\n',
    GOOD_ROLE.format("x$do$; DROP ROLE x; --", "x"),
    GOOD_ROLE.format("x", "x SUPERUSER"),
    GOOD_ROLE.format("x\\", "x"),
    "SELECT 1 \\gexec\n",
    "\0",
    "GRANT pbdb_owner TO x",
]
SETTINGS = [
    "\\! id > {out}\n",
    "ALTER DATABASE :\"DBNAME\" SET work_mem TO '1'; SELECT 1;\n",
    'ALTER DATABASE :"DBNAME" SET work_mem TO `id`;\n',
    "ALTER DATABASE :\"OTHER\" SET work_mem TO '1';\n",
    "ALTER ROLE x SUPERUSER;\n",
    "ALTER SYSTEM SET archive_command TO 'id > {out}';\n",
    "ALTER ROLE x SET work_mem TO E'\\'; SELECT 1; --';\n",
    'GRANT ALL ON DATABASE :"DBNAME" TO x, y;\n',
]


@pytest.fixture(scope="module")
def saved(database_server: Settings, template: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of a database without rows."""
    file = tmp_path_factory.mktemp("backup") / "empty.backup"
    parameters = connect.ensure_running(database_server).parameters | {"dbname": template}
    words = "&".join(f"{name}={value}" for name, value in parameters.items())
    backup.backup(Settings(database_server.home, database_url=f"postgresql://?{words}"), file)
    return file


def changed(saved: Path, target: Path, member: str, text: bytes) -> Path:
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, text if name == member else old.read(name))
    return target


@pytest.mark.parametrize("line", ROLES)
def test_roles_of_other_forms_are_refused(line: str) -> None:
    with pytest.raises(DataError, match=r"^Line 2 of 'roles.sql' in the backup is no statement that pbdb writes"):
        list(statements("GRANT a TO b;\n" + line, backup_lines.ROLES, "roles.sql", '"x"'))


@pytest.mark.parametrize("line", SETTINGS)
def test_settings_of_other_forms_are_refused(line: str) -> None:
    with pytest.raises(DataError, match="no statement that pbdb writes"):
        list(statements(line, backup_lines.SETTINGS, "settings.sql", '"x"'))


def test_what_lets_a_role_run_programs_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    text = "GRANT pg_execute_server_program TO pbdb_reader;\nGRANT pg_monitor TO pbdb_reader;\n"
    assert list(statements(text, backup_lines.ROLES, "", "")) == ["GRANT pg_monitor TO pbdb_reader;\n"]
    text = "ALTER ROLE x SET session_preload_libraries TO '/tmp/evil';\nALTER ROLE x SET \\\n"
    kept = statements(text, backup_lines.SETTINGS, "settings.sql", "")
    with pytest.raises(DataError, match="Line 2"):
        list(kept)
    assert caplog.text.count("Left out of the backup") == 2


def test_the_name_of_the_database_is_put_in_quoted_and_once() -> None:
    text = 'ALTER ROLE ":""DBNAME""" IN DATABASE :"DBNAME" SET x.y TO \'a\', b;\n'
    text += 'REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;\n'
    assert list(statements(text, backup_lines.SETTINGS, "", '"d"')) == [
        'ALTER ROLE ":""DBNAME""" IN DATABASE "d" SET x.y TO \'a\', b;\n',
        'REVOKE ALL ON DATABASE "d" FROM PUBLIC;\n',
    ]


@pytest.mark.parametrize("member", ["roles.sql", "settings.sql"])
def test_a_command_of_psql_in_a_backup_is_not_run(
    saved: Path, empty_database: Settings, tmp_path: Path, member: str
) -> None:
    out = tmp_path / "out"
    evil = changed(saved, tmp_path / "evil", member, f"\\! id > {out}\n".encode())
    with pytest.raises(DataError, match=f"Line 1 of '{member}'"):
        backup.restore(empty_database, evil)
    assert not out.exists()
    with connect.connect(empty_database) as connection:
        assert connection.execute("SELECT to_regnamespace('core')").fetchone() == (None,)


def test_a_backup_of_ours_is_restored(saved: Path, empty_database: Settings) -> None:
    backup.restore(empty_database, saved)
    with connect.connect(empty_database) as connection:
        assert connection.execute("SELECT count(*) FROM core.dataset").fetchone() == (0,)


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"null", b'{"format": "x"}', b'{"format": 1}', b'{"format": 1, "postgres": []}', b"[" * 100_000],
)
def test_a_manifest_of_any_shape_is_refused_in_a_sentence(saved: Path, tmp_path: Path, text: bytes) -> None:
    with pytest.raises(DataError, match="is no backup made by pbdb, or it is damaged"):
        backup.restore(Settings(tmp_path), changed(saved, tmp_path / "odd", "manifest.json", text))


def test_a_member_that_unpacks_to_more_than_a_text_is_refused(
    saved: Path, empty_database: Settings, tmp_path: Path
) -> None:
    bomb = changed(saved, tmp_path / "bomb", "manifest.json", json.dumps(" " * (64 << 20)).encode())
    assert bomb.stat().st_size < 2 * saved.stat().st_size + (1 << 20)
    with pytest.raises(DataError, match="is no backup made by pbdb, or it is damaged"):
        backup.restore(empty_database, bomb)


@pytest.mark.parametrize(("version", "is_refused"), [("17.5", True), ("17.6", False), ("18.0", False), ("12.22", True)])
def test_a_psql_that_takes_commands_from_a_dump_is_refused(tmp_path: Path, version: str, is_refused: bool) -> None:
    program = tmp_path / "psql"
    program.write_text(f"#!/bin/sh\necho 'psql (PostgreSQL) {version} (Debian)'\n")
    os.chmod(program, 0o755)
    if is_refused:
        with pytest.raises(ServerError, match="would run commands that a backup brings"):
            postgres_programs.require_restricting(str(program))
    else:
        postgres_programs.require_restricting(str(program))
