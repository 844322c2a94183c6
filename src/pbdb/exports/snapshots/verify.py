"""pbdb snapshot verify and reindex: is a snapshot what its manifest says, to the last bit?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pbdb.common.errors import SnapshotError, first_line
from pbdb.common.hashing import sha256_of_file
from pbdb.common.progress import Progress, silent
from pbdb.common.sql_text import literal, quoted
from pbdb.database.error_messages import exporting
from pbdb.exports.snapshots import duckdb_catalog, duckdb_file, manifest
from pbdb.exports.snapshots.manifest_shape import Manifest

if TYPE_CHECKING:
    import duckdb

SHOWN = 5


class Damage(NamedTuple):
    """A file that is not as the manifest says, and in what."""

    path: str
    problem: str


def verify(folder: Path, progress: Progress = silent) -> list[Damage]:
    """Read every byte of a snapshot; return what is changed, missing or too much.

    Raises:
        SnapshotError: the folder holds no snapshot.
    """
    content = manifest.read(folder)
    damages = [*files(folder, content, progress), *_sums(folder, content), *_extra(folder, content)]
    return [*damages, *_duckdb(folder, content, {damage.path for damage in damages})]


def files(
    folder: Path, content: Manifest, progress: Progress = silent, below: tuple[str, ...] = ("",)
) -> Iterator[Damage]:
    """Files of the manifest that are missing or changed; below: beginnings of the paths to look at."""
    chosen = [file for file in content["files"] if file["path"].startswith(below)]
    for number, file in enumerate(chosen, start=1):
        path = folder / file["path"]
        if not path.is_file():
            yield Damage(file["path"], "missing")
        elif path.stat().st_size != file["bytes"]:
            yield Damage(file["path"], f"has {path.stat().st_size:,} bytes, not {file['bytes']:,}")
        elif sha256_of_file(path) != file["sha256"]:
            yield Damage(file["path"], "changed: its SHA-256 is another")
        progress("verify", number, len(chosen))


def _sums(folder: Path, content: Manifest) -> Iterator[Damage]:
    """SHA256SUMS says the same as the manifest, and of the manifest what it is."""
    path = folder / manifest.SUMS
    if not path.is_file():
        yield Damage(manifest.SUMS, "missing")
        return
    lines = set(path.read_bytes().decode(errors="replace").splitlines())
    wanted = {f"{file['sha256']}  {file['path']}" for file in content["files"]}
    of_manifest = f"{sha256_of_file(folder / manifest.NAME)}  {manifest.NAME}"
    if not wanted <= lines or len(lines) != len(wanted) + 1:
        yield Damage(manifest.SUMS, "changed: it does not say what the manifest says")
    elif of_manifest not in lines:
        yield Damage(manifest.NAME, "changed: its SHA-256 is another")


def _extra(folder: Path, content: Manifest) -> Iterator[Damage]:
    known = {file["path"] for file in content["files"]} | {manifest.NAME, manifest.SUMS, duckdb_file.NAME}
    there = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    yield from (Damage(path, "not in the manifest") for path in sorted(there) if path not in known)


def _duckdb(folder: Path, content: Manifest, damaged: set[str]) -> Iterator[Damage]:
    """Definitions and rows of pbdb.duckdb: its bytes may differ from machine to machine, its content may not.

    Nothing that the file brings is run: its definitions are compared first, with those that this version makes.
    """
    import duckdb

    if not (folder / duckdb_file.NAME).is_file():
        yield Damage(duckdb_file.NAME, "missing: make it with `pbdb snapshot reindex`")
        return
    try:
        with duckdb_file.opened(folder / duckdb_file.NAME) as connection:
            yield from _definitions(connection, content) or _rows(connection, folder, content, damaged)
    except (SnapshotError, duckdb.Error) as problem:
        yield Damage(duckdb_file.NAME, first_line(problem))


def _definitions(connection: duckdb.DuckDBPyConnection, content: Manifest) -> list[Damage]:
    """Tables, views and macros that are others than this version makes."""
    if content["schema"] != manifest.own_schema():
        made_by = f"pbdb {content['pbdb_version']}, whose tables and views are others: verify it with that version"
        return [Damage(duckdb_file.NAME, f"not verified: the snapshot says that it is of {made_by}")]
    others = duckdb_catalog.differences(connection, (file["path"] for file in content["files"]))
    if others:
        return [Damage(duckdb_file.NAME, f"changed: its tables and views are others ({', '.join(others[:SHOWN])})")]
    if duckdb_file.schema_hash(connection) != content["duckdb"]["schema"]:
        return [Damage(duckdb_file.NAME, "changed: its tables and views are others")]
    return []


def _rows(
    connection: duckdb.DuckDBPyConnection, folder: Path, content: Manifest, damaged: set[str]
) -> Iterator[Damage]:
    counts = duckdb_file.row_counts(connection)
    if counts != content["duckdb"]["tables"]:
        yield Damage(duckdb_file.NAME, "changed: a table has another number of rows")
    elif duckdb_file.remembered(connection) != duckdb_file.to_remember(content["files"]):
        yield Damage(duckdb_file.NAME, f"changed: {duckdb_file.MANIFEST_TABLE} does not say what the manifest says")
    else:
        yield from _contents(connection, folder, counts, damaged)


def _contents(
    connection: duckdb.DuckDBPyConnection, folder: Path, tables: Iterable[str], damaged: set[str]
) -> Iterator[Damage]:
    """Tables stored inside that do not hold what the Parquet file of their name holds, where that is whole."""
    for table in tables:
        path = f"{table.replace('.', '/')}.parquet"
        if path in damaged or not (folder / path).is_file():
            continue
        name = quoted(*table.split(".", 1))
        kinds = connection.execute("SELECT name, type FROM pragma_table_info(?)", [name]).fetchall()
        casts = ", ".join(f"{quoted(column)}::{kind} AS {quoted(column)}" for column, kind in kinds)
        stored, filed = (
            connection.execute(f"SELECT bit_xor(hash(t)), sum(hash(t)) FROM ({query}) t").fetchone()
            for query in (f"SELECT * FROM {name}", f"SELECT {casts} FROM read_parquet({literal(path)})")
        )
        if stored != filed:
            yield Damage(duckdb_file.NAME, f"changed: {table} does not hold what {path} holds")


def reindex(folder: Path) -> None:
    """Make pbdb.duckdb anew from the Parquet files.

    Raises:
        SnapshotError: a Parquet file is damaged, or this version of pbdb would make other views.
    """
    content = manifest.read(folder)
    damage = next(files(folder, content, below=("core/", "dictionary.parquet")), None)
    if damage:
        raise SnapshotError(
            f"'{folder / damage.path}' is damaged ({damage.problem}): take it anew from where it came.",
            file=damage.path,
        )
    with exporting(f"'{folder}'"):
        duckdb_file.build(folder, content["files"], content["duckdb"]["schema"])
