"""Small files that are huge, and disks that are full: a sentence, in bounded memory, within seconds."""

from __future__ import annotations

import errno
import gzip
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import pytest

from pbdb.common import output_files
from pbdb.readers import workbook

READ = """
import resource, sys, json
from pathlib import Path
from pbdb import readers
from pbdb.common.errors import PbdbError
from pbdb.readers import matrices
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
path, what = Path(sys.argv[1]), sys.argv[2]
read = {"csv": readers.csv, "counts": readers.counts, "obs": readers.obs, "matrix": readers.gene_matrix("gene")}[what]
try:
    read(path)
except PbdbError as problem:
    print(json.dumps(str(problem)))
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) >> 10)
"""
# Not ru_maxrss: a process inherits there the peak of the one that started it, here of all tests before.


def told(path: Path, what: str) -> tuple[str, int]:
    """The sentence of a reader in a process of its own, and the megabytes it took."""
    command = [sys.executable, "-c", READ, str(path), what]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    *sentence, memory = done.stdout.splitlines()
    assert sentence, done.stdout
    return json.loads(sentence[0]), int(memory)


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gzip file of one line of 400 MB."""
    path = tmp_path_factory.mktemp("bombs") / "line.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(50):
            file.write(b"a" * (8 << 20))
    return path


@pytest.mark.parametrize("what", ["csv", "counts", "matrix"])
def test_a_line_without_end(endless: Path, what: str) -> None:
    sentence, memory = told(endless, what)
    assert "has no end after 64 MB" in sentence and memory < 1000


def test_a_line_without_end_below_the_heading(tmp_path: Path) -> None:
    path = tmp_path / "later.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"a,b\n")
        for _ in range(20):
            file.write(b"x" * (8 << 20))
    sentence, memory = told(path, "csv")
    assert "has no end" in sentence and memory < 1000


def test_rows_without_end(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"a,b\n")
        for _ in range(30):
            file.write(b"1,2\n" * 1_000_000)
    sentence, memory = told(path, "csv")
    assert "more than 5,000,000 rows" in sentence and memory < 2500


@pytest.mark.parametrize("what", ["counts", "obs"])
def test_an_h5ad_that_claims_more_than_it_can_hold(tmp_path: Path, what: str) -> None:
    path = tmp_path / "claims.h5ad"
    with h5py.File(path, "w") as file:
        file.create_dataset("X", (10**9, 1000), "f4", chunks=(1000, 1000), compression="gzip")
        file.create_group("obs").create_dataset("_index", (10**9,), "S8", chunks=(10_000,))
    sentence, memory = told(path, what)
    assert "claims an array" in sentence and memory < 1000


def test_a_sheet_without_ends_of_rows_is_a_sentence_and_not_quadratic(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", b"<row><c/>" * (20 << 20))
    with zipfile.ZipFile(tmp_path / "x.zip") as archive, archive.open("x") as xml, pytest.raises(LookupError):
        list(workbook._whole_rows(xml))
    assert LookupError in workbook.DAMAGED


FULL = """
import resource, signal, sys
from pathlib import Path
import h5py, numpy as np
from contextlib import closing
from pbdb.common.output_files import PatientFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    with closing(PatientFile(Path(sys.argv[1]))) as target:
        try:
            with h5py.File(target, "w") as file:
                made = file.create_dataset("x", (2000, 1000), "f4", chunks=(100, 100), compression="gzip")
                for at in range(0, 2000, 100):
                    made[at : at + 100] = np.random.default_rng(at).random((100, 1000))
                    target.require_written()
        finally:
            target.require_written()
except OSError as problem:
    print(problem.errno)
"""


def test_hdf5_on_a_disk_that_takes_no_more_ends_with_the_systems_error(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path / "x.h5")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{errno.EFBIG}\n", "")


def test_hdf5_written_through_it_is_as_it_should_be(tmp_path: Path) -> None:
    target = output_files.PatientFile(tmp_path / "x.h5")
    with h5py.File(target, "w") as file:
        file["x"] = list(range(1000))
        file.attrs["a"] = "b"
    target.require_written()
    target.close()
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["x"][:].tolist() == list(range(1000)) and file.attrs["a"] == "b"
