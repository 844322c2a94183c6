"""p values of counts: r* against exact values, the whole test against its formulas, and counts at their limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special, stats

from pbdb.common.errors import ConfigError
from pbdb.effects import engine
from pbdb.effects.engine import weighted
from pbdb.effects.engine.left_out import checked_wells, leave_out
from pbdb.effects.engine.null_check import NullCheck, binomial_interval, null_spread
from pbdb.effects.engine.signed_root import score


def mid_p_deviate(law: Any, count: int) -> float:
    """The normal deviate of an exact mid-p value, positive where the count is high."""
    above = law.sf(count) + 0.5 * law.pmf(count)
    below = law.cdf(count - 1) + 0.5 * law.pmf(count)
    return float(stats.norm.isf(above) if above < below else stats.norm.ppf(below))


COUNTS = np.unique([*range(31), *np.geomspace(30, 3000, 40).astype(int)])


@pytest.mark.parametrize("dispersion", [0.005, 0.02, 0.1, 0.3, 1.0])
def test_a_count_against_a_known_mean_equals_the_exact_negative_binomial(dispersion: float):
    n_compared = 0
    for mean in (0.5, 2.0, 10.0, 50.0, 300.0):
        law = stats.nbinom(1 / dispersion, 1 / (1 + dispersion * mean))
        for count in COUNTS[1:]:
            exact = mid_p_deviate(law, count)
            if 2 < abs(exact) < 10:
                n_compared += 1
                assert score(float(count), mean, dispersion, 1e12, 0.0) == pytest.approx(exact, abs=0.03)
    assert n_compared > 30


@pytest.mark.parametrize("vehicle", [3, 5, 10, 20, 40])
def test_two_poisson_counts_equal_the_exact_conditional_binomial(vehicle: int):
    n_compared = 0
    for ratio in (0.05, 0.2, 1.0, 4.0):
        for count in COUNTS[1:]:
            exact = mid_p_deviate(stats.binom(count + vehicle, ratio / (1 + ratio)), count)
            if 2 < abs(exact) < 10:
                n_compared += 1
                assert score(float(count), vehicle * ratio, 0.0, float(vehicle), 0.0) == pytest.approx(exact, abs=0.03)
    assert n_compared > 20


def test_exponential_counts_come_near_the_exact_f_test():
    # 304 against the mean 14.3 of four others, all of dispersion 1: F on 2 and 8 degrees of freedom.
    exact = stats.norm.isf(stats.f.sf(304 / 14.3, 2, 8))
    assert score(304.0, 14.3, 1.0, 4 * 14.3, 1 / 4) == pytest.approx(exact, abs=0.05)
    assert score(304.0, 14.3, 1.0, 4 * 14.3, 1 / 4) == pytest.approx(3.18, abs=0.005)


def test_no_count_is_judged_by_its_probability():
    # Against a mean of 5 known exactly, P(0) = exp(-5): half of it is the mid-p value.
    assert score(0.0, 5.0, 0.0, 1e12, 0.0) == pytest.approx(stats.norm.ppf(0.5 * np.exp(-5)), abs=1e-6)
    assert score(0.0, 3000.0, 0.0, 1e12, 0.0) == pytest.approx(special.ndtri_exp(np.log(0.5) - 3000), rel=1e-6)
    # Of 23 counts that fall to either of two equal exposures, none to this one: 2^-23.
    exact = stats.norm.ppf(0.5 * 0.5**23)
    assert score(0.0, 23.0, 0.0, 23.0, 0.0) == pytest.approx(exact, rel=0.1)


def test_the_score_is_smooth_through_the_null_and_rises_with_the_count():
    counts = np.linspace(1, 200, 4000)
    z = np.array([score(count, 40.0, 0.02, 100.0, 0.003) for count in counts])
    assert (np.diff(z) > 0).all()
    assert np.abs(np.diff(z, 2)).max() < 0.002
    assert abs(z[np.argmin(np.abs(counts - 40))]) < 0.05


def plain_z(fit: engine.Fit, values: np.ndarray, gene: int, effect: int, q: float, plate_effect: np.ndarray) -> float:
    """z of one gene and effect by the formulas, well by well and with SciPy's root finder."""
    design = fit.design
    y = values[design.samples, fit.genes[gene]].astype(float)
    free = design.layout.free[np.repeat(design.layout.cell_plate, np.diff(design.layout.cell_start))]
    x = fit.library * 2.0 ** np.where(free >= 0, plate_effect[free], 0.0)
    condition, sizes = design.sample_condition, design.condition_sizes

    def pearson(phi: float, rate: np.ndarray) -> float:
        used = (sizes[condition] > 1) & (rate[condition] > 0)
        mu = (rate[condition] * x)[used]
        return float(((y[used] - mu) ** 2 / (mu * (1 + phi * mu))).sum())

    totals = np.bincount(condition, y)
    rate = totals / np.bincount(condition, x)
    df = (sizes - 1)[totals > 0].sum() * ((sizes - 1).sum() - design.n_free) / (sizes - 1).sum()
    phi = 0.0
    for _ in range(2):
        w = 1 / (1 + phi * (totals / np.bincount(condition, x))[condition] * x)
        rate = np.bincount(condition, w * y) / np.bincount(condition, w * x)
        low = pearson(0.0, rate) <= df
        phi = 0.0 if low else optimize.brentq(lambda value, rate=rate: pearson(value, rate) - df, 0, 1e4, xtol=1e-14)
    mean = max(y.mean(), (y * (y - 1) / x).sum() / y.sum() * x.mean())
    phi = max(0.0, (1 / mean + phi) * fit.s2_post[gene] / fit.sigma[gene] ** 2 - 1 / mean)
    in_vehicle = condition == design.effects.vehicle[fit.effects[effect]]
    in_treated = condition == design.effects.treated[fit.effects[effect]]
    mu = y[in_vehicle].sum() / x[in_vehicle].sum() * x[in_vehicle]
    w, exposure = 1 / (1 + phi * mu), x[in_vehicle].sum()
    T0 = exposure * (w * y[in_vehicle]).sum() / (w * x[in_vehicle]).sum()
    at_zero = phi * (x[in_vehicle] ** 2).sum() / exposure**2
    psi = (max(0.0, 1 / (w * mu).sum() - 1 / T0) if T0 else at_zero) + np.log(2) ** 2 * fit.s2_post[gene] * q
    m = x[in_treated] * (T0 + 0.5) / exposure
    w = 1 / (1 + phi * m)
    Y = m.sum() * (w * y[in_treated]).sum() / (w * m).sum()
    return score(float(Y), float(m.sum()), max(0.0, 1 / (w * m).sum() - 1 / m.sum()), float(T0 + 0.5), float(psi))


