"""Simulated releases of the plate sources: a seed fixes every byte, and another changes the counts."""

from __future__ import annotations

import importlib
from pathlib import Path

import pandas as pd
import pytest

from pbdb import registry

KEYS = ("vcpi", "gdpx2", "dilimap", "cigs")


@pytest.mark.parametrize("key", KEYS)
def test_a_seed_fixes_every_byte(key: str, tmp_path: Path) -> None:
    write = importlib.import_module(f"pbdb.simulate.{key}").write
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        write(tmp_path / name, seed=seed)
    first, second, third = ((tmp_path / name / "SHA256SUMS").read_text().splitlines() for name in "abc")
    assert first == second
    assert len(set(first) - set(third)) >= 2


@pytest.mark.parametrize("key", KEYS)
def test_a_release_holds_the_declared_files_and_what_was_planted(key: str, tmp_path: Path) -> None:
    truth = importlib.import_module(f"pbdb.simulate.{key}").write(tmp_path)
    there = {path.name for path in tmp_path.iterdir()}
    assert {file.name for file in registry.get(key).files.values()} <= there
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "truth.csv"), truth.effects)
    assert truth.effects["log2_fc"].abs().max() > 1
