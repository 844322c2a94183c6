"""Scores within plates: the formula, missing values, and the layer in a canonical file."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from pbdb.samples import plate_zscores
from pbdb.samples.matrix_file import Writer


def test_a_score_is_the_distance_from_the_median_in_robust_deviations() -> None:
    values = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0], [4.0, 5.0], [100.0, 6.0]])
    found = plate_zscores.plate_z(values)
    np.testing.assert_allclose(found[:, 0], (values[:, 0] - 3) / 1.4826, rtol=1e-6)
    np.testing.assert_allclose(found[:, 1], [0, 0, 0, 0, 1 / 0.14826], rtol=1e-6)


def test_wells_without_a_value_count_for_nothing() -> None:
    values = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, np.nan], [5.0, np.nan]])
    found = plate_zscores.plate_z(values)
    np.testing.assert_allclose(found[[0, 2, 3], 0], np.array([-2, 0, 2]) / (1.4826 * 2), rtol=1e-6)
    assert np.isnan(found[1, 0]) and np.isnan(found[:, 1]).all()


@pytest.mark.parametrize("plates", [["a", "a", "a", "b", "b", "b"], ["b", "a", "b", "a", "a", "b"]])
def test_the_layer_has_the_scores_of_each_plate_wherever_its_wells_stand(tmp_path: Path, plates: list[str]) -> None:
    values = np.random.default_rng(1).normal(8, 1, (6, 4)).astype(np.float32)
    path = tmp_path / "x.h5ad"
    writer = Writer(path, dense=True)
    writer.add(values, np.arange(1, 5, dtype=np.int32))
    names = pd.Index([str(i) for i in range(6)])
    writer.finish(pd.DataFrame({"plate": pd.Categorical(plates)}, names), pd.DataFrame(index=names[:4]), {})
    assert not plate_zscores.has_layer(path)
    plate_zscores.add_layer(path)
    assert plate_zscores.has_layer(path)
    found = ad.read_h5ad(path)
    np.testing.assert_array_equal(found.X, values)
    for plate in "ab":
        rows = np.flatnonzero(np.array(plates) == plate)
        np.testing.assert_array_equal(found.layers["plate_z"][rows], plate_zscores.plate_z(values[rows]))
    assert list(tmp_path.iterdir()) == [path]
