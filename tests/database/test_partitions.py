"""Partitions: filled beside, attached unseen, shown by one row, with everything their parent has."""

from __future__ import annotations

import pytest
from rows import add_dataset, add_partitions
from sqlalchemy import Connection, Engine, text

from pbdb.common.errors import DataError, SchemaError
from pbdb.database import partitions
from pbdb.database.models.policies import PARTITIONED, VALUE_COLUMNS

GENE = "INSERT INTO {} (dataset_id, gene_key, fit_id, log2_fc) VALUES (1, {}, 1, '{{{}}}')"


@pytest.fixture
def loaded(connection: Connection) -> Connection:
    add_dataset(connection, 1, "one")
    return connection


def _fill(connection: Connection, generation: int, value: float) -> dict[str, str]:
    names = {table: partitions.create_standalone(connection, table, 1, generation) for table in PARTITIONED}
    connection.exec_driver_sql(GENE.format(names["gene_effect"], 7, value))
    for table, name in names.items():
        partitions.finish(connection, table, name)
    return names


def _shown(connection: Connection) -> list[float]:
    return [row[0][0] for row in connection.exec_driver_sql("SELECT log2_fc FROM core.gene_effect")]


def test_a_generation_is_shown_when_it_is_made_current_and_not_before(loaded: Connection) -> None:
    for value in (0.5, 2.5):
        generation = partitions.new_generation(loaded)
        before = _shown(loaded)
        partitions.attach(loaded, 1, generation, _fill(loaded, generation, value))
        assert _shown(loaded) == before
        partitions.make_current(loaded, 1, generation)
        assert _shown(loaded) == [value]
    partitions.retire(loaded, 1)
    assert _shown(loaded) == []


@pytest.mark.parametrize("table", PARTITIONED)
def test_a_partition_brings_its_indexes_so_that_attaching_builds_none(loaded: Connection, table: str) -> None:
    generation = partitions.new_generation(loaded)
    name = partitions.create_standalone(loaded, table, 1, generation)
    partitions.finish(loaded, table, name)
    before = _indexes(loaded, name)
    partitions.attach(loaded, 1, generation, {table: name})
    assert _indexes(loaded, partitions.partition(table, generation)) == before
    parents = text("SELECT count(*) FROM pg_index WHERE indrelid = CAST(:name AS regclass)")
    assert len(before) == loaded.execute(parents, {"name": f"part.{table}"}).scalar()


def test_value_arrays_of_a_partition_are_neither_compressed_nor_sampled(loaded: Connection) -> None:
    query = text("SELECT attname, attstorage, attstattarget FROM pg_attribute WHERE attrelid = CAST(:name AS regclass)")
    add_partitions(loaded, 1)
    for table in ("effect", "gene_effect"):
        name = partitions.partition(table, partitions.current(loaded, 1) or 0)
        columns = {row[0]: tuple(row[1:]) for row in loaded.execute(query, {"name": name})}
        assert {columns[column] for column in VALUE_COLUMNS[table]} == {("e", 0)}


def test_a_standalone_table_takes_rows_of_its_dataset_only(loaded: Connection) -> None:
    name = partitions.create_standalone(loaded, "gene_effect", 1, partitions.new_generation(loaded))
    with pytest.raises(Exception, match=partitions.BOUND):
        loaded.exec_driver_sql(f"INSERT INTO {name} (dataset_id, gene_key, fit_id) VALUES (2, 1, 1)")


def test_copy_can_freeze_after_empty(engine: Engine) -> None:
    with engine.begin() as connection:
        name = partitions.create_standalone(connection, "gene_effect", 1, partitions.new_generation(connection))
    with engine.begin() as connection:
        partitions.empty(connection, name)
        driver = connection.connection.driver_connection
        with driver.cursor().copy(f"COPY {name} (dataset_id, gene_key, fit_id) FROM STDIN (FREEZE)") as copy:
            copy.write("1\t1\t1\n")
        assert connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar() == 1


def test_rows_that_name_what_is_not_there_are_refused(loaded: Connection) -> None:
    generation = partitions.new_generation(loaded)
    partitions.attach(loaded, 1, generation, _fill(loaded, generation, 0.5))
    with pytest.raises(DataError, match="1 rows of gene_effect name a fit_id that"):
        partitions.refuse_orphans(loaded, 1, generation)


def test_only_tables_that_have_partitions_get_them(connection: Connection) -> None:
    with pytest.raises(SchemaError, match="has no partitions"):
        partitions.create_standalone(connection, "gene", 1, 1)


def _indexes(connection: Connection, name: str) -> set[str]:
    query = text("SELECT indexrelid::text FROM pg_index WHERE indrelid = CAST(:name AS regclass)")
    return set(connection.execute(query, {"name": name}).scalars())
