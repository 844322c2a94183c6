"""Databases with conditions to divide."""

from __future__ import annotations

from export_worlds import exported, exports, two_datasets  # noqa: F401
