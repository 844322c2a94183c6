"""p values of counts on real plates: vehicle wells left out one by one, and a strong drug."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pbdb.effects import engine

FEWEST_COUNTS = 30_000


@pytest.fixture(scope="module")
def plate(shared: Any) -> tuple[engine.Fit, dict[str, np.ndarray], engine.Summary]:
    """A plate of the neuronal drug screen: its fit, effects x genes, and what was counted."""
    folder = shared / "data/drugseq_like/driadrc"
    table = pd.read_csv(folder / "DGE1-counts.csv.gz", index_col=0)
    table = table.loc[:, table.sum() >= FEWEST_COUNTS]
    meta = pd.read_csv(folder / "DGE1-meta.csv").set_index("Well").loc[table.columns]
    condition = (meta.Drug.astype(str) + " " + meta.Concentration.astype(str)).to_numpy(dtype=str)
    design = engine.build_design(condition, (meta.Drug == "Drug control").to_numpy())
    fit = engine.prepare(table.to_numpy().T, design, engine.Options(threads=1))
    tiles = {name: np.empty((len(fit.effects), len(fit.genes)), np.float32) for name in engine.STATISTICS}
    return fit, tiles, engine.fill(fit, tiles)


def test_vehicle_wells_left_out_one_by_one_call_hardly_any_gene(plate: Any):
    check = plate[2].null_check
    assert check.n_wells == 11
    assert round(check.any_share * check.n_wells) <= 1
    assert check.tail_ratio < 1.5


@pytest.mark.parametrize(("drug", "least"), [("bortezomib 1.0", 2000), ("naked dsRNA nan", 1700), ("torin1 10.0", 700)])
def test_strong_treatments_keep_their_genes(plate: Any, drug: str, least: int):
    fit, _, summary = plate
    column = fit.design.effects.condition[fit.effects].tolist().index(drug)
    assert summary.n_up[column] + summary.n_down[column] >= least
    assert summary.null_spread[column] > 1.2


def test_genes_that_limma_calls_beyond_doubt_are_called(plate: Any):
    """Genes switched on from silence are: interferon response to RNA, in few conditions of a hundred."""
    _, tiles, _ = plate
    beyond_doubt = (tiles["neg_log10_p_adj_limma"] > 6) & (np.abs(tiles["log2_fc"]) > 2)
    assert beyond_doubt.sum() > 500
    assert (tiles["neg_log10_p_adj"][beyond_doubt] > -np.log10(0.05)).mean() > 0.98


def test_called_genes_change_noticeably(plate: Any):
    """A count may surprise without a fold change only where both are computed of different wells."""
    _, tiles, _ = plate
    called = tiles["neg_log10_p_adj"] > -np.log10(0.05)
    assert (np.abs(tiles["log2_fc"][called]) > 0.2).mean() > 0.999
