"""pbdb.duckdb: the small tables of a snapshot inside, effects by relative path, and the views of the database.

A view is that of PostgreSQL, from sql/, read by DuckDB as it stands; what PostgreSQL writes in its own way has a file
of the same name in sql/duckdb/.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pgvector.sqlalchemy import VECTOR
from sqlalchemy.dialects.postgresql import BIT, JSONB

from pbdb.common.errors import SnapshotError, first_line
from pbdb.common.sql_text import literal, quoted
from pbdb.database import views
from pbdb.database.dictionary import Entry
from pbdb.exports.snapshots import arrow_schemas, effects_parquet
from pbdb.exports.snapshots.manifest_shape import FileFacts

if TYPE_CHECKING:
    import duckdb

NAME = "pbdb.duckdb"
DICTIONARY = "dictionary.parquet"
MANIFEST_TABLE = "snapshot_file"
# DuckDB looks for files from where it was started, and its error where there are none shows the pattern: so the pattern
# says what helps. In brackets are signs of which any one may stand there; only the first one does.
LOOK_HERE = "[{}: first say SET file_search_path = 'the folder of this pbdb.duckdb'; and ask again]{}"
PATTERNS = {name: LOOK_HERE.format(name[0], name[1:]) for name in ("effect", "further_effect")}
# Folders of a snapshot as its SQL names them, relative to file_search_path; `**` is for snapshot_damage.
PLACES = ("core", "view", *PATTERNS, "effect_long", *PATTERNS.values(), "**")
Limits = dict[str, str | bool | int | float | list[str]]
NO_EXTENSIONS: Limits = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}
OF_DICTIONARY = pa.schema([(name, pa.string()) for name in Entry._fields])
CASTS = {JSONB: "JSON", BIT: "BIT", VECTOR: "FLOAT[]"}
# Views of schema core are those of the partitions, which are tables in DuckDB.
OF_VIEWS = re.compile(r"^CREATE VIEW pbdb\..*?;$", re.M | re.S)


def connect(path: Path, *, read_only: bool = True, limits: Limits | None = None) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file so that relative paths are those of its folder, and no others can be read.

    Whatever the file holds and whatever is asked of it: it reaches no file elsewhere, no network and no extension,
    and nothing in it or sent to it can change that. limits: DuckDB's settings of memory and threads.

    Raises:
        SnapshotError: it is not there, no DuckDB file, or damaged.
    """
    import duckdb

    require_plain(path)
    try:
        connection = duckdb.connect(path, read_only=read_only, config=NO_EXTENSIONS | (limits or {}))
    except duckdb.Error as problem:
        if read_only:
            raise _unreadable(path, problem) from None
        raise SnapshotError(
            f"'{path}' cannot be written ({first_line(problem)}): see that its folder may be written to.",
            file=str(path),
        ) from None
    # Connections of one process to one file share its settings, which the first has locked.
    if not connection.execute("SELECT current_setting('lock_configuration')").fetchall()[0][0]:
        _confine(connection, path.parent.absolute())
    return connection


