"""Databases of earlier revisions come to the newest with their rows, and go back."""

from __future__ import annotations

from pathlib import Path

import made
from loads import value

from pbdb.common.settings import Settings
from pbdb.database import schema
from pbdb.server import connect

ROWS = {
    # Columns that were renamed by either name.
    "sample": "t::text",
    "gene_effect": "t::text",
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
