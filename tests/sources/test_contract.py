"""Every source on its simulated release, through all stages into a database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from loads import contents, load, query, value
from simulated import Simulated

from pbdb.common.settings import Settings
from pbdb.loading.verification import run as verification
from pbdb.sources import registry


@pytest.fixture(scope="module", params=registry.known())
def one(request: pytest.FixtureRequest, simulated: Callable[[str], Simulated]) -> Simulated:
    return simulated(request.param)


def test_every_dataset_is_loaded_with_its_terms(one: Simulated) -> None:
    assert all(outcome["changed"] for outcome in one.outcomes)
    found = query(
        one.settings, "SELECT dataset, license, is_redistributable, is_simulated FROM core.dataset ORDER BY 1"
    )
    declared = one.source.datasets
    assert found == [(key, declared[key].license, declared[key].is_redistributable, True) for key in sorted(declared)]


def test_every_well_is_in_the_database_once_in_a_fit_or_with_a_reason(one: Simulated) -> None:
    counted = sum(outcome["samples"] for outcome in one.outcomes)
    assert value(one.settings, "SELECT count(DISTINCT (dataset_id, source_sample)) FROM core.sample") == counted
    assert value(one.settings, "SELECT count(*) FROM core.sample WHERE in_fit = (flags <> '{}')") == 0


def test_a_vehicle_has_dose_zero_and_every_condition_its_samples(one: Simulated) -> None:
    assert value(one.settings, "SELECT count(*) FROM core.condition WHERE is_vehicle <> (dose_fm = 0)") == 0
    wrong = """SELECT count(*) FROM core.condition c WHERE n_samples <>
        (SELECT count(*) FROM core.sample s WHERE s.condition_id = c.condition_id)"""
    assert value(one.settings, wrong) == 0


def test_every_treated_condition_has_one_effect_in_the_default_fit(one: Simulated) -> None:
    wrong = """SELECT count(*) FROM core.condition c WHERE NOT is_vehicle AND 1 <>
        (SELECT count(*) FROM core.effect e JOIN core.fit f USING (fit_id)
         WHERE e.condition_id = c.condition_id AND f.is_default)"""
    assert value(one.settings, wrong) == 0
    statuses = dict(query(one.settings, "SELECT status, count(*) FROM core.effect GROUP BY 1"))
    told: Counter[str] = Counter()
    for outcome in one.outcomes:
        told.update(outcome["effects"])
    assert statuses == told
    assert statuses["ok"] > 0


def test_both_orientations_hold_the_same_numbers(one: Simulated) -> None:
    long_by_effect = """SELECT e.effect_id, g.gene_key, v.log2_fc, v.se, v.p
        FROM core.effect e JOIN core.fit f USING (fit_id) JOIN core.feature_set s USING (feature_set_id),
        unnest(s.gene_keys, e.log2_fc, e.se, e.neg_log10_p_adj) AS v(gene_key, log2_fc, se, p),
        LATERAL (SELECT v.gene_key) g WHERE e.status = 'ok'"""
    long_by_gene = """SELECT v.effect_id, g.gene_key, v.log2_fc, v.se, v.p
        FROM core.gene_effect g JOIN core.fit f USING (fit_id),
        unnest(f.effect_ids, g.log2_fc, g.se, g.neg_log10_p_adj) AS v(effect_id, log2_fc, se, p)"""
    n = value(one.settings, f"SELECT count(*) FROM ({long_by_effect}) x")
    same = f"SELECT count(*) FROM (({long_by_effect}) INTERSECT ({long_by_gene})) x"
    assert n == value(one.settings, same) == value(one.settings, f"SELECT count(*) FROM ({long_by_gene}) x") > 0


def test_a_second_reading_finds_what_the_specification_says(one: Simulated) -> None:
    for verified in verification.verify(one.settings):
        assert verified.differences == [], verified.dataset
        assert verified.refitted > 0


def test_the_ledger_tells_of_every_stage_and_every_input(one: Simulated) -> None:
    rows = query(one.settings, "SELECT stage, status, inputs, dropped FROM core.etl_run ORDER BY etl_run_id")
    stages = [row[0] for row in rows]
    assert stages == ["extract", "transform", "validate", "effects", "publish", "match"] * len(one.source.datasets)
    assert {row[1] for row in rows} == {"done"}
    inputs = rows[0][2]
    assert inputs and all(file["checked"] == "SHA256SUMS" and len(file["sha256"]) == 64 for file in inputs.values())
    transform = rows[1][3]
    assert transform and all(key.startswith(("cell ", "gene ", "profile ")) for key in transform)


def test_a_second_load_of_the_same_files_writes_nothing(one: Simulated) -> None:
    before = contents(one.settings, versions=True), value(one.settings, "SELECT count(*) FROM core.etl_run")
    for dataset in one.source.datasets:
        assert not load(one.settings, one.folder, one.source.key, dataset=dataset)["changed"]
    after = contents(one.settings, versions=True), value(one.settings, "SELECT count(*) FROM core.etl_run")
    assert after == before


def test_a_load_elsewhere_gives_the_same_rows_with_the_same_ids(one: Simulated, own: Settings) -> None:
    before = contents(own)
    for dataset in one.source.datasets:
        assert load(own, one.folder, one.source.key, dataset=dataset, force=True)["changed"]
    after = contents(own)
    assert after.keys() == before.keys()
    seconds = {"fit", "artifact"}  # these tables hold some, or what follows from them
    assert {name for name in after if after[name] != before[name]} <= seconds
