"""The second demo, small, and the lines the README shows after it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from commands import call
from support import running_server, throwaway_home

import pbdb as library
from pbdb.cli import pbdb
from pbdb.common.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COOKBOOK = (ROOT / "docs" / "cookbook.md").read_text(encoding="utf-8")
QUESTIONS = dict(re.findall(r"```sql\n-- name: (\w+)\n(.*?)```", COOKBOOK, flags=re.S))
LINES = [line for block in re.findall(r"```bash\n(.*?)```", README, flags=re.S) for line in block.splitlines()]


@pytest.fixture(scope="module")
def demo() -> Iterator[tuple[Path, str]]:
    """The home of a demo that ran as `pbdb demo --matched` with few compounds, and what it printed."""
    with throwaway_home("demo-matched") as home, running_server(home):
        done = call(home.parent, "demo", "--matched", "--compounds", "10", check=True)
        yield home, done.stdout + done.stderr


def test_what_was_planted_is_what_is_shown(demo: tuple[Path, str]) -> None:
    home, said = demo
    rows = re.findall(r"^(screen_\w+)\s+(screen_\w+)\s+parent_inchikey\s+score\s+([\d.-]+)", said, flags=re.M)
    direction = {(a, b): float(value) for a, b, value in rows}
    assert direction["screen_one", "screen_two"] > 0.9 > direction["screen_one", "screen_signs"] > 0.75
    assert all(abs(value - 0.5) < 0.1 for (a, b), value in direction.items() if a == "screen_apart" != b)
    assert (home / "report.html").stat().st_size > 100_000


def test_a_compound_finds_its_other_doses_cells_and_screens(demo: tuple[Path, str]) -> None:
    _, said = demo
    rows = re.findall(r"^\s*\d+\s+(screen_\w+)\s+(\w+)\s+CVCL", said, flags=re.M)
    assert len(rows) == 8 and [compound for _, compound in rows].count("vorinostat") >= 5
    assert {"screen_one", "screen_two"} <= {dataset for dataset, _ in rows}


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_each_line_of_the_readme_runs(
    demo: tuple[Path, str],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command, *arguments = shlex.split(line)
    assert command == "pbdb"
    monkeypatch.setenv("PBDB_HOME", str(demo[0]))
    monkeypatch.delenv("PBDB_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    # In this process: six of their own would import everything six times.
    pbdb.main(arguments, prog_name="pbdb", standalone_mode=False)
    said = capsys.readouterr()
    assert len((said.out or said.err).strip().splitlines()) >= 1
    if "--out" in arguments:
        assert {path.name for path in tmp_path.iterdir()} == {"report.html", "figures"}


def test_the_readme_shows_six_lines() -> None:
    assert len(LINES) == 6


@pytest.fixture(scope="module")
def places(demo: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """The demo's database, and a snapshot of it."""
    folder = tmp_path_factory.mktemp("cookbook") / "snapshot"
    call(demo[0], "export", "snapshot", "--release", "demo", "--out", str(folder), check=True)
    return library.connect(Settings(home=demo[0])), library.connect(folder)


def test_the_cookbook_has_ten_questions() -> None:
    assert len(QUESTIONS) == 10


@pytest.mark.parametrize("name", QUESTIONS)
def test_each_question_has_one_answer_on_database_and_snapshot(places: tuple[Any, Any], name: str) -> None:
    database, snapshot = (place.sql(QUESTIONS[name]) for place in places)
    assert len(database) or name == "left_out", "nothing was left out in this demo; all else has an answer"
    # Similarity is over halves in one and floats in the other; PostgreSQL counts means as decimals.
    pd.testing.assert_frame_equal(_floats(database), _floats(snapshot), check_dtype=False, rtol=1e-3)


def _floats(frame: pd.DataFrame) -> pd.DataFrame:
    decimals = [name for name in frame if isinstance(frame[name].iloc[:1].squeeze(), Decimal)]
    return frame.astype(dict.fromkeys(decimals, float))
