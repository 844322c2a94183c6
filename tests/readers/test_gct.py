"""GCT text: both versions, any line ending, missing values, and what is wrong with a damaged file."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cmapPy.pandasGEXpress.parse_gct import parse as cmap_parse

from pbdb.common.errors import DataError, SourceError
from pbdb.readers import gct
from pbdb.readers.gct import Profiles

V13 = (
    "#1.3\n2\t3\t1\t2\nid\tsymbol\ta\tb\tc\ncell\tna\tA375\t-666\tHT29\ndose\tna\t10\t1\t\n"
    "780\tDDR1\t1.5\t2\t-3\n7849\t-666\t4\tNaN\t6e1\n"
)
V12 = "#1.2\n2\t3\nName\tDescription\ta\tb\tc\n780\tDDR1\t1.5\t2\t-3\n7849\tPAX8\t4\t-666\t60\n"


@pytest.fixture
def small() -> Profiles:
    rows = pd.DataFrame({"symbol": ["DDR1", None]}, index=pd.Index(["780", "7849"], name="id"))
    columns = pd.DataFrame({"cell": ["A375", None, "HT29"], "dose": [10.0, 0.5, None]}, index=["a", "b", "c"])
    return Profiles(np.array([[1.5, 4], [2, np.nan], [-3, 60]], np.float32), rows, columns)


def written(folder: Path, text: str | bytes, name: str = "x.gct") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_version_1_3_has_metadata_of_genes_and_profiles(tmp_path: Path) -> None:
    found = gct.read(written(tmp_path, V13))
    np.testing.assert_array_equal(found.values, np.array([[1.5, 4], [2, np.nan], [-3, 60]], np.float32))
    assert found.rows["symbol"].tolist() == ["DDR1", None]
    assert found.columns["cell"].tolist() == ["A375", None, "HT29"]
    assert found.columns["dose"].tolist() == ["10", "1", None]
    assert found.columns.index.tolist() == ["a", "b", "c"]


def test_version_1_2_has_a_description(tmp_path: Path) -> None:
    found = gct.read(written(tmp_path, V12))
    assert found.rows["Description"].tolist() == ["DDR1", "PAX8"]
    assert found.columns.shape == (3, 0)
    assert np.isnan(found.values[1, 1])


@pytest.mark.parametrize("ending", ["\r\n", "\r", "\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_lines_may_end_in_any_way(tmp_path: Path, ending: str, packed: bool) -> None:
    content = V13.replace("\n", ending).encode()
    found = gct.read(written(tmp_path, gzip.compress(content) if packed else content))
    assert found.columns["cell"].tolist() == ["A375", None, "HT29"]
    assert found.values[2, 1] == 60


@pytest.mark.parametrize("absent", ["-666", "-666.0", "NA", " na ", "NaN", ""])
def test_a_missing_value_is_one_however_it_is_written(tmp_path: Path, absent: str) -> None:
    values = gct.read(written(tmp_path, V13.replace("NaN", absent))).values
    np.testing.assert_array_equal(values[:, 1], np.array([4, np.nan, 60], np.float32))


def test_rows_are_picked_in_the_order_given(tmp_path: Path) -> None:
    found = gct.read(written(tmp_path, V13), rows=["7849", "780"])
    assert found.rows.index.tolist() == ["7849", "780"]
    assert found.values[:, 0].tolist()[::2] == [4, 60]
    assert gct.read(written(tmp_path, V13), rows=["7849"]).values.shape == (3, 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Name\tx\n1\t2\n", "no GCT file"),
        ("#1.3\n2\t3\n", "no GCT file"),
        ("", "no GCT file"),
        (V13[: V13.index("7849")], "announces 2 rows, but has 1"),
        (V13 + V13.splitlines()[-1] + "\n", "announces 2 rows, but has 3"),
        (V13[:-5], "has 2 values in row '7849', not 3"),
        (V13.replace("7849", "780"), "has the row '780' twice"),
        (V13.replace("\ta\tb\tc", "\ta\tb\ta"), "has the column 'a' twice"),
        (V13.replace("6e1", "six"), "no number in row '7849'"),
        (V13.replace("\ta\tb\tc", "\ta\tb"), "announces 3 samples, but its heading has 2"),
    ],
)
def test_a_damaged_file_gives_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        gct.read(written(tmp_path, text))


def test_a_truncated_gzip_gives_one_sentence(tmp_path: Path) -> None:
    packed = gzip.compress(V13.encode())
    with pytest.raises(DataError, match="damaged or incomplete"):
        gct.read(written(tmp_path, packed[:-20]))


def test_an_absent_file_or_row_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no file 'y\.gct'"):
        gct.read(tmp_path / "y.gct")
    with pytest.raises(DataError, match="has no row '1'"):
        gct.read(written(tmp_path, V13), rows=["780", "1"])


@pytest.mark.parametrize("name", ["out.gct", "out.gct.gz"])
def test_what_is_written_reads_back(tmp_path: Path, small: Profiles, name: str) -> None:
    gct.write(tmp_path / name, small)
    found = gct.read(tmp_path / name)
    np.testing.assert_array_equal(found.values, small.values)
    assert found.rows["symbol"].tolist() == ["DDR1", None]
    assert found.columns["dose"].tolist() == ["10.0", "0.5", None]
    assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_version_1_2_is_written_without_metadata_of_profiles(tmp_path: Path, small: Profiles) -> None:
    gct.write(tmp_path / "out.gct", small, version="1.2")
    found = gct.read(tmp_path / "out.gct")
    np.testing.assert_array_equal(found.values, small.values)
    assert (found.rows["Description"].tolist(), found.columns.shape) == (["DDR1", None], (3, 0))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_cmappy_reads_what_is_written(tmp_path: Path, small: Profiles) -> None:
    gct.write(tmp_path / "out.gct", small)
    theirs = cmap_parse(str(tmp_path / "out.gct"))
    np.testing.assert_array_equal(theirs.data_df.to_numpy().T, small.values)
    assert theirs.data_df.columns.tolist() == ["a", "b", "c"]
    assert theirs.col_metadata_df["cell"].tolist()[::2] == ["A375", "HT29"]


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_real_plate_reads_as_cmappy_reads_it(shared: Path, tmp_path: Path) -> None:
    plate = shared / "data/l1000/plate_LJP009_A375_24H_X1_B20/LJP009_A375_24H_X1_B20_QNORM_n371x978.gct.gz"
    unpacked = written(tmp_path, gzip.decompress(plate.read_bytes()))
    ours, theirs = gct.read(plate), cmap_parse(str(unpacked))
    np.testing.assert_array_equal(ours.values, theirs.data_df.to_numpy().T)
    assert ours.rows.index.tolist() == theirs.data_df.index.tolist()
    assert ours.columns["pert_id"].tolist() == theirs.col_metadata_df["pert_id"].tolist()
    assert (ours.columns["pert_type"] == "ctl_vehicle").sum() == 22
