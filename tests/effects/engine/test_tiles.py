"""Effects written to tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pbdb.common.errors import ConfigError
from pbdb.effects import engine


def filled(fit: engine.Fit, size: int | None = None) -> tuple[dict[str, Any], engine.Summary]:
    shape = (len(fit.effects), len(fit.genes))
    tiles = {name: np.full(shape, -9, np.float32) for name in engine.STATISTICS}
    return tiles, engine.fill(fit, tiles, size=size)


def test_tiles_hold_the_complete_statistics(counts: Any):
    tiles, _ = filled(counts.fit(), size=13)
    block = counts.block()
    for name in ("log2_fc", "se", "t", "stdev_unscaled", "neg_log10_p"):
        np.testing.assert_allclose(tiles[name].T, getattr(block, name), rtol=1e-6)
    np.testing.assert_allclose(10.0 ** -tiles["neg_log10_p_adj"].T, block.p_adj, rtol=1e-5)


def test_summary_counts_what_the_statistics_say(counts: Any):
    values = counts.values.copy()
    values[(counts.sheet.condition == "drug 7").to_numpy(), ::3] *= 9
    made = counts.with_values(values)
    _, summary = filled(made.fit())
    block = made.block()
    up = block.log2_fc > 0
    np.testing.assert_array_equal(summary.n_genes, len(made.fit().genes))
    for name, p, direction in (
        ("n_up", block.p_adj, up),
        ("n_down", block.p_adj, ~up),
        ("n_up_fit", block.p_adj_fit, up),
        ("n_down_fit", block.p_adj_fit, ~up),
    ):
        np.testing.assert_array_equal(getattr(summary, name), ((p < 0.05) & direction).sum(axis=0))
    assert summary.n_up.sum() > 5
    assert summary.n_tests == block.t.size


def test_tiles_may_be_files(counts: Any, tmp_path: Path):
    fit = counts.fit()
    expected, _ = filled(fit)
    seen = []
    with h5py.File(tmp_path / "tiles.h5", "w") as file:
        shape = (len(fit.effects), len(fit.genes))
        tiles = {name: file.create_dataset(name, shape, dtype="f4") for name in engine.STATISTICS}
        engine.fill(fit, tiles, size=50, progress=lambda done, of: seen.append((done, of)))
        for name, tile in tiles.items():
            np.testing.assert_array_equal(tile[:], expected[name])
    assert seen[-1] == (len(fit.genes), len(fit.genes))


def test_unknown_or_missing_tiles_are_refused(counts: Any):
    with pytest.raises(ConfigError, match="not one of this fit"):
        engine.fill(counts.fit(), {"logfc": np.empty((1, 1))})
    with pytest.raises(ConfigError, match="'neg_log10_p_limma' is not one of this fit"):
        engine.fill(counts.fit(p_values="limma"), {"neg_log10_p_limma": np.empty((1, 1))})
    with pytest.raises(ConfigError, match="no tile for"):
        engine.fill(counts.fit(), {"log2_fc": np.empty((1, 1))})


def null_summary(rule: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A small version of benchmarks/de_null.py: noise, and genes that are silent but for a few single wells."""
    random = np.random.default_rng(5)
    sizes = np.tile([1, 2, 3, 5], 50)
    condition = np.concatenate([np.full(40, -1), np.repeat(np.arange(len(sizes)), sizes)])
    plate = np.arange(len(condition)) % 4
    level = random.normal(5, 1, 800) + 0.1 * random.normal(size=(4, 800))[plate]
    rate = np.exp(level) * np.exp(random.normal(0, 0.4, len(condition)))[:, None]
    shape = 1 / (0.015 * np.exp(random.normal(0, 0.8, 800)))
    values = random.poisson(rate * random.gamma(shape, 1 / shape, rate.shape)).astype(float)
    values[:, :240] = random.poisson(500, (len(values), 240)) * (random.random((len(values), 240)) < 0.002)
    design = engine.build_design(condition, condition < 0, plate=plate)
    tiles, summary = filled(engine.prepare(values, design, engine.Options(threads=1, filter=rule)))
    return sizes, 10.0 ** -tiles["neg_log10_p"], summary.n_up + summary.n_down


def test_noise_gives_few_false_discoveries_under_the_default_filter():
    sizes, p, found = null_summary("floor")
    for wells in (1, 2, 3, 5):
        assert (p[sizes == wells] < 1e-3).mean() < 2e-3
        assert (found[sizes == wells] > 0).mean() <= 0.1


def test_plain_filter_lets_genes_of_single_wells_in():
    _, _, floored = null_summary("floor")
    sizes, p, found = null_summary("limma")
    assert len(p[0]) > len(null_summary("floor")[1][0])
    assert (found[sizes == 1] > 0).mean() <= 0.1
    assert floored.sum() <= found.sum() + 10
