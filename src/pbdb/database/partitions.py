"""Partitions of sample, effect and gene_effect: each load fills new ones, of a new generation of its dataset.

A load works in these transactions, none of which makes a reader wait:

1. `create_standalone`, by itself, so that no file is lost with a transaction that dies.
2. `empty` (which makes FREEZE possible), COPY ... (FREEZE) into the table, `finish`.
3. `attach`: partitions of a generation that is not current yet. Statements planned before do not read them; `settle`
   waits for those on their way.
4. `make_current`, with whatever else replaces the dataset: from then on new snapshots see the new generation, and only
   it; older ones the one before, whose partitions stay until no transaction can read them (module `tidy`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from sqlalchemy import Connection, Engine, text

from pbdb.common.errors import DataError, SchemaError
from pbdb.database.models import PARTITIONS, SCHEMA, Base
from pbdb.database.models.policies import PARTITIONED, VALUE_COLUMNS
from pbdb.server.connect import OWNER

BOUND = "partition_bound"
FILLING = "_new"  # ending of a table that is no partition yet; a backup leaves such tables out
PLANNING_SECONDS = 2.0


def new_generation(connection: Connection) -> int:
    """Take a number for a generation; nobody sees it until `attach`."""
    return int(connection.execute(_NEXT).scalar_one())


def lock_name(generation: int) -> str:
    """Name of the lock that is held while a generation is made: what bears a free number was left behind."""
    return f"generation {generation}"


def create_standalone(connection: Connection, table: str, dataset_id: int, generation: int) -> str:
    """Create an empty table like `part.<table>` for a generation of a dataset; return its name, schema included.

    It takes rows of this dataset only, gives them its generation, and has no index yet.
    """
    if table not in PARTITIONED:
        raise SchemaError(f"Table '{table}' has no partitions; only {', '.join(PARTITIONED)} have.")
    name = f"{partition(table, generation)}{FILLING}"
    for statement in (
        f"CREATE TABLE {name} (LIKE {PARTITIONS}.{table} INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING STORAGE"
        f" INCLUDING COMPRESSION INCLUDING CONSTRAINTS, CONSTRAINT {BOUND}"
        f" CHECK (dataset_id = {int(dataset_id)} AND generation = {int(generation)}))",
        f"ALTER TABLE {name} ALTER COLUMN generation SET DEFAULT {int(generation)}",
        f"ALTER TABLE {name} OWNER TO {OWNER}",
        f"COMMENT ON TABLE {name} IS '{table} of generation {int(generation)}'",
        *(f"ALTER TABLE {name} ALTER COLUMN {column} SET STATISTICS 0" for column in VALUE_COLUMNS.get(table, ())),
    ):
        connection.exec_driver_sql(statement)
    return name


def empty(connection: Connection, name: str) -> None:
    """Empty a standalone table; COPY ... (FREEZE) is possible in the same transaction only."""
    connection.exec_driver_sql(f"TRUNCATE {name}")


def finish(connection: Connection, table: str, name: str) -> None:
    """Give a filled standalone table the indexes of its future parent, and statistics."""
    parameters = {"parent": f"{PARTITIONS}.{table}", "name": name}
    for definition in connection.execute(_INDEXES, parameters).scalars().all():
        connection.exec_driver_sql(definition)
    connection.exec_driver_sql(f"ANALYZE {name}")


def attach(connection: Connection, dataset_id: int, generation: int, names: Mapping[str, str]) -> None:
    """Make finished standalone tables (names, by table) the partitions of a generation that is not current yet.

    Readers of the parents go on; only another change of partitions is waited for.
    """
    for table, name in names.items():
        connection.exec_driver_sql(f"ALTER TABLE {name} RENAME TO {table}_{int(generation)}")
        made = partition(table, generation)
        connection.exec_driver_sql(
            f"ALTER TABLE {PARTITIONS}.{table} ATTACH PARTITION {made} FOR VALUES"
            f" FROM ({int(dataset_id)}, {int(generation)}) TO ({int(dataset_id)}, {int(generation) + 1})"
        )
        connection.exec_driver_sql(f"ALTER TABLE {made} DROP CONSTRAINT {BOUND}")
    connection.execute(_ADD, {"dataset_id": dataset_id, "generation": generation})


def settle(engine: Engine) -> None:
    """Wait, two seconds at most, for statements that were planned before partitions were attached.

    Those that run longer have their snapshot already. One that is later still ends with a serialisation failure (see
    sql/002_current_generations.sql): never with less than a generation's rows.
    """
    end = time.monotonic() + PLANNING_SECONDS
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        on_their_way = set(connection.execute(_READING).scalars())
        while on_their_way and time.monotonic() < end:
            time.sleep(0.01)
            on_their_way &= set(connection.execute(_READING).scalars())


def make_current(connection: Connection, dataset_id: int, generation: int) -> None:
    """Show a generation in the place of the dataset's current one, to every snapshot taken after the commit."""
    retire(connection, dataset_id)
    connection.execute(_SHOW, {"generation": generation})


