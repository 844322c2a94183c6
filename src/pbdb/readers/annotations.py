"""Columns of obs and var of an AnnData store (HDF5 or zarr), a range of rows at a time, in old and new encodings.

| encoding | where |
|---|---|
| group of columns, categorical columns as groups of codes and categories | AnnData 0.8 and later |
| group of columns, categories under `__categories` | AnnData 0.7 |
| one table of records, categories in `uns` as `<column>_categories` | before 0.7 |
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pbdb.common.arrays import Values
from pbdb.common.errors import DataError

INDEX_FIELDS = ("index", "_index")


class Annotations:
    """The table `obs` or `var` of an open store: `columns`, `n_rows`, and parts of it on demand."""

    def __init__(self, store: Any, axis: str):
        if axis not in store:
            raise DataError(f"it has no table '{axis}'", value=axis)
        self._store, self._axis, self._node = store, axis, store[axis]
        self._is_records = hasattr(self._node, "dtype")
        fields = list(self._node.dtype.names) if self._is_records else list(self._node)
        self._index = self._index_of(fields)
        self.columns = tuple(name for name in self._in_order(fields) if name not in (self._index, "__categories"))
        self.n_rows = len(self._node) if self._is_records else int(self._node[self._index].shape[0])

    def _index_of(self, fields: list[str]) -> str:
        named = None if self._is_records else self._node.attrs.get("_index")
        index = named if named in fields else next((name for name in INDEX_FIELDS if name in fields), None)
        if index is None:
            raise DataError(f"its table '{self._axis}' has no index", value=self._axis)
        return str(index)

    def _in_order(self, fields: list[str]) -> list[str]:
        """Fields as their writer ordered them: a group of HDF5 lists them by the alphabet."""
        if self._is_records:
            return fields
        written = _text(np.asarray(self._node.attrs.get("column-order", ())))
        places = {name: place for place, name in enumerate(written)}
        return sorted(fields, key=lambda name: places.get(name, len(places)))

    def names(self, start: int = 0, stop: int | None = None) -> Values:
        """Names of rows as text."""
        return np.asarray(self._values(self._index, start, stop), dtype=object)

    def column(self, name: str, start: int = 0, stop: int | None = None) -> pd.Series[Any]:
        """Values of a column; text with few values as a categorical."""
        node = None if self._is_records else self._node[name]
        if node is not None and not hasattr(node, "dtype"):
            return _grouped(node, start, stop)
        values = self._values(name, start, stop)
        categories = self._categories(name, node)
        return pd.Series(values) if categories is None else _categorical(values, categories)

    def _values(self, name: str, start: int, stop: int | None) -> Values:
        if self._is_records:
            return _text(self._node[start:stop][name])
        return _array(self._node[name], start, stop)

    def _categories(self, name: str, node: Any) -> Values | None:
        """Where older files keep the texts of a column of codes."""
        import h5py

        if self._is_records:
            place = f"uns/{name}_categories"
            return _array(self._store[place]) if place in self._store else None
        reference = node.attrs.get("categories")
        if isinstance(reference, h5py.Reference):
            return _array(self._store[reference])
        place = f"__categories/{name}"
        return _array(self._node[place]) if place in self._node else None


def _grouped(node: Any, start: int, stop: int | None) -> pd.Series[Any]:
    """A column of codes and categories, or of values and a mask of those that are missing."""
    if "codes" in node:
        return _categorical(_array(node["codes"], start, stop), _array(node["categories"]))
    if "mask" not in node:
        raise DataError(
            f"its column '{node.name}' is of the unknown encoding '{node.attrs.get('encoding-type')}'", column=node.name
        )
    values, missing = _array(node["values"], start, stop), _array(node["mask"], start, stop)
    return pd.Series(values).astype(object).mask(missing.astype(bool))


def _categorical(codes: Values, categories: Values) -> pd.Series[Any]:
    kinds: Any = pd.Index(categories)
    return pd.Series(pd.Categorical.from_codes(codes.astype(np.int64), kinds))


def _array(node: Any, start: int = 0, stop: int | None = None) -> Values:
    return _text(np.asarray(node[start:stop]))


def _text(values: Values) -> Values:
    """Bytes and the string types of readers as str; anything else as it is."""
    if values.dtype.kind == "S" or (values.dtype.kind == "O" and any(isinstance(item, bytes) for item in values[:1])):
        return np.array([item.decode() if isinstance(item, bytes) else item for item in values.tolist()], dtype=object)
    return values.astype(object) if values.dtype.kind in "UT" else values
