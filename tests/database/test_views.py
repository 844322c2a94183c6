"""What the views show of rows made by hand (tests/rows.py)."""

from __future__ import annotations

from typing import Any

import pytest
from rows import add_genes, add_world, insert
from sqlalchemy import Connection, text


@pytest.fixture
def world(connection: Connection) -> Connection:
    """Genes, and one dataset whose keys start at 1000."""
    add_genes(connection)
    add_world(connection, 1000, "one", is_redistributable=True)
    return connection


def rows(connection: Connection, query: str, **parameters: object) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(text(query), parameters).mappings()]


def test_condition_effect_is_long_and_leaves_out_genes_that_could_not_be_estimated(world: Connection) -> None:
    found = rows(world, "SELECT * FROM pbdb.condition_effect ORDER BY gene_symbol")
    assert [row["gene_symbol"] for row in found] == ["HMOX1", "TP53"]
    assert found[0] == {
        "dataset": "one",
        "method": "voom",
        "mode": "pooled",
        "effect_id": 1061,
        "condition_id": 1032,
        "compound_name": "vorinostat",
        "source_compound_name": "SAHA",
        "inchikey": "WAE",
        "parent_inchikey": None,
        "context": "CVCL:0001",
        "context_name": "CVCL:0001",
        "dose_um": 1.0,
        "time_h": 24.0,
        "stratum": None,
        "gene_id": "ENSG00000000001",
        "gene_symbol": "HMOX1",
        "log2_fc": 1.5,
        "se": 0.5,
        "t": 3.0,
        "p_value": pytest.approx(1e-3),
        "p_adj": pytest.approx(1e-2),
        "p_value_limma": None,
        "p_adj_limma": None,
    }


def test_gene_response_has_the_rows_of_condition_effect(world: Connection) -> None:
    """Every column but limma's p values, which the gene-major copy does not hold."""
    by_gene = rows(world, "SELECT * FROM pbdb.gene_response ORDER BY gene_id")
    by_effect = rows(world, "SELECT * FROM pbdb.condition_effect ORDER BY gene_id")
    assert by_gene == [{name: value for name, value in row.items() if not name.endswith("_limma")} for row in by_effect]


@pytest.mark.parametrize("compound", ["vorinostat", "VORINOSTAT", "saha", "WAE"])
def test_dose_response_knows_a_compound_by_any_of_its_names(world: Connection, compound: str) -> None:
    found = rows(world, "SELECT effect_id, log2_fc FROM pbdb.dose_response(:compound, 'HMOX1')", compound=compound)
    assert found == [{"effect_id": 1061, "log2_fc": 1.5}]
    assert rows(world, "SELECT * FROM pbdb.dose_response('ethanol', 'HMOX1')") == []


def test_p_values_below_the_smallest_double_are_zero(world: Connection) -> None:
    found = rows(world, "SELECT p_value, p_adj, t FROM pbdb.condition_effect WHERE gene_symbol = 'TP53'")
    assert found == [{"p_value": 0.0, "p_adj": 0.0, "t": -8.0}]


@pytest.mark.parametrize(("given", "p"), [("3", 1e-3), ("307", 1e-307), ("308", 0.0), ("Infinity", 0.0), ("0", 1.0)])
def test_p_value(connection: Connection, given: str, p: float) -> None:
    assert connection.execute(text("SELECT pbdb.p_value(CAST(:x AS real))"), {"x": given}).scalar() == pytest.approx(p)


def test_p_value_of_nothing_is_nothing(connection: Connection) -> None:
    assert connection.execute(text("SELECT pbdb.p_value('NaN'), pbdb.p_value(NULL)")).one() == (None, None)


def test_only_the_default_fit_is_shown_in_long_views(world: Connection) -> None:
    world.exec_driver_sql("UPDATE core.fit SET is_default = false")
    assert rows(world, "SELECT FROM pbdb.condition_effect") == rows(world, "SELECT FROM pbdb.gene_response") == []


def test_effect_has_one_row_whatever_the_status(world: Connection) -> None:
    query = "SELECT effect_id, compound_name, status, n_up, is_stale FROM pbdb.effect WHERE mode = 'pooled' ORDER BY 1"
    assert [tuple(row.values()) for row in rows(world, query)] == [
        (1061, "vorinostat", "ok", None, False),
        (1062, "drug 1000", "no_sample", None, False),
    ]


