"""Pool a range of cells of one file: read in blocks, filter, add up, and leave a part on disk."""

from __future__ import annotations

import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pbdb.common.arrays import Codes
from pbdb.common.errors import DataError
from pbdb.readers.csr import Rows, cell_matrix
from pbdb.samples.pseudobulk import parts as cell_parts
from pbdb.samples.pseudobulk.cell_filter import reasons, words
from pbdb.samples.pseudobulk.cell_table import CellTable, cell_table, constant_values
from pbdb.samples.pseudobulk.parts import CellCounts
from pbdb.samples.pseudobulk.sums import IS_MALAT1, PROBLEMS, Totals, measure
from pbdb.sources.pseudobulk_declaration import Pseudobulk

TOTALS_BYTES = 5 << 29
ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Genes:
    """Columns of the result by gene of the file, -1 for those not pooled; bits of each that say what it is."""

    columns: Codes
    marks: npt.NDArray[np.uint8]

    @property
    def n_columns(self) -> int:
        """Genes of the result."""
        return int(self.columns.max(initial=-1)) + 1


@dataclass(frozen=True)
class Range:
    """Cells start to stop of a file, as one task; address: of the file, curated: of its cell table."""

    address: str
    start: int
    stop: int
    declared: Pseudobulk
    genes: Genes
    curated: str | None = None
    threads: int = 1


def pool(task: Range, path: Path) -> None:
    """Pool the cells of a task and write them to `path`, whole or not at all.

    Raises:
        PbdbError: the file or its tables are damaged, or hold what cannot be right.
    """
    with cell_matrix(task.address, task.declared.matrix) as matrix, ThreadPoolExecutor(task.threads) as threads:
        table = cell_table(matrix, task.declared, task.curated, task.start, task.stop)
        pooling = _Pooling(task, table, path, threads)
        try:
            for rows in matrix.blocks(task.start, task.stop, task.threads):
                pooling.add(rows)
            pooling.finish()
        finally:
            pooling.tidy()


@dataclass
class _Pooling:
    """The pooling of one task; totals that grow too large are put aside as parts of their own."""

    task: Range
    table: CellTable
    path: Path
    threads: ThreadPoolExecutor
    left_out: Counter[str] = field(default_factory=Counter)
    aside: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        n_columns = self.task.genes.n_columns
        n_slots = TOTALS_BYTES // (8 * max(1, n_columns))
        self.totals = Totals(len(self.table.samples), n_columns, n_slots)
        self.kept = np.zeros(len(self.table.codes), dtype=bool)
        self.has_malat1 = bool((self.task.genes.marks & IS_MALAT1).any())

    def add(self, rows: Rows) -> None:
        """Filter and add a block of cells."""
        where = slice(rows.start - self.task.start, rows.start - self.task.start + len(rows))
        block = (rows.indptr, rows.indices, rows.data)
        measures, cell, problem = measure(*block, self.task.genes.marks, self.threads, self.task.threads)
        if problem:
            raise DataError(
                f"Cell {rows.start + cell:,} of '{self.task.address}' {PROBLEMS[problem]}.", file=self.task.address
            )
        stated = {name: values[where] for name, values in self.table.stated.items()}
        declared, codes = self.task.declared, self.table.codes[where]
        why = reasons(declared.filter, codes, declared.keys, stated, measures, self.has_malat1)
        self.kept[where] = why < 0
        self._count(why[why >= 0])
        cells = np.flatnonzero(why < 0)
        cells = cells[np.argsort(codes[cells], kind="stable")]
        self._put(cells, codes[cells], block, measures.n_counts)

    def _count(self, why: npt.NDArray[np.int8]) -> None:
        names = words(self.task.declared.keys)
        self.left_out.update({names[place]: int(n) for place, n in enumerate(np.bincount(why)) if n})

    def _put(self, cells: npt.NDArray[np.int64], codes: Codes, block: tuple[Any, ...], n_counts: Any) -> None:
        while len(cells):
            n = self.totals.room_for(codes, n_counts[cells])
            if n:
                self.totals.count(codes[:n], n_counts[cells[:n]])
                self.totals.add(cells[:n], codes[:n], block, self.task.genes.columns, self.threads, self.task.threads)
                cells, codes = cells[n:], codes[n:]
            else:
                if len(self.totals.present):
                    self._put_aside(CellCounts())
                self.totals.clear()

    def _put_aside(self, facts: CellCounts) -> None:
        folder = self.path.with_name(self.path.name + ".aside")
        folder.mkdir(exist_ok=True)
        self.aside.append(folder / f"{len(self.aside)}.h5")
        self._write(self.aside[-1], facts)

    def _write(self, path: Path, facts: CellCounts) -> None:
        present = self.totals.present
        values = constant_values(self.task.address, self.table, self.kept)
        samples = self.table.samples.assign(**values).iloc[present]
        samples = samples.assign(n_cells=self.totals.n_cells[present], n_counts=self.totals.n_counts[present])
        cell_parts.write(path, self.totals.rows(ROWS_AT_ONCE), samples, self.task.genes.n_columns, facts)

    def finish(self) -> None:
        """Write the part, from all that was put aside and what is left."""
        facts = CellCounts(len(self.kept), self.table.n_unnamed, dict(self.left_out))
        if not self.aside:
            self._write(self.path, facts)
        else:
            self._put_aside(facts)
            del self.totals  # gigabytes, which merging does not need
            cell_parts.merge(self.aside, self.path, self.task.declared.order, self.task.address)

    def tidy(self) -> None:
        """Remove what was put aside."""
        shutil.rmtree(self.path.with_name(self.path.name + ".aside"), ignore_errors=True)
