"""The names of the genes of a feature set are those of the table gene, whoever writes there."""

from __future__ import annotations

import pytest
from rows import add_genes, add_world, insert
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

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
