"""Fixtures of the tests of exports and snapshots."""

from __future__ import annotations

from export_releases import releases  # noqa: F401
from export_worlds import exported, exports, two_datasets  # noqa: F401
from loads import loaded, release, truth, with_driad, with_genes  # noqa: F401
from snapshots import folder, shared_release, with_worlds, worlds  # noqa: F401
from spark import spark  # noqa: F401
