"""DESeq2 as a second method: the right wells, and PyDESeq2's own numbers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pbdb.effects import engine
from pbdb.effects.engine import deseq2


def test_wells_are_those_of_the_effect_and_vehicles_of_its_plates():
    label = np.array(["v"] * 8 + ["a", "a", "b"])
    plate = np.array([1, 1, 1, 2, 2, 2, 3, 3, 1, 2, 3])
    design = engine.build_design(label, label == "v", plate=plate)
    a, b = (deseq2.wells(design, effect) for effect in (0, 1))
    assert sorted(a.samples.tolist()) == [0, 1, 2, 3, 4, 5, 8, 9]
    assert sorted(b.samples.tolist()) == [*range(8), 10]
    assert a.samples[a.treated].tolist() == [8, 9]


def test_plate_without_vehicle_is_confounded_here_though_not_in_the_whole_fit():
    label = np.array(["v", "v", "v", "a", "a", "b"])
    design = engine.build_design(label, label == "v", plate=[1, 1, 1, 1, 2, 2])
    (b,) = [e for e in design.ok if design.effects.condition[e] == "b"]
    result = deseq2.fit_effect(int(b), deseq2.wells(design, int(b)), np.ones((4, 3)))
    assert result.status == "confounded_with_plate"
    assert result.log2_fc is None


def test_results_equal_pydeseq2_on_the_same_wells(simulate: Any):
    made = simulate(n_genes=60)
    design = made.design()
    (effect,) = [e for e in design.ok if design.effects.condition[e] == "drug 7"]
    subset = deseq2.wells(design, int(effect))
    result = deseq2.fit_effect(int(effect), subset, made.values[subset.samples])
    theirs = pydeseq2_table(made, subset.samples)
    assert result.status == "ok"
    np.testing.assert_allclose(result.log2_fc, theirs.log2FoldChange, rtol=1e-4)
    np.testing.assert_allclose(result.se, theirs.lfcSE, rtol=1e-4)
    np.testing.assert_allclose(10.0**-result.neg_log10_p, theirs.pvalue, rtol=1e-3)
    np.testing.assert_allclose(result.p_adj, theirs.padj, rtol=1e-3)


def pydeseq2_table(made: Any, samples: np.ndarray) -> pd.DataFrame:
    from pydeseq2.dds import DeseqDataSet
    from pydeseq2.ds import DeseqStats

    samples = np.sort(samples)
    sheet = made.sheet.iloc[samples].assign(plate=lambda s: "p" + s.plate.astype(str))
    sheet = sheet.assign(condition=np.where(sheet.is_control, "a", "b"))[["plate", "condition"]]
    sheet.index = sheet.index.astype(str)
    table = pd.DataFrame(made.values[samples].astype(int), index=sheet.index)
    table.columns = table.columns.astype(str)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = DeseqDataSet(counts=table, metadata=sheet, design="~plate + condition", quiet=True)
        model.deseq2()
        contrast = DeseqStats(model, contrast=["condition", "b", "a"], quiet=True)
        contrast.summary()
    return contrast.results_df


def test_every_ok_effect_comes_back_in_order(simulate: Any):
    made = simulate(n_genes=40)
    design = made.design()
    results = list(deseq2.run(made.values, design, genes=np.arange(10, 40)))
    assert [r.effect for r in results] == design.ok.tolist()
    assert {r.status for r in results} <= {"ok", "confounded_with_plate", "not_fitted"}
    assert all(len(r.log2_fc) == 30 for r in results if r.log2_fc is not None)


@pytest.mark.parametrize("condition", ["torin1 1.0", "bortezomib 1.0"])
def test_agrees_with_voom_on_a_real_plate(driad: Any, condition: str):
    fit = driad.fit()
    effect = fit.design.effects.condition.tolist().index(condition)
    subset = deseq2.wells(fit.design, effect)
    expressed = fit.genes[driad.values[:, fit.genes].mean(axis=0) >= 10][::10]
    result = deseq2.fit_effect(effect, subset, driad.values[np.ix_(subset.samples, expressed)])
    column = fit.effects.tolist().index(effect)
    ours = np.concatenate([b.log2_fc[:, column] for b in fit.blocks()])[np.searchsorted(fit.genes, expressed)]
    assert pd.Series(ours).corr(pd.Series(result.log2_fc), method="spearman") > 0.9
