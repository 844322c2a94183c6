"""The RData reader, against files of R and files of our own writer."""

from __future__ import annotations

import gzip
import io
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pbdb.common.errors import DataError, PbdbError, SourceError
from pbdb.readers import rdata, rstream
from pbdb.readers.ritems import print_double
from pbdb.simulate import rwrite
from pbdb.simulate.rwrite import Matrix, Vector, Writer

CONTAINERS = ["gzip", "bzip2", "xz", "none", "v2", "ascii"]
GENES, WELLS = ["A,grch38_1", "B,grch38_2", "C,grch38_X"], ["P1_001", "P1_002"]
COUNTS = np.array([[0, 3], [7, 0], [0, 2**31 + 5]], float)
HEAD = b"RDX3\nX\n\0\0\0\3\0\4\2\2\0\3\5\0\0\0\0"
Write = Callable[[Writer], None]


def text(*values: str | None) -> np.ndarray:
    return np.array(values, dtype=object)


def annotation(barcode: str = "P1", wells: list[str] = WELLS) -> pd.DataFrame:
    n = len(wells)
    columns = {"batch_id": np.full(n, 4), "plate_barcode": [barcode] * n, "well_type": pd.Categorical(["SA"] * n)}
    return pd.DataFrame(columns, index=wells)


def matrix(values: Any = COUNTS, dtype: type = float) -> Matrix:
    return Matrix(GENES, WELLS, [np.array(values, dtype)])


def plate(counts: Any = None, frame: pd.DataFrame | None = None) -> dict[str, Any]:
    found = matrix() if counts is None else counts
    return {"UMI.counts": found, "Annotation": annotation() if frame is None else frame}


def saved(folder: Path, content: Any, **options: Any) -> Path:
    rwrite.save(folder / "Exp.RData", {"Exp": {"batch_04": {"P1": content}}}, **options)
    return folder / "Exp.RData"


def x_of(folder: Path, write: Write, encoding: bytes = b"\5UTF-8") -> Any:
    """The variable `x` of a file whose bytes the test writes itself."""
    file = io.BytesIO()
    file.write(HEAD + encoding)
    writer = Writer(file)
    writer.word(2 | 0x400)
    writer.symbol("x")
    write(writer)
    writer.word(254)
    (folder / "x.RData").write_bytes(file.getvalue())
    return rdata.objects(folder / "x.RData")["x"]


def words(*values: int) -> bytes:
    return struct.pack(f">{len(values)}i", *values)


def altrep(name: str, state: Write, attributes: dict[str, Any] | None = None) -> Write:
    def write(writer: Writer) -> None:
        writer.word(238)
        for symbol in (name, "base"):
            writer.word(2)
            writer.symbol(symbol)
        writer.word(254)
        state(writer)
        writer.pairs(attributes or {})

    return write


def dotted(first: Any, rest: Any) -> Write:
    def write(writer: Writer) -> None:
        writer.word(2)
        writer.item(first)
        writer.item(rest)

    return write


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_r_writes_gives_the_expected_totals(shared: Path, container: str) -> None:
    folder = shared / "data" / "rdata"
    found = []
    for p in rdata.plates(folder / f"Exp_{container}.RData"):
        reference = p.annotation.index[p.annotation["well_type"] == "RC"]
        counts = pd.DataFrame(p.counts.toarray(), index=p.wells, columns=p.genes)
        parts = (counts, counts["GENE1,grch38_2"], counts.loc[reference])
        found.append((p.plate, *(int(part.to_numpy().sum()) for part in parts)))
    expected = pd.read_csv(folder / "expected.csv").drop(columns="batch")
    assert found == list(expected.itertuples(index=False, name=None))


def test_order_and_text_are_left_as_the_file_has_them(shared: Path) -> None:
    first, second, *_ = rdata.plates(shared / "data" / "rdata" / "Exp_gzip.RData")
    assert list(first.genes) == list(second.genes[::-1])
    assert set(first.wells) == set(first.annotation.index)
    assert list(first.wells) != list(first.annotation.index)
    assert (first.batch, first.annotation.shape) == ("1", (48, 18))
    assert set(first.annotation["hours_post_treatment"]) == {"24.0"}


def test_all_containers_hold_the_same_plates(shared: Path) -> None:
    files = [shared / "data" / "rdata" / f"Exp_{container}.RData" for container in CONTAINERS]
    for first, *others in zip(*map(rdata.plates, files), strict=True):
        for other in others:
            assert (first.counts != other.counts).nnz == 0
            pd.testing.assert_frame_equal(first.annotation, other.annotation)


