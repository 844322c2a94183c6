"""GCTX 1.0, the HDF5 container of L1000: ids, metadata, and the matrix in blocks of profiles.

`/0/DATA/0/matrix` is stored profiles x genes (the format's row and column are seen from the transpose), though
files with genes x profiles exist too; which it is shows in its shape. Nothing here reads more of the matrix than
the block that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb.common.errors import DataError
from pbdb.common.output_files import Unfinished
from pbdb.readers import chunks
from pbdb.readers.gct import Profiles, known
from pbdb.readers.tables import damaged, missing

if TYPE_CHECKING:
    import h5py

MATRIX, ROW, COLUMN = "/0/DATA/0/matrix", "/0/META/ROW", "/0/META/COL"
VERSION = b"GCTX1.0"
MISSING = -666
BLOCK_BYTES = 64 << 20
CHUNK_VALUES, GENES_OF_CHUNK = 1 << 18, 1000


class GctxBlock(NamedTuple):
    """Some profiles: their positions among the columns of the file, and values (profiles x asked rows, float32)."""

    columns: npt.NDArray[np.intp]
    values: npt.NDArray[np.float32]


class Gctx:
    """A GCTX file. In its own words rows are genes and columns are profiles.

    Opening checks the structure, and reads neither metadata nor matrix.

    Raises:
        SourceError: there is no such file.
        DataError: it is no GCTX file, or damaged, or a node has a shape or type that makes no sense.
    """

    def __init__(self, path: Path):
        import h5py

        self.path = path
        with self._open() as file:
            matrix = self._node(file, MATRIX)
            if not isinstance(matrix, h5py.Dataset) or matrix.ndim != 2 or matrix.dtype.kind != "f":
                kind = getattr(matrix, "dtype", "no")
                raise DataError(
                    f"'{path.name}': {MATRIX} holds {kind} values; a matrix of floats is needed.", file=path.name
                )
            self.shape = (len(self._ids(file, ROW)), len(self._ids(file, COLUMN)))
            self.profiles_first = self._orientation(matrix.shape)

    def _orientation(self, stored: tuple[int, ...]) -> bool:
        """Whether the matrix is stored profiles x genes; a square one counts as such."""
        if stored == self.shape[::-1]:
            return True
        if stored == self.shape:
            return False
        raise DataError(
            f"'{self.path.name}' has a matrix of {stored[0]:,} x {stored[1]:,}, but {self.shape[0]:,} row ids and "
            f"{self.shape[1]:,} column ids: it is damaged or not a GCTX file.",
            file=self.path.name,
        )

    @cached_property
    def row_ids(self) -> npt.NDArray[Any]:
        """Ids of the genes, as text."""
        return self._unique_ids(ROW)

    @cached_property
    def column_ids(self) -> npt.NDArray[Any]:
        """Ids of the profiles, as text."""
        return self._unique_ids(COLUMN)

    def rows(self) -> pd.DataFrame:
        """Metadata of the genes by id; text, numbers or booleans as stored, -666 missing."""
        return self._metadata(ROW, self.row_ids)

    def columns(self) -> pd.DataFrame:
        """Metadata of the profiles by id; text, numbers or booleans as stored, -666 missing."""
        return self._metadata(COLUMN, self.column_ids)

    def blocks(
        self,
        rows: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        block_bytes: int = BLOCK_BYTES,
    ) -> Iterator[GctxBlock]:
        """Read rows by id (in the order given) of profiles by id (in the order of the file), block by block.

        None: all of them. block_bytes bounds the values of a block (the profiles of one chunk are the least).

        Raises:
            DataError: an id is not in the file, or the matrix is damaged.
        """
        wanted = _positions(self.row_ids, rows, "row", self.path)
        profiles = np.sort(_positions(self.column_ids, columns, "column", self.path))
        with self._open() as file:
            for found, values in chunks.read(file[MATRIX], self.profiles_first, wanted, profiles, block_bytes):
                values[values == MISSING] = np.nan
                yield GctxBlock(found, values)

    def read(self, rows: Sequence[str] | None = None, columns: Sequence[str] | None = None) -> Profiles:
        """Read rows and profiles with their metadata, all at once."""
        wanted = _positions(self.row_ids, rows, "row", self.path)
        blocks = list(self.blocks(rows, columns))
        profiles = np.concatenate([np.empty(0, np.intp), *(block.columns for block in blocks)])
        values = np.concatenate([np.empty((0, len(wanted)), np.float32), *(block.values for block in blocks)])
        return Profiles(values, self.rows().iloc[wanted], self.columns().iloc[profiles])

    @contextmanager
    def _open(self) -> Iterator[h5py.File]:
        import h5py

        if not self.path.is_file():
            raise missing(self.path)
        with self.path.open("rb") as raw:
            if raw.read(2) == b"\x1f\x8b":
                raise DataError(
                    f"'{self.path.name}' is compressed as a whole: unpack it first (gunzip).", file=self.path.name
                )
        try:
            with h5py.File(self.path) as file:
                yield file
        except chunks.DAMAGE as problem:
            raise damaged(self.path, problem) from None

    def _node(self, file: h5py.File, name: str) -> Any:
        try:
            return file[name]
        except KeyError:
            raise DataError(
                f"'{self.path.name}' has no node {name}: it is not a GCTX 1.0 file.", file=self.path.name
            ) from None

    def _ids(self, file: h5py.File, group: str) -> h5py.Dataset:
        ids = self._node(file, f"{group}/id")
        if getattr(ids, "ndim", None) != 1:
            raise DataError(f"'{self.path.name}': {group}/id is not a list of ids.", file=self.path.name)
        return ids

    def _unique_ids(self, group: str) -> npt.NDArray[Any]:
        with self._open() as file:
            ids = _texts(self._ids(file, group)[:])
        twice = pd.Series(ids).duplicated()
        if twice.any():
            raise DataError(
                f"'{self.path.name}': the id '{ids[twice.argmax()]}' stands twice in {group}/id.",
                file=self.path.name,
                value=ids[twice.argmax()],
            )
        return ids

    def _metadata(self, group: str, ids: npt.NDArray[Any]) -> pd.DataFrame:
        import h5py

        fields: dict[str, pd.Series[Any]] = {}
        with self._open() as file:
            for name, node in self._node(file, group).items():
                if name == "id":
                    continue
                if not isinstance(node, h5py.Dataset) or node.shape != ids.shape:
                    raise DataError(
                        f"'{self.path.name}': {group}/{name} has not one value for each of {len(ids)} ids.",
                        file=self.path.name,
                    )
                fields[name] = _field(node[:])
        return pd.DataFrame(fields, index=pd.Index(ids, name="id", dtype=object))


def _positions(
    ids: npt.NDArray[Any], wanted: Sequence[str] | None, what: Literal["row", "column"], path: Path
) -> npt.NDArray[np.intp]:
    if wanted is None:
        return np.arange(len(ids))
    positions = pd.Index(ids).get_indexer(np.asarray(wanted, dtype=object))
    if (positions < 0).any():
        absent = [name for name, position in zip(wanted, positions, strict=True) if position < 0]
        raise DataError(
            f"'{path.name}' has no {what} '{absent[0]}' ({len(absent)} such ids).", file=path.name, value=absent[0]
        )
    return np.asarray(positions, dtype=np.intp)


def _texts(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Ids of any type as text; a whole number has no decimals."""
    if values.dtype.kind == "f" and (values == np.floor(values)).all():
        values = values.astype(np.int64)
    return np.array([_text(value) for value in values.tolist()], dtype=object)


