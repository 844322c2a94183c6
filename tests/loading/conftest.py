"""A simulated release and databases for the tests of loading."""

from loads import loaded, release, settings, truth, with_driad, with_genes  # noqa: F401