def test_effect_shows_that_its_fit_is_stale(world: Connection) -> None:
    world.exec_driver_sql("UPDATE core.fit SET is_stale = true")
    assert {row["is_stale"] for row in rows(world, "SELECT is_stale FROM pbdb.effect")} == {True}


def test_replicate_effect_is_long_per_well(world: Connection) -> None:
    query = "SELECT sample_id, plate, gene_symbol, log2_fc FROM pbdb.replicate_effect ORDER BY 1, 3"
    assert [tuple(row.values()) for row in rows(world, query)] == [
        (sample, "plate 1000", gene, value)
        for sample in (1043, 1044)
        for gene, value in (("HMOX1", 1.5), ("TP53", -2.0))
    ]


def test_effect_sample_lists_treated_wells_and_vehicle(world: Connection) -> None:
    query = "SELECT role, source_sample FROM pbdb.effect_sample WHERE effect_id = :effect ORDER BY 2"
    vehicle = [("vehicle", "w1041"), ("vehicle", "w1042")]
    treated = [("treated", "w1043"), ("treated", "w1044")]
    assert [tuple(row.values()) for row in rows(world, query, effect=1061)] == vehicle + treated
    assert [tuple(row.values()) for row in rows(world, query, effect=1064)] == vehicle + treated[1:]


def test_effect_sample_takes_vehicle_of_the_same_time(world: Connection) -> None:
    world.exec_driver_sql("UPDATE core.sample SET time_h = 6 WHERE sample_id = 1041")
    query = "SELECT source_sample FROM pbdb.effect_sample WHERE effect_id = 1061 AND role = 'vehicle'"
    assert rows(world, query) == [{"source_sample": "w1042"}]


def test_condition_speaks_in_words(world: Connection) -> None:
    columns = "compound_name, source_compound_name, inchikey, context, dose_um, is_vehicle"
    found = rows(world, f"SELECT {columns} FROM pbdb.condition ORDER BY condition_id")
    assert [tuple(row.values()) for row in found] == [
        ("DMSO", "DMSO", None, "CVCL:0001", 0.0, True),
        ("vorinostat", "SAHA", "WAE", "CVCL:0001", 1.0, False),
        ("drug 1000", "X", "KEY1000", "CVCL:0001", 10.0, False),
        ("drug 1000", "X", "KEY1000", "CVCL:1000", 1.0, False),
    ]


def test_sample_says_why_it_is_in_no_fit(world: Connection) -> None:
    query = "SELECT source_sample, compound_name, dose_um, flags FROM pbdb.sample WHERE NOT in_fit"
    assert rows(world, query) == [
        {"source_sample": "w1045", "compound_name": "drug 1000", "dose_um": 10.0, "flags": ["low_counts"]}
    ]


def test_fit_gene_tells_filtered_from_tested(world: Connection) -> None:
    query = "SELECT gene_symbol, tested, ave_expr, sigma FROM pbdb.fit_gene WHERE fit_id = 1051 ORDER BY gene_id"
    assert [tuple(row.values()) for row in rows(world, query)] == [
        ("HMOX1", True, 5.0, 0.5),
        ("HSPA6", True, 4.0, None),
        ("TP53", True, None, 0.25),
        ("CRYAB", False, None, None),
    ]


def test_fit_counts_effects_and_genes(world: Connection) -> None:
    found = rows(world, "SELECT mode, is_default, n_effects, n_genes FROM pbdb.fit ORDER BY fit_id")
    assert [tuple(row.values()) for row in found] == [("pooled", True, 1, 3), ("replicate", False, 2, 3)]


def test_coverage_counts_by_dataset_and_context(world: Connection) -> None:
    columns = """context, n_compounds, n_conditions, n_samples, n_vehicle, n_effects, n_genes, min_dose_um, max_dose_um,
        min_time_h, max_time_h"""
    found = rows(world, f"SELECT {columns} FROM pbdb.coverage ORDER BY context")
    assert [tuple(row.values()) for row in found] == [
        ("CVCL:0001", 2, 2, 6, 2, 1, 3, 1.0, 10.0, 24.0, 24.0),
        ("CVCL:1000", 1, 1, 2, 0, None, None, 1.0, 1.0, 24.0, 24.0),
    ]


