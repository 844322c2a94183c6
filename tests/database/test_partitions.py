"""Partitions: built beside, swapped in, with everything their parent has."""

from __future__ import annotations

import pytest
from rows import add_dataset
from sqlalchemy import Connection, Engine, text

from pbdb.common.errors import DataError, SchemaError
from pbdb.database import partitions
from pbdb.database.models.policies import PARTITIONED, VALUE_COLUMNS


def _put(connection: Connection, table: str, suffix: str) -> str:
    name = partitions.create_standalone(connection, table, "one", 1, suffix)
    partitions.finish(connection, table, name)
    partitions.swap(connection, table, 1, name)
    return name


@pytest.fixture
def loaded(connection: Connection) -> Connection:
    add_dataset(connection, 1, "one")
    return connection


@pytest.mark.parametrize("table", PARTITIONED)
def test_swap_replaces_the_partition_of_the_dataset(loaded: Connection, table: str) -> None:
    old, new = _put(loaded, table, "a"), _put(loaded, table, "b")
    assert partitions.partition_of(loaded, table, 1) == new
    assert loaded.execute(text("SELECT to_regclass(:old)"), {"old": old}).scalar() is None


@pytest.mark.parametrize("table", PARTITIONED)
def test_a_partition_brings_its_indexes_so_that_attaching_builds_none(loaded: Connection, table: str) -> None:
    name = partitions.create_standalone(loaded, table, "one", 1, "a")
    partitions.finish(loaded, table, name)
    before = _indexes(loaded, name)
    partitions.swap(loaded, table, 1, name)
    assert _indexes(loaded, name) == before
    parents = text("SELECT count(*) FROM pg_index WHERE indrelid = CAST(:name AS regclass)")
    assert len(before) == loaded.execute(parents, {"name": f"core.{table}"}).scalar()


def test_value_arrays_of_a_partition_are_neither_compressed_nor_sampled(loaded: Connection) -> None:
    query = text("SELECT attname, attstorage, attstattarget FROM pg_attribute WHERE attrelid = CAST(:name AS regclass)")
    for table in ("effect", "gene_effect"):
        found = {row[0]: tuple(row[1:]) for row in loaded.execute(query, {"name": _put(loaded, table, "a")})}
        assert {found[column] for column in VALUE_COLUMNS[table]} == {("e", 0)}


def test_a_standalone_table_takes_rows_of_its_dataset_only(loaded: Connection) -> None:
    name = partitions.create_standalone(loaded, "gene_effect", "one", 1, "a")
    with pytest.raises(Exception, match=partitions.BOUND):
        loaded.exec_driver_sql(f"INSERT INTO {name} (dataset_id, gene_key, fit_id) VALUES (2, 1, 1)")


def test_copy_can_freeze_after_empty(engine: Engine) -> None:
    with engine.begin() as connection:
        name = partitions.create_standalone(connection, "gene_effect", "one", 1, "a")
    with engine.begin() as connection:
        partitions.empty(connection, name)
        with connection.connection.driver_connection.cursor().copy(f"COPY {name} FROM STDIN (FREEZE)") as copy:
            copy.write("1\t1\t1\t{0.5}\t{0.1}\t{2}\n")
        assert connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar() == 1


def test_leftovers_of_a_dataset_are_dropped_and_those_of_others_stay(loaded: Connection) -> None:
    _put(loaded, "effect", "used")
    partitions.create_standalone(loaded, "effect", "one", 1, "left")
    other = partitions.create_standalone(loaded, "effect", "one_more", 2, "left")
    assert partitions.drop_leftovers(loaded, "one") == 1
    assert loaded.execute(text("SELECT to_regclass(:name)"), {"name": other}).scalar()
    assert partitions.partition_of(loaded, "effect", 1)


def test_names_that_cannot_be_are_refused(connection: Connection) -> None:
    with pytest.raises(DataError, match="shorter key"):
        partitions.create_standalone(connection, "effect", "x" * 60, 1, "a")
    with pytest.raises(DataError, match="cannot name a table"):
        partitions.create_standalone(connection, "effect", "x; DROP", 1, "a")
    with pytest.raises(SchemaError, match="has no partitions"):
        partitions.create_standalone(connection, "gene", "one", 1, "a")


def _indexes(connection: Connection, name: str) -> set[str]:
    query = text("SELECT indexrelid::text FROM pg_index WHERE indrelid = CAST(:name AS regclass)")
    return set(connection.execute(query, {"name": name}).scalars())
