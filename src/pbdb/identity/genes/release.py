"""The vocabulary of genes: one pinned release, merged from the parts that published files give.

Which id represents a gene, and what becomes of the others, is decided here; the rules stand in docs/gene_identity.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from pbdb.common.errors import VocabularyError
from pbdb.identity.genes.published_tables import GENE_COLUMNS, GenePart

Found = tuple[str | None, str]
"""What a source's gene stands for: an Ensembl id or None, and the reason."""

KEY_OFFSETS = {"ENSG": 0, "ENSMUSG": 1_000_000_000, "ENSRNOG": 1_500_000_000}
"""Added to the number inside an Ensembl id: human, mouse, rat share one int4 without overlap."""

_ID = re.compile(r"(ENS(?:MUS|RNO)?G)(\d{11})")
_KEY_LIMITS = {"ENSG": 1_000_000_000, "ENSMUSG": 500_000_000, "ENSRNOG": 2**31 - 1_500_000_000}


def gene_key(gene_id: str) -> int:
    """Give the integer key of an Ensembl gene id without version: ENSG00000100292 is 100292.

    Raises:
        VocabularyError: not a human, mouse or rat gene id.
    """
    match = _ID.fullmatch(gene_id)
    if match is None or int(match[2]) >= _KEY_LIMITS[match[1]]:
        raise VocabularyError(
            f"'{gene_id}' is no Ensembl gene id of human, mouse or rat: give one, without version.", value=gene_id
        )
    return KEY_OFFSETS[match[1]] + int(match[2])


def gene_id_of(key: int) -> str:
    """Give the Ensembl gene id of a key: the inverse of `gene_key`.

    Raises:
        VocabularyError: no id has this key.
    """
    for prefix, offset in KEY_OFFSETS.items():
        if offset <= key < offset + _KEY_LIMITS[prefix]:
            return f"{prefix}{key - offset:011d}"
    raise VocabularyError(f"{key} is not the key of a gene.", value=key)


def without_version(gene_id: str) -> str:
    """Strip the version and GENCODE's marks of genes of Y (_PAR_Y, ENSGR) of an Ensembl id; other text stays."""
    if re.match(r"ens[a-z]*g\d{11}", gene_id):
        gene_id = gene_id.upper()
    plain = re.sub(r"^(ENS[A-Z]*G\d{11})(?:\.\d+)?(?:_PAR_Y)?$", r"\1", gene_id.strip())
    return re.sub(r"^ENSGR(\d{10})(?:\.\d+)?$", r"ENSG0\1", plain)


@dataclass(frozen=True)
class GeneVocabulary:
    """The genes of one release, what became of other ids, and what else they are called.

    genes: gene_key (int32), gene_id, symbol, name, biotype, chromosome, entrez_id (Int64), hgnc_id,
        is_landmark (bool), landmark_index (Int64, 0 to 977); unique by gene_id, text None where not known.
    replacements: retired_id (unique), gene_id or None, reason: `replaced`, `alternate_sequence`, `dropped_none`,
        `dropped_several`.
    synonyms: synonym, gene_id, kind: `official` (was or is an approved symbol) or `alias`; unique by pair.
    """

    release: str
    genes: pd.DataFrame
    replacements: pd.DataFrame
    synonyms: pd.DataFrame

    @cached_property
    def ids(self) -> dict[str, Found]:
        """Every id known to the vocabulary, and what it stands for."""
        retired = self.replacements
        replaced: dict[str, Found] = {
            old: (new if isinstance(new, str) else None, reason)
            for old, new, reason in zip(retired["retired_id"], retired["gene_id"], retired["reason"], strict=True)
        }
        return replaced | {gene_id: (gene_id, "current") for gene_id in self.genes["gene_id"]}

    @cached_property
    def names(self) -> dict[str, Found]:
        """Every symbol and synonym: current symbols win over official synonyms, these over aliases."""
        official = self.synonyms[self.synonyms["kind"] == "official"]
        gene_of = _unique(self.synonyms, "synonym", "synonym") | _unique(official, "synonym", "synonym")
        gene_of |= _unique(self.genes.dropna(subset=["symbol"]), "symbol", "symbol")
        with_copies = set(self.replacements.loc[self.replacements["reason"] == "alternate_sequence", "gene_id"])
        for symbol, gene_id in zip(self.genes["symbol"], self.genes["gene_id"], strict=True):
            if gene_id in with_copies and gene_of.get(symbol, ("", ""))[0] == gene_id:
                gene_of[symbol] = (gene_id, "symbol_with_copies")
        return gene_of

    @cached_property
    def entrez(self) -> dict[str, Found]:
        """Every Entrez id, as text."""
        known = self.genes.dropna(subset=["entrez_id"])
        return _unique(known.assign(entrez_id=known["entrez_id"].astype(str)), "entrez_id", "entrez_id")


