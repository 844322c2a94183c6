"""The obvious filter of each view reads effects by index, for whoever asks, on PostgreSQL 16 and 18."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from bulk import Bulk, add_genes, fill
from sqlalchemy import Connection, text
from support import external_server, throwaway_home

from pbdb.database import schema
from pbdb.database.models.policies import OWNER, PUBLIC, READER
from pbdb.server import connect

FILTERS = (
    ("condition_effect", "effect_id = 1000123"),
    ("condition_effect", "condition_id = 1000123"),
    ("condition_effect", "dataset = 'one' AND compound_name = 'drug 77'"),
    ("condition_effect", "dataset = 'one' AND compound_name = 'drug 77' AND dose_um = 1"),
    ("condition_effect", "compound_name = 'drug 77' AND context = 'CVCL:0003'"),
    ("condition_effect", "inchikey = 'KEY77'"),
    ("condition_effect", "dataset = 'one' AND context = 'CVCL:0003'"),
    ("gene_response", "gene_symbol = 'GENE77'"),
    ("gene_response", "gene_id = 'ENSG00000000077'"),
    ("gene_response", "gene_symbol = 'GENE77' AND dataset = 'one'"),
    ("gene_response", "gene_symbol = 'GENE77' AND context = 'CVCL:0003'"),
    ("gene_response", "gene_symbol = 'GENE77' AND compound_name = 'drug 77'"),
    ("replicate_effect", "condition_id = 1000123"),
    ("replicate_effect", "dataset = 'one' AND compound_name = 'drug 77'"),
    ("effect", "effect_id = 1000123"),
    ("effect", "condition_id = 1000123"),
    ("effect", "compound_name = 'drug 77'"),
    ("effect", "dataset = 'one' AND context = 'CVCL:0003'"),
    ("effect_sample", "effect_id = 1000123"),
    ("sample", "sample_id = 2000246"),
    ("sample", "condition_id = 1000123"),
    ("sample", "dataset = 'one' AND compound_name = 'drug 77'"),
    ("fit_gene", "gene_symbol = 'GENE77'"),
    ("coverage", "true"),
)


@pytest.fixture(scope="module", params=[16, 18])
def filled(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """Two datasets of 4,000 and 1,600 conditions x 200 genes, the second one closed."""
    with throwaway_home() as home, external_server(home, request.param) as settings:
        engine = connect.engine(settings)
        schema.upgrade(engine)
        with engine.begin() as connection:
            add_genes(connection, 20_000)
            fill(connection, Bulk(1_000_000, "one", n_contexts=10, n_compounds=100, n_doses=4, n_genes=200))
            closed = Bulk(
                2_000_000, "two", n_contexts=4, n_compounds=100, n_doses=4, n_genes=200, is_redistributable=False
            )
            fill(connection, closed)
        with engine.connect() as connection:
            yield connection


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _plan(connection: Connection, query: str, role: str) -> list[dict[str, Any]]:
    with connection.begin() as transaction:
        connection.exec_driver_sql(f"SET LOCAL ROLE {role}")
        found = connection.execute(text(f"EXPLAIN (FORMAT JSON, VERBOSE) {query}")).scalar_one()
        transaction.rollback()
    return list(_nodes((found if isinstance(found, list) else json.loads(found))[0]["Plan"]))


@pytest.mark.parametrize("role", [OWNER, READER, PUBLIC])
@pytest.mark.parametrize(("view", "condition"), FILTERS)
def test_no_partition_is_read_from_end_to_end(filled: Connection, view: str, condition: str, role: str) -> None:
    nodes = _plan(filled, f"SELECT * FROM pbdb.{view} WHERE {condition}", role)
    read = [node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan" and node["Schema"] == "part"]
    assert read == []


def test_a_filter_without_index_shows_what_is_looked_for(filled: Connection) -> None:
    nodes = _plan(filled, "SELECT * FROM pbdb.effect WHERE n_treated = 3", OWNER)
    assert {node["Schema"] for node in nodes if node["Node Type"] == "Seq Scan"} >= {"part"}


@pytest.mark.parametrize("view", ["condition_effect", "gene_response"])
def test_the_first_rows_of_a_long_view_come_at_once(filled: Connection, view: str) -> None:
    nodes = _plan(filled, f"SELECT * FROM pbdb.{view} LIMIT 100", READER)
    assert [node["Node Type"] for node in nodes if node["Node Type"] in ("Sort", "Aggregate")] == []
    below = next(node for node in nodes[1:] if node["Parent Relationship"] == "Outer")
    assert nodes[0]["Startup Cost"] < below["Total Cost"] / 1000
