"""Properties of lowess that hold by hand."""

from __future__ import annotations

import numpy as np

from pbdb.effects.engine.lowess import lowess, lowess_knots


def test_straight_line_is_returned():
    x = np.linspace(0, 10, 50)
    np.testing.assert_allclose(lowess(x, 3 * x - 2, 0.5), 3 * x - 2, atol=1e-12)


def test_order_of_points_does_not_matter():
    random = np.random.default_rng(0)
    x, y = random.normal(size=200), random.normal(size=200)
    order = random.permutation(200)
    np.testing.assert_allclose(lowess(x[order], y[order], 0.3), lowess(x, y, 0.3)[order], atol=1e-12)


def test_robust_steps_forget_an_outlier():
    x = np.linspace(0, 1, 200)
    y = x + 0.1 * np.random.default_rng(0).normal(size=200)
    clean = lowess(x, y, 0.5)[100]
    y[100] = 20.0
    assert abs(lowess(x, y, 0.5)[100] - clean) < 0.02
    assert abs(lowess(x, y, 0.5, steps=0)[100] - clean) > 0.1


def test_first_point_equals_a_tricube_line_by_hand():
    x, y = np.array([0.0, 1.0, 2.0, 5.0]), np.array([1.0, 3.0, 2.0, 9.0])
    w = np.array([1.0, (1 - 0.5**3) ** 3])  # the third point lies at the edge of the window
    _, intercept = np.polyfit(x[:2], y[:2], 1, w=np.sqrt(w))
    assert np.isclose(lowess(x, y, 0.75, steps=0, delta=0.0)[0], intercept)


def test_knots_carry_the_whole_curve():
    random = np.random.default_rng(1)
    x = random.normal(size=3000)
    y = np.sin(x) + 0.1 * random.normal(size=3000)
    knots = lowess_knots(x, y, 0.4)
    assert len(knots[0]) < 150
    np.testing.assert_allclose(np.interp(x, *knots), lowess(x, y, 0.4), atol=1e-12)


def test_tied_points_share_a_value():
    fitted = lowess(np.array([1.0, 1.0, 1.0]), np.array([1.0, 2.0, 6.0]), 1.0, steps=0)
    np.testing.assert_allclose(fitted, 3.0)
