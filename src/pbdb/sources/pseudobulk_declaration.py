"""How a source says that a file holds single cells, and how they become samples.

    File("plate1.h5ad", readers.cell_matrix, pseudobulk=Pseudobulk(("plate", "well", "drug", "line"), table="obs1"))

Cells with the same keys are one sample: counts are added up, cells are counted. `files["plate1"]` then gives blocks of
samples, never cells, so that `blocks` of the source goes on as with any other profiles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pbdb.common.errors import SourceError

if TYPE_CHECKING:
    import pandas as pd

MALAT1 = "ENSG00000251562"


@dataclass(frozen=True)
class CellFilter:
    """Which cells are pooled; a cell that is not is counted under its first reason. A bound of None is not applied.

    In this order: few_genes, few_counts, mitochondrial (share above max_mito, a fraction, or unknown), null in a key
    (`null plate`), low_malat1: log1p(10000 x MALAT1 / counts) below the bound, left out with a warning where the file
    has no such gene. n_genes, n_counts, mito: columns of the cell table that hold these numbers; None: they are
    counted in the matrix over the genes that are pooled, mitochondrial ones by their symbols (MT-...).
    """

    min_genes: int | None = 250
    min_counts: int | None = 700
    max_mito: float | None = 0.2
    malat1: float | None = 3.5
    n_genes: str | None = None
    n_counts: str | None = None
    mito: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the cell table it reads."""
        return tuple(name for name in (self.n_genes, self.n_counts, self.mito) if name is not None)


EVERY_CELL = CellFilter(min_genes=None, min_counts=None, max_mito=None, malat1=None)


@dataclass(frozen=True)
class Pseudobulk:
    """The file is cells x genes, counts in compressed sparse rows; cells with the same keys are pooled to a sample.

    keys: columns that name a sample; a cell with a null in one is dropped. constants: columns a sample keeps; they must
    be the same in all its cells. table: key in `files` of a curated cell table (Parquet), left-joined on the names of
    the cells where it is among the files; of columns with one name its own wins. derive: from a part of the cell table
    (index: names of the cells) to the same rows with further or other columns, row by row; it sees keys, constants,
    columns of the filter and `columns`, as far as the file has them. genes: from the files and the matrix's own gene
    table to a table in the same order with the columns `feature` (as `Features` names it; null: the gene is not pooled,
    and counted so) and `symbol`; None: the names of the genes, and their column `symbol` (else the names) as symbols.
    context: the key that tells contexts apart, if one does: samples of a context lie together, for they are fitted, and
    so read, together.
    """

    keys: tuple[str, ...]
    constants: tuple[str, ...] = ()
    filter: CellFilter = CellFilter()
    table: str | None = None
    columns: tuple[str, ...] = ()
    derive: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    genes: Callable[[Any, pd.DataFrame], pd.DataFrame] | None = None
    matrix: str = "X"
    context: str | None = None

    def __post_init__(self) -> None:
        if self.context not in (None, *self.keys):
            raise SourceError(f"Pseudobulk(context='{self.context}') is none of the keys {', '.join(self.keys)}.")

    @property
    def order(self) -> tuple[str, ...]:
        """The keys in the order by which samples are sorted."""
        return self.keys if self.context is None else (self.context, *(key for key in self.keys if key != self.context))
