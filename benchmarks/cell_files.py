"""Cells x genes at the sparsity of Tahoe-100M, written to an h5ad file as fast as the disk takes it.

Each cell draws its counts from its context's distribution over genes (a village of contexts in every well, cells in no
order). Matrices go to the file in chunks compressed by ISA-L in threads.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from isal import isal_zlib
from numba import njit

CHUNK = 1 << 18
CELLS_A_BATCH = 1 << 13
GENES_OF_TAHOE = 62_710
COUNTS_A_CELL = 3_600  # at Tahoe's width; about 1,900 genes are then detected
MALAT1, SHARE_OF_MALAT1 = "ENSG00000251562", 0.02
CONTEXTS, WELLS, TREATMENTS = 50, 96, 95
SPREAD = 2.1  # standard deviation of a gene's level, natural logarithm


def distributions(n_genes: int, n_contexts: int, seed: int = 1) -> np.ndarray:
    """Cumulated shares of genes, contexts x genes; the last gene is MALAT1."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0, SPREAD, n_genes) + rng.normal(0, 0.7, (n_contexts, n_genes))
    share = np.exp(level)
    share[:, -1] = 0
    share *= (1 - SHARE_OF_MALAT1) / share.sum(axis=1, keepdims=True)
    share[:, -1] = SHARE_OF_MALAT1
    return np.cumsum(share, axis=1)


@njit(nogil=True, cache=True)
def draw(shares, guides, contexts, n_counts, seed):
    """Counts of some cells in compressed sparse rows: ascending uniforms walk along the cumulated shares."""
    np.random.seed(seed)
    n_guides = guides.shape[1] - 1
    indptr = np.zeros(len(contexts) + 1, np.int64)
    indices, data = np.empty(n_counts.sum(), np.int32), np.empty(n_counts.sum(), np.float32)
    at = 0
    for cell in range(len(contexts)):
        share, guide, n = shares[contexts[cell]], guides[contexts[cell]], n_counts[cell]
        steps = np.empty(n + 1)
        for place in range(n + 1):
            steps[place] = -np.log(1 - np.random.random())
        sums = np.cumsum(steps)
        gene, last = 0, -1
        for place in range(n):
            u = sums[place] / sums[n]
            gene = max(gene, guide[int(u * n_guides)])
            while share[gene] < u and gene < len(share) - 1:
                gene += 1
            if gene == last:
                data[at - 1] += 1
            else:
                indices[at], data[at], last = gene, 1, gene
                at += 1
        indptr[cell + 1] = at
    return indptr, indices[:at].copy(), data[:at].copy()


def guides(shares: np.ndarray, n: int = 1 << 16) -> np.ndarray:
    """First gene whose cumulated share reaches each of n + 1 even steps."""
    steps = np.arange(n + 1) / n
    return np.stack([np.minimum(np.searchsorted(one, steps), len(one) - 1) for one in shares]).astype(np.int32)


