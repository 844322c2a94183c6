"""Parquet files written whole or not at all: zstd, fixed row groups, hashed on their way to the disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pbdb.common.errors import SnapshotError
from pbdb.common.output_files import replacing
from pbdb.exports.snapshots.manifest_shape import FileFacts

ROWS_PER_GROUP = 131_072
GATHERED = 8 << 20
MOST_ROWS_PER_BYTE = 16  # a table of keys takes a byte for each row and more
MOST_UNPACKED = 1000
LEVEL = 1  # of zstd; higher ones take twice the time for 2 %, for the low bytes of floats are noise


@dataclass(frozen=True)
class Written:
    """A finished file: path below the snapshot, size, hash; of Parquet also rows and the hash of its columns."""

    path: str
    bytes: int
    sha256: str
    rows: int | None = None
    schema: str | None = None

    def as_json(self) -> FileFacts:
        """The facts that are known."""
        known: FileFacts = {"path": self.path, "bytes": self.bytes, "sha256": self.sha256}
        if self.rows is not None:
            known["rows"] = self.rows
        if self.schema is not None:
            known["schema"] = self.schema
        return known


class HashedFile:
    """A binary file that hashes what is written to it."""

    def __init__(self, path: Path):
        self._file = path.open("wb")
        self._digest = hashlib.sha256()
        self.closed = False
        self._is_abandoned = False

    def write(self, data: Any) -> int:
        """Write and hash bytes."""
        if self._is_abandoned:
            return len(data)
        self._digest.update(data)
        return self._file.write(data)

    def tell(self) -> int:
        """Bytes written so far."""
        return self._file.tell()

    def flush(self) -> None:
        """Hand what was written to the system."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self.closed = True
        self._file.close()

    def abandon(self) -> None:
        """Take no more bytes, whatever comes: the writer of Parquet insists on its footer."""
        self._is_abandoned = True
        with suppress(OSError):
            self._file.close()

    @property
    def sha256(self) -> str:
        """Hash of all that was written, hexadecimal."""
        return self._digest.hexdigest()


class Table:
    """A Parquet file in the making."""

    def __init__(self, name: str, file: HashedFile, schema: pa.Schema, floats: Iterable[str]):
        self.name = name
        # The writer's many small pieces, gathered: each that reaches Python would wait for the thread that reads.
        self._gathered = pa.BufferedOutputStream(pa.PythonFile(file, mode="w"), GATHERED)
        floating = sorted(floats)
        self._writer = pq.ParquetWriter(
            self._gathered,
            schema,
            compression="zstd",
            compression_level=LEVEL,
            use_dictionary=[_leaf(field) for field in schema if field.name not in floating],
            use_byte_stream_split=[_leaf(schema.field(name)) for name in floating],  # type: ignore[arg-type,unused-ignore]
            write_statistics=[_leaf(field) for field in schema if not pa.types.is_list(field.type)],
        )
        self.schema = schema
        self.rows = 0

    def add(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Append rows as one row group."""
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        self._writer.write_table(table.cast(self.schema), row_group_size=max(1, table.num_rows))
        self.rows += table.num_rows

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()
        self._gathered.flush()


@contextmanager
def written(
    root: Path, path: str, schema: pa.Schema, floats: Iterable[str] = ()
) -> Iterator[tuple[Table, list[Written]]]:
    """Open a Parquet file; at the end of the block it gets its name, and its facts stand in the list.

    floats: list columns of floats that are split by bytes, which packs them better and faster.
    """
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    facts: list[Written] = []
    with replacing(target) as part:
        file = HashedFile(part)
        table = Table(path, file, schema, floats)
        try:
            yield table, facts
            table.close()
            file.close()
        except BaseException:
            file.abandon()
            table.close()
            raise
    facts.append(Written(path, target.stat().st_size, file.sha256, table.rows, schema_hash(schema)))


def write(root: Path, path: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Written:
    """Write rows to a Parquet file in row groups of ROWS_PER_GROUP, whatever the batches are."""
    with written(root, path, schema) as (table, facts):
        for group in regrouped(batches, ROWS_PER_GROUP):
            table.add(group)
    return facts[0]


def regrouped(batches: Iterable[pa.RecordBatch], n_rows: int) -> Iterator[pa.Table]:
    """The rows in tables of n_rows each, so that equal rows make equal files however they came."""
    held: list[pa.RecordBatch] = []
    n_held = 0
    for batch in batches:
        start = 0
        while n_held + batch.num_rows - start >= n_rows:
            taken = n_rows - n_held
            yield pa.Table.from_batches([*held, batch.slice(start, taken)]).combine_chunks()
            held, n_held, start = [], 0, start + taken
        if start < batch.num_rows:
            held.append(batch.slice(start))
            n_held += batch.num_rows - start
    if held:
        yield pa.Table.from_batches(held).combine_chunks()


def require_plausible(path: Path) -> None:
    """Refuse a small file that says it holds more than any machine's memory.

    Raises:
        SnapshotError: it has more rows, or unpacks to more, than what we write ever does for its size.
    """
    size, facts = path.stat().st_size, pq.read_metadata(path)
    n_unpacked = sum(facts.row_group(group).total_byte_size for group in range(facts.num_row_groups))
    if facts.num_rows > ROWS_PER_GROUP + MOST_ROWS_PER_BYTE * size or n_unpacked > GATHERED + MOST_UNPACKED * size:
        raise SnapshotError(
            f"'{path}' has {size:,} bytes and claims {facts.num_rows:,} rows of {n_unpacked:,} bytes: it is damaged, or"
            " made to fill the memory."
        )


def schema_hash(schema: pa.Schema) -> str:
    """SHA-256 over names and types of the columns, in order."""
    words = "\n".join(f"{field.name} {field.type}" for field in schema)
    return hashlib.sha256(words.encode()).hexdigest()


def _leaf(field: pa.Field) -> str:
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name