def test_the_test_equals_its_formulas(counts: Any):
    fit = counts.fit()
    (block,) = fit.blocks(size=10_000)
    y = fit._reader.values(fit.genes)
    fitted, plates = weighted.fit_with_plates(y, fit.weights(slice(None)), fit.design, fit.effects)
    np.testing.assert_array_equal(fitted.stdev_unscaled, block.stdev_unscaled)
    random = np.random.default_rng(5)
    for gene in random.choice(len(fit.genes), 25, replace=False):
        effect = int(random.integers(len(fit.effects)))
        z = plain_z(fit, counts.values, gene, effect, plates.variance[gene, effect], plates.effect[gene])
        expected = -np.log10(2 * stats.t.sf(abs(z), fit.df_total[gene]))
        assert block.neg_log10_p[gene, effect] == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("mode", ["pooled", "replicate"])
def test_estimates_and_limmas_p_values_do_not_move(counts: Any, mode: str):
    ours, limma = counts.block(mode=mode), counts.block(mode=mode, p_values="limma")
    for name in ("log2_fc", "se", "t", "stdev_unscaled", "b"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(limma, name))
    np.testing.assert_array_equal(ours.neg_log10_p_limma, limma.neg_log10_p)
    np.testing.assert_array_equal(ours.p_value_limma, limma.p_value)
    np.testing.assert_array_equal(ours.p_adj_limma, limma.p_adj)
    assert (ours.neg_log10_p != limma.neg_log10_p).mean() > 0.9
    assert limma.neg_log10_p_limma is None


def test_one_and_two_threads_give_identical_bits(counts: Any):
    (once,), (twice,) = (list(counts.fit(threads=n).blocks(10_000)) for n in (1, 2))
    for name in ("neg_log10_p", "null_neg_log10_p", "dispersion"):
        np.testing.assert_array_equal(getattr(once, name), getattr(twice, name))


def test_intensities_have_limmas_p_values(intensities: Any):
    fit = intensities.fit(readout="log2_intensity")
    (block,) = fit.blocks()
    assert fit.p_values == "limma"
    assert block.neg_log10_p_limma is None


def test_trend_of_counts_has_limmas_p_values(counts: Any):
    assert counts.fit(method="trend").report()["p_values"] == "limma"
    assert counts.fit().report()["p_values"] == "counts"


