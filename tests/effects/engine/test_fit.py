"""Whole fits: invariances, honesty and calibration."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pbdb.common.errors import ConfigError, DataError, DesignError
from pbdb.effects import engine
from pbdb.effects.options import choose_span

COMPARED = ("log2_fc", "stdev_unscaled", "t", "neg_log10_p", "p_adj", "b")


def assert_equal_blocks(a: engine.CompleteBlock, b: engine.CompleteBlock, genes: Any = slice(None)) -> None:
    for name in COMPARED:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name)[genes], rtol=1e-8, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("readout", ["counts", "log2_intensity"])
def test_order_of_genes_does_not_matter(simulate: Any, readout: str):
    made = simulate(readout=readout)
    order = np.random.default_rng(1).permutation(made.values.shape[1])
    shuffled = made.with_values(made.values[:, order])
    fit, again = made.fit(readout=readout), shuffled.fit(readout=readout)
    place = np.searchsorted(fit.genes, order[again.genes])
    assert_equal_blocks(shuffled.block(readout=readout), made.block(readout=readout), place)


@pytest.mark.parametrize("readout", ["counts", "log2_intensity"])
def test_order_of_samples_does_not_matter(simulate: Any, readout: str):
    made = simulate(readout=readout)
    order = np.random.default_rng(1).permutation(len(made.values))
    shuffled = type(made)(made.sheet.iloc[order].reset_index(drop=True), made.values[order])
    assert_equal_blocks(shuffled.block(readout=readout), made.block(readout=readout))


def test_names_of_conditions_and_plates_do_not_matter(counts: Any):
    renamed = counts.sheet.assign(
        condition="µ, (x) " + counts.sheet.condition, plate=counts.sheet.plate.map({0: "z", 1: "a", 2: "m"})
    )
    assert_equal_blocks(type(counts)(renamed, counts.values).block(), counts.block())


@pytest.mark.parametrize("readout", ["counts", "log2_intensity"])
def test_one_and_two_threads_give_identical_numbers(simulate: Any, readout: str):
    made = simulate(readout=readout)
    one, two = made.block(readout=readout, threads=1), made.block(readout=readout, threads=2)
    for name in COMPARED:
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_size_of_blocks_does_not_matter(counts: Any):
    fit = counts.fit()
    whole = counts.block()
    parts = list(engine.complete(fit, size=7))
    assert len(parts) > 10
    for name in (*COMPARED, "p_adj_fit", "se", "p_value"):
        np.testing.assert_array_equal(np.vstack([getattr(p, name) for p in parts]), getattr(whole, name))


def test_up_is_positive(counts: Any):
    values = counts.values.copy()
    treated = (counts.sheet.condition == "drug 7").to_numpy()
    gene = int(counts.fit().genes[np.argmax(counts.fit().ave_expr)])
    values[treated, gene] *= 8
    changed = counts.with_values(values)
    row = np.searchsorted(changed.fit().genes, gene)
    column = changed.design().effects.condition.tolist().index("drug 7")
    assert changed.block().log2_fc[row, column] == pytest.approx(3, abs=1.2)
    assert changed.block().t[row, column] > 3


def test_doubled_library_changes_little(simulate: Any):
    made = simulate(n_genes=400)
    values = made.values.copy()
    values[10] *= 2
    before, after = made.block(filter="none"), made.with_values(values).block(filter="none")
    assert np.abs(after.log2_fc - before.log2_fc).mean() < 0.02


def test_sample_left_out_equals_a_sample_that_is_not_there(counts: Any):
    keep = np.ones(len(counts.sheet), dtype=bool)
    keep[[2, 12]] = False
    shorter = type(counts)(counts.sheet[keep].reset_index(drop=True), counts.values[keep])
    assert_equal_blocks(counts.block(keep=keep), shorter.block())


def test_conditions_of_two_times_are_compared_with_their_own_vehicle(simulate: Any):
    made = simulate(readout="log2_intensity")
    late = made.sheet.assign(time=48.0, condition=made.sheet.condition + " late")
    both = type(made)(pd.concat([made.sheet, late], ignore_index=True), np.vstack([made.values, made.values + 2]))
    block = both.block(readout="log2_intensity")
    labels = both.design().effects.condition.tolist()
    early, later = (labels.index(name) for name in ("drug 3", "drug 3 late"))
    np.testing.assert_allclose(block.log2_fc[:, early], block.log2_fc[:, later], atol=1e-9)


def test_replicate_mode_averages_to_the_pooled_effect_on_one_plate(simulate: Any):
    made = simulate(readout="log2_intensity", n_plates=1)
    pooled, single = made.block(readout="log2_intensity"), made.block(readout="log2_intensity", mode="replicate")
    labels = made.design(mode="replicate").effects.condition
    column = made.design().effects.condition.tolist().index("drug 3")
    mean = single.log2_fc[:, labels == "drug 3"].mean(axis=1)
    np.testing.assert_allclose(mean, pooled.log2_fc[:, column], atol=1e-10)


def test_missing_intensities_touch_only_their_own_gene(intensities: Any):
    values = intensities.values.copy()
    values[(intensities.sheet.condition == "drug 3").to_numpy(), 5] = np.nan
    values[(intensities.sheet.is_control).to_numpy(), 6] = np.nan
    gappy = intensities.with_values(values).block(readout="log2_intensity")
    whole = intensities.block(readout="log2_intensity")
    column = intensities.design().effects.condition.tolist().index("drug 3")
    assert np.isnan(gappy.log2_fc[5, column])
    assert np.isnan(gappy.log2_fc[5]).sum() == 1
    assert np.isnan(gappy.log2_fc[6]).all()
    others = np.delete(np.arange(values.shape[1]), [5, 6])
    np.testing.assert_allclose(gappy.log2_fc[others], whole.log2_fc[others], atol=1e-12)


def test_empty_constant_and_all_missing_genes_are_no_error(counts: Any, intensities: Any):
    values = counts.values.copy()
    values[:, 0] = 0
    values[:, 1] = 30
    block = counts.with_values(values).block(filter="none")
    assert np.isfinite(block.t).all()
    values = intensities.values.copy()
    values[:, 0] = np.nan
    values[:, 1] = 7.5
    block = intensities.with_values(values).block(readout="log2_intensity")
    assert np.isnan(block.t[0]).all()
    np.testing.assert_allclose(block.log2_fc[1], 0, atol=1e-12)


def test_fit_without_residual_df_has_no_effects_but_a_report(simulate: Any):
    made = simulate(n_plates=1)
    first = ~made.sheet.condition.duplicated().to_numpy()
    for readout, values in (("counts", made.values), ("log2_intensity", np.log2(made.values + 0.7))):
        fit = type(made)(made.sheet[first].reset_index(drop=True), values[first]).fit(readout=readout)
        assert list(fit.blocks()) == []
        assert list(engine.complete(fit)) == []
        assert fit.report()["effects"] == {"no_residual_df": 9}


def test_confounded_condition_has_no_numbers(counts: Any):
    alone = (counts.sheet.condition == "drug 7").to_numpy()
    sheet = counts.sheet.assign(plate=np.where(alone, 9, counts.sheet.plate))
    made = type(counts)(sheet, counts.values)
    fit = made.fit()
    assert fit.report()["effects"] == {"confounded_with_plate": 1, "ok": 8}
    assert "drug 7" not in fit.design.effects.condition[fit.effects]
    assert next(fit.blocks(10)).log2_fc.shape == (10, 8)


def test_trend_on_counts_agrees_with_voom(simulate: Any):
    made = simulate(n_genes=300)
    trend, weighted = made.block(method="trend"), made.block()
    assert np.corrcoef(trend.t.ravel(), weighted.t.ravel())[0, 1] > 0.95


def test_span_is_adaptive_or_a_number():
    assert choose_span("adaptive", 50) == 1.0
    assert choose_span("adaptive", 27_179) == pytest.approx(0.3 + 0.7 * (50 / 27_179) ** (1 / 3))
    assert choose_span(0.5, 10) == 0.5
    with pytest.raises(ConfigError, match="Span"):
        choose_span(1.5, 10)


@pytest.mark.parametrize("wrong", [{"readout": "rpkm"}, {"method": "edger"}, {"filter": "some"}])
def test_unknown_options_are_refused(counts: Any, wrong: dict[str, str]):
    with pytest.raises(ConfigError):
        counts.fit(**wrong)


def test_voom_on_intensities_is_refused(intensities: Any):
    with pytest.raises(ConfigError, match="voom needs counts"):
        intensities.fit(readout="log2_intensity", method="voom")


def test_matrix_of_another_size_and_empty_samples_are_refused(counts: Any):
    with pytest.raises(DataError, match="samples and the design"):
        engine.prepare(counts.values[:-1], counts.design())
    values = counts.values.copy()
    values[4] = 0
    with pytest.raises(DataError, match="no count at all"):
        counts.with_values(values).fit()


def test_nothing_expressed_is_refused(counts: Any):
    with pytest.raises(DesignError, match="No gene passes"):
        counts.with_values(np.minimum(counts.values, 1) + 1).fit()


@pytest.mark.parametrize("n_genes", [1, 2, 3, 5])
@pytest.mark.parametrize("readout", ["counts", "log2_intensity"])
def test_very_few_genes_are_no_error(simulate: Any, readout: str, n_genes: int):
    assert np.isfinite(simulate(n_genes=n_genes, readout=readout).block(readout=readout).t).all()


def test_hardly_any_values_are_no_error(intensities: Any):
    values = np.full(intensities.values.shape, np.nan)
    values[0, 0], values[9, 1] = 8.5, 3.25
    block = intensities.with_values(values).block(readout="log2_intensity")
    assert np.isnan(block.t).all()
    assert np.isnan(block.b).all()


def test_report_is_plain(counts: Any):
    facts = json.loads(json.dumps(counts.fit().report()))
    assert facts["genes_in"] == 120
    assert facts["genes_tested"] == len(counts.fit().genes)
    np.testing.assert_array_equal(engine.tested_genes(counts.values, counts.design()), counts.fit().genes)
    assert {"filter", "normalise", "trend", "variance", "moderate"} <= set(facts["seconds"])


def test_p_values_are_uniform_on_permuted_vehicles(driad: Any):
    """Real vehicle wells, three at a time called treated: their p-values must be uniform."""
    vehicle = np.flatnonzero(driad.sheet.is_control)
    random = np.random.default_rng(0)
    small, deviations = [], []
    for _ in range(5):
        fake = random.choice(vehicle, 3, replace=False)
        sheet = driad.sheet.copy()
        sheet.loc[fake, "condition"] = "fake"
        sheet.loc[fake, "is_control"] = False
        fit = type(driad)(sheet, driad.values[:, ::3]).fit()
        column = fit.design.effects.condition[fit.effects].tolist().index("fake")
        p = 10 ** -np.concatenate([block.neg_log10_p[:, column] for block in fit.blocks()])
        p = p[~np.isnan(p)]
        small.append((p < 0.05).mean())
        deviations.append(stats.kstest(p, "uniform").statistic)
    assert np.mean(small) == pytest.approx(0.05, abs=0.025)
    assert np.median(deviations) < 0.12