def test_odd_types_of_r_are_read(shared: Path) -> None:
    odd = rdata.objects(shared / "data" / "rdata" / "odd_types.RData")["odd"]
    assert list(odd["ints"]) == [1, pd.NA, 3]
    assert list(odd["lgl"]) == [True, pd.NA]
    assert [list(odd[key]) for key in ("chr", "fac", "latin1")] == [["a", None, "µM"], ["x", None, "y"], ["µ"]]
    np.testing.assert_array_equal(odd["dbl"], [1.5, np.nan, np.nan, np.inf])
    np.testing.assert_array_equal(odd["seq"], np.arange(1, 100_001))
    assert odd["date"] == np.datetime64("2024-01-02")
    assert (odd["nul"], odd["sym"], list(odd["raw"]), list(odd["cplx"])) == (None, "a", [1, 2, 3], [1 + 2j])
    assert odd["call"].kind == "language"
    assert odd["nested"][0][0] == [1.0]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("compress", ["gzip", "bzip2", "xz", "none"])
def test_what_the_writer_writes_comes_back(tmp_path: Path, compress: str, version: int) -> None:
    (read,) = rdata.plates(saved(tmp_path, plate(), compress=compress, version=version))
    assert (read.batch, read.plate, list(read.genes), list(read.wells)) == ("4", "P1", GENES, WELLS)
    assert read.counts.dtype == np.int64  # one count needs it
    np.testing.assert_array_equal(read.counts.toarray(), COUNTS.T)
    pd.testing.assert_frame_equal(read.annotation, annotation().astype({"well_type": object}), check_dtype=False)


@pytest.mark.parametrize("chunk", [23, 64, 101])
def test_values_that_straddle_chunks_are_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(rstream, "_CHUNK", chunk)
    for compress in ("gzip", "none"):
        (read,) = rdata.plates(saved(tmp_path, plate(), compress=compress))
        np.testing.assert_array_equal(read.counts.toarray(), COUNTS.T)
        assert list(read.annotation.index) == WELLS


