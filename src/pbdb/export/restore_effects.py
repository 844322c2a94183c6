"""Effects from Parquet into PostgreSQL, in both orientations, by COPY BINARY without a loop over rows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import Connection, text

from pbdb import copybinary
from pbdb.copytext import cursor
from pbdb.export.columns import table_of
from pbdb.export.effects import LANDMARK, ahead
from pbdb.stored_fit import BY_EFFECT, BY_GENE, tile

Progress = Callable[[str, int, int | None], None]
Matrix = npt.NDArray[np.float32]
COLUMNS = [column.name for column in table_of("effect").columns]
SCALARS = [name for name in COLUMNS if name not in (*BY_EFFECT, LANDMARK)]
BYTES_PER_BLOCK = 64 << 20


@dataclass(frozen=True)
class Names:
    """The tables that take the effects of a dataset, schema included: condition-major and gene-major."""

    by_effect: str
    by_gene: str


def load(connection: Connection, path: Path, names: Names, scratch: Path, progress: Progress) -> None:
    """Copy the effects of one file; pooled ones also gene by gene, turned in the folder `scratch`."""
    with pq.ParquetFile(path) as file:
        facts = file.read(["fit_id", "dataset_id", "mode"]).slice(0, 1).to_pylist()
        if not facts:
            return
        turned = _Turned(connection, facts[0], _n_full(file), scratch) if facts[0]["mode"] == "pooled" else None
        columns = ", ".join(COLUMNS)
        encoder = copybinary.Encoder()
        with (
            cursor(connection) as opened,
            opened.copy(f"COPY {names.by_effect} ({columns}) FROM STDIN (FORMAT binary, FREEZE)") as copy,
            closing(ahead(_groups(file))) as groups,
        ):
            copy.write(copybinary.HEADER)
            for group in groups:
                for rows in _alike(group):
                    copy.write(encoder.rows(_encoded(rows), rows.num_rows))
                if turned is not None:
                    turned.add(group)
                progress(f"load {path.name}", group.num_rows, None)
            copy.write(copybinary.TRAILER)
    if turned is not None:
        turned.copy(connection, names.by_gene)


def _groups(file: pq.ParquetFile) -> Generator[pa.Table]:
    for number in range(file.num_row_groups):
        yield file.read_row_group(number, COLUMNS, use_threads=False).combine_chunks()


def _n_full(file: pq.ParquetFile) -> int:
    """Effects that have numbers: all that are ok."""
    return int(pc.sum(pc.equal(file.read(["status"])["status"], "ok")).as_py() or 0)


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
    for one in codes:
        yield rows.filter(pa.array(code == one)).combine_chunks()


def _encoded(rows: pa.Table) -> dict[str, copybinary.Value]:
    found: dict[str, copybinary.Value] = {}
    for name in COLUMNS:
        if not rows.num_rows or rows[name].null_count:
            found[name] = None
        elif name == "status":
            found[name] = rows[name][0].as_py()
        elif name == LANDMARK:
            found[name] = _matrix(rows, name).astype(np.float16)
        else:
            found[name] = _matrix(rows, name) if name in BY_EFFECT else rows[name].to_numpy()
    return found


def _matrix(rows: pa.Table, name: str) -> Matrix:
    flat: Matrix = rows[name].combine_chunks().flatten().to_numpy()
    return flat.reshape(rows.num_rows, -1)


class _Turned:
    """The numbers of a fit gene by gene: filled a block of effects at a time, on disk."""

    def __init__(self, connection: Connection, facts: dict[str, Any], n_full: int, scratch: Path):
        self._facts = {"dataset_id": facts["dataset_id"], "fit_id": facts["fit_id"]}
        self._keys = np.asarray(connection.execute(_GENE_KEYS, facts).scalar_one(), dtype=np.int32)
        self._tiles = {name: tile(scratch / name, (len(self._keys), n_full), "w+") for name in BY_GENE}
        for name in BY_GENE:
            (scratch / name).unlink(missing_ok=True)  # mapped still; the disk is free again however this ends
        self._n_full, self._filled = n_full, 0

    def add(self, rows: pa.Table) -> None:
        """Take the numbers of some effects, which come in the order of the fit."""
        n_new = rows.num_rows - rows["log2_fc"].null_count
        if n_new:
            for name, values in self._tiles.items():
                values[:, self._filled : self._filled + n_new] = _matrix(rows.slice(0, n_new), name).T
        self._filled += n_new

    def copy(self, connection: Connection, name: str) -> None:
        """Copy gene after gene."""
        if not self._n_full:
            return
        encoder = copybinary.Encoder()
        step = max(1, BYTES_PER_BLOCK // (8 * len(BY_GENE) * self._n_full))
        command = f"COPY {name} (dataset_id, fit_id, gene_key, {', '.join(BY_GENE)}) FROM STDIN (FORMAT binary, FREEZE)"
        with cursor(connection) as opened, opened.copy(command) as copy:
            copy.write(copybinary.HEADER)
            for start in range(0, len(self._keys), step):
                genes = slice(start, start + step)
                numbers = {one: values[genes] for one, values in self._tiles.items()}
                block: dict[str, copybinary.Value] = {**self._facts, "gene_key": self._keys[genes], **numbers}
                copy.write(encoder.rows(block, len(self._keys[genes])))
            copy.write(copybinary.TRAILER)


_GENE_KEYS = text("""
    SELECT s.gene_keys FROM core.fit f JOIN core.feature_set s ON s.feature_set_id = f.feature_set_id
    WHERE f.fit_id = :fit_id""")
