"""pbdb snapshot load: an empty database filled from a snapshot alone, in one transaction."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from sqlalchemy import Connection, Engine, Table, text

from pbdb.common.errors import SnapshotError, first_line
from pbdb.common.progress import Reporter, Silent
from pbdb.common.settings import Settings
from pbdb.database import partitions, schema, signature_rows
from pbdb.database.error_messages import exporting
from pbdb.database.models import SCHEMA
from pbdb.database.models.policies import PARTITIONED
from pbdb.exports.snapshots import arrow_schemas, copy_csv, effects_parquet, manifest, parquet, restore_effects, verify
from pbdb.exports.snapshots.manifest_shape import Manifest
from pbdb.server import connect

ROWS_AT_ONCE = 65_536
HELD = ("core/", f"{effects_parquet.DEFAULT}/", f"{effects_parquet.FURTHER}/")


def load(settings: Settings, folder: Path, reporter: Reporter | None = None) -> Manifest:
    """Fill the database with everything a snapshot holds; return its manifest.

    An empty database gets its schema first. All or nothing: stopped anywhere, the database stays empty.

    Raises:
        SnapshotError: the folder is no snapshot, is damaged, or of another schema; or the database holds data.
    """
    content = manifest.read(folder)
    engine = connect.engine(settings)
    _require_fit(engine, folder, content)
    damage = next(verify.files(folder, content, (reporter or Silent()).progress, HELD), None)
    if damage:
        raise SnapshotError(
            f"'{folder / damage.path}' is damaged ({damage.problem}): take it anew from where it came.",
            file=damage.path,
        )
    settings.home.mkdir(parents=True, exist_ok=True)
    with exporting(f"'{settings.home}'"), _plain_content(folder):
        _fill(engine, folder, content, settings.home, reporter or Silent())
    return content


@contextmanager
def _plain_content(folder: Path) -> Iterator[None]:
    """Say in a sentence that files are whole, but hold something else than tables of this schema."""
    try:
        yield
    except (pa.ArrowException, ValueError, LookupError, TypeError, OverflowError, MemoryError) as problem:
        raise SnapshotError(
            f"'{folder}' does not hold what a snapshot of its schema holds ({first_line(problem)}): take it anew from"
            " where it came."
        ) from problem


def _fill(engine: Engine, folder: Path, content: Manifest, home: Path, reporter: Reporter) -> None:
    """Load everything in one transaction."""
    with engine.begin() as connection, tempfile.TemporaryDirectory(dir=home, prefix="load-") as scratch:
        for table in arrow_schemas.tables():
            if table.name not in PARTITIONED:
                copy_csv.copy(
                    connection, f"{SCHEMA}.{table.name}", table, _batches(folder / "core" / f"{table.name}.parquet")
                )
                _continue_numbers(connection, table)
        reporter.stage("tables", f"{len(arrow_schemas.tables())} tables")
        for dataset in content["datasets"]:
            name = dataset["dataset"]
            begins = tuple(f"{top}/dataset={name}/" for top in (effects_parquet.DEFAULT, effects_parquet.FURTHER))
            files = [folder / file["path"] for file in content["files"] if file["path"].startswith(begins)]
            samples = folder / "core" / "sample.parquet"
            _load_dataset(connection, name, files, samples, Path(scratch), reporter)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.exec_driver_sql(f"VACUUM {SCHEMA}.condition")  # as a load does


def _require_fit(engine: Engine, folder: Path, content: Manifest) -> None:
    """Make sure that the database is empty, and of the schema of the snapshot."""
    revision = content["schema"]["revision"]
    if revision != schema.head():
        raise SnapshotError(
            f"'{folder}' has schema {revision}, this version of pbdb {schema.head()}: load it with pbdb"
            f" {content['pbdb_version']}, then run `pbdb db upgrade` with the new one."
        )
    with engine.connect() as connection:
        is_new = schema.current(connection) is None
    if is_new:
        schema.upgrade(engine)
    with engine.connect() as connection:
        schema.require_head(connection)
        for table in arrow_schemas.tables():
            if connection.execute(text(f"SELECT EXISTS (SELECT FROM {SCHEMA}.{table.name})")).scalar_one():
                raise SnapshotError(
                    f"The database holds data already (in {table.name}): a snapshot is loaded into an empty one only."
                )


def _load_dataset(
    connection: Connection, dataset: str, files: list[Path], samples: Path, scratch: Path, reporter: Reporter
) -> None:
    """The samples of a dataset and both orientations of its effects, as its first generation."""
    (key,) = connection.execute(
        text(f"SELECT dataset_id FROM {SCHEMA}.dataset WHERE dataset = :dataset"), {"dataset": dataset}
    ).scalars()
    generation = partitions.new_generation(connection)
    names = {table: partitions.create_standalone(connection, table, key, generation) for table in PARTITIONED}
    of_dataset = ds.dataset(samples).to_batches(filter=pc.field("dataset_id") == key, batch_size=ROWS_AT_ONCE)
    copy_csv.copy(connection, names["sample"], arrow_schemas.table_of("sample"), of_dataset)
    into = restore_effects.Names(names["effect"], names["gene_effect"])
    restore_effects.load(connection, files, into, scratch, reporter.progress)
    for table, name in names.items():
        partitions.finish(connection, table, name)
    partitions.attach(connection, key, generation, names)
    partitions.make_current(connection, key, generation)
    partitions.refuse_orphans(connection, key, generation)
    signature_rows.replace(connection, key, generation)
    reporter.stage("effects", f"{dataset}: {len(files)} fits")


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    parquet.require_plausible(path)
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(ROWS_AT_ONCE)


def _continue_numbers(connection: Connection, table: Table) -> None:
    """Let numbers that the database gives go on after those that were copied."""
    for column in table.columns:
        if column.identity is not None:
            connection.exec_driver_sql(
                f"SELECT setval(pg_get_serial_sequence('{SCHEMA}.{table.name}', '{column.name}'),"
                f" max({column.name})) FROM {SCHEMA}.{table.name}"
            )
