"""Where a snapshot is made: a folder beside its place, that remembers which files are done, and moves there whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from pbdb.common.errors import SnapshotError, first_line
from pbdb.common.hashing import sha256_of_file
from pbdb.common.settings import Settings
from pbdb.exports.snapshots import manifest
from pbdb.exports.snapshots.manifest_shape import FileFacts
from pbdb.exports.snapshots.parquet import Written

SUFFIX = ".unfinished"
STATE = "finished.jsonl"
MARK = "UNFINISHED"


@dataclass(frozen=True)
class Place:
    """Where a snapshot goes: a folder, or an address that fsspec knows; and the folder in which it is made."""

    address: str
    work: Path
    folder: Path | None

    def require_free(self) -> None:
        """Refuse a place that is taken or cannot be written, before any work.

        Raises:
            SnapshotError: there is something already, or nothing can be written there.
        """
        if self.folder is None:
            _require_free_address(self.address)
        else:
            _require_free_folder(self.folder, self.work)

    def publish(self, paths: Iterable[str]) -> None:
        """Put the finished snapshot in its place: by one rename, or file by file, the manifest last.

        Raises:
            SnapshotError: it cannot be written; what was made is kept for the next try.
        """
        if self.folder is None:
            _upload(self.address, self.work, sorted(paths, key=lambda path: (path == manifest.NAME, path)))
            shutil.rmtree(self.work)
        else:
            _sync(self.work / path for path in paths)
            (self.work / STATE).unlink(missing_ok=True)
            os.rename(self.work, self.folder)


def place_of(out: str, settings: Settings) -> Place:
    """Read --out: a folder or a URL.

    Raises:
        SnapshotError: nothing can be done with that kind of URL.
    """
    import fsspec

    try:
        filesystem, path = fsspec.url_to_fs(out)
    except (ValueError, ImportError) as problem:
        raise SnapshotError(f"'{bare(out)}' cannot be written to: {first_line(problem)}.") from None
    if filesystem.protocol in ("file", "local") or "file" in filesystem.protocol:
        folder = Path(path).absolute()
        return Place(str(folder), folder.with_name(folder.name + SUFFIX), folder)
    digest = hashlib.sha256(out.encode()).hexdigest()[:16]
    return Place(out, settings.home / "exports" / digest, None)


class _Line(TypedDict):
    """A file that is done, and the key of what it was made from."""

    key: str
    file: FileFacts


class Finished:
    """Files of the work folder that are done, each with the key of what it was made from."""

    def __init__(self, work: Path):
        self._work = work
        self._state = work / STATE
        work.mkdir(parents=True, exist_ok=True)
        self._known = {line["file"]["path"]: line for line in self._lines()}

    def _lines(self) -> list[_Line]:
        if not self._state.exists():
            return []
        text = self._state.read_text(encoding="utf-8")
        complete = text[: text.rfind("\n") + 1]
        if complete != text:  # stopped while it wrote a line, to which the next one would be added
            self._state.write_text(complete, encoding="utf-8")
        return [json.loads(line) for line in complete.splitlines()]

    def get(self, path: str, key: str) -> Written | None:
        """The file, if it was made from the same and its bytes are still those that were written."""
        known = self._known.get(path)
        if known is None or known["key"] != key:
            return None
        file = Written(**known["file"])
        there = self._work / path
        return file if there.is_file() and sha256_of_file(there) == file.sha256 else None

    def add(self, key: str, file: Written) -> None:
        """Note that a file is done."""
        self._known[file.path] = {"key": key, "file": file.as_json()}
        with self._state.open("a", encoding="utf-8") as state:
            state.write(json.dumps(self._known[file.path]) + "\n")

    def tidy(self, paths: Iterable[str]) -> None:
        """Remove what an earlier try left and the snapshot does not hold."""
        kept = {self._work / path for path in paths} | {self._state}
        for path in sorted(self._work.rglob("*"), reverse=True):
            if path.is_file() and path not in kept:
                path.unlink()
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def _require_free_folder(folder: Path, work: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SnapshotError(f"There is something at '{folder}' already: choose another --out, or move it away.")
    try:
        work.mkdir(parents=True, exist_ok=True)
        (work / MARK).touch()
        (work / MARK).unlink()
    except OSError as problem:
        raise SnapshotError(f"Nothing can be written to '{work}' ({problem.strerror}): choose another --out.") from None


def _require_free_address(address: str) -> None:
    import fsspec

    try:
        filesystem, path = fsspec.url_to_fs(address)
        is_taken = filesystem.exists(f"{path}/{manifest.NAME}") or (
            filesystem.exists(path) and filesystem.ls(path) and not filesystem.exists(f"{path}/{MARK}")
        )
        if not is_taken:
            filesystem.makedirs(path, exist_ok=True)
            filesystem.pipe_file(f"{path}/{MARK}", b"A snapshot is being written here.\n")
    except Exception as problem:  # every provider's client has errors of its own
        raise SnapshotError(f"Nothing can be written to '{bare(address)}' ({first_line(problem)}).") from None
    if is_taken:
        raise SnapshotError(f"There is something at '{bare(address)}' already: choose another --out.")


def _upload(address: str, work: Path, paths: Iterable[str]) -> None:
    import fsspec

    filesystem, root = fsspec.url_to_fs(address)
    try:
        for path in paths:
            filesystem.makedirs(f"{root}/{path}".rpartition("/")[0], exist_ok=True)
            filesystem.put_file(str(work / path), f"{root}/{path}")
        filesystem.rm_file(f"{root}/{MARK}")
    except Exception as problem:  # every provider's client has errors of its own
        raise SnapshotError(
            f"The snapshot could not be written to '{bare(address)}' ({first_line(problem)}); it has no manifest"
            " there and is kept on this machine: run the command again."
        ) from None


def _sync(paths: Iterable[Path]) -> None:
    """Make sure that the files are on the disk before their folder gets its name."""
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())


def bare(address: str) -> str:
    """An address without what may be secret: login and query."""
    scheme, separator, rest = address.partition("://")
    return scheme + separator + rest.partition("?")[0].rpartition("@")[2]
