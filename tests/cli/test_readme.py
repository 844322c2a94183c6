"""What the README shows works in the demo's home."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from commands import call
from snapshots import in_duckdb, ordered, plain

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.S)


TOUR = [line for block in blocks("console") for line in block.splitlines() if line]


@pytest.mark.parametrize("line", TOUR, ids=range(len(TOUR)))
def test_each_line_of_the_tour_prints_something(pbdb, line):
    command, *arguments = shlex.split(line)
    assert command == "pbdb"
    done = pbdb(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_tour_has_ten_lines():
    assert len(TOUR) == 10


def test_the_python_example_runs(demo_home):
    code = blocks("python")[0] + "\nprint(len(hits), signatures.shape, sorted(signatures.layers))"
    environment = {"PBDB_HOME": str(demo_home), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    n_hits, shape = re.match(r"(\d+) \((.*?)\)", done.stdout).groups()
    assert int(n_hits) > 0 and shape.startswith("160, ")


@pytest.fixture(scope="module")
def snapshot_folder(demo_home, tmp_path_factory):
    """The folder in which the lines on snapshots ran; the tour has given the demo its schema."""
    folder = tmp_path_factory.mktemp("snapshots")
    for line in blocks("sh")[0].splitlines():
        done = call(demo_home, *shlex.split(line)[1:], cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def test_the_example_of_snapshots_runs(snapshot_folder, monkeypatch):
    found = {}
    monkeypatch.chdir(snapshot_folder)
    exec(blocks("python")[1], found)
    assert len(found["top"]) == 160 == found["signatures"].n_obs
    assert found["top"]["t"].is_monotonic_decreasing


QUERIES = [arguments[-1] for arguments in map(shlex.split, TOUR) if arguments[1] == "sql"]


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_the_queries_of_the_tour_give_the_same_from_a_snapshot(pbdb, snapshot_folder, query):
    (name,) = (path.name for path in snapshot_folder.iterdir())
    expected = json.loads(pbdb("sql", "--json", query).stdout)
    found = in_duckdb(snapshot_folder / name, query)
    assert ordered([{key: plain(value) for key, value in row.items()} for row in expected]) == ordered(found)
    assert len(found) > 0


def test_a_second_demo_loads_nothing_twice(demo_home):
    done = call(demo_home.parent, "demo", check=True)
    assert "nothing to do" in done.stderr
    assert "HSPA6" in done.stdout


def test_every_source_stands_in_the_readme():
    from pbdb.sources import registry

    for key in registry.known():
        assert f"| `{key}` |" in README
