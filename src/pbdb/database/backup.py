"""Backup of the whole database into one file, with what pg_dump leaves out: roles, memberships, settings, grants.

The file is a ZIP archive of `manifest.json`, `roles.sql`, `database.dump` (pg_dump's custom format) and
`settings.sql`. Passwords are not in it. A restore is one transaction: all of it, or nothing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from pbdb.common.errors import ConfigError, DataError, ServerError
from pbdb.common.settings import Settings
from pbdb.common.sql_text import quoted
from pbdb.database import backup_lines, partitions, tidy
from pbdb.database.backup_lines import statements
from pbdb.database.backup_sql import EMPTY, REPLACE, ROLES, SETTINGS
from pbdb.database.models import PARTITIONS
from pbdb.server import connect
from pbdb.server.connect import Program, Server
from pbdb.server.postgres_programs import MAJOR

FORMAT = 1
BLOCK = 1 << 20
LARGEST_TEXT = 16 << 20
# The index of signatures takes many times as long in less memory.
SETTINGS_OF_RESTORE = "SET LOCAL lock_timeout = '30s';\nSET LOCAL maintenance_work_mem = '1GB';\n"


def backup(settings: Settings, file: Path, *, replace: bool = False) -> int:
    """Write the database to `file`, which appears only when complete; return its size in bytes.

    replace: write over a file that is there already, once the new one is complete.

    Raises:
        ServerError: the server cannot be used, or pg_dump failed.
        ConfigError: the file is there already, or cannot be written.
    """
    if file.exists() and not replace:
        raise ConfigError(
            f"'{file}' exists already: name another file, or say --force to write over it.", file=str(file)
        )
    source = connect.ensure_running(settings)
    with connect.connect(settings) as connection:
        major = connection.info.server_version // 10000
        manifest = {"format": FORMAT, "pbdb": metadata.version("pbdb"), "postgres": major}
        roles, rest = (_lines(connection.execute(query).fetchall()) for query in (ROLES, SETTINGS))
    with _complete_or_absent(file) as output, zipfile.ZipFile(output, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        archive.writestr("roles.sql", roles)
        archive.writestr("settings.sql", rest)
        with _nothing_dropped(settings), archive.open("database.dump", "w", force_zip64=True) as member:
            _dump(source, major, member)
    return file.stat().st_size


def restore(settings: Settings, file: Path, *, replace: bool = False) -> None:
    """Fill the database from a backup; `replace` drops what stands in it first.

    The dump in it is SQL: it may do in the server whatever the login may do, so the backup has to be one's own.

    Raises:
        DataError: the file is no backup, damaged, or holds statements that pbdb does not write.
        ServerError: the database is not empty, the server is older than the backup's, or a statement failed.
    """
    with _opened(file) as archive:
        made_on = _made_on(archive)
        target = connect.ensure_running(settings)
        with connect.connect(settings) as connection:
            major = connection.info.server_version // 10000
            row = connection.execute(EMPTY).fetchone()
        _refuse_older(made_on, major)
        if row != (True,) and not replace:
            raise ServerError(
                f"The database '{target.parameters.get('dbname', '')}' is not empty: restore into a new PBDB_HOME or "
                "database, or say --replace to drop everything in it first."
            )
        _run_restore(settings, target, archive, major, replace=replace)
    with connect.connect(settings, autocommit=True) as connection:
        connection.execute("ANALYZE")


@contextmanager
def _nothing_dropped(settings: Settings) -> Iterator[None]:
    """Keep partitions that nobody needs any more from being dropped: pg_dump fails where what it has listed goes."""
    with connect.connect(settings, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock_shared(%s)", [tidy.LOCK])
        yield


def _lines(rows: list[tuple[Any, ...]]) -> str:
    return "".join(f"{row[0]}\n" for row in rows)


def _client_version(major: int) -> int:
    """Servers up to 16 need the older programs: those of 18 write settings they do not know.

    Raises:
        ServerError: the server is newer than our programs.
    """
    if major > MAJOR:
        raise ServerError(
            f"The server is PostgreSQL {major}, newer than the programs of this pbdb ({MAJOR}): update pbdb."
        )
    return 16 if major <= 16 else MAJOR


def _dump(source: Server, major: int, output: IO[bytes]) -> None:
    program = connect.client_program("pg_dump", source, _client_version(major))
    # Tables that a load is filling are nobody's yet, and must not be locked. The default compression takes 7 times as
    # long.
    argv = [program, "--format=custom", "--compress=1", "--no-password"]
    argv.append(f"--exclude-table={PARTITIONS}.*{partitions.FILLING}")
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            argv, env=connect.client_environment(source), stdout=subprocess.PIPE, stderr=errors
        ) as process,
    ):
        assert process.stdout is not None
        try:
            shutil.copyfileobj(process.stdout, output, BLOCK)
        except BaseException:
            process.kill()
            raise
        if process.wait():
            raise ServerError(f"The backup failed: {_first_error(errors)}")


def _run_restore(settings: Settings, target: Server, archive: zipfile.ZipFile, major: int, *, replace: bool) -> None:
    """Feed psql with one transaction; without its COMMIT at the end nothing has happened.

    The dump is SQL that may do what the login may do, and PostgreSQL itself keeps it from psql's own commands; the
    rest is of known forms. Where we are root the programs run as the server's user.
    """
    database = quoted(target.parameters.get("dbname", ""))
    roles = "".join(statements(_text(archive, "roles.sql"), backup_lines.ROLES, "roles.sql", database))
    rest = "".join(statements(_text(archive, "settings.sql"), backup_lines.SETTINGS, "settings.sql", database))
    psql = connect.restoring_program(settings, "psql", target)
    pg_restore = connect.restoring_program(settings, "pg_restore", target, _client_version(major))
    words = ["-X", "-q", "--no-password", "--set=ON_ERROR_STOP=1", f"--output={os.devnull}"]
    with tempfile.TemporaryFile() as errors:
        shell = psql.start(words, env=connect.client_environment(target), stdin=subprocess.PIPE, stderr=errors)
        assert shell.stdin is not None
        try:
            with shell.stdin as script:
                script.write(f"BEGIN;\n{SETTINGS_OF_RESTORE}{REPLACE if replace else ''}{roles}".encode())
                script.flush()
                _unpack(pg_restore, archive, script)
                script.write(f"{rest}COMMIT;\n".encode())
        except BrokenPipeError:
            pass  # psql ended at an error, which it has named
        except BaseException:
            shell.kill()
            raise
        finally:
            failed = shell.wait()
        if failed:
            raise ServerError(f"The restore failed and changed nothing: {_first_error(errors)}")


def _unpack(pg_restore: Program, archive: zipfile.ZipFile, script: IO[bytes]) -> None:
    """Write the dump's SQL to `script`, without what owners of extensions and of the server alone may write.

    These are comments on extensions, and rights of the server's own functions (`reader_limits` gives them again).
    """
    with tempfile.TemporaryFile() as contents, tempfile.NamedTemporaryFile() as wanted:
        _feed(pg_restore, ["--list"], archive, contents)
        contents.seek(0)
        wanted.writelines(line for line in contents if not re.search(rb" COMMENT - EXTENSION | ACL pg_catalog ", line))
        wanted.flush()
        pg_restore.user.own(Path(wanted.name))
        _feed(pg_restore, [f"--use-list={wanted.name}"], archive, script)


def _feed(pg_restore: Program, words: list[str], archive: zipfile.ZipFile, output: IO[bytes]) -> None:
    with tempfile.TemporaryFile() as errors, _member(archive, "database.dump") as dump:
        process = pg_restore.start(["-f", "-", *words], stdin=subprocess.PIPE, stdout=output, stderr=errors)
        assert process.stdin is not None
        try:
            with process.stdin as packed:
                shutil.copyfileobj(dump, packed, BLOCK)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise DataError(f"The backup is damaged: {error}.") from None
        except BrokenPipeError:
            pass  # it has read enough, or ended at an error
        finally:
            failed = process.wait()
        if failed > 0:
            raise DataError(f"The backup cannot be read: {_first_error(errors)}")
        if failed:
            raise BrokenPipeError


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    try:
        return archive.open(name)
    except (KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        raise DataError(
            f"'{archive.filename}' is no backup made by pbdb, or it is damaged: {name} is missing."
        ) from None


def _text(archive: zipfile.ZipFile, name: str) -> str:
    """A small member as text."""
    try:
        with _member(archive, name) as member:
            content = member.read(LARGEST_TEXT + 1)
        if len(content) > LARGEST_TEXT:
            raise ValueError
        return content.decode()
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError):
        raise DataError(f"'{archive.filename}' is no backup made by pbdb, or it is damaged.") from None


@contextmanager
def _complete_or_absent(file: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name when all of it is on disk; only we may read it."""
    try:
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as output:
            temporary = Path(output.name)
            try:
                yield output
                output.flush()
                os.fsync(output.fileno())
                temporary.replace(file)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise ConfigError(f"The backup cannot be written to '{file}': {error.strerror}.") from None


def _opened(file: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except FileNotFoundError:
        raise DataError(f"There is no backup '{file}'.", file=str(file)) from None
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"'{file}' is no backup made by pbdb, or it is damaged: {error}.", file=str(file)) from None


def _made_on(archive: zipfile.ZipFile) -> int:
    """The major version of PostgreSQL that a backup was made on."""
    try:
        manifest = json.loads(_text(archive, "manifest.json"))
        newer, made_on = int(manifest["format"]) > FORMAT, int(manifest["postgres"])
    except (KeyError, ValueError, TypeError, RecursionError):
        raise DataError(f"'{archive.filename}' is no backup made by pbdb, or it is damaged.") from None
    if newer:
        raise DataError(
            f"The backup '{archive.filename}' was made by a newer pbdb ({manifest.get('pbdb')}): update pbdb."
        )
    return made_on


def _refuse_older(made_by: int, major: int) -> None:
    if major < made_by:
        raise ServerError(
            f"The backup was made on PostgreSQL {made_by} and the server is {major}: restore it on {made_by} or newer."
        )


def _first_error(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read().decode(errors="replace").splitlines()
    telling = [line for line in lines if "error" in line.lower() or "FATAL" in line]
    return (telling or lines or ["no reason given"])[0].strip()
