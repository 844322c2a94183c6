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
from pbdb.common.errors import SnapshotError
from pbdb.common.hashing import sha256_of_file
from pbdb.exports.snapshots import diff


@pytest.fixture(scope="module")
def found(releases: Releases) -> dict[str, Any]:
    return diff.compare(releases.first, releases.second)


def test_a_snapshot_does_not_differ_from_itself(releases: Releases) -> None:
    same = diff.compare(releases.first, releases.first)
    assert same["is_same"] and same["conditions"] == same["effects"] == {}
    told = CliRunner().invoke(pbdb, ["snapshot", "diff", str(releases.first), str(releases.first)])
    assert told.stdout == "No difference.\n" and "pbdb snapshot verify" in told.stderr


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
    numbers = {"changed_numbers": 8, "changed_p_values": 8, "changed_limma_p_values": 8}
    assert {what: told["n"] for what, told in found["effects"]["second"].items()} == numbers
    assert "first" not in found["conditions"] and "first" not in found["effects"]


@pytest.mark.parametrize(
    ("column", "told"), [("neg_log10_p", "p_values"), ("neg_log10_p_adj_limma", "limma_p_values"), ("se", "numbers")]
)
def test_p_values_of_counts_and_those_of_limma_are_compared_each(
    releases: Releases, tmp_path: Path, column: str, told: str
) -> None:
    after = _linked(releases.first, tmp_path / "after")
    path, table = _effects_of(after, "first")
    doubled = [None if row is None else [2 * value for value in row] for row in table[column].to_pylist()]
    assert any(doubled)
    at = table.schema.get_field_index(column)
    _write(after, path, table.set_column(at, table.schema.field(at), pa.array(doubled, table.schema.field(at).type)))
    found = diff.compare(releases.first, after)["effects"]["first"]
    assert {what: told["n"] for what, told in found.items()} == {f"changed_{told}": sum(map(bool, doubled))}


def test_where_counts_came_to_be_tested_limmas_p_values_did_not_change(releases: Releases, tmp_path: Path) -> None:
    """An effect of before has limma's p values as its only ones, and no columns for others."""
    before = _linked(releases.first, tmp_path / "before")
    path, table = _effects_of(before, "first")
    for name in ("neg_log10_p", "neg_log10_p_adj"):
        limma = name + "_limma"
        table = table.set_column(table.schema.get_field_index(name), name, table[limma]).drop([limma])
    _write(before, path, table)
    found = diff.compare(before, releases.first)["effects"]["first"]
    assert set(found) == {"changed_p_values"} and found["changed_p_values"]["n"] > 0


def _effects_of(folder: Path, dataset: str) -> tuple[str, pa.Table]:
    """The first file of a dataset's effects, and its rows."""
    path = min(path for path in folder.glob(f"effect/dataset={dataset}/**/*.parquet"))
    return str(path.relative_to(folder)), pq.ParquetFile(path).read()


def test_columns_that_come_and_change_are_told(releases: Releases, tmp_path: Path) -> None:
    after = _with_other_columns(releases.first, tmp_path / "after")
    schema = diff.compare(releases.first, after)["schema"]
    assert schema["columns"] == {"core/assay": {"colour": [None, "string"], "technology": ["string", None]}}
    told = CliRunner().invoke(pbdb, ["snapshot", "diff", str(releases.first), str(after)]).stdout
    assert "column core/assay.colour: None -> string" in told


def _linked(folder: Path, out: Path) -> Path:
    """The same snapshot by hard links: others lead out of it, which is refused."""
    for path in folder.rglob("*"):
        if path.is_file():
            place = out / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.hardlink_to(path)
    return out


def _write(folder: Path, path: str, table: pa.Table) -> None:
    """Write a table over a link, as the manifest then says."""
    (folder / path).unlink()
    pq.write_table(table, folder / path)
    facts = {"sha256": sha256_of_file(folder / path), "bytes": (folder / path).stat().st_size, "rows": len(table)}
    _tell(folder, {path: facts})


def _tell(folder: Path, changed: dict[str, dict[str, Any]], **more: dict[str, Any]) -> None:
    """Write other facts of files into the manifest, and one more row of its lists."""
    content = json.loads((folder / "manifest.json").read_text())
    for file in content["files"]:
        file.update(changed.get(file["path"], {}))
    for name, row in more.items():
        content[name].append(row)
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").write_text(json.dumps(content))


def _with_other_columns(folder: Path, out: Path) -> Path:
    """The same snapshot, with one table of other columns."""
    table = pq.read_table(folder / "core" / "assay.parquet")
    other = table.drop(["technology"]).append_column("colour", pa.array(["red"] * len(table)))
    _write(_linked(folder, out), "core/assay.parquet", other)
    return out


def test_splits_tables_samples_and_agreements_are_compared(releases: Releases, tmp_path: Path) -> None:
    split = {name: pq.read_table(releases.first / "core" / f"{name}.parquet") for name in ("split", "split_member")}
    after = _linked(releases.first, tmp_path / "after")
    for name, table in split.items():
        _write(after, f"core/{name}.parquet", table.slice(0, 0))
    (after / "samples").mkdir()
    (after / "samples/first.h5ad").touch()
    _tell(
        after,
        {path: {"sha256": "0" * 64} for path in ("view/effect.parquet", "CITATION.cff")},
        files={"path": "samples/first.h5ad", "sha256": "0" * 64, "bytes": 0},
        agreements={"parameters_id": 1, "parameters": {"peers": 128}},
        matches={"inchikey_level": "skeleton", "time_tolerance_h": 0.0, "n": 1},
    )
    told = CliRunner().invoke(pbdb, ["snapshot", "diff", str(releases.first), str(after)]).stdout.splitlines()
    n = len(split["split_member"])
    assert set(told) == {
        "split held: removed", "rows of split: 1 -> 0", f"rows of split_member: {n} -> 0", "samples/first.h5ad: added",
        'agreement with {"peers": 128}: added', "matches by skeleton, within 0 h: added",
        "CITATION.cff: changed", "view/: 1 files changed",
    }  # fmt: skip
    members = diff.compare(after, releases.first)["splits"]
    assert members["added"] == ["held"] and n > 0


@pytest.mark.parametrize("filled", [False, True], ids=["emptied", "same size"])
def test_a_damaged_file_is_named(releases: Releases, tmp_path: Path, filled: bool) -> None:
    paths = [file["path"] for file in json.loads((releases.first / "manifest.json").read_text())["files"]]
    for path in (next(path for path in paths if path.startswith("effect/dataset=second")), "core/compound.parquet"):
        after = _linked(releases.first, tmp_path / path.split("/")[0])
        damaged = bytes((after / path).stat().st_size) if filled else b""
        (after / path).unlink()
        (after / path).write_bytes(damaged)
        with pytest.raises(SnapshotError, match=rf"{path}' is missing or damaged: `pbdb snapshot verify "):
            diff.compare(after, releases.second)


@pytest.mark.parametrize("command", ["verify", "load"])
def test_an_address_is_refused(command: str) -> None:
    done = CliRunner().invoke(pbdb, ["snapshot", command, "s3://key:secret@bucket/x"])
    assert isinstance(done.exception, SnapshotError)
    assert "begins with s3://: download" in str(done.exception) and "secret" not in str(done.exception)


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
