"""The fits of a load: from a canonical matrix to what stands on disk, without a database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plate
import pytest
import scipy.sparse as sp

from pbdb.effects import dataset_fits
from pbdb.effects.engine import Options, batching, normalise
from pbdb.effects.options import FitOptions
from pbdb.effects.stored_fit import StoredFit
from pbdb.samples import matrix_file


def samples(sheet: pd.DataFrame) -> pd.DataFrame:
    """Rows of table `sample`, with the context as text; conditions are numbered by name, DMSO is 0."""
    names = ["DMSO", *sorted(set(sheet["compound"]) - {"DMSO"})]
    codes = sheet["compound"].map(names.index)
    return pd.DataFrame(
        {
            "sample_id": np.arange(len(sheet)) + 100,
            "condition_id": codes,
            "source_compound_id": codes,
            "plate_id": sheet["plate"].str[1:].astype(int),
            "time_h": sheet["time_h"],
            "dose_fm": (sheet["dose_um"] * 1e9).astype("Int64"),
            "is_vehicle": sheet["is_control"],
            "in_fit": True,
            "flags": [[] for _ in range(len(sheet))],
            "n_cells": pd.array([pd.NA] * len(sheet), dtype="Int64"),
            "context": "CVCL:0001",
            "stratum": None,
        }
    )


def fit(folder: Path, sheet: pd.DataFrame, described: pd.DataFrame, **choices: Any) -> list[StoredFit]:
    """Write the canonical matrix and fit it."""
    counts = plate.counts(sheet)
    writer = matrix_file.Writer(folder / "samples.h5ad", dense=False)
    keys = np.arange(len(counts), dtype=np.int32)
    writer.add(sp.csr_matrix(counts.to_numpy().T), keys)
    writer.finish(pd.DataFrame(index=counts.columns), pd.DataFrame({"gene_key": keys}, index=counts.index), {})
    chosen = FitOptions(Options(threads=1), **choices)
    return dataset_fits.fit_dataset("made", folder / "samples.h5ad", described, chosen, folder)


def test_published_batches_hold_every_condition_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A flagged well is no reason to say of its condition, in another batch, that it has no sample."""
    monkeypatch.setattr(batching, "TARGET", 6)
    monkeypatch.setattr(batching, "EXCESS", 0)
    sheet = plate.sheet(tuple("ABCDEFG"), wells=3)
    described = samples(sheet)
    flagged = np.flatnonzero(~sheet["is_control"])[::3].tolist() + np.flatnonzero(sheet["compound"] == "G").tolist()
    described.loc[flagged, "in_fit"] = False
    described.loc[flagged, "flags"] = pd.Series([["bad"]] * len(described))[flagged]
    stored = fit(tmp_path, sheet, described, batching="published")
    assert [one.facts.parameters["batch"] for one in stored] == [1, 2]
    effects = pd.concat([one.effects for one in stored]).set_index("condition_id")["status"]
    assert sorted(effects.items()) == [*((code, "ok") for code in range(1, 7)), (7, "no_sample")]


def test_deseq2_of_a_context_without_an_expressed_gene_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(normalise, "MIN_TOTAL", np.inf)
    sheet = plate.sheet()
    (stored,) = fit(tmp_path, sheet, samples(sheet), deseq2=True)
    assert stored.effects["status"].tolist() == ["no_gene", "no_gene"]
    assert len(stored.gene_keys) == 0
