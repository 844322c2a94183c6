"""COPY of Arrow tables into PostgreSQL as CSV, column by column without a loop over rows."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from sqlalchemy import Connection, Table

from pbdb.database.copy_text import cursor


def copy(connection: Connection, name: str, table: Table, batches: Iterable[pa.RecordBatch]) -> None:
    """Append rows to `name` (schema included), which is like `table`; computed columns are left to the database."""
    kept = [column.name for column in table.columns if column.computed is None]
    with cursor(connection) as opened, opened.copy(f"COPY {name} ({', '.join(kept)}) FROM STDIN (FORMAT csv)") as to:
        for batch in batches:
            if batch.num_rows:
                to.write(_csv(pa.table({column: _text(batch[column]) for column in kept})))


def _csv(texts: pa.Table) -> bytes:
    """CSV as PostgreSQL reads it: every value quoted, null as nothing at all."""
    sink = io.BytesIO()
    pa_csv.write_csv(texts, sink, pa_csv.WriteOptions(include_header=False, quoting_style="all_valid"))
    return sink.getvalue()


def _text(values: pa.Array) -> pa.Array:
    if not pa.types.is_list(values.type):
        return pc.cast(values, pa.string())
    elements = pc.cast(values, pa.list_(pa.string()))
    if pa.types.is_string(values.type.value_type):
        elements = _quoted(elements)
    return pc.binary_join_element_wise("{", pc.binary_join(elements, ","), "}", "")


def _quoted(lists: pa.ListArray) -> pa.ListArray:
    """Elements of a text array as PostgreSQL writes them."""
    escaped = pc.replace_substring(pc.replace_substring(lists.values, "\\", "\\\\"), '"', '\\"')
    quoted = pc.binary_join_element_wise('"', escaped, '"', "")
    return pa.ListArray.from_arrays(lists.offsets, quoted, mask=lists.is_null() if lists.null_count else None)
