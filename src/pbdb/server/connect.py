"""The PostgreSQL server in use: the embedded one, or the one PBDB_DATABASE_URL names."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import pq, sql

from pbdb.common.errors import ServerError
from pbdb.common.settings import Settings
from pbdb.server import connection_parameters, postgres_programs
from pbdb.server.cluster_settings import DATABASE, LOOPBACK
from pbdb.server.postgres_programs import Account

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from pbdb.server.cluster import Cluster

OWNER = "pbdb_owner"
READER = "pbdb_reader"
PUBLIC = "pbdb_public"
WEB = "pbdb_web"  # the login of a web server: sees what PUBLIC sees, and can become nobody else
OLDEST = 15


@dataclass(frozen=True)
class Server:
    """A server that answers: libpq's connection parameters, and whether it is the embedded one."""

    parameters: dict[str, str]
    embedded: bool

    @property
    def encrypted(self) -> bool:
        """Whether connections to it are encrypted."""
        with connection_parameters.open_connection(self.parameters, "pbdb") as connection:
            return bool(connection.pgconn.ssl_in_use)


@dataclass(frozen=True)
class Status:
    """What `status` found, without starting anything; `url` never holds a password."""

    running: bool
    embedded: bool
    url: str | None
    version: str | None = None
    pid: int | None = None
    tcp_port: int | None = None
    folder: Path | None = None
    problem: str | None = None


def _cluster(settings: Settings) -> Cluster:
    if os.name != "posix":
        raise ServerError("The embedded PostgreSQL runs on Linux and macOS: set PBDB_DATABASE_URL to a server.")
    from pbdb.server.cluster import Cluster

    return Cluster(settings.home)


def ensure_running(settings: Settings) -> Server:
    """Start the embedded server on need, or check the external one.

    Raises:
        ServerError: it cannot be started, reached or used; the sentence says why.
        ConfigError: PBDB_DATABASE_URL is no address of a PostgreSQL.
    """
    if settings.database_url is None:
        return Server(_cluster(settings).ensure_running(), embedded=True)
    return Server(_checked(settings.database_url), embedded=False)


def start(settings: Settings, port: int | None = None) -> Server:
    """Start the embedded server; with a port also reachable over loopback TCP from now on (0: no longer).

    Raises:
        ServerError: as `ensure_running`; the port is taken; open sessions forbid the restart; the server is external.
    """
    if settings.database_url is not None:
        raise ServerError("PBDB_DATABASE_URL names an external server, which pbdb neither starts nor stops: unset it.")
    server = Server(_cluster(settings).start(port), embedded=True)
    if port:
        reader_password(settings)
    return server


def stop(settings: Settings, *, immediately: bool = False) -> bool:
    """Shut the embedded server down; False if it was not running.

    Raises:
        ServerError: it belongs to another user, or is external.
    """
    if settings.database_url is not None:
        raise ServerError("PBDB_DATABASE_URL names an external server, which pbdb neither starts nor stops: unset it.")
    return _cluster(settings).stop(immediately=immediately)


def status(settings: Settings) -> Status:
    """Look at the server without starting it."""
    if settings.database_url is not None:
        return _external_status(settings.database_url)
    cluster = _cluster(settings)
    parameters = cluster.answering()
    if parameters is None:
        return Status(running=False, embedded=True, url=None, folder=cluster.folder)
    postmaster = cluster.postmaster()
    with connection_parameters.open_connection(parameters, "pbdb") as connection:
        version = connection.info.parameter_status("server_version")
    return Status(
        running=True,
        embedded=True,
        url=connection_parameters.url_of(parameters),
        version=version,
        pid=postmaster.pid if postmaster else None,
        tcp_port=postmaster.port if postmaster and postmaster.tcp else None,
        folder=cluster.folder,
    )


def url(settings: Settings) -> str:
    """The address for other programs: with a port the reader's over TCP, password included; else the socket's."""
    server = ensure_running(settings)
    if settings.database_url is not None:
        return settings.database_url
    postmaster = _cluster(settings).postmaster()
    if postmaster is None or not postmaster.tcp:
        return connection_parameters.url_of(server.parameters)
    where = {"host": LOOPBACK, "port": str(postmaster.port), "dbname": DATABASE}
    return connection_parameters.url_of(where | {"user": READER, "password": reader_password(settings)})


def reader_password(settings: Settings) -> str:
    """The embedded server's password of pbdb_reader, from its file of 0600; made where there is none.

    The role is made too where it does not exist yet; its grants are the schema's affair. A password that the role gave
    itself is replaced by the file's.

    Raises:
        ServerError: another process is at it and does not end.
    """
    file = _cluster(settings).folder / "reader.password"
    with connect(settings, autocommit=True) as connection:
        if not file.exists() or not _has_password(connection, file.read_text().strip()):
            from pbdb.server import locks  # SQLAlchemy takes longer to import than a short query to run

            # Another process may make it at the same time; the lock goes with the connection.
            locks.take_now(connection, locks.key_of("reader.password"), f"The password of {READER}")
            _make_password(connection, file)
    return file.read_text().strip()


