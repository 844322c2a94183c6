"""PubChem's bulk files: streamed reading, and a local look-up in place of the REST service.

Two files are read, plain or gzipped: CID-InChI-Key (CID, InChI, InChIKey) and CID-SMILES (CID, SMILES), both
tab-separated without a header. `import_dump` turns one into a Parquet file; `Dump` answers from those files.
Whole PubChem is about 120 million lines: everything streams, and a batch of look-ups is one pass over a column.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from pbdb.common.errors import DataError, SourceError, VocabularyError
from pbdb.common.output_files import replacing
from pbdb.identity.compounds.pubchem_rest import Entry
from pbdb.readers.opening import open_bytes

INCHIKEYS: Final = "pubchem_inchikey.parquet"
SMILES: Final = "pubchem_smiles.parquet"

_BLOCK_BYTES = 16 << 20
_RULES = {
    "cid": (r"^[1-9][0-9]{0,17}$", "the CID is not a whole number"),
    "inchi": (r"^InChI=1", "the second column is not an InChI"),
    "inchikey": (r"^[A-Z]{14}-[A-Z]{10}-[A-Z]$", "the third column is not an InChIKey"),
    "smiles": (r"^\S+$", "the SMILES is empty or has a space"),
}


def read_cid_inchikey(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield batches (cid int64, inchi, inchikey) of a CID-InChI-Key file.

    Raises:
        DataError: a line is malformed; the message has its number.
        SourceError: the file cannot be read.
    """
    return _read(path, ("cid", "inchi", "inchikey"))


def read_cid_smiles(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield batches (cid int64, smiles) of a CID-SMILES file.

    Raises:
        DataError: a line is malformed; the message has its number.
        SourceError: the file cannot be read.
    """
    return _read(path, ("cid", "smiles"))


def import_dump(path: Path, folder: Path) -> int:
    """Write a dump of either kind as Parquet into a folder, replacing an older one; return its number of rows.

    Raises:
        DataError: a line is malformed; what was imported before stays.
        SourceError: the file cannot be read, or is neither kind.
    """
    kinds = {3: (INCHIKEYS, read_cid_inchikey), 2: (SMILES, read_cid_smiles)}
    columns = _number_of_columns(path)
    if columns not in kinds:
        raise SourceError(
            f"{path} is neither PubChem's CID-InChI-Key nor CID-SMILES: its first line has {columns} columns.",
            file=str(path),
            line=1,
        )
    name, read = kinds[columns]
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / name) as draft:
        return _write(read(path), draft, str(path.name))


class Dump:
    """A look-up over the imported files of a folder; it knows no names and no titles.

    Raises:
        VocabularyError: nothing has been imported into the folder.
    """

    def __init__(self, folder: Path):
        self._inchikeys, self._smiles = folder / INCHIKEYS, folder / SMILES
        if not self._inchikeys.exists() and not self._smiles.exists():
            raise VocabularyError(
                f"No PubChem file is in {folder}: run pbdb vocab import pubchem FILE with CID-InChI-Key or CID-SMILES.",
                file=str(folder),
            )

    def entries(self, cids: Collection[int]) -> dict[int, Entry | None]:
        """Return the compounds of CIDs; None where no file has the CID."""
        wanted = pa.table({"cid": pa.array(sorted(set(cids)), pa.int64())})
        smiles = dict(self._rows(self._smiles, "cid, smiles", wanted))
        keys = {cid: (key, inchi) for cid, key, inchi in self._rows(self._inchikeys, "cid, inchikey, inchi", wanted)}
        return {cid: _entry(cid, smiles.get(cid), *keys.get(cid, (None, None))) for cid in cids}

    def cids_of_inchikeys(self, inchikeys: Collection[str]) -> dict[str, tuple[int, ...]]:
        """Return all CIDs of each InChIKey, ascending; empty without a CID-InChI-Key file."""
        if not self._inchikeys.exists():
            return {}
        wanted = pa.table({"inchikey": pa.array(sorted(set(inchikeys)), pa.string())})
        cids_of: dict[str, list[int]] = {key: [] for key in inchikeys}
        for key, cid in self._rows(self._inchikeys, "inchikey, cid", wanted):
            cids_of[key].append(cid)
        return {key: tuple(sorted(cids)) for key, cids in cids_of.items()}

    def cids_of_names(self, names: Collection[str]) -> dict[str, tuple[int, ...]]:
        """Return nothing: the bulk files have no names."""
        return {}

    def _rows(self, path: Path, columns: str, wanted: pa.Table) -> list[tuple[Any, ...]]:
        import duckdb

        if not path.exists():
            return []
        with closing(duckdb.connect(config={"memory_limit": "1GB"})) as db:
            db.register("wanted", wanted)
            sql = f"SELECT {columns} FROM read_parquet(?) SEMI JOIN wanted USING ({wanted.column_names[0]})"
            return db.execute(sql, [str(path)]).fetchall()


def _entry(cid: int, smiles: str | None, inchikey: str | None, inchi: str | None) -> Entry | None:
    return Entry(cid, inchikey, smiles or inchi) if smiles or inchikey else None


def _read(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    line = 1
    malformed: list[Any] = []

    def refuse(row: Any) -> str:
        malformed.append(row)
        return "error"

    try:
        for batch in _open(path, columns, refuse):
            yield _checked(batch, path, line)
            line += batch.num_rows
    except pa.ArrowInvalid as error:
        if not malformed:
            raise DataError(f"{path} cannot be read from line {line} on: {error}.", file=str(path), line=line) from None
        row = malformed[0]
        raise DataError(
            f"{path}, line {row.number}: {row.actual_columns} columns where {row.expected_columns} are expected.",
            file=str(path),
            line=row.number,
        ) from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error}.", file=str(path)) from None


def _open(path: Path, columns: Sequence[str], refuse: Any) -> Any:
    return pyarrow.csv.open_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(column_names=list(columns), block_size=_BLOCK_BYTES, use_threads=False),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter="\t", quote_char=False, ignore_empty_lines=False, invalid_row_handler=refuse
        ),
        convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string())),
    )


def _checked(batch: pa.RecordBatch, path: Path, first_line: int) -> pa.RecordBatch:
    for name in batch.schema.names:
        pattern, sentence = _RULES[name]
        good = pc.match_substring_regex(batch[name], pattern)
        if not pc.all(good, min_count=0).as_py():
            line = first_line + pc.index(good, False).as_py()
            raise DataError(f"{path}, line {line}: {sentence}.", file=str(path), line=line)
    return batch.set_column(0, "cid", batch["cid"].cast(pa.int64()))


def _number_of_columns(path: Path) -> int:
    try:
        with open_bytes(path) as file:
            return int(file.readline(1 << 20).count(b"\t")) + 1
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path} cannot be read: {error}.", file=str(path)) from None


def _write(batches: Iterator[pa.RecordBatch], target: Path, origin: str) -> int:
    rows = 0
    writer: pq.ParquetWriter | None = None
    try:
        for batch in batches:
            writer = writer or pq.ParquetWriter(
                target, batch.schema.with_metadata({"pbdb.origin": origin}), compression="zstd"
            )
            writer.write_batch(batch)
            rows += batch.num_rows
    finally:
        if writer:
            writer.close()
    return rows
