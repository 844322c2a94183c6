"""What changed between two snapshots is told from their files alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from export_releases import Releases

from pbdb.cli import pbdb
from pbdb.errors import SnapshotError
from pbdb.export import diff


@pytest.fixture(scope="module")
def found(releases: Releases) -> dict[str, Any]:
    return diff.compare(releases.first, releases.second)


def test_a_snapshot_does_not_differ_from_itself(releases: Releases) -> None:
    same = diff.compare(releases.first, releases.first)
    assert same["is_same"] and same["conditions"] == same["effects"] == {}
    told = CliRunner().invoke(pbdb, ["snapshot", "diff", str(releases.first), str(releases.first)])
    assert told.stdout == "No difference.\n"


def test_datasets_are_added_and_changed(found: dict[str, Any]) -> None:
    datasets = found["datasets"]
    assert (datasets["added"], datasets["removed"]) == (["third"], [])
    assert set(datasets["changed"]) == {"second"}
    assert datasets["changed"]["second"]["is_redistributable"] == [False, True]


def test_a_removed_dataset_is_told(releases: Releases) -> None:
    back = diff.compare(releases.second, releases.first)
    assert back["datasets"]["removed"] == ["third"] and back["conditions"]["third"]["removed"]["n"] == 18


def test_compounds_merge_one_way_and_split_the_other(releases: Releases, found: dict[str, Any]) -> None:
    ((into, keys),) = found["compounds"]["merged"].items()
    assert into in keys and len(keys) == 2 and found["compounds"]["split"] == {}


def test_conditions_and_effects_are_counted_by_dataset(found: dict[str, Any]) -> None:
    second = {what: told["n"] for what, told in found["conditions"]["second"].items()}
    assert second == {"added": 4, "removed": 4}
    assert found["conditions"]["third"]["added"]["n"] == 18
    assert {what: told["n"] for what, told in found["effects"]["second"].items()} == {"changed_numbers": 8}
    assert "first" not in found["conditions"] and "first" not in found["effects"]


def test_columns_that_come_and_change_are_told(releases: Releases, tmp_path: Path) -> None:
    after = _with_other_columns(releases.first, tmp_path / "after")
    schema = diff.compare(releases.first, after)["schema"]
    assert schema["columns"] == {"core/assay": {"colour": [None, "string"], "technology": ["string", None]}}
    told = CliRunner().invoke(pbdb, ["snapshot", "diff", str(releases.first), str(after)]).stdout
    assert "column core/assay.colour: None -> string" in told


def _with_other_columns(folder: Path, out: Path) -> Path:
    """The same snapshot by links, with one table of other columns."""
    for path in folder.rglob("*"):
        if path.is_file():
            place = out / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(path)
    file = out / "core" / "assay.parquet"
    table = pq.read_table(file)
    file.unlink()
    pq.write_table(table.drop(["technology"]).append_column("colour", pa.array(["red"] * len(table))), file)
    return out


def test_the_command_tells_lines_and_json(releases: Releases, found: dict[str, Any]) -> None:
    call = ["snapshot", "diff", str(releases.first), str(releases.second)]
    lines = CliRunner().invoke(pbdb, call).stdout.splitlines()
    assert "dataset third: added" in lines and any(line.startswith("compounds merged into") for line in lines)
    assert "effects of second: 8 changed numbers" in lines
    printed = json.loads(CliRunner().invoke(pbdb, [*call, "--json"]).stdout)
    assert printed["conditions"] == found["conditions"]


def test_a_folder_that_is_no_snapshot_is_refused(releases: Releases, tmp_path: Path) -> None:
    with pytest.raises(SnapshotError):
        diff.compare(releases.first, tmp_path)
