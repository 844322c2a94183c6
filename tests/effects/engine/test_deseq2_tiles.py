"""DESeq2's results as tiles: what a load stores of them."""

from __future__ import annotations

import numpy as np

from pbdb.effects.engine import deseq2
from pbdb.effects.engine.design import OK
from pbdb.effects.engine.write_tiles import ADJUSTED

WELLS = deseq2.Subset(np.arange(4), np.array([True, True, False, False]), np.zeros(4, dtype=np.int64))


def wald(log2_fc: list[float], neg_log10_p: list[float], p_adj: list[float]) -> deseq2.Wald:
    values = [np.array(column) for column in (log2_fc, neg_log10_p, p_adj)]
    return deseq2.Wald(
        0, OK, WELLS, log2_fc=values[0], se=np.ones(len(log2_fc)), neg_log10_p=values[1], p_adj=values[2]
    )


def tiles(n_effects: int, n_genes: int) -> dict[str, np.ndarray]:
    return {name: np.zeros((n_effects, n_genes), np.float32) for name in ("log2_fc", "se", "neg_log10_p", ADJUSTED)}


def test_tiles_and_counts_agree() -> None:
    made = tiles(2, 3)
    results = [
        wald([2, -2, 0], [8, 4, 0.1], [3e-8, 1.5e-4, 0.8]),
        wald([1, 1, 1], [0.2, 0.1, np.nan], [0.9, 0.9, np.nan]),
    ]
    summary = deseq2.fill(results, made)
    assert summary.n_up.tolist() == [1, 0] and summary.n_down.tolist() == [1, 0]
    assert summary.n_genes.tolist() == [3, 2]
    assert np.array_equal(made["log2_fc"], [[2, -2, 0], [1, 1, 1]])
    assert np.array_equal(made["neg_log10_p"], np.float32([[8, 4, 0.1], [0.2, 0.1, np.nan]]), equal_nan=True)


def test_an_adjusted_p_too_small_for_a_number_keeps_its_magnitude() -> None:
    made = tiles(1, 2)
    deseq2.fill([wald([9, 0], [400, 0.1], [0.0, 0.8])], made)
    assert made[ADJUSTED][0, 0] == np.float32(400 - np.log10(2))


def test_no_results_are_no_rows() -> None:
    summary = deseq2.fill([], tiles(0, 0))
    assert summary.n_up.tolist() == [] and summary.cutoff_fit is None
