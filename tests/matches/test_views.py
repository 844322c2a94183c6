"""Matched conditions gene by gene, in two orientations."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rows import add_genes, add_match, add_world
from sqlalchemy import Connection, Engine, text

OTHER_GENES = "UPDATE core.feature_set SET gene_keys = '{4,3,1}' WHERE feature_set_id = 3050"


@pytest.fixture
def world(engine: Engine) -> Iterator[Connection]:
    """Two datasets with vorinostat at 1 uM, matched; gene 2 is NaN in both."""
    with engine.begin() as connection:
        add_genes(connection)
        add_world(connection, 1000, "one")
        add_world(connection, 3000, "two")
        add_match(connection, 1000, 3000)
    with engine.connect() as connection:
        yield connection


def shown(connection: Connection, view: str) -> list[tuple[object, ...]]:
    query = f"""SELECT gene_symbol, log2_fc_a, t_a, p_adj_a, log2_fc_b, t_b, p_adj_b, same_direction
        FROM pbdb.{view} ORDER BY gene_symbol"""
    return [tuple(row) for row in connection.execute(text(query))]


def test_a_match_shows_the_genes_both_sides_estimate(world: Connection) -> None:
    hmox1 = ("HMOX1", 1.5, 3.0, pytest.approx(0.01), 1.5, 3.0, pytest.approx(0.01), True)
    tp53 = ("TP53", -2.0, -8.0, 0.0, -2.0, -8.0, 0.0, True)
    assert shown(world, "matched_effect") == [hmox1, tp53]


def test_genes_pair_by_key_where_two_fits_test_others(world: Connection) -> None:
    world.execute(text(OTHER_GENES))
    hmox1, tp53 = shown(world, "matched_effect")[0], shown(world, "matched_effect")[-1]
    assert (hmox1[1], hmox1[4], hmox1[7]) == (1.5, -2.0, False)
    assert len(shown(world, "matched_effect")) == 1 and hmox1 == tp53


def test_both_orientations_have_the_same_rows(world: Connection) -> None:
    columns = list(world.execute(text("SELECT * FROM pbdb.matched_effect")).keys())
    by_effect, by_gene = (
        world.execute(text(f"SELECT * FROM pbdb.{view} ORDER BY gene_id")).all()
        for view in ("matched_effect", "matched_gene")
    )
    assert by_effect == by_gene and len(by_gene) == 2
    assert list(world.execute(text("SELECT * FROM pbdb.matched_gene")).keys()) == columns


def test_equal_and_unequal_gene_sets_pair_alike(world: Connection) -> None:
    arrays = "'{1,2}', '{1,2}'::real[], '{1,1}'::real[], '{3,3}'::real[]"
    turned = "'{2,1}', '{2,1}'::real[], '{1,1}'::real[], '{3,3}'::real[]"
    found = [
        world.execute(text(f"SELECT * FROM pbdb.pair_genes({arrays}, {other}) ORDER BY gene_key")).all()
        for other in (arrays, turned)
    ]
    assert found[0] == found[1] == [(1, 1, 1, 3, 1, 1, 3), (2, 2, 1, 3, 2, 1, 3)]


def test_one_match_reads_its_two_effects_by_index(world: Connection) -> None:
    world.execute(text("SET LOCAL enable_seqscan = off"))
    plan = world.execute(text("EXPLAIN SELECT * FROM pbdb.matched_effect WHERE match_id = 3000000")).scalars().all()
    assert not [line for line in plan if "Seq Scan on effect" in line]


@pytest.mark.parametrize(
    ("query", "unread"),
    [
        (
            "SELECT dataset_a, count(*) FROM pbdb.matched_condition GROUP BY 1",
            {"condition", "context", "source_compound"},
        ),
        ("SELECT avg(log2_fc_a) FROM pbdb.matched_gene WHERE gene_symbol = 'TP53'", {"condition", "context", "match"}),
        ("SELECT avg(score) FROM pbdb.agreement WHERE metric = 'direction'", {"context", "source_compound"}),
    ],
)
def test_a_query_reads_no_table_whose_columns_it_does_not_ask_for(
    world: Connection, query: str, unread: set[str]
) -> None:
    plan = "\n".join(world.execute(text(f"EXPLAIN {query}")).scalars())
    assert [table for table in unread if f" on {table} " in plan] == []
