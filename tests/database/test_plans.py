"""The obvious filter of each view reads effects by index, for whoever asks, on PostgreSQL 16 and 18."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from bulk import Bulk, add_genes, fill
from sqlalchemy import Connection, text
from support import external_server, throwaway_home

from pbdb.common.errors import QueryError
from pbdb.database import schema
from pbdb.query import orientation
from pbdb.serve import pages
from pbdb.server import connect
from pbdb.server.connect import OWNER, PUBLIC, READER

COOKBOOK = (Path(__file__).resolve().parents[2] / "docs" / "cookbook.md").read_text(encoding="utf-8")
# Names of the demo become those of the filled database.
NAMES = {
    "HMOX1": "GENE77",
    "HSPA1B": "GENE78",
    "bortezomib": "drug 77",
    "vorinostat": "drug 78",
    "screen_one": "one",
    "screen_two": "two",
    "U-2 OS": "line 1",
    "A549": "line 3",
}
QUESTIONS = dict(re.findall(r"```sql\n-- name: (\w+)\n(.*?)```", COOKBOOK, flags=re.S)) | {
    "one compound in two contexts": """
        SELECT a.gene_symbol, a.log2_fc, b.log2_fc AS log2_fc_b
        FROM condition_effect a
        JOIN condition_effect b ON b.gene_id = a.gene_id AND b.dataset = a.dataset AND b.dose_um = a.dose_um
        WHERE a.compound_name = 'vorinostat' AND b.compound_name = 'vorinostat'
          AND a.context_name = 'U-2 OS' AND b.context_name = 'A549'""",
    "two genes over conditions": """
        SELECT a.compound_name, a.log2_fc, b.log2_fc AS log2_fc_b
        FROM gene_response a JOIN gene_response b ON b.condition_id = a.condition_id
        WHERE a.gene_symbol = 'HMOX1' AND b.gene_symbol = 'HSPA1B'""",
    "two compounds in one context": """
        SELECT gene_symbol, a.log2_fc, b.log2_fc AS log2_fc_b
        FROM condition_effect a JOIN condition_effect b USING (dataset, context, dose_um, gene_id, gene_symbol)
        WHERE a.compound_name = 'vorinostat' AND b.compound_name = 'bortezomib' AND a.context_name = 'A549'""",
    "single wells of a condition": """
        SELECT a.gene_symbol, a.log2_fc, b.log2_fc AS log2_fc_b
        FROM replicate_effect a JOIN replicate_effect b USING (condition_id, gene_id)
        WHERE a.compound_name = 'vorinostat' AND a.sample_id < b.sample_id""",
}

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


@pytest.mark.parametrize("role", [READER, PUBLIC])
def test_the_strongest_effects_of_a_dataset_come_in_the_order_of_their_index(filled: Connection, role: str) -> None:
    query = pages.STRONGEST_OF.format(f" AND {pages.STRONGEST_WHERE['dataset']}".replace("%(dataset)s", "'one'"))
    nodes = _plan(filled, query.replace("JOIN effect", "JOIN pbdb.effect"), role)
    assert any("_expr_effect_id" in node.get("Index Name", "") for node in nodes)  # of an expression, as no other is
    sorted_below = [node for node in nodes[1:] if node["Node Type"] == "Sort" and node["Plan Rows"] > 40]
    assert sorted_below == []


def test_a_filter_without_index_shows_what_is_looked_for(filled: Connection) -> None:
    nodes = _plan(filled, "SELECT * FROM pbdb.effect WHERE n_treated = 3", OWNER)
    assert {node["Schema"] for node in nodes if node["Node Type"] == "Seq Scan"} >= {"part"}


@pytest.mark.parametrize("view", ["condition_effect", "gene_response"])
def test_the_first_rows_of_a_long_view_come_at_once(filled: Connection, view: str) -> None:
    nodes = _plan(filled, f"SELECT * FROM pbdb.{view} LIMIT 100", READER)
    assert [node["Node Type"] for node in nodes if node["Node Type"] in ("Sort", "Aggregate")] == []
    below = next(node for node in nodes[1:] if node["Parent Relationship"] == "Outer")
    assert nodes[0]["Startup Cost"] < below["Total Cost"] / 1000


@pytest.mark.parametrize("view", ["condition_effect", "replicate_effect"])
def test_the_first_rows_begin_with_effects_and_not_with_conditions_that_have_none(
    filled: Connection, view: str
) -> None:
    nodes = _plan(filled, f"SELECT * FROM pbdb.{view} LIMIT 100", READER)
    first = next(node for node in nodes if node.get("Relation Name", "").startswith(("condition", "effect")))
    assert first["Schema"] == "part"
    nodes = _plan(filled, f"SELECT effect_id, log2_fc FROM pbdb.{view} LIMIT 100", READER)
    assert "condition" not in {node.get("Relation Name") for node in nodes}


def test_values_of_a_gene_alone_are_joined_to_no_conditions(filled: Connection) -> None:
    query = "SELECT dataset, context, log2_fc FROM pbdb.gene_response WHERE gene_symbol = 'GENE77'"
    named = {node.get("Relation Name") for node in _plan(filled, query, READER)}
    assert not named & {"condition", "source_compound", "compound"}


def test_matches_without_effects_are_passed_over_before_names_are_looked_up(filled: Connection) -> None:
    nodes = _plan(filled, "SELECT * FROM pbdb.matched_effect LIMIT 100", READER)
    (match,) = (node for node in nodes if node.get("Relation Name") == "match")
    assert "effect_id_a IS NOT NULL" in match["Filter"] and "effect_id_b IS NOT NULL" in match["Filter"]


def _genes_in(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The nodes that make rows of arrays."""
    return [
        node
        for node in _nodes(plan)
        if node["Node Type"] == "ProjectSet" or "thousands" in str(node.get("Function Call", ""))
    ]


