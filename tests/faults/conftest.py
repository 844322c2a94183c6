"""Fixtures of the tests of faults: what others may send, and what readers may try."""

from __future__ import annotations

from snapshots import folder, shared_release, with_worlds, worlds  # noqa: F401
