"""What is asked of the database can be asked of its snapshot, by the same names and with the same answers."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from snapshots import FINGERPRINT, in_duckdb, in_postgres, ordered

import pbdb
from pbdb.common.errors import QueryError
from pbdb.common.settings import Settings
from pbdb.database import views
from pbdb.exports.snapshots import arrow_schemas, reader

Shared = tuple[Settings, Path]
VIEWS = sorted(
    name for file in views.files() for name in re.findall(r"^CREATE VIEW pbdb\.(\w+)", file.read_text(), re.M)
)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_has_the_columns_and_the_rows_that_may_be_passed_on(shared_release: Shared, view: str) -> None:
    settings, folder = shared_release
    query = f"SELECT * FROM pbdb.{view}"
    found, expected = in_duckdb(folder, query), in_postgres(settings, query)
    assert ordered(found) == ordered(expected)
    assert [*map(list, found[:1])] == [*map(list, expected[:1])]


def test_every_column_of_every_view_has_its_words(shared_release: Shared) -> None:
    described = "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE schema_name = 'main'"
    rows = [row for row in in_duckdb(shared_release[1], described) if row["table_name"] in VIEWS]
    assert {row["table_name"] for row in rows} == set(VIEWS)
    assert [row for row in rows if not row["comment"]] == []


def test_what_duckdb_words_in_its_own_way_stands_in_place_of_a_file_of_sql() -> None:
    own = {path.name for path in (views.files()[0].parent / "duckdb").glob("*.sql")}
    assert own and own <= {path.name for path in views.files()}


@pytest.mark.parametrize(
    "call",
    [
        "pbdb.find_compound('SAHA')",
        "pbdb.find_compound('drug')",
        "pbdb.similar_compounds('WAE')",
        "pbdb.similar_compounds('KEY100', 1)",
    ],
)
def test_functions_answer_alike(shared_release: Shared, call: str) -> None:
    settings, folder = shared_release
    assert in_duckdb(folder, f"SELECT * FROM {call}") == in_postgres(settings, f"SELECT * FROM {call}")


def test_structures_are_found_by_fingerprint(shared_release: Shared) -> None:
    settings, folder = shared_release
    found = in_duckdb(folder, f"SELECT * FROM pbdb.similar_structures('{FINGERPRINT}'::BIT)")
    assert found == in_postgres(settings, f"SELECT * FROM pbdb.similar_structures(B'{FINGERPRINT}')")
    assert {row["tanimoto"] for row in found} == {1.0}


@pytest.mark.parametrize("view", ["condition_effect", "replicate_effect"])
def test_arrays_of_an_effect_are_unnested_and_not_copied_for_each_gene(shared_release: Shared, view: str) -> None:
    """Above the unnesting stands no join with genes, which would take time by the square of their number."""
    with reader.Snapshot(shared_release[1]) as snapshot:
        plan = str(snapshot.sql(f"EXPLAIN SELECT gene_id, log2_fc FROM {view} WHERE effect_id = 1").iloc[0, 1])
    above, below = plan.upper().split("UNNEST", 1)
    assert "JOIN" in below and "FEATURE_SET" not in above


@pytest.mark.parametrize("n", [0, 1, 3])
def test_effects_are_asked_for_by_a_list(shared_release: Shared, n: int) -> None:
    query = "SELECT effect_id, gene_id, log2_fc FROM pbdb.condition_effect WHERE effect_id = ANY(%(ids)s) ORDER BY ALL"
    with reader.Snapshot(shared_release[1]) as snapshot:
        ids = snapshot.sql("SELECT effect_id FROM effect WHERE status = 'ok' ORDER BY effect_id")["effect_id"].tolist()
        found = snapshot.sql(query, {"ids": ids[:n]})
    assert found["effect_id"].unique().tolist() == ids[:n]


@pytest.mark.parametrize("kind", [list, set, np.array, pd.Series, pd.Index, lambda ids: [np.int64(one) for one in ids]])
def test_values_may_be_arrays_and_columns_on_database_and_snapshot(shared_release: Shared, kind: Any) -> None:
    settings, folder = shared_release
    query = "SELECT effect_id FROM pbdb.effect WHERE effect_id = ANY(%(ids)s) AND effect_id >= %(least)s ORDER BY 1"
    for place in (pbdb.connect(settings), pbdb.connect(folder)):
        ids = place.sql("SELECT effect_id FROM pbdb.effect WHERE mode = 'pooled' ORDER BY 1 LIMIT 3")["effect_id"]
        found = place.sql(query, {"ids": kind(ids.tolist()), "least": ids[1]})
        assert found["effect_id"].tolist() == ids.tolist()[1:]


@pytest.mark.parametrize(("opposite", "similarity"), [(False, 1.0), (True, -1.0)])
def test_signatures_are_found_by_landmarks(shared_release: Shared, opposite: bool, similarity: float) -> None:
    settings, folder = shared_release
    values = ", ".join(str((n % 7 - 3) * (-1 if opposite else 1)) for n in range(978))
    more = f"of_datasets => ARRAY['open_a', 'open_b'], opposite => {opposite}, n => 5"
    found = in_duckdb(folder, f"SELECT * FROM pbdb.similar_signatures([{values}], {more})")
    query = f"SELECT * FROM pbdb.similar_signatures('[{values}]'::halfvec, {more})"
    assert ordered(found) == ordered(in_postgres(settings, query))
    assert [round(row["similarity"], 5) for row in found] == [similarity] * 2


@pytest.mark.parametrize(
    "query",
    [
        "SELECT gene_symbol, log2_fc FROM condition_effect WHERE inchikey = 'WAE' AND dose_um = 1 ORDER BY log2_fc",
        "SELECT status, count(*) AS n FROM effect GROUP BY status ORDER BY status",
        "SELECT unnest(flags) AS flag, count(*) AS n FROM sample GROUP BY 1 ORDER BY 1",
        "SELECT avg(same_direction::int) AS share FROM matched_gene WHERE gene_symbol = 'HMOX1'",
        "SELECT attributes->>'note' AS note FROM sample WHERE attributes->>'note' IS NOT NULL",
        "SELECT compound_name, count(*) FILTER (WHERE p_adj < 0.05) AS n FROM gene_response GROUP BY 1 ORDER BY 1",
    ],
)
def test_a_query_written_for_one_runs_on_the_other(shared_release: Shared, query: str) -> None:
    settings, folder = shared_release
    assert in_duckdb(folder, query) == in_postgres(settings, query) != []


def test_long_files_hold_the_rows_of_condition_effect(shared_release: Shared) -> None:
    _, folder = shared_release
    names = (
        "dataset, context, effect_id, condition_id, compound_name, gene_id, gene_symbol, log2_fc, se, t, p_value, p_adj"
    )
    source = "read_parquet('effect_long/*/*/*.parquet', hive_types = {'dataset': VARCHAR, 'context': VARCHAR})"
    found = in_duckdb(folder, f"SELECT {names} FROM {source}")
    assert ordered(found) == ordered(in_duckdb(folder, f"SELECT {names} FROM condition_effect"))
    assert len(found) == 4


def test_files_carry_words_units_and_compression(shared_release: Shared) -> None:
    _, folder = shared_release
    for table in arrow_schemas.tables():
        schema = pq.read_schema(folder / "core" / f"{table.name}.parquet")
        assert schema.metadata[b"description"]
        assert [field.name for field in schema if b"description" not in field.metadata] == []
    assert pq.read_schema(folder / "core/condition.parquet").field("dose_um").metadata[b"unit"] == b"micromolar"
    (path, _) = sorted(folder.glob("effect/*/*/*.parquet"))
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"


def test_effect_files_have_one_row_per_condition_and_lists_over_genes(shared_release: Shared) -> None:
    _, folder = shared_release
    path = folder / "effect/dataset=open_a/context=CVCL%3A0001/151.parquet"
    rows = pq.ParquetFile(path).read().to_pylist()
    assert [row["status"] for row in rows] == ["ok", "no_sample"]
    assert rows[0]["log2_fc"][0] == 1.5 and rows[0]["neg_log10_p"][2] == 400.0 and rows[1]["log2_fc"] is None
    assert rows[0]["log2_fc"][1] != rows[0]["log2_fc"][1]  # NaN
    assert len(rows[0]["landmark_t"]) == 978 and rows[0]["compound_name"] == "vorinostat"
    further = pq.ParquetFile(folder / "further_effect/dataset=open_a/context=CVCL%3A0001/152.parquet").read()
    assert further["sample_id"].to_pylist() == [143, 144]


def test_views_stand_as_files_too(shared_release: Shared) -> None:
    settings, folder = shared_release
    found = pq.ParquetFile(folder / "view/matched_condition.parquet").read().to_pylist()
    assert ordered(found) == ordered(in_postgres(settings, "SELECT * FROM pbdb.matched_condition"))


def test_python_reads_a_snapshot_as_it_reads_the_database(shared_release: Shared) -> None:
    settings, folder = shared_release
    query = "SELECT * FROM pbdb.condition WHERE dataset = %(name)s ORDER BY condition_id"
    with pbdb.connect(folder) as found:
        pd.testing.assert_frame_equal(
            found.sql(query, {"name": "open_a"}), pbdb.connect(settings).sql(query, {"name": "open_a"})
        )
        for sign in ("%", "%%"):
            like = f"SELECT dataset FROM pbdb.dataset WHERE dataset LIKE '{sign}pen{sign}' AND dataset <> %(name)s"
            both = [one.sql(like, {"name": "open_a"})["dataset"].tolist() for one in (found, pbdb.connect(settings))]
            assert both == [["open_b"]] * 2
        with pytest.raises(QueryError, match=r"^DuckDB refused the query: .*nothing"):
            found.sql("SELECT * FROM nothing")
        with pytest.raises(QueryError, match=r"^No estimated effect fits"):
            found.signatures(dataset="closed")


@pytest.mark.parametrize("chosen", [{"dataset": "open_b"}, {"compound": "vorinostat", "context": "CVCL:0001"}])
def test_signatures_of_a_snapshot_are_those_of_the_database(shared_release: Shared, chosen: dict[str, str]) -> None:
    settings, folder = shared_release
    chosen = {"dataset": "open_a"} | chosen
    with pbdb.connect(folder) as opened:
        found, expected = opened.signatures(**chosen), pbdb.connect(settings).signatures(**chosen)
    pd.testing.assert_frame_equal(found.obs, expected.obs)
    pd.testing.assert_frame_equal(found.var, expected.var)
    for name in expected.layers:
        np.testing.assert_array_equal(found.layers[name], expected.layers[name])


def test_plain_duckdb_started_elsewhere_says_the_line_that_helps(
    shared_release: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, query = shared_release[1].absolute(), "SELECT count(*) FROM condition_effect"
    monkeypatch.chdir(tmp_path)
    # A copy: settings of one file are shared in a process, and other tests lock them.
    copy = shutil.copytree(folder, tmp_path / "moved")
    with duckdb.connect(copy / "pbdb.duckdb", read_only=True) as connection:
        with pytest.raises(duckdb.IOException, match=r"first say SET file_search_path = 'the folder of this"):
            connection.execute(query)
        connection.execute(f"SET file_search_path = '{copy}'")
        found = connection.execute(query).fetchall()
    assert found == [
        tuple(row.values()) for row in in_postgres(shared_release[0], query.replace("FROM ", "FROM pbdb."))
    ]
