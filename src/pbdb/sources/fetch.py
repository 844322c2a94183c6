"""The files of a release: found in a folder or fetched, resumed, and verified by SHA-256."""

from __future__ import annotations

import glob
import gzip
import hashlib
import os
import re
import sqlite3
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pbdb.common import output_files
from pbdb.common.errors import SourceError, first_line
from pbdb.common.hashing import CHUNK, sha256_of_file
from pbdb.common.progress import Progress, silent
from pbdb.common.settings import Settings
from pbdb.sources.declaration import Dataset, File, Source

TAG = 8  # characters that tell parts of two versions of a file apart
SUMS = "SHA256SUMS"
SUM = re.compile(r"(?P<digest>[0-9a-fA-F]{64})\s+\*?(?:\./)?(?P<name>.+)")
Checked = Literal["declaration", "SHA256SUMS", "first download", "recorded"]


@dataclass(frozen=True)
class Located:
    """A file of a load: where it lies, its hash, and what the hash was checked against."""

    path: Path
    n_bytes: int
    sha256: str
    checked: Checked


def locate(
    source: Source,
    dataset: str,
    settings: Settings,
    folder: Path | None = None,
    *,
    verify: bool = False,
    progress: Progress = silent,
) -> dict[str, Located]:
    """Find the files one dataset needs, in `folder` (or the source's own) or by fetching them; check their hashes.

    verify: read every file again, instead of trusting the hash cached by path, size, mtime and inode.

    Raises:
        SourceError: a file is missing, half a set is there, or a hash is not the one it should be.
    """
    declared = source.files_of(dataset)
    folder = folder or source.folder
    hashed = partial(sha256, settings=settings, verify=verify, progress=progress)
    if folder is None:
        root = settings.downloads / source.key
        wanted = _to_fetch(declared, root)
        located = {key: _downloaded(source, dataset, file, root, hashed, progress) for key, file in wanted.items()}
    elif folder.is_dir():
        wanted = _complete_sets(source, declared, folder)
        located = {key: _in_folder(source, file, folder, hashed) for key, file in wanted.items()}
    else:
        raise SourceError(f"There is no folder '{folder}' to load from.", file=str(folder))
    place = settings.downloads / source.key / "unpacked"
    return {key: _readable(declared[key], file, place, progress) for key, file in located.items()}


def how_to_get(source: Source, dataset: Dataset) -> str:
    """Say how a person gets the files of a dataset that cannot be fetched."""
    return dataset.get or f"see {source.homepage or dataset.doi or dataset.citation}"


def _to_fetch(declared: Mapping[str, File], root: Path) -> dict[str, File]:
    """Pass over what no address leads to, where the load can do without: optional files, and a set beside another."""
    at_hand = {key: file.url is not None or (root / file.name).is_file() for key, file in declared.items()}
    sets = {file.set for file in declared.values() if file.set is not None}
    closed = {file.set for key, file in declared.items() if file.set is not None and not at_hand[key]}
    passed = closed if sets - closed else set()
    return {
        key: file for key, file in declared.items() if file.set not in passed and (at_hand[key] or not file.optional)
    }


def _complete_sets(source: Source, declared: Mapping[str, File], folder: Path) -> dict[str, File]:
    there = {key: _lying(folder, file).is_file() for key, file in declared.items()}
    names = {file.set for file in declared.values() if file.set is not None}
    for name in sorted(names):
        members = [key for key in declared if declared[key].set == name]
        if any(there[key] for key in members) and not all(there[key] for key in members):
            lacking = next(declared[key].name for key in members if not there[key])
            raise SourceError(f"'{folder}' has only part of the set {name}: '{lacking}' is missing.", file=lacking)
    needed = [key for key in declared if declared[key].set is not None and not declared[key].optional]
    if needed and not any(there[key] for key in needed):
        raise SourceError(f"'{folder}' lacks files of source '{source.key}': it needs {_alternatives(declared)}.")
    return {key: file for key, file in declared.items() if there[key] or not (file.optional or file.set)}


def _alternatives(declared: Mapping[str, File]) -> str:
    """Name the sets of which one is enough, and the files needed besides."""
    needed = [file for file in declared.values() if not file.optional]
    sets = dict.fromkeys(file.set for file in needed if file.set is not None)
    listed = [_together([file.name for file in needed if file.set == name]) for name in sets]
    always = [file.name for file in needed if file.set is None]
    either = f"either {'; or '.join(listed)}" if len(listed) > 1 else listed[0]
    return f"{either}; and always {_together(always)}" if always else either


