"""Vocabularies in the database: genes of one current release, with retired ids and synonyms."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Engine, text

from pbdb.copytext import copy_frame, cursor, upsert
from pbdb.errors import VocabularyError
from pbdb.genes import GeneVocabulary, build_vocabulary, read_genes
from pbdb.ids import stable_id, stable_ids

GENES = "genes"
GENE_COLUMNS = (
    "gene_key", "gene_id", "symbol", "name", "biotype", "chromosome", "entrez_id", "hgnc_id", "is_landmark",
    "landmark_index",
)  # fmt: skip


def import_genes(engine: Engine, path: Path, kind: str | None = None, release: str | None = None) -> dict[str, Any]:
    """Read a published gene table and make it part of the current vocabulary.

    Returns:
        kind, release and the numbers of genes, retired ids and synonyms after the import.

    Raises:
        VocabularyError: the file is not one of the known forms, or there is no such file.
    """
    if not path.is_file():
        raise VocabularyError(f"There is no file '{path}' to import.")
    part = read_genes(path, kind)
    with engine.begin() as connection:
        known = build_vocabulary([part], gene_vocabulary(connection), release)
        _write_genes(connection, known)
        _record(connection, GENES, known.release, path, len(known.genes))
    return {
        "kind": GENES,
        "release": known.release,
        "genes": len(known.genes),
        "retired": len(known.replacements),
        "synonyms": len(known.synonyms),
    }


def gene_vocabulary(connection: Connection) -> GeneVocabulary | None:
    """The current gene vocabulary, or None while none is imported."""
    release = current(connection, GENES)
    if release is None:
        return None
    columns = ", ".join(GENE_COLUMNS)
    genes = _read(connection, f"SELECT {columns} FROM core.gene WHERE status = 'current' ORDER BY gene_key")
    genes = genes.astype({"gene_key": "int32", "entrez_id": "Int64", "landmark_index": "Int64"})
    replacements = _read(connection, "SELECT retired_id, gene_id, reason FROM core.gene_replacement ORDER BY 1, 2")
    synonyms = _read(connection, "SELECT synonym, gene_id, kind FROM core.gene_synonym ORDER BY 1, 2")
    return GeneVocabulary(release[0], genes, replacements, synonyms)


def current(connection: Connection, kind: str) -> tuple[str, str] | None:
    """Release and hash of the current vocabulary of a kind, or None."""
    query = text("SELECT release, sha256 FROM core.vocabulary WHERE kind = :kind AND is_current")
    row = connection.execute(query, {"kind": kind}).one_or_none()
    return None if row is None else (str(row.release), str(row.sha256))


def status(connection: Connection) -> list[dict[str, Any]]:
    """All imported releases, newest first."""
    query = text(
        "SELECT kind, release, is_current, origin, sha256, n_rows, imported_at FROM core.vocabulary "
        "ORDER BY imported_at DESC"
    )
    return [dict(row._mapping) for row in connection.execute(query)]


def _read(connection: Connection, query: str) -> pd.DataFrame:
    result = connection.execute(text(query))
    return pd.DataFrame(result.fetchall(), columns=list(result.keys()), dtype=object)


def _write_genes(connection: Connection, known: GeneVocabulary) -> None:
    with cursor(connection) as open_cursor:
        open_cursor.execute("UPDATE core.gene SET status = 'retired', landmark_index = NULL")
        open_cursor.execute("TRUNCATE core.gene_replacement, core.gene_synonym")
    upsert(connection, "gene", known.genes[list(GENE_COLUMNS)].assign(status="current"))
    retired = known.replacements[["retired_id", "gene_id", "reason"]]
    keys = retired[["retired_id", "gene_id"]].astype(object).where(retired.notna(), None)
    ids = stable_ids("gene_replacement", keys.itertuples(index=False, name=None))
    copy_frame(connection, "core.gene_replacement", retired.assign(gene_replacement_id=ids))
    kinds = known.synonyms.get("kind", pd.Series("alias", index=known.synonyms.index))
    synonyms = known.synonyms[["synonym", "gene_id"]].assign(kind=kinds).drop_duplicates(["synonym", "gene_id"])
    copy_frame(connection, "core.gene_synonym", synonyms)


def _record(connection: Connection, kind: str, release: str, path: Path, n_rows: int) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    connection.execute(text("UPDATE core.vocabulary SET is_current = false WHERE kind = :kind"), {"kind": kind})
    row = {
        "vocabulary_id": stable_id("vocabulary", kind, release),
        "kind": kind,
        "release": release,
        "is_current": True,
        "origin": path.name,
        "sha256": digest,
        "n_rows": n_rows,
    }
    upsert(connection, "vocabulary", pd.DataFrame([row]))
