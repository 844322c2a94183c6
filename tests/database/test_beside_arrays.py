"""What genes are called and what conditions are stands beside the arrays of effects as it is in their tables."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from rows import add_genes, add_world, insert
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from pbdb.common.settings import Settings
from pbdb.server import connect

SHOWN = "SELECT DISTINCT gene_id, gene_symbol FROM pbdb.{} ORDER BY 1"


@pytest.mark.parametrize("view", ["condition_effect", "replicate_effect", "gene_response"])
def test_a_gene_that_is_renamed_is_called_so_in_every_view(connection: Connection, view: str) -> None:
    add_genes(connection)
    add_world(connection, 1000, "one")
    connection.exec_driver_sql("UPDATE core.gene SET symbol = CASE gene_key WHEN 1 THEN 'HO1' END WHERE gene_key <> 2")
    found = connection.exec_driver_sql(SHOWN.format(view)).all()
    assert found == [("ENSG00000000001", "HO1"), ("ENSG00000000003", None)]


def test_genes_of_a_feature_set_that_change_are_called_as_they_are(connection: Connection) -> None:
    add_genes(connection)
    add_world(connection, 1000, "one")
    connection.exec_driver_sql("UPDATE core.feature_set SET gene_keys = '{4,3,1}'")
    found = connection.exec_driver_sql("SELECT gene_symbols FROM core.feature_set_genes").scalars().all()
    assert found == [["CRYAB", "TP53", "HMOX1"]]


def test_a_feature_set_without_genes_has_no_names(connection: Connection) -> None:
    insert(connection, "feature_set", {"feature_set_id": 1, "n_genes": 0, "gene_keys": []})
    found = connection.exec_driver_sql("SELECT gene_ids, gene_symbols FROM core.feature_set_genes").all()
    assert found == [([], [])]


def test_a_gene_that_is_not_there_is_refused(connection: Connection) -> None:
    add_genes(connection)
    with pytest.raises(IntegrityError, match="genes_are_there"):
        insert(connection, "feature_set", {"feature_set_id": 1, "n_genes": 2, "gene_keys": [1, 99]})


def test_effects_look_no_gene_up(connection: Connection) -> None:
    for view in ("condition_effect", "replicate_effect"):
        plan = connection.exec_driver_sql(f"EXPLAIN SELECT * FROM pbdb.{view}").scalars().all()
        assert not [line for line in plan if " on gene " in line]


def test_a_dose_that_changes_is_that_of_every_view(connection: Connection) -> None:
    add_genes(connection)
    add_world(connection, 1000, "one")
    connection.exec_driver_sql("UPDATE core.condition SET dose_fm = 5000000000, time_h = 6 WHERE condition_id = 1032")
    for view in ("condition_effect", "gene_response"):
        found = connection.exec_driver_sql(f"SELECT DISTINCT dose_um, time_h FROM pbdb.{view}").all()
        assert found == [(5.0, 6.0)]


def test_effects_of_a_condition_that_is_not_there_are_refused(connection: Connection) -> None:
    add_genes(connection)
    add_world(connection, 1000, "one")
    with pytest.raises(IntegrityError, match="conditions_are_there"):
        connection.exec_driver_sql("UPDATE core.fit SET condition_ids = '{1}' WHERE fit_id = 1051")


def test_a_gene_looks_no_condition_up(connection: Connection) -> None:
    plan = connection.exec_driver_sql("EXPLAIN SELECT * FROM pbdb.gene_response WHERE gene_symbol = 'HMOX1'").scalars()
    assert not [line for line in plan.all() if " on condition " in line]


@pytest.mark.parametrize("is_first", [True, False])
def test_a_load_and_a_renaming_at_once_leave_no_old_name(database: Settings, is_first: bool) -> None:
    """Neither sees what the other writes before its commit: who comes second waits for it."""
    engine = connect.engine(database)
    with engine.begin() as connection:
        add_genes(connection)
    statements = [
        "INSERT INTO core.feature_set (feature_set_id, n_genes, gene_keys) VALUES (1, 2, '{1,2}')",
        "UPDATE core.gene SET symbol = 'HO1' WHERE gene_key = 1",
    ]
    first, second = statements if is_first else reversed(statements)

    def run(statement: str) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)

    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:
            connection.exec_driver_sql(first)
            other = pool.submit(run, second)
            with pytest.raises(TimeoutError):
                other.result(timeout=1)
        other.result(timeout=30)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT gene_symbols FROM core.feature_set_genes").scalars().all() == [
            ["HO1", "HSPA6"]
        ]
