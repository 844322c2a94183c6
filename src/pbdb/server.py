"""The PostgreSQL server in use: the embedded one, or the one PBDB_DATABASE_URL names."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import pq, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import URL, Engine, NullPool, create_engine

from pbdb import postgres
from pbdb.config import Settings
from pbdb.embedded import DATABASE, Cluster
from pbdb.embedded_settings import LOOPBACK
from pbdb.errors import ConfigError, ServerError

READER = "pbdb_reader"
OLDEST = 15
SESSION = {
    "search_path": "pbdb,core,public",
    "join_collapse_limit": "16",
    "from_collapse_limit": "16",
    "geqo_threshold": "20",
}


@dataclass(frozen=True)
class Server:
    """A server that answers: libpq's connection parameters, and whether it is the embedded one."""

    parameters: dict[str, str]
    embedded: bool

    @property
    def major(self) -> int:
        """Major version of PostgreSQL."""
        with _open(self.parameters, "pbdb") as connection:
            return connection.info.server_version // 10000

    @property
    def encrypted(self) -> bool:
        """Whether connections to it are encrypted."""
        with _open(self.parameters, "pbdb") as connection:
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


def ensure_running(settings: Settings) -> Server:
    """Start the embedded server on need, or check the external one.

    Raises:
        ServerError: it cannot be started, reached or used; the sentence says why.
        ConfigError: PBDB_DATABASE_URL is no address of a PostgreSQL.
    """
    if settings.database_url is None:
        return Server(Cluster(settings.home).ensure_running(), embedded=True)
    return Server(_checked(settings.database_url), embedded=False)


def start(settings: Settings, port: int | None = None) -> Server:
    """Start the embedded server; with a port also reachable over loopback TCP from now on (0: no longer).

    Raises:
        ServerError: as `ensure_running`; the port is taken; open sessions forbid the restart; the server is external.
    """
    if settings.database_url is not None:
        raise ServerError("PBDB_DATABASE_URL names an external server, which pbdb neither starts nor stops: unset it.")
    server = Server(Cluster(settings.home).start(port), embedded=True)
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
    return Cluster(settings.home).stop(immediately=immediately)


def status(settings: Settings) -> Status:
    """Look at the server without starting it."""
    if settings.database_url is not None:
        return _external_status(settings.database_url)
    cluster = Cluster(settings.home)
    parameters = cluster.answering()
    if parameters is None:
        return Status(running=False, embedded=True, url=None, folder=cluster.folder)
    found = cluster.postmaster()
    with _open(parameters, "pbdb") as connection:
        version = connection.info.parameter_status("server_version")
    return Status(
        running=True,
        embedded=True,
        url=_url(parameters),
        version=version,
        pid=found.pid if found else None,
        tcp_port=found.port if found and found.tcp else None,
        folder=cluster.folder,
    )


def url(settings: Settings) -> str:
    """The address for other programs: with a port the reader's over TCP, password included; else the socket's."""
    server = ensure_running(settings)
    if settings.database_url is not None:
        return settings.database_url
    found = Cluster(settings.home).postmaster()
    if found is None or not found.tcp:
        return _url(server.parameters)
    where = {"host": LOOPBACK, "port": str(found.port), "dbname": DATABASE}
    return _url(where | {"user": READER, "password": reader_password(settings)})


def reader_password(settings: Settings, *, rotate: bool = False) -> str:
    """The embedded server's password of pbdb_reader, from its file of 0600; made on first use, or anew.

    The role is made too where it does not exist yet; its grants are the schema's affair.
    """
    file = Cluster(settings.home).folder / "reader.password"
    fresh = rotate or not file.exists()
    if fresh:
        _write_private(file, secrets.token_urlsafe(24))
    password = file.read_text().strip()
    with connect(settings, autocommit=True) as connection:
        query = "SELECT rolcanlogin AND rolpassword IS NOT NULL FROM pg_authid WHERE rolname = %s"
        row = connection.execute(query, [READER]).fetchone()
        if fresh or row != (True,):
            _allow_login(connection, password, "ALTER" if row else "CREATE")
    return password


def _allow_login(connection: psycopg.Connection[tuple[Any, ...]], password: str, verb: str) -> None:
    scrambled = connection.pgconn.encrypt_password(password.encode(), READER.encode(), b"scram-sha-256")
    command = sql.SQL("{} ROLE {} LOGIN PASSWORD {}")
    role = sql.Identifier(READER)
    connection.execute(command.format(sql.SQL(verb), role, sql.Literal(scrambled.decode())))


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
    return _open(parameters | ({"dbname": database} if database else {}), application_name, role, autocommit)


