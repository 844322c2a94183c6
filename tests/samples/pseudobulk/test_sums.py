"""Cells are added up exactly, whatever their order, division, encoding and place; peers give the same sums."""

from __future__ import annotations

import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partialmethod
from pathlib import Path
from typing import Any

import anndata as ad
import fsspec
import h5py
import numpy as np
import pandas as pd
import pytest
import single_cells
import web
import zarr
from single_cells import bits, cells, expected, frame, pooled, write

from pbdb.common.errors import SourceError
from pbdb.common.tasks import Workers
from pbdb.readers.csr import CellMatrix
from pbdb.samples.pseudobulk import parts as cell_parts
from pbdb.samples.pseudobulk import run as pooling
from pbdb.samples.pseudobulk.sums import SUM_BITS, Totals
from pbdb.sources.declaration import EVERY_CELL, Pseudobulk


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("cells") / "cells.h5ad", compression="gzip")


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[ad.AnnData, dict[str, Any]]:
    """The samples, pooled at once, and what became of the cells."""
    return pooled(source, folder=tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def named(source: Path) -> ad.AnnData:
    """The cells that have all keys, with the name of their sample."""
    table = ad.read_h5ad(source)
    table = table[table.obs["line"].notna()].copy()
    table.obs["sample"] = table.obs[list(single_cells.KEYS)].astype(str).agg("_".join, axis=1).astype("category")
    return table


@pytest.mark.filterwarnings("ignore")
def test_sums_cells_and_fractions_equal_those_of_decoupler(whole: Any, named: ad.AnnData) -> None:
    import decoupler

    ours = whole[0]
    theirs = decoupler.pp.pseudobulk(named, sample_col="sample", groups_col=None, empty=False)[ours.obs_names]
    assert np.array_equal(ours.X.toarray(), theirs.X)
    assert ours.obs["psbulk_cells"].tolist() == theirs.obs["psbulk_cells"].tolist()
    assert ours.obs["psbulk_counts"].tolist() == theirs.obs["psbulk_counts"].tolist()
    np.testing.assert_allclose(ours.layers["psbulk_props"].toarray(), theirs.layers["psbulk_props"], atol=1e-7)


@pytest.mark.filterwarnings("ignore")
def test_sums_and_expressing_cells_equal_those_of_scanpy(whole: Any, named: ad.AnnData) -> None:
    import scanpy

    ours = whole[0]
    theirs = scanpy.get.aggregate(named, "sample", ["sum", "count_nonzero"])[ours.obs_names]
    assert np.array_equal(ours.X.toarray(), theirs.layers["sum"])
    cells_of = ours.layers["psbulk_props"].toarray() * ours.obs["psbulk_cells"].to_numpy()[:, None]
    np.testing.assert_allclose(cells_of, theirs.layers["count_nonzero"], atol=1e-4)


def test_keys_are_text_constants_stay_what_they_are_and_nulls_are_counted(whole: Any) -> None:
    ours, facts = whole
    assert frame(ours).equals(expected(cells()))
    assert facts.left_out == {"null line": int(cells().obs["line"].isna().sum())}
    assert ours.obs.loc["p1_A2_K562", ["plate", "well", "line", "drug", "dose"]].tolist() == [
        "p1",
        "A2",
        "K562",
        "x",
        0.5,
    ]


def test_ranges_threads_and_little_room_change_no_bit(
    source: Path, whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooling, "CELLS_PER_TASK", 90)
    monkeypatch.setattr("pbdb.samples.pseudobulk.parts.BATCH_BYTES", 8 * single_cells.N_GENES * 5)
    in_ranges = pooled(source, folder=tmp_path, workers=Workers(threads=3))
    assert (bits(in_ranges[0]), in_ranges[1]) == (bits(whole[0]), whole[1])


def test_totals_without_room_for_all_samples_are_put_aside(
    source: Path, whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged: list[int] = []
    made: list[weakref.ref[Totals]] = []
    plain = cell_parts.merge

    def totals(*sizes: int) -> Totals:
        found = Totals(*sizes)
        made.append(weakref.ref(found))
        return found

    def merge(paths: list[Path], *how: Any) -> None:
        merged.append(len(paths))
        assert made and not any(one() for one in made)  # gigabytes of a plate
        plain(paths, *how)

    monkeypatch.setattr(cell_parts, "merge", merge)
    monkeypatch.setattr("pbdb.samples.pseudobulk.range_task.Totals", totals)
    monkeypatch.setattr("pbdb.samples.pseudobulk.range_task.TOTALS_BYTES", 8 * single_cells.N_GENES * 5)
    monkeypatch.setattr("pbdb.readers.csr.CellMatrix.blocks", partialmethod(CellMatrix.blocks, n_values=1000))
    found = pooled(source, folder=tmp_path)
    assert merged[0] > 2
    assert (bits(found[0]), found[1]) == (bits(whole[0]), whole[1])
    assert [path.name for path in tmp_path.iterdir()] == ["samples.h5ad"]


@pytest.mark.parametrize(("factor", "n_written"), [(1, 1), (2_000, 3), (200_000, 1)])
def test_large_totals_begin_narrow_and_widen_when_they_are_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: int, n_written: int
) -> None:
    """Narrow totals that are full are put aside, and the two parts merged; where one cell fills them they widen."""
    table = cells()
    table.X = table.X * factor
    written: list[Path] = []
    plain = cell_parts.write
    monkeypatch.setattr("pbdb.samples.pseudobulk.sums.LARGE_BYTES", 0)
    monkeypatch.setattr("pbdb.readers.csr.CellMatrix.blocks", partialmethod(CellMatrix.blocks, n_values=300))
    monkeypatch.setattr(cell_parts, "write", lambda path, *what: written.append(path) or plain(path, *what))
    found, _ = pooled(write(tmp_path / "cells.h5ad", table), folder=tmp_path)
    assert frame(found).equals(expected(cells()) * factor)
    assert len(written) == n_written


def test_a_constant_may_be_null_in_all_of_a_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = cells()
    table.obs["plate"] = np.where(np.arange(table.n_obs) < 200, "p1", "p2")
    table.obs.loc[table.obs["plate"] == "p1", "dose"] = np.nan
    path = write(tmp_path / "cells.h5ad", table)
    whole, _ = pooled(path, folder=tmp_path)
    monkeypatch.setattr(pooling, "CELLS_PER_TASK", 200)
    assert bits(pooled(path, folder=tmp_path)[0]) == bits(whole)
    assert whole.obs["dose"].dtype == np.float64


def test_the_order_of_cells_does_not_matter(tmp_path: Path) -> None:
    table = cells()
    turned = table[np.random.default_rng(3).permutation(len(table))].copy()
    first, _ = pooled(write(tmp_path / "a.h5ad", table), folder=tmp_path)
    second, _ = pooled(write(tmp_path / "b.h5ad", turned), folder=tmp_path)
    assert bits(first) == bits(second)


@pytest.mark.parametrize("cells_per_task", [10**6, 200])
def test_samples_of_a_context_lie_together(
    source: Path, whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cells_per_task: int
) -> None:
    monkeypatch.setattr(pooling, "CELLS_PER_TASK", cells_per_task)
    by_line = replace(single_cells.DECLARED, context="line")
    samples, _ = pooled(source, folder=tmp_path, declared=by_line)
    keys = list(samples.obs[["line", "plate", "well"]].astype(str).itertuples(index=False, name=None))
    assert keys == sorted(keys)
    assert list(samples.obs_names) != list(whole[0].obs_names)
    assert bits(samples[whole[0].obs_names].copy()) == bits(whole[0])


def test_a_context_that_is_no_key_is_refused() -> None:
    with pytest.raises(SourceError, match=r"context='cells'\) is none of the keys plate, well"):
        Pseudobulk(("plate", "well"), context="cells")


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("int64", {}),
        ("uint16", {"compression": "gzip"}),
        ("float64", {"compression": "lzf"}),
    ],
)
def test_counts_of_any_type_and_compression_are_read(kind: str, how: dict[str, Any], tmp_path: Path) -> None:
    found, _ = pooled(write(tmp_path / "cells.h5ad", cells(kind=kind), **how), folder=tmp_path)
    assert frame(found).equals(expected(cells()))


