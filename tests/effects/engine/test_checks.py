"""Values that contradict their readout are refused with one sentence."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from pbdb.common.errors import DataError
from pbdb.effects.engine.matrix import wrap

COUNTS = np.array([[0.0, 3.0], [12.0, 700.0]])
LOGS = np.array([[0.5, 3.2], [12.1, 7.7]])


@pytest.mark.parametrize(
    ("spoilt", "message"), [(-1.0, "negative"), (0.5, "fractions"), (np.nan, "nan"), (np.inf, "inf")]
)
@pytest.mark.parametrize("kind", [np.array, sparse.csr_array, sparse.csc_array])
def test_wrong_counts_are_refused(spoilt: float, message: str, kind: type):
    values = COUNTS.copy()
    values[0, 1] = spoilt
    with pytest.raises(DataError, match=message):
        wrap(kind(values), "counts")


def test_log_values_are_no_counts_and_counts_no_log_values():
    with pytest.raises(DataError, match="say that the values are log2 intensities"):
        wrap(LOGS, "counts")
    with pytest.raises(DataError, match="no logarithm reaches"):
        wrap(COUNTS, "log2_intensity")
    with pytest.raises(DataError, match="whole numbers"):
        wrap(np.minimum(COUNTS, 20), "log2_intensity")


def test_missing_intensities_are_allowed_but_not_infinite_or_all_missing_ones():
    values = LOGS.copy()
    values[0, 0] = np.nan
    assert wrap(values, "log2_intensity").shape == (2, 2)
    values[0, 0] = -np.inf
    with pytest.raises(DataError, match="infinite"):
        wrap(values, "log2_intensity")
    with pytest.raises(DataError, match="all missing"):
        wrap(np.full((2, 2), np.nan), "log2_intensity")


def test_any_whole_number_type_is_accepted():
    for kind in (np.uint16, np.int64, np.float32, bool):
        assert wrap(COUNTS.astype(kind), "counts").shape == (2, 2)


@pytest.mark.parametrize("values", [np.ones(3), np.ones((0, 4)), np.array([["a"]])])
def test_what_is_no_matrix_is_refused(values: np.ndarray):
    with pytest.raises(DataError, match="samples x genes"):
        wrap(values, "counts")
