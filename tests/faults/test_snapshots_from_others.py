"""A snapshot from others is data: nothing in it is run, nothing outside is read, and what is odd is a sentence."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as with_settings
from hypothesis import strategies as st

import pbdb
from pbdb.common.errors import PbdbError, QueryError, SnapshotError
from pbdb.common.settings import Settings
from pbdb.exports.snapshots import diff, duckdb_file, iceberg, manifest, parquet, restore, verify

SECRET = "/etc/passwd"
HOSTILE = {
    "table": """CREATE TABLE core."context; COPY (SELECT 1) TO '{out}' --" (x INTEGER)""",
    "table with a quote": """CREATE TABLE core."x"" FROM core.context; COPY (SELECT 1) TO '{out}' --" (y INTEGER)""",
    "column": """CREATE TABLE core.more ("a""::INTEGER; COPY (SELECT 1) TO '{out}' --" INTEGER)""",
    "schema": """CREATE SCHEMA "x; COPY (SELECT 1) TO '{out}' --" """,
    "view": "CREATE OR REPLACE VIEW context AS SELECT content AS context_name FROM read_text('{secret}')",
    "macro": "CREATE OR REPLACE MACRO p_value(x) AS (SELECT content FROM read_text('{secret}'))",
    "table macro": "CREATE MACRO more() AS TABLE SELECT * FROM read_text('{secret}')",
    "computed column": "CREATE TABLE core.computed (a INTEGER, b INTEGER AS (a + 1))",
    "index": "CREATE INDEX more ON core.context (context_id)",
    "type": "CREATE TYPE mood AS ENUM ('a')",
    "sequence": "CREATE SEQUENCE numbers",
}


def change(folder: Path, statement: str, out: Path) -> None:
    with duckdb.connect(folder / duckdb_file.NAME) as connection:
        connection.execute(f"SET file_search_path = '{folder}'")
        connection.execute(statement.format(out=out, secret=SECRET))


def rewrite(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest as somebody would who wants it to be believed: with its sum."""
    content = json.loads((folder / manifest.NAME).read_text())
    edit(content)
    (folder / manifest.NAME).write_text(json.dumps(content))
    lines = [f"{file['sha256']}  {file['path']}\n" for file in content["files"]]
    digest = hashlib.sha256((folder / manifest.NAME).read_bytes()).hexdigest()
    (folder / manifest.SUMS).write_text("".join([*lines, f"{digest}  {manifest.NAME}\n"]))


def believe(folder: Path) -> None:
    """Let the manifest say of pbdb.duckdb what is in it now."""
    with duckdb.connect(folder / duckdb_file.NAME, read_only=True) as connection:
        connection.execute(f"SET file_search_path = '{folder}'")
        digest = duckdb_file.schema_hash(connection)
        counts = duckdb_file.row_counts(connection)
    rewrite(folder, lambda content: content["duckdb"].update(schema=digest, tables=counts))


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("is_believed", [False, True], ids=["", "and the manifest says so"])
def test_what_a_duckdb_file_brings_is_found_and_not_run(
    folder: Path, tmp_path: Path, what: str, is_believed: bool
) -> None:
    out = tmp_path / "written"
    change(folder, HOSTILE[what], out)
    if is_believed:
        believe(folder)
    (damage,) = verify.verify(folder)
    assert damage.path == duckdb_file.NAME and "tables and views are others" in damage.problem
    with pytest.raises(SnapshotError, match=r"holds other tables or views .* snapshot reindex"):
        pbdb.connect(folder)
    assert not out.exists()
    if not is_believed:
        verify.reindex(folder)
        assert verify.verify(folder) == []


def test_a_snapshot_of_another_version_is_to_be_exported_anew(folder: Path) -> None:
    change(folder, HOSTILE["table macro"].replace("{secret}", "core"), folder)
    rewrite(folder, lambda content: content["schema"].update(views="another"))
    with pytest.raises(SnapshotError, match=r"export the snapshot anew, .* trusted=True") as refusal:
        pbdb.connect(folder)
    assert "reindex" not in str(refusal.value)


def test_a_folder_that_is_trusted_reads_nothing_outside_of_it_either(folder: Path, tmp_path: Path) -> None:
    change(folder, HOSTILE["view"], tmp_path)
    (tmp_path / "beside.csv").write_text("a\n1\n")
    queries = ["SELECT * FROM context", f"SELECT * FROM '{tmp_path}/beside.csv'", "FROM read_text('../beside.csv')"]
    queries += [f"COPY (SELECT 1) TO '{tmp_path}/out'", "INSTALL httpfs", "LOAD spatial"]
    queries += ["SET enable_external_access = true", "SET lock_configuration = false", "FROM glob('/etc/*')"]
    queries += ["FROM read_text('effect/../../beside.csv')", "FROM 'http://127.0.0.1:9/x.parquet'"]
    with pbdb.connect(folder, trusted=True) as opened:
        for query in queries:
            with pytest.raises(QueryError):
                opened.sql(query)
        assert len(opened.sql("SELECT * FROM effect")) > 0 and opened.sql("FROM snapshot_damage").empty
    assert not (tmp_path / "out").exists()


