"""Read parts of a chunked HDF5 matrix in blocks: whole chunks only, each once, decompressed side by side."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Positions = npt.NDArray[np.intp]
KNOWN_FILTERS = ((h5py.h5z.FILTER_DEFLATE,), (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE))
THREADS = min(8, os.cpu_count() or 1)


def read(
    matrix: h5py.Dataset, profiles_first: bool, genes: Positions, profiles: Positions, block_bytes: int
) -> Iterator[tuple[Positions, Floats]]:
    """Yield positions of profiles and their values (profiles x genes, float32).

    profiles: ascending. A block covers whole chunks; those without wanted profiles or genes are not read.
    """
    axis = 0 if profiles_first else 1
    high, wide = _grid(matrix, axis)
    spans = _spans(genes, wide, matrix.shape[1 - axis])
    width = max(sum(stop - start for start, stop in spans), len(genes), 1)
    step = max(1, block_bytes // (matrix.dtype.itemsize * width) // high) * high
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, matrix.shape[axis], step):
            stop = min(start + step, matrix.shape[axis])
            first, last = np.searchsorted(profiles, (start, stop))
            if last > first:
                found = profiles[first:last]
                yield found, _block(matrix, axis, (start, stop), spans, genes, found - start, pool)


def _grid(matrix: h5py.Dataset, axis: int) -> tuple[int, int]:
    """Profiles and genes of a chunk; without chunks what lies together: all genes of a profile, or one gene."""
    if matrix.chunks is None:
        return (1, matrix.shape[1]) if axis == 0 else (1, 1)
    return matrix.chunks[axis], matrix.chunks[1 - axis]


def _spans(genes: Positions, wide: int, n: int) -> list[tuple[int, int]]:
    """Runs of neighbouring chunk columns that hold wanted genes, as ranges of gene positions."""
    columns = np.unique(genes // wide)
    runs = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1) if len(columns) else []
    return [(int(run[0]) * wide, min((int(run[-1]) + 1) * wide, n)) for run in runs]


def _block(
    matrix: h5py.Dataset,
    axis: int,
    profiles: tuple[int, int],
    spans: list[tuple[int, int]],
    genes: Positions,
    rows: Positions,
    pool: ThreadPoolExecutor,
) -> Floats:
    values = np.empty((len(rows), len(genes)), dtype=np.float32)
    for span in spans:
        slab = _slab(matrix, (profiles, span) if axis == 0 else (span, profiles), pool)
        slab = slab if axis == 0 else slab.T
        inside = np.flatnonzero((genes >= span[0]) & (genes < span[1]))
        values[:, _run(inside)] = slab[_run(rows)][:, _run(genes[inside] - span[0])]
    return values


def _run(positions: Positions) -> Positions | slice:
    """Neighbouring ascending positions as a slice, which is read without a copy."""
    n = len(positions)
    if n and positions[-1] - positions[0] == n - 1 and (np.diff(positions) == 1).all():
        return slice(int(positions[0]), int(positions[-1]) + 1)
    return positions


def _slab(matrix: h5py.Dataset, ranges: tuple[tuple[int, int], tuple[int, int]], pool: ThreadPoolExecutor) -> Any:
    """A rectangle of the matrix, cut at chunk borders."""
    (top, bottom), (left, right) = ranges
    filters = _filters(matrix)
    if matrix.chunks is None or filters not in KNOWN_FILTERS:
        return matrix[top:bottom, left:right]
    slab = np.full((bottom - top, right - left), matrix.fillvalue, dtype=matrix.dtype)
    high, wide = matrix.chunks

    def place(row: int, column: int, packed: bytes) -> None:
        part = slab[row - top : row - top + high, column - left : column - left + wide]
        part[:] = _unpacked(packed, matrix.dtype, filters).reshape(high, wide)[: part.shape[0], : part.shape[1]]

    corners = [(row, column) for row in range(top, bottom, high) for column in range(left, right, wide)]
    waiting = [pool.submit(place, *corner, packed) for corner in corners if (packed := _packed(matrix, corner))]
    for one in waiting:
        one.result()
    return slab


def _filters(matrix: h5py.Dataset) -> tuple[int, ...]:
    created = matrix.id.get_create_plist()
    return tuple(created.get_filter(i)[0] for i in range(created.get_nfilters()))


def _packed(matrix: h5py.Dataset, corner: tuple[int, int]) -> bytes | None:
    """A chunk as it is stored; None where nothing was ever written.

    Raises:
        OSError: a filter was left out for this chunk, which no writer of such files does.
    """
    if matrix.id.get_chunk_info_by_coord(corner).byte_offset is None:
        return None
    skipped, packed = matrix.id.read_direct_chunk(corner)
    if skipped:
        raise OSError(f"the chunk at {corner} is stored without its filters")
    return bytes(packed)


def _unpacked(packed: bytes, dtype: np.dtype[Any], filters: tuple[int, ...]) -> npt.NDArray[Any]:
    """Values of a chunk; decompressing lets go of the interpreter, which HDF5's own reading does not."""
    raw = np.frombuffer(zlib.decompress(packed), dtype=np.uint8)
    if filters[0] == h5py.h5z.FILTER_SHUFFLE:  # the first bytes of all values, then the second, and so on
        raw = np.ascontiguousarray(raw.reshape(dtype.itemsize, -1).T).ravel()
    return raw.view(dtype)
