"""Matrices of a fit on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pbdb.effects.engine.matrix import transposed
from pbdb.effects.stored_fit import release, tile

MAPS = Path("/proc/self/smaps")


def resident_kb(file: Path) -> int:
    """Memory that a mapped file takes in this process."""
    lines = MAPS.read_text().splitlines()
    start = next(at for at, line in enumerate(lines) if line.endswith(str(file)))
    return next(int(line.split()[1]) for line in lines[start:] if line.startswith("Rss:"))


@pytest.mark.skipif(not MAPS.is_file(), reason="needs Linux, which tells what is in memory")
def test_a_matrix_that_is_let_go_of_keeps_its_values_and_takes_no_memory(tmp_path: Path) -> None:
    matrix = tile(tmp_path / "t.tile", (500, 1000), "w+")
    matrix[:] = np.arange(1000)
    assert resident_kb(tmp_path / "t.tile") >= 1900
    release([matrix, tile(tmp_path / "empty", (0, 1000), "w+")])
    assert resident_kb(tmp_path / "t.tile") == 0
    assert (matrix[:, 999] == 999).all()


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (63, 65), (130, 257)])
def test_matrices_are_turned_over_whatever_their_shape_and_layout(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(1).normal(size=(shape[0], 3 * shape[1]))
    for part in (values[:, : shape[1]], values[:, ::3], np.asfortranarray(values)[:, shape[1] :]):
        assert np.array_equal(transposed(part), part.T.astype(np.float32))
