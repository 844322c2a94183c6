"""Benjamini-Hochberg on the -log10 scale."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pbdb.effects.engine import FitWide, adjust, adjust_rows


def test_adjustment_by_hand():
    p = np.array([0.01, 0.04, 0.03, 0.5])
    np.testing.assert_allclose(10 ** -adjust(-np.log10(p)), [0.04, 0.16 / 3, 0.16 / 3, 0.5])


def test_adjustment_equals_scipy_with_ties():
    p = np.round(np.random.default_rng(0).beta(0.3, 1, 500), 3) + 1e-6
    np.testing.assert_allclose(10 ** -adjust(-np.log10(p)), stats.false_discovery_control(np.minimum(p, 1)), rtol=1e-9)


def test_missing_values_do_not_count():
    rows = np.array([[2.0, np.nan, 1.0], [np.nan, np.nan, np.nan]])
    out = adjust_rows(rows)
    np.testing.assert_allclose(out[0, [0, 2]], adjust(np.array([2.0, 1.0])))
    assert np.isnan(out[0, 1])
    assert np.isnan(out[1]).all()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_any_value_from_zero_finds_its_rank(kind: type[np.floating]):
    row = np.concatenate([np.random.default_rng(3).gamma(0.5, 3, 3000), [0.0, -0.0, 1e-40, np.inf, 400, 400]]).astype(
        kind
    )
    row[::7] = np.nan
    row[::21] = -row[::21]  # NaN with its sign set
    known = np.sort(row[~np.isnan(row)].astype(float))
    expected = np.maximum.accumulate(np.maximum(known - np.log10(len(known) / np.arange(len(known), 0, -1)), 0))
    out = adjust_rows(row[None])[0]
    np.testing.assert_allclose(np.sort(out[~np.isnan(out)]), expected)
    assert (np.isnan(out) == np.isnan(row)).all()
    assert (np.diff(out[np.argsort(row)][: len(known)]) >= 0).all()


def test_values_below_the_smallest_float_stay_apart():
    assert adjust(np.array([400.0, 350.0, 0.1]))[:2] == pytest.approx([400 - np.log10(3), 350 - np.log10(1.5)])


def blocks(seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [-np.log10(random.beta(0.2, 1, (30, 7))) for _ in range(5)]


def test_adjustment_over_the_fit_equals_the_one_in_memory():
    wide, parts = FitWide(2000), blocks(1)
    parts[2][0, 0] = np.nan
    for part in parts:
        wide.add(part)
    np.testing.assert_allclose(wide.adjust(np.stack(parts)), adjust(np.stack(parts)), rtol=1e-12)


def test_cutoff_from_small_p_values_alone_is_exact():
    wide, parts = FitWide(2000, largest_p=0.05, dtype=np.float32), [b.astype(np.float32) for b in blocks(2)]
    for part in parts:
        wide.add(part)
    everything = np.stack(parts)
    cutoff = wide.cutoff(0.05)
    assert cutoff is not None
    np.testing.assert_array_equal(everything >= cutoff, adjust(everything) >= -np.log10(0.05))
    assert np.isnan(wide.adjust(np.array([0.1])))


def test_nothing_significant_has_no_cutoff():
    wide = FitWide(10)
    wide.add(np.array([0.1, 0.2]))
    assert wide.cutoff(0.05) is None
    assert FitWide(0).cutoff(0.05) is None