@pytest.mark.parametrize("style", ["records", "categories"])
def test_files_of_old_versions_are_read(source: Path, whole: Any, tmp_path: Path, style: str) -> None:
    found, _ = pooled(single_cells.as_old(source, tmp_path / "old.h5ad", style), folder=tmp_path)
    assert bits(found) == bits(whole[0])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("version", [2, 3])
def test_zarr_of_both_versions_is_read(source: Path, whole: Any, tmp_path: Path, version: int) -> None:
    with ad.settings.override(zarr_write_format=version):
        ad.read_h5ad(source).write_zarr(tmp_path / "cells.zarr")
    assert zarr.open_group(tmp_path / "cells.zarr", mode="r").metadata.zarr_format == version
    found, _ = pooled(tmp_path / "cells.zarr", folder=tmp_path)
    assert bits(found) == bits(whole[0])


def test_shuffled_chunks_of_uncommon_types_and_chunks_never_written_are_read(tmp_path: Path) -> None:
    table = cells()
    table.X.data[:64] = 0
    path = write(tmp_path / "cells.h5ad", table)
    with h5py.File(path, "a") as file:
        for name, kind, start in (("data", "f2", 64), ("indices", ">i8", 0)):
            values = file["X"].pop(name)[:]
            stored = file["X"].create_dataset(name, values.shape, kind, chunks=(64,), compression="gzip", shuffle=True)
            stored[start:] = values[start:]
    assert frame(pooled(path, folder=tmp_path)[0]).equals(expected(table))


