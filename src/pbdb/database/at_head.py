"""Whether a database is of this version, in one statement and without SQLAlchemy, Alembic and the models.

To import those takes three times as long as all the rest of `pbdb sql "SELECT 1"`; what is wrong, if anything is,
`schema.require_head` finds out.
"""

from __future__ import annotations

from typing import Any

import psycopg

from pbdb.common import packaged_files
from pbdb.database import view_files


def is_at_head(connection: psycopg.Connection[tuple[Any, ...]]) -> bool:
    """Whether tables and views are those of this version; False also where that cannot be told so simply."""
    names = sorted(view_files.made())
    try:
        row = connection.execute(_STATE, {"names": names, "views": view_files.VIEWS}).fetchone()
    except psycopg.Error:
        connection.rollback()
        return False
    return row == (newest_revision(), view_files.COMMENT + view_files.fingerprint(), 0)


def newest_revision() -> str:
    """The newest revision of migrations/, whose files begin with their numbers."""
    revisions = (packaged_files.folder("migrations") / "versions").glob("[0-9]*.py")
    return max(path.name.split("_")[0] for path in revisions)


# The names that nothing of pbdb_owner's has, counted.
_STATE = """
SELECT
    (SELECT version_num FROM core.alembic_version),
    (SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %(views)s),
    (
        SELECT count(*) FROM unnest(%(names)s::text[]) n
        WHERE NOT EXISTS (
            SELECT FROM pg_class c
            WHERE c.oid = to_regclass(n) AND c.relkind = 'v' AND pg_get_userbyid(c.relowner) = 'pbdb_owner'
        ) AND NOT EXISTS (
            SELECT FROM pg_proc p JOIN pg_namespace s ON s.oid = p.pronamespace
            WHERE s.nspname || '.' || p.proname = n AND pg_get_userbyid(p.proowner) = 'pbdb_owner'
        )
    )"""
