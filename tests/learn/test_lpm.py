"""The published network: its gradients, what it learns, and that it does so again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted_folds import problem
from planted_worlds import Plan, world

from pbdb.learn.models import lpm, lpm_network, tuning
from pbdb.learn.models.lpm_network import Adam, Batch, Shape

SHAPE = Shape(datasets=2, contexts=3, compounds=5, genes=7, width=4, hidden=6, bits=8)


def _batch(rng: np.random.Generator, bits: int) -> Batch:
    return Batch(1, 2, np.array([0, 2, 3, 6]), np.array([1, 4, 1]), *rng.normal(size=(2, 3)), rng.random((3, bits)))


@pytest.mark.parametrize("bits", [0, 8])
def test_gradients_are_those_of_finite_differences(bits: int) -> None:
    rng = np.random.default_rng(5)
    p = lpm_network.begin(replace(SHAPE, bits=bits), 0.5, rng, np.float64)
    for name in p:
        p[name] = p[name] + 0.1 * rng.normal(size=p[name].shape)
    batch, truth = _batch(rng, bits), rng.normal(size=(3, 4))
    keep = tuple((rng.random((2, 3, 6)) < 0.8) / 0.8)
    _, found = lpm_network.gradients(p, batch, truth, keep)
    assert set(found) == set(p)
    for name, (rows, gradient) in found.items():
        dense = np.zeros_like(p[name])
        dense[slice(None) if rows is None else rows] = gradient
        numeric = np.zeros_like(dense)
        for place in np.ndindex(dense.shape):
            numeric[place] = _slope(p, name, place, batch, truth, keep)
        np.testing.assert_allclose(dense, numeric, atol=1e-7, err_msg=name)


def _slope(p, name, place, batch, truth, keep) -> float:
    before, step, losses = p[name][place], 1e-5, []
    for sign in (1, -1):
        p[name][place] = before + sign * step
        losses.append(lpm_network.gradients(p, batch, truth, keep)[0])
    p[name][place] = before
    return (losses[0] - losses[1]) / (2 * step)


def test_adam_touches_rows_with_a_gradient_only_and_takes_the_step_of_its_paper() -> None:
    p = {"table": np.ones((3, 2))}
    Adam(p, decay=0.1).step(p, {"table": (np.array([1]), np.array([[4.0, -0.5]]))}, rate=0.01)
    # First step: sign of the gradient times the rate, and decay of rate x 0.1 x value.
    assert p["table"].tolist()[0] == [1, 1] and p["table"].tolist()[2] == [1, 1]
    assert p["table"][1] == pytest.approx([1 - 0.01 - 0.001, 1 + 0.01 - 0.001], abs=1e-6)


@pytest.fixture(scope="module")
def visible():
    plans = (Plan("array", 2, 120, 0.6, 0.5), Plan("cells", 1, 80, 1.0, 0.5))
    return problem(world(4, plans, n_compounds=140, n_genes=80, rank=3).compendium).visible


def test_it_learns_and_twice_the_same(visible) -> None:
    options = lpm.Options(epochs=30, batch=32, width=16, hidden=64)
    first, again = (lpm.fit(visible, options) for _ in range(2))
    skill = tuning.mean_skill(visible, lpm.differences(first, visible, visible.validation))
    assert skill > 0.05
    np.testing.assert_array_equal(first.embedding(), again.embedding())
    assert first.embedding().shape == (140, 16)


def test_the_published_recipe_predicts_whole_effects(visible) -> None:
    model = lpm.fit(visible, replace(lpm.Options.published(epochs=3), width=16, hidden=32, batch=64))
    raw = model.predict(visible.validation[0])
    difference = lpm.differences(model, visible, visible.validation)[0]
    np.testing.assert_allclose(raw - difference, visible.means.of(0, visible.validation[0]), atol=1e-5)
    assert "structure" not in model.parameters
