"""Connections: addresses, the session's settings, and what is wrong when one cannot be had."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pbdb.common.errors import ConfigError, ServerError

SESSION = {
    "search_path": "pbdb,core,public",
    "join_collapse_limit": "16",
    "from_collapse_limit": "16",
    "geqo_threshold": "20",
}

SENTENCES = (
    (
        "password authentication failed|no password supplied|authentication failed",
        "The server {place} refuses user '{user}' with this password: correct PBDB_DATABASE_URL.",
    ),
    (
        'database "[^"]*" does not exist',
        "The server {place} has no database '{dbname}': create it, or correct PBDB_DATABASE_URL.",
    ),
    (
        'role "(pbdb_[^"]*)" does not exist',
        "The server {place} has no role '{name}': create it with `pbdb db upgrade`.",
    ),
    (
        'role "([^"]*)" does not exist',
        "The server {place} has no user '{name}': create it, or name another in PBDB_DATABASE_URL.",
    ),
    ('permission denied to set role "([^"]*)"', "User '{user}' on the server {place} is no member of role '{name}'."),
    (
        "could not translate host name|not known|failed to resolve|Temporary failure in name resolution",
        "The host '{host}' of PBDB_DATABASE_URL is not known: correct its name.",
    ),
    (
        "Connection refused|timeout|timed out|No route|unreachable|No such file",
        "No PostgreSQL answers {place}: start it, or correct PBDB_DATABASE_URL.",
    ),
    (
        "too many (?:clients|connections)|connection slots",
        "The server {place} has no connection left: close other sessions, then try again.",
    ),
)


def external_parameters(address: str) -> dict[str, str]:
    """Connection parameters in a URL that starts with postgresql://, postgres:// or postgresql+psycopg://.

    Raises:
        ConfigError: it is no such URL. The text of the URL is not repeated: it may hold a password.
    """
    plain = re.sub(r"^postgres(ql)?(\+psycopg)?://", "postgresql://", address)
    try:
        if not plain.startswith("postgresql://"):
            raise ValueError
        parsed = conninfo_to_dict(plain)
    except (ValueError, psycopg.Error):
        raise ConfigError(
            "PBDB_DATABASE_URL is not the address of a PostgreSQL: "
            "write it as postgresql://user:password@host:5432/database, special characters as %XX."
        ) from None
    return {key: str(value) for key, value in parsed.items() if value is not None}


def open_connection(
    parameters: dict[str, str], application_name: str, role: str | None = None, autocommit: bool = False
) -> psycopg.Connection[tuple[Any, ...]]:
    """Connect with pbdb's session settings.

    Raises:
        ServerError: no connection can be had; the sentence says why, without the password.
    """
    settings = {"connect_timeout": "10"} | parameters
    settings |= {
        "application_name": application_name,
        "options": session_options(parameters, role),
        "client_encoding": "UTF8",
    }
    try:
        return psycopg.connect(make_conninfo("", **settings), autocommit=autocommit)
    except (psycopg.OperationalError, psycopg.ProgrammingError) as error:
        raise ServerError(_sentence(str(error), parameters)) from None


def session_options(parameters: dict[str, str], role: str | None) -> str:
    """The session's settings, sent with the login, so that RESET and RESET ROLE return to them."""
    wanted = SESSION | ({"role": role} if role else {})
    ours = ["-c " + re.sub(r"([ \\])", r"\\\1", f"{name}={value}") for name, value in wanted.items()]
    return " ".join([parameters.get("options", ""), *ours]).strip()


def _sentence(message: str, parameters: dict[str, str]) -> str:
    """Say what failed in one sentence; libpq's messages never hold the password."""
    words = {key: parameters.get(key, "(not given)") for key in ("user", "dbname", "host")}
    words["place"] = place(parameters)
    for pattern, sentence in SENTENCES:
        if match := re.search(pattern, message):
            return sentence.format(**words, name="".join(match.groups()))
    return f"The server {words['place']} cannot be used: {' '.join(message.split())}"


def place(parameters: dict[str, str]) -> str:
    """Where the server is, for a sentence."""
    return f"at {parameters.get('host', 'the default socket')}, port {parameters.get('port', '5432')}"


def url_of(parameters: dict[str, str]) -> str:
    """Write the parameters as a URL, password included if there is one."""
    login = quote(parameters.get("user", ""), safe="")
    if "password" in parameters:
        login += ":" + quote(parameters["password"], safe="")
    host, port = parameters.get("host", ""), parameters.get("port", "5432")
    if host.startswith("/"):
        return f"postgresql://{login}@/{parameters.get('dbname', '')}?host={quote(host, safe='/')}&port={port}"
    return f"postgresql://{login}@{host}:{port}/{parameters.get('dbname', '')}"