def retire(connection: Connection, dataset_id: int) -> None:
    """Show no generation of a dataset any more."""
    connection.execute(_RETIRE, {"dataset_id": dataset_id})


def refuse_orphans(connection: Connection, dataset_id: int, generation: int) -> None:
    """Make sure that what the rows of a generation name is there: no foreign key does.

    Raises:
        DataError: a row names something that is not there.
    """
    for table in PARTITIONED:
        for key in sorted(Base.metadata.tables[f"{SCHEMA}.{table}"].foreign_keys, key=lambda key: key.parent.name):
            orphan = (
                f"SELECT count(*) FROM {PARTITIONS}.{table} c"
                f" WHERE c.dataset_id = :dataset_id AND c.generation = :generation AND c.{key.parent.name} IS NOT NULL"
                f" AND NOT EXISTS (SELECT FROM {key.column.table} p WHERE p.{key.column.name} = c.{key.parent.name})"
            )
            parameters = {"dataset_id": dataset_id, "generation": generation}
            if n := connection.execute(text(orphan), parameters).scalar_one():
                raise DataError(
                    f"{n} rows of {table} name a {key.parent.name} that {key.column.table} does not have: the data are"
                    " damaged."
                )


def current(connection: Connection, dataset_id: int) -> int | None:
    """The generation of a dataset that readers see, or None."""
    return connection.execute(_CURRENT, {"dataset_id": dataset_id}).scalar_one_or_none()


def partition(table: str, generation: int) -> str:
    """Name of a partition, schema included."""
    return f"{PARTITIONS}.{table}_{int(generation)}"


def analyze(connection: Connection) -> None:
    """Refresh the statistics of the partitioned parents, which autovacuum never does."""
    for table in PARTITIONED:
        connection.exec_driver_sql(f"ANALYZE {PARTITIONS}.{table}")


_NEXT = text(f"SELECT nextval(pg_get_serial_sequence('{SCHEMA}.generation', 'generation'))")
_ADD = text(f"INSERT INTO {SCHEMA}.generation (generation, dataset_id) VALUES (:generation, :dataset_id)")
_SHOW = text(f"UPDATE {SCHEMA}.generation SET is_current = true WHERE generation = :generation")
_RETIRE = text(
    f"UPDATE {SCHEMA}.generation SET is_current = false, replaced_at = clock_timestamp()"
    " WHERE dataset_id = :dataset_id AND is_current"
)
_CURRENT = text(f"SELECT generation FROM {SCHEMA}.generation WHERE dataset_id = :dataset_id AND is_current")
# pg_get_indexdef of a partitioned index says ON ONLY part.<table>; a constraint's index must come with the constraint.
_INDEXES = text(r"""
    SELECT coalesce(
        'ALTER TABLE ' || CAST(:name AS text) || ' ADD ' || pg_get_constraintdef(c.oid),
        regexp_replace(pg_get_indexdef(i.indexrelid), '^CREATE (UNIQUE )?INDEX .*? ON ONLY \S+',
                       'CREATE \1INDEX ON ' || CAST(:name AS text)))
    FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u')
    WHERE i.indrelid = CAST(:parent AS regclass) ORDER BY c.contype, i.indexrelid
""")
# Others that hold a lock of a parent and are busy: their state is hidden from a login that may not see it.
_READING = text(f"""
    SELECT DISTINCT l.virtualtransaction
    FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid()
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND l.relation IN ({", ".join(f"'{PARTITIONS}.{table}'::regclass" for table in PARTITIONED)})
      AND coalesce(a.state, 'active') = 'active'
""")
