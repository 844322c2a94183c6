"""Stretches of one-dimensional arrays on disk (HDF5, zarr): whole chunks, each inflated once, side by side."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any

import numpy as np

from pbdb.common.arrays import Values
from pbdb.readers import inflate


class Stretches:
    """Read ascending stretches of an array; the last chunk of one is kept, as the next begins in it."""

    def __init__(self, array: Any, pool: Executor):
        import h5py

        self._array, self._pool = array, pool
        self._filters = inflate.filters_of(array) if isinstance(array, h5py.Dataset) else None
        self._is_raw = self._filters in inflate.KNOWN and array.chunks is not None
        self._places = inflate.places_of(array) if self._is_raw else {}
        self._kept: tuple[int, Values] | None = None

    def read(self, start: int, stop: int) -> Values:
        """Values from start to stop."""
        if not self._is_raw or stop <= start:
            return np.asarray(self._array[start:stop])
        found = np.empty(stop - start, dtype=self._array.dtype)
        size = self._array.chunks[0]
        waiting = [
            self._pool.submit(self._place, found, start, chunk, *self._raw(chunk))
            for chunk in range(start // size, (stop - 1) // size + 1)
        ]
        for one in waiting:
            last = one.result()
        self._kept = last
        return found

    def _raw(self, chunk: int) -> tuple[int, bytes | None]:
        """A chunk as it is stored and the filters left out; None where it is kept, or was never written."""
        if self._kept is not None and self._kept[0] == chunk:
            return 0, None
        corner = (chunk * self._array.chunks[0],)
        if corner not in self._places:
            return 0, None
        skipped, raw = self._array.id.read_direct_chunk(corner)
        return skipped, bytes(raw)

    def _place(self, found: Values, start: int, chunk: int, skipped: int, raw: bytes | None) -> tuple[int, Values]:
        size = self._array.chunks[0]
        values = self._values(chunk, skipped, raw)
        low, high = max(start, chunk * size), min(start + len(found), (chunk + 1) * size)
        found[low - start : high - start] = values[low - chunk * size : high - chunk * size]
        return chunk, values

    def _values(self, chunk: int, skipped: int, raw: bytes | None) -> Values:
        size, dtype = self._array.chunks[0], self._array.dtype
        if raw is not None:
            return inflate.inflate(raw, self._filters or (), dtype, size, skipped)
        if self._kept is not None and self._kept[0] == chunk:
            return self._kept[1]
        return np.full(size, self._array.fillvalue, dtype=dtype)
