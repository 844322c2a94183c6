"""The quick look whether a database is of this version says yes only where the thorough one does."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sqlalchemy import Engine

from pbdb.common.settings import Settings
from pbdb.database import at_head, schema
from pbdb.query import database as query
from pbdb.server import connect

HEAVY = ("sqlalchemy", "alembic", "numpy", "pandas")


def _is_at_head(settings: Settings) -> bool:
    with connect.connect(settings) as connection:
        return at_head.is_at_head(connection)


def test_the_newest_file_is_the_head() -> None:
    assert at_head.newest_revision() == schema.head()


def test_a_database_without_schema_is_not(empty_database: Settings) -> None:
    assert not _is_at_head(empty_database)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE core.alembic_version SET version_num = '0001'",
        "COMMENT ON SCHEMA pbdb IS 'other views'",
        "DROP VIEW pbdb.compendium",
        "DROP FUNCTION pbdb.find_compound",
        "ALTER VIEW pbdb.compendium OWNER TO pbdb_reader",
    ],
)
def test_what_is_not_of_this_version_is_seen(database: Settings, engine: Engine, change: str) -> None:
    assert _is_at_head(database)
    query.ready(database)
    with engine.begin() as connection:
        connection.exec_driver_sql(change)
    assert not _is_at_head(database)


def test_a_query_needs_no_large_library(database: Settings) -> None:
    code = f"""
import sys
from pathlib import PosixPath
from pbdb.common.settings import Settings
from pbdb.query import database
with database.connect(Settings(**{vars(database)!r})).rows("SELECT 1 AS n") as (columns, rows):
    print(columns, list(rows), [name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['n'] [(1,)] []\n"
