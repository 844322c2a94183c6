"""COPY of data frames into tables in PostgreSQL's text format, and upserts by key."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

import pandas as pd
from sqlalchemy import Connection

from pbdb.database.models import Base

ROWS_PER_BLOCK = 100_000
NULL = r"\N"
# The text format tells apart what CSV cannot: a backslash is doubled, so no text reads as null or as the end.
ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def cursor(connection: Connection) -> Any:
    """The psycopg cursor behind a SQLAlchemy connection, in the same transaction."""
    return connection.connection.cursor()


def copy_frame(connection: Connection, table: str, frame: pd.DataFrame, options: str = "") -> None:
    """Append the rows of a frame to a table (schema included); missing values are null, lists arrays, dicts JSON."""
    columns = ", ".join(f'"{name}"' for name in frame.columns)
    command = f"COPY {table} ({columns}) FROM STDIN" + (f" ({options})" if options else "")
    with cursor(connection) as open_cursor, open_cursor.copy(command) as copy:
        for start in range(0, len(frame), ROWS_PER_BLOCK):
            copy.write(_lines(frame.iloc[start : start + ROWS_PER_BLOCK]))


def as_json(value: Any) -> str:
    """Write a value as JSON that PostgreSQL takes: numbers that JSON lacks, and whatever else it lacks, as text."""
    try:
        return json.dumps(value, default=str, allow_nan=False)
    except ValueError:
        return json.dumps(json.loads(json.dumps(value, default=str), parse_constant=str))


def _lines(frame: pd.DataFrame) -> str:
    written = frame.copy()
    for name in written.columns[[kind.kind == "O" for kind in written.dtypes]]:
        # Not by map: it makes whole numbers beside missing ones floats, which PostgreSQL takes for no integers.
        written[name] = pd.Series([_cell(value) for value in written[name]], index=written.index, dtype=object)
    text = io.StringIO()
    written.to_csv(text, sep="\t", index=False, header=False, na_rep=NULL, quoting=csv.QUOTE_NONE, lineterminator="\n")
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        value = as_json(value)
    elif isinstance(value, list):
        value = "{" + ",".join(map(_element, value)) + "}"
    return value.translate(ESCAPES) if isinstance(value, str) else value


def _element(item: Any) -> str:
    if isinstance(item, str):
        return '"' + item.replace("\\", r"\\").replace('"', r"\"") + '"'
    return "NULL" if item is None else str(item)


def upsert(connection: Connection, table: str, frame: pd.DataFrame, *, keep: Iterable[str] = ()) -> None:
    """Insert the rows of a frame into core.<table>, or bring the rows with their primary key up to date.

    keep: columns whose old value stays where the new one is null.
    """
    if frame.empty:
        return
    key = [column.name for column in Base.metadata.tables[f"core.{table}"].primary_key]
    others = [name for name in frame.columns if name not in key]
    held = set(keep)
    new = {name: f"coalesce(excluded.{name}, old.{name})" if name in held else f"excluded.{name}" for name in others}
    changes = ", ".join(f"{name} = {value}" for name, value in new.items())
    same = ", ".join(f"old.{name}" for name in others), ", ".join(new.values())
    action = f"UPDATE SET {changes} WHERE ({same[0]}) IS DISTINCT FROM ({same[1]})" if others else "NOTHING"
    columns = ", ".join(frame.columns)
    _stage(connection, table, frame)
    with cursor(connection) as open_cursor:
        open_cursor.execute(
            f"INSERT INTO core.{table} AS old ({columns}) SELECT {columns} FROM pg_temp.incoming "
            f"ON CONFLICT ({', '.join(key)}) DO {action}"
        )


def insert_new(connection: Connection, table: str, frame: pd.DataFrame) -> None:
    """Insert the rows of a frame into core.<table> that are not there yet."""
    if frame.empty:
        return
    columns = ", ".join(frame.columns)
    _stage(connection, table, frame)
    with cursor(connection) as open_cursor:
        open_cursor.execute(
            f"INSERT INTO core.{table} ({columns}) SELECT {columns} FROM pg_temp.incoming ON CONFLICT DO NOTHING"
        )


def _stage(connection: Connection, table: str, frame: pd.DataFrame) -> None:
    """Put the rows into the temporary table `incoming`, which has the columns of the frame."""
    columns = ", ".join(frame.columns)
    with cursor(connection) as open_cursor:
        open_cursor.execute("DROP TABLE IF EXISTS pg_temp.incoming")
        open_cursor.execute(
            f"CREATE TEMPORARY TABLE incoming ON COMMIT DROP AS SELECT {columns} FROM core.{table} WITH NO DATA"
        )
    copy_frame(connection, "pg_temp.incoming", frame)
