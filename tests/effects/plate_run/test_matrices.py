"""Readers of matrices: what each format brings along, and what is wrong with some files."""

from __future__ import annotations

import gzip
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import plate
import pytest
import scipy.sparse as sp

from pbdb.common.errors import DataError, SourceError
from pbdb.readers import matrices
from pbdb.readers.handwritten import matrix_tables


@pytest.fixture
def table() -> pd.DataFrame:
    return plate.counts(plate.sheet(), genes=7)


@pytest.mark.parametrize("form", plate.WRITERS)
def test_counts_come_as_sparse_whole_numbers(tmp_path: Path, table: pd.DataFrame, form: str):
    plate.write(tmp_path, table, plate.sheet(), form)
    found = matrices.read(tmp_path / ("tenx" if form == "10x" else f"matrix.{form}"), sparse=True)
    assert found.samples.tolist() == table.columns.to_list()
    assert found.genes.tolist() == table.index.to_list()
    assert found.values.format in ("csc", "csr")
    assert found.values.dtype == np.int32
    np.testing.assert_array_equal(found.values.toarray(), table.T)


@pytest.mark.parametrize("matrix", [np.asarray, sp.csc_matrix, lambda values: values.astype(np.float32)])
def test_h5ad_may_hold_any_kind_of_matrix(tmp_path: Path, table: pd.DataFrame, matrix):
    anndata.AnnData(matrix(table.to_numpy().T)).write_h5ad(tmp_path / "x.h5ad")
    for sparse in (True, False):
        values = matrices.read(tmp_path / "x.h5ad", sparse=sparse).values
        np.testing.assert_array_equal(values.toarray() if sparse else values, table.T)


def test_many_blocks_are_put_together_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    table = plate.counts(plate.sheet(), genes=500)
    table.to_csv(tmp_path / "x.csv")
    monkeypatch.setattr(matrix_tables, "TEXT_BLOCK_BYTES", 1024)
    found = matrices.read(tmp_path / "x.csv", sparse=False)
    np.testing.assert_array_equal(found.values, table.T)


def test_an_empty_cell_and_na_are_missing(tmp_path: Path):
    (tmp_path / "x.tsv").write_text("gene\ta\tb\nG1\t1.5\t\nG2\tNA\t-2\n")
    values = matrices.read(tmp_path / "x.tsv", sparse=False).values
    np.testing.assert_array_equal(values, [[1.5, np.nan], [np.nan, -2]])


def test_only_gene_expression_of_a_10x_folder_is_read(tmp_path: Path, table: pd.DataFrame):
    plate.write(tmp_path, table, plate.sheet(), "10x")
    features = tmp_path / "tenx" / "features.tsv.gz"
    text = gzip.decompress(features.read_bytes()).decode()
    features.write_bytes(gzip.compress(text.replace("Gene Expression", "Antibody Capture", 1).encode()))
    assert matrices.read(tmp_path / "tenx", sparse=True).genes.tolist() == table.index.to_list()[1:]


def test_files_of_a_10x_folder_must_belong_together(tmp_path: Path, table: pd.DataFrame):
    plate.write(tmp_path, table, plate.sheet(), "10x")
    (tmp_path / "tenx" / "barcodes.tsv.gz").write_bytes(gzip.compress(b"A\nB\n"))
    with pytest.raises(DataError, match="do not belong together"):
        matrices.read(tmp_path / "tenx", sparse=True)
    (tmp_path / "tenx" / "barcodes.tsv.gz").unlink()
    with pytest.raises(DataError, match=r"has no barcodes.tsv"):
        matrices.read(tmp_path / "tenx", sparse=True)


def test_a_parquet_column_of_text_describes_genes_and_one_of_dates_is_refused(tmp_path: Path, table: pd.DataFrame):
    table.assign(symbol="X").to_parquet(tmp_path / "x.parquet")
    found = matrices.read(tmp_path / "x.parquet", sparse=True)
    assert found.left_out == ("symbol",) and found.samples.tolist() == table.columns.to_list()
    table.assign(when=pd.Timestamp("2024-01-01")).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"column 'when' of 'x.parquet' holds"):
        matrices.read(tmp_path / "x.parquet", sparse=True)


def test_a_parquet_file_without_index_has_genes_first(tmp_path: Path, table: pd.DataFrame):
    table.reset_index().to_parquet(tmp_path / "x.parquet", index=False)
    assert matrices.read(tmp_path / "x.parquet", sparse=True).genes.tolist() == table.index.to_list()


def test_a_table_with_another_separator_is_read(tmp_path: Path, table: pd.DataFrame):
    table.to_csv(tmp_path / "x.csv", sep=";")
    assert matrices.read(tmp_path / "x.csv", sparse=True).genes.tolist() == table.index.to_list()


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(SourceError, match=r"no file 'x.csv'"):
        matrices.read(tmp_path / "x.csv", sparse=True)
