"""Backup of the whole database into one file, with what pg_dump leaves out: roles, memberships, settings, grants.

The file is a ZIP archive of `manifest.json`, `roles.sql`, `database.dump` (pg_dump's custom format) and
`settings.sql`. Passwords are not in it. A restore is one transaction: all of it, or nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from pbdb.common.errors import ConfigError, DataError, ServerError
from pbdb.common.settings import Settings
from pbdb.database.backup_sql import EMPTY, REPLACE, ROLES, SETTINGS
from pbdb.server import connect
from pbdb.server.connect import Server
from pbdb.server.postgres_programs import MAJOR

FORMAT = 1
BLOCK = 1 << 20


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
        with archive.open("database.dump", "w", force_zip64=True) as member:
            _dump(source, major, member)
    return file.stat().st_size


def restore(settings: Settings, file: Path, *, replace: bool = False) -> None:
    """Fill the database from a backup; `replace` drops what stands in it first.

    Raises:
        DataError: the file is no backup, or damaged.
        ServerError: the database is not empty, the server is older than the backup's, or a statement failed.
    """
    with _opened(file) as archive:
        manifest = _manifest(archive)
        target = connect.ensure_running(settings)
        with connect.connect(settings) as connection:
            major = connection.info.server_version // 10000
            row = connection.execute(EMPTY).fetchone()
        _refuse_older(manifest["postgres"], major)
        if row != (True,) and not replace:
            raise ServerError(
                f"The database '{target.parameters.get('dbname', '')}' is not empty: restore into a new PBDB_HOME or "
                "database, or say --replace to drop everything in it first."
            )
        _run_restore(target, archive, major, replace=replace)
    with connect.connect(settings, autocommit=True) as connection:
        connection.execute("ANALYZE")


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
    argv = [program, "--format=custom", "--compress=1", "--no-password"]  # the default takes 7 times as long
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


def _run_restore(target: Server, archive: zipfile.ZipFile, major: int, *, replace: bool) -> None:
    """Feed psql with one transaction; without its COMMIT at the end nothing has happened."""
    environment = connect.client_environment(target)
    words = ["-X", "-q", "--no-password", "--set=ON_ERROR_STOP=1", f"--output={os.devnull}"]
    psql = [connect.client_program("psql", target), *words]
    pg_restore = [connect.client_program("pg_restore", target, _client_version(major)), "-f", "-"]
    with tempfile.TemporaryFile() as errors:
        shell = subprocess.Popen(psql, env=environment, stdin=subprocess.PIPE, stderr=errors)
        assert shell.stdin is not None
        try:
            with shell.stdin as script:
                script.write(b"BEGIN;\nSET LOCAL lock_timeout = '30s';\n" + (REPLACE.encode() if replace else b""))
                script.write(archive.read("roles.sql"))
                script.flush()
                _unpack(pg_restore, archive, script)
                script.write(archive.read("settings.sql") + b"COMMIT;\n")
        except BrokenPipeError:
            pass  # psql ended at an error, which it has named
        except BaseException:
            shell.kill()
            raise
        finally:
            failed = shell.wait()
        if failed:
            raise ServerError(f"The restore failed and changed nothing: {_first_error(errors)}")


def _unpack(pg_restore: list[str], archive: zipfile.ZipFile, script: IO[bytes]) -> None:
    """Write the dump's SQL to `script`, without comments on extensions: those are for their owners to write."""
    with tempfile.TemporaryFile() as contents, tempfile.NamedTemporaryFile() as wanted:
        _feed([*pg_restore, "--list"], archive, contents)
        contents.seek(0)
        wanted.writelines(line for line in contents if b" COMMENT - EXTENSION " not in line)
        wanted.flush()
        _feed([*pg_restore, f"--use-list={wanted.name}"], archive, script)


def _feed(pg_restore: list[str], archive: zipfile.ZipFile, output: IO[bytes]) -> None:
    with tempfile.TemporaryFile() as errors, archive.open("database.dump") as dump:
        process = subprocess.Popen(pg_restore, stdin=subprocess.PIPE, stdout=output, stderr=errors)
        assert process.stdin is not None
        try:
            with process.stdin as packed:
                shutil.copyfileobj(dump, packed, BLOCK)
        except zipfile.BadZipFile as error:
            raise DataError(f"The backup is damaged: {error}.") from None
        except BrokenPipeError:
            pass  # it has read enough, or ended at an error
        finally:
            failed = process.wait()
        if failed > 0:
            raise DataError(f"The backup cannot be read: {_first_error(errors)}")
        if failed:
            raise BrokenPipeError


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


def _manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(archive.read("manifest.json"))
        newer = manifest["format"] > FORMAT
    except (zipfile.BadZipFile, KeyError, ValueError):
        raise DataError(f"'{archive.filename}' is no backup made by pbdb, or it is damaged.") from None
    if newer:
        raise DataError(f"The backup '{archive.filename}' was made by a newer pbdb ({manifest['pbdb']}): update pbdb.")
    return manifest


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
