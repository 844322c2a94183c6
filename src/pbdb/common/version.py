"""The version of pbdb that is installed."""

from __future__ import annotations

from importlib.metadata import version

__version__ = version("pbdb")
