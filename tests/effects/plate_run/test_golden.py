"""The command equals limma 3.54.1 and edgeR 3.40.2 on simulated plates, and R on real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import plate
import pytest

COUNTS = ["counts_one_plate", "counts_plates", "counts_two_times"]
EXACT = {"log2_fc": "logFC", "stdev_unscaled": "stdev.unscaled", "sigma": "sigma", "ave_expr": "AveExpr"}
MODERATED = {"s2_post": "s2.post", "t": "t", "b": "B", "df_prior": "df.prior"}
TAILS = {"p_value": "P.Value", "p_adj": "adj.P.Val", "p_adj_fit": "adj.P.Val.all"}


@pytest.fixture(scope="module", params=[*COUNTS, "normalized_plates"])
def both(request: pytest.FixtureRequest, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Our rows beside R's, joined by condition and gene."""
    case = shared / "golden" / request.param
    out = tmp_path_factory.mktemp("golden") / "out.parquet"
    files = ["--matrix", f"{case}.matrix.csv.gz", "--samples", f"{case}.samples.csv", "--out", str(out)]
    how = ["--readout", "log2_intensity"] if request.param not in COUNTS else ["--p-values", "limma"]
    assert plate.command(*files, *how, "--span", "0.5").exit_code == 0
    theirs = pd.read_csv(f"{case}.effects.csv.gz")
    return pd.read_parquet(out).merge(theirs, on=["condition", "gene"], how="outer", suffixes=("", "_r"))


def of_r(both: pd.DataFrame, name: str) -> pd.Series:
    return both[f"{name}_r" if f"{name}_r" in both else name]


def test_conditions_and_kept_genes_are_those_of_limma(both: pd.DataFrame):
    assert both["log2_fc"].notna().all()
    assert both["logFC"].notna().all()
    assert (both["status"] == "ok").all()


@pytest.mark.parametrize("name", EXACT)
def test_linear_statistics_equal_limma(both: pd.DataFrame, name: str):
    # golden values carry 12 digits, so a fold change near zero is compared with an absolute floor
    np.testing.assert_allclose(both[name], of_r(both, EXACT[name]), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", MODERATED)
def test_moderated_statistics_equal_limma(both: pd.DataFrame, name: str):
    np.testing.assert_allclose(both[name], of_r(both, MODERATED[name]), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", TAILS)
def test_p_values_equal_limma_on_the_log_scale(both: pd.DataFrame, name: str):
    np.testing.assert_allclose(np.log10(both[name]), np.log10(both[TAILS[name]]), rtol=1e-5, atol=1e-8)


def test_a_real_plate_equals_limma(shared: Path, tmp_path: Path):
    """One condition; tests/effects/test_golden.py has the others, by the engine alone."""
    case = shared / "data/golden_real/DGE1_bortezomib_1_vs_dmso"
    wells = pd.read_csv(f"{case}_samples.csv")
    table = pd.read_csv(shared / "data/drugseq_like/driadrc/DGE1-counts.csv.gz", index_col=0)[wells.Well]
    samples = pd.DataFrame({"sample_id": wells.Well, "compound": wells.cond, "is_control": wells.cond == "dmso"})
    samples = samples.assign(dose_um=1, time_h=24, plate="DGE1")
    found = plate.run(tmp_path, table, samples, "--span", "0.5", "--no-robust", "--p-values", "limma").set_index("gene")
    r = pd.read_csv(f"{case}.csv.gz", index_col="gene")
    assert set(found.index) == set(r.index)
    r = r.loc[found.index]
    np.testing.assert_allclose(found.log2_fc, r.voom_logFC, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(found.t, r.voom_t, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(np.log10(found.p_value), np.log10(r.voom_P), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(np.log10(found.p_adj), np.log10(r.voom_FDR), rtol=1e-5, atol=1e-8)


def test_all_genes_without_normalisation_equal_current_limma(shared: Path, tmp_path: Path):
    folder = shared / "data/golden_real/gse60450"
    table = pd.read_csv(folder / "gse60450_counts.csv.gz", index_col=0)
    group = pd.read_csv(folder / "gse60450_targets.csv", index_col=0).loc[table.columns].immunophenotype
    samples = pd.DataFrame({"sample_id": table.columns, "compound": group.to_numpy(), "is_control": group == "basal"})
    samples = samples.assign(dose_um=1, time_h=24, plate="one")
    found = plate.run(tmp_path, table, samples, "--no-filter", "--no-norm", "--no-robust").set_index("gene")
    r = pd.read_csv(folder / "gse60450_toptable.csv.gz", index_col="GeneID")
    assert len(found) == len(r) == 27_179
    r = r.loc[found.index.astype(r.index.dtype)]
    np.testing.assert_allclose(found.t, r.t, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(found.b, r.B, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(np.log10(found.p_adj_limma), np.log10(r["adj.P.Val"]), rtol=1e-5, atol=1e-8)
