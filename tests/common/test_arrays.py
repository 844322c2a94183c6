"""What counts as a whole number."""

from __future__ import annotations

import numpy as np
import pytest

from pbdb.common import arrays


def test_whole_numbers_are_marked() -> None:
    values = np.array([0, 1, 2.5, -1, np.nan, np.inf, 1e15, -0.0])
    assert arrays.is_whole(values).tolist() == [True, True, False, False, False, False, True, True]
    assert arrays.is_whole(values, 1).tolist() == [True, True, False, False, False, False, False, True]
    assert arrays.is_whole(np.array([-1, 0, 7], dtype=np.int8)).tolist() == [False, True, True]
    assert arrays.is_whole(np.array([0, 7], dtype=np.uint64), 6).tolist() == [True, False]


@pytest.mark.parametrize("wrong", [0.5, -1.0, np.nan, np.inf])
def test_one_value_far_behind_is_seen(monkeypatch: pytest.MonkeyPatch, wrong: float) -> None:
    monkeypatch.setattr(arrays, "AT_ONCE", 4)
    values = np.zeros((3, 5))
    assert arrays.are_whole(values)
    values[2, 4] = wrong
    assert not arrays.are_whole(values)
    assert arrays.are_whole(np.empty((0, 3)))
