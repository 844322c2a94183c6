"""What stands beside shards: the compounds and the genes that occur in them, a row for each."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pbdb.exports import fingerprints, selection
from pbdb.exports.selection import Connection

COMPOUNDS = pa.schema([("perturbation", pa.string()), *fingerprints.SCHEMA], fingerprints.SCHEMA.metadata)
GENES = pa.schema(
    [
        ("readout", pa.string()),
        ("gene_symbol", pa.string()),
        ("gene_name", pa.string()),
        ("entrez_id", pa.int64()),
        ("is_landmark", pa.bool_()),
    ]
)


def write(connection: Connection, root: Path, key: str) -> None:
    """Write compounds.parquet and genes.parquet for the shards below a folder; key: what names a perturbation there.

    Of several compounds with one key the first InChIKey stands for all; a fingerprint is null where there is no
    structure.
    """
    files = sorted((root / "metadata").glob("*.parquet"))
    known = [pq.read_table(file, columns=["perturbations", "readouts"]) for file in files]
    named = {name: _occurring(known, name) for name in ("perturbations", "readouts")}
    found = selection.frame(connection, _COMPOUNDS.format(key=key), {"names": named["perturbations"]})
    found["fingerprint"] = found["fingerprint"].map(fingerprints.to_bytes, na_action="ignore")
    compounds = pa.Table.from_pandas(found, COMPOUNDS, preserve_index=False)
    pq.write_table(compounds.replace_schema_metadata(COMPOUNDS.metadata), root / "compounds.parquet")
    genes = selection.frame(connection, _GENES, {"names": named["readouts"]})
    pq.write_table(pa.Table.from_pandas(genes, GENES, preserve_index=False), root / "genes.parquet")


def _occurring(tables: list[pa.Table], column: str) -> list[str]:
    names = pa.concat_arrays([pc.list_flatten(table[column].combine_chunks()) for table in tables])
    return sorted(pc.unique(names).to_pylist())


# Which columns name a perturbation is decided by the code, never by a user's text.
_COMPOUNDS = """
SELECT DISTINCT ON (perturbation) k.{key}::text AS perturbation, k.inchikey, k.parent_inchikey,
    k.name AS compound_name, k.pubchem_cid, k.smiles, k.fingerprint::text AS fingerprint
FROM core.compound k
WHERE k.{key}::text = ANY(%(names)s) AND k.replaced_by IS NULL
ORDER BY perturbation, k.inchikey IS DISTINCT FROM k.parent_inchikey, k.inchikey"""
_GENES = """
SELECT g.gene_id AS readout, g.symbol AS gene_symbol, g.name AS gene_name, g.entrez_id, g.is_landmark
FROM core.gene g WHERE g.gene_id = ANY(%(names)s) ORDER BY g.gene_key"""
