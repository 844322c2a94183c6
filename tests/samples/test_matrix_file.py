"""Canonical matrices: AnnData files that anyone can read, written and read in blocks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pbdb.common.errors import DataError
from pbdb.samples import matrix_file

RNG = np.random.default_rng(3)
COUNTS = sp.random(30, 12, 0.4, "csr", random_state=1, data_rvs=lambda n: RNG.integers(1, 100, n)).astype(np.int32)
INTENSITIES = RNG.normal(8, 2, (30, 12)).astype(np.float32)
KEYS = np.arange(100, 112, dtype=np.int32)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_file, "ROWS_PER_CHUNK", 8)


def written(path: Path, blocks: list[tuple[Any, np.ndarray]]) -> Path:
    writer = matrix_file.Writer(path, dense=not sp.issparse(blocks[0][0]))
    for matrix, keys in blocks:
        writer.add(matrix, keys)
    obs = pd.DataFrame({"plate": ["p"] * writer.n_rows}, index=[f"s{at}" for at in range(writer.n_rows)])
    var = pd.DataFrame({"gene_key": writer.gene_keys}, index=writer.gene_keys.astype(str))
    writer.finish(obs, var, {"note": "made"})
    return path


def split(matrix: Any) -> list[tuple[Any, np.ndarray]]:
    """The matrix in three blocks, the second with its genes in another order."""
    order = np.arange(12)[::-1]
    return [(matrix[:10], KEYS), (matrix[10:19][:, order], KEYS[order]), (matrix[19:], KEYS)]


@pytest.mark.parametrize("matrix", [COUNTS, INTENSITIES], ids=["counts", "intensities"])
def test_anndata_reads_what_was_written_in_blocks(tmp_path: Path, matrix: Any) -> None:
    found = ad.read_h5ad(written(tmp_path / "x.h5ad", split(matrix)))
    values, expected = (m.toarray() if sp.issparse(m) else m for m in (found.X, matrix))
    np.testing.assert_array_equal(values, expected)
    assert sp.issparse(found.X) == sp.issparse(matrix)
    assert found.var["gene_key"].tolist() == KEYS.tolist()
    assert found.uns["note"] == "made"


@pytest.mark.parametrize(("matrix", "missing"), [(COUNTS, 0), (INTENSITIES, np.nan)], ids=["counts", "intensities"])
def test_a_gene_that_a_block_lacks_is_zero_in_counts_and_missing_in_intensities(
    tmp_path: Path, matrix: Any, missing: float
) -> None:
    path = written(tmp_path / "x.h5ad", [(matrix[:5, :4], KEYS[:4]), (matrix[5:, 2:], KEYS[2:])])
    found = matrix_file.read_rows(path, np.arange(30))
    values, expected = (m.toarray() if sp.issparse(m) else m for m in (found, matrix))
    np.testing.assert_array_equal(values[:5, :4], expected[:5, :4])
    np.testing.assert_array_equal(values[5:, 2:], expected[5:, 2:])
    np.testing.assert_array_equal(values[:5, 4:], missing)
    np.testing.assert_array_equal(values[5:, :2], missing)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[Path, Any]]]:
    folder = tmp_path_factory.mktemp("canonical")
    yield [(written(folder / f"{at}.h5ad", [(m, KEYS)]), m) for at, m in enumerate((COUNTS, INTENSITIES))]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.sets(st.integers(0, 29), min_size=1))
def test_any_rows_are_read_back(files: list[tuple[Path, Any]], rows: set[int]) -> None:
    chosen = np.array(sorted(rows))
    with patch.multiple(matrix_file, NEAR_ROWS=3, ROWS_PER_CHUNK=10, DENSE_CHUNK=(4, 256)):
        for path, matrix in files:
            found = matrix_file.read_rows(path, chosen)
            difference = found - matrix[chosen]
            assert found.shape == (len(chosen), 12)
            assert abs(difference).sum() == 0


def test_rows_far_apart_are_read_apart(files: list[tuple[Path, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_file, "NEAR_ROWS", 4)
    monkeypatch.setattr(matrix_file, "ROWS_PER_CHUNK", 30)
    read: list[list[int]] = []
    values = matrix_file._values

    def noted(group: Any, starts: Any, rows: Any) -> Any:
        read.append(rows.tolist())
        return values(group, starts, rows)

    monkeypatch.setattr(matrix_file, "_values", noted)
    (chunk,) = matrix_file.count_chunks(files[0][0], np.array([0, 3, 7, 8, 20]))
    assert read == [[0, 3], [7, 8], [20]]
    assert (chunk != COUNTS[[0, 3, 7, 8, 20]]).nnz == 0


def test_files_packed_by_hdf5_itself_are_read_too(files: list[tuple[Path, Any]], tmp_path: Path) -> None:
    path = Path(shutil.copy(files[0][0], tmp_path))
    with h5py.File(path, "r+") as file:
        for name in ("data", "indices"):
            values = file["X"].pop(name)[:]
            file["X"].create_dataset(name, data=values, chunks=16, compression="lzf")
    chosen = np.array([0, 1, 2, 5, 6, 20, 29])
    assert (matrix_file.read_rows(path, chosen) != COUNTS[chosen]).nnz == 0


def test_fractions_are_missing_where_a_block_has_none(tmp_path: Path) -> None:
    writer = matrix_file.Writer(tmp_path / "x.h5ad", dense=False)
    shares = (COUNTS / 100).astype(np.float32)
    for at, fractions in ((0, None), (10, shares[10:20]), (20, None), (25, shares[25:])):
        stop = {0: 10, 10: 20, 20: 25, 25: 30}[at]
        writer.add(COUNTS[at:stop], KEYS, fractions)
    obs = pd.DataFrame(index=[f"s{at}" for at in range(30)])
    writer.finish(obs, pd.DataFrame(index=KEYS.astype(str)), {})
    found = ad.read_h5ad(tmp_path / "x.h5ad").layers["psbulk_props"]
    expected = shares.copy()
    for start, stop in ((0, 10), (20, 25)):
        expected.data[expected.indptr[start] : expected.indptr[stop]] = np.nan
    np.testing.assert_array_equal(found.toarray(), expected.toarray())


def test_no_rows_are_an_empty_matrix(files: list[tuple[Path, Any]]) -> None:
    for path, _ in files:
        assert matrix_file.read_rows(path, np.arange(0)).shape == (0, 12)


def test_a_count_beyond_32_bits_is_refused(tmp_path: Path) -> None:
    writer = matrix_file.Writer(tmp_path / "x.h5ad", dense=False)
    with pytest.raises(DataError, match="A count of 3000000000 is larger"):
        writer.add(sp.csr_matrix(np.array([[3_000_000_000]])), KEYS[:1])
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_file_never_has_its_name(tmp_path: Path) -> None:
    writer = matrix_file.Writer(tmp_path / "x.h5ad", dense=False)
    writer.add(COUNTS, KEYS)
    assert [path.name for path in tmp_path.iterdir()] == ["x.h5ad.part"]
    writer.abandon()