def _confine(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    for setting in (
        f"file_search_path = {literal(str(folder))}",
        "TimeZone = 'UTC'",
        "parquet_metadata_cache = true",  # else each question reads the ends of all files anew: half of its time
        f"allowed_directories = [{', '.join(map(literal, (str(folder), *PLACES)))}]",
        f"allowed_paths = [{literal(DICTIONARY)}]",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        # For cursors of the connection too, which have sessions of their own.
        connection.execute(f"SET GLOBAL {setting}")


def require_plain(path: Path) -> None:
    """Refuse a folder whose name DuckDB would take for two, and changes beside the file that nobody of us left there.

    Raises:
        SnapshotError: there is a comma in the name, or a write-ahead log.
    """
    log = path.with_name(path.name + ".wal")
    if log.exists():
        raise SnapshotError(
            f"'{log}' would change '{path.name}' when it is read: remove it, it is no part of a snapshot."
        )
    if "," in str(path.parent.absolute()):
        raise SnapshotError(f"DuckDB takes the comma in '{path.parent}' for the end of a name: use another folder.")


@contextmanager
def opened(path: Path, *, read_only: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB file as `connect` does, for as long as the block runs.

    Raises:
        SnapshotError: also where damage shows only while the file is read.
    """
    import duckdb

    with connect(path, read_only=read_only) as connection:
        try:
            yield connection
        except (duckdb.IOException, duckdb.SerializationException, duckdb.FatalException) as problem:
            if read_only:
                raise _unreadable(path, problem) from None
            raise


def _unreadable(path: Path, problem: Exception) -> SnapshotError:
    return SnapshotError(
        f"'{path}' cannot be read ({first_line(problem)}): make it anew with `pbdb snapshot reindex`.", file=str(path)
    )


def build(root: Path, files: Sequence[FileFacts] = (), expected: str | None = None) -> None:
    """Make pbdb.duckdb from the Parquet files of a snapshot; files: the list it is to remember.

    Raises:
        SnapshotError: what came out has not the expected schema; the old file stays.
    """
    part = root / (NAME + ".part")
    _remove(part)
    try:
        made = _fill(part)
        if expected not in (None, made):
            raise SnapshotError(
                f"This version of pbdb makes another {NAME} than the one of '{root}': export the snapshot anew, or use"
                " the pbdb that made it."
            )
        remember(part, files)
        os.replace(part, root / NAME)
    finally:
        _remove(part)


def _remove(part: Path) -> None:
    """Remove a file in the making, and what DuckDB keeps beside it."""
    for path in part.parent.glob(part.name + "*"):
        path.unlink()


def _fill(part: Path) -> str:
    """Make everything in pbdb.duckdb but the list of files; return the hash of its schema."""
    with opened(part, read_only=False) as connection:
        connection.begin()
        for statement in statements(part.parent):
            connection.execute(statement)
        for statement in _comments(connection):
            connection.execute(statement)
        connection.commit()
        return schema_hash(connection)


def remember(path: Path, files: Sequence[FileFacts]) -> None:
    """Put the list of Parquet files into pbdb.duckdb, so that it can verify them by itself."""
    rows = to_remember(files)
    with opened(path, read_only=False) as connection:
        connection.begin()
        connection.execute(f"DELETE FROM {MANIFEST_TABLE}")
        if rows:
            connection.executemany(f"INSERT INTO {MANIFEST_TABLE} VALUES (?, ?, ?, ?, ?)", rows)
        connection.commit()


def to_remember(files: Sequence[FileFacts]) -> list[tuple[Any, ...]]:
    """The rows of Parquet files in pbdb.duckdb's own list, by path."""
    names = ("path", "bytes", "sha256", "rows", "schema")
    rows = (dict(file) for file in files if file["path"].endswith(".parquet"))
    return sorted(tuple(row.get(name) for name in names) for row in rows)


def remembered(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    """The rows of that list."""
    return connection.execute(f"FROM {MANIFEST_TABLE} ORDER BY path").fetchall()


def statements(root: Path) -> Iterator[str]:
    """SQL that makes everything in pbdb.duckdb but its comments."""
    yield "CREATE SCHEMA core"
    for table in arrow_schemas.tables():
        casts = ", ".join(_cast(column.name, column.type) for column in table.columns)
        yield f"CREATE TABLE core.{table.name} AS SELECT {casts} FROM read_parquet('core/{table.name}.parquet')"
    words = ", ".join(quoted(name) for name in OF_DICTIONARY.names)
    yield f"CREATE TABLE core.dictionary AS SELECT {words} FROM read_parquet('{DICTIONARY}')"
    yield f"CREATE TABLE {MANIFEST_TABLE} (path VARCHAR, bytes BIGINT, sha256 VARCHAR, rows BIGINT, schema VARCHAR)"
    yield DAMAGE
    yield FEATURE_SET_GENE
    yield FEATURE_SET_GENES
    there = {
        name: any(root.glob(f"{name}/*/*/*.parquet")) for name in (effects_parquet.DEFAULT, effects_parquet.FURTHER)
    }
    parts = [name for name, is_there in there.items() if is_there]
    yield _effects("default_effect", [name for name in parts if name == effects_parquet.DEFAULT])
    yield _effects("effect", parts)
    yield from view_statements()


def view_statements() -> Iterator[str]:
    """SQL of views and macros, in the order in which they use each other."""
    for file in views.files():
        duckdbs = file.parent / "duckdb" / file.name
        text = duckdbs.read_text(encoding="utf-8") if duckdbs.is_file() else file.read_text(encoding="utf-8")
        if duckdbs.is_file():
            yield text
        else:
            yield from map(_translated, OF_VIEWS.findall(text))


def _translated(view: str) -> str:
    return view.replace(" WITH (security_invoker = true)", "").replace("pbdb.", "")


def _cast(name: str, kind: object) -> str:
    wanted = next((name for model, name in CASTS.items() if isinstance(kind, model)), None)
    return f'"{name}"::{wanted} AS "{name}"' if wanted else f'"{name}"'


def _effects(name: str, folders: Sequence[str]) -> str:
    """A view over files that stay where they are; an empty table where there is none."""
    if not folders:
        fields = ", ".join(f"NULL::{_type(field.type)} AS {field.name}" for field in effects_parquet.SCHEMA)
        none = f"SELECT {fields}, NULL::VARCHAR AS dataset, NULL::VARCHAR AS context WHERE false"
        return f"CREATE VIEW core.{name} AS {none}"
    globs = ", ".join(literal(f"{PATTERNS[folder]}/*/*/*.parquet") for folder in folders)
    hive = "hive_partitioning = true, hive_types = {'dataset': VARCHAR, 'context': VARCHAR}"
    return f"CREATE VIEW core.{name} AS SELECT * FROM read_parquet([{globs}], {hive})"


def _type(kind: Any) -> str:
    simple = {"int64": "BIGINT", "int32": "INTEGER", "double": "DOUBLE", "string": "VARCHAR"}
    return simple.get(str(kind), "FLOAT[]")


def _comments(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """What the catalog of PostgreSQL says of tables and views, said again."""
    there = {
        (schema, table): kind
        for schema, table, kind in connection.execute(
            "SELECT table_schema, table_name, CASE table_type WHEN 'VIEW' THEN 'VIEW' ELSE 'TABLE' END"
            " FROM information_schema.tables"
        ).fetchall()
    }
    columns_there = set(
        connection.execute("SELECT table_schema, table_name, column_name FROM information_schema.columns").fetchall()
    )
    rows = connection.execute('SELECT kind, schema, object, "column", type, comment FROM core.dictionary').fetchall()
    for entry in (Entry(*row) for row in rows):
        schema = "main" if entry.kind == "view" else entry.schema
        place = (schema, entry.object)
        if place not in there or not entry.comment:
            continue
        if entry.column is None:
            yield f"COMMENT ON {there[place]} {quoted(schema, entry.object)} IS {literal(entry.comment)}"
        elif (*place, entry.column) in columns_there:
            named = quoted(schema, entry.object, entry.column)
            yield f"COMMENT ON COLUMN {named} IS {literal(entry.comment)}"


def schema_hash(connection: duckdb.DuckDBPyConnection) -> str:
    """SHA-256 over the columns of all tables and views, and the names of the macros."""
    rows = connection.execute(
        "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal"
        " UNION ALL SELECT schema_name, function_name, '', '' FROM duckdb_functions() WHERE NOT internal ORDER BY ALL"
    ).fetchall()
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def row_counts(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Rows of the tables stored inside."""
    names = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal ORDER BY ALL"
    ).fetchall()
    return {f"{schema}.{table}": _count(connection, quoted(schema, table)) for schema, table in names}


def _count(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {name}").fetchone()
    return int(row[0]) if row else 0


FEATURE_SET_GENE = """
CREATE TABLE core.feature_set_gene AS
SELECT u.feature_set_id, u.place, u.gene_key, g.gene_id, g.symbol AS gene_symbol
FROM (
    SELECT feature_set_id, unnest(gene_keys) AS gene_key, generate_subscripts(gene_keys, 1) AS place
    FROM core.feature_set
) u
JOIN core.gene g ON g.gene_key = u.gene_key
ORDER BY u.feature_set_id, u.place"""
FEATURE_SET_GENES = """
CREATE TABLE core.feature_set_genes AS
SELECT feature_set_id, list(gene_id ORDER BY place) AS gene_ids, list(gene_symbol ORDER BY place) AS gene_symbols
FROM core.feature_set_gene
GROUP BY feature_set_id
ORDER BY feature_set_id"""
DAMAGE = f"""
CREATE VIEW snapshot_damage AS
SELECT f.path, CASE WHEN b.sha256 IS NULL THEN 'missing' ELSE 'changed' END AS problem
FROM {MANIFEST_TABLE} f
LEFT JOIN (SELECT filename, sha256(content) AS sha256 FROM read_blob('**/*.parquet')) b
    ON ends_with(b.filename, '/' || f.path) OR b.filename = f.path
WHERE b.sha256 IS DISTINCT FROM f.sha256"""
