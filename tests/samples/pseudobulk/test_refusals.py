"""Files that cannot be right are one sentence that names them, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pytest
import scipy.sparse as sp
import single_cells
from single_cells import DECLARED, cells, joined, pooled, write

from pbdb.common.errors import DataError, PbdbError, SourceError
from pbdb.samples.pseudobulk.sums import refuse_overflow
from pbdb.sources.declaration import Pseudobulk


def refused(
    path: Path | str, folder: Path, sentence: str, declared: Pseudobulk = DECLARED, kind: Any = DataError
) -> None:
    """Pooling is refused with this sentence, and leaves no file."""
    before = set(folder.rglob("*"))
    with pytest.raises(kind, match=sentence) as told:
        pooled(path, folder=folder, declared=declared)
    assert str(told.value).count("\n") == 0
    assert set(folder.rglob("*")) == before


@pytest.mark.parametrize("value", [-1.0, 0.5, np.nan, np.inf])
def test_counts_that_are_none(tmp_path: Path, value: float) -> None:
    table = cells()
    table.X.data[table.X.indptr[7]] = value
    refused(write(tmp_path / "cells.h5ad", table), tmp_path, r"Cell 7 of '.*cells.h5ad' has a count that is negative")


def test_a_gene_twice_in_a_cell(tmp_path: Path) -> None:
    table = cells()
    table.X.indices[table.X.indptr[7] + 1] = table.X.indices[table.X.indptr[7]]
    refused(write(tmp_path / "cells.h5ad", table), tmp_path, r"Cell 7 of '.*' names a gene twice: sum such counts")


def changed(path: Path, change: Callable[[h5py.File], None]) -> Path:
    with h5py.File(path, "a") as file:
        change(file)
    return path


def shorten(name: str, n: int = -1) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        values = file.pop(name)[:n]
        file[name] = values

    return change


def _beyond(file: h5py.File) -> None:
    file["X/indices"][3] = single_cells.N_GENES


def _backwards(file: h5py.File) -> None:
    file["X/indptr"][5] = 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (shorten("obs/_index"), "has 400 cells and 60 genes .* its tables obs and var 399 and 60"),
        (shorten("X/indptr"), r"\(399 rows are there\), its tables obs and var 400 and 60"),
        (shorten("var/_index"), "its tables obs and var 400 and 59"),
        (shorten("X/data", 50), "do not ascend within the values there are"),
        (shorten("X/indices", 50), "do not ascend within the values there are"),
        (_backwards, "do not ascend within the values there are"),
        (_beyond, "Cell 0 of .* names a gene beyond the last one"),
        (lambda file: file.pop("obs"), "it has no table 'obs'"),
        (lambda file: file.pop("X"), "its matrix 'X' is not there or not sparse"),
        (lambda file: file["obs"].pop("well"), "has no column 'well' of its cells; it has plate, line, drug, dose"),
    ],
)
def test_parts_that_do_not_belong_together(tmp_path: Path, change: Callable[[h5py.File], Any], sentence: str) -> None:
    refused(changed(write(tmp_path / "cells.h5ad"), change), tmp_path, sentence)


def test_columns_before_rows_and_dense_matrices(tmp_path: Path) -> None:
    table = cells()
    dense = ad.AnnData(table.X.toarray(), table.obs, table.var)
    refused(write(tmp_path / "a.h5ad", dense), tmp_path, r"not sparse; store counts in compressed sparse rows \(CSR\)")
    by_gene = ad.AnnData(sp.csc_matrix(table.X), table.obs, table.var)
    refused(write(tmp_path / "b.h5ad", by_gene), tmp_path, "its matrix is stored as csc_matrix")


def test_a_download_that_was_interrupted(tmp_path: Path) -> None:
    path = write(tmp_path / "cells.h5ad", compression="gzip")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path, tmp_path, "cannot be read to its end .* download was interrupted; delete it and get it again")


def test_a_chunk_that_is_damaged(tmp_path: Path) -> None:
    path = write(tmp_path / "cells.h5ad", compression="gzip")
    with h5py.File(path) as file:
        place = file["X/data"].id.get_chunk_info(0)
    with path.open("r+b") as file:
        file.seek(place.byte_offset + 20)
        file.write(bytes(200))
    refused(path, tmp_path, "cannot be read to its end .* it is damaged")


def test_nothing_there_and_no_file_of_cells(tmp_path: Path) -> None:
    refused(tmp_path / "none.h5ad", tmp_path, "There is no file '.*none.h5ad'", kind=SourceError)
    (tmp_path / "text.h5ad").write_text("well,drug\n")
    refused(tmp_path / "text.h5ad", tmp_path, "'.*text.h5ad' cannot be read to its end")


def test_a_constant_that_is_none_names_its_sample(tmp_path: Path) -> None:
    table = cells()
    wanted = table.obs.query("plate == 'p2' and well == 'B3' and line == 'A549'").index[0]
    table.obs.loc[wanted, "dose"] = 3.0
    path = write(tmp_path / "cells.h5ad", table)
    refused(path, tmp_path, "'dose' differs between cells of the sample p2_B3_A549 of .* make it a key")


def test_a_constant_that_differs_between_ranges_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = cells()
    table.obs["drug"] = np.where(np.arange(table.n_obs) < 200, "x", "y")
    monkeypatch.setattr("pbdb.samples.pseudobulk.run.CELLS_PER_TASK", 200)
    refused(write(tmp_path / "cells.h5ad", table), tmp_path, "'drug' differs between cells of the sample p1_A1_A549")


def test_other_genes_in_another_file(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.h5ad"), write(tmp_path / "b.h5ad", cells()[:, ::-1].copy())
    with pytest.raises(DataError, match=r"'.*b.h5ad' has other genes than '.*a.h5ad': pool them one by one"):
        pooled(first, second, folder=tmp_path)


def test_a_filter_column_that_holds_no_numbers(tmp_path: Path) -> None:
    declared = replace(DECLARED, filter=replace(DECLARED.filter, min_genes=1, n_genes="drug"))
    path = write(tmp_path / "cells.h5ad")
    refused(path, tmp_path, "The column 'drug' of the cells of '.*' holds no numbers", declared)


def test_curated_tables_of_another_release(tmp_path: Path) -> None:
    told = cells().obs[["line"]]
    with pytest.raises(DataError, match=r"No cell of '.*cells.h5ad' is in its cell table: the names of cells differ"):
        joined(tmp_path, told.set_axis([f"other{place}" for place in range(len(told))], axis=0))
    with pytest.raises(DataError, match=r"The cell table '.*cells.parquet' has a cell twice"):
        joined(tmp_path, told.iloc[[0, *range(len(told))]])


def test_samples_too_large_to_add_up() -> None:
    with pytest.raises(PbdbError, match="A sample would have 134,217,728 cells"):
        refuse_overflow(np.array([1 << 27]), np.array([5]))
    with pytest.raises(PbdbError, match="68,719,476,736 counts, more than one can hold"):
        refuse_overflow(np.array([1]), np.array([1 << 36]))


def test_sums_beyond_32_bits_are_refused(tmp_path: Path) -> None:
    table = cells()
    table.X.data[table.X.indices == 0] = 2**29
    refused(write(tmp_path / "cells.h5ad", table), tmp_path, "A sum of .* counts is larger than 2,147,483,647")
