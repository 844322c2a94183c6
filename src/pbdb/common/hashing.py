"""SHA-256 of files, of plain values, and of the code that decides a result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from pbdb.common.progress import Progress, silent

CHUNK = 8 << 20
SHORT = 16
PACKAGE = Path(__file__).parents[1]


def sha256_of_file(path: Path, progress: Progress = silent) -> str:
    """Hash a file of any size, hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    digest, n_bytes = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as content:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            progress(f"check {path.name}", content.tell(), n_bytes)
    return digest.hexdigest()


def fingerprint(parts: Sequence[object]) -> str:
    """Name of what is decided by these parts, which are plain values of JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:SHORT]


def code_fingerprint(*rooms: str) -> str:
    """Of the bytes of packages and modules below pbdb, such as `effects/engine` or `common/units.py`.

    A result made by them is kept while they are the same; nobody has to remember to raise a number.

    Raises:
        FileNotFoundError: there is no such room.
    """
    files = sorted({path for room in rooms for path in _modules(PACKAGE / room)})
    return fingerprint([(path.relative_to(PACKAGE).as_posix(), sha256_of_file(path)) for path in files])


def _modules(room: Path) -> list[Path]:
    modules = [room] if room.suffix == ".py" else list(room.rglob("*.py"))
    if not modules:
        raise FileNotFoundError(f"There is no room '{room}' of pbdb.")
    return modules