def is_gene_id(text: str) -> bool:
    """Tell whether `gene_key` would take it."""
    match = _ID.fullmatch(text)
    return match is not None and int(match[2]) < _KEY_LIMITS[match[1]]


def _unique(table: pd.DataFrame, column: str, reason: str) -> dict[str, Found]:
    """Map each value of a column to its one gene; a value of several genes is ambiguous."""
    genes = table.groupby(column)["gene_id"].agg(["first", "nunique"])
    return {
        name: (gene_id, reason) if n == 1 else (None, "ambiguous")
        for name, gene_id, n in zip(genes.index, genes["first"], genes["nunique"], strict=True)
    }


def build_vocabulary(parts: Sequence[GenePart], release: str | None = None) -> GeneVocabulary:
    """Merge parts into the vocabulary of one release.

    Where several tell a gene's symbol, biotype and so on, the earlier wins.

    Raises:
        VocabularyError: no part tells which genes there are, parts are of different releases, or none names one.
    """
    release = _one_release(parts, release)
    genes, copies = _representatives(_all_genes(parts))
    current = {**copies, **{g: g for g in genes["gene_id"]}}
    genes.insert(0, "gene_key", np.array([gene_key(g) for g in genes["gene_id"]], np.int32))
    genes = genes.assign(is_landmark=False, landmark_index=pd.Series(pd.NA, genes.index, "Int64"))
    vocabulary = GeneVocabulary(release, genes, _replacements(parts, copies, current), _synonyms(parts, genes, current))
    panels = [p.panel for p in parts if len(p.panel)]
    return _with_panel(vocabulary, panels[-1]) if panels else vocabulary


def _one_release(parts: Sequence[GenePart], release: str | None) -> str:
    releases = sorted({r for r in (release, *(p.release for p in parts if p.defines_genes)) if r})
    if not any(p.defines_genes for p in parts):
        kinds = ", ".join(p.kind for p in parts)
        raise VocabularyError(f"{kinds} only adds to a gene table: import one first, e.g. an Ensembl GTF.")
    if not releases:
        raise VocabularyError("The gene table does not say which release it is: name it, e.g. 'Ensembl 112'.")
    if len(releases) > 1:
        raise VocabularyError(f"{' and '.join(releases)} are different releases: import each as its own.")
    return releases[0]


def _all_genes(parts: Sequence[GenePart]) -> pd.DataFrame:
    """One row per id of the release, copies included, each value from the first table that has one."""
    columns = list(GENE_COLUMNS)
    tables = [p.genes for p in parts if p.defines_genes]
    genes = pd.concat(tables, ignore_index=True).groupby("gene_id", sort=True, as_index=False).first()
    genes = genes[~genes["gene_id"].str.startswith("LRG_")]  # locus references: the same genes under a clinical id
    for part in parts:
        if len(part.genes) and not part.defines_genes:
            added = _by_known_id(part.genes, genes)
            both = pd.concat([genes, added[columns]], ignore_index=True)
            genes = both.groupby("gene_id", sort=True, as_index=False).first()
    return genes[columns].astype({"entrez_id": "Int64"})


def _by_known_id(added: pd.DataFrame, genes: pd.DataFrame) -> pd.DataFrame:
    """Keep additions to known genes: known by id, else by HGNC accession."""
    by_hgnc = genes.dropna(subset=["hgnc_id"]).drop_duplicates("hgnc_id").set_index("hgnc_id")["gene_id"]
    known = added["gene_id"].isin(set(genes["gene_id"]))
    return added.assign(gene_id=added["gene_id"].where(known, added["hgnc_id"].map(by_hgnc))).dropna(subset=["gene_id"])


