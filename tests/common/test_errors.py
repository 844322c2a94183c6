"""Errors carry what their sentence names, whichever room raises them."""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plate
import pytest

from pbdb.common import errors
from pbdb.common.settings import Settings
from pbdb.common.units import dose_fm
from pbdb.database.error_messages import translate_errors
from pbdb.effects import plate_run
from pbdb.exports.snapshots import manifest
from pbdb.identity.compounds import user_table
from pbdb.identity.genes import published_tables
from pbdb.matches.match_table import Rule
from pbdb.query import compounds
from pbdb.readers import tables
from pbdb.sources import registry

FACTS = ("file", "line", "column", "value", "dataset")


def draft(folder: Path) -> None:
    (folder / "mine.py").write_text("from pbdb.source import FILL_IN\n\nTITLE = FILL_IN  # the title\n")
    registry.get(str(folder / "mine.py"))


def plates(changes: dict[str, Any]) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        samples = plate.sheet().astype(object)
        samples.loc[9, list(changes)] = list(changes.values())
        plate.write(folder, plate.counts(plate.sheet()), samples)
        plate_run.run(folder / "matrix.csv", folder / "samples.csv", folder / "out.parquet")

    return run


def full_disk(folder: Path) -> None:
    with translate_errors("The load"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def twice(folder: Path) -> None:
    (folder / "counts.csv").write_text("gene,a,a\nx,1,2\n")
    tables.gene_matrix("gene")(folder / "counts.csv")


def fraction(folder: Path) -> None:
    (folder / "counts.csv").write_text("gene,a,b\nx,1,2\ny,3,1.5\n")
    tables.gene_matrix("gene")(folder / "counts.csv")


CASES: dict[str, tuple[Callable[[Path], Any], type[errors.PbdbError], dict[str, Any]]] = {
    "workers": (
        lambda _: Settings.from_environment({"PBDB_WORKERS": "many"}), errors.ConfigError, {"value": "many"},
    ),
    "rule": (lambda _: Rule("name"), errors.ConfigError, {"value": "name"}),
    "inchikey": (lambda _: compounds.by_inchikey(None, "x"), errors.ConfigError, {"value": "x"}),
    "draft": (draft, errors.SourceError, {"file": "mine.py", "line": 3}),
    "source": (lambda _: registry.get("driat"), errors.SourceError, {"value": "driat"}),
    "no plate": (plates({"plate": ""}), errors.DataError, {"file": "samples.csv", "line": 11, "column": "plate"}),
    "dose": (
        plates({"dose_um": "ten"}), errors.DataError, {"file": "samples.csv", "column": "dose_um", "value": "ten"},
    ),
    "twice": (twice, errors.DataError, {"file": "counts.csv", "column": "a"}),
    "fraction": (fraction, errors.DataError, {"file": "counts.csv", "column": "b", "value": 1.5}),
    "unit": (lambda _: dose_fm("1", "ells"), errors.DataError, {"value": "ells"}),
    "compounds": (
        lambda folder: user_table.resolve_file(folder / "x.csv"), errors.DataError, {"file": "x.csv"},
    ),
    "genes": (
        lambda folder: published_tables.read_genes(folder / "x.gtf"), errors.VocabularyError, {"file": "x.gtf"},
    ),
    "snapshot": (manifest.read, errors.SnapshotError, {"file": ""}),
    "disk": (full_disk, errors.DiskError, {}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_errors_carry_the_facts_of_their_sentence(case: str, tmp_path: Path) -> None:
    cause, kind, facts = CASES[case]
    with pytest.raises(kind) as caught:
        cause(tmp_path)
    carried = {name: getattr(caught.value, name) for name in FACTS}
    if carried["file"] is not None:
        carried["file"] = str(Path(carried["file"])).replace(str(tmp_path), "").lstrip("/")
    assert carried == dict.fromkeys(FACTS) | facts
    assert str(caught.value).endswith((".", "?"))


def test_errors_come_back_from_another_process_with_their_facts() -> None:
    error = errors.DataError("The cell is wrong.", file="a.csv", line=3, column="dose", value="x", dataset="d")
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), str(back), vars(back)) == (errors.DataError, "The cell is wrong.", vars(error))
    violation = errors.Violation("Dataset 'd'", "dose is missing", 2, ("s1", "s2"))
    several = pickle.loads(pickle.dumps(errors.InvalidDataError("Dataset 'd'", [violation])))
    assert several.violations == (violation,)
    assert errors.PbdbError("x").value is None
