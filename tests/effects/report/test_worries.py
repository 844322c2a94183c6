"""Planted faults are found, each by its test, and clean plates raise no alarm."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from simulated_screens import planted

from pbdb.effects.engine import NullResult
from pbdb.effects.report.screen import FitPicture, Screen
from pbdb.effects.report.worries import judge

FOUND_BY = {
    "plates": "plate_effects",
    "apart": "plate_apart",
    "few": "few_counts",
    "dying": "dying",
    "vehicle": "swapped_vehicle",
    "replicate": "odd_replicate",
    "labels": "replicates",
    "edge": "edge",
    "edge_expression": "edge",
    "halves": "pattern",
}


def worries(contents: Screen) -> dict[str, tuple[str, ...]]:
    return {verdict.key: verdict.says for verdict in judge(contents) if verdict.says}


@pytest.mark.parametrize("fault", FOUND_BY)
def test_a_planted_fault_is_found_by_its_test(fault: str) -> None:
    assert FOUND_BY[fault] in worries(planted(1001, fault))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("active", [0.0, 0.5])
def test_clean_plates_raise_none(seed: int, active: float) -> None:
    assert worries(planted(seed, active=active)) == {}


def test_plates_that_differ_worry_about_plates_only() -> None:
    assert set(worries(planted(7, plate_sd=0.3))) <= {"plate_effects"}


def test_the_swapped_well_is_named_and_what_it_looks_like() -> None:
    contents = planted(1001, "vehicle")
    (sentence,) = worries(contents)["swapped_vehicle"]
    like = contents.wells.loc[~contents.wells["is_vehicle"], "compound"].iloc[0]
    row = contents.wells[contents.wells["is_vehicle"]].iloc[2]
    assert f"{row['well']} of plate {row['plate']}" in sentence and f"looks like {like}" in sentence


def test_the_odd_replicate_is_named() -> None:
    contents = planted(1001, "replicate")
    row = contents.wells[~contents.wells["is_vehicle"]].iloc[0]
    assert any(f"{row['well']} of plate {row['plate']}" in says for says in worries(contents)["odd_replicate"])


def test_the_check_on_vehicle_wells_worries_above_chance_only() -> None:
    clean = planted(0)
    for share, worry in ((0.05, False), (0.3, True)):
        null = NullResult(100, share, share / 2, share * 2, 1.0)
        fits = [FitPicture("a", "", null=null)]
        assert ("null_check" in worries(dataclasses.replace(clean, fits=fits))) is worry


def test_without_a_matrix_counts_are_tested_and_the_rest_says_why() -> None:
    contents = dataclasses.replace(planted(1001, "few"), values=None, missing="the matrix is gone")
    verdicts = {verdict.key: verdict for verdict in judge(contents)}
    assert verdicts["few_counts"].state == "worry"
    assert verdicts["swapped_vehicle"].not_tested == "the matrix is gone"


def test_too_little_to_ask_is_said_and_never_quiet() -> None:
    clean = planted(0)
    few = np.flatnonzero(clean.wells["plate"] == "P1")[:5]
    wells = clean.wells.iloc[few].reset_index(drop=True)
    assert clean.values is not None
    small = dataclasses.replace(clean, wells=wells, values=clean.values[few])
    states = {verdict.key: verdict.state for verdict in judge(small)}
    assert {states[key] for key in ("plate_effects", "plate_apart", "replicates", "null_check")} == {"not tested"}
