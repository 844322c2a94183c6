"""Processes of a PostgreSQL cluster, found by the folder they stand in."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from pbdb.common.errors import ServerError

PROGRAMS = ("postgres", "pg_", "initdb")


def standing_in(folder: Path) -> list[int]:
    """Pids of PostgreSQL's programs whose current folder is this one; empty where there is no /proc."""
    try:
        wanted = folder.stat()
        entries = os.listdir("/proc")
    except OSError:
        return []
    return [int(entry) for entry in entries if entry.isdecimal() and _stands_in(entry, wanted)]


def _stands_in(pid: str, wanted: os.stat_result) -> bool:
    try:
        ours = Path("/proc", pid, "comm").read_text().startswith(PROGRAMS)
        return ours and os.path.samestat(os.stat(f"/proc/{pid}/cwd"), wanted)
    except OSError:
        return False


def exists(pid: int) -> bool:
    """Whether there is a process of this id, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def send(pid: int, how: signal.Signals) -> None:
    """Send a signal to a process of the server; one that has just ended is fine.

    Raises:
        ServerError: the process belongs to another user.
    """
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        pass
    except PermissionError:
        raise ServerError(f"The server (pid {pid}) belongs to another user: stop it as that user or as root.") from None
