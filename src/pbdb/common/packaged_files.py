"""Folders that stand at the top of a checkout and inside the installed package."""

from __future__ import annotations

from pathlib import Path


def folder(name: str) -> Path:
    """Where sql/ or migrations/ is: inside the package when installed, at the top in a checkout."""
    here = Path(__file__).parents[1]
    return here / name if (here / name).is_dir() else here.parents[1] / name
