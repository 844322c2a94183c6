"""Loaded databases."""

from loads import loaded, release, settings, truth, with_driad, with_genes  # noqa: F401
