"""The statistics of the page on quality, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pbdb.effects.report import checks, profiles
from pbdb.effects.report.screen import edges, plate_format, position

ONE = np.zeros(6, np.int64)


def test_plates_that_are_points_explain_everything_and_alike_ones_nothing():
    plate = np.array([0, 0, 0, 1, 1, 1])
    apart = np.array([[0], [1], [2], [10], [11], [12]], np.float32)
    found = checks.plate_effect(apart, plate, ONE)
    # Between: 6 * 25 = 150 on 1 df; within: 2 + 2 = 4 on 4 df; total variance 154 / 5.
    assert found.pseudo_f == pytest.approx(150)
    assert found.share == pytest.approx(1 - 1 / (154 / 5))
    # Of 20 ways to cut six wells in two plates, two are as extreme: near 0.1.
    assert found.p == pytest.approx(0.1, abs=0.03)
    alike = np.array([[0], [1], [2], [0], [1], [2]], np.float32)
    assert checks.plate_effect(alike, plate, ONE).share == 0


def test_a_plate_in_a_stratum_of_its_own_is_no_plate_effect():
    plate, stratum = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 0, 0, 1, 1])
    values = np.array([[0], [1], [0], [1], [50], [51]], np.float32)
    assert checks.plate_effect(values, plate, stratum).pseudo_f == 0


def test_a_new_observation_is_a_t_of_the_others():
    p = checks.new_observation(np.array([5.0, 1.0, 2.0, 3.0]))
    # The others have mean 2 and sd 1: t = 3 / sqrt(4 / 3) on 2 df.
    t = 3 / np.sqrt(4 / 3)
    assert p[0] == pytest.approx(0.5 * (1 - t / np.sqrt(2 + t**2)))


def test_the_plate_that_is_apart_is_found():
    plate = np.repeat(np.arange(5), 4)
    values = np.random.default_rng(1).normal(size=(20, 200)).astype(np.float32)
    values[plate == 3] += 1
    fold, p = checks.apart(values, plate)
    assert p.argmin() == 3 and p[3] < 1e-3 and fold[3] > 1.5


def test_low_counts_are_measured_by_the_median_of_their_plate():
    x = np.log10([1000, 1000, 2000, 500, 100.0, 10, 20, 10, 5, 10])
    fold, z = checks.low_counts(x, np.repeat([0, 1], 5))
    assert fold == pytest.approx([1, 1, 2, 0.5, 0.1, 1, 2, 1, 0.5, 1])
    # Half of the deviations are 0, half are log10 2 or 1: their median is between 0 and log10 2.
    assert z[4] == pytest.approx(-1 / (checks.MAD * np.log10(2) / 2))


def test_dying_wells_are_measured_against_vehicle_of_their_plates():
    x = np.array([3.0, 3.2, 2.0, 2.2, 4.0, 4.2, 3.0, 3.2])
    block = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    condition = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    found = checks.dying(x, block, condition, condition == 0)
    # Each pair has variance 0.02, four pairs give 4 df; the difference is -1 and its variance 0.02 (1/4 + 1/4).
    assert found.condition.tolist() == [1]
    assert found.fold == pytest.approx([0.1])
    t = 1 / np.sqrt(0.02 * 0.5)
    w = t / np.sqrt(4 + t**2)
    assert found.p == pytest.approx([0.5 - w * (3 - w**2) / 4])


def test_outliers_are_those_of_rosner():
    """The data and the answer (three outliers) are those of Rosner 1983, table 1, as NIST's handbook has them."""
    x = np.array(
        [-0.25, 0.68, 0.94, 1.15, 1.20, 1.26, 1.26, 1.34, 1.38, 1.43, 1.49, 1.49, 1.55, 1.56, 1.58, 1.65, 1.69, 1.70,
         1.76, 1.77, 1.81, 1.91, 1.94, 1.96, 1.99, 2.06, 2.09, 2.10, 2.14, 2.15, 2.23, 2.24, 2.26, 2.35, 2.37, 2.40,
         2.47, 2.54, 2.62, 2.64, 2.90, 2.92, 2.92, 2.93, 3.21, 3.26, 3.30, 3.59, 3.68, 4.30, 4.64, 5.34, 5.42, 6.01]
    )  # fmt: skip
    odd, over = checks.largest_outliers(x, 0.025, 10)
    assert x[odd].tolist() == [6.01, 5.42, 5.34]
    # R1 = 3.118 against lambda1 = 3.158 there.
    assert over[0] == pytest.approx(3.118 / 3.158, abs=1e-3)


