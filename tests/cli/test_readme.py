"""What the README shows works in the demo's home."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("demo")
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


def test_every_source_stands_in_the_readme(pbdb):
    from pbdb import registry

    for key in registry.known():
        assert f"| `{key}` |" in README
