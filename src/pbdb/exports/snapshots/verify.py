"""pbdb snapshot verify and reindex: is a snapshot what its manifest says, to the last bit?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pbdb.common.errors import SnapshotError
from pbdb.common.hashing import sha256_of_file
from pbdb.common.progress import Progress, silent
from pbdb.database.export_errors import told
from pbdb.exports.snapshots import duckdb_file, manifest

if TYPE_CHECKING:
    import duckdb


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
    found = [*files(folder, content, progress), *_sums(folder, content), *_extra(folder, content)]
    return [*found, *_duckdb(folder, content, {damage.path for damage in found})]


def files(
    folder: Path, content: dict[str, Any], progress: Progress = silent, below: tuple[str, ...] = ("",)
) -> Iterator[Damage]:
    """Files of the manifest that are missing or changed; below: beginnings of the paths to look at."""
    chosen = [one for one in content["files"] if one["path"].startswith(below)]
    for number, one in enumerate(chosen, start=1):
        path = folder / one["path"]
        if not path.is_file():
            yield Damage(one["path"], "missing")
        elif path.stat().st_size != one["bytes"]:
            yield Damage(one["path"], f"has {path.stat().st_size:,} bytes, not {one['bytes']:,}")
        elif sha256_of_file(path) != one["sha256"]:
            yield Damage(one["path"], "changed: its SHA-256 is another")
        progress("verify", number, len(chosen))


def _sums(folder: Path, content: dict[str, Any]) -> Iterator[Damage]:
    """SHA256SUMS says the same as the manifest, and of the manifest what it is."""
    path = folder / manifest.SUMS
    if not path.is_file():
        yield Damage(manifest.SUMS, "missing")
        return
    found = set(path.read_bytes().decode(errors="replace").splitlines())
    wanted = {f"{one['sha256']}  {one['path']}" for one in content["files"]}
    own = f"{sha256_of_file(folder / manifest.NAME)}  {manifest.NAME}"
    if not wanted <= found or len(found) != len(wanted) + 1:
        yield Damage(manifest.SUMS, "changed: it does not say what the manifest says")
    elif own not in found:
        yield Damage(manifest.NAME, "changed: its SHA-256 is another")


def _extra(folder: Path, content: dict[str, Any]) -> Iterator[Damage]:
    known = {one["path"] for one in content["files"]} | {manifest.NAME, manifest.SUMS, duckdb_file.NAME}
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    yield from (Damage(path, "not in the manifest") for path in sorted(found) if path not in known)


def _duckdb(folder: Path, content: dict[str, Any], damaged: set[str]) -> Iterator[Damage]:
    """Schema and rows of pbdb.duckdb: its bytes may differ from machine to machine, its content may not."""
    if not (folder / duckdb_file.NAME).is_file():
        yield Damage(duckdb_file.NAME, "missing: make it with `pbdb snapshot reindex`")
        return
    wanted = content["duckdb"]
    try:
        with duckdb_file.opened(folder / duckdb_file.NAME) as connection:
            if duckdb_file.schema_hash(connection) != wanted["schema"]:
                yield Damage(duckdb_file.NAME, "changed: its tables and views are others")
            elif duckdb_file.row_counts(connection) != wanted["tables"]:
                yield Damage(duckdb_file.NAME, "changed: a table has another number of rows")
            else:
                yield from _contents(connection, folder, wanted["tables"], damaged)
    except SnapshotError as problem:
        yield Damage(duckdb_file.NAME, str(problem))


def _contents(
    connection: duckdb.DuckDBPyConnection, folder: Path, tables: dict[str, int], damaged: set[str]
) -> Iterator[Damage]:
    """Tables stored inside that do not hold what the Parquet file of their name holds, where that is whole."""
    for table in tables:
        path = f"{table.replace('.', '/')}.parquet"
        if path in damaged or not (folder / path).is_file():
            continue
        kinds = connection.execute(f"SELECT name, type FROM pragma_table_info('{table}')").fetchall()
        casts = ", ".join(f'"{name}"::{kind} AS "{name}"' for name, kind in kinds)
        stored, given = (
            connection.execute(f"SELECT bit_xor(hash(t)), sum(hash(t)) FROM ({query}) t").fetchone()
            for query in (f"SELECT * FROM {table}", f"SELECT {casts} FROM read_parquet('{path}')")
        )
        if stored != given:
            yield Damage(duckdb_file.NAME, f"changed: {table} does not hold what {path} holds")


def reindex(folder: Path) -> None:
    """Make pbdb.duckdb anew from the Parquet files.

    Raises:
        SnapshotError: a Parquet file is damaged, or this version of pbdb would make other views.
    """
    content = manifest.read(folder)
    damage = next(files(folder, content, below=("core/", "dictionary.parquet")), None)
    if damage:
        raise SnapshotError(f"'{folder / damage.path}' is damaged ({damage.problem}): take it anew from where it came.")
    with told(f"'{folder}'"):
        duckdb_file.build(folder, content["files"], content["duckdb"]["schema"])
