"""`pbdb etl report` in the demo's home, with and without the canonical matrix."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pages import Page, is_alone

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """Lines of the README that make pages on quality."""
    return re.findall(r"^pbdb ((?:etl report|de run) .*?--?\w+ \S+\.html)", README, re.M)


def test_the_readme_shows_both_ways(lines: list[str]) -> None:
    assert [line.split()[0] for line in lines] == ["de", "etl"]


def test_a_loaded_data_set_has_its_page(typed, lines: list[str], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = next(line for line in lines if line.startswith("etl"))
    done = typed(*line.split(), "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    source = Path(told["file"]).read_text(encoding="utf-8")
    found = Page(source)
    assert is_alone(found, source) and not told["missing"]
    assert told["figures"] == len(found.tables) and told["bytes"] < 3_000_000
    parts = {key.split("-")[0] for key in found.tables}
    assert {"plate", "wells", "pca", "replicates", "null", "p", "trend", "doses", "volcano"} <= parts


def test_without_the_matrix_it_says_what_it_cannot_show(typed, demo_home: Path, tmp_path: Path) -> None:
    (matrix,) = demo_home.glob("cache/**/samples.h5ad")
    hidden = matrix.with_suffix(".hidden")
    matrix.rename(hidden)
    try:
        done = typed("etl", "report", "drugseq", "--out", tmp_path / "page.html")
    finally:
        hidden.rename(matrix)
    assert done.exit_code == 0, done.output
    assert "no longer in the cache" in done.output
    found = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    parts = {key.split("-")[0] for key in found.tables}
    assert {"wells", "p", "trend", "doses", "volcano"} <= parts and not {"pca", "replicates"} & parts


def test_a_name_that_is_not_loaded_is_a_sentence(typed, tmp_path: Path) -> None:
    done = typed("etl", "report", "drugsek", "--out", tmp_path / "page.html")
    assert "did you mean 'drugseq'" in str(done.exception)
    assert not (tmp_path / "page.html").exists()
