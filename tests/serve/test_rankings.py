"""The functions that pages rank by say what the views say, in the database and in a snapshot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pbdb.common.settings import Settings
from pbdb.serve import findings
from pbdb.serve.place import Place
from pbdb.serve.site import Site
from pbdb.server import connect

GENE = "ENSG00000100292"


def asked(place: Place, query: str, **given: Any) -> list[dict[str, Any]]:
    with place.reading(60) as reading:
        return reading.ask(query, given)


@pytest.fixture(scope="module")
def response(place: Place) -> list[dict[str, Any]]:
    """Every row of the gene, strongest first: significant before others, then by fold change."""
    rows = asked(place, "SELECT * FROM gene_response WHERE gene_id = %(gene)s", gene=GENE)
    return sorted(rows, key=lambda row: (row["p_adj"] > 0.05, -abs(row["log2_fc"]), row["effect_id"]))


@pytest.mark.parametrize("gene", [GENE, "HMOX1"])
def test_strongest_conditions_are_the_first_of_the_view(
    place: Place, response: list[dict[str, Any]], gene: str
) -> None:
    found = asked(place, "SELECT * FROM strongest_conditions(%(gene)s::text, 40)", gene=gene)
    names = ("effect_id", "condition_id", "dataset", "compound_name", "context", "dose_um", "log2_fc", "p_adj")
    assert [[row[n] for n in names] for row in found] == [[row[n] for n in names] for row in response[:40]]


@pytest.mark.parametrize(
    ("chosen", "holds"),
    [
        ("direction := 'up'", lambda row: row["log2_fc"] > 0),
        ("direction := 'down'", lambda row: row["log2_fc"] < 0),
        ("of_datasets := ARRAY['screen_two']", lambda row: row["dataset"] == "screen_two"),
        ("of_contexts := ARRAY['A549']", lambda row: row["context_name"] == "A549"),
        ("of_contexts := ARRAY['CVCL:0042']", lambda row: row["context"] == "CVCL:0042"),
        ("of_compounds := ARRAY['bortezomib']", lambda row: row["compound_name"] == "bortezomib"),
    ],
)
def test_strongest_conditions_of_a_part(place: Place, response: list[dict[str, Any]], chosen: str, holds: Any) -> None:
    found = asked(place, f"SELECT effect_id FROM strongest_conditions('{GENE}', n := 10000, {chosen})")
    assert [row["effect_id"] for row in found] == [row["effect_id"] for row in response if holds(row)] != []


@pytest.mark.parametrize(
    ("chosen", "holds"),
    [
        ("", lambda row: True),
        (", of_datasets := ARRAY['screen_two']", lambda row: row["dataset"] == "screen_two"),
        (", of_contexts := ARRAY['A549']", lambda row: row["context_name"] == "A549"),
        (", of_contexts := ARRAY['CVCL:0042']", lambda row: row["context"] == "CVCL:0042"),
    ],
)
def test_responses_of_compounds_are_those_of_the_view(
    place: Place, response: list[dict[str, Any]], chosen: str, holds: Any
) -> None:
    compounds = ["bortezomib", "vorinostat"]
    found = asked(place, f"SELECT * FROM compound_responses('{GENE}', %(c)s::text[]{chosen})", c=compounds)
    expected = [row for row in response if row["compound_name"] in compounds and holds(row)]
    order = ("compound_name", "dataset", "context", "time_h", "dose_um", "effect_id")
    expected.sort(key=lambda row: [row[name] for name in order])
    names = (*order, "condition_id", "inchikey", "gene_symbol", "log2_fc", "se", "p_adj")
    assert [[row[n] for n in names] for row in found] == [[row[n] for n in names] for row in expected] != []


def test_strongest_conditions_go_on_with_what_is_not_significant(place: Place, response: list[dict[str, Any]]) -> None:
    n = sum(row["p_adj"] <= 0.05 for row in response)
    assert 0 < n < len(response)
    for most in (n - 1, n, n + 1, len(response) + 1):
        found = asked(place, f"SELECT effect_id FROM strongest_conditions('{GENE}', {most})")
        assert [row["effect_id"] for row in found] == [row["effect_id"] for row in response[:most]]


def test_gene_counts_count_the_view(place: Place, response: list[dict[str, Any]]) -> None:
    for row in asked(place, f"SELECT * FROM gene_counts('{GENE}')"):
        own = [r for r in response if (r["dataset"], r["context"]) == (row["dataset"], row["context"])]
        moved = [r["log2_fc"] for r in own if r["p_adj"] <= 0.05]
        expected = (len(own), sum(fold > 0 for fold in moved), sum(fold < 0 for fold in moved))
        assert (row["n_conditions"], row["n_up"], row["n_down"]) == expected
    assert len(response) == sum(r["n_conditions"] for r in asked(place, "SELECT * FROM gene_counts('HMOX1')"))


def test_an_unknown_gene_has_no_rows(place: Place) -> None:
    assert asked(place, "SELECT * FROM strongest_conditions('none')") == []
    assert asked(place, "SELECT * FROM gene_counts('none')") == []
    assert asked(place, "SELECT * FROM compound_responses('none', ARRAY['bortezomib'])") == []


def test_an_unknown_compound_has_no_responses(place: Place) -> None:
    assert asked(place, f"SELECT * FROM compound_responses('{GENE}', ARRAY['none'])") == []


def test_neighbours_leave_the_effect_out_and_come_in_order(place: Place) -> None:
    (one,) = asked(place, "SELECT min(effect_id) AS e FROM effect WHERE is_default AND status = 'ok'")
    for opposite, sign in (("false", 1), ("true", -1)):
        found = asked(place, f"SELECT * FROM neighbours(%(e)s::bigint, n := 15, opposite := {opposite})", **one)
        values = [sign * row["similarity"] for row in found]
        assert len(found) == 15
        assert values == sorted(values, reverse=True)
        assert one["e"] not in [row["effect_id"] for row in found]


def test_the_floor_lies_where_few_pairs_reach(place: Place) -> None:
    low, floor, high = (
        asked(place, f"SELECT similarity_floor({share}, 60) AS f")[0]["f"] for share in (0.05, 0.95, 1.0)
    )
    assert -1 < low < 0 < floor < high <= 1


@pytest.mark.parametrize("most", [5, 45, 10_000])
def test_a_gene_page_ranks_each_direction_as_if_asked_alone(
    place: Place, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Whether or not the strongest conditions of both directions hold enough of each."""
    monkeypatch.setattr(findings, "MOST_RANKED", most)
    with place.reading(60) as reading:
        moved = findings._moved(Site(place, {}), reading, {"gene": GENE})
    for way, found in moved.items():
        alone = asked(place, f"SELECT effect_id FROM strongest_conditions('{GENE}', 40, '{way}')")
        shown = found[: findings.MOST_SHOWN]
        assert {row["effect_id"] for row in shown} == {row["effect_id"] for row in alone} != set()
        assert [findings._strength(row) for row in found] == sorted(map(findings._strength, found))


