"""Simulated releases of the plate sources: a seed fixes every byte, and another changes the counts."""

from __future__ import annotations

import importlib
from pathlib import Path

import pandas as pd
import pytest

from pbdb.sources import registry


@pytest.mark.parametrize("key", ["vcpi", "gdpx2", "dilimap", "cigs"])
def test_a_release_holds_the_declared_files_and_what_was_planted_and_its_seed_fixes_every_byte(
    key: str, tmp_path: Path
) -> None:
    write = importlib.import_module(f"pbdb.simulate.{key}").write
    truth, _, _ = (write(tmp_path / name, seed=seed) for name, seed in (("a", 3), ("b", 3), ("c", 4)))
    assert {file.name for file in registry.get(key).files.values()} <= {
        path.name for path in (tmp_path / "a").iterdir()
    }
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "a" / "truth.csv"), truth.effects)
    assert truth.effects["log2_fc"].abs().max() > 1
    first, second, third = ((tmp_path / name / "SHA256SUMS").read_text().splitlines() for name in "abc")
    assert first == second
    assert len(set(first) - set(third)) >= 2