def test_a_log_beside_the_duckdb_file_is_not_read(folder: Path) -> None:
    (folder / "pbdb.duckdb.wal").write_bytes(b"")
    assert {damage.path for damage in verify.verify(folder)} == {"pbdb.duckdb.wal", "pbdb.duckdb"}
    with pytest.raises(SnapshotError, match="remove it"):
        pbdb.connect(folder)


def doors(folder: Path, settings: Settings) -> list[Callable[[], object]]:
    """Everything that takes a snapshot."""
    return [
        lambda: verify.verify(folder),
        lambda: verify.reindex(folder),
        lambda: pbdb.connect(folder).close(),
        lambda: diff.compare(folder, folder),
        lambda: iceberg.register(folder, f"sqlite:///{folder.parent}/c.db", folder.parent / "iceberg"),
        lambda: restore.load(settings, folder),
    ]


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "core/../../x", "a\\b", "", ".", "x\x1b[2J", "a//b", "./a"])
def test_a_path_out_of_the_folder_is_refused_at_every_door(
    shared_release: tuple[Settings, Path], folder: Path, path: str
) -> None:
    rewrite(folder, lambda content: content["files"].append({"path": path, "bytes": 1, "sha256": "0" * 64}))
    for door in doors(folder, shared_release[0]):
        with pytest.raises(SnapshotError, match="does not stay in the folder"):
            door()


@pytest.mark.parametrize("kind", ["link out", "link to a folder", "pipe", "link nowhere", "manifest"])
def test_a_link_out_and_what_is_no_file_are_refused_at_every_door(
    shared_release: tuple[Settings, Path], folder: Path, kind: str
) -> None:
    path = folder / ("manifest.json" if kind == "manifest" else "effect/more")
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.unlink(missing_ok=True)
        outside = folder.parent / "outside.json"
        outside.write_text("{}")
        path.symlink_to({"link to a folder": "/etc", "link nowhere": folder / "none"}.get(kind, outside))
    for door in doors(folder, shared_release[0]):
        with pytest.raises(SnapshotError, match="leads out of the snapshot"):
            door()


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Ways to everything in a manifest, of lists to their first entry."""
    yield way
    items = value.items() if isinstance(value, dict) else list(enumerate(value))[:1] if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*way, key))


def put(content: dict[str, Any], way: tuple[Any, ...], value: Any) -> Any:
    """The content with another value there; the whole of it, where the way is none."""
    if not way:
        return None if value is ... else value
    inner: Any = content
    for key in way[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[way[-1]]
    else:
        inner[way[-1]] = value
    return content


ODD = st.sampled_from(
    [..., None, [], {}, "x", "", -1, 1.5, True, [[]], [None], {"a": 1}, 10**40, "\0", "\ud800", "../x"]
)


@with_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_manifest_of_any_shape_is_taken_or_refused_in_a_sentence(
    shared_release: tuple[Settings, Path], folder: Path, data: st.DataObject
) -> None:
    intact = (shared_release[1] / manifest.NAME).read_text()
    content = json.loads(intact)
    for way in data.draw(st.lists(st.sampled_from(list(places(content))), min_size=1, max_size=2, unique=True)):
        try:
            content = put(content, way, deepcopy(data.draw(ODD)))
        except (KeyError, IndexError, TypeError):
            continue  # the first change took away what the second would change
    (folder / manifest.NAME).write_text(json.dumps(content))
    for door in doors(folder, shared_release[0]):
        try:
            door()
        except PbdbError as problem:
            assert len(str(problem).splitlines()) == 1
    (folder / manifest.NAME).write_text(intact)


@pytest.mark.parametrize(
    "text",
    ["", "[" * 100_000, "null", "{}", '{"format": 1}', '{"format": 2}', "\xff", '{"format": ' + "9" * 5000 + "}"],
)
def test_what_is_no_manifest_is_refused_in_a_sentence(
    shared_release: tuple[Settings, Path], folder: Path, text: str
) -> None:
    (folder / manifest.NAME).write_bytes(text.encode("latin-1"))
    for door in doors(folder, shared_release[0]):
        with pytest.raises(SnapshotError, match=r"is damaged|has format 2"):
            door()


def test_a_huge_manifest_is_not_read(folder: Path) -> None:
    os.truncate(folder / manifest.NAME, 1 << 40)
    with pytest.raises(SnapshotError, match="more than 64 MB"):
        manifest.read(folder)


def test_a_small_file_of_many_rows_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": np.zeros(3_000_000)}), tmp_path / "bomb.parquet", row_group_size=3_000_000)
    with pytest.raises(SnapshotError, match="claims 3,000,000 rows"):
        parquet.require_plausible(tmp_path / "bomb.parquet")