def test_an_unknown_kind_is_refused(counts: Any):
    with pytest.raises(ConfigError, match="use counts or limma"):
        counts.fit(p_values="exact").blocks().__next__()


def plate(n_conditions: int, depth: float, seed: int = 3, n_genes: int = 400, dispersion: float = 0.02) -> Any:
    """One plate: 12 vehicle wells and conditions of one to three wells, negative binomial noise."""
    random = np.random.default_rng(seed)
    sizes = 1 + np.arange(n_conditions) % 3
    condition = np.concatenate([np.zeros(12, int), np.repeat(1 + np.arange(n_conditions), sizes)])
    mean = depth * np.exp(random.normal(0, 1, n_genes)) * np.exp(random.normal(0, 0.4, len(condition)))[:, None]
    values = random.poisson(mean * random.gamma(1 / dispersion, dispersion, mean.shape)) if dispersion else mean
    if not dispersion:
        values = random.poisson(mean)
    sheet = pd.DataFrame({"condition": condition, "plate": 0, "time": 24.0, "is_control": condition == 0})
    return sheet, values.astype(float)


def fitted(sheet: pd.DataFrame, values: np.ndarray, **options: Any) -> tuple[engine.Fit, engine.Block]:
    design = engine.build_design(sheet.condition.to_numpy(), sheet.is_control, plate=sheet.plate)
    fit = engine.prepare(values, design, engine.Options(**{"threads": 1, "filter": "none", **options}))
    (block,) = fit.blocks(size=100_000)
    return fit, block


def test_genes_without_any_count_and_a_burst_in_a_silent_gene_have_no_p_value():
    sheet, values = plate(60, 30)
    values[:, :2] = 0
    values[np.flatnonzero(sheet.condition == 3)[1], 1] = 80
    values[np.flatnonzero(sheet.condition == 4)[0], 1] = 80
    values[sheet.condition == 3, 2] = 0
    _, block = fitted(sheet, values)
    assert np.isnan(block.neg_log10_p[:2]).all()
    assert not np.isnan(block.neg_log10_p_limma[:2]).any()
    assert not np.isnan(block.neg_log10_p[2:]).any()


def test_a_gene_switched_on_in_every_well_of_a_condition_is_found():
    sheet, values = plate(60, 30)
    values[:, 0] = 0
    chosen = sheet.condition == 3
    assert chosen.sum() == 3
    values[chosen, 0] = np.rint(values[chosen, 5:].sum(axis=1) / 200)
    _, block = fitted(sheet, values)
    assert block.neg_log10_p[0, 2] > 6
    assert (np.delete(block.neg_log10_p[0], 2) < 0.5).all()


def test_a_gene_switched_off_in_one_well_is_found():
    sheet, values = plate(60, 30)
    values[:, 0] = np.random.default_rng(1).poisson(60, len(values))
    well = int(np.flatnonzero(sheet.condition == 1)[0])
    values[well, 0] = 0
    _, block = fitted(sheet, values)
    assert block.log2_fc[0, 0] < -3
    assert block.neg_log10_p[0, 0] > 4


def test_poisson_counts_have_no_dispersion_worth_the_name_and_p_values_hold():
    sheet, values = plate(300, 30, dispersion=0.0)
    fit, block = fitted(sheet, values)
    assert np.median(block.dispersion) < 0.004
    assert (block.neg_log10_p > 2).mean() == pytest.approx(0.01, abs=0.0025)
    assert fit.p_values == "counts"


def test_libraries_a_hundredfold_apart_hold():
    sheet, values = plate(300, 400)
    random = np.random.default_rng(9)
    share = 100.0 ** -random.random(len(sheet))
    _, block = fitted(sheet, random.binomial(values.astype(int), share[:, None]).astype(float))
    single = np.arange(300) % 3 == 0
    assert (block.neg_log10_p[:, single] > 2).mean() == pytest.approx(0.01, abs=0.003)
    assert (block.neg_log10_p_limma[:, single] > 3).mean() > 1.5 * (block.neg_log10_p[:, single] > 3).mean()


def test_large_counts_tend_to_limma():
    sheet, values = plate(60, 1e6, dispersion=0.002)
    _, block = fitted(sheet, values)
    ours, limma = block.neg_log10_p, block.neg_log10_p_limma
    assert np.quantile(np.abs(ours - limma), 0.95) < 0.25
    assert np.corrcoef(ours.ravel(), limma.ravel())[0, 1] > 0.99
    small_sheet, small = plate(60, 3, dispersion=0.002)
    _, block = fitted(small_sheet, small)
    assert np.nanquantile(np.abs(block.neg_log10_p - block.neg_log10_p_limma), 0.95) > 0.3


