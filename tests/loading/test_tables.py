"""Readers of tables and gene matrices: what is right is read, what is wrong is one sentence."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pbdb import readers
from pbdb.common.errors import DataError, SourceError

SHEET = 'Well,Drug,Concentration\nA01,"a, b",0.3\nA02,,NA\n\nA03,NaN,None\n'
COUNTS = "HUGO,A01,A02\nTP53,0,3\nNA,12,0\n"
counts_of = readers.gene_matrix("HUGO")


def written(folder: Path, content: str | bytes, name: str = "x.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_table_is_text_as_written_and_only_empty_and_na_are_missing(tmp_path: Path) -> None:
    table = readers.csv(written(tmp_path, SHEET))
    assert table["Drug"].tolist()[0::2] == ["a, b", "NaN"]
    assert table["Concentration"].tolist()[0::2] == ["0.3", "None"]
    assert table.isna().sum().tolist() == [0, 1, 1]


@pytest.mark.parametrize("packed", [gzip.compress, bytes])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_gzip_and_a_byte_order_mark_make_no_difference(tmp_path: Path, packed: type[bytes], mark: bytes) -> None:
    path = written(tmp_path, packed(mark + SHEET.encode()))
    assert list(readers.csv(path).columns) == ["Well", "Drug", "Concentration"]
    table = readers.tsv(written(tmp_path, packed(mark + SHEET.replace(",", "\t").encode())))
    assert table["Well"].tolist() == ["A01", "A02", "A03"]


@pytest.mark.parametrize("line", ["A04,x", "A04,x,1,2", '"A04,x,1'])
def test_a_row_of_another_length_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(DataError, match=r"'x\.csv' in .* damaged or incomplete \(line \d has \d fields, not 3\)"):
        readers.csv(written(tmp_path, SHEET + line))


@pytest.mark.parametrize("cut", [20, 45, -9, -1])
def test_a_truncated_gzip_is_refused(tmp_path: Path, cut: int) -> None:
    sheet = written(tmp_path, gzip.compress(SHEET.encode() * 3)[:cut])
    with pytest.raises(DataError, match="damaged or incomplete"):
        readers.csv(sheet)
    counts = written(tmp_path, gzip.compress(COUNTS.encode() * 1)[:cut])
    with pytest.raises(DataError, match="damaged or incomplete"):
        counts_of(counts)


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b", b"a,b\n\xff\xfe,1\n"])
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"is empty|damaged"):
        readers.csv(written(tmp_path, content))


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has the column 'A01' more than once"):
        counts_of(written(tmp_path, "HUGO,A01,A01\nTP53,1,2\n"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no file 'gone\.csv'"):
        readers.csv(tmp_path / "gone.csv")
    with pytest.raises(SourceError, match=r"no file 'gone\.parquet'"):
        readers.parquet(tmp_path / "gone.parquet")


def test_counts_come_as_samples_by_genes(tmp_path: Path) -> None:
    found = counts_of(written(tmp_path, COUNTS))
    assert found.samples.tolist() == ["A01", "A02"]
    assert found.features.tolist() == ["TP53", "NA"]
    np.testing.assert_array_equal(found.counts.toarray(), [[0, 12], [3, 0]])


def test_another_first_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"starts with the column 'gene', not 'HUGO'"):
        counts_of(written(tmp_path, COUNTS.replace("HUGO", "gene")))


@pytest.mark.parametrize(
    "bad", ["-1", "0.5", "x", "", "nan", "inf", "True", "3000000000", "99999999999999999999999", "1e3x"]
)
def test_what_is_no_count_is_named_with_gene_and_sample(tmp_path: Path, bad: str) -> None:
    path = written(tmp_path, f"HUGO,A01,A02\nTP53,0,3\nHMOX1,2,{bad}\n")
    with pytest.raises(DataError, match=r"holds '.*' for gene (HMOX1|TP53) in sample A02: counts are whole numbers"):
        counts_of(path)


@pytest.mark.parametrize("row", ["HMOX1,2", "HMOX1,2,3,4"])
def test_a_gene_with_too_few_or_many_counts_is_refused(tmp_path: Path, row: str) -> None:
    with pytest.raises(DataError):
        counts_of(written(tmp_path, COUNTS + row + "\n"))
    with pytest.raises(DataError):
        counts_of(written(tmp_path, f"HUGO,A01,A02\n{row}\n"))


def sheet_of(*wells: str) -> pd.DataFrame:
    return pd.DataFrame({"Well": wells, "drug": range(len(wells))})


def test_a_sheet_is_put_in_the_order_of_the_counts() -> None:
    found = readers.aligned(sheet_of("b", "a"), "Well", np.array(["a", "b"], object), "sheet", "counts")
    assert found["drug"].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("wells", "samples", "message"),
    [
        (["a", "b"], ["a"], "'b' stands in 'sheet' but not in 'counts'"),
        (["a"], ["a", "c", "d"], r"'c' stands in 'counts' but not in 'sheet' \(2 such\)"),
        (["a", "a"], ["a"], "'a' stands twice in 'sheet'"),
        (["a"], ["a", "a"], "'a' stands twice in 'counts'"),
    ],
)
def test_samples_on_one_side_only_or_twice_are_named(wells: list[str], samples: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        readers.aligned(sheet_of(*wells), "Well", np.array(samples, object), "sheet", "counts")
