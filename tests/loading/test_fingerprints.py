"""A stage runs again when a line of the code that decides its result changes, and only then."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import made
import pytest
from loads import query

from pbdb.common import hashing
from pbdb.common.settings import Settings
from pbdb.effects import dataset_fits
from pbdb.loading import dataset_load
from pbdb.samples.pseudobulk import run as pooling

# What decided code imports and what yet decides no value: sentences, places, and what only carries or names things.
DECIDES_NOTHING = {
    "common.errors",
    "common.hashing",
    "common.output_files",
    "common.progress",
    "common.rows",
    "common.settings",
    "common.tasks",
    "database.copy_text",
    "identity.vocabulary.genes",
    "sources.old_names",
}


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the code whose bytes are taken for those of pbdb."""
    copy = tmp_path / "code"
    shutil.copytree(hashing.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(hashing, "PACKAGE", copy)
    return copy


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return made.write(tmp_path / "release")


def change(path: Path) -> None:
    """Change a line."""
    path.write_text(path.read_text() + "# changed\n")


def ran(settings: Settings, release: Path) -> list[str]:
    """Stages a load runs, by the ledger."""
    newest = "SELECT coalesce(max(etl_run_id), 0) FROM core.etl_run"
    ((before,),) = query(settings, newest)
    made.load(settings, release)
    rows = query(settings, "SELECT stage FROM core.etl_run WHERE etl_run_id > :n ORDER BY etl_run_id", n=before)
    return [stage for (stage,) in rows]


def test_a_changed_line_runs_the_stages_it_decides_and_no_other(database: Settings, release: Path, code: Path) -> None:
    everything = ["extract", "transform", "validate", "effects", "publish", "match"]
    assert ran(database, release) == everything
    assert ran(database, release) == []
    for elsewhere in (
        "exports/shards.py",
        "cli/etl.py",
        "query/signature_search.py",
        "common/errors.py",
        "matches/match_table.py",
    ):
        change(code / elsewhere)
    assert ran(database, release) == []
    change(code / "effects" / "engine" / "fit.py")
    assert ran(database, release) == ["extract", "effects", "publish", "match"]
    assert ran(database, release) == []
    change(code / "samples" / "canonicalise.py")
    assert ran(database, release) == everything


@pytest.mark.parametrize("room", dataset_load.ROOMS_OF_SAMPLES)
def test_every_room_of_the_samples_counts(code: Path, room: str) -> None:
    before = hashing.code_fingerprint(*dataset_load.ROOMS_OF_SAMPLES)
    change(next(iter(sorted((code / room).rglob("*.py"))), code / room))
    assert hashing.code_fingerprint(*dataset_load.ROOMS_OF_SAMPLES) != before


def test_a_fit_kept_by_a_load_that_was_stopped_is_not_taken_for_one_of_changed_code(
    database: Settings, release: Path, code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.load(database, release, until="effects")
    fitted = []
    original = dataset_fits._write
    monkeypatch.setattr(dataset_fits, "_write", lambda *given: fitted.append(1) or original(*given))
    made.load(database, release, until="effects")
    assert not fitted
    change(code / "effects" / "engine" / "moderate.py")
    made.load(database, release, until="effects")
    assert fitted == [1]


def test_renamed_and_new_modules_count(code: Path) -> None:
    before = hashing.code_fingerprint("effects/engine")
    (code / "effects" / "engine" / "new.py").write_text("")
    added = hashing.code_fingerprint("effects/engine")
    (code / "effects" / "engine" / "new.py").rename(code / "effects" / "engine" / "newer.py")
    assert len({before, added, hashing.code_fingerprint("effects/engine")}) == 3


def test_a_room_that_is_not_there_is_no_fingerprint(code: Path) -> None:
    with pytest.raises(FileNotFoundError):
        hashing.code_fingerprint("efects")
    with pytest.raises(FileNotFoundError):
        hashing.code_fingerprint("effects/none.py")


def test_pooled_cells_are_kept_by_the_code_that_pools_them(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(pooling, "code_fingerprint", lambda *rooms: calls.append(rooms) or "same")
    monkeypatch.setattr(pooling, "_version", lambda address: ())
    features: Any = ["g"]
    genes = pooling.Genes(made.np.zeros(1, "i4"), made.np.zeros(1, "u1"))
    file = pooling.CellFile("cells.h5ad", pooling.Pseudobulk(keys=("well",)), features, genes, 1)
    assert file.fingerprint
    assert calls == [("readers", "samples/pseudobulk")]


def _imported(module: str) -> Iterator[str]:
    for node in ast.walk(ast.parse((hashing.PACKAGE / f"{module.replace('.', '/')}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pbdb."):
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                below = name.removeprefix("pbdb.")
                if (hashing.PACKAGE / f"{below.replace('.', '/')}.py").is_file():
                    yield below


@pytest.mark.parametrize(
    ("start", "rooms"),
    [
        ("samples.canonicalise", dataset_load.ROOMS_OF_SAMPLES),
        ("identity.compounds.source_compounds", dataset_load.ROOMS_OF_SAMPLES),
        ("loading.table_rows", dataset_load.ROOMS_OF_SAMPLES),
        ("effects.dataset_fits", dataset_load.ROOMS_OF_EFFECTS + dataset_load.ROOMS_OF_SAMPLES),
    ],
)
def test_rooms_hold_all_code_that_a_result_goes_through(start: str, rooms: tuple[str, ...]) -> None:
    waiting, seen = [start], set()
    while waiting:
        module = waiting.pop()
        if module not in seen and module not in DECIDES_NOTHING:
            seen.add(module)
            waiting.extend(_imported(module))
    paths = {f"{module.replace('.', '/')}.py" for module in seen}
    assert {path for path in paths if not any(path == room or path.startswith(f"{room}/") for room in rooms)} == set()
