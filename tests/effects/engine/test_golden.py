"""Equal to limma 3.54.1 and edgeR 3.40.2 on simulated plates (span 0.5, robust), and to R on real data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pbdb.effects import engine

COUNTS = ["counts_one_plate", "counts_plates", "counts_two_times"]
CASES = [*COUNTS, "normalized_plates"]
EXACT = {"log2_fc": "logFC", "stdev_unscaled": "stdev.unscaled", "sigma": "sigma", "ave_expr": "AveExpr"}
MODERATED = {"s2_post": "s2.post", "t": "t", "b": "B", "df_prior": "df.prior"}
TAILS = {"p_value": "P.Value", "p_adj": "adj.P.Val", "p_adj_fit": "adj.P.Val.all"}


class Case:
    """One golden case, fitted; R's statistics come as genes x effects in the order of the fit."""

    def __init__(self, folder: Path, name: str):
        self.path = folder / name
        self.sheet = pd.read_csv(f"{self.path}.samples.csv")
        self.matrix = pd.read_csv(f"{self.path}.matrix.csv.gz", index_col=0)[self.sheet.sample_id]
        sheet = self.sheet
        self.design = engine.build_design(sheet.condition, sheet.is_control, plate=sheet.plate, time=sheet.time_h)
        readout = "counts" if name in COUNTS else "log2_intensity"
        options = engine.Options(readout=readout, span=0.5, threads=1, p_values="limma")  # type: ignore[arg-type]
        self.fit = engine.prepare(self.matrix.to_numpy().T, self.design, options)
        (self.block,) = engine.complete(self.fit, size=10_000)
        self.r = pd.read_csv(f"{self.path}.effects.csv.gz")

    def theirs(self, column: str) -> np.ndarray:
        wide = self.r.pivot(index="gene", columns="condition", values=column)
        return wide.loc[self.matrix.index[self.fit.genes], self.design.effects.condition[self.fit.effects]].to_numpy()

    def ours(self, name: str) -> np.ndarray:
        if hasattr(self.block, name):
            return np.asarray(getattr(self.block, name))
        by_gene = getattr(self.fit, name)
        return np.repeat(by_gene[:, None], len(self.fit.effects), axis=1)


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, shared: Path) -> Case:
    return Case(shared / "golden", request.param)


@pytest.fixture(scope="module", params=COUNTS)
def counts(request: pytest.FixtureRequest, shared: Path) -> Case:
    return Case(shared / "golden", request.param)


@pytest.mark.parametrize("name", EXACT)
def test_linear_statistics_equal_limma(case: Case, name: str):
    # golden values carry 12 digits, so a fold change near zero is compared with an absolute floor
    np.testing.assert_allclose(case.ours(name), case.theirs(EXACT[name]), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", MODERATED)
def test_moderated_statistics_equal_limma(case: Case, name: str):
    np.testing.assert_allclose(case.ours(name), case.theirs(MODERATED[name]), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", TAILS)
def test_p_values_equal_limma_on_the_log_scale(case: Case, name: str):
    theirs = np.log10(case.theirs(TAILS[name]))
    np.testing.assert_allclose(np.log10(case.ours(name)), theirs, rtol=1e-5, atol=1e-8)


def test_kept_genes_are_those_of_filter_by_expr(counts: Case):
    keep = pd.read_csv(f"{counts.path}.keep.csv.gz").keep
    np.testing.assert_array_equal(counts.fit.genes, np.flatnonzero(keep))


def test_tmm_factors_and_libraries_equal_edger(counts: Case):
    norm = pd.read_csv(f"{counts.path}.norm.csv.gz").set_index("sample_id")
    norm = norm.loc[counts.sheet.sample_id].iloc[counts.design.samples]
    np.testing.assert_allclose(counts.fit.norm_factors, norm.norm_factor, rtol=1e-8)
    np.testing.assert_allclose(counts.fit.library, norm.lib_size * norm.norm_factor, rtol=1e-8)


def test_voom_weights_equal_limma(counts: Case):
    theirs = pd.read_csv(f"{counts.path}.voom_weights.csv.gz").to_numpy()[:, counts.design.samples]
    np.testing.assert_allclose(counts.fit.weights(slice(None)), theirs, rtol=1e-8)


def driad_contrast(shared: Path, name: str) -> tuple[engine.Fit, pd.Index]:
    wells = pd.read_csv(shared / f"data/golden_real/DGE1_{name}_vs_dmso_samples.csv")
    table = pd.read_csv(shared / "data/drugseq_like/driadrc/DGE1-counts.csv.gz", index_col=0)[wells.Well]
    design = engine.build_design(wells.cond, wells.cond == "dmso")
    fit = engine.prepare(
        table.to_numpy().T, design, engine.Options(span=0.5, robust=False, threads=1, p_values="limma")
    )
    return fit, table.index


@pytest.mark.parametrize("name", ["bortezomib_1", "ruxolitinib_10", "tofacitinib_10", "torin1_10", "torin1_1"])
def test_real_drug_plate_equals_limma(shared: Path, name: str):
    fit, genes = driad_contrast(shared, name)
    (block,) = engine.complete(fit, size=100_000)
    r = pd.read_csv(shared / f"data/golden_real/DGE1_{name}_vs_dmso.csv.gz", index_col="gene")
    tested = genes[fit.genes]
    assert set(tested) == set(r.index)
    r = r.loc[tested]
    np.testing.assert_allclose(block.log2_fc[:, 0], r.voom_logFC, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(fit.ave_expr, r.voom_AveExpr, rtol=1e-8)
    np.testing.assert_allclose(block.t[:, 0], r.voom_t, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(np.log10(block.p_value[:, 0]), np.log10(r.voom_P), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(np.log10(block.p_adj[:, 0]), np.log10(r.voom_FDR), rtol=1e-5, atol=1e-8)


def test_adaptive_span_without_filter_equals_current_limma(shared: Path):
    folder = shared / "data/golden_real/gse60450"
    table = pd.read_csv(folder / "gse60450_counts.csv.gz", index_col=0)
    group = pd.read_csv(folder / "gse60450_targets.csv", index_col=0).loc[table.columns].immunophenotype
    design = engine.build_design(group, group == "basal")
    options = engine.Options(filter="none", normalise=False, robust=False, threads=1, p_values="limma")
    fit = engine.prepare(table.to_numpy().T, design, options)
    (block,) = engine.complete(fit, size=100_000)
    r = pd.read_csv(folder / "gse60450_toptable.csv.gz", index_col="GeneID").loc[table.index]
    assert len(fit.genes) == len(r) == 27_179
    np.testing.assert_allclose(block.log2_fc[:, 0], r.logFC, rtol=1e-8, atol=1e-10)
    for ours, theirs in {"t": "t", "b": "B"}.items():
        np.testing.assert_allclose(getattr(block, ours)[:, 0], r[theirs], rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(np.log10(block.p_adj[:, 0]), np.log10(r["adj.P.Val"]), rtol=1e-5, atol=1e-8)
