"""What pbdb.duckdb holds besides rows, compared with what this version makes: a file from others is data, no program.

The expected tables, views and macros are made in memory, over files without rows; nothing of the file in question is
run for it, and its views are not even bound.
"""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from pbdb.exports.snapshots import arrow_schemas, duckdb_file, effects_parquet
from pbdb.exports.snapshots.parquet import write

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

Catalog = frozenset[tuple[Any, ...]]


def differences(connection: duckdb.DuckDBPyConnection, paths: Iterable[str]) -> list[str]:
    """Names of tables, views and macros that are not those this version makes for a snapshot of these files."""
    tops = {path.partition("/")[0] for path in paths}
    wanted = expected(frozenset(tops & {effects_parquet.DEFAULT, effects_parquet.FURTHER}))
    return sorted({str(entry[1]) for entry in catalog_of(connection) ^ wanted})


@lru_cache(maxsize=4)
def expected(folders: frozenset[str]) -> Catalog:
    """Everything in pbdb.duckdb of a snapshot with effects in these folders, but rows."""
    with tempfile.TemporaryDirectory(prefix="pbdb-") as root:
        _write_empty(Path(root), folders)
        with duckdb_file.opened(Path(root, duckdb_file.NAME), read_only=False) as connection:
            for statement in duckdb_file.statements(Path(root)):
                connection.execute(statement)
            return catalog_of(connection)


def _write_empty(root: Path, folders: Iterable[str]) -> None:
    """Files of a snapshot without a row."""
    for table in arrow_schemas.tables():
        write(root, f"core/{table.name}.parquet", arrow_schemas.schema_of(table.name), [])
    write(root, duckdb_file.DICTIONARY, duckdb_file.OF_DICTIONARY, [])
    for folder in folders:
        place = root / folder / "dataset=none" / "context=none"
        place.mkdir(parents=True)
        pq.write_table(effects_parquet.SCHEMA.empty_table(), place / "0.parquet")


def catalog_of(connection: duckdb.DuckDBPyConnection) -> Catalog:
    """Kind, name and definition of everything that somebody made."""
    return frozenset(connection.execute(_CATALOG).fetchall())


_CATALOG = """
SELECT 'schema', schema_name, '' FROM duckdb_schemas() WHERE NOT internal AND database_name = current_database()
UNION ALL
SELECT 'table', schema_name || '.' || table_name, sql FROM duckdb_tables() WHERE NOT internal
UNION ALL
SELECT 'view', schema_name || '.' || view_name, sql FROM duckdb_views() WHERE NOT internal
UNION ALL
SELECT function_type, schema_name || '.' || function_name, concat_ws(' ', parameters, parameter_types, macro_definition)
FROM duckdb_functions() WHERE NOT internal
UNION ALL
SELECT 'type', schema_name || '.' || type_name, logical_type FROM duckdb_types()
WHERE NOT internal AND database_name = current_database()
UNION ALL
SELECT 'sequence', schema_name || '.' || sequence_name, sql FROM duckdb_sequences()
UNION ALL
SELECT 'index', schema_name || '.' || index_name, sql FROM duckdb_indexes()"""
