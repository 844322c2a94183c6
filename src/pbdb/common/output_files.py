"""Exports appear whole or not at all: written under a temporary name beside the target, then renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
        raise ConfigError(f"'{target}' exists already: name another --out, or remove it first.", file=str(target))
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
        raise ConfigError(f"'{target}' cannot be written ({why}); nothing is left of it.", file=str(target)) from None


def size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    found = path.rglob("*") if path.is_dir() else [path]
    return sum(one.stat().st_size for one in found if one.is_file())
