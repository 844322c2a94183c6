"""GCTX: both orientations, chunks and filters, ids, blocks, metadata of any type, and damaged files."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from cmapPy.pandasGEXpress.parse_gctx import parse as cmap_parse

from pbdb.common.errors import DataError, SourceError
from pbdb.readers import gctx
from pbdb.readers.gct import Profiles
from pbdb.readers.gctx import Gctx

GENES, WELLS = [str(100 + i) for i in range(50)], [f"P1:{i:03d}" for i in range(33)]
VALUES = np.random.default_rng(1).normal(8, 2, (33, 50)).astype(np.float32)


def stored(
    path: Path, *, profiles_first: bool = True, values: Any = VALUES, userblock_size: int | None = None, **options: Any
) -> Path:
    with h5py.File(path, "w", userblock_size=userblock_size) as file:
        file.create_dataset(gctx.MATRIX, data=values if profiles_first else values.T, **options)
        file["0/META/ROW/id"] = np.array(GENES, "S")
        file["0/META/COL/id"] = np.array(WELLS, "S")
    return path


def profiles() -> Profiles:
    rows = pd.DataFrame({"symbol": [f"G{i}" for i in range(50)], "is_lm": np.arange(50) % 2}, index=GENES)
    columns = pd.DataFrame({"cell": ["A375", None, "HT29"] * 11, "dose": [np.nan, *range(32)]}, index=WELLS)
    return Profiles(VALUES, rows, columns)


LAYOUTS = [
    {},
    {"chunks": (7, 50)},
    {"chunks": (7, 11), "compression": "gzip"},
    {"chunks": (7, 50), "compression": "gzip", "shuffle": True},
    {"chunks": (5, 9), "compression": "lzf"},
    {"chunks": (5, 9), "compression": "gzip", "fletcher32": True},
    {"chunks": (7, 50), "compression": "gzip", "userblock_size": 512},
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("profiles_first", [True, False])
@pytest.mark.parametrize("block_bytes", [1, 2000, 1 << 20])
def test_every_layout_gives_the_same_values(
    tmp_path: Path, layout: dict[str, Any], profiles_first: bool, block_bytes: int
) -> None:
    if "chunks" in layout and not profiles_first:
        layout = layout | {"chunks": layout["chunks"][::-1]}
    file = Gctx(stored(tmp_path / "x.gctx", profiles_first=profiles_first, **layout))
    genes, wells = [GENES[i] for i in (40, 3, 4, 30)], [WELLS[i] for i in (32, 0, 8, 9)]
    blocks = list(file.blocks(genes, wells, block_bytes))
    assert np.concatenate([block.columns for block in blocks]).tolist() == [0, 8, 9, 32]
    found = np.concatenate([block.values for block in blocks])
    np.testing.assert_array_equal(found, VALUES[np.ix_([0, 8, 9, 32], [40, 3, 4, 30])])
    np.testing.assert_array_equal(np.concatenate([b.values for b in file.blocks(block_bytes=block_bytes)]), VALUES)


@pytest.mark.parametrize("how", [{"chunks": (4, 50), "compression": "gzip"}, {}, {"profiles_first": False}], ids=str)
def test_a_block_is_no_larger_than_asked_for(tmp_path: Path, how: dict[str, Any]) -> None:
    file = Gctx(stored(tmp_path / "x.gctx", **how))
    assert {len(block.values) for block in file.blocks(block_bytes=8 * 50 * 4)} == {8, 1}


def test_chunks_never_written_hold_the_fill_value(tmp_path: Path) -> None:
    path = stored(tmp_path / "x.gctx", values=VALUES[:0], maxshape=(None, 50), chunks=(8, 50), compression="gzip")
    with h5py.File(path, "a") as file:
        file[gctx.MATRIX].resize(33, axis=0)
        file[gctx.MATRIX][20:25] = VALUES[20:25]
    found = Gctx(path).read().values
    np.testing.assert_array_equal(found[20:25], VALUES[20:25])
    assert not found[:16].any()


def test_values_of_minus_666_are_missing(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[3, 4] = -666
    assert np.argwhere(np.isnan(Gctx(stored(tmp_path / "x.gctx", values=values)).read().values)).tolist() == [[3, 4]]


def test_metadata_of_any_type_and_missing_values(tmp_path: Path) -> None:
    path = stored(tmp_path / "x.gctx")
    with h5py.File(path, "a") as file:
        meta = file["0/META/COL"]
        meta["fixed"] = np.array(["µM".encode(), b"-666", b"x"] * 11)
        meta["variable"] = ["vorinostat", "-666", "é"] * 11
        meta["latin"] = np.array([b"\xb5M"] * 33)
        meta["whole"] = np.array([1, -666, 3] * 11)
        meta["real"] = np.array([0.5, -666, 3] * 11, "f4")
        meta["flag"] = np.array([True, False, True] * 11)
    found = Gctx(path).columns()
    assert [None if pd.isna(v) else v for v in found.iloc[1][["fixed", "variable", "whole", "real"]]] == [None] * 4
    assert found.iloc[0].to_dict() == {
        "fixed": "µM", "variable": "vorinostat", "latin": "µM", "whole": 1, "real": 0.5, "flag": True
    }  # fmt: skip
    assert found["whole"].dtype == "Int64"


def test_ids_may_be_numbers(tmp_path: Path) -> None:
    path = stored(tmp_path / "x.gctx")
    with h5py.File(path, "a") as file:
        del file["0/META/ROW/id"]
        file["0/META/ROW/id"] = np.array(GENES, "f8")
    assert Gctx(path).row_ids.tolist() == GENES


def test_metadata_is_read_without_the_matrix(tmp_path: Path) -> None:
    path = stored(tmp_path / "x.gctx", chunks=(7, 50), compression="gzip")
    with h5py.File(path) as file:
        info = file[gctx.MATRIX].id.get_chunk_info(0)
    with path.open("r+b") as raw:  # the matrix is ruined; only its own reading notices
        raw.seek(info.byte_offset)
        raw.write(b"\xff" * info.size)
    file = Gctx(path)
    assert (file.shape, file.columns().index.tolist(), file.rows().index.tolist()) == ((50, 33), WELLS, GENES)
    with pytest.raises(DataError, match="damaged or incomplete"):
        file.read()


def without(path: Path, node: str) -> Path:
    with h5py.File(path, "a") as file:
        del file[node]
    return path


@pytest.mark.parametrize("node", [gctx.MATRIX, "0/META/ROW/id", "0/META/COL/id"])
def test_a_missing_node_is_named(tmp_path: Path, node: str) -> None:
    with pytest.raises(DataError, match=f"has no node /?{node}"):
        Gctx(without(stored(tmp_path / "x.gctx"), node))


def test_ids_that_are_no_list_are_refused(tmp_path: Path) -> None:
    path = without(stored(tmp_path / "x.gctx"), "0/META/ROW/id")
    with h5py.File(path, "a") as file:
        file.create_group("0/META/ROW/id")
    with pytest.raises(DataError, match="META/ROW/id is not a list of ids"):
        Gctx(path)


def test_damaged_metadata_is_told(tmp_path: Path) -> None:
    gctx.write(tmp_path / "x.gctx", profiles())
    with h5py.File(tmp_path / "x.gctx") as file:
        place = file["0/META/COL/cell"].id.get_chunk_info(0)
    with (tmp_path / "x.gctx").open("r+b") as raw:
        raw.seek(place.byte_offset)
        raw.write(b"\xff" * place.size)
    with pytest.raises(DataError, match="damaged or incomplete"):
        Gctx(tmp_path / "x.gctx").columns()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.ones((33, 50), np.int32), "int32 values; a matrix of floats"),
        (np.array([[b"a"] * 50] * 33), "values; a matrix of floats"),
        (VALUES[:, :40], "33 x 40, but 50 row ids and 33 column ids"),
        (VALUES[0], "float32 values; a matrix of floats"),
    ],
)
def test_a_matrix_of_wrong_type_or_shape_is_refused(tmp_path: Path, values: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        Gctx(stored(tmp_path / "x.gctx", values=values))


def test_a_truncated_foreign_packed_or_absent_file_is_told(tmp_path: Path) -> None:
    path = stored(tmp_path / "x.gctx")
    content = path.read_bytes()
    for name, bytes_, words in (
        ("cut", content[: len(content) // 2], "damaged or incomplete"),
        ("text", b"inst_id\tcell\n", "damaged or incomplete"),
        ("packed", gzip.compress(content), "unpack it first"),
    ):
        (tmp_path / name).write_bytes(bytes_)
        with pytest.raises(DataError, match=words):
            Gctx(tmp_path / name)
    with pytest.raises(SourceError, match="no file 'absent'"):
        Gctx(tmp_path / "absent")


def test_ids_that_stand_twice_or_nowhere_are_named(tmp_path: Path) -> None:
    path = stored(tmp_path / "x.gctx")
    with pytest.raises(DataError, match=r"no row 'x' \(2 such ids\)"):
        list(Gctx(path).blocks(["100", "x", "y"]))
    with h5py.File(path, "a") as file:
        file["0/META/COL/id"][1] = b"P1:000"
    with pytest.raises(DataError, match="'P1:000' stands twice"):
        Gctx(path).column_ids  # noqa: B018
    with pytest.raises(DataError, match="'P1:000' stands twice"):
        Gctx(path).read()


def test_metadata_of_another_length_is_refused(tmp_path: Path) -> None:
    path = stored(tmp_path / "x.gctx")
    with h5py.File(path, "a") as file:
        file["0/META/COL/cell"] = np.array([b"A375"] * 4)
    with pytest.raises(DataError, match="cell has not one value for each of 33 ids"):
        Gctx(path).columns()


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    gctx.write(tmp_path / "x.gctx", profiles())
    found = Gctx(tmp_path / "x.gctx").read()
    np.testing.assert_array_equal(found.values, VALUES)
    assert found.columns["cell"].tolist() == ["A375", None, "HT29"] * 11
    assert found.columns["dose"].tolist()[1:] == list(range(32))
    assert np.isnan(found.columns["dose"].iloc[0])
    assert found.rows["is_lm"].tolist() == [0, 1] * 25


def test_ids_among_missing_ones_keep_every_digit(tmp_path: Path) -> None:
    table = profiles()
    table.columns["cid"] = pd.array([126_941_757, None, 2**52 + 1] * 11, dtype="Int64")
    table.columns["tested"] = pd.array([True, None, False] * 11, dtype="boolean")
    gctx.write(tmp_path / "x.gctx", table)
    found = Gctx(tmp_path / "x.gctx").columns()
    assert found["cid"].dropna().unique().tolist() == [126_941_757, 2**52 + 1]
    assert found["cid"].isna().sum() == 11
    assert found["tested"].fillna(-1).iloc[:3].tolist() == [1, -1, 0]


def test_a_writer_takes_blocks_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    writer = gctx.Writer(tmp_path / "x.gctx", profiles().rows, level=1, chunk=(8, 50))
    for start in range(0, 33, 10):
        writer.add(VALUES[start : start + 10])
    assert not (tmp_path / "x.gctx").exists()
    writer.finish(profiles().columns)
    np.testing.assert_array_equal(Gctx(tmp_path / "x.gctx").read().values, VALUES)
    short = gctx.Writer(tmp_path / "y.gctx", profiles().rows)
    short.add(VALUES[:3])
    with pytest.raises(DataError, match="3 profiles, but metadata of 33"):
        short.finish(profiles().columns)
    assert [file.name for file in tmp_path.iterdir()] == ["x.gctx"]


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_cmappy_reads_what_is_written(tmp_path: Path) -> None:
    gctx.write(tmp_path / "x.gctx", profiles())
    theirs = cmap_parse(str(tmp_path / "x.gctx"), rid=GENES[5:8])
    np.testing.assert_array_equal(theirs.data_df.to_numpy().T, VALUES[:, 5:8])
    assert theirs.data_df.columns.tolist() == WELLS
    assert theirs.col_metadata_df["dose"].tolist()[1:] == list(range(32))
    assert theirs.col_metadata_df["cell"].isna().tolist() == [False, True, False] * 11


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "name",
    [
        "plate_CPC006_A375_6H_X1/gctv13_01_qnorm.gctx",
        "level4_CORE_A_n40x12328/CORE_A_level4_ZSPCINF_n40x12328.gctx",
        "mini_build_level3_level5/level3_lm_n5x978.gctx",
    ],
)
def test_a_real_file_reads_as_cmappy_reads_it(shared: Path, name: str) -> None:
    path = shared / "data/l1000" / name
    ours, theirs = Gctx(path).read(), cmap_parse(str(path))
    np.testing.assert_array_equal(ours.values, theirs.data_df.to_numpy().T)
    assert ours.rows.index.tolist() == theirs.data_df.index.tolist()
    assert ours.columns["cell_id"].tolist() == theirs.col_metadata_df["cell_id"].tolist()
