"""Rows of a query's answer, at the edge between SQL and Python."""

from typing import Any

Row = dict[str, Any]
"""A row by column name: what its values are, only the query says."""
