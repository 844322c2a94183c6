"""A database of the test's own."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from pbdb.common.settings import Settings
from pbdb.server import connect


@pytest.fixture
def engine(database: Settings) -> Engine:
    """To a database at head of the test's own."""
    return connect.engine(database)
