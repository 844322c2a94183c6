"""The gene vocabulary in use: built from imported files, written to the database, and what that does to fits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from sqlalchemy import Connection, Engine, text

from pbdb.common.errors import VocabularyError
from pbdb.common.ids import stable_ids
from pbdb.common.rows import Row
from pbdb.common.settings import Settings
from pbdb.database.copy_text import copy_frame, cursor, upsert
from pbdb.identity.genes.resolve import GenePart, GeneVocabulary, build_vocabulary, read_genes
from pbdb.identity.vocabulary import store

GENES, HGNC, LANDMARKS = KINDS = ("genes", "hgnc", "landmarks")
TABLES = ("genes", "retired", "synonyms", "panel")
GENE_COLUMNS = (
    "gene_key", "gene_id", "symbol", "name", "biotype", "chromosome", "entrez_id", "hgnc_id", "is_landmark",
    "landmark_index",
)  # fmt: skip
_KIND_OF_FORM = {"hgnc": HGNC, "l1000": LANDMARKS}


@dataclass(frozen=True)
class Imported:
    """A release a file went into."""

    kind: str
    release: str


def import_table(settings: Settings, engine: Engine, kind: str, path: Path, release: str | None) -> Imported:
    """Keep a gene table as part of a release; HGNC and the L1000 panel are kinds of their own, whatever was asked.

    Raises:
        VocabularyError: it is no gene table or of another kind, names no release, or belongs to another one.
    """
    part = read_genes(path)
    kind_of_file = _KIND_OF_FORM.get(part.kind, GENES)
    if kind not in (kind_of_file, GENES):
        raise VocabularyError(f"'{path.name}' is a table of {kind_of_file}, not of {kind}.", file=path.name)
    if kind_of_file == GENES:
        release = _release(engine, part, path, release)
        _check_fits_in(settings, part, release)
    else:
        release = release or named_after(path)
    store.save(settings, kind_of_file, release, part.kind, [path], {name: getattr(part, name) for name in TABLES})
    return Imported(kind_of_file, release)


def named_after(path: Path) -> str:
    """Name of a release that has none: that of its file, without its ending."""
    return path.name.removesuffix(".gz").rsplit(".", 1)[0]


def _release(engine: Engine, part: GenePart, path: Path, release: str | None) -> str:
    with engine.connect() as connection:
        in_use = current(connection, GENES)
    named = release or part.release or (in_use[0] if in_use else None)
    if named is None:
        raise VocabularyError(
            f"'{path.name}' does not say which release it is: give --release, such as 'Ensembl 115'.", file=path.name
        )
    return named


def _check_fits_in(settings: Settings, part: GenePart, release: str) -> None:
    parts = [_part(stored) for stored in store.parts(settings, GENES, release)]
    build_vocabulary([*parts, part], release=release)


def _part(stored: store.Part) -> GenePart:
    tables = {name: table for name in TABLES if (table := stored.table(name)) is not None}
    return GenePart(stored.form, None, **{name: _with_none(table) for name, table in tables.items()})


def _with_none(table: pd.DataFrame) -> pd.DataFrame:
    for name in table.columns[[kind.kind == "O" for kind in table.dtypes]]:
        table[name] = table[name].where(table[name].notna(), None)
    return table


def current(connection: Connection, kind: str) -> tuple[str, str] | None:
    """Release and hash of the current vocabulary of a kind, or None."""
    query = text("SELECT release, sha256 FROM core.vocabulary WHERE kind = :kind AND is_current")
    row = connection.execute(query, {"kind": kind}).one_or_none()
    return None if row is None else (str(row.release), str(row.sha256))


def gene_vocabulary(connection: Connection) -> GeneVocabulary | None:
    """The gene vocabulary in use, or None while none is imported."""
    release = current(connection, GENES)
    if release is None:
        return None
    columns = ", ".join(GENE_COLUMNS)
    genes = _read(connection, f"SELECT {columns} FROM core.gene WHERE status = 'current' ORDER BY gene_key")
    genes = genes.astype({"gene_key": "int32", "entrez_id": "Int64", "landmark_index": "Int64"})
    replacements = _read(connection, "SELECT retired_id, gene_id, reason FROM core.gene_replacement ORDER BY 1, 2")
    synonyms = _read(connection, "SELECT synonym, gene_id, kind FROM core.gene_synonym ORDER BY 1, 2")
    return GeneVocabulary(release[0], genes, replacements, synonyms)


def _read(connection: Connection, query: str) -> pd.DataFrame:
    result = connection.execute(text(query))
    return pd.DataFrame(result.fetchall(), columns=list(result.keys()), dtype=object)


def symbols_in_home(settings: Settings) -> dict[str, str]:
    """Symbols of gene ids by all tables imported into this home, the latest winning; no database is asked."""
    imported = sorted(
        (settings.home / "vocab" / GENES).glob("*/*/genes.parquet"), key=lambda path: path.stat().st_mtime
    )
    symbols: dict[str, str] = {}
    for path in imported:
        table = pd.read_parquet(path, columns=["gene_id", "symbol"]).dropna()
        symbols |= dict(zip(table["gene_id"], table["symbol"], strict=True))
    return symbols


def apply(connection: Connection, settings: Settings) -> dict[str, int]:
    """Write the vocabulary in use to the database; return how many genes, retired ids and synonyms it has."""
    release = current(connection, GENES)
    if release is None:
        return {}
    parts = store.needed_parts(settings, GENES, release[0])
    for kind in (HGNC, LANDMARKS):
        added = current(connection, kind)
        parts += store.needed_parts(settings, kind, added[0]) if added else []
    known = build_vocabulary([_part(part) for part in parts], release=release[0])
    _write(connection, known)
    connection.execute(
        text("UPDATE core.vocabulary SET sha256 = :sha256, n_rows = :n_rows WHERE kind = 'genes' AND is_current"),
        {"sha256": store.combined([part.sha256 for part in parts]), "n_rows": len(known.genes)},
    )
    return {"genes": len(known.genes), "retired": len(known.replacements), "synonyms": len(known.synonyms)}


def mark_stale(connection: Connection) -> list[Row]:
    """Mark the fits that test a gene the vocabulary has not, and no others.

    Returns:
        dataset, source, n_fits, n_genes (not in the vocabulary) of the datasets with such fits.
    """
    connection.execute(text(_MARK))
    return [dict(row._mapping) for row in connection.execute(text(_STALE))]


def _write(connection: Connection, known: GeneVocabulary) -> None:
    with cursor(connection) as open_cursor:
        open_cursor.execute("UPDATE core.gene SET status = 'retired', is_landmark = false, landmark_index = NULL")
        open_cursor.execute("TRUNCATE core.gene_replacement, core.gene_synonym")
    upsert(connection, "gene", known.genes[list(GENE_COLUMNS)].assign(status="current"))
    with cursor(connection) as open_cursor:
        open_cursor.execute(_DELETE_UNUSED)
    retired = known.replacements[["retired_id", "gene_id", "reason"]]
    keys = retired[["retired_id", "gene_id"]].astype(object).where(retired[["retired_id", "gene_id"]].notna(), None)
    ids = stable_ids("gene_replacement", keys.itertuples(index=False, name=None))
    copy_frame(connection, "core.gene_replacement", retired.assign(gene_replacement_id=ids))
    copy_frame(connection, "core.gene_synonym", known.synonyms)


_DELETE_UNUSED = """
DELETE FROM core.gene g WHERE g.status = 'retired' AND NOT EXISTS (
    SELECT FROM (SELECT DISTINCT unnest(f.gene_keys) AS gene_key FROM core.feature_set f) used
    WHERE used.gene_key = g.gene_key)"""
_MARK = """
UPDATE core.fit f SET is_stale = s.is_stale
FROM (
    SELECT h.feature_set_id,
        EXISTS (SELECT FROM core.gene g WHERE g.status = 'retired' AND g.gene_key = ANY (h.gene_keys)) AS is_stale
    FROM core.feature_set h
) s
WHERE s.feature_set_id = f.feature_set_id AND f.is_stale <> s.is_stale"""
_STALE = """
SELECT d.dataset, d.source, count(DISTINCT f.fit_id) AS n_fits, count(DISTINCT g.gene_key) AS n_genes
FROM core.fit f
JOIN core.dataset d ON d.dataset_id = f.dataset_id
JOIN core.feature_set h ON h.feature_set_id = f.feature_set_id
JOIN core.gene g ON g.status = 'retired' AND g.gene_key = ANY (h.gene_keys)
WHERE f.is_stale
GROUP BY d.dataset, d.source
ORDER BY d.dataset"""