def test_fellows_are_correlated_with_and_without_a_well():
    a, b = np.array([1.0, -1, 1, -1]), np.array([1.0, 1, -1, -1])
    found = checks.fellows(np.array([a, a, b, b, a], np.float32), np.array([7, 7, 7, 1, 1]))
    assert found.well.tolist() == [0, 1, 2]
    assert found.with_others == pytest.approx([0.5, 0.5, 0], abs=1e-6)
    assert found.others == pytest.approx([0, 0, 1], abs=1e-6)
    codes, mean = checks.replicate_means(np.array([a, a, b, b, a], np.float32), np.array([7, 7, 7, 1, 1]))
    assert codes.tolist() == [1, 7] and mean == pytest.approx([0, 1 / 3], abs=1e-6)


def test_edge_is_the_difference_within_conditions_and_plates():
    block, condition = np.repeat([0, 1], 20), np.tile(np.arange(10), 4)
    is_edge = np.tile([True] * 10 + [False] * 10, 2)
    y = 2.0 * block + condition + 0.5 * is_edge
    noise = np.random.default_rng(2).normal(0, 0.01, 40)
    found = checks.edge(y + noise, is_edge, block, condition)
    assert found is not None
    assert found.difference == pytest.approx(0.5, abs=0.01) and found.p < 1e-6
    assert checks.edge(y, condition == 3, block, condition) is None  # the edge is a condition: nothing tells them apart


def test_morans_i_of_a_row_of_four_wells():
    pairs = checks.neighbours(np.zeros(4, np.int64), np.zeros(4, np.int64), np.arange(4))
    assert list(zip(*(side.tolist() for side in pairs), strict=True)) == [(0, 1), (1, 2), (2, 3)]
    found = checks.pattern(np.array([1.0, 1, -1, -1]), pairs, np.zeros(4, np.int64))
    # Products of neighbours 1, -1, 1 over a sum of squares of 4: 4 / 3 * 1 / 4; 2 of the 6 orders reach it.
    assert found.i == pytest.approx(1 / 3) and found.p == pytest.approx(1 / 3, abs=0.05)


def test_wells_touch_at_sides_and_corners_of_one_plate():
    first, second = checks.neighbours(np.array([0, 0, 0, 1]), np.array([1, 2, 5, 1]), np.array([1, 0, 5, 2]))
    assert (first.tolist(), second.tolist()) == ([0], [1])


def test_what_is_left_has_no_mean_by_plate_or_condition():
    block, condition = np.repeat([0, 1], 6), np.tile([0, 0, 1, 1, 2, 2], 2)
    left = checks.without_means(np.random.default_rng(3).normal(size=12), block, condition)
    for codes in (block, condition):
        assert np.bincount(codes, left) == pytest.approx(0, abs=1e-7)


def test_components_carry_the_variance():
    x = np.array([[3.0, 0], [-3, 0], [0, 1], [0, -1]], np.float32)
    found = checks.components(x)
    assert found.share == pytest.approx([0.9, 0.1])
    assert np.abs(found.scores) == pytest.approx(np.abs(x), abs=1e-6)


def test_the_binomial_is_that_of_the_table():
    assert checks.too_many(0, 10) == 1
    assert checks.too_many(1, 10) == pytest.approx(1 - 0.95**10)
    assert checks.too_many(10, 10) == pytest.approx(0.05**10)


def test_profiles_are_log_cpm_of_the_most_variable_genes():
    counts = np.array([[90.0, 10, 0], [10, 90, 0], [0, 0, 0]])
    found = profiles.read(lambda rows: counts[rows], counts.shape, "counts")
    assert found.total.tolist() == [100, 100, 0] and found.detected.tolist() == [2, 2, 0]
    assert found.genes.tolist() == [0, 1]  # the third gene does not vary
    assert found.values[0] == pytest.approx(np.log2(np.array([92, 12]) / 104 * 1e6), rel=1e-6)
    assert np.isnan(found.values[2]).all()


@pytest.mark.parametrize(
    ("name", "place"),
    [("B07", (1, 6)), ("p24", (15, 23)), ("AF48", (31, 47)), ("A0", None), ("12", None), (None, None)],
)
def test_wells_have_places(name, place):
    assert position(name) == place


def test_the_edge_is_that_of_the_smallest_plate_that_fits():
    import pandas as pd

    assert plate_format([(7, 11)]) == (8, 12) and plate_format([(8, 0)]) == (16, 24)
    wells = pd.DataFrame({"plate": ["a", "a", "a", "b", "b"], "well": ["A05", "H12", "B02", "P24", None]})
    assert edges(wells)[:4].tolist() == [1, 1, 0, 1] and np.isnan(edges(wells)[4])
