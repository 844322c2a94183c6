"""A simulated release and databases for the tests of sources."""

from loads import loaded, release, settings, truth, with_driad, with_genes  # noqa: F401
