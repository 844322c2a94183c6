"""A matrix with the names of its samples and genes, put together block by block."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pbdb.common.errors import DataError
from pbdb.common.typed_cells import cleaned
from pbdb.readers.bombs import MOST_GENES, require_rows

Names = npt.NDArray[np.object_]
Block = tuple[list[str], npt.NDArray[np.float64]]


class Profiles(NamedTuple):
    """Names of samples and genes, and the values, samples x genes; a missing value is NaN.

    left_out: names of rows or columns of the file that are neither gene nor sample.
    """

    samples: Names
    genes: Names
    values: Any
    left_out: tuple[str, ...] = ()


def from_blocks(samples: list[str], blocks: Iterable[Block], sparse: bool) -> Profiles:
    """Put blocks of genes x samples together; transposed, rows of genes are columns of samples x genes."""
    import scipy.sparse as sp

    genes: list[str] = []
    parts: list[Any] = []
    for names, block in blocks:
        genes.extend(names)
        require_rows(len(genes), "The matrix", MOST_GENES)
        parts.append(sp.csr_array(as_counts(block)) if sparse else block)
    if not genes:
        raise DataError("The matrix holds no gene: it has a heading and nothing below it.")
    stacked = sp.vstack(parts, format="csr") if sparse else np.concatenate(parts)
    return Profiles(as_names(samples), as_names(genes), stacked.T)


def as_names(names: Iterable[Any]) -> Names:
    """Names as they are seen."""
    return np.array(["" if name is None else cleaned(str(name)) for name in names], dtype=object)


def as_counts(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return whole numbers that fit as int32, anything else as it is."""
    fits = np.isfinite(block).all() and block.size and np.abs(block).max() < np.iinfo(np.int32).max
    return block.astype(np.int32) if fits and (block == np.rint(block)).all() else block


def dense(columns: Iterable[Any], n_rows: int) -> npt.NDArray[np.float64]:
    """Stack Arrow columns; null is NaN."""
    arrays = [column.to_numpy(zero_copy_only=False) for column in columns]
    out = np.empty((n_rows, len(arrays)))
    for place, array in enumerate(arrays):
        out[:, place] = array
    return out
