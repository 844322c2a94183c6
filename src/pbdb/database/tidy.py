"""What loads leave behind in the database: partitions of replaced generations, and what killed loads were making.

A partition goes when no transaction is left that began before its generation was replaced. Nothing here waits for a
reader, and no reader for more than 50 ms; what cannot go now goes next time.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from pbdb.database import partitions
from pbdb.database.models import PARTITIONS, SCHEMA
from pbdb.database.models.policies import PARTITIONED
from pbdb.server import locks

PATIENCE = "50ms"
LOCK = locks.key_of("pbdb tidy")  # a backup holds it, shared: it must find the tables it has listed


@dataclass(frozen=True)
class Tidied:
    """Partitions and half-filled tables that went, and those that must wait for a reader or a load."""

    dropped: tuple[str, ...]
    waiting: tuple[str, ...]


def tidy(engine: Engine) -> Tidied:
    """Drop the tables that nobody can read any more."""
    dropped: list[str] = []
    waiting: list[str] = []
    with engine.begin() as connection:
        connection.execute(_NOTE)
    with engine.connect() as connection:
        unneeded = connection.execute(_UNNEEDED).all()
    for generation, name in unneeded:
        is_gone = _drop(engine, int(generation), str(name))
        (dropped if is_gone else waiting).append(str(name))
    with engine.begin() as connection:
        connection.execute(_FORGET)
    return Tidied(tuple(dropped), tuple(waiting))


def _drop(engine: Engine, generation: int, name: str) -> bool:
    """Drop one table in a transaction of its own, unless a load makes it, a backup runs or a reader needs it."""
    try:
        with engine.begin() as connection:
            is_mine = _try(connection, locks.key_of(partitions.lock_name(generation))) and _try(connection, LOCK)
            # Asked under the lock: a load may have made the generation the current one meanwhile.
            if not is_mine or connection.execute(_NEEDED, {"generation": generation}).scalar_one():
                return False
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}'")
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
    except OperationalError as error:
        if isinstance(error.orig, locks.BUSY):
            return False
        raise
    return True


def _try(connection: Connection, key: int) -> bool:
    return bool(connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": key}).scalar_one())


# A virtual transaction id is unique as long as the server runs. Who is connected to another database reads nothing
# here, nor does the server's own maintenance, which has no user.
_RUNNING = """
    SELECT extract(epoch FROM pg_postmaster_start_time()) || ' ' || l.virtualtransaction
    FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'virtualxid' AND l.pid <> pg_backend_pid()
      AND a.datname = current_database() AND a.usesysid IS NOT NULL"""
_NOTE = text(
    f"UPDATE {SCHEMA}.generation SET seen_by = ARRAY({_RUNNING}) WHERE replaced_at IS NOT NULL AND seen_by IS NULL"
)
# By the number in their names: all partitions and half-filled tables that are not of a current generation.
_UNNEEDED = text(rf"""
    WITH tables AS (
        SELECT format('%I.%I', n.nspname, c.relname) AS name,
               CAST((regexp_match(c.relname, '^({"|".join(PARTITIONED)})_(\d+)({partitions.FILLING})?$'))[2] AS bigint)
                   AS generation
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = '{PARTITIONS}' AND c.relkind = 'r'
    )
    SELECT t.generation, t.name FROM tables t LEFT JOIN {SCHEMA}.generation g USING (generation)
    WHERE t.generation IS NOT NULL AND g.is_current IS NOT TRUE ORDER BY 1, 2
""")
_NEEDED = text(f"""
    SELECT EXISTS (SELECT FROM {SCHEMA}.generation g WHERE g.generation = :generation AND (
        g.is_current OR g.replaced_at IS NOT NULL AND (g.seen_by && ARRAY({_RUNNING})) IS NOT FALSE))
""")
_FORGET = text(rf"""
    DELETE FROM {SCHEMA}.generation g WHERE NOT g.is_current AND NOT EXISTS (
        SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = '{PARTITIONS}' AND c.relkind = 'r' AND c.relname ~ ('_' || g.generation || '$'))
""")
