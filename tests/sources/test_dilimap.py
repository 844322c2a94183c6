"""DILImap: quality control and doses that depend on what is loaded together, and two data sets that share wells."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from loads import load, query, value
from simulated import Simulated

from pbdb.common.errors import SourceError
from pbdb.common.settings import Settings
from pbdb.simulate import dilimap
from pbdb.sources import registry

DATASETS = ("dilimap_train", "dilimap_train_val")
declaration: Any = importlib.import_module("pbdb.etl.dilimap")


@pytest.fixture(scope="module")
def one(simulated: Callable[[str], Simulated]) -> Simulated:
    return simulated("dilimap")


@pytest.mark.parametrize("dataset", DATASETS)
def test_wells_fail_for_the_reason_that_was_planted(one: Simulated, dataset: str) -> None:
    flags = """SELECT coalesce(flags[1], 'in_fit'), count(*) FROM core.sample JOIN core.dataset USING (dataset_id)
        WHERE dataset = :dataset GROUP BY 1"""
    assert dict(query(one.settings, flags, dataset=dataset)) == one.truth.wells[dataset]
    effects = (
        "SELECT count(*) FROM core.effect JOIN core.dataset USING (dataset_id) WHERE dataset = :d AND status = 'ok'"
    )
    assert value(one.settings, effects, d=dataset) == one.truth.conditions[dataset]


def test_a_training_well_may_pass_beside_the_validation_split_only(one: Simulated) -> None:
    found = query(
        one.settings,
        "SELECT dataset, flags FROM core.sample JOIN core.dataset USING (dataset_id) WHERE well = :well ORDER BY 1",
        well=dilimap.BORDERLINE,
    )
    assert found == [("dilimap_train", ["low_counts"]), ("dilimap_train_val", [])]


def test_the_ledger_says_what_was_decided_together(one: Simulated) -> None:
    query_ = "SELECT report->'facts' FROM core.etl_run WHERE stage = 'transform' AND dataset = :dataset"
    alone, both = (value(one.settings, query_, dataset=dataset) for dataset in DATASETS)
    assert (alone["decided_over"], both["decided_over"]) == (["training"], ["training", "validation"])
    assert alone["least_log10_counts"] > both["least_log10_counts"]
    assert alone["doses_taken_as"] == {"10.003": "10"}
    assert both["doses_taken_as"] == {"10.003": "10", "31.6": "31.62"}
    assert (alone["genes_some_part_lacks"], both["genes_some_part_lacks"]) == (0, dilimap.N_LACKING)
    assert alone["failed"]["any"] == 75 - one.truth.wells["dilimap_train"]["in_fit"]


def test_genes_are_those_that_all_parts_have(one: Simulated) -> None:
    reports = query(one.settings, "SELECT dataset, report->'genes' FROM core.etl_run WHERE stage = 'transform'")
    alone, both = (dict(reports)[dataset] for dataset in DATASETS)
    assert alone["unknown"] == 1
    assert sum(both.values()) == sum(alone.values()) - dilimap.N_LACKING


def test_doses_written_differently_are_one_condition_and_stay_with_the_well(one: Simulated) -> None:
    doses = query(one.settings, "SELECT DISTINCT dose_um FROM pbdb.condition ORDER BY 1")
    assert [dose for (dose,) in doses] == [0.0, *dilimap.DOSES]
    kept = query(one.settings, "SELECT DISTINCT attributes->>'CONCENTRATION_UM' FROM core.sample WHERE NOT is_vehicle")
    assert {"10.003", "31.6"} <= {dose for (dose,) in kept}


def test_the_two_data_sets_are_never_matched_and_one_of_them_is_counted(one: Simulated) -> None:
    shared = """SELECT count(*) FROM core.condition a JOIN core.condition b USING (context_id, dose_fm, time_h)
        JOIN core.source_compound x ON x.source_compound_id = a.source_compound_id
        JOIN core.source_compound y ON y.source_compound_id = b.source_compound_id AND y.compound_id = x.compound_id
        WHERE a.dataset_id < b.dataset_id AND NOT a.is_vehicle"""
    assert value(one.settings, shared) >= 15
    assert value(one.settings, "SELECT count(*) FROM core.match") == 0
    groups = query(one.settings, "SELECT dataset, overlap_group, is_primary FROM pbdb.dataset ORDER BY 1")
    assert groups == [("dilimap_train", "dilimap", False), ("dilimap_train_val", "dilimap", True)]
    counted = query(one.settings, "SELECT n_datasets, n_conditions, n_samples, n_effects FROM pbdb.compendium")
    assert counted == query(
        one.settings,
        "SELECT 1, n_conditions, n_samples, n_effects FROM pbdb.coverage WHERE dataset = 'dilimap_train_val'",
    )


def test_planted_effects_are_found(one: Simulated) -> None:
    keys = ["compound", "dose_um", "gene_id"]
    rows = query(
        one.settings,
        "SELECT s.source_key, e.dose_um, e.gene_id, e.log2_fc FROM pbdb.condition_effect e JOIN core.condition c "
        "ON c.condition_id = e.condition_id JOIN core.source_compound s ON s.source_compound_id = c.source_compound_id "
        "WHERE e.dataset = 'dilimap_train_val'",
    )
    both = pd.DataFrame(rows, columns=[*keys, "log2_fc"]).join(
        one.truth.effects.set_index(keys)["log2_fc"].rename("planted"), on=keys
    )
    responding = both[both["planted"].abs() > 0.5]
    assert len(responding) > 100
    assert (responding["log2_fc"] - responding["planted"]).abs().quantile(0.9) < 0.3


def test_compounds_are_found_by_label_alias_or_not_at_all(one: Simulated) -> None:
    found = query(one.settings, "SELECT DISTINCT name, resolved_by, given_smiles IS NULL FROM core.source_compound")
    assert ("Imipramine2", "alias", True) in found
    assert [name for name, how, _ in found if how == "unresolved"] == ["dactolisib"]
    labels = query(one.settings, "SELECT DISTINCT kind, value FROM pbdb.compound_annotation ORDER BY 2")
    assert labels == [("toxicity_label", value) for value in ("DILI", "No-DILI", "high")]


def test_a_well_of_many_replicates_is_judged_by_the_half_most_like_it() -> None:
    alike = np.array(
        [[1, 0.9, 0.8, 0.7, 0.6], [0.9, 1, 0.5, 0.5, 0.5], [0.8, 0.5, 1, 0.5, 0.5], [0.7, 0.5, 0.5, 1, 0.5],
         [0.6, 0.5, 0.5, 0.5, 1]]
    )  # fmt: skip
    assert declaration._robust(alike).tolist() == pytest.approx([0.85, 0.7, 0.65, 0.6, 0.55])
    assert declaration._best(alike).tolist() == [0.9, 0.9, 0.8, 0.7, 0.6]
    assert np.isnan(declaration._best(np.ones((1, 1)))).all()


def _doses(*rows: tuple[float, int, bool]) -> dict[float, float]:
    wells = pd.DataFrame(
        [(dose, training) for dose, times, training in rows for _ in range(times)],
        columns=["CONCENTRATION_UM", "is_training"],
    )
    passes = dict.fromkeys(("passes_ldh", "passes_counts", "passes_mito", "passes_correlation"), True)
    found: dict[float, float] = declaration.harmonised(wells.assign(**passes, is_replaced=False, is_vehicle=False))
    return found


def test_doses_within_reach_of_an_anchor_are_called_by_the_shortest_training_dose() -> None:
    assert _doses((10.003, 9, True), (10.0, 1, True), (10.5, 3, True)) == {10.003: 10.0, 10.0: 10.0, 10.5: 10.5}
    assert _doses((31.62, 2, True), (31.6, 50, False)) == {31.62: 31.62, 31.6: 31.62}


def test_a_rare_dose_joins_the_nearest_anchor_not_the_first() -> None:
    found = _doses((1.0, 9, True), (1.05, 8, True), (1.035, 1, True))
    assert found == {1.0: 1.0, 1.05: 1.05, 1.035: 1.05}


def test_without_the_agreement_a_load_says_what_to_ask_for(database: Settings, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="ask Cellarity for the training counts"):
        load(database, None, "dilimap", dataset="dilimap_train")
    with pytest.raises(SourceError, match=r"no file 'adata_training_counts.h5ad'"):
        load(database, tmp_path, "dilimap", dataset="dilimap_train")
    terms = registry.get("dilimap").datasets.values()
    assert {(one.access, one.is_redistributable, one.is_non_commercial) for one in terms} == {
        ("on_request", False, True)
    }
