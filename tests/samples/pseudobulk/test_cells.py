"""Which cells are pooled, what a curated table adds to them, and what a load keeps of it all."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import made
import numpy as np
import pandas as pd
import pytest
import single_cells
from single_cells import DECLARED, cells, expected, frame, joined, pooled, write

from pbdb import readers
from pbdb.common.errors import DataError
from pbdb.common.tasks import Workers
from pbdb.identity.genes.mapper import gene_mapper
from pbdb.readers.profile_block import ProfileBlock
from pbdb.samples import canonicalise
from pbdb.samples.pseudobulk.cell_filter import reasons, words
from pbdb.samples.pseudobulk.run import Pooled
from pbdb.samples.pseudobulk.sums import Measures
from pbdb.sources.declaration import CellFilter, Features, File, Files, col, const

FEW = CellFilter(min_genes=5, min_counts=50)


def measures(n_genes: list[int], n_counts: list[int], mito: list[int], malat1: list[int]) -> Measures:
    found = Measures(len(n_genes))
    found.n_genes, found.n_counts, found.mito, found.malat1 = (
        np.array(one) for one in (n_genes, n_counts, mito, malat1)
    )
    return found


def test_a_cell_is_counted_under_its_first_reason() -> None:
    found = measures(
        [4, 5, 5, 5, 5, 5, 5], [9, 9, 100, 100, 100, 100, 100], [0, 0, 21, 20, 20, 20, 0], [0, 0, 0, 1, 0, 0, 9]
    )
    codes = np.array([-1, -1, -1, -2, -1, 0, 0], dtype=np.int32)
    why = reasons(FEW, codes, ["plate", "well"], {}, found, has_malat1=True)
    named = [words(["plate", "well"])[place] if place >= 0 else None for place in why]
    expected_reasons = ["few_genes", "few_counts", "mitochondrial", "null well", "null plate", "low_malat1", None]
    assert named == expected_reasons


def test_malat1_is_measured_on_a_log_scale_of_ten_thousand_counts() -> None:
    counts = int(np.expm1(3.5) * 100)  # of a million
    found = measures([9, 9], [10**6, 10**6], [0, 0], [counts, counts + 1])
    codes = np.zeros(2, dtype=np.int32)
    assert reasons(FEW, codes, ["well"], {}, found, has_malat1=True).tolist() == [3 + 1, -1]
    assert reasons(FEW, codes, ["well"], {}, found, has_malat1=False).tolist() == [-1, -1]


def test_columns_of_the_cell_table_go_before_what_is_counted_and_unknown_fails() -> None:
    rules = CellFilter(malat1=None, n_genes="genes", n_counts="counts", mito="share")
    given = {
        "genes": np.array([250.0, 249, 250, 250, np.nan]),
        "counts": np.array([700.0, 700, 699, 700, 700]),
        "share": np.array([0.2, 0.2, 0.2, np.nan, 0.2]),
    }
    why = reasons(rules, np.zeros(5, dtype=np.int32), ["well"], given, Measures(5), has_malat1=True)
    assert why.tolist() == [-1, 0, 1, 2, 0]


def test_cells_are_filtered_by_the_matrix(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = cells()
    table.var["symbol"] = ["MT-CO1", *table.var["symbol"][1:]]
    declared = replace(DECLARED, filter=CellFilter(min_genes=8, min_counts=200, max_mito=0.05))
    with caplog.at_level(logging.WARNING):
        found, facts = pooled(write(tmp_path / "cells.h5ad", table), folder=tmp_path, declared=declared)
    counts = table.X.toarray()
    few_genes = (counts > 0).sum(axis=1) < 8
    few_counts = ~few_genes & (counts.sum(axis=1) < 200)
    mito = ~few_genes & ~few_counts & (counts[:, 0] > 0.05 * counts.sum(axis=1))
    null = ~few_genes & ~few_counts & ~mito & table.obs["line"].isna().to_numpy()
    told = {"few_genes": few_genes, "few_counts": few_counts, "mitochondrial": mito, "null line": null}
    assert facts.left_out == {reason: int(which.sum()) for reason, which in told.items()}
    assert frame(found).equals(expected(table[~(few_genes | few_counts | mito)].copy()))
    assert "has no gene MALAT1" in caplog.text


def test_genes_that_are_not_pooled_count_in_nothing(tmp_path: Path) -> None:
    declared = replace(DECLARED, genes=_without_odd, filter=CellFilter(min_genes=5, min_counts=None, max_mito=None))
    found, facts = pooled(write(tmp_path / "cells.h5ad"), folder=tmp_path, declared=declared)
    half = cells()[:, ::2].copy()
    kept = half[(half.X > 0).sum(axis=1) >= 5].copy()
    assert frame(found).equals(expected(kept))
    assert facts.left_out["few_genes"] == half.n_obs - kept.n_obs


def _without_odd(files: Any, genes: pd.DataFrame) -> pd.DataFrame:
    names = np.where(np.arange(len(genes)) % 2 == 0, genes.index, None)
    return pd.DataFrame({"feature": names, "symbol": genes["symbol"].to_numpy()})


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_a_curated_table_is_joined_by_name_and_wins(tmp_path: Path, order: slice) -> None:
    told = cells().obs[["line"]].assign(line="curated")[order]
    (block,) = joined(tmp_path, told.iloc[:300])
    assert block.samples["line"].unique().tolist() == ["curated"]
    assert dict(block.cells_left_out) == {"null line": 100}
    assert block.samples["n_cells"].sum() == 300


def test_names_of_cells_may_be_numbers_in_the_curated_table(tmp_path: Path) -> None:
    table = cells()
    table.obs_names = [str(place) for place in range(table.n_obs)]
    told = table.obs[["line"]].assign(line="curated").set_axis(np.arange(table.n_obs)[::-1], axis=0)
    (block,) = joined(tmp_path, told, table)
    assert block.samples["line"].unique().tolist() == ["curated"]


def test_a_range_of_cells_may_lack_in_the_curated_table_where_totals_are_put_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pbdb.samples.pseudobulk.run.CELLS_PER_TASK", 200)
    monkeypatch.setattr("pbdb.samples.pseudobulk.range_task.TOTALS_BYTES", 8 * single_cells.N_GENES * 5)
    (block,) = joined(tmp_path, pd.DataFrame({"other": 1}, index=cells().obs_names[200:]))
    assert np.array_equal(block.matrix.toarray(), expected(cells()).to_numpy())


def test_numbers_of_32_bits_are_the_decimals_they_were_written_as(tmp_path: Path) -> None:
    table = cells()
    table.obs["dose"] = np.float32(0.05)
    table.obs["mito"] = np.float32(0.2)
    declared = replace(DECLARED, filter=replace(DECLARED.filter, max_mito=0.2, mito="mito"))
    found, facts = pooled(write(tmp_path / "cells.h5ad", table), folder=tmp_path, declared=declared)
    assert found.obs["dose"].unique().tolist() == [0.05]
    assert "mitochondrial" not in facts.left_out


def test_blocks_of_a_file_hold_keys_constants_and_the_name_of_the_sample(tmp_path: Path) -> None:
    (block,) = joined(tmp_path, cells().obs[["line"]])
    assert block.samples.columns.tolist() == ["plate", "well", "line", "drug", "dose", "n_cells", "sample"]
    assert block.samples["sample"].tolist() == expected(cells()).index.tolist()
    assert (block.cells, dict(block.cells_left_out)) == (400, {"null line": int(cells().obs["line"].isna().sum())})
    assert np.array_equal(block.matrix.toarray(), expected(cells()).to_numpy())


def _described(files: Files, dataset: str) -> Iterator[ProfileBlock]:
    for key in files.sets() or ["cells"]:
        yield from files[key]


SOURCE = made.source(
    files={"cells": File("cells.h5ad", readers.cell_matrix, pseudobulk=DECLARED)},
    blocks=_described,
    samples=replace(
        made.SOURCE.samples,
        sample=col("sample"),
        compound=col("drug"),
        dose=col("dose", unit="uM"),
        time=const(24),
        context=const("A"),
        n_cells=col("n_cells"),
        attributes=(),
    ),
    features=Features("gene_id"),
    flags=(),
)


def test_a_canonical_matrix_keeps_cells_and_fractions(tmp_path: Path) -> None:
    paths = {"cells": write(tmp_path / "cells.h5ad")}
    files = Files(SOURCE.files, paths, Pooled(SOURCE.files, tmp_path / "pooled", Workers()))
    mapper = gene_mapper(SOURCE, files, None)
    samples, report = canonicalise.transform(SOURCE, "made", files, mapper, tmp_path / "samples.h5ad")
    found = ad.read_h5ad(tmp_path / "samples.h5ad")
    alone, _ = pooled(paths["cells"], folder=tmp_path / "pooled")
    null = int(cells().obs["line"].isna().sum())
    assert (report.rows_in, report.dropped["cell null line"]) == (single_cells.N_CELLS, null)
    assert found.obs["psbulk_cells"].tolist() == samples["n_cells"].tolist() == alone.obs["psbulk_cells"].tolist()
    assert np.array_equal(found.X.toarray(), alone.X.toarray())
    assert np.array_equal(found.layers["psbulk_props"].toarray(), alone.layers["psbulk_props"].toarray())


def test_a_file_whose_cells_are_all_left_out_counts_them(tmp_path: Path) -> None:
    lost = cells()
    lost.obs["line"] = np.nan
    names = ("first", "second")
    files = {name: File(f"{name}.h5ad", readers.cell_matrix, set=name, pseudobulk=DECLARED) for name in names}
    paths = {"first": write(tmp_path / "a.h5ad", lost), "second": write(tmp_path / "b.h5ad")}
    source = replace(SOURCE, files=files)

    def transformed(*names: str) -> tuple[pd.DataFrame, canonicalise.Report]:
        there = {name: paths[name] for name in names}
        opened = Files(files, there, Pooled(files, tmp_path / "pooled", Workers()))
        return canonicalise.transform(
            source, "made", opened, gene_mapper(source, opened, None), tmp_path / "samples.h5ad"
        )

    samples, report = transformed(*names)
    assert len(samples) == len(expected(cells()))
    assert (report.rows_in, report.dropped["cell null line"]) == (800, 400 + int(cells().obs["line"].isna().sum()))
    with pytest.raises(DataError, match="its files hold no samples"):
        transformed("first")


def test_the_fraction_of_cells_is_not_known_where_genes_are_summed(tmp_path: Path) -> None:
    table = cells()
    table.var.index = [*table.var_names[:-1], table.var_names[0] + ".2"]  # the first gene in another version
    files = {"cells": File("cells.h5ad", readers.cell_matrix, pseudobulk=DECLARED)}
    opened = Files(files, {"cells": write(tmp_path / "c.h5ad", table)}, Pooled(files, tmp_path / "pooled", Workers()))
    source = replace(SOURCE, files=files)
    canonicalise.transform(source, "made", opened, gene_mapper(source, opened, None), tmp_path / "samples.h5ad")
    found = ad.read_h5ad(tmp_path / "samples.h5ad")
    fractions = found.layers["psbulk_props"].toarray()
    assert np.isnan(fractions[:, 0][found.X.toarray()[:, 0] > 0]).all()
    assert not np.isnan(fractions[:, 1:]).any()
