"""Pooled cells on disk: samples x genes of one range of cells, or of a whole file; parts are added up to the whole.

An HDF5 file: `indptr`, `indices`, `sums` and `expressing` (numbers of cells) in the smallest types that hold them, the
samples as Parquet, and the cells that are in none by reason. Samples stand in the order of their keys. Nothing is
compressed: parts are gone when the load is done.
"""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from pbdb.common import output_files
from pbdb.common.arrays import Codes, Ints, Values
from pbdb.samples.pseudobulk.cell_table import varies
from pbdb.samples.pseudobulk.sums import SUM_BITS, SUM_MASK, added, refuse_overflow

ARRAYS = ("indices", "sums", "expressing")
VALUES_PER_CHUNK = 1 << 18
VALUES_PER_BLOCK = 1 << 23
BATCH_BYTES = 1 << 28


@dataclass(frozen=True)
class CellCounts:
    """Numbers of cells: read, not in the curated table, and in no sample by reason."""

    cells: int = 0
    unnamed: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def sum_of(cls, counts: Sequence[CellCounts]) -> CellCounts:
        """Those of several parts together."""
        left_out: Counter[str] = Counter()
        for part in counts:
            left_out.update(part.left_out)
        return cls(sum(part.cells for part in counts), sum(part.unnamed for part in counts), dict(left_out))


class Part:
    """An open part: `samples` (keys, constants, n_cells, n_counts), `facts`, and totals by rows."""

    def __init__(self, file: h5py.File):
        self._file = file
        self.samples = pd.read_parquet(io.BytesIO(file["samples"][:].tobytes()))
        self.facts = CellCounts(**json.loads(file.attrs["facts"]))
        self.n_columns = int(file.attrs["n_columns"])
        self.indptr: Ints = file["indptr"][:]

    def rows(self, start: int, stop: int) -> tuple[Ints, Codes, Values, Values]:
        """Some samples in compressed sparse rows: indptr, indices, sums, numbers of expressing cells."""
        low, high = self.indptr[start], self.indptr[stop]
        indices, sums, expressing = (self._file[name][low:high] for name in ARRAYS)
        return self.indptr[start : stop + 1] - low, indices.astype(np.int32), sums, expressing

    def blocks(self) -> Iterator[tuple[pd.DataFrame, sp.csr_matrix, sp.csr_matrix]]:
        """Samples, sums and numbers of expressing cells, some samples at a time; without samples an empty block."""
        stop, n = 0, len(self.samples)
        while True:
            start = stop
            full = int(np.searchsorted(self.indptr, self.indptr[start] + VALUES_PER_BLOCK, side="right")) - 1
            stop = min(n, max(start + 1, full))
            yield self.samples.iloc[start:stop].reset_index(drop=True), *self._split(start, stop)
            if stop == n:
                return

    def _split(self, start: int, stop: int) -> tuple[sp.csr_matrix, sp.csr_matrix]:
        indptr, indices, sums, expressing = self.rows(start, stop)
        shape = (stop - start, self.n_columns)
        cells = sp.csr_matrix((expressing.astype(np.int32), indices, indptr), shape)
        return sp.csr_matrix((sums.astype(np.int64), indices, indptr), shape), cells


def opened(path: Path, keep: ExitStack) -> Part:
    """Open a part until `keep` is closed."""
    return Part(keep.enter_context(h5py.File(path)))


def write(
    path: Path,
    rows: Iterable[tuple[Ints, Codes, Ints]],
    samples: pd.DataFrame,
    n_columns: int,
    facts: CellCounts,
) -> None:
    """Write a part, whole or not at all; rows: totals of samples in order, in compressed sparse rows."""
    with output_files.replacing(path, shared=True) as unfinished, h5py.File(unfinished, "w") as file:
        _write_rows(file, rows, _kinds(samples, n_columns))
        content = np.frombuffer(samples.to_parquet(index=False), dtype=np.uint8)
        file.create_dataset("samples", data=content)
        file.attrs.update({"n_columns": n_columns, "facts": json.dumps(asdict(facts))})


def _kinds(samples: pd.DataFrame, n_columns: int) -> list[np.dtype[Any]]:
    """Smallest types for column numbers, sums and numbers of cells."""
    most = (n_columns, samples["n_counts"].max(), samples["n_cells"].max())
    return [np.min_scalar_type(0 if pd.isna(largest) else int(largest)) for largest in most]


