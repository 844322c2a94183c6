"""Which cells are pooled, and why the others are not: one reason each, the first that holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pbdb.common.arrays import Codes
from pbdb.samples.pseudobulk.sums import Measures
from pbdb.sources.pseudobulk_declaration import CellFilter

COUNT_SCALE = 10_000
Floats = npt.NDArray[np.floating[Any]]


def reasons(
    rules: CellFilter,
    codes: Codes,
    keys: Sequence[str],
    stated: Mapping[str, Floats],
    measures: Measures,
    has_malat1: bool,
) -> npt.NDArray[np.int8]:
    """Place of each cell's reason in `words`, or -1 where it is pooled.

    codes: samples of cells, -1 - k where key k is null. given: columns of the cell table by name, which go before
    what was found in the matrix. A value that is missing fails its bound.
    """
    n_genes = _first(stated, rules.n_genes, measures.n_genes)
    n_counts = _first(stated, rules.n_counts, measures.n_counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        mito = stated[rules.mito] if rules.mito is not None else measures.mito / measures.n_counts
        malat1 = np.log1p(COUNT_SCALE * measures.malat1 / n_counts)
    failed = [
        _below(n_genes, rules.min_genes),
        _below(n_counts, rules.min_counts),
        ~(mito <= rules.max_mito) if rules.max_mito is not None else np.zeros(len(codes), dtype=bool),
        *(codes == -1 - place for place in range(len(keys))),
        _below(malat1, rules.malat1 if has_malat1 else None),
    ]
    first = np.argmax(failed, axis=0).astype(np.int8)
    return np.where(np.any(failed, axis=0), first, np.int8(-1))


def words(keys: Sequence[str]) -> list[str]:
    """Reasons by place, in the order in which they are looked at."""
    return ["few_genes", "few_counts", "mitochondrial", *(f"null {key}" for key in keys), "low_malat1"]


def _first(stated: Mapping[str, Floats], name: str | None, measured: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return stated[name] if name is not None else measured


def _below(values: npt.NDArray[Any], bound: float | None) -> npt.NDArray[np.bool_]:
    return ~(values >= bound) if bound is not None else np.zeros(len(values), dtype=bool)
