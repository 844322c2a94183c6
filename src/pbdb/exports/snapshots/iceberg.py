"""A snapshot as Apache Iceberg tables: its Parquet files registered where they lie, one Iceberg snapshot a release.

Nothing is copied. Tables are named as in PostgreSQL: `core.<table>` and the views `pbdb.<view>`; `core.effect` (and
`core.further_effect`) is the hive-partitioned dataset of effects with its columns `dataset` and `context`. Each
release is a tag of every table, so that an engine reads an earlier one by name for as long as its folder stays.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from pbdb.common.errors import SnapshotError, first_line
from pbdb.common.progress import Progress, silent
from pbdb.exports.snapshots import manifest
from pbdb.exports.snapshots.manifest_shape import Manifest
from pbdb.exports.snapshots.workspace import bare

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table, Transaction

SCHEMA_OF = {"core": "core", "view": "pbdb"}
HIVE = {"effect": "core", "further_effect": "core", "effect_long": "pbdb"}
HIVE_KEYS = ("dataset", "context")
RELEASE, FINGERPRINT = "pbdb.release", "pbdb.fingerprint"


@dataclass(frozen=True)
class Part:
    """A Parquet file of a table, with the values of its hive columns (none for a table that is one file)."""

    path: Path
    hive: tuple[str, ...] = ()


class Registered(TypedDict):
    """Which release is in which catalog, and what was done to each table."""

    release: str
    uri: str
    warehouse: str
    tables: dict[str, str]


def register(
    folder: Path,
    uri: str,
    warehouse: Path | None = None,
    progress: Progress = silent,
) -> Registered:
    """Register a snapshot in an SQL catalog (sqlite:///file.db, postgresql://...); return what was done to each table.

    warehouse: folder for the tables' metadata, by default `iceberg` beside the snapshot. A release that is registered
    already is left as it is.

    Raises:
        SnapshotError: the folder is no snapshot, the release is registered with other content, the catalog cannot be
            used, pyiceberg is not installed, or a column's type changed in a way that Iceberg does not allow.
    """
    folder = folder.absolute()
    facts = manifest.read(folder)
    tables = _tables(folder, facts)
    place = (warehouse or folder.parent / "iceberg").absolute()
    catalog = _catalog(uri, place)
    done = {}
    with _quiet():
        for at, (name, parts) in enumerate(sorted(tables.items()), start=1):
            with _translate_errors(name, facts["release"]):
                done[name] = _publish(catalog, name, parts, facts)
            progress("register tables", at, len(tables))
    return {"release": facts["release"], "uri": bare(uri), "warehouse": str(place), "tables": done}


def _tables(folder: Path, facts: Manifest) -> Mapping[str, list[Part]]:
    """Tables by name, with their files, as the manifest lists them."""
    tables: dict[str, list[Part]] = defaultdict(list)
    for path in sorted(file["path"] for file in facts["files"] if file["path"].endswith(".parquet")):
        top, *middle = path.split("/")
        if top in HIVE:
            values = dict(part.split("=", 1) for part in middle[:-1])
            hive = tuple(unquote(values[key]) for key in HIVE_KEYS)
            tables[f"{HIVE[top]}.{top}"].append(Part(folder / path, hive))
        elif top in SCHEMA_OF:
            tables[f"{SCHEMA_OF[top]}.{Path(path).stem}"].append(Part(folder / path))
    return tables


def _catalog(uri: str, warehouse: Path) -> Catalog:
    try:
        from pyiceberg.catalog.sql import SqlCatalog
    except ImportError:
        raise SnapshotError(
            "Iceberg tables need the package pyiceberg: install pbdb with it (pip install 'pbdb[iceberg]')."
        ) from None
    try:
        warehouse.mkdir(parents=True, exist_ok=True)
        catalog = SqlCatalog("pbdb", uri=uri, warehouse=_location(warehouse))
        for schema in ("core", "pbdb"):
            catalog.create_namespace_if_not_exists(schema)
    except Exception as problem:
        raise SnapshotError(f"The catalog {bare(uri)} cannot be used: {first_line(problem)}.") from None
    return catalog


@contextmanager
def _quiet() -> Iterator[None]:
    """Lists have no minimum and maximum in Parquet; pyiceberg warns of every one of them."""
    logger = logging.getLogger("pyiceberg.io.pyarrow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _translate_errors(name: str, release: str) -> Iterator[None]:
    """Say in a sentence what pyiceberg refuses."""
    try:
        yield
    except (ValueError, TypeError, OSError) as problem:
        raise SnapshotError(f"Table {name} of release {release} cannot be registered: {first_line(problem)}.") from None


def _location(path: Path) -> str:
    """A path as Iceberg writes it: with its scheme, and nothing escaped."""
    return f"file://{path}"


def _publish(catalog: Catalog, name: str, parts: list[Part], facts: Manifest) -> str:
    """Make a release the current content of a table; say whether it was added or there already."""
    schema = _schema(parts)
    table = _table(catalog, name, schema, is_hive=bool(parts[0].hive))
    known = table.snapshot_by_name(facts["release"])
    if known is not None:
        _require_same(name, known, facts)
        return "unchanged"
    with table.transaction() as change:
        with change.update_schema() as columns:
            columns.union_by_name(schema)
        _replace_files(table, change, parts, {RELEASE: facts["release"], FINGERPRINT: facts["fingerprint"]})
    table.refresh()
    current = table.current_snapshot()
    assert current is not None
    table.manage_snapshots().create_tag(current.snapshot_id, facts["release"]).commit()
    return "added"


def _require_same(name: str, known: Any, facts: Manifest) -> None:
    if known.summary[FINGERPRINT] != facts["fingerprint"]:
        raise SnapshotError(
            f"Table {name} has a release {facts['release']} with other content: a published release never changes;"
            " export under a new --release."
        )


def _schema(parts: list[Part]) -> pa.Schema:
    """Columns of a table: those of its files, which agree, and the hive columns."""
    hive = [pa.field(key, pa.string()) for key in HIVE_KEYS] if parts[0].hive else []
    return pa.schema([*map(_nullable, pq.read_schema(parts[0].path)), *hive])


def _nullable(field: pa.Field) -> pa.Field:
    """A column of the same name, type and words that may be null: a later release may not have it."""
    words = (field.metadata or {}).get(b"description")
    return pa.field(field.name, field.type, metadata={b"doc": words} if words else None)


def _table(catalog: Catalog, name: str, schema: pa.Schema, *, is_hive: bool) -> Table:
    if catalog.table_exists(name):
        return catalog.load_table(name)
    from pyiceberg.table import TableProperties

    table = catalog.create_table(name, schema)
    with table.transaction() as change:
        if is_hive:
            with change.update_spec() as spec:
                for key in HIVE_KEYS:
                    spec.add_identity(key)
        mapping = change.table_metadata.schema().name_mapping.model_dump_json()
        change.set_properties({TableProperties.DEFAULT_NAME_MAPPING: mapping})
    return table


def _replace_files(table: Table, change: Transaction, parts: list[Part], properties: dict[str, str]) -> None:
    """One Iceberg snapshot: the files of the earlier release go, those of this one come."""
    old = [task.file for task in table.scan().plan_files()] if table.current_snapshot() else []
    update = change.update_snapshot(snapshot_properties=properties)
    with update.overwrite() if old else update.fast_append() as producer:
        for file in old:
            producer.delete_data_file(file)
        for part in parts:
            producer.append_data_file(_data_file(table, change, part))


def _data_file(table: Table, change: Transaction, part: Part) -> DataFile:
    """Describe a Parquet file; the values of hive columns, which it lacks, are its partition's."""
    from pyiceberg.io.pyarrow import (
        compute_statistics_plan,
        data_file_statistics_from_parquet_metadata,
        parquet_path_to_id_mapping,
    )
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
    from pyiceberg.typedef import Record

    metadata = change.table_metadata
    schema = metadata.schema()
    statistics = data_file_statistics_from_parquet_metadata(
        parquet_metadata=pq.read_metadata(part.path),
        stats_columns=compute_statistics_plan(schema, metadata.properties),
        parquet_column_mapping=parquet_path_to_id_mapping(schema),
    )
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=_location(part.path),
        file_format=FileFormat.PARQUET,
        partition=Record(*part.hive),
        file_size_in_bytes=part.path.stat().st_size,
        sort_order_id=None,
        spec_id=metadata.default_spec_id,
        equality_ids=None,
        key_metadata=None,
        **statistics.to_serialized_dict(),
    )
