"""Folders that stand at the top of a checkout and inside the installed package."""

from __future__ import annotations

from pathlib import Path


def folder(name: str) -> Path:
    """Where sql/ or migrations/ is: beside this module when installed, at the top in a checkout."""
    here = Path(__file__).parent
    return here / name if (here / name).is_dir() else here.parents[1] / name
