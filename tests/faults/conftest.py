"""Fixtures of the tests of faults: what others may send, what readers may try, what they see while loads publish."""

from __future__ import annotations

from export_worlds import exported, two_datasets  # noqa: F401
from snapshots import folder, shared_release, with_worlds, worlds  # noqa: F401
