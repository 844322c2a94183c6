"""Partitions of sample, effect and gene_effect: built beside the old one, then swapped.

A load works in four transactions:

1. `create_standalone`; commit, for CREATE TABLE LIKE keeps a lock on the parent that another swap would wait for.
2. `empty` (which makes FREEZE possible), COPY ... (FREEZE) into the table, `finish`: nobody waits.
3. `swap`, with whatever else replaces the dataset: short, in `locks.patiently`.
4. `analyze`: the parents' statistics, which autovacuum never refreshes.
"""

from __future__ import annotations

import re

from sqlalchemy import Connection, text

from pbdb.common.errors import DataError, SchemaError
from pbdb.database.models import PARTITIONS, SCHEMA
from pbdb.database.models.policies import OWNER, PARTITIONED, VALUE_COLUMNS

BOUND = "partition_bound"
LONGEST = 63


def create_standalone(connection: Connection, table: str, dataset: str, dataset_id: int, suffix: str) -> str:
    """Create an empty table like `core.<table>` for the rows of one dataset; return its name, schema included.

    It takes rows of this dataset only and has no index and no foreign key yet. `suffix` tells it from the partition
    in use: the fingerprint of the load, say (lower-case letters and digits).

    Raises:
        DataError: no name can be made of these parts.
    """
    name = _name(table, dataset, suffix)
    for statement in (
        f"CREATE TABLE {name} (LIKE {SCHEMA}.{table} INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING STORAGE"
        f" INCLUDING COMPRESSION INCLUDING CONSTRAINTS, CONSTRAINT {BOUND} CHECK (dataset_id = {int(dataset_id)}))",
        f"ALTER TABLE {name} OWNER TO {OWNER}",
        f"COMMENT ON TABLE {name} IS '{_purpose(table, dataset)}'",
        *(f"ALTER TABLE {name} ALTER COLUMN {column} SET STATISTICS 0" for column in VALUE_COLUMNS.get(table, ())),
    ):
        connection.exec_driver_sql(statement)
    return name


def empty(connection: Connection, name: str) -> None:
    """Empty a standalone table; COPY ... (FREEZE) is possible in the same transaction only."""
    connection.exec_driver_sql(f"TRUNCATE {name}")


def finish(connection: Connection, table: str, name: str) -> None:
    """Give a filled standalone table the indexes of its future parent, and statistics."""
    for definition in connection.execute(_INDEXES, {"parent": f"{SCHEMA}.{table}", "name": name}).scalars().all():
        connection.exec_driver_sql(definition)
    connection.exec_driver_sql(f"ANALYZE {name}")


def swap(connection: Connection, table: str, dataset_id: int, name: str) -> None:
    """Put a finished standalone table in the place of the dataset's partition, which is dropped.

    Needs an exclusive lock of `core.<table>`, and the rows its foreign keys point at.
    """
    drop_partition(connection, table, dataset_id)
    connection.exec_driver_sql(
        f"ALTER TABLE {SCHEMA}.{table} ATTACH PARTITION {name} FOR VALUES IN ({int(dataset_id)})"
    )
    connection.exec_driver_sql(f"ALTER TABLE {name} DROP CONSTRAINT {BOUND}")


def partition_of(connection: Connection, table: str, dataset_id: int) -> str | None:
    """Name of the dataset's partition, schema included, or None."""
    parameters = {"parent": f"{SCHEMA}.{table}", "bound": f"FOR VALUES IN ('{int(dataset_id)}')"}
    return connection.execute(_PARTITION, parameters).scalar_one_or_none()


def drop_partition(connection: Connection, table: str, dataset_id: int) -> None:
    """Drop the dataset's partition, if it has one."""
    if (old := partition_of(connection, table, dataset_id)) is not None:
        connection.exec_driver_sql(f"DROP TABLE {old}")


def drop_leftovers(connection: Connection, dataset: str) -> int:
    """Drop the standalone tables that a killed load of this dataset left behind; return how many.

    The caller holds the dataset's advisory lock, so nobody is filling them.
    """
    purposes = [_purpose(table, dataset) for table in PARTITIONED]
    names = connection.execute(_LEFTOVERS, {"schema": PARTITIONS, "purposes": purposes}).scalars().all()
    for name in names:
        connection.exec_driver_sql(f"DROP TABLE {name}")
    return len(names)


def analyze(connection: Connection, *tables: str) -> None:
    """Refresh the statistics of partitioned parents, all three by default."""
    for table in tables or PARTITIONED:
        connection.exec_driver_sql(f"ANALYZE {SCHEMA}.{table}")


def _purpose(table: str, dataset: str) -> str:
    return f"{table} of dataset {dataset}"


def _name(table: str, dataset: str, suffix: str) -> str:
    if table not in PARTITIONED:
        raise SchemaError(f"Table '{table}' has no partitions; only {', '.join(PARTITIONED)} have.")
    name = f"{table}_{dataset}_{suffix}"
    if not re.fullmatch(r"[a-z0-9_]+", name) or len(name) > LONGEST:
        raise DataError(
            f"'{name}' cannot name a table: give dataset '{dataset}' a shorter key of lower-case letters, digits and _."
        )
    return f"{PARTITIONS}.{name}"


# pg_get_indexdef of a partitioned index says ON ONLY core.<table>; a constraint's index must come with the constraint.
_INDEXES = text(r"""
    SELECT coalesce(
        'ALTER TABLE ' || CAST(:name AS text) || ' ADD ' || pg_get_constraintdef(c.oid),
        regexp_replace(pg_get_indexdef(i.indexrelid), '^CREATE (UNIQUE )?INDEX .*? ON ONLY \S+',
                       'CREATE \1INDEX ON ' || CAST(:name AS text)))
    FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u')
    WHERE i.indrelid = CAST(:parent AS regclass) ORDER BY c.contype, i.indexrelid
""")
_PARTITION = text("""
    SELECT format('%I.%I', n.nspname, c.relname)
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE i.inhparent = CAST(:parent AS regclass) AND pg_get_expr(c.relpartbound, c.oid) = :bound
""")
_LEFTOVERS = text("""
    SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = :schema AND c.relkind = 'r' AND NOT c.relispartition
      AND obj_description(c.oid, 'pg_class') = ANY (:purposes)
""")
