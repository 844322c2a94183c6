"""Effects from Parquet into PostgreSQL, in both orientations, by COPY BINARY without a loop over rows."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import Connection, text

from pbdb.common.progress import Progress
from pbdb.database import copy_binary
from pbdb.database.copy_text import cursor
from pbdb.database.effect_arrays import BY_EFFECT, OF_LIMMA
from pbdb.effects.engine import OK
from pbdb.effects.stored_fit import BY_GENE, tile
from pbdb.exports.snapshots.arrow_schemas import table_of
from pbdb.exports.snapshots.effects_parquet import LANDMARK_T, ahead
from pbdb.exports.snapshots.parquet import require_plausible

Matrix = npt.NDArray[np.float32]
COLUMNS = [column.name for column in table_of("effect").columns]
BYTES_PER_BLOCK = 64 << 20


@dataclass(frozen=True)
class Names:
    """The tables that take the effects of a dataset, schema included: condition-major and gene-major."""

    by_effect: str
    by_gene: str


class Group(NamedTuple):
    """Some effects of a file, and how many of all of its effects have numbers."""

    path: Path
    n_full: int
    rows: pa.Table


def load(connection: Connection, paths: Sequence[Path], names: Names, scratch: Path, progress: Progress) -> None:
    """Copy the effects of some files; pooled ones also gene by gene, turned in the folder `scratch`."""
    encoder = copy_binary.Encoder()
    with closing(ahead(_groups(paths))) as groups:
        for path, of_file in groupby(groups, key=lambda group: group.path):
            turned = _load_file(connection, of_file, names, scratch, encoder)
            if turned is not None:
                turned.copy(connection, names.by_gene, encoder)
            progress(f"load {path.name}", 1, None)


def _groups(paths: Sequence[Path]) -> Generator[Group]:
    for path in paths:
        require_plausible(path)
        with pq.ParquetFile(path) as file:
            n_full = int(pc.sum(pc.equal(file.read(["status"])["status"], OK)).as_py() or 0)
            for number in range(file.num_row_groups):
                yield Group(path, n_full, file.read_row_group(number, COLUMNS, use_threads=False).combine_chunks())


def _load_file(
    connection: Connection, groups: Iterator[Group], names: Names, scratch: Path, encoder: copy_binary.Encoder
) -> Turned | None:
    """Copy the effects of one file; return its numbers gene by gene where they are pooled."""
    turned = None
    columns = ", ".join(COLUMNS)
    first = next(groups)
    if first.n_full and first.rows["sample_id"].null_count:
        turned = Turned(connection, first, scratch)
    command = f"COPY {names.by_effect} ({columns}) FROM STDIN (FORMAT binary, FREEZE)"
    with cursor(connection) as opened, opened.copy(command) as copy:
        copy.write(copy_binary.HEADER)
        for group in chain([first], groups):
            for rows in _alike(group.rows):
                copy.write(encoder.rows(_encoded(rows), rows.num_rows))
            if turned is not None:
                turned.add(group.rows)
        copy.write(copy_binary.TRAILER)
    return turned


def _alike(rows: pa.Table) -> Iterator[pa.Table]:
    """The rows in groups that have one status and the same columns null, so that all take the same number of bytes."""
    code = pc.dictionary_encode(rows["status"].combine_chunks()).indices.to_numpy().astype(np.int64)
    for name in COLUMNS:
        if rows[name].null_count:
            code = code * 2 + rows[name].is_null().to_numpy()
    codes = np.unique(code)
    if len(codes) == 1:
        yield rows
        return
    for kind in codes:
        yield rows.filter(pa.array(code == kind)).combine_chunks()


def _encoded(rows: pa.Table) -> dict[str, copy_binary.Value]:
    columns: dict[str, copy_binary.Value] = {}
    for name in COLUMNS:
        if not rows.num_rows or rows[name].null_count:
            columns[name] = None
        elif name == "status":
            columns[name] = rows[name][0].as_py()
        elif name == LANDMARK_T:
            columns[name] = _matrix(rows, name).astype(np.float16)
        else:
            columns[name] = _matrix(rows, name) if name in (*BY_EFFECT, *OF_LIMMA) else rows[name].to_numpy()
    return columns


def _matrix(rows: pa.Table, name: str) -> Matrix:
    flat: Matrix = rows[name].combine_chunks().flatten().to_numpy()
    return flat.reshape(rows.num_rows, -1)


class Turned:
    """The numbers of a fit gene by gene: filled a block of effects at a time, on disk."""

    def __init__(self, connection: Connection, first: Group, scratch: Path):
        self._facts = {name: first.rows[name][0].as_py() for name in ("dataset_id", "fit_id")}
        self._keys = np.asarray(connection.execute(_GENE_KEYS, self._facts).scalar_one(), dtype=np.int32)
        self._n_full, self._filled = first.n_full, 0
        self._tiles = {name: tile(scratch / name, (len(self._keys), self._n_full), "w+") for name in BY_GENE}
        for name in BY_GENE:
            (scratch / name).unlink(missing_ok=True)  # mapped still; the disk is free again however this ends

    def add(self, rows: pa.Table) -> None:
        """Take the numbers of some effects, which come in the order of the fit."""
        n_new = rows.num_rows - rows["log2_fc"].null_count
        if n_new:
            for name, values in self._tiles.items():
                values[:, self._filled : self._filled + n_new] = _matrix(rows.slice(0, n_new), name).T
        self._filled += n_new

    def copy(self, connection: Connection, name: str, encoder: copy_binary.Encoder) -> None:
        """Copy gene after gene."""
        step = max(1, BYTES_PER_BLOCK // (8 * len(BY_GENE) * self._n_full))
        command = f"COPY {name} (dataset_id, fit_id, gene_key, {', '.join(BY_GENE)}) FROM STDIN (FORMAT binary, FREEZE)"
        with cursor(connection) as opened, opened.copy(command) as copy:
            copy.write(copy_binary.HEADER)
            for start in range(0, len(self._keys), step):
                genes = slice(start, start + step)
                numbers = {statistic: values[genes] for statistic, values in self._tiles.items()}
                block: dict[str, copy_binary.Value] = {**self._facts, "gene_key": self._keys[genes], **numbers}
                copy.write(encoder.rows(block, len(self._keys[genes])))
            copy.write(copy_binary.TRAILER)


_GENE_KEYS = text("""
    SELECT s.gene_keys FROM core.fit f JOIN core.feature_set s ON s.feature_set_id = f.feature_set_id
    WHERE f.fit_id = :fit_id""")
