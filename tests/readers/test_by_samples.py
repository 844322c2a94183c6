"""Matrices read some samples at a time: h5ad by rows, wide Parquet by columns; bad ones are refused in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from pbdb.common.errors import DataError, SourceError
from pbdb.readers.annotated import Annotated, ordered
from pbdb.readers.wide import wide

COUNTS = np.random.default_rng(1).poisson(0.7, (37, 11))


def h5ad(path: Path, matrix: Any) -> Path:
    obs = pd.DataFrame(index=[f"s{at}" for at in range(37)])
    ad.AnnData(matrix, obs, pd.DataFrame(index=[f"g{at}" for at in range(11)])).write_h5ad(path)
    return path


@pytest.mark.parametrize("form", [sp.csr_matrix, np.asarray])
def test_rows_are_read_in_blocks_or_wherever_they_stand(tmp_path: Path, form: Any) -> None:
    matrix = Annotated(h5ad(tmp_path / "a.h5ad", form(COUNTS.astype(np.float32))))
    parts = [(some, values.toarray()) for some, values in matrix.blocks(10)]
    assert [some.stop - some.start for some, _ in parts] == [10, 10, 10, 7]
    assert (np.vstack([values for _, values in parts]) == COUNTS).all()
    wanted = np.array([0, 3, 4, 5, 36])
    assert (matrix.rows(wanted).toarray() == COUNTS[wanted]).all()
    assert matrix.rows(wanted[:0]).shape == (0, 11)


def test_annotations_that_lack_a_column_are_told(tmp_path: Path) -> None:
    matrix = Annotated(h5ad(tmp_path / "a.h5ad", COUNTS.astype(np.float32)))
    matrix.need()
    with pytest.raises(SourceError, match=r"The var of 'a\.h5ad' lacks the column 'gene_id'"):
        matrix.need(var=("gene_id",))


def test_columns_are_read_in_blocks_and_in_the_order_wanted(tmp_path: Path) -> None:
    table = pd.DataFrame(COUNTS.T, columns=[f"s{at}" for at in range(37)]).assign(gene=[f"g{at}" for at in range(11)])
    table.to_parquet(tmp_path / "a.parquet", row_group_size=4)
    found = wide("gene")(tmp_path / "a.parquet")
    wanted = ["s30", "s2", "s7"]
    parts = list(found.blocks(wanted, size=2))
    assert [list(part.samples) for part in parts] == [["s30", "s2"], ["s7"]]
    assert (sp.vstack([part.counts for part in parts]).toarray() == COUNTS[[30, 2, 7]]).all()
    with pytest.raises(SourceError, match="has no column 'gene_id', which names its genes"):
        wide("gene_id")(tmp_path / "a.parquet")
    table.assign(gene="g0").to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="A gene stands twice"):
        wide("gene")(tmp_path / "a.parquet")


def test_matrices_by_columns_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"X of 'a\.h5ad' is stored by columns"):
        Annotated(h5ad(tmp_path / "a.h5ad", sp.csc_matrix(COUNTS)))
    for name, read in (("b.h5ad", Annotated), ("b.parquet", wide("gene"))):
        (tmp_path / name).write_bytes(b"no such content")
        with pytest.raises(DataError, match="damaged or incomplete"):
            read(tmp_path / name)
        with pytest.raises(SourceError, match="There is no file"):
            read(tmp_path / f"not_{name}")


def test_rows_of_a_table_are_ordered_as_the_matrix_or_refused_by_name() -> None:
    table = pd.DataFrame({"x": [1, 2, 3]}, index=["a", "b", "c"])
    assert ordered(table, pd.Index(["c", "a"]), "t", "m")["x"].tolist() == [3, 1]
    with pytest.raises(DataError, match=r"'d' stands in 'm' but not in 't' \(1 such\)"):
        ordered(table, pd.Index(["a", "d"]), "t", "m")
    with pytest.raises(DataError, match="'a' stands twice in 't'"):
        ordered(pd.concat([table, table]), pd.Index(["a"]), "t", "m")
