"""Arrays in deflated chunks: whatever is appended in whatever pieces is read back by HDF5."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pbdb.samples import packed_array


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_array, "VALUES_PER_CHUNK", 8)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(missing=st.integers(0, 20), lengths=st.lists(st.integers(0, 30), max_size=5))
def test_what_was_appended_is_read_back(tmp_path: Path, missing: int, lengths: list[int]) -> None:
    values = np.random.default_rng(0).normal(size=sum(lengths))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        array = packed_array.PackedArray(file, "x", "f4", missing, np.nan)
        for piece in np.split(values, np.cumsum(lengths)[:-1]) if lengths else []:
            array.extend(piece)
        assert len(array) == missing + len(values)
        array.finish()
    with h5py.File(tmp_path / "x.h5") as file:
        found = file["x"][:]
    np.testing.assert_array_equal(found, [np.nan] * missing + values.astype(np.float32).tolist())
