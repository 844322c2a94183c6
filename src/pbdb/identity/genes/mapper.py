"""From the feature names of a source to genes: by the current vocabulary, or unchecked while none is imported."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from pbdb.common.errors import VocabularyError
from pbdb.identity.genes import resolve as genes
from pbdb.identity.genes.release import GeneVocabulary, gene_key, without_version
from pbdb.identity.genes.resolve import GeneMap
from pbdb.sources.declaration import Files, Source


@dataclass(frozen=True)
class GeneMapper:
    """How features become genes: `resolve` maps feature names, `symbols` labels genes by gene_key."""

    resolve: Callable[[list[str]], GeneMap]
    symbols: Mapping[int, str] = field(default_factory=dict)


def gene_mapper(source: Source, files: Files, known: GeneVocabulary | None) -> GeneMapper:
    """Make the mapper of a source.

    Raises:
        VocabularyError: the source has symbols or Entrez ids only, and no vocabulary that knows any of them is
            imported; the sentence says what to run.
    """
    features, readout = source.features, source.assay.readout
    table = features.table(files) if features.table is not None else None
    symbols = _symbols(known, table)
    if features.names == "symbol":
        if known is None:
            raise VocabularyError(
                f"Source '{source.key}' names its genes by symbol, which needs a gene vocabulary: "
                f"run `pbdb vocab import genes {_beside(source, files)}` (or `pbdb vocab fetch genes`) first.",
                value=source.key,
            )
        return GeneMapper(lambda names: genes.resolve_symbols(names, known, readout, features.aliases), symbols)
    if features.names == "entrez":
        if known is None or not known.entrez:
            raise VocabularyError(
                f"Source '{source.key}' names its genes by Entrez id, which needs a gene vocabulary that has them: run "
                f"`pbdb vocab import genes {_beside(source, files)}` with a gene table, then with the gene_info file "
                "of L1000.",
                value=source.key,
            )
        return GeneMapper(lambda names: genes.resolve_entrez(names, known, readout), symbols)
    if table is not None:
        pairs, drop = table, features.drop_sharing
        return GeneMapper(lambda names: genes.resolve_probes(names, pairs, known, readout, drop), symbols)
    return GeneMapper(lambda names: genes.resolve_ids(names, known, readout), symbols)


def _beside(source: Source, files: Files) -> str:
    """The table of genes that simulated releases have beside their files; FILE where there is none."""
    for folder in dict.fromkeys(files.path(key).parent for key in source.files if key in files):
        if (folder / "genes.tsv").is_file():
            return f"{shlex.quote(str(folder / 'genes.tsv'))} --release simulated"
    return "FILE"


def _symbols(known: GeneVocabulary | None, table: pd.DataFrame | None) -> dict[int, str]:
    """Labels of genes: the vocabulary's, or the platform table's while none is imported."""
    if known is not None:
        named = known.genes.dropna(subset=["symbol"])
        return dict(zip(named["gene_key"].astype(int), named["symbol"], strict=True))
    if table is None or "symbol" not in table:
        return {}
    named = table.dropna(subset=["gene_id", "symbol"])
    keys = (gene_key(without_version(gene_id)) for gene_id in named["gene_id"])
    return dict(zip(keys, named["symbol"], strict=True))
