"""Databases for tests: made empty, or copied from a template that was migrated once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from psycopg import sql
from sqlalchemy import URL
from support import running_server, throwaway_home

from pbdb.common.settings import Settings
from pbdb.database import roles, schema
from pbdb.server import connect

TEMPLATE = "pbdb_template"
_numbers = count()


@contextmanager
def server_for_tests() -> Iterator[Settings]:
    """The server the database tests use: PBDB_TEST_DATABASE_URL, or an embedded one of their own."""
    with throwaway_home() as home:
        url = os.environ.get("PBDB_TEST_DATABASE_URL")
        if url:
            yield Settings(home=home, database_url=url)
        else:
            with running_server(home) as settings:
                yield settings


@contextmanager
def new_database(on: Settings, home: Path, template: str | None = None) -> Iterator[Settings]:
    """A database of its own on a running server, dropped in the end; yields settings that lead to it."""
    name = f"pbdb_test_{os.getpid()}_{next(_numbers)}"
    _make(on, name, template)
    try:
        yield Settings(home=home, database_url=_url(on, name), workers=1, read_as_superuser=True)
    finally:
        _drop(on, name)


@contextmanager
def migrated_template(on: Settings) -> Iterator[str]:
    """A database at head, to be copied; yields its name."""
    name = f"{TEMPLATE}_{os.getpid()}_{next(_numbers)}"
    _make(on, name)
    try:
        schema.upgrade(connect.engine(Settings(home=on.home, database_url=_url(on, name))))
        yield name
    finally:
        _drop(on, name)


def _url(on: Settings, database: str) -> str:
    parameters = connect.ensure_running(on).parameters | {"dbname": database}
    return URL.create("postgresql", query=parameters).render_as_string(hide_password=False)


def _make(on: Settings, name: str, template: str | None = None) -> None:
    # By files: a third of the time where nothing waits for the disk.
    command = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
    with connect.connect(on, autocommit=True) as connection:
        connection.execute(command.format(sql.Identifier(name), sql.Identifier(template or "template0")))
    if template:
        settings = Settings(home=on.home, database_url=_url(on, name))
        with connect.engine(settings).begin() as connection:
            roles.settle(connection)


def _drop(on: Settings, name: str) -> None:
    with connect.connect(on, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