def test_a_well_left_out_is_compared_with_plates_that_do_not_know_it(counts: Any):
    fit = counts.fit()
    design, layout = fit.design, fit.design.layout
    y, w = fit._reader.values(fit.genes[:3]), fit.weights(slice(0, 3))
    _, plates = weighted.fit_with_plates(y, w, design, fit.effects)
    wells = checked_wells(design)
    assert len(wells.well) == 6
    left_out = leave_out(y, w, plates, design, wells)
    plate_of = np.repeat(layout.cell_plate, np.diff(layout.cell_start))
    model = np.column_stack(
        [np.eye(design.n_conditions)[design.sample_condition], np.eye(design.n_plates)[plate_of][:, layout.free >= 0]]
    )
    for gene in range(3):
        for j, well in enumerate(wells.well):
            others = np.arange(len(model)) != well
            root = np.sqrt(w[gene, others])
            solution = np.linalg.lstsq(model[others] * root[:, None], y[gene, others] * root, rcond=None)[0]
            same = others & (design.sample_condition == wells.condition[j])
            moved = solution[design.n_conditions :] - plates.effect[gene]
            effects = np.where(layout.free >= 0, moved[layout.free], 0.0)
            # What the vehicle's own counts leave to the plates: the well's plate against those of the others.
            d = w[gene, same]
            shift = -(effects[plate_of[well]] - (d * effects[plate_of[same]]).sum() / d.sum())
            assert left_out.shift[gene, j] == pytest.approx(shift, abs=1e-9)
            contrast = model[well] - (d[:, None] * model[same]).sum(axis=0) / d.sum()
            inverse = np.linalg.inv((model[others] * w[gene, others, None]).T @ model[others])
            assert left_out.variance[gene, j] == pytest.approx(contrast @ inverse @ contrast, abs=1e-9)


def test_the_check_counts_wells_and_tails():
    check = NullCheck(4, 100)
    p = np.full((100, 4), 0.3)
    p[0, 2] = 8
    p[:50, 3] = np.nan
    check.add(slice(0, 100), p)
    result = check.result()
    assert result is not None
    assert (result.n_wells, result.any_share) == (4, 0.25)
    assert result.tail_ratio == pytest.approx(1 / 0.350)
    exact = stats.binomtest(1, 4).proportion_ci(method="exact")
    assert (result.any_share_low, result.any_share_high) == pytest.approx((exact.low, exact.high))
    assert binomial_interval(0, 23) == pytest.approx((0.0, 0.148), abs=0.001)
    assert NullCheck(0, 100).result() is None


def test_the_check_of_a_fit_of_noise_holds_and_tells_a_bad_well():
    sheet, values = plate(200, 30)
    design = engine.build_design(sheet.condition.to_numpy(), sheet.is_control)

    def summary(counts: np.ndarray) -> engine.Summary:
        fit = engine.prepare(counts, design, engine.Options(filter="none", threads=1))
        shape = (len(fit.effects), len(fit.genes))
        return engine.fill(fit, {name: np.empty(shape, np.float32) for name in engine.STATISTICS})

    noise = summary(values)
    assert noise.null_check is not None and noise.null_check.n_wells == 12
    assert noise.null_check.any_share <= 2 / 12
    assert noise.null_check.tail_ratio < 2
    assert noise.null_spread is not None and np.median(noise.null_spread) == pytest.approx(1, abs=0.03)
    odd = values.copy()
    random = np.random.default_rng(2)
    odd[:4] = random.poisson(values[:4] * np.exp(random.normal(0, 0.8, values[:4].shape)))
    bad = summary(odd).null_check
    assert bad is not None and bad.any_share >= 3 / 12
    assert bad.any_share_low > 0.05


def test_spread_is_one_for_uniform_p_values_and_grows_with_the_z():
    z = stats.norm.ppf(np.linspace(0.0005, 0.9995, 1001))
    rows = -np.log10(2 * stats.norm.sf(np.abs(np.stack([z, 2 * z, 0.5 * z]))))
    rows[0, :5] = np.nan
    np.testing.assert_allclose(null_spread(rows), [1, 2, 0.5], rtol=0.01)


def test_checked_wells_are_at_most_three_hundred():
    condition = np.concatenate([np.zeros(1000, int), np.arange(1, 50)])
    design = engine.build_design(condition, condition == 0)
    wells = checked_wells(design)
    assert len(wells.well) == 300
    assert np.diff(wells.well).max() == 4
    alone = engine.build_design(condition[999:], condition[999:] == 0)
    assert len(checked_wells(alone).well) == 0
