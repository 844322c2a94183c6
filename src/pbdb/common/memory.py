"""The most memory this process has held, and what it can give back."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_ARENA_MAX, _MMAP_THRESHOLD = -8, -3  # of malloc.h
_LARGE = 1 << 17
_FORGET_PEAK = "5"  # proc(5): resets the high-water mark


def forget_peak() -> None:
    """Begin to measure anew, where the system can (Linux)."""
    try:
        _CLEAR.write_text(_FORGET_PEAK)
    except OSError:
        return


def peak_mb() -> float:
    """Most resident memory in MiB since `forget_peak`, or since the process began.

    The figure of getrusage would not do on Linux: a process starts with that of the one that started it.
    """
    if _STATUS.is_file():
        lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
        if "VmHWM" in lines:
            return round(int(lines["VmHWM"].split()[0]) / 1024, 1)
    import resource

    unit = 1 << 20 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)


def share_arenas() -> None:
    """Let all threads take memory from two places, not from one each, which all keep what was freed (mallopt).

    Large blocks come from the system and go back to it: left to itself, the C library takes ever larger ones from its
    own places, where they leave gaps.
    """
    _libc("mallopt", _ARENA_MAX, 2)
    _libc("mallopt", _MMAP_THRESHOLD, _LARGE)


def give_back() -> None:
    """Hand freed memory that the C library keeps to the system (malloc_trim)."""
    _libc("malloc_trim", 0)


def _libc(name: str, *numbers: int) -> None:
    """Call a function of glibc, where that is the library."""
    function = getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
    if function is not None:
        function(*numbers)
