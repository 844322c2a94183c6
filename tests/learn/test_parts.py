"""The parts of the models by themselves, against cases worked out by hand or the long way."""

from __future__ import annotations

import numpy as np
import pytest

from pbdb.common.errors import DataError
from pbdb.learn.models import baselines, calibration, context_means, ridge, similarity, structure
from pbdb.learn.models.compendium import Block, Compendium, Rows
from pbdb.learn.models.problem import TEST, TRAIN, VALIDATION, divide


def block(dataset: str, compound: list[int], values: list[list[float]], genes: list[int], dose: float = 1.0) -> Block:
    n = len(compound)
    return Block(
        dataset, "cells", np.array(genes), np.array(compound), np.full(n, dose), np.full(n, 24.0),
        np.array(values, np.float32).reshape(n, len(genes)),
    )  # fmt: skip


def compendium(*blocks: Block, n_compounds: int = 4, n_genes: int = 3) -> Compendium:
    names = tuple(f"C{i}" for i in range(n_compounds))
    prints = np.zeros((n_compounds, 256), np.uint8)
    return Compendium(blocks, tuple(f"G{i}" for i in range(n_genes)), names, prints)


# --- means of contexts --------------------------------------------------------------------------------------------


def test_means_are_of_the_training_rows_alone_and_of_a_dose_from_fifty_rows_on() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(120, 2)).astype(np.float32)
    dose = np.repeat([1.0, 10.0, 100.0], [60, 49, 11])
    made = Block("a", "x", np.arange(2), np.zeros(120, int), dose, np.ones(120), values)
    means = context_means.fit(compendium(made), [np.arange(120) < 118])
    assert means.dose_um[0].tolist() == [1.0]
    np.testing.assert_allclose(means.of(0, made)[0], values[:60].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(means.of(0, made)[-1], values[:118].mean(axis=0), atol=1e-6)
    centred = means.centre(compendium(made)).blocks[0].values
    np.testing.assert_allclose(centred, values - means.of(0, made), atol=1e-6)
    assert made.values is not centred


def test_what_a_method_sees_holds_no_effect_of_a_test_row() -> None:
    made = compendium(block("a", [0, 1, 2, 3], [[1], [3], [5], [7]], [0]))
    problem = divide(made, [np.array([TRAIN, TRAIN, VALIDATION, TEST], np.int8)])
    visible = problem.visible
    assert visible.train.blocks[0].values.ravel().tolist() == [-1, 1]
    assert visible.validation_truth[0].tolist() == [[3]] and problem.test_truth[0].tolist() == [[5]]
    assert not hasattr(visible.test[0], "values") and visible.test[0].compound.tolist() == [3]


def test_a_compendium_refuses_missing_values_and_wrong_shapes() -> None:
    with pytest.raises(DataError, match="a in cells: some effects are missing"):
        compendium(block("a", [0], [[np.nan]], [0]))
    with pytest.raises(DataError, match="values for"):
        compendium(Block("a", "x", np.arange(2), np.zeros(1, int), np.ones(1), np.ones(1), np.zeros((1, 3), "f4")))


# --- baselines ----------------------------------------------------------------------------------------------------


def test_same_compound_elsewhere_averages_datasets_over_shared_genes() -> None:
    made = compendium(
        block("a", [0, 0, 1], [[1, 2], [3, 4], [9, 9]], [0, 1]),
        block("b", [0], [[10, 20]], [1, 2]),
        block("c", [0, 3], [[100, 100, 100], [1, 1, 1]], [0, 1, 2]),
    )
    wanted = [Rows("c", "cells", np.arange(3), np.array([0, 2]), np.ones(2), np.ones(2))]
    # Gene 0: a's mean of 1 and 3; gene 1: mean of 3 (a) and 10 (b); gene 2: b alone. Compound 2 is nowhere.
    assert baselines.same_compound_elsewhere(made, wanted)[0].tolist() == [[2, 6.5, 20], [0, 0, 0]]


def test_nearest_structures_weighs_by_similarity() -> None:
    bits = np.zeros((4, 2048), bool)
    bits[0, :4] = bits[1, :4] = True
    bits[2, :2] = True
    bits[3, 100] = True
    made = compendium(block("a", [1, 2, 3], [[3], [9], [7]], [0]), n_genes=1)
    made = Compendium(made.blocks, made.genes, made.compounds, np.packbits(bits, axis=1))
    wanted = [Rows("a", "cells", np.arange(1), np.array([0]), np.ones(1), np.ones(1))]
    # Tanimoto with the three: 1, 0.5, 0.
    assert baselines.nearest_structures(made, wanted)[0][0, 0] == pytest.approx((3 + 0.5 * 9) / 1.5)


def test_shuffling_moves_whole_compounds_within_a_dataset() -> None:
    made = compendium(block("a", [0, 1, 1, 2], [[0], [1], [1.5], [2]], [0]), block("b", [3], [[3]], [0]))
    moved = baselines.shuffle_compounds(made, 1)
    names = moved.blocks[0].compound
    assert sorted(set(names.tolist())) == [0, 1, 2] and names[1] == names[2]
    assert moved.blocks[1].compound.tolist() == [3]
    assert any(baselines.shuffle_compounds(made, seed).blocks[0].compound[0] != 0 for seed in range(5))


# --- ridge, structure ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(30, 5), (12, 40)])
def test_leave_one_out_is_what_fitting_without_the_row_gives(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    x, weights = rng.normal(size=shape), rng.uniform(0.2, 2, shape[0])
    y = x[:, :3] @ rng.normal(size=(3, 2)) + 0.5 * rng.normal(size=(shape[0], 2))
    fitted = ridge.fit(x, y, weights, together=True)
    penalty = _penalty(x, y, weights, fitted.coefficients)
    for row in (0, 7):
        others = np.arange(len(x)) != row
        w = weights[others, None]
        gram = x[others].T @ (w * x[others]) + penalty * np.eye(shape[1])
        expected = x[row] @ np.linalg.solve(gram, x[others].T @ (w * y[others]))
        np.testing.assert_allclose(fitted.left_out[row], expected, rtol=1e-6, atol=1e-8)


def _penalty(x, y, weights, coefficients) -> float:
    """The penalty a solution was found with: X'W(y - Xb) = penalty b."""
    left = x.T @ (weights[:, None] * (y - x @ coefficients))
    return float((left * coefficients).sum() / (coefficients**2).sum())


def test_where_features_say_nothing_ridge_uses_none() -> None:
    rng = np.random.default_rng(3)
    fitted = ridge.fit(rng.normal(size=(200, 20)), rng.normal(size=(200, 1)))
    assert np.abs(fitted.coefficients).max() < 0.05 and fitted.r_squared[0] < 0.03


def test_features_multiply_to_tanimoto_similarities() -> None:
    bits = np.random.default_rng(4).random((40, 2048)) < 0.05
    packed = np.packbits(bits, axis=1)
    features = structure.structure_map(packed).features(packed)
    both = (bits[:, None] & bits[None]).sum(axis=2)
    either = (bits[:, None] | bits[None]).sum(axis=2)
    np.testing.assert_allclose(features @ features.T, both / either, atol=1e-3)
    few = structure.structure_map(packed, most=10)
    assert len(few.landmarks) == 10 and few.features(packed).shape == (40, 10)


# --- calibration --------------------------------------------------------------------------------------------------


def test_slopes_are_those_of_least_squares_within_zero_and_one_and_a_half() -> None:
    rng = np.random.default_rng(5)
    rows = [
        Rows(name, "x", np.arange(50), np.arange(40), np.ones(40), np.ones(40)) for name in ("half", "noise", "thrice")
    ]
    prediction = [rng.normal(size=(40, 50)).astype(np.float32) for _ in rows]
    noise = [rng.normal(size=(40, 50)).astype(np.float32) for _ in rows]
    truth = [0.5 * prediction[0] + noise[0], -0.2 * prediction[1] + noise[1], 3 * prediction[2] + noise[2]]
    found = calibration.slopes(rows, truth, prediction)
    assert found["half"] == pytest.approx(0.5, abs=0.06)
    assert found["noise"] == 0 and found["thrice"] == 1.5


def test_a_dataset_with_few_validation_compounds_takes_the_slope_of_all() -> None:
    rng = np.random.default_rng(6)
    rows = [Rows("many", "x", np.arange(50), np.arange(40), np.ones(40), np.ones(40))]
    rows.append(Rows("few", "x", np.arange(50), np.arange(2), np.ones(2), np.ones(2)))
    prediction = [rng.normal(size=(len(part), 50)).astype(np.float32) for part in rows]
    truth = [0.8 * prediction[0], 0.0 * prediction[1]]
    found = calibration.slopes(rows, truth, prediction)
    assert found["few"] == pytest.approx(0.8 * 40 / 42, abs=0.05)


# --- similarity ---------------------------------------------------------------------------------------------------


def test_percentiles_are_shares_of_random_pairs_of_the_same_reliability() -> None:
    rng = np.random.default_rng(7)
    vectors = rng.normal(size=(400, 2))
    vectors[200:] = np.abs(vectors[200:])  # the better known half points into one quarter
    reliability = np.repeat([0.4, 0.95], 200)
    calibration_ = similarity.calibrate(vectors, reliability)
    low, high = calibration_.percentile(np.array([0.5, 0.5]), np.array([0.4, 0.95]))
    # Two directions at random: P(cos < 0.5) = 2/3; in a quarter plane hardly a quarter of the pairs is further apart.
    assert low == pytest.approx(2 / 3, abs=0.03)
    assert high < 0.25
    assert calibration_.percentile(np.array([-1.01, 1.0]), np.array([0.4, 0.4])).tolist()[0] == 0
    assert calibration_.percentile(np.array([1.0]), np.array([0.4]))[0] >= 0.999


def test_a_class_of_few_compounds_takes_the_pairs_of_all() -> None:
    vectors = np.random.default_rng(8).normal(size=(50, 3))
    made = similarity.calibrate(vectors, np.full(50, 0.6))
    np.testing.assert_array_equal(made.quantiles[0], made.quantiles[4])


def test_a_penalty_by_folds_is_the_one_whose_parts_predict_best() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(60, 30))
    y = x[:, :4] @ rng.normal(size=(4, 3)) + 2 * rng.normal(size=(60, 3))
    fitted = ridge.fit(x, y, together=True, folds=5)
    part = np.random.default_rng(0).permutation(60) % 5
    unit = np.linalg.eigvalsh(x.T @ x).sum() / 60
    errors = {}
    for times in ridge.PENALTIES[:-1]:
        errors[times] = 0.0
        for fold in range(5):
            a, b = x[part != fold], y[part != fold]
            guess = x[part == fold] @ np.linalg.solve(a.T @ a + times * unit * np.eye(30), a.T @ b)
            errors[times] += ((y[part == fold] - guess) ** 2).sum()
    best = min(errors, key=errors.__getitem__)
    np.testing.assert_allclose(_penalty(x, y, np.ones(60), fitted.coefficients), best * unit, rtol=1e-6)
