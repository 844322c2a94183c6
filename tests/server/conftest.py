"""Servers of the test's own."""

from servers import child, embedded, external, home, settings  # noqa: F401
