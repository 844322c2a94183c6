"""What manifest.json must look like before anything is done with it: kinds of values, plain paths, no way out."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NotRequired, TypeAlias, TypedDict

from pbdb.common.rows import Row


class FileFacts(TypedDict):
    """A file: its path in the snapshot, size and hash; of Parquet also rows and the hash of its columns."""

    path: str
    bytes: int
    sha256: str
    rows: NotRequired[int]
    schema: NotRequired[str]


class SchemaFacts(TypedDict):
    """Revision of the tables, and fingerprint of the views."""

    revision: str | None
    views: str


class DuckdbFacts(TypedDict):
    """The DuckDB file, the hash of what it defines, and the rows of its tables."""

    path: str
    schema: str
    tables: dict[str, int]


class Manifest(TypedDict):
    """What manifest.json says; of datasets, fits and the like a row each, as the database gave it."""

    format: int
    release: str
    created_at: str
    pbdb_version: str
    fingerprint: NotRequired[str]
    schema: SchemaFacts
    is_complete: bool
    included_by_name: list[str]
    left_out: list[str]
    layouts: list[str]
    datasets: list[Row]
    vocabularies: list[Row]
    genes: Row
    fits: list[Row]
    matches: list[Row]
    agreements: list[Row]
    duckdb: NotRequired[DuckdbFacts]
    files: NotRequired[list[FileFacts]]


TEXT, MAYBE_TEXT, NUMBER, COUNT, YES_NO = "text", "text or null", "number", "whole number", "true or false"
KINDS: Mapping[str, tuple[type, ...]] = {
    TEXT: (str,),
    MAYBE_TEXT: (str, type(None)),
    NUMBER: (int, float),
    COUNT: (int,),
    YES_NO: (bool,),
}
Shape: TypeAlias = "str | list[Shape] | Mapping[str, Shape]"
ANY_FACTS: Shape = {}
# A list stands for any number of its one element, a mapping for an object with at least these keys.
SHAPE: Mapping[str, Shape] = {
    "format": COUNT,
    "release": TEXT,
    "created_at": TEXT,
    "pbdb_version": TEXT,
    "fingerprint": TEXT,
    "schema": {"revision": TEXT, "views": TEXT},
    "included_by_name": [TEXT],
    "left_out": [TEXT],
    "layouts": [TEXT],
    "datasets": [{"dataset": TEXT, "title": TEXT, "release": TEXT, "license": MAYBE_TEXT, "citation": MAYBE_TEXT}],
    "vocabularies": [{"kind": TEXT, "release": TEXT, "sha256": MAYBE_TEXT, "is_current": YES_NO}],
    "genes": ANY_FACTS,
    "fits": [{"fit_id": COUNT, "dataset": TEXT, "context": TEXT, "stratum": MAYBE_TEXT, "method": TEXT, "mode": TEXT}],
    "matches": [{"inchikey_level": TEXT, "time_tolerance_h": NUMBER}],
    "agreements": [{"parameters": ANY_FACTS}],
    "duckdb": {"schema": TEXT},
    "files": [{"path": TEXT, "bytes": COUNT, "sha256": TEXT}],
}
OF_PARQUET = {"rows": COUNT, "schema": TEXT}
PARQUET = re.compile(
    r"dictionary\.parquet|(core|view)/\w+\.parquet"
    r"|(effect|further_effect|effect_long)/dataset=[^/=]+/context=[^/=]+/\w+\.parquet"
)
DEEPEST = 20


def faults(content: object) -> Iterator[str]:
    """What is wrong with a manifest, one phrase for each."""
    yield from _unlike(content, SHAPE, "it")
    yield from _odd_texts(content)
    if isinstance(content, dict) and not list(_unlike(content, {"files": SHAPE["files"]}, "it")):
        yield from _odd_files(content["files"])
    if isinstance(content, dict) and not list(_unlike(content, {"duckdb": SHAPE["duckdb"]}, "it")):
        yield from _odd_counts(content["duckdb"].get("tables"))


def _unlike(value: object, shape: Shape, where: str) -> Iterator[str]:
    if isinstance(shape, str):
        if not isinstance(value, KINDS[shape]) or (isinstance(value, bool) and shape != YES_NO):
            yield f"{where} is no {shape}"
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield f"{where} is no list"
        else:
            yield from (fault for item in value for fault in _unlike(item, shape[0], f"an entry of {where}"))
    elif not isinstance(value, dict):
        yield f"{where} is no object"
    else:
        for key, kind in shape.items():
            yield from _unlike(value[key], kind, f"'{key}'") if key in value else [f"{where} has no '{key}'"]


def _odd_texts(value: object, depth: int = 0) -> Iterator[str]:
    """Texts that no file and no terminal takes, and lists in lists without end."""
    if depth > DEEPEST:
        yield f"it is nested more than {DEEPEST} deep"
    elif isinstance(value, str):
        if re.search("[\0\ud800-\udfff]", value):
            yield "a text holds a character that is none"
    elif isinstance(value, (list, dict)):
        items = value if isinstance(value, list) else [*value, *value.values()]
        yield from (fault for item in items for fault in _odd_texts(item, depth + 1))


def _odd_files(files: list[Row]) -> Iterator[str]:
    paths = [file["path"] for file in files]
    yield from (f"the path {path!r} does not stay in the folder" for path in paths if not is_inside(path))
    yield from ["it names a file twice"] if len(set(paths)) < len(paths) else []
    for file in files:
        if not re.fullmatch("[0-9a-f]{64}", file["sha256"]):
            yield f"the hash of {file['path']!r} is no SHA-256"
        if file["bytes"] < 0:
            yield f"the size of {file['path']!r} is none"
        if file["path"].endswith(".parquet"):
            yield from _unlike(file, OF_PARQUET, repr(file["path"]))
            yield from [] if PARQUET.fullmatch(file["path"]) else [f"{file['path']!r} is no file of a snapshot"]


def _odd_counts(tables: object) -> Iterator[str]:
    if not isinstance(tables, dict) or not all(isinstance(count, int) for count in tables.values()):
        yield "'tables' are no numbers of rows"


def is_inside(path: str) -> bool:
    """Whether a path is a plain one below the folder: relative, without `..`, backslash or what cannot be seen."""
    is_plain = path.isprintable() and not set(path) & set("\\*?")
    parts = path.split("/")
    return is_plain and str(PurePosixPath(path)) == path and not path.startswith("/") and not {".", ".."} & set(parts)


def way_out(folder: Path) -> Path | None:
    """The first thing in a folder that is neither file nor folder, or a link that leads out of it."""
    root = folder.resolve()
    for entry in _entries(folder):
        if entry.is_symlink():
            target = Path(entry.path).resolve()
            if not target.is_relative_to(root):
                return Path(entry.path)
        if not entry.is_dir(follow_symlinks=True) and not stat.S_ISREG(_mode(entry)):
            return Path(entry.path)
    return None


def _entries(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(entry.path)


def _mode(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_mode
    except OSError:  # a link that leads nowhere, or in a circle
        return 0
