"""Matrices of a fit on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pbdb.effects.stored_fit import release, tile

MAPS = Path("/proc/self/smaps")


def resident_kb(file: Path) -> int:
    """Memory that a mapped file takes in this process."""
    lines = MAPS.read_text().splitlines()
    start = next(at for at, line in enumerate(lines) if line.endswith(str(file)))
    return next(int(line.split()[1]) for line in lines[start:] if line.startswith("Rss:"))


@pytest.mark.skipif(not MAPS.is_file(), reason="needs Linux, which tells what is in memory")
def test_a_matrix_that_is_let_go_of_keeps_its_values_and_takes_no_memory(tmp_path: Path) -> None:
    matrix = tile(tmp_path / "t.by_effect", (500, 1000), "w+")
    matrix[:] = np.arange(1000)
    assert resident_kb(tmp_path / "t.by_effect") >= 1900
    release([matrix, tile(tmp_path / "empty", (0, 1000), "w+")])
    assert resident_kb(tmp_path / "t.by_effect") == 0
    assert (matrix[:, 999] == 999).all()