def connect_as_reader(settings: Settings, application_name: str = "pbdb") -> psycopg.Connection[tuple[Any, ...]]:
    """Open a connection that can only read: logged in as pbdb_reader where the server is ours, else in that role.

    A role alone can be left again by the statement itself; a login cannot.

    Raises:
        ServerError: as `connect`.
    """
    server = ensure_running(settings)
    if not server.embedded:
        return connect(settings, role=READER, application_name=application_name)
    reader_password(settings)
    return _open(server.parameters | {"user": READER}, application_name)


def engine(
    settings: Settings, *, database: str | None = None, role: str | None = None, application_name: str = "pbdb"
) -> Engine:
    """A SQLAlchemy engine whose every connection is as from `connect`; none is kept open.

    Raises:
        ServerError: as `connect`.
    """
    server = ensure_running(settings)
    parameters = server.parameters | ({"dbname": database} if database else {})
    address = URL.create("postgresql+psycopg", database=parameters.get("dbname"), host=parameters.get("host"))
    return create_engine(address, creator=lambda: _open(parameters, application_name, role), poolclass=NullPool)


def require_creator(settings: Settings) -> None:
    """Refuse a login that could not create pbdb's schemas and roles.

    Raises:
        ServerError: it may not create schemas in the database, or roles; or the server is a read-only copy.
    """
    query = """SELECT current_user, current_database(), pg_is_in_recovery(),
        has_database_privilege(current_database(), 'CREATE'), rolsuper OR rolcreaterole
        FROM pg_roles WHERE rolname = current_user"""
    with connect(settings) as connection:
        row = connection.execute(query).fetchone()
    user, database, replica, may_create, may_add_roles = row or (None, None, False, False, False)
    if replica:
        raise ServerError("The server is a read-only copy (a standby): point PBDB_DATABASE_URL at the primary.")
    if not may_create:
        raise ServerError(
            f"Role '{user}' may not create schemas in database '{database}': let an administrator run "
            f'GRANT CREATE ON DATABASE "{database}" TO "{user}", or log in as the database\'s owner.'
        )
    if not may_add_roles:
        raise ServerError(
            f"Role '{user}' may not create the roles pbdb_owner, pbdb_reader and pbdb_public: let an administrator run "
            f'ALTER ROLE "{user}" CREATEROLE.'
        )


def psql_command(
    settings: Settings, args: Iterable[str] = (), *, database: str | None = None
) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of a psql session; the password stands in the environment alone."""
    server = ensure_running(settings)
    environment = client_environment(server)
    return [client_program("psql", server), *args], environment | ({"PGDATABASE": database} if database else {})


def client_program(name: str, server: Server, version: int = postgres.MAJOR) -> str:
    """Path of psql, pg_dump or pg_restore: the wheel's, or the machine's own where the connection is encrypted.

    Raises:
        ServerError: the connection is encrypted, which the wheel's programs cannot do, and there is no other.
    """
    if server.embedded or not server.encrypted:
        return str(postgres.programs(version) / name)
    found = shutil.which(name)
    if found is None:
        raise ServerError(
            f"The server {_place(server.parameters)} wants an encrypted connection, which the bundled {name} cannot "
            f"make: install PostgreSQL's client programs (Debian: postgresql-client), so that {name} is in the PATH."
        )
    return found


def client_environment(server: Server) -> dict[str, str]:
    """Environment that makes psql, pg_dump and pg_restore connect to this server."""
    names = {option.keyword.decode(): option.envvar for option in pq.Conninfo.get_defaults()}
    own = {name.decode(): server.parameters[key] for key, name in names.items() if name and key in server.parameters}
    kept = {name: value for name, value in os.environ.items() if not (server.embedded and name.startswith("PG"))}
    return kept | own | {"PGOPTIONS": _options(server.parameters, None), "PGCLIENTENCODING": "UTF8"}


def external_parameters(address: str) -> dict[str, str]:
    """Connection parameters in a URL that starts with postgresql://, postgres:// or postgresql+psycopg://.

    Raises:
        ConfigError: it is no such URL. The text of the URL is not repeated: it may hold a password.
    """
    plain = re.sub(r"^postgres(ql)?(\+psycopg)?://", "postgresql://", address)
    try:
        if not plain.startswith("postgresql://"):
            raise ValueError
        found = conninfo_to_dict(plain)
    except (ValueError, psycopg.Error):
        raise ConfigError(
            "PBDB_DATABASE_URL is not the address of a PostgreSQL: "
            "write it as postgresql://user:password@host:5432/database, special characters as %XX."
        ) from None
    return {key: str(value) for key, value in found.items() if value is not None}


def _open(
    parameters: dict[str, str], application_name: str, role: str | None = None, autocommit: bool = False
) -> psycopg.Connection[tuple[Any, ...]]:
    given = {"connect_timeout": "10"} | parameters
    given |= {"application_name": application_name, "options": _options(parameters, role), "client_encoding": "UTF8"}
    try:
        return psycopg.connect(make_conninfo("", **given), autocommit=autocommit)
    except psycopg.OperationalError as error:
        raise ServerError(_sentence(str(error), parameters, role)) from None


def _options(parameters: dict[str, str], role: str | None) -> str:
    """The session's settings, sent with the login, so that RESET and RESET ROLE return to them."""
    wanted = SESSION | ({"role": role} if role else {})
    own = ["-c " + re.sub(r"([ \\])", r"\\\1", f"{name}={value}") for name, value in wanted.items()]
    return " ".join([parameters.get("options", ""), *own]).strip()