def _make_password(connection: psycopg.Connection[tuple[Any, ...]], file: Path) -> None:
    if not file.exists():
        _write_private(file, secrets.token_urlsafe(24))
    password = file.read_text().strip()
    if not _has_password(connection, password):
        there = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [READER]).rowcount
        _allow_login(connection, password, "ALTER" if there else "CREATE")


def _allow_login(connection: psycopg.Connection[tuple[Any, ...]], password: str, verb: str) -> None:
    scrambled = connection.pgconn.encrypt_password(password.encode(), READER.encode(), b"scram-sha-256")
    command = sql.SQL("{} ROLE {} LOGIN PASSWORD {}")
    role = sql.Identifier(READER)
    connection.execute(command.format(sql.SQL(verb), role, sql.Literal(scrambled.decode())))


def has_changed_password(settings: Settings) -> bool:
    """Whether pbdb_reader of the running embedded server gave itself another password than that of the file."""
    if settings.database_url is not None:
        return False
    file = _cluster(settings).folder / "reader.password"
    if not file.exists():
        return False
    with connect(settings) as connection:
        return not _has_password(connection, file.read_text().strip())


def _has_password(connection: psycopg.Connection[tuple[Any, ...]], password: str) -> bool:
    """Whether pbdb_reader may log in, with this password (RFC 5803: iterations and salt, keys of client and server)."""
    query = "SELECT rolpassword FROM pg_authid WHERE rolname = %s AND rolcanlogin"
    row = connection.execute(query, [READER]).fetchone()
    parts = re.fullmatch(r"SCRAM-SHA-256\$4096:([^$]+)\$([^:]+):(.+)", row[0] or "") if row else None
    if parts is None:
        return False
    salt, stored = (base64.b64decode(part) for part in parts.groups()[:2])
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 4096)
    return hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest() == stored


def connect(
    settings: Settings,
    *,
    database: str | None = None,
    role: str | None = None,
    application_name: str = "pbdb",
    autocommit: bool = False,
) -> psycopg.Connection[tuple[Any, ...]]:
    """Open a psycopg connection with pbdb's search_path and planner settings, started on need, as a role.

    Raises:
        ServerError: as `ensure_running`, or the login may not take that role.
    """
    parameters = ensure_running(settings).parameters
    return connection_parameters.open_connection(
        parameters | ({"dbname": database} if database else {}), application_name, role, autocommit
    )


