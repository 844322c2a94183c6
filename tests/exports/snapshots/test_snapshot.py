"""A snapshot is whole or absent, the same for the same database, and nothing that may not be passed on is in it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pyarrow as pa
import pytest
import yaml
from click.testing import CliRunner
from loads import environment
from rows import add_world
from snapshots import OPEN, in_duckdb
from sqlalchemy import text

from pbdb.cli import pbdb
from pbdb.common.errors import PbdbError, SnapshotError
from pbdb.common.hashing import sha256_of_file
from pbdb.common.progress import Silent
from pbdb.common.settings import Settings
from pbdb.database import partitions, tidy
from pbdb.exports.snapshots import build, effects_parquet, manifest, parquet, verify, workspace
from pbdb.exports.snapshots.parquet import Written
from pbdb.server import connect

Shared = tuple[Settings, Path]
CHOICES = build.Choices("2026.1")
EFFECT_161 = "effect/dataset=open_a/context=CVCL%3A0001/151.parquet"


def export(settings: Settings, folder: Path, **choices: Any) -> dict[str, Any]:
    return build.export(settings, str(folder), build.Choices("2026.1", **choices))


def parquet_hashes(folder: Path) -> dict[str, str]:
    return {one["path"]: one["sha256"] for one in manifest.read(folder)["files"] if one["path"].endswith(".parquet")}


def test_a_snapshot_is_what_its_manifest_says(shared_release: Shared) -> None:
    assert verify.verify(shared_release[1]) == []


def test_the_manifest_tells_release_terms_fits_matches_and_files(shared_release: Shared) -> None:
    told = manifest.read(shared_release[1])
    assert (told["release"], told["left_out"], told["is_complete"]) == ("2026.1", ["closed"], False)
    assert [(one["dataset"], one["doi"], one["n_effects"]) for one in told["datasets"]] == [
        ("open_a", None, 4),
        ("open_b", "10.1/b", 4),
    ]
    assert {(one["dataset"], one["mode"], one["n_genes"]) for one in told["fits"]} == {
        (name, mode, 3) for name in ("open_a", "open_b") for mode in ("pooled", "replicate")
    }
    assert told["matches"] == [{"inchikey_level": "inchikey", "time_tolerance_h": 0.0, "n": 1}]
    assert (told["genes"]["n"], told["genes"]["n_tested"]) == (4, 3)
    assert all(one["bytes"] and len(one["sha256"]) == 64 for one in told["files"])


def test_sha256sum_alone_verifies(shared_release: Shared) -> None:
    done = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=shared_release[1], check=False)
    assert done.returncode == 0


def test_nothing_of_a_closed_dataset_is_in_it(shared_release: Shared) -> None:
    folder = shared_release[1]
    data = b"".join(
        path.read_bytes() for path in folder.rglob("*") if path.suffix not in ("", ".json") and path.is_file()
    )
    for trace in (b"drug 300", b"moa of 300", b"target of 300", b"KEY300", b"plate 300"):
        assert trace not in data
    assert in_duckdb(folder, "SELECT DISTINCT dataset FROM core.effect ORDER BY 1") == [
        {"dataset": "open_a"},
        {"dataset": "open_b"},
    ]


def test_a_closed_dataset_comes_by_name_only_and_the_manifest_says_so(shared_release: Shared, tmp_path: Path) -> None:
    told = export(shared_release[0], tmp_path / "all", include=["closed"])
    assert (told["included_by_name"], told["left_out"], told["is_complete"]) == (["closed"], [], True)
    assert "Not to be passed on" in (tmp_path / "all" / "README.md").read_text()
    with pytest.raises(SnapshotError, match="'nobody' is not loaded"):
        export(shared_release[0], tmp_path / "none", include=["nobody"])


def test_no_path_and_no_address_of_the_machine_is_told(shared_release: Shared) -> None:
    settings, folder = shared_release
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix in (".json", ".md", ".cff", ""):
            content = path.read_text()
            assert str(folder.parent) not in content and str(settings.home) not in content and "user=" not in content


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated")
def test_the_reference_validator_takes_the_croissant(shared_release: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    monkeypatch.chdir(shared_release[1])
    dataset = mlcroissant.Dataset(jsonld="croissant.json")
    assert dataset.metadata.issues.errors == set()
    records = list(dataset.records("records/core/dataset"))
    assert {record["records/core/dataset/dataset"] for record in records} == {b"open_a", b"open_b"}


def test_the_citation_names_every_dataset(shared_release: Shared) -> None:
    cited = yaml.safe_load((shared_release[1] / "CITATION.cff").read_text())
    assert [one["title"] for one in cited["references"]] == ["open_a", "open_b"]
    assert cited["references"][1]["doi"] == "10.1/b" and cited["version"] == "2026.1"


def fail_at(monkeypatch: pytest.MonkeyPatch, path: str, problem: BaseException) -> None:
    real = parquet.Table.add

    def add(table: parquet.Table, rows: Any) -> None:
        if table.name == path:
            raise problem
        real(table, rows)

    monkeypatch.setattr(parquet.Table, "add", add)


def test_stopped_midway_the_next_run_goes_on_and_makes_anew_what_changed(
    worlds: Settings, shared_release: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, unfinished = tmp_path / "release", tmp_path / "release.unfinished"
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        fail_at(patched, "further_effect/dataset=open_b/context=CVCL%3A0001/252.parquet", KeyboardInterrupt())
        export(worlds, out)
    assert not out.exists() and not (unfinished / "manifest.json").exists() and not list(unfinished.rglob("*.part"))
    with connect.engine(worlds).begin() as connection:
        connection.execute(text("UPDATE core.effect SET log2_fc = '{7,7,7}' WHERE effect_id = 161"))
    kept = unfinished / "further_effect/dataset=open_a/context=CVCL%3A0001/152.parquet"
    number = kept.stat().st_ino
    damaged = unfinished / "effect/dataset=open_b/context=CVCL%3A0001/251.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    export(worlds, out)
    assert (out / kept.relative_to(unfinished)).stat().st_ino == number
    assert not unfinished.exists() and verify.verify(out) == []
    found, wanted = parquet_hashes(out), parquet_hashes(shared_release[1])
    assert {path for path in found if found[path] != wanted[path]} == {EFFECT_161}
    assert in_duckdb(out, "SELECT log2_fc FROM core.effect WHERE effect_id = 161") == [{"log2_fc": [7.0, 7.0, 7.0]}]


def test_what_is_done_is_remembered_after_a_line_that_was_not_finished(tmp_path: Path) -> None:
    for path in ("one", "two"):
        (tmp_path / path).write_bytes(b"x")
        workspace.Finished(tmp_path).add("key", Written(path, 1, sha256_of_file(tmp_path / path)))
        with (tmp_path / workspace.STATE).open("a") as state:
            state.write('{"key": "ke')
    known = workspace.Finished(tmp_path)
    assert known.get("one", "key") and known.get("two", "key") and not known.get("two", "other")


def test_what_memory_holds_under_a_null_changes_no_key() -> None:
    fit = effects_parquet.Fit(1, 1, "a", "b", True, 1)
    tables = [
        pa.table(
            {
                "sample_id": pa.Array.from_buffers(
                    pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.array([1, junk]).buffers()[1]]
                )
            }
        )
        for junk in (5, 6)
    ]
    assert effects_parquet.key_of(tables[0], fit) == effects_parquet.key_of(tables[1], fit)
    assert effects_parquet.key_of(tables[0].slice(0, 1), fit) != effects_parquet.key_of(tables[1], fit)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, r"^The disk of '.*' is full: make room and run the command again\.$"),
        (errno.EACCES, r"^'.*' cannot be written or read \(Permission denied\): correct that and run "),
    ],
)
def test_a_disk_that_takes_no_more_is_one_sentence_and_leaves_no_release(
    shared_release: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, sentence: str
) -> None:
    fail_at(monkeypatch, "core/assay.parquet", OSError(number, os.strerror(number)))
    with pytest.raises(SnapshotError, match=sentence):
        export(shared_release[0], tmp_path / "release")
    assert not (tmp_path / "release").exists()


@pytest.mark.parametrize("make", [Path.touch, lambda path: (path / "x").mkdir(parents=True)], ids=["file", "folder"])
def test_what_stands_there_already_is_left_alone(
    shared_release: Shared, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "taken")
    with pytest.raises(SnapshotError, match=r"There is something at '.*taken' already: choose another --out"):
        export(shared_release[0], tmp_path / "taken")


@pytest.mark.parametrize("out", ["{tmp}/file/release", "nothing-of-the-kind://b/release", "/proc/release", "{tmp}/a,b"])
def test_a_place_that_cannot_be_written_is_told_at_once(shared_release: Shared, tmp_path: Path, out: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SnapshotError, match=r"written|comma"):
        build.export(shared_release[0], out.format(tmp=tmp_path), CHOICES)


def test_a_url_gets_the_same_files_with_the_manifest_last(shared_release: Shared) -> None:
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    build.export(shared_release[0], "memory://bucket/release", CHOICES)
    there = {path.removeprefix("/bucket/release/"): memory.cat(path) for path in memory.find("/bucket/release")}
    assert list(memory.store)[-1].endswith("manifest.json") and "UNFINISHED" not in there
    wanted = parquet_hashes(shared_release[1])
    for one in json.loads(there["manifest.json"])["files"]:
        if one["path"].endswith(".parquet"):
            assert one["sha256"] == wanted[one["path"]] and len(there[one["path"]]) == one["bytes"]
    with pytest.raises(SnapshotError, match="There is something at"):
        build.export(shared_release[0], "memory://bucket/release", CHOICES)


class Meddler(Silent):
    """While the export runs adds a dataset, changes effects, retires a generation and tidies, as loads do."""

    tidied: tidy.Tidied | None = None

    def __init__(self, settings: Settings):
        self._settings = settings

    def stage(self, stage: str, message: str) -> None:
        if stage != "tables":
            return
        engine = connect.engine(self._settings)
        with engine.begin() as connection:
            add_world(connection, 500, "late", **OPEN)
            connection.execute(text("UPDATE core.effect SET log2_fc = '{7,7,7}' WHERE log2_fc IS NOT NULL"))
            partitions.retire(connection, 100)
        self.tidied = tidy.tidy(engine)


def test_a_database_that_changes_meanwhile_gives_the_bytes_it_had_and_keeps_its_partitions(
    worlds: Settings, shared_release: Shared, tmp_path: Path
) -> None:
    meddler, choices = Meddler(worlds), build.Choices("2026.1", layouts=(build.ARRAY, build.LONG))
    told = build.export(worlds, str(tmp_path / "release"), choices, meddler)
    assert parquet_hashes(tmp_path / "release") == parquet_hashes(shared_release[1])
    assert told["fingerprint"] == manifest.read(shared_release[1])["fingerprint"]
    assert meddler.tidied is not None and meddler.tidied.dropped == () and meddler.tidied.waiting


def test_samples_come_from_the_cache_as_their_load_left_them(worlds: Settings, tmp_path: Path) -> None:
    with connect.engine(worlds).begin() as connection:
        connection.execute(text("UPDATE core.dataset SET is_redistributable = dataset = 'open_a'"))
        digest = hashlib.sha256(b"matrix").hexdigest()
        change = "UPDATE core.artifact SET kind = 'samples_h5ad', path = 'cache/a.h5ad', sha256 = :d"
        connection.execute(text(f"{change} WHERE dataset = 'open_a'"), {"d": digest})
    with pytest.raises(SnapshotError, match=r"The samples of 'open_a' are not in '.*': load it again"):
        export(worlds, tmp_path / "none", samples=True)
    assert not list((tmp_path / "none.unfinished").rglob("*.parquet")), "it is told after hours of other work"
    worlds.cache.mkdir(parents=True)
    (worlds.cache / "a.h5ad").write_bytes(b"another")
    with pytest.raises(SnapshotError, match="is not as its load left it"):
        export(worlds, tmp_path / "none", samples=True)
    (worlds.cache / "a.h5ad").write_bytes(b"matrix")
    export(worlds, tmp_path / "release", samples=True)
    assert (tmp_path / "release/samples/open_a.h5ad").read_bytes() == b"matrix"


def test_the_readme_of_a_snapshot_opens_it_with_plain_duckdb(
    shared_release: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shared_release[1]
    page = (folder / "README.md").read_text()
    (lines,) = re.findall(r"```sql\n(.*?)```", page, re.S)
    with duckdb.connect() as connection:
        found = connection.execute(lines.replace("path/to/this/folder", str(folder))).fetchall()
        assert len(found) == 4
        assert connection.execute("SELECT * FROM pbdb.snapshot_damage").fetchall() == []
        assert connection.execute("SELECT datasets FROM pbdb.find_compound('saha')").fetchall() == [
            (["open_a", "open_b"],)
        ]
    monkeypatch.chdir(folder)
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    exec(code.replace("path/to/this/folder", "."), told := {})
    told["db"].close()


def test_the_command_exports_and_verifies(shared_release: Shared, tmp_path: Path) -> None:
    out = str(tmp_path / "release")
    run = CliRunner(env=environment(shared_release[0]))
    done = run.invoke(
        pbdb, ["export", "snapshot", "--release", "2026.1", "--out", out, "--json"], catch_exceptions=False
    )
    assert json.loads(done.stdout)["left_out"] == ["closed"]
    done = run.invoke(pbdb, ["snapshot", "verify", out], catch_exceptions=False)
    assert done.exit_code == 0 and "every one of its" in done.stderr
    (tmp_path / "release" / "extra").touch()
    done = run.invoke(pbdb, ["snapshot", "verify", out, "--json"], catch_exceptions=False)
    assert done.exit_code == 1 and json.loads(done.stdout) == [{"path": "extra", "problem": "not in the manifest"}]


def test_an_empty_database_has_nothing_to_export(database: Settings, tmp_path: Path) -> None:
    with pytest.raises(PbdbError, match="holds no dataset that may be passed on"):
        export(database, tmp_path / "release")
    assert not (tmp_path / "release.unfinished").exists()
