"""Pooled samples go on: names that would be one through `de run` and `etl new`."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from single_cells import pooled, write

from pbdb.effects import plate_run, plate_sheets
from pbdb.loading import draft_source
from pbdb.sources.declaration import EVERY_CELL, Pseudobulk

PLACES = [("A_B", "C"), ("A", "B_C"), ("A_B", "D"), ("A", "D"), ("A_B", "E"), ("A", "E"), ("A_B", "F"), ("A", "F")]


def test_samples_whose_keys_join_to_one_name_are_two_through_every_door(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    wells = [place for place in PLACES for _ in range(6)]
    obs = pd.DataFrame(wells, columns=["plate", "well"], index=[f"cell{at}" for at in range(len(wells))])
    obs["drug"] = ["DMSO" if well in ("D", "E") else "drugA" for _, well in wells]
    level = np.where(obs["drug"].eq("drugA").to_numpy()[:, None] & (np.arange(30) < 5), 80, 10)
    table = ad.AnnData(
        sp.csr_matrix(rng.poisson(level).astype(np.float32)), obs, pd.DataFrame(index=[f"G{at}" for at in range(30)])
    )
    declared = Pseudobulk(("plate", "well"), constants=("drug",), filter=EVERY_CELL)
    samples, _ = pooled(write(tmp_path / "cells.h5ad", table), folder=tmp_path, declared=declared)
    assert {"(A_B)_(C)", "(A)_(B_C)", "A_D"} <= set(samples.obs_names) and samples.obs_names.is_unique
    sheet = samples.obs.rename_axis("sample_id").reset_index().rename(columns={"drug": "compound"})
    sheet = sheet.assign(dose_um=np.where(sheet["compound"] == "DMSO", 0, 10), time_h=24)
    sheet.assign(is_control=sheet["compound"] == "DMSO").to_csv(tmp_path / "sheet.csv", index=False)
    plates = plate_sheets.read(tmp_path / "samples.h5ad", tmp_path / "sheet.csv", "counts")
    for name in ("(A_B)_(C)", "(A)_(B_C)"):
        (at,) = np.flatnonzero(plates.sheet["sample_id"] == name)
        np.testing.assert_array_equal(plates.values[[at]].toarray()[0], samples[name].X.toarray()[0])
    plate_run.run(tmp_path / "samples.h5ad", tmp_path / "sheet.csv", tmp_path / "out.parquet")
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert set(found["n_treated"]) == {4} and set(found["gene"][found["log2_fc"] > 2]) == {f"G{at}" for at in range(5)}
    written = draft_source.write(tmp_path / "mine.py", tmp_path / "samples.h5ad")
    assert (written.samples, written.found["sample"]) == (8, 'col("obs_name")')


def test_the_case_of_two_samples_gives_two_names(tmp_path: Path, shared: Path) -> None:
    cells = shared / "cases/pooled_names_collide/cells.h5ad"
    if not cells.is_file():
        pytest.skip("the cases (../shared/cases) are not beside this checkout")
    declared = Pseudobulk(("plate", "well"), filter=EVERY_CELL)
    samples, _ = pooled(cells, folder=tmp_path, declared=declared)
    assert sorted(samples.obs_names) == ["(A)_(B_C)", "(A_B)_(C)"]
