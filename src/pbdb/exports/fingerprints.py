"""Fingerprints of compounds: Morgan, radius 2, 2048 bits, of the salt-free parent.

As Parquet (256 bytes: bit i of the fingerprint is bit i % 8, lowest first, of byte i // 8) or as chemfp's FPS
text format, version 1 (the same bytes in hexadecimal, a tab, and the InChIKey).
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pbdb.common import output_files
from pbdb.common.errors import ConfigError
from pbdb.common.settings import Settings
from pbdb.database.models.base import FINGERPRINT_BITS
from pbdb.exports import selection
from pbdb.exports.selection import Choice, Connection, Written

N_BYTES = FINGERPRINT_BITS // 8
ROWS_AT_ONCE = 10_000
TYPE = f"RDKit-Morgan/2 fpSize={FINGERPRINT_BITS} radius=2 useFeatures=0"
SCHEMA = pa.schema(
    [
        ("inchikey", pa.string()),
        ("parent_inchikey", pa.string()),
        ("compound_name", pa.string()),
        ("pubchem_cid", pa.int64()),
        ("smiles", pa.string()),
        ("fingerprint", pa.binary(N_BYTES)),
    ],
    metadata={"type": TYPE, "bit_order": "bit i is bit i % 8 (lowest first) of byte i // 8"},
)
Row = tuple[Any, ...]


class Fingerprints(Written):
    """What is told of a file of fingerprints: how many compounds, and whose."""

    compounds: int
    datasets: list[str]


def write(settings: Settings, choice: Choice, out: Path) -> Fingerprints:
    """Write the fingerprints of the compounds of the chosen datasets: to .parquet or .fps, in order of InChIKey.

    Raises:
        QueryError: a dataset is not there or may not be passed on.
        ConfigError: `out` exists, cannot be written, or ends with neither.
    """
    if out.suffix not in _WRITERS:
        raise ConfigError(f"'{out}' ends with neither .parquet nor .fps: the ending chooses the format.", file=str(out))
    with selection.snapshot(settings) as connection:
        names = selection.datasets(connection, choice)["dataset"].tolist()
        with output_files.file(out) as part:
            n_compounds = _WRITERS[out.suffix](part, _rows(connection, names))
    return {"out": str(out), "compounds": n_compounds, "datasets": names, "bytes": output_files.size(out)}


def _rows(connection: Connection, datasets: list[str]) -> Iterator[list[Row]]:
    with connection.cursor(name="fingerprints") as cursor:
        cursor.execute(_COMPOUNDS, {"datasets": datasets})
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            yield [(*row[:-1], to_bytes(row[-1])) for row in rows]


def to_bytes(bits: str) -> bytes:
    """0/1 text, bit 0 first, as bytes whose lowest bit comes first."""
    return np.packbits(np.frombuffer(bits.encode(), dtype=np.uint8) - ord("0"), bitorder="little").tobytes()


def _write_parquet(path: Path, blocks: Iterator[list[Row]]) -> int:
    n = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for block in blocks:
            columns = zip(*block, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA))
            n += len(block)
    return n


def _write_fps(path: Path, blocks: Iterator[list[Row]]) -> int:
    n = 0
    software = f"pbdb/{version('pbdb')} RDKit/{version('rdkit')}"
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f"#FPS1\n#num_bits={FINGERPRINT_BITS}\n#type={TYPE}\n#software={software}\n")
        for block in blocks:
            file.writelines(f"{row[-1].hex()}\t{row[0]}\n" for row in block)
            n += len(block)
    return n


_WRITERS = {".parquet": _write_parquet, ".fps": _write_fps}

_COMPOUNDS = """
SELECT k.inchikey, k.parent_inchikey, k.name, k.pubchem_cid, k.smiles, k.fingerprint::text
FROM core.compound k
WHERE k.fingerprint IS NOT NULL AND k.replaced_by IS NULL AND EXISTS (
    SELECT FROM core.source_compound s JOIN core.dataset d USING (dataset_id)
    WHERE s.compound_id = k.compound_id AND d.dataset = ANY(%(datasets)s))
ORDER BY k.inchikey"""
