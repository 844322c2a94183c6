"""The page on agreement: well-formed, alone, bounded, and the numbers are those of the views."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from databases import new_database
from made_up_effects import Made, write
from pages import Page, is_alone
from sqlalchemy import text

from pbdb.cli.agreement import show
from pbdb.common.errors import ConfigError, QueryError
from pbdb.common.page.svg import Scale, el, number, scale_over, standalone, tick_text
from pbdb.common.settings import Settings
from pbdb.matches import match_table
from pbdb.matches.agreement import run as agreement_run
from pbdb.matches.report import data, sections, single, writing
from pbdb.query import agreement as agreement_table
from pbdb.query import database
from pbdb.server import connect

COMPOUNDS, GENES = 14, 900
NASTY = "<b>&\"x' </script><script>alert(1)</script>"


@pytest.fixture(scope="module")
def world(database_server: Settings, template: str, tmp_path_factory: Any) -> Iterator[Settings]:
    """Two data sets that share effects, and one that shares none; a compound and a gene have odd names."""
    chance = np.random.default_rng(5)
    base = chance.normal(size=(COMPOUNDS, GENES))
    with new_database(database_server, tmp_path_factory.mktemp("report"), template) as settings:
        engine = connect.engine(settings)
        for name, share in (("first", 1.0), ("second", 0.7), ("third", 0.0)):
            values = (share * base + 0.5 * chance.normal(size=base.shape)).astype(np.float32)
            names = [f"C{n:02}" for n in range(COMPOUNDS)]
            conditions = pd.DataFrame({"compound": names, "context": "CVCL:0001", "dose_fm": 10**9, "time_h": 24.0})
            keys = np.arange(1, GENES + 1, dtype=np.int32)
            write(engine, Made(name, conditions, keys, values, np.full_like(values, 0.3)))
        with engine.begin() as connection:
            connection.execute(text("UPDATE core.compound SET name = :n WHERE name = 'C03'"), {"n": NASTY})
            connection.execute(text("UPDATE core.gene SET symbol = :n WHERE gene_key = 7"), {"n": NASTY})
        match_table.refresh(engine)
        agreement_run.run(settings)
        yield settings


@pytest.fixture(scope="module")
def contents(world: Settings) -> data.Contents:
    """What the page shows."""
    return data.read(world, match_table.Rule(), 9)


@pytest.fixture(scope="module")
def page(world: Settings, tmp_path_factory: Any) -> tuple[Page, str, Path]:
    """The page, its text, and the folder of its figures."""
    folder = tmp_path_factory.mktemp("page")
    writing.write(world, folder / "report.html", svg=folder / "svg", n_matches=9)
    source = (folder / "report.html").read_text(encoding="utf-8")
    return Page(source), source, folder / "svg"


def test_the_page_is_well_formed_and_alone(page: tuple[Page, str, Path]) -> None:
    found, source, _ = page
    assert is_alone(found, source)


def test_names_are_words_and_never_markup(page: tuple[Page, str, Path]) -> None:
    found, source, _ = page
    assert "alert(1)</script>" not in source
    assert [tag for tag, _ in found.elements].count("script") == 2
    assert any(NASTY in row["compound_name"] for row in found.rows("cloud-1"))


def test_every_figure_has_its_numbers(page: tuple[Page, str, Path]) -> None:
    found, _, _ = page
    parts = {key.split("-")[0] for key in found.tables}
    assert parts == {"coverage", "counts", "folds", "agreement", "retrieval", "cloud", "match"}
    assert all(len(table) > 1 for table in found.tables.values())


def test_the_numbers_are_those_of_the_views(world: Settings, page: tuple[Page, str, Path]) -> None:
    found, _, _ = page
    query = "SELECT * FROM agreement_summary WHERE metric = 'spearman_log2_fc' AND quantity = %(quantity)s"
    rows = found.rows("agreement-spearman_log2_fc")
    for quantity in ("score", "target_peer_mean"):
        stored = database.connect(world).sql(query, {"quantity": quantity}).set_index(["dataset_a", "dataset_b"])
        shown = [row for row in rows if row["quantity"] == quantity]
        assert len(shown) == len(stored) == 3
        for row in shown:
            there = stored.loc[row["dataset_a"], row["dataset_b"]]
            assert float(row["mean"]) == pytest.approx(there["mean"], rel=1e-3)
            assert float(row["interval_low"]) == pytest.approx(there["interval_low"], rel=1e-3)
    counted = database.connect(world).sql("SELECT count(*) AS n FROM matched_condition WHERE in_window_10")["n"].iloc[0]
    assert sum(int(row["within_10"]) for row in found.rows("counts")) == counted == 42
    assert {row["n_compounds"] for row in found.rows("coverage")} == {str(COMPOUNDS)}


def test_dots_stand_where_their_numbers_say(page: tuple[Page, str, Path]) -> None:
    found, _, folder = page
    drawn = ElementTree.parse(folder / "cloud-1.svg").getroot().find(".//{*}path")
    assert drawn is not None
    dots = re.findall(r"M([\d.]+) ([\d.]+)h0", drawn.get("d", ""))
    rows = found.rows("cloud-1")
    assert len(dots) == len(rows) == COMPOUNDS
    for (x, y), row in zip(dots, rows, strict=True):
        assert float(x) == pytest.approx(52 + 125 * (float(row["rank_agreement"]) + 1), abs=0.1)
        assert float(y) == pytest.approx(260 - 250 * float(row["direction_agreement"]), abs=0.1)


def test_single_matches_range_from_agreeing_to_not_and_say_what_is_left_out(
    contents: data.Contents, page: tuple[Page, str, Path]
) -> None:
    found, source, _ = page
    pairs = {(match.about.dataset_a, match.about.dataset_b) for match in contents.matches}
    scores = [match.about.rank_agreement for match in contents.matches]
    assert len(contents.matches) == 9 and len(pairs) == 3 and scores == sorted(scores, reverse=True)
    assert {(len(match.genes) <= data.GENES_PER_MATCH, match.n_genes) for match in contents.matches} == {(True, GENES)}
    assert "9 of 42 matches" in source and f"of {GENES} genes drawn" in source
    buttons = [attributes["data-match"] for tag, attributes in found.elements if "data-match" in attributes]
    assert buttons == [f"box-match-{match.about.match_id}" for match in contents.matches]


def test_the_genes_of_a_match_are_those_of_the_view(world: Settings, contents: data.Contents) -> None:
    match = contents.matches[0]
    query = "SELECT * FROM matched_effect WHERE match_id = %(key)s"
    whole = database.connect(world).sql(query, {"key": match.about.match_id})
    largest = whole.loc[whole[["log2_fc_a", "log2_fc_b"]].abs().max(axis=1).idxmax()]
    shown = match.genes.loc[match.genes["log2_fc_a"] == largest["log2_fc_a"]]
    assert shown["p_adj_b"].tolist() == [largest["p_adj_b"]]
    both = (whole["p_adj_a"] < 0.05) & (whole["p_adj_b"] < 0.05)
    assert 0 < (single.groups(match.genes) == "both").sum() <= both.sum()
    assert (single.groups(single.named(match.genes)) == "both").all()


def test_figures_are_files_of_their_own_with_their_colours(page: tuple[Page, str, Path]) -> None:
    found, _, folder = page
    files = {path.stem for path in folder.iterdir()}
    assert files == set(found.tables)
    for path in folder.iterdir():
        root = ElementTree.fromstring(path.read_bytes())
        assert root.tag == "{http://www.w3.org/2000/svg}svg" and root.get("viewBox")
        assert "prefers-color-scheme: dark" in path.read_text(encoding="utf-8")


def test_replicates_appear_when_they_are_there(world: Settings, page: tuple[Page, str, Path], tmp_path: Path) -> None:
    assert "pbdb agreement replicates" in page[1]
    engine = connect.engine(world)
    with engine.begin() as connection:
        connection.execute(
            text("""INSERT INTO core.agreement_summary SELECT agreement_summary_id + 1, dataset_id_a, dataset_id_a,
            metric, quantity, inchikey_level, time_tolerance_h, 1, n_matches, n_defined, n_units, n_compounds, mean,
            interval_low, interval_high, interval_status, 1, parameters, code_version
            FROM core.agreement_summary s JOIN core.dataset b ON b.dataset_id = s.dataset_id_b
            WHERE b.dataset = 'second'""")
        )
    writing.write(world, tmp_path / "after.html", n_matches=1)
    found = Page((tmp_path / "after.html").read_text(encoding="utf-8"))
    assert {row["dataset_a"] for row in found.rows("replicates-direction")} == {"first"}
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM core.agreement_summary WHERE dataset_id_a = dataset_id_b"))


def test_show_filters_pairs_levels_and_quantities(world: Settings) -> None:
    columns, rows = agreement_table.read(world, "direction", quantity="score", datasets=["second", "first"])
    assert [row[:4] for row in rows] == [("first", "second", "parent_inchikey", "score")]
    assert {"time_tolerance_h", "dose_window"} <= set(columns)
    both = {row[:2] for row in agreement_table.read(world, "direction", datasets=["third"])[1]}
    assert both == {("first", "third"), ("second", "third")}


@pytest.mark.parametrize(
    ("metric", "chosen", "words"),
    [
        ("directoin", {}, "there is: cosine_log2_fc.* direction, direction_a"),
        ("direction", {"quantity": "mean"}, "has no quantity 'mean'; it has: delta_source_centroid.* score,"),
        ("direction", {"level": "skeleton"}, "pbdb agreement run --level skeleton"),
        ("direction", {"datasets": ["fourth"]}, "of fourth by .* there is of: first, second, third"),
    ],
)
def test_show_says_what_there_is_instead(world: Settings, metric: str, chosen: dict[str, Any], words: str) -> None:
    with pytest.raises(QueryError, match=words):
        agreement_table.read(world, metric, **chosen)


def test_the_help_of_show_names_every_metric_and_default_quantity(world: Settings) -> None:
    help_ = str(show.help)
    stored = database.connect(world).sql("SELECT DISTINCT metric FROM agreement_summary")["metric"]
    parts = {re.sub(r"(_t|_a|_b|_100|_200|_in_window|_any_dose|_spearman|_euclidean)$", "", name) for name in stored}
    known = ("spearman", "pearson", "cosine")
    assert [
        name for name in parts if name not in help_ and name not in known and name.split("_")[0] != "retrieval"
    ] == []
    quantities = {row[3] for row in agreement_table.read(world, "direction")[1]}
    assert len(quantities) == 5 and all(name in help_ for name in quantities)


def test_what_cannot_be_shown_is_a_sentence(world: Settings, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="agreement run"):
        writing.write(world, tmp_path / "page.html", match_table.Rule("skeleton"))
    with pytest.raises(ConfigError, match="There is no folder"):
        writing.write(world, tmp_path / "no" / "page.html")
    with pytest.raises(ConfigError, match="is a folder: give the name of a file"):
        writing.write(world, tmp_path)
    with pytest.raises(ConfigError, match="is a file: give the name of a folder"):
        writing.write(world, tmp_path / "page.html", svg=Path(__file__))
    with pytest.raises(ConfigError, match="0 matches"):
        writing.write(world, tmp_path / "page.html", n_matches=0)
    assert list(tmp_path.iterdir()) == []


def test_coverage_of_many_cells_shows_those_of_most_data_sets_and_says_so() -> None:
    rows = [("one", f"cells {n:03}", 5, 9, 9) for n in range(80)] + [
        ("two", f"cells {n:03}", 7, 9, 9) for n in (70, 71)
    ]
    table = pd.DataFrame(rows, columns=["dataset", "context_name", "n_compounds", "n_conditions", "n_effects"])
    figure = sections._coverage(table)
    assert "50 of 80" in figure.caption and len(figure.table) == 82
    words = [one.text for one in figure.picture.iter("text")]
    assert words.index("cells 070") < words.index("cells 000") and "cells 079" not in words


def test_scales_end_at_round_values_and_hold_all() -> None:
    scale = scale_over([-0.13, 0.47, float("nan")], 0, 100)
    assert (scale.low, scale.high) == (pytest.approx(-0.2), pytest.approx(0.6))
    assert scale(scale.low) == 0 and scale(scale.high) == pytest.approx(100)
    assert Scale(-1, 1, 0, 1).ticks() == pytest.approx([-1, -0.5, 0, 0.5, 1])
    assert scale_over([3.0, 3.0], 0, 1).low < 3 < scale_over([3.0, 3.0], 0, 1).high
    assert (number(1.50), number(-0.001), tick_text(-0.25)) == ("1.5", "0", "\N{MINUS SIGN}0.25")


def test_elements_escape_what_they_are_given() -> None:
    written = standalone(el("svg", el("text", NASTY, data_x=NASTY), viewBox="0 0 1 1"))
    root = ElementTree.fromstring(written)
    words = root.find(".//{*}text")
    assert words is not None and words.text == NASTY and words.get("data-x") == NASTY
