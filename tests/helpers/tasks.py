"""Tasks of tests that leave a file, slowly, or not before their process has died, or fail."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from pbdb.common.errors import DataError


def dying_once(task: Path, path: Path) -> None:
    """Write a file; the first process that tries a task with a marker takes the marker away and kills itself."""
    if task.exists():
        task.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    path.write_text(str(task.name))


def failing(task: str, path: Path) -> None:
    """Refuse a task."""
    raise DataError(f"'{task}' cannot be right.")


def slowly(task: tuple[Path, str], path: Path) -> None:
    """Leave one's process number in a folder, wait, and write a file."""
    folder, name = task
    (folder / f"{os.getpid()}.pid").touch()
    time.sleep(0.2)
    path.write_text(name)