def _write_rows(file: h5py.File, rows: Iterable[tuple[Ints, Codes, Ints]], kinds: list[np.dtype[Any]]) -> None:
    ends = [np.zeros(1, dtype=np.int64)]
    for name, kind in zip(ARRAYS, kinds, strict=True):
        file.create_dataset(name, (0,), kind, maxshape=(None,), chunks=VALUES_PER_CHUNK)
    for indptr, indices, totals in rows:
        start = file["sums"].shape[0]
        for name, values in zip(ARRAYS, (indices, totals & SUM_MASK, totals >> SUM_BITS), strict=True):
            file[name].resize((start + len(values),))
            file[name][start:] = values.astype(file[name].dtype)
        ends.append(indptr[1:] + start)
    file.create_dataset("indptr", data=np.concatenate(ends))


def merge(paths: Sequence[Path], path: Path, keys: Sequence[str], what: str) -> None:
    """Add parts up to one; the same parts in any order give the same.

    Raises:
        DataError: a sample's constants differ between parts, or its totals do not fit.
    """
    with ExitStack() as keep:
        parts = [opened(part_path, keep) for part_path in paths]
        if len(parts) == 1:
            os.replace(paths[0], path)
            return
        samples, places = _union(parts, list(keys), what)
        n_columns = parts[0].n_columns
        step = max(1, BATCH_BYTES // (8 * max(1, n_columns)))
        batches = ((start, min(start + step, len(samples))) for start in range(0, len(samples), step))
        rows = (_sum(parts, places, batch, n_columns) for batch in batches)
        write(path, rows, samples, n_columns, CellCounts.sum_of([part.facts for part in parts]))


def _union(parts: Sequence[Part], keys: list[str], what: str) -> tuple[pd.DataFrame, list[npt.NDArray[np.intp]]]:
    """Samples of all parts in the order of their keys, and where those of each part stand among them."""
    tables = [part.samples.astype(object) for part in parts]  # a column of nulls has another type in another part
    together = pd.concat(tables, ignore_index=True).infer_objects()
    grouped = together.groupby(keys, sort=True, dropna=False)
    numbers = grouped.ngroup().to_numpy()
    _, first = np.unique(numbers, return_index=True)
    samples = together.iloc[first].reset_index(drop=True)
    for constant in [name for name in together.columns if name not in (*keys, "n_cells", "n_counts")]:
        same = _same(together[constant], samples[constant].iloc[numbers])
        if not same.all():
            raise varies(what, constant, samples[keys].iloc[int(numbers[np.flatnonzero(~same)[0]])])
    for name in ("n_cells", "n_counts"):
        samples[name] = np.bincount(numbers, weights=together[name].astype(np.float64)).astype(np.int64)
    refuse_overflow(samples["n_cells"].to_numpy(), samples["n_counts"].to_numpy())
    ends = np.cumsum([len(part.samples) for part in parts])[:-1]
    return samples, np.split(numbers, ends)


def _same(left: pd.Series[Any], right: pd.Series[Any]) -> npt.NDArray[np.bool_]:
    a, b = left.to_numpy(dtype=object), right.to_numpy(dtype=object)
    return np.asarray((a == b) | (pd.isna(a) & pd.isna(b)), dtype=bool)


def _sum(
    parts: Sequence[Part], places: Sequence[npt.NDArray[np.intp]], batch: tuple[int, int], n_columns: int
) -> tuple[Ints, Codes, Ints]:
    """Totals of some samples over all parts; those of a part lie together, as both are in the order of keys."""
    pieces = []
    for part, place in zip(parts, places, strict=True):
        start, stop = np.searchsorted(place, batch)
        if stop > start:
            indptr, indices, sums, expressing = part.rows(int(start), int(stop))
            totals = sums.astype(np.int64) + (expressing.astype(np.int64) << SUM_BITS)
            pieces.append((place[start:stop] - batch[0], indptr, indices, totals))
    return added(pieces, batch[1] - batch[0], n_columns)


def fractions(expressing: sp.csr_matrix, n_cells: npt.NDArray[Any]) -> sp.csr_matrix:
    """Fraction of cells of each sample in which a gene was counted at all."""
    shares = expressing.astype(np.float32)
    shares.data /= np.repeat(n_cells.astype(np.float32), np.diff(shares.indptr))
    return shares
