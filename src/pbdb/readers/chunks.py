"""Read parts of a chunked HDF5 matrix in blocks: whole chunks only, each once, decompressed side by side.

HDF5's own reading holds one lock for all threads and inflates with zlib; chunks of the usual filters are therefore
read from the file at their place, inflated by ISA-L, and only what is wanted of them is kept.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from pbdb.common.arrays import Values
from pbdb.readers import inflate

if TYPE_CHECKING:
    import h5py

Floats = npt.NDArray[np.float32]
Positions = npt.NDArray[np.intp]
Place = slice | Positions
THREADS = min(8, os.cpu_count() or 1)
DAMAGE: tuple[Any, ...] = (OSError, RuntimeError, ValueError, isal_zlib.error)  # of reading a damaged matrix


@dataclass(frozen=True)
class Wanted:
    """Positions along one axis that lie in one stretch of the matrix, and where they go in the result."""

    start: int
    stop: int
    inside: Place
    into: Place


def read(
    matrix: h5py.Dataset, profiles_first: bool, genes: Positions, profiles: Positions, block_bytes: int
) -> Iterator[tuple[Positions, Floats]]:
    """Yield positions of profiles and their values (profiles x genes, float32).

    profiles: ascending. A block covers whole chunks; those without wanted profiles or genes are not read.
    """
    stored = Stored(matrix, profiles_first)
    step = max(1, block_bytes // (matrix.dtype.itemsize * max(len(genes), 1)) // stored.high) * stored.high
    columns = list(_stretches(genes, stored.wide, stored.n_genes))
    with ThreadPoolExecutor(THREADS) as pool, open(matrix.file.filename, "rb") as file:
        for start in range(0, stored.n_profiles, step):
            first, last = np.searchsorted(profiles, (start, start + step))
            if last > first:
                found = profiles[first:last]
                values = np.empty((len(found), len(genes)), dtype=np.float32)
                rows = _stretches(found, stored.high if stored.is_chunked else step, stored.n_profiles)
                tiles = [(row, column) for row in rows for column in columns]
                _fill(values, stored, file.fileno(), tiles, pool)
                yield found, values


def _fill(
    values: Floats, stored: Stored, file: int, tiles: list[tuple[Wanted, Wanted]], pool: ThreadPoolExecutor
) -> None:
    def place(row: Wanted, column: Wanted) -> None:
        tile = stored.tile(file, row, column)
        values[_cross(row.into, column.into)] = tile[_cross(row.inside, column.inside)]

    for done in [pool.submit(place, row, column) for row, column in tiles]:
        done.result()


def _stretches(positions: Positions, width: int, n: int) -> Iterator[Wanted]:
    """The stretches of `width` that hold wanted positions."""
    of = positions // width
    for stretch in np.unique(of):
        into = np.flatnonzero(of == stretch)
        start = int(stretch) * width
        yield Wanted(start, min(start + width, n), _run(positions[into] - start), _run(into))


def _run(positions: Positions) -> Place:
    """Neighbouring ascending positions as a slice, which is read without a copy."""
    n = len(positions)
    if positions[-1] - positions[0] == n - 1 and (np.diff(positions) == 1).all():
        return slice(int(positions[0]), int(positions[-1]) + 1)
    return positions


def _cross(rows: Place, columns: Place) -> tuple[Any, Any]:
    """Index every row with every column."""
    if isinstance(rows, slice) or isinstance(columns, slice):
        return rows, columns
    return rows[:, None], columns


class Stored:
    """How a matrix lies in its file, seen as profiles x genes."""

    def __init__(self, matrix: h5py.Dataset, profiles_first: bool) -> None:
        self.matrix = matrix
        self.profiles_first = profiles_first
        self.n_profiles, self.n_genes = self._turned(matrix.shape)
        whole = (1, matrix.shape[1])  # without chunks, what lies together
        high, self.wide = self._turned(matrix.chunks or whole)
        self.high = high if matrix.chunks else 1
        self.filters = inflate.filters_of(matrix)
        is_plain = (
            not matrix.file.userblock_size
        )  # versions of HDF5 differ in whether places count what stands in front
        self.is_chunked = is_plain and matrix.chunks is not None and self.filters in inflate.KNOWN
        self._places = inflate.places_of(matrix) if self.is_chunked else {}

    def tile(self, file: int, row: Wanted, column: Wanted) -> Values:
        """A rectangle (profiles x genes), cut at chunk borders."""
        corner = self._turned((row.start, column.start))
        chunk = self._chunk(file, corner) if self.is_chunked else None
        if chunk is None:
            (top, left), (bottom, right) = corner, self._turned((row.stop, column.stop))
            chunk = self.matrix[top:bottom, left:right]
        return chunk if self.profiles_first else chunk.T

    def _turned(self, pair: tuple[int, ...]) -> tuple[int, int]:
        return (pair[0], pair[1]) if self.profiles_first else (pair[1], pair[0])

    def _chunk(self, file: int, corner: tuple[int, int]) -> Values | None:
        """Values of a whole chunk; None where it was never written."""
        place = self._places.get(corner)
        if place is None:
            return None
        raw = os.pread(file, place.size, place.byte_offset)
        return inflate.inflate(raw, self.filters, self.matrix.dtype, self._n, place.filter_mask).reshape(
            self.matrix.chunks
        )

    @cached_property
    def _n(self) -> int:
        return int(np.prod(self.matrix.chunks))
