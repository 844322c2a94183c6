"""Mappings whose values no type tells: rows at the edge to SQL, objects at the edge to JSON."""

from typing import Any

Row = dict[str, Any]
"""A row of a query's answer by column name: what its values are, only the query says."""
Json = dict[str, Any]
"""An object of a document or service in JSON, which others define."""
