"""What the command writes: rows, columns, statuses, several contexts, wells, methods."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import plate
import pyarrow.parquet as pq
import pytest
from scipy.stats import spearmanr

from pbdb.effects import long_table, plate_run
from pbdb.effects.engine import batching, deseq2

COLUMNS = [
    "condition", "compound", "dose_um", "time_h", "context", "gene", "status", "log2_fc", "se", "t", "df_total",
    "p_value", "p_adj", "p_adj_fit", "ave_expr", "b", "stdev_unscaled", "sigma", "s2_post", "df_prior",
    "n_treated", "n_vehicle", "n_plates", "p_value_limma", "p_adj_limma",
]  # fmt: skip


def test_one_row_per_condition_and_gene_in_the_order_of_the_genes(tmp_path: Path):
    samples = plate.sheet()
    found = plate.run(tmp_path, plate.counts(samples), samples)
    assert list(found.columns) == COLUMNS
    assert len(found) == 2 * 60
    assert found.gene.tolist() == [gene for gene in plate.counts(samples).index for _ in range(2)]
    assert found.condition.tolist()[:2] == ["Aspirin_10uM_24h", "Torin 1_10uM_24h"]
    assert set(found[["n_treated", "n_vehicle", "n_plates"]].drop_duplicates().iloc[0]) == {3, 8, 2}


def test_genes_that_rise_are_found(tmp_path: Path):
    samples = plate.sheet()
    found = plate.run(tmp_path, plate.counts(samples), samples)
    risen = found.gene < "GENE05"
    assert (found.log2_fc[risen] > 2).all()
    assert (found.p_adj[risen] < 1e-3).all()
    assert (found.log2_fc[~risen].abs() < 1.5).all()


def test_every_format_of_counts_gives_the_same_effects(tmp_path: Path):
    samples = plate.sheet()
    expected = plate.run(tmp_path, plate.counts(samples), samples)
    for form in set(plate.WRITERS) - {"csv"}:
        found = plate.run(tmp_path, plate.counts(samples), samples, form=form)
        pd.testing.assert_frame_equal(found, expected, check_exact=True, obj=form)


def test_every_format_of_intensities_gives_the_same_effects(tmp_path: Path):
    samples = plate.sheet()
    table = plate.intensities(samples)
    table.iloc[3, 2] = np.nan
    expected = plate.run(tmp_path, table, samples, "--readout", "log2_intensity")
    for form in ("csv.gz", "tsv", "parquet"):
        found = plate.run(tmp_path, table, samples, "--readout", "log2_intensity", form=form)
        pd.testing.assert_frame_equal(found, expected, check_exact=True, obj=form)


def test_order_of_samples_and_genes_does_not_matter(tmp_path: Path):
    samples = plate.sheet()
    table = plate.counts(samples)
    keys = ["condition", "gene"]
    expected = plate.run(tmp_path, table, samples).sort_values(keys, ignore_index=True)
    shuffled = table.sample(frac=1, random_state=1).sample(frac=1, axis=1, random_state=2)
    found = plate.run(tmp_path, shuffled, samples.sample(frac=1, random_state=3))
    pd.testing.assert_frame_equal(found.sort_values(keys, ignore_index=True), expected, rtol=1e-8)


def test_two_threads_give_the_same_bits(tmp_path: Path):
    samples = plate.sheet()
    one = plate.run(tmp_path, plate.counts(samples), samples)
    two = plate.run(tmp_path, plate.counts(samples), samples, "--threads", "2")
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_many_effects_go_through_files_and_small_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    samples = plate.sheet()
    expected = plate.run(tmp_path, plate.counts(samples), samples)
    monkeypatch.setattr(plate_run, "FILE_ABOVE_VALUES", 0)
    monkeypatch.setattr(long_table, "ROWS_PER_GROUP", 10)
    found = plate.run(tmp_path, plate.counts(samples), samples)
    assert pq.ParquetFile(tmp_path / "out.parquet").num_row_groups == 12
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.parquet", "out.report.json"]


def test_a_terminal_hears_what_is_going_on(tmp_path: Path):
    samples = plate.sheet()
    plate.write(tmp_path, plate.counts(samples), samples)
    heard: list[tuple[str, int, int | None]] = []
    paths = (tmp_path / name for name in ("matrix.csv", "samples.csv", "out.parquet"))
    plate_run.run(*paths, progress=lambda *news: heard.append(news))
    assert heard == [("reading matrix.csv", 0, None), ("all samples", 0, None), ("all samples", 60, 60)]


def test_names_with_spaces_commas_and_unicode_come_back(tmp_path: Path):
    samples = plate.sheet(compounds=("β-Lapachone, (5 µM)", 'say "so"'))
    samples["sample_id"] = [f"well {i}, ü" for i in range(len(samples))]
    table = plate.counts(samples).rename(index={"GENE00": "gène, 1"})
    found = plate.run(tmp_path, table, samples)
    assert set(found.compound) == {"β-Lapachone, (5 µM)", 'say "so"'}
    assert "β-Lapachone, (5 µM)_10uM_24h" in set(found.condition)
    assert found.gene.iloc[0] == "gène, 1"


def test_a_sheet_saved_by_a_spreadsheet_is_read(tmp_path: Path):
    samples = plate.sheet().assign(is_control=lambda s: s.is_control.map({True: "TRUE", False: "FALSE"}))
    files = plate.write(tmp_path, plate.counts(samples), samples)
    samples.to_csv(tmp_path / "samples.csv", index=False, encoding="utf-8-sig")
    assert plate.command(*files, "--readout", "counts").exit_code == 0


@pytest.mark.parametrize(
    ("dose", "text"),
    [(10, "10"), (0.1 + 0.2, "0.3"), (10 / 3, "3.33333333333333"), (1e-5, "0.00001"), (1e6, "1000000")],
)
def test_doses_are_written_with_15_digits_and_no_exponent(tmp_path: Path, dose: float, text: str):
    samples = plate.sheet(("A",)).assign(dose_um=dose, time_h=0.5)
    found = plate.run(tmp_path, plate.counts(samples), samples)
    assert found.condition.unique().tolist() == [f"A_{text}uM_0.5h"]


def test_every_treated_well_is_an_effect_in_replicate_mode(tmp_path: Path):
    samples = plate.sheet()
    found = plate.run(tmp_path, plate.counts(samples), samples, "--mode", "replicate")
    assert list(found.columns) == [*COLUMNS, "sample_id"]
    assert set(found.sample_id) == set(samples.sample_id[~samples.is_control])
    assert found.groupby("sample_id").gene.nunique().eq(60).all()
    assert found.n_treated.eq(1).all()
    named = found.drop_duplicates("sample_id").set_index("sample_id").compound
    assert named.to_dict() == samples[~samples.is_control].set_index("sample_id").compound.to_dict()


def test_contexts_and_strata_are_fitted_by_themselves(tmp_path: Path):
    first = plate.sheet().assign(context="CVCL:0023", stratum=None)
    second = plate.sheet().assign(context="CVCL:0030", stratum="0.1 % DMSO")
    second["sample_id"] = "B" + second.sample_id
    both = pd.concat([second, first], ignore_index=True)
    table = pd.concat([plate.counts(second, seed=2), plate.counts(first)], axis=1)
    found = plate.run(tmp_path, table, both)
    alone = plate.run(tmp_path, plate.counts(first), first)
    pd.testing.assert_frame_equal(found[found.context == "CVCL:0023"].reset_index(drop=True), alone, check_exact=True)
    assert "Aspirin_10uM_24h_0.1 % DMSO" in set(found.condition[found.context == "CVCL:0030"])


def test_what_cannot_be_estimated_is_one_row_with_its_reason(tmp_path: Path):
    samples = plate.sheet(("A", "B", "C", "D"))
    samples.loc[samples["compound"] == "B", "time_h"] = 48
    samples.loc[samples["compound"] == "C", "plate"] = "P9"
    samples.loc[samples["compound"] == "D", "dose_um"] = np.nan
    found = plate.run(tmp_path, plate.counts(samples), samples)
    odd = found[found.status != "ok"].set_index("condition")
    expected = {"B_10uM_48h": "no_vehicle", "C_10uM_24h": "confounded_with_plate", "D_nanuM_24h": "no_dose"}
    assert odd.status.to_dict() == expected
    assert odd[["gene", "log2_fc", "t", "p_adj", "sigma"]].isna().all(axis=None)
    assert found.condition.nunique() == 4


def test_a_context_without_vehicle_keeps_its_conditions(tmp_path: Path):
    samples = plate.sheet(("A", "B")).assign(context="one")
    samples.loc[samples["compound"] == "B", "context"] = "other"
    found = plate.run(tmp_path, plate.counts(samples), samples)
    other = found[found.context == "other"]
    assert other.status.tolist() == ["no_vehicle"]
    assert other.n_treated.tolist() == [3]
    assert "no vehicle" in plate.report(tmp_path)["fits"][1]["problem"]


def test_a_context_without_a_gene_to_test_keeps_its_conditions(tmp_path: Path):
    first, second = plate.sheet().assign(context="deep"), plate.sheet().assign(context="shallow")
    second["sample_id"] = "B" + second.sample_id
    shallow = plate.counts(second).clip(upper=1)
    table = pd.concat([plate.counts(first), shallow], axis=1)
    found = plate.run(tmp_path, table, pd.concat([first, second], ignore_index=True))
    assert found[found.context == "deep"].status.eq("ok").all()
    assert found[found.context == "shallow"].status.tolist() == ["no_gene", "no_gene"]


def test_without_residual_degrees_of_freedom_no_number_is_shown(tmp_path: Path):
    samples = plate.sheet(("A",), wells=1).drop(index=range(1, 8)).assign(plate="P1")
    found = plate.run(tmp_path, plate.counts(samples), samples)
    assert found.status.tolist() == ["no_residual_df"]
    assert found.log2_fc.isna().all()


def test_samples_of_few_cells_are_left_out_and_unknown_numbers_stay(tmp_path: Path):
    samples = plate.sheet(("A", "B")).assign(n_cells=100.0)
    samples.loc[samples["compound"] == "A", "n_cells"] = 5
    samples.loc[samples.index[-1], "n_cells"] = np.nan
    found = plate.run(tmp_path, plate.counts(samples), samples, "--min-cells", "10")
    assert found[found["compound"] == "A"].status.tolist() == ["no_sample"]
    assert found[found["compound"] == "B"].n_treated.eq(3).all()
    assert plate.report(tmp_path)["fits"][0]["n_left_out"] == {"too_few_cells": 3, "idle_vehicle": 0}


def test_a_well_without_any_count_is_left_out_and_reported(tmp_path: Path):
    samples = plate.sheet()
    table = plate.counts(samples)
    table["S008"] = 0
    found = plate.run(tmp_path, table, samples)
    assert found[found["compound"] == "Aspirin"].n_treated.eq(2).all()
    assert plate.report(tmp_path)["fits"][0]["n_left_out"]["no_counts"] == 1


def test_genes_too_low_are_listed_once_in_the_report(tmp_path: Path):
    samples = plate.sheet()
    table = plate.counts(samples)
    table.loc["GENE07"] = 0
    found = plate.run(tmp_path, table, samples)
    (fit,) = plate.report(tmp_path)["fits"]
    assert fit["genes_filtered"] == ["GENE07"]
    assert "GENE07" not in set(found.gene)
    assert (fit["genes_in"], fit["genes_tested"]) == (60, 59)
    assert "GENE07" in set(plate.run(tmp_path, table, samples, "--no-filter").gene)


def test_the_report_says_how_the_fit_was_made(tmp_path: Path):
    samples = plate.sheet().assign(colour="blue")
    files = plate.write(tmp_path, plate.counts(samples), samples)
    kept = tmp_path / "kept.json"
    result = plate.command(*files, "--readout", "counts", "--span", "0.5", "--report", str(kept), "--json")
    stored = json.loads(kept.read_text())
    assert json.loads(result.stdout) == stored
    (fit,) = stored["fits"]
    expected = {"n_samples": 14, "n_vehicle": 8, "n_plates": 2, "n_components": 1, "span": 0.5, "effects": {"ok": 2}}
    assert {name: fit[name] for name in expected} == expected
    assert {"trend", "moderate", "effects"} <= set(fit["seconds"])
    assert stored["ignored_columns"] == ["colour"]
    assert "colour" in result.stderr


def test_deseq2_gives_the_same_picture_as_voom(tmp_path: Path):
    samples = plate.sheet()
    voom = plate.run(tmp_path, plate.counts(samples), samples).set_index(["condition", "gene"])
    found = plate.run(tmp_path, plate.counts(samples), samples, "--method", "deseq2").set_index(["condition", "gene"])
    assert spearmanr(found.log2_fc, voom.log2_fc[found.index]).statistic > 0.95
    assert (found.p_adj_fit[found.index.get_level_values("gene") < "GENE05"] < 1e-3).all()
    assert np.isinf(found.df_total).all()
    assert found.sigma.isna().all()


def test_counts_can_take_the_trend_method(tmp_path: Path):
    samples = plate.sheet()
    voom = plate.run(tmp_path, plate.counts(samples), samples)
    trend = plate.run(tmp_path, plate.counts(samples), samples, "--method", "trend")
    assert spearmanr(voom.log2_fc, trend.log2_fc).statistic > 0.95
    assert trend.groupby("condition").stdev_unscaled.nunique().eq(1).all()
    assert voom.groupby("condition").stdev_unscaled.nunique().gt(1).all()
    assert plate.report(tmp_path)["fits"][0]["method"] == "trend"


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of 6 to 8 treated wells."""
    monkeypatch.setattr(batching, "TARGET", 6)
    monkeypatch.setattr(batching, "EXCESS", 2)


