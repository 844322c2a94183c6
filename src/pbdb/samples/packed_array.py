"""A growing array of an HDF5 file in chunks that ISA-L deflates on all cores; every reader of HDF5 knows them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
from isal import isal_zlib

from pbdb.common.arrays import Values

VALUES_PER_CHUNK = 1 << 18
LEVEL = 1
THREADS = min(8, os.cpu_count() or 1)


class PackedArray:
    """One-dimensional values that are appended; less than a chunk of them waits until `finish`."""

    def __init__(self, group: h5py.Group, name: str, kind: str, n: int = 0, fill: float = 0):
        """Create the dataset; its first n values are `fill`."""
        self._dataset = group.create_dataset(
            name, (n,), kind, maxshape=(None,), chunks=VALUES_PER_CHUNK, fillvalue=fill, shuffle=True,
            compression="gzip", compression_opts=LEVEL,
        )  # fmt: skip
        self._waiting = np.full(n % VALUES_PER_CHUNK, fill, dtype=kind)

    def __len__(self) -> int:
        return int(self._dataset.shape[0])

    def extend(self, values: Values) -> None:
        """Append values, which must fit the type of the array."""
        start, first = len(self) - len(self._waiting), VALUES_PER_CHUNK - len(self._waiting)
        self._dataset.resize((len(self) + len(values),))
        chunks = [np.concatenate((self._waiting, values[:first].astype(self._waiting.dtype)))]
        chunks += [values[at : at + VALUES_PER_CHUNK] for at in range(first, len(values), VALUES_PER_CHUNK)]
        rest = chunks.pop() if len(chunks[-1]) < VALUES_PER_CHUNK else values[:0]
        self._write(chunks, start)
        self._waiting = rest.astype(self._waiting.dtype)

    def _write(self, chunks: list[Values], start: int) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            for at, packed in enumerate(pool.map(self._packed, chunks)):
                self._dataset.id.write_direct_chunk((start + at * VALUES_PER_CHUNK,), packed)

    def _packed(self, values: Values) -> bytes:
        """A chunk as HDF5 stores it: the first bytes of all values, then the second, and so on; deflated."""
        values = values.astype(self._waiting.dtype, copy=False)
        planes = np.ascontiguousarray(values.view(np.uint8).reshape(-1, values.itemsize).T)
        return bytes(isal_zlib.compress(planes, LEVEL))

    def finish(self) -> None:
        """Write what waits; HDF5 wants the last chunk whole."""
        if len(self._waiting):
            chunk = np.resize(self._waiting, VALUES_PER_CHUNK)
            self._write([chunk], len(self) - len(self._waiting))
            self._waiting = self._waiting[:0]