@cache
def _checked(address: str) -> dict[str, str]:
    """Connection parameters of an external server that was looked at once in this process."""
    parameters = external_parameters(address)
    with _open(parameters, "pbdb") as connection:
        _check(connection)
    return parameters


def _check(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    version = connection.info.server_version
    if version < OLDEST * 10000:
        raise ServerError(
            f"The server {_place(connection.info.get_parameters())} is PostgreSQL {version // 10000}: "
            f"pbdb needs {OLDEST} or newer, with pgvector."
        )
    found = connection.execute("SELECT FROM pg_available_extensions WHERE name = 'vector'")
    if not found.rowcount:
        raise ServerError(
            f"The server {_place(connection.info.get_parameters())} has no extension 'vector': install pgvector on it "
            "(Debian: postgresql-18-pgvector; containers: the image pgvector/pgvector)."
        )


SENTENCES = (
    (
        "password authentication failed|no password supplied|authentication failed",
        "The server {place} refuses user '{user}' with this password: correct PBDB_DATABASE_URL.",
    ),
    (
        'database "[^"]*" does not exist',
        "The server {place} has no database '{dbname}': create it, or correct PBDB_DATABASE_URL.",
    ),
    ('role "[^"]*" does not exist', "The server {place} has no role '{role}': create it with `pbdb db upgrade`."),
    ("permission denied to set role", "User '{user}' on the server {place} is no member of role '{role}'."),
    (
        "could not translate host name|not known|failed to resolve|Temporary failure in name resolution",
        "The host '{host}' of PBDB_DATABASE_URL is not known: correct its name.",
    ),
    (
        "Connection refused|timeout|timed out|No route|unreachable|No such file",
        "No PostgreSQL answers {place}: start it, or correct PBDB_DATABASE_URL.",
    ),
    (
        "too many (clients|connections)|connection slots",
        "The server {place} has no connection left: close other sessions, then try again.",
    ),
)


def _sentence(message: str, parameters: dict[str, str], role: str | None) -> str:
    """Say what failed in one sentence; libpq's messages never hold the password."""
    words = {"place": _place(parameters), "role": role or parameters.get("user", "")}
    words |= {key: parameters.get(key, "(not given)") for key in ("user", "dbname", "host")}
    for pattern, sentence in SENTENCES:
        if re.search(pattern, message):
            return sentence.format(**words)
    return f"The server {words['place']} cannot be used: {' '.join(message.split())}"


def _place(parameters: dict[str, str]) -> str:
    return f"at {parameters.get('host', 'the default socket')}, port {parameters.get('port', '5432')}"


def _external_status(address: str) -> Status:
    parameters = external_parameters(address)
    shown = _url({key: value for key, value in parameters.items() if key != "password"})
    try:
        with _open(parameters, "pbdb") as connection:
            _check(connection)
            version = connection.info.parameter_status("server_version")
    except ServerError as error:
        return Status(running=False, embedded=False, url=shown, problem=str(error))
    return Status(running=True, embedded=False, url=shown, version=version)


def _url(parameters: dict[str, str]) -> str:
    login = quote(parameters.get("user", ""), safe="")
    if "password" in parameters:
        login += ":" + quote(parameters["password"], safe="")
    host, port = parameters.get("host", ""), parameters.get("port", "5432")
    if host.startswith("/"):
        return f"postgresql://{login}@/{parameters.get('dbname', '')}?host={quote(host, safe='/')}&port={port}"
    return f"postgresql://{login}@{host}:{port}/{parameters.get('dbname', '')}"


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
