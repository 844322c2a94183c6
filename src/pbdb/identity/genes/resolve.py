"""Gene identity: one pinned release of Ensembl ids, and how the genes of a source are brought to it.

A source writes Ensembl ids (with versions, retired), symbols (old, mangled) or probes. Each resolver returns a
GeneMap: which columns of the source's matrix become which gene, and why the others are dropped. The rules stand
in docs/gene_identity.md.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb.common.errors import DataError
from pbdb.identity.genes.published_tables import GenePart, read_genes
from pbdb.identity.genes.release import (
    Found,
    GeneVocabulary,
    build_vocabulary,
    gene_id_of,
    gene_key,
    is_gene_id,
    without_version,
)
from pbdb.identity.genes.spreadsheet_dates import day_numbers

__all__ = [
    "GeneMap",
    "GenePart",
    "GeneVocabulary",
    "build_vocabulary",
    "gene_id_of",
    "gene_key",
    "read_genes",
    "resolve_entrez",
    "resolve_ids",
    "resolve_probes",
    "resolve_symbols",
]

_DATED_FAMILIES = {3: (("MARCH", "MARCHF"), ("MARC", "MTARC")), 9: (("SEPT", "SEPTIN"),), 12: (("DEC", "DELEC"),)}
"""Month -> official symbols that spreadsheets show as dates, each with the name HGNC gave the family in 2020."""
_MONTH_WORDS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]


@dataclass(frozen=True)
class GeneMap:
    """How the gene columns of a source's matrix become genes.

    gene_keys: int32 (genes), in the order in which they first appear in the source.
    source_index, target_index: intp (kept columns): column of the source, position in gene_keys.
    n_source: number of columns of the source.
    counts: reason -> number of source columns; they sum to n_source.
    dropped: source, reason: one row per dropped column.
    """

    gene_keys: npt.NDArray[np.int32]
    source_index: npt.NDArray[np.intp]
    target_index: npt.NDArray[np.intp]
    n_source: int
    counts: dict[str, int]
    dropped: pd.DataFrame

    @property
    def n_summed(self) -> int:
        """Number of genes that are the sum of several columns."""
        return int((np.bincount(self.target_index, minlength=len(self.gene_keys)) > 1).sum())

    def apply(self, matrix: Any) -> Any:
        """Bring a matrix of samples x source columns to samples x genes; columns of one gene are summed.

        A sparse matrix stays sparse (CSR), an array an array; the dtype stays.

        Raises:
            DataError: the matrix has another number of columns than the source.
        """
        from scipy import sparse

        from pbdb.identity.genes.columns import moved  # Numba takes long to import

        if matrix.shape[1] != self.n_source:
            raise DataError(
                f"The matrix has {matrix.shape[1]} gene columns, its gene list {self.n_source}: give both alike."
            )
        if sparse.issparse(matrix):
            columns = np.full(self.n_source, -1, dtype=np.int32)
            columns[self.source_index] = self.target_index
            return moved(matrix, columns, len(self.gene_keys))
        if not self.n_summed:  # then target_index is 0, 1, 2, ... and picking columns is all
            return matrix[:, self.source_index]
        ones = np.ones(len(self.source_index), matrix.dtype)
        shape = (len(self.gene_keys), self.n_source)
        summing = sparse.csr_array((ones, (self.target_index, self.source_index)), shape=shape)
        return np.ascontiguousarray((summing @ matrix.T).T)


def resolve_ids(ids: Sequence[str], vocabulary: GeneVocabulary | None, readout: str) -> GeneMap:
    """Resolve Ensembl ids, with or without version; without a vocabulary they are kept `unchecked`.

    readout: `counts` (columns of one gene are summed) or `log2_intensity` (all of them are dropped).
    """
    return _gene_map(ids, [_find_id(without_version(i), vocabulary) for i in ids], readout)


def resolve_symbols(
    symbols: Sequence[str],
    vocabulary: GeneVocabulary,
    readout: str,
    aliases: Mapping[str, str] | None = None,
) -> GeneMap:
    """Resolve symbols: by `aliases` (a source's own symbol -> Ensembl id), current symbol, unique synonym.

    What is found nowhere is tried as an Ensembl id, and as a symbol that a spreadsheet or R has mangled.
    """
    names = [str(s).strip() for s in symbols]
    hits = [_find_symbol(name, vocabulary, aliases or {}) for name in names]
    named = {gene_id for gene_id, _ in hits if gene_id}
    unknown = [i for i, (_, reason) in enumerate(hits) if reason == "unknown"]
    for i, repaired in zip(unknown, _repair([names[i] for i in unknown], vocabulary, named), strict=True):
        hits[i] = repaired
    return _gene_map(names, hits, readout)


def resolve_entrez(ids: Sequence[str | int], vocabulary: GeneVocabulary, readout: str) -> GeneMap:
    """Resolve Entrez gene ids, as numbers or text."""
    texts = [str(i).strip() for i in ids]
    return _gene_map(texts, [vocabulary.entrez.get(i, (None, "unknown")) for i in texts], readout)


def resolve_probes(
    probes: Sequence[str],
    table: pd.DataFrame,
    vocabulary: GeneVocabulary | None,
    readout: str,
    drop_sharing: bool = False,
) -> GeneMap:
    """Resolve the probes of a platform by its table: `probe`, `gene_id` (Ensembl), one row per pair.

    A probe of several genes is dropped (`ambiguous`); with `drop_sharing` also every probe that shares one of
    those genes (`shares_ambiguous`): its counts are but a part of the gene's. Not in the table: `unknown`.
    """
    pairs = table[["probe", "gene_id"]].dropna().drop_duplicates()
    several = pairs["probe"].duplicated(keep=False)
    tainted = set(pairs.loc[several, "gene_id"]) if drop_sharing else set()
    genes = dict(zip(pairs["probe"], pairs["gene_id"], strict=True))
    ambiguous = set(pairs.loc[several, "probe"])

    def find(probe: str) -> Found:
        if probe in ambiguous:
            return None, "ambiguous"
        if genes.get(probe) in tainted:
            return None, "shares_ambiguous"
        return _find_id(without_version(genes.get(probe, "")), vocabulary)

    return _gene_map(probes, [find(p) for p in probes], readout)


def _find_id(gene_id: str, vocabulary: GeneVocabulary | None) -> Found:
    if vocabulary is not None:
        return vocabulary.ids.get(gene_id, (None, "unknown"))
    return (gene_id, "unchecked") if is_gene_id(gene_id) else (None, "unknown")


def _find_symbol(name: str, vocabulary: GeneVocabulary, aliases: Mapping[str, str]) -> Found:
    if name in aliases:
        gene_id, _ = _find_id(aliases[name], vocabulary)
        return gene_id, "alias" if gene_id else "unknown"
    if name in vocabulary.names:
        return vocabulary.names[name]
    return _find_id(without_version(name), vocabulary)


def _gene_map(sources: Sequence[str], hits: Sequence[Found], readout: str) -> GeneMap:
    targets = pd.Series([gene_id for gene_id, _ in hits], dtype=object)
    reasons = pd.Series([reason for _, reason in hits], dtype=object)
    if readout == "log2_intensity":
        shared = targets.notna() & targets.duplicated(keep=False)
        targets[shared], reasons[shared] = None, "shared_gene"
    elif readout != "counts":
        raise DataError(f"The readout '{readout}' is not known: it is counts or log2_intensity.", value=readout)
    kept = targets.notna().to_numpy()
    positions, genes = pd.factorize(targets[kept])
    dropped = pd.DataFrame({"source": np.asarray(sources, object)[~kept], "reason": reasons[~kept].to_numpy()})
    return GeneMap(
        gene_keys=np.array([gene_key(g) for g in genes], np.int32),
        source_index=np.flatnonzero(kept),
        target_index=positions.astype(np.intp),
        n_source=len(targets),
        counts=dict(Counter(reasons)),
        dropped=dropped,
    )


def _repair(names: Sequence[str], vocabulary: GeneVocabulary, named: set[str]) -> list[Found]:
    """Find symbols that a spreadsheet turned into dates (`1-Mar`, `44621`) or R into names (`HLA.A`).

    A date can stand for several symbols (1-Mar: MARCH1 or MARC1). Those whose gene is `named` elsewhere in the list
    are set aside; if then one gene remains it is taken, else the name is ambiguous. Two names that would be one gene
    are both ambiguous: a list names a gene once.
    """
    repaired: list[Found] = []
    for name, dates in zip(names, day_numbers(names), strict=True):
        written = re.sub(r"^(C(?:\d+|X|Y))ORF(?=\d)", r"\1orf", name.replace(".", "-"))  # as capitals, or by R
        dotted = vocabulary.names.get(written, (None, "unknown"))
        genes = {g for month, number in dates for g in _genes_of_date(month, number, vocabulary)} - named
        if dotted[0] and not dates:
            repaired.append((dotted[0], "repaired"))
        elif len(genes) == 1:
            repaired.append((genes.pop(), "repaired"))
        else:
            repaired.append((None, "ambiguous" if genes else "unknown"))
    times = Counter(gene_id for gene_id, _ in repaired)
    return [
        (None, "ambiguous") if gene_id and times[gene_id] > 1 else (gene_id, reason) for gene_id, reason in repaired
    ]


def _genes_of_date(month: int, number: int, vocabulary: GeneVocabulary) -> set[str]:
    """Genes that a spreadsheet shows as this date: official symbols like SEPT2 first, else aliases like OCT4."""
    families = [
        next((g for g in (_symbol_gene(f"{n}{number}", vocabulary) for n in (new, old)) if g), None)
        for old, new in _DATED_FAMILIES.get(month, ())
    ]
    official = {gene_id for gene_id in families if gene_id}
    alias = _symbol_gene(f"{_MONTH_WORDS[month - 1]}{number}", vocabulary)
    return official or ({alias} if alias else set())


def _symbol_gene(symbol: str, vocabulary: GeneVocabulary) -> str | None:
    return vocabulary.names.get(symbol, (None, ""))[0]
