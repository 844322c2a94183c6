"""The files of sql/ and what they make, read without a database and without SQLAlchemy."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from pbdb.common import packaged_files

VIEWS = "pbdb"
COMMENT = "Views and functions of pbdb, the public contract; sql/ "


def files() -> list[Path]:
    """Files of sql/ in the order in which they are applied."""
    return sorted(packaged_files.folder("sql").glob("*.sql"))


def fingerprint() -> str:
    """SHA-256 over names and texts of the files of sql/, hexadecimal."""
    digest = hashlib.sha256()
    for file in files():
        digest.update(f"{file.name}\n{file.read_text()}\n".encode())
    return digest.hexdigest()


def made() -> set[str]:
    """Views and functions that the files make, with their schemas."""
    pattern = re.compile(r"^CREATE (?:VIEW|FUNCTION) (\w+\.\w+)", re.M)
    return {name for file in files() for name in pattern.findall(file.read_text())}
