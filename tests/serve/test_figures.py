"""Figures: dots that can be told apart, names that do not cover each other, heat maps in order."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

from pbdb.serve import figures
from pbdb.serve.rendering import TEMPLATES


def effect(n: int) -> list[dict[str, Any]]:
    draw = random.Random(n)
    rows = []
    for place in range(n):
        fold = draw.gauss(0, 1)
        p = 10 ** -abs(fold * 4 + draw.gauss(0, 0.2))
        names = {"gene_id": f"ENSG{place}", "gene_symbol": f"GENE{place}" if place % 5 else None}
        rows.append({**names, "log2_fc": fold, "p_adj": p if place % 7 else None})
    return rows


def test_all_that_is_significant_is_sent_and_of_the_rest_what_the_eye_tells_apart() -> None:
    rows = effect(15_000)
    found = figures.volcano(rows)["dots"]
    significant = {row["gene_id"] for row in rows if row["p_adj"] is not None and row["p_adj"] <= 0.05}
    assert {dot["id"] for dot in found if dot["way"] != "none"} == significant
    others = sum(row["p_adj"] is not None and row["p_adj"] > 0.05 for row in rows)
    assert 0 < sum(dot["way"] == "none" for dot in found) < others


def test_a_change_whose_p_value_is_too_small_to_write_is_the_surest_of_all() -> None:
    assert [figures.way(fold, 0.0) for fold in (1.0, -1.0)] == ["up", "down"]
    (dot,) = figures.volcano([{"gene_id": "ENSG1", "gene_symbol": None, "log2_fc": 1.0, "p_adj": 0.0}])["dots"]
    assert (dot["way"], dot["y"], dot["gene"]) == ("up", 300, "ENSG1")


def test_a_match_counts_what_changes_on_both_sides_the_same_way() -> None:
    sides = [(1.0, 0.01, 2.0, 0.04), (1.0, 0.01, -2.0, 0.01), (-1.0, 0.0, -1.0, 0.05), (3.0, 0.01, 1.0, None)]
    names = {"gene_id": "ENSG1", "gene_symbol": "A"}
    rows = [names | dict(zip(("log2_fc_a", "p_adj_a", "log2_fc_b", "p_adj_b"), side, strict=True)) for side in sides]
    found = figures.scatter([*rows, rows[0] | {"log2_fc_b": None}])
    assert (found["n_both"], [dot["way"] for dot in found["dots"]]) == (2, ["up", "none", "down", "none"])
    assert found["ends"] == [{"x": end, "y": end} for end in (-2.0, 3.0)]


def test_names_do_not_cover_each_other() -> None:
    named = figures.volcano(effect(3000))["named"]
    assert 5 < len(named) <= figures.NAMED_GENES
    for one, other in itertools.combinations(named, 2):
        letters = (len(one["gene"]) + len(other["gene"])) / 2
        assert abs(one["left"] - other["left"]) > 7 * letters or abs(one["low"] - other["low"]) > 12


def test_nothing_tested_is_an_empty_figure() -> None:
    assert figures.volcano([])["dots"] == figures.scatter([])["dots"] == []
    spec = TEMPLATES.get_template("figures.html").make_module({"root": ""}).volcano(figures.volcano([]))  # type: ignore[attr-defined]
    assert json.loads(spec)["layer"][0]["data"] == {"values": []}


def test_rows_and_columns_that_are_alike_are_neighbours() -> None:
    genes, columns = ["a", "x", "b", "y", "c", "z"], ["1", "5", "2", "6", "3", "7"]
    cells = [
        {"gene": gene, "column": column, "value": (1 if gene in "abc" else -1) * (1 if column < "4" else -1) + 0.01 * i}
        for i, (gene, column) in enumerate(itertools.product(genes, columns))
    ]
    found = figures.clustered(cells, "gene", "column", "value")
    for order, group in zip(found, ("abc", "123"), strict=True):
        places = sorted(order.index(name) for name in group)
        assert places in ([0, 1, 2], [3, 4, 5])
    assert [set(order) for order in found] == [set(genes), set(columns)]


def test_a_single_row_needs_no_order() -> None:
    cells = [{"gene": "a", "column": column, "value": None} for column in "xyz"]
    assert figures.clustered(cells, "gene", "column", "value")[0] == ["a"]


def points(*folds: float, compound: str = "x", way: str = "up") -> list[dict[str, Any]]:
    """Conditions of a compound that change a gene so much."""
    about = {"compound_name": compound, "dataset": "d", "cells": "A", "dose_um": 1.0, "time_h": 24.0, "way": way}
    return [about | {"log2_fc": fold, "se": 0.123456, "href": f"/{fold}", "p_adj": 0.01} for fold in folds]


def test_marks_that_lie_on_each_other_are_sent_once() -> None:
    close = [*points(0.0, 1.0, 1.001, 4.0), *points(1.002, compound="y"), *points(1.003, way="none")]
    assert [row["href"] for row in figures.strip(close)] == ["/0.0", "/1.0", "/4.0", "/1.002", "/1.003"]
    assert figures.strip([]) == []


def test_doses_are_all_sent_with_their_errors() -> None:
    shown = figures.doses([*points(1.0, 1.001), *points(2.0, compound="y")], ["x"])
    assert [(row["log2_fc"], row["se"]) for row in shown] == [(1.0, 0.1235), (1.001, 0.1235)]


def test_many_kinds_of_cells_have_a_line_each_and_no_legend() -> None:
    """A legend of fifty names is wider than any page, and makes the figure too small to see."""
    module = TEMPLATES.get_template("figures.html").make_module({"root": ""})
    for n, channel in ((6, "strokeDash"), (7, "detail")):
        rows = [{"cells": f"line {place}"} for place in range(n)]
        spec = json.loads(module.doses(rows, ["x"]))  # type: ignore[attr-defined]
        (encoding,) = (
            layer["encoding"] for layer in spec["spec"]["layer"][1]["layer"] if layer["mark"] == "line"
        )  # fmt: skip
        assert set(encoding) == {channel}
