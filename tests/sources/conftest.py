"""Simulated releases, and databases that hold them."""

from loads import loaded, release, settings, truth, with_driad, with_genes  # noqa: F401
from simulated import own, simulated  # noqa: F401