class ChunkWriter:
    """Append values to a compressed HDF5 array, whole chunks at a time."""

    def __init__(self, group: h5py.Group, name: str, dtype: str, pool: ThreadPoolExecutor):
        self._array = group.create_dataset(
            name, (0,), dtype, maxshape=(None,), chunks=CHUNK, compression="gzip", compression_opts=1
        )
        self._pool, self._rest, self.n = pool, np.empty(0, dtype), 0

    def add(self, values: np.ndarray, *, last: bool = False) -> None:
        """Write full chunks, keep the rest; the last chunk is filled up with zeros."""
        values = np.concatenate([self._rest, values])
        n_chunks = -(-len(values) // CHUNK) if last else len(values) // CHUNK
        chunks = [values[start : start + CHUNK] for start in range(0, n_chunks * CHUNK, CHUNK)]
        self._array.resize((self.n + (len(values) if last else n_chunks * CHUNK),))
        for number, packed in enumerate(self._pool.map(_packed, chunks)):
            self._array.id.write_direct_chunk((self.n + number * CHUNK,), packed)
        self.n += n_chunks * CHUNK
        self._rest = values[n_chunks * CHUNK :]


def _packed(values: np.ndarray) -> bytes:
    full = np.zeros(CHUNK, values.dtype)
    full[: len(values)] = values
    return isal_zlib.compress(full.tobytes(), 1)


def write(path: Path, n_cells: int, n_genes: int, n_contexts: int = CONTEXTS, plate: str = "plate1") -> dict[str, int]:
    """Write one plate of cells; return its sizes."""
    from anndata.io import write_elem

    rng = np.random.default_rng(7)
    contexts, wells = rng.integers(0, n_contexts, n_cells), rng.integers(0, WELLS, n_cells)
    mean = max(20, COUNTS_A_CELL * n_genes // GENES_OF_TAHOE)
    n_counts = np.maximum(mean // 3, mean * rng.lognormal(0, 0.3, n_cells)).astype(np.int64)
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        n_values = _write_matrix(file, contexts, n_counts, n_genes)
        write_elem(file, "obs", _obs(contexts, wells, plate))
        write_elem(file, "var", pd.DataFrame(index=[*(f"ENSG{900_000 + i:011d}" for i in range(n_genes - 1)), MALAT1]))
    return {"cells": n_cells, "genes": n_genes, "values": n_values, "bytes": path.stat().st_size}


def _write_matrix(file: h5py.File, contexts: np.ndarray, n_counts: np.ndarray, n_genes: int) -> int:
    shares = distributions(n_genes, int(contexts.max()) + 1)
    guide, group, ends = guides(shares), file.create_group("X"), [np.zeros(1, np.int64)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        arrays = {name: ChunkWriter(group, name, kind, pool) for name, kind in (("data", "f4"), ("indices", "i4"))}
        starts = range(0, len(contexts), CELLS_A_BATCH)
        ahead = [pool.submit(_drawn, shares, guide, contexts, n_counts, start) for start in starts[:4]]
        for place in range(len(starts)):
            indptr, indices, data = ahead.pop(0).result()
            if place + 4 < len(starts):
                ahead.append(pool.submit(_drawn, shares, guide, contexts, n_counts, starts[place + 4]))
            ends.append(indptr[1:] + ends[-1][-1])
            arrays["data"].add(data)
            arrays["indices"].add(indices)
        for name, kind in (("data", "f4"), ("indices", "i4")):
            arrays[name].add(np.empty(0, kind), last=True)
    group.create_dataset("indptr", data=np.concatenate(ends))
    group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
    group.attrs["shape"] = np.array([len(contexts), n_genes])
    return int(ends[-1][-1])


def _drawn(shares: np.ndarray, guide: np.ndarray, contexts: np.ndarray, n_counts: np.ndarray, start: int) -> tuple:
    some = slice(start, start + CELLS_A_BATCH)
    return draw(shares, guide, contexts[some], n_counts[some], start)


def _obs(contexts: np.ndarray, wells: np.ndarray, plate: str) -> pd.DataFrame:
    names = [f"{well + 1:02d}_{cell:07d}-lib_1" for cell, well in enumerate(wells.tolist())]
    drugs = np.array([f"drug{i:03d}" for i in range(TREATMENTS)])
    drugs[0] = "DMSO_TF"
    columns = {
        "plate": pd.Categorical.from_codes(np.zeros(len(wells), int), [plate]),
        "well": pd.Categorical.from_codes(wells, [f"{row}{column}" for row in "ABCDEFGH" for column in range(1, 13)]),
        "drug": pd.Categorical.from_codes(wells % TREATMENTS, drugs),  # the first and the last well are vehicle
        "cell_line": pd.Categorical.from_codes(contexts, [f"CVCL_{i:04d}" for i in range(int(contexts.max()) + 1)]),
    }
    return pd.DataFrame(columns, index=names)
