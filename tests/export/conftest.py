"""Fixtures of the tests of snapshots."""

from __future__ import annotations

from loads import loaded, release, truth, with_driad, with_genes  # noqa: F401
from snapshots import folder, shared_release, with_worlds, worlds  # noqa: F401
