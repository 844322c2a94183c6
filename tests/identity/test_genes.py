"""Gene identity: published tables, the vocabulary they make, and how a source's genes are brought to it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from pbdb.errors import VocabularyError
from pbdb.genes import (
    GenePart,
    GeneVocabulary,
    build_vocabulary,
    gene_id_of,
    gene_key,
    read_genes,
    resolve_symbols,
)
from pbdb.readers.genes import gene_frame

GENES = "data/reference/genes/"
FAMILIES = ["MARCHF1", "MARCHF7", "MTARC1", "SEPTIN2", "SEPTIN7", "DELEC1", "NKX2-1"]


def ensg(number: int) -> str:
    return f"ENSG{number:011d}"


def part(genes: list[dict], kind: str = "catalogue", **tables: pd.DataFrame) -> GenePart:
    return GenePart(kind, "made 1", gene_frame(pd.DataFrame(genes)), **tables)


def vocabulary_of(symbols: list[str], synonyms: list[tuple[str, int]] = ()) -> GeneVocabulary:
    """Genes numbered from 1 by symbol; synonyms as (text, number of the gene)."""
    rows = [{"gene_id": ensg(i), "symbol": s} for i, s in enumerate(symbols, 1)]
    pairs = [(s, ensg(i), "alias") for s, i in synonyms]
    return build_vocabulary([part(rows, synonyms=pd.DataFrame(pairs, columns=["synonym", "gene_id", "kind"]))])


@pytest.fixture(scope="module")
def catalogue(shared: Path) -> GeneVocabulary:
    return build_vocabulary([read_genes(shared / GENES / "embl_perturbation_catalogue_genes.parquet")])


# --- keys ----------------------------------------------------------------------------------------------------


@given(st.sampled_from(["ENSG", "ENSMUSG", "ENSRNOG"]), st.integers(0, 499_999_999))
def test_a_key_is_an_int4_and_leads_back_to_its_id(prefix: str, number: int) -> None:
    gene_id = f"{prefix}{number:011d}"
    assert gene_id_of(gene_key(gene_id)) == gene_id
    assert gene_key(gene_id) < 2**31


def test_the_key_of_a_human_gene_is_its_number() -> None:
    assert gene_key("ENSG00000100292") == 100292
    assert gene_key("ENSMUSG00000005413") == 1_000_005_413


@pytest.mark.parametrize("text", ["HMOX1", "ENSG00000100292.17", "ENST00000216117", "ENSDARG00000000001", ""])
def test_other_text_has_no_key(text: str) -> None:
    with pytest.raises(VocabularyError, match="no Ensembl gene id"):
        gene_key(text)


# --- the real plate ------------------------------------------------------------------------------------------


def test_symbols_of_a_real_plate_resolve_as_its_sheet_says(shared: Path, catalogue: GeneVocabulary) -> None:
    counts = pd.read_csv(shared / "data/drugseq_like/driadrc/DGE1-counts.csv.gz", index_col="HUGO")
    genes = resolve_symbols(list(counts.index), catalogue, "counts")
    assert genes.counts == {
        "symbol": 15_903,
        "symbol_with_copies": 1_136,
        "synonym": 435,
        "ambiguous": 14,
        "unknown": 536,
    }
    assert len(genes.gene_keys) == 17_472
    assert genes.n_summed == 2
    summed = genes.apply(sparse.csr_array(counts.to_numpy().T))
    lost = counts.loc[genes.dropped["source"]].to_numpy().sum()
    assert summed.sum() + lost == counts.to_numpy().sum()


def test_every_landmark_finds_its_gene(shared: Path, catalogue: GeneVocabulary) -> None:
    panel = read_genes(shared / "data/l1000/geo_GSE92742/GSE92742_Broad_LINCS_gene_info.txt.gz")
    genes = build_vocabulary([panel], catalogue).genes
    assert sorted(genes["landmark_index"].dropna()) == list(range(978))
    first = genes[genes["landmark_index"] == 0]
    assert first["entrez_id"].tolist() == [780]
    assert first["symbol"].tolist() == ["DDR1"]
