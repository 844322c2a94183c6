"""Connections for the tests of the schema."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers import child, embedded, external, home, settings  # noqa: F401
from sqlalchemy import Connection, Engine

from pbdb.common.settings import Settings
from pbdb.server import connect


@pytest.fixture
def engine(database: Settings) -> Engine:
    """To a database at head of the test's own."""
    return connect.engine(database)


@pytest.fixture
def empty_engine(empty_database: Settings) -> Engine:
    """To an empty database of the test's own."""
    return connect.engine(empty_database)


@pytest.fixture(scope="session")
def shared_engine(database_server: Settings, template: str) -> Engine:
    """To the template; tests must not commit, nor leave a session open."""
    return connect.engine(database_server, database=template)


@pytest.fixture
def connection(shared_engine: Engine) -> Iterator[Connection]:
    """In a transaction that is rolled back."""
    with shared_engine.connect() as opened, opened.begin() as transaction:
        yield opened
        transaction.rollback()


@pytest.fixture
def scratch(database_server: Settings, template: str) -> Iterator[Connection]:
    """A connection for temporary tables, in a transaction that is rolled back."""
    with connect.engine(database_server, database=template).connect() as opened, opened.begin() as transaction:
        yield opened
        transaction.rollback()