def _together(names: Sequence[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return " and ".join(filter(None, (", ".join(quoted[:-1]), quoted[-1])))


def _lying(folder: Path, file: File) -> Path:
    """Where a file of a folder is: under its name, or unpacked where that is as good."""
    path, unpacked = folder / file.name, folder / file.unpacked
    return unpacked if file.unpack and unpacked.is_file() and not path.is_file() else path


def _in_folder(source: Source, file: File, folder: Path, hashed: Callable[[Path], str]) -> Located:
    path = _lying(folder, file)
    if not path.is_file():
        raise SourceError(
            f"There is no file '{file.name}' in '{folder}', which source '{source.key}' needs.", file=file.name
        )
    digest = hashed(path)
    listed = _listed(folder).get(path.relative_to(folder).as_posix())
    published = file.sha256 if path == folder / file.name else None
    advice = "put the right one in its place"
    _check(path, digest, published, "the declaration of the source", advice)
    _check(path, digest, listed, SUMS, advice)
    checked: Checked = "declaration" if published else "SHA256SUMS" if listed else "recorded"
    return Located(path, path.stat().st_size, digest, checked)


def _downloaded(
    source: Source, dataset: str, file: File, folder: Path, hashed: Callable[[Path], str], progress: Progress
) -> Located:
    path = folder / file.name
    if not path.is_file():
        _fetch(source, dataset, file, path, progress)
    return _known(file, path, hashed(path))


def download(file: File, folder: Path, settings: Settings, advice: str, progress: Progress = silent) -> Located:
    """Fetch a file that belongs to no source, unless it is there; its hash is checked as that of any other.

    advice: what a person can do where it cannot be fetched; ends the sentence.

    Raises:
        SourceError: it cannot be fetched, or its hash is not the one it should be.
    """
    path = folder / file.name
    if not path.is_file():
        _get(str(file.url), path, advice, progress)
    return _known(file, path, sha256(path, settings, progress=progress))


def _known(file: File, path: Path, digest: str) -> Located:
    """A fetched file with the hash that is declared, or was recorded when it was fetched first."""
    sums = path.parent / SUMS
    known = _listed(path.parent).get(file.name)
    advice = "delete it, and the next run fetches it again"
    _check(path, digest, file.sha256, "the declaration of the source", advice)
    _check(path, digest, known, f"the record of its first download ('{sums}', remove the line to renew it)", advice)
    if known is None:
        with sums.open("a", encoding="utf-8") as record:
            record.write(f"{digest}  {file.name}\n")
    checked: Checked = "declaration" if file.sha256 else "recorded" if known else "first download"
    return Located(path, path.stat().st_size, digest, checked)


def _readable(file: File, located: Located, folder: Path, progress: Progress) -> Located:
    """The file unpacked, where it has to be; once, under its hash. Size and hash stay those of what was given."""
    if not file.unpack or located.path.name != file.name:
        return located
    target = folder / located.sha256[:16] / file.unpacked
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        _unpack(located.path, target, progress)
    return replace(located, path=target)


def _unpack(packed: Path, target: Path, progress: Progress) -> None:
    try:
        with output_files.replacing(target) as part, gzip.open(packed) as content, part.open("wb") as local:
            while chunk := content.read(CHUNK):
                local.write(chunk)
                progress(f"unpack {packed.name}", local.tell(), None)
    except (OSError, EOFError, zlib.error) as problem:
        raise SourceError(
            f"'{packed.name}' in '{packed.parent}' could not be unpacked to '{target.parent}' ({first_line(problem)}).",
            file=packed.name,
        ) from None


def _check(path: Path, digest: str, expected: str | None, by: str, advice: str) -> None:
    if expected is not None and digest != expected:
        raise SourceError(
            f"The SHA-256 of '{path.name}' in '{path.parent}' is {digest[:12]}..., but {by} says {expected[:12]}...: "
            f"the file is damaged or of another release; {advice}.",
            file=path.name,
            value=digest,
        )


def _listed(folder: Path) -> dict[str, str]:
    sums = folder / SUMS
    if not sums.is_file():
        return {}
    listed = {}
    for line in filter(str.strip, sums.read_text(encoding="utf-8").splitlines()):
        match = SUM.fullmatch(line.strip())
        if match is None:
            raise SourceError(
                f"'{sums}' has the line '{line}', which is no SHA-256 and name of a file: correct it.",
                file=str(sums),
                value=line,
            )
        listed[match["name"]] = match["digest"].lower()
    return listed


def _fetch(source: Source, dataset: str, file: File, path: Path, progress: Progress) -> None:
    """Fetch to a .part file beside the target, going on where an earlier try stopped, then rename."""
    if file.url is None:
        raise SourceError(
            f"'{file.name}' of source '{source.key}' cannot be fetched: "
            f"{how_to_get(source, source.datasets[dataset])}; then load with --from and the folder you put it in.",
            file=file.name,
            dataset=dataset,
        )
    _get(file.url, path, "get the file yourself and use --from", progress, _headers(source, source.datasets[dataset]))


def _headers(source: Source, dataset: Dataset) -> dict[str, str]:
    """What the provider wants to see of the user: the token, where the dataset declares one."""
    if dataset.token is None:
        return {}
    token = os.environ.get(dataset.token)
    if not token:
        raise SourceError(
            f"The files of source '{source.key}' need a token: set the environment variable {dataset.token} to yours "
            f"({how_to_get(source, dataset)}), or get the files yourself and use --from."
        )
    return {"Authorization": f"Bearer {token}"}


def _get(url: str, path: Path, advice: str, progress: Progress, headers: Mapping[str, str] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        part = _resume(url, path, progress, headers)
    except Exception as problem:  # every provider's client has errors of its own
        kept = sum(part.stat().st_size for part in _parts(path))
        raise SourceError(
            f"'{path.name}' could not be fetched from {url} ({first_line(problem)}); {kept:,} bytes are kept: "
            f"run the command again to go on, or {advice}.",
            file=path.name,
        ) from problem
    os.replace(part, path)


def _parts(path: Path) -> list[Path]:
    return list(path.parent.glob(f"{glob.escape(path.name)}.{'?' * TAG}.part"))


def _part(path: Path, url: str, info: Mapping[str, Any]) -> Path:
    """Where the bytes fetched so far are kept; of a file that has changed since they are thrown away."""
    version = [url, info.get("size"), info.get("ETag") or info.get("Last-Modified")]
    part = path.with_name(f"{path.name}.{hashlib.sha256(repr(version).encode()).hexdigest()[:TAG]}.part")
    for other in _parts(path):
        if other != part:
            other.unlink()
    return part


def _resume(url: str, path: Path, progress: Progress, headers: Mapping[str, str] | None = None) -> Path:
    import fsspec

    filesystem, address = fsspec.url_to_fs(url, **({"client_kwargs": {"headers": dict(headers)}} if headers else {}))
    info = filesystem.info(address)
    part, total = _part(path, url, info), info.get("size")
    done = part.stat().st_size if part.exists() and total is not None else 0
    with filesystem.open(address, "rb") as remote, part.open("r+b" if done else "wb") as local:
        if done:
            remote.seek(done)
            local.seek(done)
        while chunk := remote.read(CHUNK):
            local.write(chunk)
            done += len(chunk)
            progress(path.name, done, total)
    if total is not None and done != total:
        raise OSError(f"{done:,} of {total:,} bytes came")
    return part


def sha256(path: Path, settings: Settings, *, verify: bool = False, progress: Progress = silent) -> str:
    """Hash a file; the result is remembered by path, size, mtime and inode.

    verify: hash it again whatever is remembered.
    """
    stat = path.stat()
    key = (str(path.absolute()), stat.st_size, stat.st_mtime_ns, stat.st_ino)
    settings.home.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(settings.home / "hashes.sqlite", timeout=60)) as cache, cache:
        cache.execute(
            "CREATE TABLE IF NOT EXISTS hash (path TEXT, size INT, mtime INT, inode INT, sha256 TEXT, "
            "PRIMARY KEY (path, size, mtime, inode))"
        )
        known = cache.execute(
            "SELECT sha256 FROM hash WHERE path = ? AND size = ? AND mtime = ? AND inode = ?", key
        ).fetchone()
        if known and not verify:
            return str(known[0])
    digest = sha256_of_file(path, progress)
    with closing(sqlite3.connect(settings.home / "hashes.sqlite", timeout=60)) as cache, cache:
        cache.execute("INSERT OR REPLACE INTO hash VALUES (?, ?, ?, ?, ?)", (*key, digest))
    return digest
