"""Statistics computed from what the database stores equal those of the engine, whatever the prior."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pbdb.effects import engine
from pbdb.effects.engine import CompleteBlock, Fit, FitWide
from pbdb.exports.limma_table import FitFacts, layers

N_GENES, N_CONDITIONS, WELLS = 200, 12, 3
THEIRS = {
    "logFC": "log2_fc",
    "stdev.unscaled": "stdev_unscaled",
    "t": "t",
    "P.Value": "p_value",
    "adj.P.Value.within_one_contrast": "p_adj",
    "adj.P.Value.across_all_contrasts": "p_adj_fit",
    "B": "b",
}


def fitted(*, differ: bool, outlier: bool) -> Fit:
    """A fit of intensities whose variances differ between genes or do not, with an outlying gene or without."""
    rng = np.random.default_rng(3)
    condition = np.repeat(np.arange(N_CONDITIONS), WELLS)
    spread = np.sqrt(4 / rng.chisquare(4, N_GENES)) if differ else np.ones(N_GENES)
    values = rng.normal(8, 1, N_GENES) + rng.normal(size=(len(condition), N_GENES)) * 0.3 * spread
    values[condition == 1, :10] += 2
    values[:, 5] += rng.normal(size=len(condition)) * 6 * outlier
    names = pd.Series(condition).map("c{:02}".format)
    design = engine.build_design(
        names.to_numpy(), condition == 0, plate=names.map(lambda _: "p"), time=np.ones(len(names))
    )
    return engine.prepare(values.astype(np.float32), design, engine.Options("log2_intensity", threads=1))


def stored(fit: Fit, block: CompleteBlock) -> tuple[dict[str, np.ndarray], FitFacts, FitWide]:
    """What the database keeps of a fit."""
    arrays = {
        "log2_fc": block.log2_fc,
        "se": block.stdev_unscaled * np.sqrt(fit.s2_post[:, None]),
        "neg_log10_p": block.neg_log10_p,
        "neg_log10_p_adj": engine.adjust_rows(block.neg_log10_p.T).T,
    }
    found = {name: np.ascontiguousarray(values.T, dtype=np.float32) for name, values in arrays.items()}
    wide = FitWide(found["neg_log10_p"].size, dtype=np.float32)
    wide.add(found["neg_log10_p"])
    by_gene = (np.asarray(getattr(fit, name), np.float32).astype(float) for name in ("ave_expr", "s2_post", "df_total"))
    report = fit.report()
    return found, FitFacts(*by_gene, float(report["df_prior_median"]), report["s2_prior_median"]), wide


@pytest.mark.parametrize("differ", [True, False])
@pytest.mark.parametrize("outlier", [True, False])
def test_layers_equal_the_engine(differ: bool, outlier: bool) -> None:
    fit = fitted(differ=differ, outlier=outlier)
    assert np.isinf(float(fit.report()["df_prior_median"])) != differ
    assert np.isfinite(fit.df_prior[5]) == (differ or outlier)
    (block,) = engine.complete(fit, size=N_GENES)
    found = layers(*stored(fit, block))
    for layer, name in THEIRS.items():
        np.testing.assert_allclose(found[layer], getattr(block, name).T, rtol=2e-5, atol=2e-6, err_msg=layer)
    assert (found["CI.L"] < found["logFC"]).all() and (found["logFC"] < found["CI.R"]).all()


def test_a_method_without_prior_has_no_b_and_normal_intervals() -> None:
    one = np.array([[1.0, np.nan]], dtype=np.float32)
    found = dict.fromkeys(("log2_fc", "se", "neg_log10_p", "neg_log10_p_adj"), one)
    wide = FitWide(2, dtype=np.float32)
    wide.add(one)
    unknown = np.full(2, np.nan)
    made = layers(found, FitFacts(unknown, unknown, unknown, None, None), wide)
    assert np.isnan(made["B"]).all() and made["CI.R"][0, 0] == pytest.approx(1 + 1.959964)
    assert np.isnan(made["t"][0, 1]) and np.isnan(made["P.Value"][0, 1])