@pytest.mark.usefixtures("small_batches")
def test_published_batches_show_every_condition_once(tmp_path: Path):
    samples = plate.sheet(tuple("ABCDE"))
    found = plate.run(tmp_path, plate.counts(samples, genes=12), samples, "--batching", "published")
    fits = plate.report(tmp_path)["fits"]
    assert [(fit["batch"], fit["n_samples"], fit["filter"]) for fit in fits] == [(n, 14, "limma") for n in (1, 2, 3)]
    assert found.groupby("condition").gene.nunique().eq(12).all()
    assert len(found) == 5 * 12


@pytest.mark.usefixtures("small_batches")
def test_batches_without_vehicle_show_every_condition_once(tmp_path: Path):
    samples = plate.sheet(tuple("ABCDE")).assign(context=lambda s: np.where(s.is_control, "one", "other"))
    samples.loc[samples["compound"] == "A", "context"] = "one"
    samples = pd.concat([samples, samples.tail(3).assign(compound="F", sample_id=["X", "Y", "Z"])], ignore_index=True)
    found = plate.run(tmp_path, plate.counts(samples), samples, "--batching", "published")
    other = found[found["context"] == "other"]
    assert sorted(other["compound"]) == list("BCDEF")
    assert other.status.eq("no_vehicle").all()