def _answered(connection: Connection, question: str) -> dict[str, Any]:
    """The plan of a question, run by a reader."""
    for theirs, ours in NAMES.items():
        question = question.replace(f"'{theirs}'", f"'{ours}'")
    with connection.begin() as transaction:
        connection.exec_driver_sql(f"SET LOCAL ROLE {READER}")
        found = connection.execute(text(f"EXPLAIN (FORMAT JSON, VERBOSE, ANALYZE) {question}")).scalar_one()
        transaction.rollback()
    plan: dict[str, Any] = (found if isinstance(found, list) else json.loads(found))[0]["Plan"]
    return plan


@pytest.mark.parametrize("name", QUESTIONS)
def test_no_question_looks_up_the_genes_of_one_effect_for_each_gene_of_another(filled: Connection, name: str) -> None:
    loops = [node for node in _nodes(_answered(filled, QUESTIONS[name])) if node["Node Type"] == "Nested Loop"]
    assert [node for node in loops if all(map(_genes_in, node["Plans"]))] == []


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_planner_knows_about_how_long_arrays_are(filled: Connection, name: str) -> None:
    """200 genes here, up to 15,000 in screens."""
    for node in _genes_in(_answered(filled, QUESTIONS[name])):
        if node["Actual Loops"] and node["Actual Rows"]:
            assert 1 / 20 < node["Plan Rows"] / node["Actual Rows"] < 20, node


@pytest.mark.parametrize(
    ("view", "condition", "sibling"),
    [
        ("condition_effect", "gene_symbol = 'GENE77'", "gene_response"),
        ("gene_response", "compound_name = 'drug 77'", "condition_effect"),
    ],
)
def test_a_slow_question_is_refused_by_the_name_of_the_view_that_is_quick(
    monkeypatch: pytest.MonkeyPatch, filled: Connection, view: str, condition: str, sibling: str
) -> None:
    monkeypatch.setattr(orientation, "SLOW", 100_000)  # of 5,600 effects; with 200 genes each nobody waits for them
    driver = filled.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with pytest.raises(QueryError, match=f"ask {sibling},"):
        orientation.require_quick(driver, f"SELECT * FROM {view} WHERE {condition}", None)
    orientation.require_quick(driver, f"SELECT * FROM {sibling} WHERE {condition}", None)
    orientation.require_quick(driver, f"SELECT * FROM {view} LIMIT 100", None)
    orientation.require_quick(driver, f"SELECT count(*) FROM {view} WHERE p_adj < %(p)s", {"p": 0.05})


def test_who_names_no_gene_is_not_sent_to_the_view_of_genes(
    monkeypatch: pytest.MonkeyPatch, filled: Connection
) -> None:
    """Of a data set that the server has not counted yet it expects that view to be cheap for anything."""
    monkeypatch.setattr(orientation, "_cost", lambda _, query, given: 1.0 if "gene_response" in query else 1e9)
    driver = filled.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    rows = "SELECT gene_symbol, log2_fc FROM condition_effect WHERE"
    orientation.require_quick(driver, f"{rows} dataset = 'screen' AND p_adj < 0.01", None)
    with pytest.raises(QueryError, match="ask gene_response,"):
        orientation.require_quick(driver, f"{rows} dataset = 'screen' AND gene_symbol IN ('GENE77')", None)
