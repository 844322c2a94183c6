"""What a reader's sentence names, its error carries: file, line, column and value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pbdb.common.errors import DataError, PbdbError, SourceError
from pbdb.readers import gct, gctx, matrices, rdata, tables
from pbdb.readers.csr import cell_matrix
from pbdb.readers.handwritten import sheets

dense = partial(matrices.read, sparse=False)


@dataclass(frozen=True)
class Fault:
    """A file of this name and content, what reads it, and what the error is about."""

    name: str
    content: str
    read: Callable[[Path], Any]
    kind: type[PbdbError] = DataError
    line: int | None = None
    column: str | None = None
    value: object = None


FAULTS = {
    "two columns of one name": Fault("a.csv", "x,y,x\n1,2,3\n", sheets.read, line=1, column="x"),
    "a row too long": Fault("a.csv", "x,y\n1,2\n1,2,3\n", sheets.read, line=3),
    "an empty sheet": Fault("a.csv", "\n", sheets.read),
    "another format": Fault("a.doc", "x", dense),
    "no number": Fault("a.csv", "gene,s1,s2\ng1,1,2\ng2,1,many\n", dense, column="s2", value="many"),
    "a gene twice": Fault("a.csv", "gene,s1,s2\ng1,1,2\ng1,1,2\n", dense, value="g1"),
    "no GCT": Fault("a.gct", "hello\n2\t2\n", gct.read, value="hello"),
    "a GCT cut short": Fault("a.gct", "#1.2\n2\t1\nName\tDescription\ts1\ng1\tna\t1\n", gct.read),
    "text in a GCT": Fault("a.gct", "#1.2\n1\t1\nName\tDescription\ts1\ng1\tna\tx\n", gct.read, value="g1"),
    "another table": Fault("a.tsv", "a\ta\n1\t2\n", tables.tsv, column="a"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_an_error_carries_what_its_sentence_names(fault: Fault, tmp_path: Path) -> None:
    path = tmp_path / fault.name
    path.write_text(fault.content)
    with pytest.raises(fault.kind) as caught:
        fault.read(path)
    error = caught.value
    assert (error.file, error.line, error.column, error.value) == (fault.name, fault.line, fault.column, fault.value)
    assert fault.name in str(error)
    assert all(str(part) in str(error) for part in (fault.line, fault.column, fault.value) if part is not None)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for read in (sheets.read, dense, gct.read, tables.csv):
        with pytest.raises(SourceError) as caught:
            read(tmp_path / "absent.csv")
        assert caught.value.file == "absent.csv"


def test_what_is_no_rdata_is_named_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "a.RData").write_text("no R")
    with pytest.raises(DataError) as caught:
        next(rdata.plates(tmp_path / "a.RData"))
    assert caught.value.file == str(tmp_path / "a.RData")


def test_cells_that_are_stored_otherwise_say_how(tmp_path: Path) -> None:
    path = tmp_path / "cells.h5ad"
    with h5py.File(path, "w") as file:
        for axis in ("obs", "var"):
            table = file.create_group(axis)
            table.attrs["_index"] = "name"
            table["name"] = np.array([b"a"])
        matrix = file.create_group("X")
        matrix.attrs["encoding-type"] = "csc_matrix"
        for part in ("data", "indices", "indptr"):
            matrix[part] = np.zeros(2, np.int64)
    with pytest.raises(DataError, match="stored as csc_matrix") as caught, cell_matrix(str(path)):
        pass
    assert (caught.value.file, caught.value.value) == (str(path), "csc_matrix")


def test_an_id_that_a_gctx_lacks_is_the_value(tmp_path: Path) -> None:
    path = tmp_path / "a.gctx"
    with h5py.File(path, "w") as file:
        file.create_dataset(gctx.MATRIX, data=np.zeros((1, 2), np.float32))
        for group, ids in (("/0/META/ROW", [b"a", b"b"]), ("/0/META/COL", [b"s"])):
            file.create_dataset(f"{group}/id", data=np.array(ids))
    opened = gctx.Gctx(path)
    with pytest.raises(DataError) as caught:
        list(opened.blocks(["a", "zzz"]))
    assert (caught.value.file, caught.value.value) == ("a.gctx", "zzz")
