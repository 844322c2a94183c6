"""The commands of docs/de_run.md run as they stand there."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import plate
import pytest
from click.testing import CliRunner

from pbdb.cli import pbdb
from pbdb.effects.engine import CONFOUNDED, NO_DOSE, NO_GENE, NO_RESIDUAL_DF, NO_SAMPLE, NO_VEHICLE
from pbdb.effects.engine.deseq2 import NOT_FITTED


@pytest.fixture
def page(root: Path) -> str:
    return (root / "docs/de_run.md").read_text(encoding="utf-8")


def test_the_tutorial_runs_and_finds_what_responds(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    samples = plate.sheet()
    samples.to_csv("samples.csv", index=False)
    plate.counts(samples).to_csv("counts.csv.gz")
    plate.intensities(samples).to_parquet("log2.parquet")
    commands = re.findall(r"^\$ pbdb (.*)$", page, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        result = CliRunner().invoke(pbdb, shlex.split(command))
        assert result.exit_code == 0, result.output
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, {})
    assert re.search(r"GENE0[0-4]", printed.getvalue())


def test_the_tutorial_names_every_column_and_status(page: str, tmp_path: Path):
    samples = plate.sheet()
    found = plate.run(tmp_path, plate.counts(samples), samples, "--mode", "replicate")
    words = set(re.findall(r"`(\w+)`", page))
    assert set(found.columns) - {"condition", "gene", "status"} <= words
    assert {CONFOUNDED, NO_DOSE, NO_RESIDUAL_DF, NO_SAMPLE, NO_VEHICLE, NO_GENE, NOT_FITTED} <= words
