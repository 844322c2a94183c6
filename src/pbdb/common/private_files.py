"""Files of a home for its user alone: data that may not be passed on lie in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pbdb.common.settings import Settings

HASHES = "hashes.sqlite"


@contextmanager
def private_files(settings: Settings) -> Iterator[None]:
    """Make files of 0600 and folders of 0700 as long as the block runs, worker processes included.

    The home itself stays open as far as the server's user needs it; what an earlier version left there for all users
    to read is closed.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    for path, mode in ((settings.cache, 0o700), (settings.downloads, 0o700), (settings.home / HASHES, 0o600)):
        with suppress(FileNotFoundError, PermissionError):
            if path.stat().st_mode & 0o077:
                path.chmod(mode)
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)
