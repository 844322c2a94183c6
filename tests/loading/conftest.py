"""A simulated release and databases for the tests of loading."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from loads import loaded, release, settings, truth, with_driad, with_genes  # noqa: F401
from sqlalchemy import Connection

from pbdb import server
from pbdb.config import Settings


@pytest.fixture
def scratch(database_server: Settings, template: str) -> Iterator[Connection]:
    """A connection for temporary tables, in a transaction that is rolled back."""
    with server.engine(database_server, database=template).connect() as opened, opened.begin() as transaction:
        yield opened
        transaction.rollback()