def test_ascii_tokens_that_straddle_chunks_are_read_whole(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = shared / "data" / "rdata" / "Exp_ascii.RData"
    whole = [(int(read.counts.sum()), list(read.genes)) for read in rdata.plates(file)]
    monkeypatch.setattr(rstream, "_CHUNK", 997)
    assert [(int(read.counts.sum()), list(read.genes)) for read in rdata.plates(file)] == whole


def test_integer_matrices_give_int32(tmp_path: Path) -> None:
    (read,) = rdata.plates(saved(tmp_path, plate(matrix([[1, 0], [0, 0], [0, 2]], int))))
    assert read.counts.dtype == np.int32
    np.testing.assert_array_equal(read.counts.toarray(), [[1, 0, 0], [0, 0, 2]])


@pytest.mark.parametrize(
    ("value", "dtype", "shown"),
    [(2.5, float, "2.5"), (-3, int, "-3"), (1e300, float, "1e"), (np.nan, float, "NA"), (-(2**31), int, "NA")],
)
def test_impossible_counts_are_refused_by_plate_gene_and_well(
    tmp_path: Path, value: float, dtype: type, shown: str
) -> None:
    file = saved(tmp_path, plate(matrix([[1, 0], [0, value], [0, 2]], dtype)))
    with pytest.raises(DataError, match=f"plate P1, gene B,grch38_2, well P1_002: a count is {shown}"):
        list(rdata.plates(file))


def test_negative_zeros_are_zeros(tmp_path: Path) -> None:
    (read,) = rdata.plates(saved(tmp_path, plate(matrix([[-0.0, 1], [0, 0], [0, 2]]))))
    assert read.counts.nnz == 2


def test_plates_come_one_at_a_time_without_a_dense_copy(tmp_path: Path) -> None:
    genes, wells = [f"G{i}" for i in range(4_000)], [f"P1_{i}" for i in range(1_000)]
    dense = np.where(np.arange(4_000 * 1_000) % 50 == 0, 3.0, 0.0).reshape(4_000, 1_000)  # 32 MB
    content = plate(Matrix(genes, wells, [dense]), annotation(wells=wells))
    rwrite.save(tmp_path / "Exp.RData", {"Exp": {"b": {"P1": content}, "c": {"P1": content}}})
    tracemalloc.start()
    n = sum(int(read.counts.nnz) for read in rdata.plates(tmp_path / "Exp.RData"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n == 2 * 80_000
    assert peak < 32e6  # the dense matrix alone; the thread that reads ahead may hold a chunk or two of 4 MB


def test_a_matrix_in_a_wrapper_is_a_matrix(tmp_path: Path) -> None:
    attributes = {"dim": np.array([3, 2]), "dimnames": [text(*GENES), text(*WELLS)]}
    found = x_of(tmp_path, altrep("wrap_real", dotted(COUNTS.T.ravel(), np.array([0, 0])), attributes))
    pd.testing.assert_frame_equal(found, pd.DataFrame(COUNTS, GENES, WELLS))


@pytest.mark.parametrize(
    "state", [dotted(np.array([5, rwrite.NA_INTEGER]), np.array([0])), lambda w: w.item([np.array([5.0, np.nan])])]
)
def test_deferred_strings_are_printed(tmp_path: Path, state: Write) -> None:
    assert list(x_of(tmp_path, altrep("deferred_string", state))) == ["5", None]


def test_compact_real_sequences_are_written_out(tmp_path: Path) -> None:
    found = x_of(tmp_path, altrep("compact_realseq", lambda w: w.item(np.array([3.0, 10.0, -1.0]))))
    np.testing.assert_array_equal(found, [10.0, 9.0, 8.0])


def test_an_unknown_stored_rule_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'mmap_real': save a plain copy"):
        x_of(tmp_path, altrep("mmap_real", lambda w: w.item(None)))


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (1e5, "1e+05"),
        (123456.0, "123456"),
        (0.1, "0.1"),
        (1e-4, "1e-04"),
        (0.0001234, "0.0001234"),
        (1 / 3, "0.333333333333333"),
        (100.0, "100"),
        (-1.5, "-1.5"),
        (-0.0, "0"),
        (1e15, "1e+15"),
        (float("-inf"), "-Inf"),
        (float("nan"), None),
    ],
)
def test_doubles_print_as_in_r(value: float, printed: str | None) -> None:
    assert print_double(value) == printed


def test_strings_follow_their_own_encoding_then_the_one_of_the_file(tmp_path: Path) -> None:
    latin1, utf8, native = words(9 | 4 << 12, 1), words(9 | 8 << 12, 2), words(9, 1)

    def write(writer: Writer) -> None:
        writer._write(words(16, 3) + latin1 + b"\xb5" + utf8 + b"\xc2\xb5" + native + b"\x80")

    assert list(x_of(tmp_path, write, encoding=b"\6CP1252")) == ["µ", "µ", "€"]
    with pytest.raises(DataError, match="not utf-8 before byte"):
        x_of(tmp_path, write)


def test_environments_pointers_and_references_are_passed_over(tmp_path: Path) -> None:
    def write(writer: Writer) -> None:
        environment, pointer = words(4, 0, 242, 254, 254, 254), words(22, 254, 254)
        writer._write(words(19, 4) + environment + pointer + words(249, 0, 1))
        writer.text("stats")
        writer._write(words(3 << 8 | 255))  # the pointer again: x and the environment come before it

    kinds = [item.kind for item in x_of(tmp_path, write)]
    assert kinds == ["environment", "external pointer", "environment", "external pointer"]


def test_ascii_escapes_missing_values_and_hexadecimal_doubles_are_read(tmp_path: Path) -> None:
    strings = ["16", "3", "262153", "6", r"a\040\n\\\"b", "262153", "0", "", "9", "-1"]
    doubles = ["14", "6", "NA", "NaN", "Inf", "-Inf", "1.5", "0x1.8p+1"]
    lines = ["RDA2", "A", "2", "262658", "131840", "1026", "1", "9", "1", "x", "19", "4"]
    lines += [*strings, *doubles, "13", "2", "NA", "7", "24", "2", "0f", "ff", "254", ""]
    (tmp_path / "a.RData").write_text("\n".join(lines))
    found = rdata.objects(tmp_path / "a.RData")["x"]
    assert list(found[0]) == ['a \n\\"b', "", None]
    np.testing.assert_array_equal(found[1], [np.nan, np.nan, np.inf, -np.inf, 1.5, 3.0])
    assert list(found[2]) == [pd.NA, 7]
    assert list(found[3]) == [15, 255]


def test_only_the_objects_asked_for_are_returned(tmp_path: Path) -> None:
    frame = pd.DataFrame({"gene": ["A", None], "n": [1.5, np.nan], "flag": [True, False]})
    rwrite.save(tmp_path / "g.RData", {"a": frame, "b": frame, "c": np.array([1])})
    found = rdata.objects(tmp_path / "g.RData", ["b"])
    assert list(found) == ["b"]
    pd.testing.assert_frame_equal(found["b"], frame)
    with pytest.raises(DataError, match="has no object d, only a"):
        rdata.objects(tmp_path / "g.RData", ["a", "d"])


def test_names_times_and_matrices_keep_their_meaning(tmp_path: Path) -> None:
    clock = {"class": text("POSIXct", "POSIXt"), "tzone": text("UTC")}
    content = {
        "named": Vector(np.array([1, 2]), {"names": text("p", "q")}),
        "time": Vector(np.array([0.25, np.nan]), clock),
        "matrix": Vector(np.array([1.0, 2, 3, 4]), {"dim": np.array([2, 2])}),
    }
    rwrite.save(tmp_path / "n.RData", content)
    found = rdata.objects(tmp_path / "n.RData")
    assert found["named"].to_dict() == {"p": 1, "q": 2}
    assert found["time"][0] == np.datetime64("1970-01-01T00:00:00.25")
    assert np.isnat(found["time"][1])
    np.testing.assert_array_equal(found["matrix"], [[1, 3], [2, 4]])


@pytest.mark.parametrize("compress", ["gzip", "bzip2", "xz", "none"])
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, compress: str) -> None:
    file = saved(tmp_path, plate(), compress=compress)
    whole = file.read_bytes()
    for end in [*range(0, len(whole), 17), len(whole) - 1]:
        file.write_bytes(whole[:end])
        with pytest.raises(DataError, match=r"Exp\.RData"):
            list(rdata.plates(file))