@pytest.mark.usefixtures("small_batches")
def test_deseq2_fits_no_condition_for_a_batch_it_only_fills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fitted = []

    def not_fitted(effect: int, subset: deseq2.Subset, _: object) -> deseq2.Wald:
        fitted.append(effect)
        return deseq2.Wald(effect, deseq2.NOT_FITTED, subset)

    monkeypatch.setattr(deseq2, "fit_effect", not_fitted)
    samples = plate.sheet(tuple("ABCDE"))
    found = plate.run(tmp_path, plate.counts(samples), samples, "--batching", "published", "--method", "deseq2")
    assert found.status.tolist() == ["not_fitted"] * 5
    assert len(fitted) == 5


def test_a_disk_without_room_for_intermediate_values_is_an_error_not_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(plate_run, "FILE_ABOVE_VALUES", 0)
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    samples = plate.sheet()
    result = plate.command(*plate.write(tmp_path, plate.counts(samples), samples), "--readout", "counts")
    assert "No space left" in str(result.exception)
    assert not list(tmp_path.glob("out*"))


def test_a_table_that_cannot_be_finished_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(_: pq.ParquetWriter) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    table = long_table.EffectTable(tmp_path / "out.parquet", with_samples=False)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(pq.ParquetWriter, "close", refuse)
        with table:
            pass
    assert not list(tmp_path.iterdir())