def connect_as_reader(settings: Settings, application_name: str = "pbdb") -> psycopg.Connection[tuple[Any, ...]]:
    """Open a connection that can only read: logged in as pbdb_reader where the server is ours, else in that role.

    A role alone can be left again by the statement itself; a login cannot. On an external server it is the login of
    PBDB_READER_URL, else that of PBDB_DATABASE_URL in the role.

    Raises:
        ServerError: as `connect`, or the login may run programs and read files on the server.
    """
    server = ensure_running(settings)
    if server.embedded:
        reader_password(settings)
        return connection_parameters.open_connection(server.parameters | {"user": READER}, application_name)
    address = settings.reader_url or settings.database_url or ""
    connection = connection_parameters.open_connection(_checked(address), application_name, READER)
    try:
        if not settings.read_as_superuser:
            _refuse_superuser(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_superuser(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    row = connection.execute(_MAY_RUN_PROGRAMS).fetchone()
    connection.rollback()
    if row is not None:
        raise ServerError(
            f"'{row[0]}' may run programs on the server, which no query should be able to: set PBDB_READER_URL to a"
            f" login that is a member of {READER} alone (CREATE ROLE me LOGIN PASSWORD '...' IN ROLE {READER}), or say"
            " that you trust every query with PBDB_READ_AS_SUPERUSER=1."
        )


def engine(
    settings: Settings, *, database: str | None = None, role: str | None = None, application_name: str = "pbdb"
) -> Engine:
    """A SQLAlchemy engine whose every connection is as from `connect`; none is kept open.

    Raises:
        ServerError: as `connect`.
    """
    from sqlalchemy import URL, NullPool, create_engine

    server = ensure_running(settings)
    parameters = server.parameters | ({"dbname": database} if database else {})
    address = URL.create("postgresql+psycopg", database=parameters.get("dbname"), host=parameters.get("host"))
    return create_engine(
        address,
        creator=lambda: connection_parameters.open_connection(parameters, application_name, role),
        poolclass=NullPool,
    )


def psql_command(
    settings: Settings, args: Iterable[str] = (), *, database: str | None = None
) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of a psql session; the password stands in the environment alone."""
    server = ensure_running(settings)
    environment = client_environment(server)
    return [client_program("psql", server), *args], environment | ({"PGDATABASE": database} if database else {})


def client_program(name: str, server: Server, version: int = postgres_programs.MAJOR) -> str:
    """Path of psql, pg_dump or pg_restore: the wheel's, or the machine's own where that cannot serve.

    Raises:
        ServerError: the wheel is missing, or cannot encrypt as the connection wants, and there is no other program.
    """
    if server.embedded or (postgres_programs.installed() and not server.encrypted):
        return str(postgres_programs.programs(version) / name)
    path = shutil.which(name)
    if path is None:
        raise ServerError(
            f"The bundled {name} is missing or cannot reach the server "
            f"{connection_parameters.place(server.parameters)}, which wants an encrypted connection: "
            "install PostgreSQL's client programs (Debian: postgresql-client), "
            f"so that {name} is in the PATH."
        )
    return path


@dataclass(frozen=True)
class Program:
    """A program of PostgreSQL and the user it runs as."""

    path: str
    user: Account

    def start(self, words: Iterable[str], **options: Any) -> subprocess.Popen[bytes]:
        """Run it; options are those of subprocess."""
        return subprocess.Popen([self.path, *words], cwd="/", **options, **self.user.popen())


def restoring_program(settings: Settings, name: str, server: Server, version: int = postgres_programs.MAJOR) -> Program:
    """Psql or pg_restore for a file that may be anybody's: as the server's user where that is ours and we are root.

    Raises:
        ServerError: as `client_program`; or it would take psql's own commands from the file (CVE-2025-8714).
    """
    if server.embedded:
        cluster = _cluster(settings)
        user = postgres_programs.account(cluster.data)
        folder = postgres_programs.programs_for(user, cluster.folder / "programs", version)
        return Program(str(folder / name), user)
    path = client_program(name, server, version)
    postgres_programs.require_restricting(path)
    return Program(path, postgres_programs.ourselves())


def client_environment(server: Server) -> dict[str, str]:
    """Environment that makes psql, pg_dump and pg_restore connect to this server."""
    names = {option.keyword.decode(): option.envvar for option in pq.Conninfo.get_defaults()}
    ours = {name.decode(): server.parameters[key] for key, name in names.items() if name and key in server.parameters}
    kept = {name: value for name, value in os.environ.items() if not (server.embedded and name.startswith("PG"))}
    return (
        kept
        | ours
        | {"PGOPTIONS": connection_parameters.session_options(server.parameters, None), "PGCLIENTENCODING": "UTF8"}
    )


@cache
def _checked(address: str) -> dict[str, str]:
    """Connection parameters of an external server that was looked at once in this process."""
    parameters = connection_parameters.external_parameters(address)
    with connection_parameters.open_connection(parameters, "pbdb") as connection:
        _check(connection)
    return parameters


def _check(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    version = connection.info.server_version
    where = connection_parameters.place(connection.info.get_parameters())
    if version < OLDEST * 10000:
        raise ServerError(
            f"The server {where} is PostgreSQL {version // 10000}: pbdb needs {OLDEST} or newer, with pgvector."
        )
    pgvector = connection.execute("SELECT FROM pg_available_extensions WHERE name = 'vector'")
    if not pgvector.rowcount:
        raise ServerError(
            f"The server {where} has no extension 'vector': install pgvector on it "
            "(Debian: postgresql-18-pgvector; containers: the image pgvector/pgvector)."
        )


def _external_status(address: str) -> Status:
    parameters = connection_parameters.external_parameters(address)
    shown = connection_parameters.url_of({key: value for key, value in parameters.items() if key != "password"})
    try:
        with connection_parameters.open_connection(parameters, "pbdb") as connection:
            _check(connection)
            version = connection.info.parameter_status("server_version")
    except ServerError as error:
        return Status(running=False, embedded=False, url=shown, problem=str(error))
    return Status(running=True, embedded=False, url=shown, version=version)


_MAY_RUN_PROGRAMS = """
SELECT session_user FROM pg_roles WHERE rolname = session_user AND (rolsuper OR EXISTS (
    SELECT FROM pg_roles r WHERE pg_has_role(session_user, r.oid, 'MEMBER') AND (r.rolsuper OR r.rolname IN
        ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'))))"""


def _write_private(path: Path, text: str) -> None:
    """Write a file for the folder's owner alone, who may be another than root."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
    if os.geteuid() == 0:
        os.chown(path, path.parent.stat().st_uid, path.parent.stat().st_gid)
