"""The structured design: what is in the fit, and what can be estimated."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pbdb.common.errors import DataError, DesignError
from pbdb.effects import engine

VEHICLE = "DMSO"


def design(conditions: list[str], **columns: object) -> engine.Design:
    labels = np.array(conditions, dtype=object)
    return engine.build_design(labels, labels == VEHICLE, **columns)  # type: ignore[arg-type]


def status(built: engine.Design) -> dict[str, str]:
    return dict(zip(built.effects.condition.tolist(), built.effects.status.tolist(), strict=True))


def test_one_plate_leaves_one_df_per_sample_beyond_the_conditions():
    built = design([VEHICLE] * 3 + ["a"] * 2 + ["b"])
    assert status(built) == {"a": "ok", "b": "ok"}
    assert (built.n_conditions, built.n_plates, built.df_residual) == (3, 1, 3)
    assert built.effects.n_treated.tolist() == [2, 1]
    assert built.effects.n_vehicle.tolist() == [3, 3]


def test_condition_on_a_plate_of_its_own_is_confounded():
    built = design([VEHICLE, VEHICLE, "a", "a", "b", "b"], plate=[1, 1, 1, 1, 2, 2])
    assert status(built) == {"a": "ok", "b": "confounded_with_plate"}
    assert built.n_components == 2
    assert built.df_residual == 6 - (3 + 2 - 2)


def test_plate_without_vehicle_is_connected_through_a_shared_condition():
    built = design([VEHICLE, VEHICLE, "a", "a", "b", "b"], plate=[1, 1, 1, 2, 2, 2])
    assert status(built) == {"a": "ok", "b": "ok"}
    assert dict(zip("ab", built.effects.n_vehicle_same_plates.tolist(), strict=True)) == {"a": 2, "b": 0}


def test_each_time_has_its_own_vehicle_and_an_idle_control_is_left_out():
    built = design(
        [VEHICLE, VEHICLE, "a 6h", "a 6h", VEHICLE, "a 24h", "a 24h", VEHICLE],
        time=[6, 6, 6, 6, 24, 24, 24, 48],
    )
    assert status(built) == {"a 24h": "ok", "a 6h": "ok"}
    assert built.effects.n_vehicle.tolist() == [1, 2]
    assert built.n_samples == 7


def test_time_without_vehicle_is_a_status_and_its_wells_stay_in_the_fit():
    built = design([VEHICLE, VEHICLE, "a", "b", "b"], time=[6, 6, 6, 24, 24])
    assert status(built) == {"a": "ok", "b": "no_vehicle"}
    assert built.n_samples == 5


def test_condition_whose_wells_were_all_left_out_is_a_status():
    cells = np.array([50, 50, 9, 60, np.nan, -666])
    keep = engine.enough_cells(cells, 10)
    built = design([VEHICLE, VEHICLE, "a", "b", "b", "b"], keep=keep)
    assert status(built) == {"a": "no_sample", "b": "ok"}
    assert built.effects.n_treated.tolist() == [0, 3]


def test_samples_to_keep_may_be_marked_by_any_kind_of_truth():
    for keep in (np.array([True, True, False, True], dtype=object), pd.array([True, True, False, True])):
        assert status(design([VEHICLE, VEHICLE, "a", "b"], keep=keep)) == {"a": "no_sample", "b": "ok"}


def test_as_many_conditions_as_samples_leave_no_residual_df():
    built = design([VEHICLE, "a", "b"])
    assert set(status(built).values()) == {"no_residual_df"}
    assert len(built.ok) == 0


def test_replicate_mode_has_one_effect_per_treated_well():
    built = design([VEHICLE] * 3 + ["a", "b", "a"], mode="replicate")
    assert built.effects.condition.tolist() == ["a", "b", "a"]
    assert built.effects.sample.tolist() == [3, 4, 5]
    assert built.effects.n_treated.tolist() == [1, 1, 1]
    assert built.df_residual == 2


def test_unknown_time_has_its_own_vehicle():
    built = design([VEHICLE, VEHICLE, "a", "a"], time=[np.nan] * 4)
    assert status(built) == {"a": "ok"}


@pytest.mark.parametrize("name", ["a, b (10 µM)", "β-estradiol 1uM", "x  y"])
def test_any_text_may_name_a_condition(name: str):
    assert design([VEHICLE, VEHICLE, name, name]).effects.condition.tolist() == [name]


def test_experiment_without_vehicle_or_without_treatment_is_refused():
    with pytest.raises(DesignError, match="no vehicle well"):
        design(["a", "b"])
    with pytest.raises(DesignError, match="no treated well"):
        design([VEHICLE, VEHICLE])


def test_condition_at_two_times_is_refused():
    with pytest.raises(DesignError, match="two times"):
        design([VEHICLE, "a", "a"], time=[6, 6, 24])


def test_columns_of_another_length_are_refused():
    with pytest.raises(DataError, match="plate"):
        design([VEHICLE, "a"], plate=[1])