def test_the_installed_command_says_what_is_wrong_in_one_sentence(tmp_path: Path):
    files = ["--matrix", "none.csv", "--samples", "none.csv", "--readout", "counts", "--out", "out.parquet"]
    start = "import sys; sys.argv[0] = 'pbdb'; from pbdb.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", start, "de", "run", *files], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if "at work" not in line]  # as it is on a busy machine
    assert said == ["Error: There is no file 'none.csv' in '.'."]


def test_effects_say_the_same_in_every_form(tmp_path: Path):
    samples = plate.sheet()
    expected = plate.run(tmp_path, plate.counts(samples), samples).drop(columns="context")
    files = plate.write(tmp_path, plate.counts(samples), samples)[:4]
    for name in ("effects.csv", "effects.csv.gz", "effects.xlsx", "effects.h5ad"):
        plate.command(*files, "--out", str(tmp_path / name), "--readout", "counts")
    for name in ("effects.csv", "effects.csv.gz"):
        pd.testing.assert_frame_equal(pd.read_csv(tmp_path / name).drop(columns="context"), expected, check_dtype=False)
    sheet = pd.read_excel(tmp_path / "effects.xlsx", engine="calamine").drop(columns="context")
    sheet["df_prior"] = sheet["df_prior"].astype(float)
    pd.testing.assert_frame_equal(sheet, expected, check_dtype=False)
    matrix = anndata.read_h5ad(tmp_path / "effects.h5ad")
    assert list(matrix.obs["condition"]) == expected["condition"].drop_duplicates().to_list()
    row = expected[(expected.condition == matrix.obs["condition"].iloc[1]) & (expected.gene == "GENE03")].iloc[0]
    place = matrix.var_names.get_loc("GENE03")
    assert matrix.X[1, place] == row["log2_fc"] and matrix.layers["p_adj"][1, place] == row["p_adj"]
    assert not list(tmp_path.glob("*.part"))