def test_dataset_says_how_it_was_measured_and_what_it_allows(world: Connection) -> None:
    columns = "dataset, technology, readout, license, citation, access, is_redistributable"
    assert rows(world, f"SELECT {columns} FROM pbdb.dataset") == [
        dict(zip(columns.split(", "), ("one", "DRUG-seq", "counts", "one", "one", "open", True), strict=True))
    ]


@pytest.mark.parametrize(
    ("view", "before", "now"),
    [
        ("dataset", "licence", "license"),
        ("fit", "n_control", "n_vehicle"),
        ("effect", "n_control", "n_vehicle"),
        ("further_effect", "n_control_same_plates", "n_vehicle_same_plates"),
        ("coverage", "n_control", "n_vehicle"),
        ("compendium", "n_control", "n_vehicle"),
    ],
)
def test_a_renamed_column_stays_beside_the_new_one(world: Connection, view: str, before: str, now: str) -> None:
    values = rows(world, f"SELECT {before} AS before, {now} AS now FROM pbdb.{view}")
    assert values and all(row["before"] == row["now"] is not None for row in values)
    words = """SELECT col_description(attrelid, attnum) AS words FROM pg_attribute
        WHERE attrelid = CAST(:view AS regclass) AND attname = :before"""
    (said,) = rows(world, words, view=f"pbdb.{view}", before=before)
    assert said["words"] == f"old name of {now}, to be removed"


def test_compound_names_follow_the_preferred_name(world: Connection) -> None:
    world.exec_driver_sql("UPDATE core.compound SET name = 'zolinza' WHERE compound_id = 1")
    world.exec_driver_sql("UPDATE core.source_compound SET compound_name = 'wrong' WHERE source_compound_id = 1010")
    world.exec_driver_sql("UPDATE core.source_compound SET compound_id = NULL WHERE source_compound_id = 1012")
    found = rows(world, "SELECT DISTINCT compound_name FROM pbdb.condition ORDER BY 1")
    assert [row["compound_name"] for row in found] == ["DMSO", "X", "zolinza"]


def test_a_compound_is_found_by_any_alias_in_any_case(world: Connection) -> None:
    def names(alias: str) -> list[tuple[str, bool]]:
        found = rows(world, "SELECT compound_name, is_exact FROM pbdb.find_compound(:alias)", alias=alias)
        return [tuple(row.values()) for row in found]

    assert names("saha") == names("WAE") == names("Vorinostat") == [("vorinostat", True)]
    assert names("drug") == [("drug 1000", False)]
    assert names("dmso") == [("DMSO", True)]
    assert names("nothing") == []


def test_annotation_stands_at_the_level_of_the_parent(world: Connection) -> None:
    world.exec_driver_sql("UPDATE core.compound SET parent_inchikey = 'PARENT' WHERE compound_id = 1000")
    assert rows(world, "SELECT compound_name, parent_inchikey, kind, value FROM pbdb.compound_annotation") == [
        {"compound_name": "drug 1000", "parent_inchikey": "PARENT", "kind": "moa", "value": "moa of 1000"}
    ]
    assert rows(world, "SELECT * FROM pbdb.mechanism") == [
        {"compound_name": "drug 1000", "parent_inchikey": "PARENT", "mechanism": "moa of 1000", "n_statements": 1}
    ]


def test_replaced_compounds_are_not_shown(world: Connection) -> None:
    insert(world, "compound", {"compound_id": 2, "inchikey": "OLD", "name": "old", "replaced_by": 1})
    assert rows(world, "SELECT FROM pbdb.compound WHERE inchikey = 'OLD'") == []
    assert rows(world, "SELECT FROM pbdb.compound_alias WHERE inchikey = 'OLD'") == []


def test_same_columns_have_the_same_words_in_all_views(connection: Connection) -> None:
    """Except for general words, whose meaning is that of the row they stand in."""
    query = """SELECT attname, count(DISTINCT col_description(c.oid, attnum)) FROM pg_class c
        JOIN pg_attribute ON attrelid = c.oid WHERE relnamespace = 'pbdb'::regnamespace AND relkind = 'v' AND attnum > 0
        GROUP BY 1 HAVING count(DISTINCT col_description(c.oid, attnum)) > 1 ORDER BY 1"""
    general = {"dataset", "kind", "status", "value", "n_samples", "n_vehicle", "n_genes", "n_compounds", "compound_id"}
    assert {row["attname"] for row in rows(connection, query)} <= general
