"""Large tables as text: any compression and encoding, no quoting, and damaged files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from pbdb.common.errors import DataError, SourceError
from pbdb.readers import plain

TABLE = 'id\tname\tdose\n1\t5"-azido\t010\n2\t"x\t\n3\tNA\t-666\n'


def written(folder: Path, content: bytes) -> Path:
    path = folder / "x.txt"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content", [TABLE.encode(), gzip.compress(TABLE.encode(), mtime=0), TABLE.replace("\n", "\r\n").encode()]
)
def test_every_cell_is_text_and_an_empty_one_missing(tmp_path: Path, content: bytes) -> None:
    found = plain.tsv()(written(tmp_path, content))
    assert found.columns.tolist() == ["id", "name", "dose"]
    assert found["id"].tolist() == ["1", "2", "3"]
    assert found["name"].tolist() == ['5"-azido', '"x', "NA"]
    assert found["dose"].tolist() == ["010", None, "-666"]


def test_another_encoding_may_be_named(tmp_path: Path) -> None:
    path = written(tmp_path, "id\tname\n1\t\xb5M\n".encode("latin-1"))
    assert plain.tsv("latin-1")(path)["name"].tolist() == ["\xb5M"]
    with pytest.raises(DataError, match="damaged or incomplete"):
        plain.tsv()(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"a\ta\n1\t2\n", "has the column 'a' more than once"),
        (b"a\tb\n1\t2\n3\n", "damaged or incomplete"),
        (gzip.compress(TABLE.encode() * 1000, mtime=0)[:-30], "damaged or incomplete"),
    ],
)
def test_a_damaged_table_gives_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        plain.tsv()(written(tmp_path, content))


def test_an_absent_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no file 'y\.txt'"):
        plain.tsv()(tmp_path / "y.txt")
