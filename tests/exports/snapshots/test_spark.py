"""The effects of a snapshot as other engines read them: DuckDB and Spark see the same rows."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest
from export_releases import Releases
from loads import query

# The same words in both engines, but for the sum over a list and the hash of text.
QUERIES = {
    "columns of folders": "SELECT dataset, context, count(*) AS n, count(log2_fc) AS n_ok FROM effect"
    " GROUP BY dataset, context ORDER BY dataset, context",
    "values of one condition": "SELECT condition_id, dose_um, time_h, status, log2_fc, se, neg_log10_p FROM effect"
    " WHERE dataset = 'first' AND context = 'CVCL:0001' AND compound_name = 'vorinostat' ORDER BY condition_id",
    "counts": "SELECT compound_name, sum(n_up) AS up, sum(n_treated) AS wells, max(n_genes) AS genes FROM effect"
    " GROUP BY compound_name ORDER BY compound_name",
    "with another table": "SELECT e.dataset, d.license, count(*) AS n FROM effect e JOIN dataset d"
    " ON d.dataset = e.dataset GROUP BY e.dataset, d.license ORDER BY e.dataset",
}


@pytest.fixture(scope="module")
def by_spark(spark: Any, releases: Releases) -> Any:
    """Spark with the snapshot's effects and datasets as views."""
    spark.read.parquet(str(releases.second / "effect")).createOrReplaceTempView("effect")
    spark.read.parquet(str(releases.second / "view" / "dataset.parquet")).createOrReplaceTempView("dataset")
    return spark


@pytest.mark.parametrize("statement", QUERIES.values(), ids=QUERIES)
def test_spark_and_duckdb_read_the_same(by_spark: Any, releases: Releases, statement: str) -> None:
    with duckdb.connect() as connection:
        files = f"{releases.second}/effect/**/*.parquet"
        connection.execute(f"CREATE VIEW effect AS FROM read_parquet('{files}', hive_partitioning = true)")
        connection.execute(f"CREATE VIEW dataset AS FROM '{releases.second}/view/dataset.parquet'")
        expected = connection.execute(statement).fetchall()
    found = [tuple(row) for row in by_spark.sql(statement).collect()]
    assert len(found) > 0 and found == expected


def test_spark_prunes_by_the_names_of_folders(by_spark: Any) -> None:
    asked = by_spark.sql("SELECT effect_id FROM effect WHERE dataset = 'third' AND context = 'CVCL:0002'")
    (plan,) = by_spark.sql("EXPLAIN EXTENDED SELECT effect_id FROM effect WHERE dataset = 'third'").first()
    assert "PartitionFilters: [isnotnull(dataset" in plan
    assert asked.count() == 8


def test_a_gene_over_all_conditions_by_its_place_in_the_lists(by_spark: Any, releases: Releases) -> None:
    """Lists stand in the order of the fit's feature set, whose table is read beside them."""
    by_spark.read.parquet(str(releases.second / "core" / "feature_set.parquet")).createOrReplaceTempView("feature_set")
    found = by_spark.sql(
        "SELECT e.effect_id, e.log2_fc[cast(array_position(f.gene_keys, 900003) AS int) - 1] AS log2_fc"
        " FROM effect e JOIN feature_set f USING (feature_set_id) WHERE e.status = 'ok' ORDER BY e.effect_id"
    ).collect()
    expected = query(
        releases.settings,
        "SELECT effect_id, log2_fc FROM pbdb.gene_response WHERE gene_id = 'ENSG00000900003' ORDER BY effect_id",
    )
    assert [tuple(row) for row in found] == [(key, pytest.approx(value)) for key, value in expected]
