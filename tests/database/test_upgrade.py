"""Databases of earlier revisions come to the newest with their rows, and go back."""

from __future__ import annotations

from pathlib import Path

import made
from loads import query, value
from rows import add_genes, add_world

from pbdb.common.settings import Settings
from pbdb.database import schema
from pbdb.query import signature_index, signature_search
from pbdb.server import connect

ROWS = {
    # Columns that were renamed by either name.
    "sample": "t::text",
    "gene_effect": "(t.gene_key, t.fit_id, t.log2_fc, t.se, t.neg_log10_p_adj)::text",
    "effect": "(t.effect_id, t.fit_id, t.condition_id, t.status, t.n_up, t.log2_fc, t.se)::text"
    " || coalesce(to_jsonb(t) ->> 'landmark_t', to_jsonb(t) ->> 'landmark', '')"
    " || coalesce(to_jsonb(t) ->> 'n_vehicle', to_jsonb(t) ->> 'n_control')",
}


def _rows(settings: Settings) -> dict[str, str]:
    query = "SELECT count(*) || ' ' || md5(string_agg({0}, '|' ORDER BY {0})) FROM core.{1} t"
    return {table: value(settings, query.format(row, table)) for table, row in ROWS.items()}


def test_partitions_by_dataset_become_generations_with_their_rows(database: Settings, tmp_path: Path) -> None:
    made.load(database, made.write(tmp_path / "release"))
    engine = connect.engine(database)
    before = _rows(database)
    schema.downgrade(engine, "0003")
    parents = (
        "SELECT count(*) FROM pg_partitioned_table t JOIN pg_class c ON c.oid = partrelid WHERE relnamespace = '{}'"
    )
    assert value(database, parents.format("core") + "::regnamespace") == 3
    with engine.begin() as connection:  # what a killed load of that version left
        connection.exec_driver_sql("CREATE TABLE part.effect_made_0123abcd (LIKE core.effect)")
    assert _rows(database) == before
    schema.upgrade(engine)
    assert _rows(database) == before
    assert schema.check(engine) == []
    assert value(database, "SELECT count(*) FROM pg_class WHERE relname = 'effect_made_0123abcd'") == 0
    assert made.load(database, tmp_path / "release", force=True)["changed"]
    assert value(database, "SELECT count(*) FROM core.generation") == 1


def test_signatures_of_stored_effects_are_found_after_the_upgrade(database: Settings) -> None:
    engine = connect.engine(database)
    vectors = {161: str([1.0, 2.0] * 489), 261: str([1.0, 3.0] * 489)}
    with engine.begin() as connection:
        add_genes(connection)
        for base in (100, 200):
            add_world(connection, base, f"dataset_{base}")
    schema.downgrade(engine, "0008")
    with engine.begin() as connection:
        for effect, vector in vectors.items():
            connection.exec_driver_sql(
                f"UPDATE part.effect SET landmark_t = '{vector}', n_landmarks = 978 WHERE effect_id = {effect}"
            )
        (partition,) = connection.exec_driver_sql("SELECT tableoid::regclass FROM part.effect LIMIT 1").scalars()
        connection.exec_driver_sql(f"CREATE INDEX ON {partition} USING hnsw (landmark_t public.halfvec_cosine_ops)")
    schema.upgrade(engine)
    assert schema.check(engine) == []
    assert query(database, "SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%hnsw%'") == [(0,)]
    kept = "SELECT s.effect_id, s.n_landmarks, s.landmark_t = e.landmark_t FROM core.signature s JOIN core.effect e"
    assert query(database, f"{kept} USING (effect_id) ORDER BY 1") == [(161, 978, True), (261, 978, True)]
    found = signature_search.like_effect(database, 161)
    assert [row["effect_id"] for row in found] == [261]
    assert signature_index.build(engine).n_signatures == 2
    assert signature_search.like_effect(database, 161) == found
