"""A snapshot as Iceberg tables: nothing copied, every release readable, refusals in one sentence."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from export_releases import Releases
from loads import environment
from pyiceberg.catalog.sql import SqlCatalog

from pbdb.cli import pbdb
from pbdb.common.errors import SnapshotError
from pbdb.exports.snapshots import iceberg

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pyiceberg", "ignore::ResourceWarning")

LATER = ("core.compound", "core.condition", "core.dataset", "core.effect", "core.fit", "pbdb.condition")


def catalog_of(place: Path) -> Any:
    return SqlCatalog("pbdb", uri=f"sqlite:///{place}/catalog.db", warehouse=f"file://{place}/ware house")


@pytest.fixture(scope="module")
def place(releases: Releases, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a catalog in which both releases are registered."""
    folder = tmp_path_factory.mktemp("iceberg")
    for release in (releases.first, releases.second):
        with pytest.MonkeyPatch.context() as patch:
            if release == releases.second:
                only(patch, *LATER)
            done = iceberg.register(release, f"sqlite:///{folder}/catalog.db", folder / "ware house")
        assert set(done["tables"].values()) == {"added"}
    return folder


def only(patch: pytest.MonkeyPatch, *names: str) -> None:
    """Register some tables of a snapshot: each of the fifty takes a while."""
    every = iceberg._tables
    patch.setattr(iceberg, "_tables", lambda *of: {name: parts for name, parts in every(*of).items() if name in names})


def rows(table: Any, release: str | None = None, **choice: Any) -> Any:
    """Rows of a table now, or in a release."""
    snapshot_id = None if release is None else table.snapshot_by_name(release).snapshot_id
    return table.scan(snapshot_id=snapshot_id, **choice).to_arrow()


def test_tables_are_named_as_in_postgres(place: Path) -> None:
    catalog = catalog_of(place)
    names = {".".join(name) for schema in ("core", "pbdb") for name in catalog.list_tables(schema)}
    assert {"core.condition", "core.effect", "core.split_member", "pbdb.condition", "pbdb.coverage"} <= names


@pytest.mark.parametrize("name", ["core.condition", "core.compound", "core.fit", "pbdb.condition"])
def test_a_table_holds_what_the_files_hold(place: Path, releases: Releases, name: str) -> None:
    folder, table = name.replace("pbdb", "view").split(".")
    table = catalog_of(place).load_table(name)
    for release, root in (("2026.1", releases.first), ("2026.2", releases.second)):
        expected = pq.read_table(root / folder / f"{name.split('.')[1]}.parquet").to_pylist()
        assert rows(table, release).to_pylist() == expected
    assert rows(table).to_pylist() == expected


def test_effects_are_read_with_their_hive_columns_and_pruned_by_them(place: Path, releases: Releases) -> None:
    table = catalog_of(place).load_table("core.effect")
    choice = "dataset = 'second' AND context = 'CVCL:0002'"
    found = rows(table, "2026.1", row_filter=choice).sort_by("effect_id")
    (file,) = (releases.first / "effect" / "dataset=second" / "context=CVCL%3A0002").glob("*.parquet")
    expected = pq.ParquetFile(file).read().sort_by("effect_id")
    assert found["log2_fc"].to_pylist() == expected["log2_fc"].to_pylist()
    assert set(found["context"].to_pylist()) == {"CVCL:0002"}
    assert len(list(table.scan(row_filter=choice).plan_files())) == 1


def test_columns_keep_their_words(place: Path) -> None:
    schema = catalog_of(place).load_table("core.effect").schema()
    assert schema.find_field("dose_um").doc == "Dose in micromolar, computed from dose_fm"


def test_earlier_releases_stay_readable(place: Path) -> None:
    table = catalog_of(place).load_table("core.dataset")
    names = {release: sorted(rows(table, release)["dataset"].to_pylist()) for release in ("2026.1", "2026.2")}
    assert names == {"2026.1": ["first", "second"], "2026.2": ["first", "second", "third"]}
    assert [one.summary["pbdb.release"] for one in table.snapshots()] == ["2026.1", "2026.2"]


def test_splits_go_with_the_release(place: Path, releases: Releases) -> None:
    catalog = catalog_of(place)
    assert rows(catalog.load_table("core.split"), "2026.1")["split"].to_pylist() == ["held"]
    members = rows(catalog.load_table("pbdb.split_member"), "2026.1")
    assert len(members) == 28 and set(members["fold"].to_pylist()) == {"train", "validation", "test"}


def test_an_export_may_register_what_it_wrote(releases: Releases, tmp_path: Path, monkeypatch: Any) -> None:
    only(monkeypatch, "core.effect")
    call = ["export", "snapshot", "--release", "2026.3", "--out", str(tmp_path / "out")]
    call += ["--catalog", f"sqlite:///{tmp_path}/catalog.db", "--json"]
    done = CliRunner().invoke(pbdb, call, env=environment(releases.settings), catch_exceptions=False)
    assert done.exit_code == 0
    table = SqlCatalog("pbdb", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse="").load_table("core.effect")
    assert table.snapshot_by_name("2026.3") is not None


def test_an_export_to_a_url_is_not_registered(releases: Releases) -> None:
    call = ["export", "snapshot", "--release", "x", "--out", "s3://bucket/x", "--catalog", "sqlite:///x.db"]
    done = CliRunner().invoke(pbdb, call, env=environment(releases.settings))
    assert done.exit_code == 2 and "give a folder" in done.stderr


def test_nothing_is_copied(place: Path, releases: Releases) -> None:
    assert list((place / "ware house").rglob("*.parquet")) == []
    table = catalog_of(place).load_table("core.effect")
    (first, *_) = table.scan().plan_files()
    assert first.file.file_path.startswith(f"file://{releases.second}/effect/")


def test_a_release_is_registered_once(place: Path, releases: Releases, monkeypatch: Any) -> None:
    only(monkeypatch, *LATER)
    call = ["snapshot", "catalog", str(releases.first), "--uri", f"sqlite:///{place}/catalog.db"]
    done = CliRunner().invoke(pbdb, [*call, "--warehouse", str(place / "ware house"), "--json"], catch_exceptions=False)
    assert set(json.loads(done.stdout)["tables"].values()) == {"unchanged"}


def test_a_release_of_other_content_is_refused(place: Path, releases: Releases, tmp_path: Path) -> None:
    shutil.copytree(releases.second, tmp_path, copy_function=os.link, dirs_exist_ok=True)
    facts = json.loads((releases.second / "manifest.json").read_text()) | {"fingerprint": "0" * 64}
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "manifest.json").write_text(json.dumps(facts))
    with pytest.raises(SnapshotError, match="a published release never changes"):
        iceberg.register(tmp_path, f"sqlite:///{place}/catalog.db", place / "ware house")


def test_a_catalog_that_cannot_be_used_is_told(releases: Releases, tmp_path: Path) -> None:
    uri = f"sqlite://somebody:secret@/{tmp_path}/none/catalog.db"
    with pytest.raises(SnapshotError, match="cannot be used") as refused:
        iceberg.register(releases.first, uri, tmp_path / "warehouse")
    assert "secret" not in str(refused.value)


def test_without_pyiceberg_the_extra_is_named(releases: Releases, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "pyiceberg.catalog.sql", None)
    with pytest.raises(SnapshotError, match=r"pbdb\[iceberg\]"):
        iceberg.register(releases.first, f"sqlite:///{tmp_path}/catalog.db")