def test_a_damaged_gzip_file_is_refused_with_position_and_advice(tmp_path: Path) -> None:
    file = saved(tmp_path, plate())
    raw = bytearray(file.read_bytes())
    raw[-6] ^= 1  # in the checksum at the end
    file.write_bytes(raw)
    with pytest.raises(DataError, match=r"cannot be decompressed after byte \d+ .* fetch it again"):
        list(rdata.plates(file))


def test_any_flipped_byte_gives_data_or_one_of_our_errors(tmp_path: Path) -> None:
    rng, file, refused = np.random.default_rng(5), saved(tmp_path, plate(), compress="none"), 0
    whole = file.read_bytes()
    for at in rng.choice(len(whole), 200):
        raw = bytearray(whole)
        raw[at] = rng.integers(256)
        file.write_bytes(raw)
        try:
            list(rdata.plates(file))
        except PbdbError:
            refused += 1
    assert refused > 50


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.rds").write_bytes(gzip.compress(b"X\n\0\0\0\3"))
    with pytest.raises(DataError, match="not an RData file"):
        rdata.objects(tmp_path / "x.rds")
    with pytest.raises(SourceError, match="cannot be read"):
        rdata.objects(tmp_path / "absent.RData")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "holds a plate without UMI.counts and Annotation"),
        ({"UMI.counts": np.zeros(3)}, "holds a plate without UMI.counts and Annotation"),
        (plate(frame=annotation("P2")), "listed as 'P1' is annotated as plate_barcode 'P2'"),
        (plate(frame=annotation().drop(columns="batch_id")), "needs one batch_id"),
        (plate(np.zeros(6)), "not a matrix with a name"),
        (plate(["a"]), "holds no numbers but R type list"),
        (plate(Vector(COUNTS.ravel(), {"dim": np.array([3, 2]), "dimnames": text("A", "B")})), "P1 is malformed"),
    ],
)
def test_another_structure_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(rdata.plates(saved(tmp_path, content)))


def test_a_list_with_more_names_than_plates_is_refused(tmp_path: Path) -> None:
    def write(writer: Writer) -> None:
        writer._write(words(19, 1))
        writer._list([plate()], 1, {"names": text("P1", "P2")})

    with pytest.raises(DataError, match="malformed"):
        x_of(tmp_path, write)
    with pytest.raises(DataError, match="listed as 'P2' is annotated as plate_barcode ''"):
        list(rdata.plates(tmp_path / "x.RData", "x"))


def test_a_file_without_the_object_is_refused(tmp_path: Path) -> None:
    rwrite.save(tmp_path / "o.RData", {"other": None})
    with pytest.raises(DataError, match="has no object Exp, only other"):
        list(rdata.plates(tmp_path / "o.RData"))


def test_giving_up_early_leaves_no_file_open(tmp_path: Path) -> None:
    stream = rdata.plates(saved(tmp_path, plate()))
    assert next(stream).plate == "P1"
    stream.close()
    with pytest.raises(StopIteration):
        next(stream)
