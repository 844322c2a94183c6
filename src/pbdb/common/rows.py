"""Mappings whose values no type tells: rows and values at the edge to SQL, objects at the edge to JSON."""

from collections.abc import Mapping
from typing import Any

Row = dict[str, Any]
"""A row of a query's answer by column name: what its values are, only the query says."""
Json = dict[str, Any]
"""An object of a document or service in JSON, which others define."""


def plain(parameters: Mapping[str, object]) -> dict[str, object]:
    """Values of a query as every engine takes them: arrays, columns and sets as lists, NumPy's numbers as Python's."""
    return {name: _plain(value) for name, value in parameters.items()}


def _plain(value: object) -> object:
    if isinstance(value, (list, set, frozenset)):
        return [_plain(one) for one in value]
    # Of arrays, their numbers, and columns of pandas.
    return value.tolist() if hasattr(value, "tolist") else value