def test_columns_that_are_unsorted_in_their_rows_are_fine(tmp_path: Path) -> None:
    table = cells()
    for cell in range(table.n_obs):
        low, high = table.X.indptr[cell : cell + 2]
        turned = np.random.default_rng(cell).permutation(high - low)
        table.X.indices[low:high] = table.X.indices[low:high][turned]
        table.X.data[low:high] = table.X.data[low:high][turned]
    assert frame(pooled(write(tmp_path / "cells.h5ad", table), folder=tmp_path)[0]).equals(expected(cells()))


def test_a_zero_that_is_stored_is_no_expression(tmp_path: Path) -> None:
    table = cells()
    table.X.data[::3] = 0
    found, _ = pooled(write(tmp_path / "cells.h5ad", table), folder=tmp_path)
    shown = table[table.obs["line"].notna()].to_df().gt(0)
    shown = shown.groupby(table.obs.dropna()[list(single_cells.KEYS)].astype(str).agg("_".join, axis=1)).mean()
    np.testing.assert_allclose(found.layers["psbulk_props"].toarray(), shown.loc[found.obs_names], atol=1e-6)


def test_a_sample_in_two_files_is_one(source: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other.h5ad", cells(seed=2))
    found, facts = pooled(source, other, folder=tmp_path)
    assert frame(found).equals(expected(cells()) + expected(cells(seed=2)))
    assert facts.cells == 2 * single_cells.N_CELLS


def test_files_are_read_where_they_are(source: Path, whole: Any, tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe("/pool/cells.h5ad", source.read_bytes())
    in_memory, _ = pooled("memory://pool/cells.h5ad", folder=tmp_path)
    with web.provider() as provider:
        provider.contents["cells.h5ad"] = source.read_bytes()
        over_http, _ = pooled(f"{provider.url}cells.h5ad", folder=tmp_path)
    assert bits(in_memory) == bits(whole[0]) == bits(over_http)


def test_a_key_of_whole_numbers_is_written_without_a_point(tmp_path: Path) -> None:
    table = cells()
    table.obs["plate"] = table.obs["plate"].map({"p1": 1.0, "p2": np.nan}).astype(float)
    found, facts = pooled(write(tmp_path / "cells.h5ad", table), folder=tmp_path)
    assert set(found.obs["plate"]) == {"1"}
    assert facts.left_out["null plate"] == int(table.obs["plate"].isna().sum())


def test_a_file_without_any_cell_gives_no_sample(tmp_path: Path) -> None:
    found, facts = pooled(write(tmp_path / "cells.h5ad", cells()[:0].copy()), folder=tmp_path)
    assert (found.shape, facts.cells) == ((0, single_cells.N_GENES), 0)


def test_sums_that_fill_their_bits_stay_whole() -> None:
    totals = Totals(1, 2, 1)
    large = (1 << SUM_BITS) - 3
    block = (np.array([0, 2, 3]), np.array([0, 1, 0], dtype=np.int32), np.array([large, 1, 1]))
    with ThreadPoolExecutor(1) as pool:
        totals.add(np.arange(2), np.zeros(2, dtype=np.int32), block, np.arange(2, dtype=np.int32), pool, 1)
    _, _, values = next(totals.rows(1))
    assert [(int(one) & ((1 << SUM_BITS) - 1), int(one) >> SUM_BITS) for one in values] == [(large + 1, 2), (1, 1)]


def test_a_declaration_may_derive_keys_from_names(source: Path, tmp_path: Path) -> None:
    declared = Pseudobulk(("half",), filter=EVERY_CELL, derive=_halves)
    found, _ = pooled(source, folder=tmp_path, declared=declared)
    assert found.obs["psbulk_cells"].to_dict() == {"even": 200, "odd": 200}


def _halves(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(half=np.where(table.index.str[4:].astype(int) % 2, "odd", "even"))
