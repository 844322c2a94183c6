"""Exports appear whole or not at all: written under a temporary name beside the target, then renamed."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pbdb.common.errors import ConfigError


@contextmanager
def file(target: Path) -> Iterator[Path]:
    """Give a temporary path; what stands there becomes `target` when the block ends without an error.

    Raises:
        ConfigError: the target is there already, its folder is not, or it cannot be written.
    """
    with _told(target), _part(target) as part:
        part.touch()  # where that fails the system says why; libraries that write formats say it in words of their own
        yield part


@contextmanager
def folder(target: Path) -> Iterator[Path]:
    """Give a new temporary folder, which becomes `target` when the block ends without an error.

    Raises:
        ConfigError: the target is there already, its folder is not, or it cannot be written.
    """
    with _told(target), _part(target) as part:
        part.mkdir()
        yield part


@contextmanager
def _part(target: Path) -> Iterator[Path]:
    if target.exists():
        raise ConfigError(f"'{target}' exists already: name another --out, or remove it first.")
    if not target.parent.is_dir():
        raise ConfigError(f"There is no folder '{target.parent}' to write '{target.name}' to: make it first.")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, target)
    except BaseException:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)
        raise


@contextmanager
def _told(target: Path) -> Iterator[None]:
    """Say in a sentence why a file could not be written."""
    try:
        yield
    except OSError as problem:
        why = os.strerror(problem.errno) if problem.errno else "the system gives no reason"
        raise ConfigError(f"'{target}' cannot be written ({why}); nothing is left of it.") from None


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
    found = path.rglob("*") if path.is_dir() else [path]
    return sum(one.stat().st_size for one in found if one.is_file())