def test_neighbours_of_others_are_neighbours_but_for_the_compound_itself(place: Place) -> None:
    (one,) = asked(
        place, "SELECT * FROM effect WHERE status = 'ok' AND inchikey IS NOT NULL ORDER BY n_up DESC LIMIT 1"
    )
    query = """
    SELECT s.effect_id, e.parent_inchikey FROM neighbours(%(e)s::bigint, 10000, of_others := {}) s
    JOIN effect e ON e.effect_id = s.effect_id ORDER BY s.similarity DESC, s.effect_id"""
    every, others = (asked(place, query.format(of), e=one["effect_id"]) for of in ("false", "true"))
    assert others == [row for row in every if row["parent_inchikey"] != one["parent_inchikey"]]
    assert 0 < len(others) < len(every)


def test_a_compound_without_a_known_parent_is_none_of_its_others(demo: tuple[Settings, Path]) -> None:
    of_compound = "SELECT effect_id FROM pbdb.effect WHERE compound_name = 'bortezomib' AND status = 'ok'"
    with connect.connect(demo[0]) as connection:
        connection.execute("UPDATE core.compound SET parent_inchikey = NULL WHERE name = 'bortezomib'")
        own = {row[0] for row in connection.execute(of_compound)}
        found = connection.execute("SELECT effect_id FROM pbdb.neighbours(%s, 10000, of_others := true)", [min(own)])
        others = {row[0] for row in found}
        connection.rollback()
    assert own
    assert others
    assert own.isdisjoint(others)


def test_fingerprints_are_compared_as_the_function_does(place: Place) -> None:
    known = Site(place, {}).fingerprints
    for (key,) in (row.values() for row in asked(place, "SELECT inchikey FROM compound WHERE inchikey IS NOT NULL")):
        found = known.like(key, 5)
        expected = asked(place, "SELECT * FROM similar_compounds(%(key)s::text, 5)", key=key)
        assert [row["inchikey"] for row in found] == [row["inchikey"] for row in expected]
        assert [row["tanimoto"] for row in found] == pytest.approx([row["tanimoto"] for row in expected])
    assert known.like("none", 5) == []