def _text(value: object) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode("utf-8").rstrip("\0")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _field(values: npt.NDArray[Any]) -> Any:
    """A metadata field: text with None, or numbers with NaN (Int64 with NA) where it says -666."""
    if values.dtype.kind in "SOU":
        return known(_text(value) for value in values.tolist())
    if values.dtype.kind == "f":
        return np.where(values == MISSING, np.nan, values)
    if values.dtype.kind in "iu":
        return pd.arrays.IntegerArray(values.astype(np.int64), values == MISSING)
    return values


# --- writing -------------------------------------------------------------------------------------------------


class Writer:
    """Write a GCTX file, a block of profiles at a time; it gets its name only when `finish` has written it all.

    rows: metadata of the genes, by id. level: of gzip (None: as is). chunk: profiles x genes of a chunk; by default
    as in the published files, 1 MiB of up to 1,000 genes.
    """

    def __init__(
        self, path: Path, rows: pd.DataFrame, *, level: int | None = 4, chunk: tuple[int, int] | None = None
    ) -> None:
        import h5py

        self._rows, self._unfinished = rows, Unfinished(path)
        self._file = h5py.File(self._unfinished.path, "w")
        self._file.attrs["version"] = np.bytes_(VERSION)
        self._file.attrs["src"] = path.name
        self._matrix = self._file.create_dataset(
            MATRIX,
            (0, len(rows)),
            "f4",
            maxshape=(None, len(rows)),
            chunks=chunk or _chunk(len(rows)),
            compression=None if level is None else "gzip",
            compression_opts=level,
        )

    def add(self, values: npt.NDArray[Any]) -> None:
        """Append profiles x genes."""
        start = self._matrix.shape[0]
        self._matrix.resize(start + len(values), axis=0)
        self._matrix[start:] = values

    def finish(self, columns: pd.DataFrame) -> None:
        """Write the metadata, of the profiles too, and give the file its name."""
        n_profiles = self._matrix.shape[0]
        if len(columns) != n_profiles:
            self.abandon()
            raise DataError(f"There are {n_profiles} profiles, but metadata of {len(columns)}.")
        for group, table in ((ROW, self._rows), (COLUMN, columns)):
            _write_metadata(self._file, group, table)
        self._file.close()
        self._unfinished.finish()

    def abandon(self) -> None:
        """Close and remove what was written so far."""
        self._file.close()
        self._unfinished.abandon()


def _chunk(n_genes: int) -> tuple[int, int]:
    wide = max(1, min(n_genes, GENES_OF_CHUNK))
    return CHUNK_VALUES // wide, wide


def write(path: Path, profiles: Profiles, level: int | None = 4) -> None:
    """Write profiles with their metadata as a GCTX file."""
    writer = Writer(path, profiles.rows, level=level)
    try:
        writer.add(profiles.values)
        writer.finish(profiles.columns)
    except BaseException:
        writer.abandon()
        raise


def _write_metadata(file: h5py.File, group: str, table: pd.DataFrame) -> None:
    fields = {"id": pd.Series(table.index)} | {str(name): table[name] for name in table.columns}
    for name, values in fields.items():
        stored = _stored(values)
        file.create_dataset(f"{group}/{name}", data=stored, compression="gzip" if len(stored) else None)


def _stored(values: pd.Series[Any]) -> npt.NDArray[Any]:
    """A field as fixed-length UTF-8 or numbers, -666 where missing."""
    if values.dtype.kind in "iufb":
        if values.dtype.kind != "f" and values.isna().any():
            values = values.astype("Int64")  # a float would not hold every id
        return values.fillna(MISSING).to_numpy(dtype=values.dtype.type)
    texts = [str(MISSING) if pd.isna(value) else str(value) for value in values]
    return np.array([text.encode() for text in texts] or [b""], dtype=np.bytes_)[: len(texts)]
