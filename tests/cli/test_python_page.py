"""The examples of docs/python.md run in the demo's home."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pandas as pd
import plate
import pytest
from commands import call

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"), flags=re.S)


def test_the_examples_run(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PBDB_HOME", str(demo_home))
    monkeypatch.delenv("PBDB_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    call(demo_home, *shlex.split("export snapshot --release 2026.1 --out pbdb-2026.1"), cwd=tmp_path, check=True)
    samples = plate.sheet()
    samples.to_csv("samples.csv", index=False)
    plate.counts(samples).to_csv("counts.csv")
    names: dict[str, object] = {}
    for example in EXAMPLES:
        exec(example, names)
    strong, signatures, report = (names[name] for name in ("strong", "signatures", "report"))
    assert len(strong) > 0 and (strong["p_adj"] < 0.01).all()
    assert signatures.n_obs == 160
    assert int(names["n_effects"]) >= 160
    assert report["rows"] == len(pd.read_parquet("effects.parquet"))
    assert len(pd.read_parquet("wells.parquet")) == 3 * report["rows"]
    assert "did you mean 'condition_effect'?" in capsys.readouterr().out
