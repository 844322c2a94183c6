"""Files and folders appear whole or not at all: written under a temporary name beside the target, then renamed.

with replacing(target) as part:       # an artifact of ours; what was there before is replaced
with file(target) as part:            # what a user asked for; nothing may be there, and errors are sentences
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pbdb.common.errors import ConfigError


class Unfinished:
    """A file on its way to its name, for what is not written in one block.

    path: where to write. shared: several processes may write the same target at once; the last one to finish wins.
    """

    def __init__(self, target: Path, *, shared: bool = False):
        self._target = target
        self.path = target.with_name(f"{target.name}.{os.getpid()}.part" if shared else f"{target.name}.part")

    def finish(self) -> None:
        """Give what was written its name, in the place of what was there."""
        os.replace(self.path, self._target)

    def abandon(self) -> None:
        """Leave nothing of it."""
        with suppress(OSError):
            shutil.rmtree(self.path) if self.path.is_dir() else self.path.unlink(missing_ok=True)


@contextmanager
def replacing(target: Path, *, shared: bool = False) -> Iterator[Path]:
    """Give a temporary path; what is there takes the place of `target` when the block ends without an error."""
    unfinished = Unfinished(target, shared=shared)
    try:
        yield unfinished.path
        unfinished.finish()
    except BaseException:
        unfinished.abandon()
        raise


def write_text(target: Path, text: str) -> None:
    """Write a small file whole or not at all."""
    with replacing(target) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def file(target: Path) -> Iterator[Path]:
    """Give a temporary path; what is there becomes `target` when the block ends without an error.

    Raises:
        ConfigError: the target is there already, its folder is not, or it cannot be written.
    """
    with _explained(target), _new(target) as part:
        part.touch()  # where that fails the system says why; libraries that write formats say it in words of their own
        yield part


@contextmanager
def folder(target: Path) -> Iterator[Path]:
    """Give a new temporary folder, which becomes `target` when the block ends without an error.

    Raises:
        ConfigError: the target is there already, its folder is not, or it cannot be written.
    """
    with _explained(target), _new(target) as part:
        part.mkdir()
        yield part


@contextmanager
def _new(target: Path) -> Iterator[Path]:
    if target.exists():
        raise ConfigError(f"'{target}' exists already: name another --out, or remove it first.", file=str(target))
    if not target.parent.is_dir():
        raise ConfigError(f"There is no folder '{target.parent}' to write '{target.name}' to: make it first.")
    with replacing(target, shared=True) as part:
        yield part


@contextmanager
def _explained(target: Path) -> Iterator[None]:
    """Say in a sentence why a file could not be written."""
    try:
        yield
    except OSError as problem:
        why = os.strerror(problem.errno) if problem.errno else "the system gives no reason"
        raise ConfigError(f"'{target}' cannot be written ({why}); nothing is left of it.", file=str(target)) from None


def require_file(path: Path) -> None:
    """Refuse a path that cannot become a file, before any work.

    Raises:
        ConfigError: it is a folder, or its own folder is not there.
    """
    if path.is_dir():
        raise ConfigError(f"'{path}' is a folder: give the name of a file.")
    if not path.parent.is_dir():
        raise ConfigError(f"There is no folder '{path.parent}' for '{path.name}': make it first.")


def make_folder(path: Path, *, empty: bool = False) -> None:
    """Make a folder, unless it is there; empty: refuse one that holds something.

    Raises:
        ConfigError: it is a file, cannot be made, or is not empty.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        is_empty = next(path.iterdir(), None) is None
    except FileExistsError:
        raise ConfigError(f"'{path}' is a file: give the name of a folder.") from None
    except OSError as problem:
        raise ConfigError(f"The folder '{path}' cannot be made: {problem.strerror}.") from None
    if empty and not is_empty:
        raise ConfigError(f"The folder '{path}' is not empty: give a new one, or an empty one.")


class PatientFile(io.RawIOBase):
    """A file for HDF5 that never fails at it: after an error of the disk it takes everything and keeps nothing.

    HDF5 that cannot write what it still holds ends the process when it is closed. Ask `require_written` now and then.
    """

    def __init__(self, path: Path):
        self._file = path.open("w+b", buffering=0)
        self._problem: OSError | None = None
        self._end = self._place = 0

    def require_written(self) -> None:
        """Raise the error that the disk gave.

        Raises:
            OSError: there was one.
        """
        if self._problem is not None:
            raise self._problem

    def write(self, data: Any) -> int:
        """Write bytes."""
        n_bytes = len(memoryview(data).cast("B"))
        try:
            left = memoryview(data).cast("B")
            self._file.seek(self._place)
            while self._problem is None and len(left):
                left = left[self._file.write(left) or 0 :]
        except OSError as problem:
            self._problem = problem
        self._place += n_bytes
        self._end = max(self._end, self._place)
        return n_bytes

    def readinto(self, buffer: Any) -> int:
        """Read bytes; what the disk did not take is zeros."""
        view = memoryview(buffer).cast("B")
        self._file.seek(self._place)
        content = self._file.read(len(view)).ljust(min(len(view), max(0, self._end - self._place)), b"\0")
        view[: len(content)] = content
        self._place += len(content)
        return len(content)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._end}[whence]
        return self._place

    def tell(self) -> int:
        """The place."""
        return self._place

    def truncate(self, size: int | None = None) -> int:
        """Make the file this long."""
        self._end = self._place if size is None else size
        try:
            self._file.truncate(self._end)
        except OSError as problem:
            self._problem = problem
        return self._end

    def readable(self) -> bool:
        """It can be read."""
        return True

    def writable(self) -> bool:
        """It can be written."""
        return True

    def seekable(self) -> bool:
        """It has places."""
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(entry.stat().st_size for entry in files if entry.is_file())