def _representatives(genes: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Separate the ids that represent a gene from its copies on other sequences (copy -> representative).

    Copies share an HGNC accession; without one, a gene on an alternate sequence is a copy of the one gene of its
    symbol on the primary assembly. The primary-assembly id represents, among equals the lowest.
    """
    rank = genes["chromosome"].map(_sequence_rank)
    identity = genes["hgnc_id"].where(genes["hgnc_id"].notna(), genes["gene_id"])
    primary = genes.assign(identity=identity)[rank == 0].dropna(subset=["symbol"]).drop_duplicates("symbol", keep=False)
    borrowed = genes["symbol"].map(primary.set_index("symbol")["identity"])
    is_copy = (rank == 2) & genes["hgnc_id"].isna() & borrowed.notna()
    ordered = genes.assign(group=identity.where(~is_copy, borrowed), rank=rank).sort_values(["rank", "gene_id"])
    first = ordered.groupby("group")["gene_id"].transform("first")
    copies = ordered["gene_id"] != first
    kept = ordered[~copies].sort_values("gene_id", ignore_index=True).drop(columns=["group", "rank"])
    return kept, dict(zip(ordered.loc[copies, "gene_id"], first[copies], strict=True))


def _sequence_rank(chromosome: str | None) -> int:
    """0 chromosome, 1 unplaced or not told, 2 alternate sequence or patch."""
    if not isinstance(chromosome, str) or re.fullmatch(r"(KI|GL|JH|MU)\d+\.\d+", chromosome):
        return 1
    return 0 if re.fullmatch(r"\d{1,2}|X|Y|MT?", chromosome.removeprefix("chr")) else 2


def _replacements(parts: Sequence[GenePart], copies: dict[str, str], current: dict[str, str]) -> pd.DataFrame:
    successors: dict[str, set[str]] = {}
    for part in parts:
        for old, new in zip(part.retired["retired_id"], part.retired["gene_id"], strict=True):
            successors.setdefault(old, set()).update([new] if isinstance(new, str) else [])
    rows: list[tuple[str, str | None, str]] = [(c, g, "alternate_sequence") for c, g in copies.items()]
    for old in successors.keys() - current.keys():
        ends = _ends(old, successors, current)
        reason = {0: "dropped_none", 1: "replaced"}.get(len(ends), "dropped_several")
        rows.append((old, next(iter(ends)) if len(ends) == 1 else None, reason))
    frame = pd.DataFrame(rows, columns=["retired_id", "gene_id", "reason"], dtype=object)
    return frame.sort_values("retired_id", ignore_index=True)


def _ends(old: str, successors: dict[str, set[str]], current: dict[str, str]) -> set[str]:
    """Current genes at the end of all chains of replacements that begin at an id."""
    ends, seen, open_ids = set(), {old}, [old]
    while open_ids:
        for new in successors.get(open_ids.pop(), ()):
            if new in current:
                ends.add(current[new])
            elif new not in seen:
                seen.add(new)
                open_ids.append(new)
    return ends


def _synonyms(parts: Sequence[GenePart], genes: pd.DataFrame, current: dict[str, str]) -> pd.DataFrame:
    pairs = pd.concat([p.synonyms for p in parts], ignore_index=True)
    pairs = pairs.assign(gene_id=pairs["gene_id"].map(current))
    symbols = pairs["gene_id"].map(genes.set_index("gene_id")["symbol"])
    pairs = pairs[pairs["gene_id"].notna() & (pairs["synonym"] != symbols)]
    pairs = pairs.sort_values(["synonym", "gene_id", "kind"], ascending=[True, True, False], ignore_index=True)
    return pairs.drop_duplicates(["synonym", "gene_id"], ignore_index=True)


def _with_panel(vocabulary: GeneVocabulary, panel: pd.DataFrame) -> GeneVocabulary:
    """Mark the landmarks, in the order of the panel, and fill in Entrez ids nobody else told."""
    hits = [
        vocabulary.entrez.get(str(entrez)) or vocabulary.names.get(symbol, (None, "unknown"))
        for entrez, symbol in zip(panel["entrez_id"], panel["symbol"], strict=True)
    ]
    rows = panel.assign(gene_id=pd.Series([g for g, _ in hits], panel.index, object), reason=[r for _, r in hits])
    rows["landmark_index"] = (rows["is_landmark"].cumsum() - 1).where(rows["is_landmark"]).astype("Int64")
    sure = rows["is_landmark"] | rows["reason"].str.startswith("symbol")
    rows = rows[sure & rows["gene_id"].notna()].drop_duplicates("gene_id").set_index("gene_id")
    genes = vocabulary.genes
    index = genes["gene_id"].map(rows["landmark_index"]).astype("Int64")
    entrez = genes["entrez_id"].fillna(genes["gene_id"].map(rows["entrez_id"]).astype("Int64"))
    genes = genes.assign(entrez_id=entrez, is_landmark=index.notna(), landmark_index=index)
    return replace(vocabulary, genes=genes)
