"""Gene identity: published tables, the vocabulary they make, and how a source's genes are brought to it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from pbdb.common.errors import DataError, VocabularyError
from pbdb.identity.genes.published_tables import gene_frame
from pbdb.identity.genes.resolve import (
    GenePart,
    GeneVocabulary,
    build_vocabulary,
    gene_id_of,
    gene_key,
    read_genes,
    resolve_entrez,
    resolve_ids,
    resolve_probes,
    resolve_symbols,
)

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
def catalogue(shared: Path) -> GenePart:
    return read_genes(shared / GENES / "embl_perturbation_catalogue_genes.parquet")


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


def test_symbols_of_a_real_plate_resolve_as_its_sheet_says(shared: Path, catalogue: GenePart) -> None:
    counts = pd.read_csv(shared / "data/drugseq_like/driadrc/DGE1-counts.csv.gz", index_col="HUGO")
    genes = resolve_symbols(list(counts.index), build_vocabulary([catalogue]), "counts")
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


def test_every_landmark_finds_its_gene_and_retired_ids_their_current_ones(shared: Path, catalogue: GenePart) -> None:
    panel = read_genes(shared / "data/l1000/geo_GSE92742/GSE92742_Broad_LINCS_gene_info.txt.gz")
    retired = read_genes(shared / GENES / "lattice_gene_map_human_v48.json")
    vocabulary = build_vocabulary([catalogue, panel, retired])
    genes = vocabulary.genes
    assert sorted(genes["landmark_index"].dropna()) == list(range(978))
    first = genes[genes["landmark_index"] == 0]
    assert first["entrez_id"].tolist() == [780]
    assert first["symbol"].tolist() == ["DDR1"]
    found = resolve_ids(["ENSG00000112096.19"], vocabulary, "counts")
    assert found.counts == {"replaced": 1}
    mapping = json.loads((shared / GENES / "lattice_gene_map_human_v48.json").read_text())
    assert gene_id_of(int(found.gene_keys[0])) == mapping["ENSG00000112096"] == "ENSG00000291237"


# --- ids -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tables() -> GenePart:
    """Genes 1 to 5; 6 is a copy of 1; 10 -> 11 -> 2; 12 -> 3 or 4; 13 ended; 14 -> 6, the copy."""
    genes = [{"gene_id": ensg(i), "symbol": f"G{i}"} for i in (2, 3, 4, 5)]
    copies = [{"gene_id": ensg(i), "symbol": "G1", "hgnc_id": "HGNC:1"} for i in (6, 1)]
    steps = [(10, 11), (11, 2), (12, 3), (12, 4), (13, None), (14, 6)]
    retired = pd.DataFrame([(ensg(a), b and ensg(b)) for a, b in steps], columns=["retired_id", "gene_id"])
    return part(genes + copies, retired=retired)


@pytest.fixture(scope="module")
def released(tables: GenePart) -> GeneVocabulary:
    return build_vocabulary([tables])


def test_ids_are_kept_replaced_or_dropped_by_what_became_of_them(released: GeneVocabulary) -> None:
    ids = [ensg(2) + ".7", ensg(10), ensg(12), ensg(13), ensg(14), ensg(6), ensg(99), "G1"]
    genes = resolve_ids(ids, released, "counts")
    assert genes.counts == {
        "current": 1,
        "replaced": 2,
        "dropped_several": 1,
        "dropped_none": 1,
        "alternate_sequence": 1,
        "unknown": 2,
    }
    assert genes.gene_keys.tolist() == [2, 1]
    assert genes.dropped["source"].tolist() == [ensg(12), ensg(13), ensg(99), "G1"]


def test_without_a_vocabulary_ids_are_kept_unchecked() -> None:
    genes = resolve_ids([ensg(7) + ".1", "ENSG00000182378.15_PAR_Y", "HMOX1"], None, "counts")
    assert genes.counts == {"unchecked": 2, "unknown": 1}
    assert genes.gene_keys.tolist() == [7, 182378]


@pytest.mark.parametrize("as_matrix", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_counts_of_one_gene_are_summed(released: GeneVocabulary, as_matrix) -> None:
    genes = resolve_ids([ensg(5), ensg(1), ensg(99), ensg(6), ensg(5)], released, "counts")
    out = genes.apply(as_matrix(np.array([[1, 2, 4, 8, 16], [0, 1, 0, 0, 1]])))
    dense = out.toarray() if sparse.issparse(out) else out
    assert dense.tolist() == [[17, 10], [1, 1]]
    assert genes.gene_keys.tolist() == [5, 1]
    assert genes.n_summed == 2


def test_intensities_of_one_gene_are_all_dropped(released: GeneVocabulary) -> None:
    genes = resolve_ids([ensg(5), ensg(1), ensg(6)], released, "log2_intensity")
    assert genes.counts == {"current": 1, "shared_gene": 2}
    assert genes.apply(np.array([[1.5, 2.5, 3.5]])).tolist() == [[1.5]]


@pytest.fixture(scope="module")
def four() -> GeneVocabulary:
    return vocabulary_of(["A", "B", "C", "D"])


@given(numbers=st.lists(st.integers(1, 9), max_size=40))
def test_every_column_is_counted_under_one_reason_and_no_count_is_lost(four, numbers: list[int]) -> None:
    genes = resolve_ids([ensg(n) for n in numbers], four, "counts")
    assert sum(genes.counts.values()) == len(numbers)
    matrix = np.arange(2 * len(numbers)).reshape(2, -1)
    kept = [n <= 4 for n in numbers]
    assert genes.apply(matrix).sum() == matrix[:, kept].sum()
    assert list(genes.gene_keys) == list(dict.fromkeys(n for n in numbers if n <= 4))


def test_a_matrix_of_another_width_is_refused(released: GeneVocabulary) -> None:
    with pytest.raises(DataError, match="2 gene columns, its gene list 1"):
        resolve_ids([ensg(1)], released, "counts").apply(np.zeros((3, 2)))


def test_an_unknown_readout_is_refused(released: GeneVocabulary) -> None:
    with pytest.raises(DataError, match="tpm"):
        resolve_ids([ensg(1)], released, "tpm")


# --- symbols -------------------------------------------------------------------------------------------------


def test_a_current_symbol_wins_over_a_synonym_and_a_shared_synonym_is_ambiguous() -> None:
    vocabulary = vocabulary_of(["A", "B", "C"], [("A", 2), ("OLD", 3), ("BOTH", 1), ("BOTH", 2)])
    genes = resolve_symbols(["A", "OLD", "BOTH", "NONE", ensg(2)], vocabulary, "counts")
    assert genes.counts == {"symbol": 1, "synonym": 1, "ambiguous": 1, "unknown": 1, "current": 1}
    assert genes.gene_keys.tolist() == [1, 3, 2]


def test_an_earlier_official_symbol_wins_over_an_alias() -> None:
    rows = [{"gene_id": ensg(1), "symbol": "SEPTIN2"}, {"gene_id": ensg(2), "symbol": "SEPTIN6"}]
    pairs = [("SEPT2", ensg(1), "official"), ("SEPT2", ensg(2), "alias")]
    synonyms = pd.DataFrame(pairs, columns=["synonym", "gene_id", "kind"])
    vocabulary = build_vocabulary([part(rows, synonyms=synonyms)])
    assert resolve_symbols(["SEPT2"], vocabulary, "counts").gene_keys.tolist() == [1]


def test_a_sources_own_aliases_come_first(released: GeneVocabulary) -> None:
    aliases = {"MATR3-1": ensg(3), "LOST": ensg(13), "G2": ensg(4)}
    genes = resolve_symbols(["MATR3-1", "LOST", "G2"], released, "counts", aliases)
    assert genes.counts == {"alias": 2, "unknown": 1}
    assert genes.gene_keys.tolist() == [3, 4]


@pytest.mark.parametrize(
    "mangled",
    ["7-Sep", "07-Sep", "Sep-07", "Sep-7", "7-Sept", "X7.Sep", "2024-09-07 00:00:00", "07/09/2024", "45542", "45542.0"],
)
def test_a_symbol_that_became_a_date_is_repaired(mangled: str) -> None:
    genes = resolve_symbols([mangled], vocabulary_of(FAMILIES), "counts")
    assert genes.counts == {"repaired": 1}
    assert genes.gene_keys.tolist() == [FAMILIES.index("SEPTIN7") + 1]


def test_the_first_of_march_is_decided_by_what_else_the_list_names() -> None:
    vocabulary = vocabulary_of(FAMILIES)
    assert resolve_symbols(["1-Mar"], vocabulary, "counts").counts == {"ambiguous": 1}
    genes = resolve_symbols(["1-Mar", "MTARC1"], vocabulary, "counts")
    assert genes.gene_keys.tolist() == [FAMILIES.index("MARCHF1") + 1, FAMILIES.index("MTARC1") + 1]
    assert resolve_symbols(["44621"], vocabulary_of(["MARCH1"]), "counts").counts == {"repaired": 1}


def test_days_of_old_mac_files_are_counted_from_1904() -> None:
    vocabulary = vocabulary_of(["MARCHF1", "SEPTIN6", "SEPTIN7"])
    mac = ["43159", "43349"]  # from 1904: 2022-03-01 and 2022-09-07; from 1899: 2018-02-28 and 2018-09-06
    assert resolve_symbols(mac, vocabulary, "counts").gene_keys.tolist() == [1, 3]


def test_a_list_of_bare_numbers_is_not_taken_for_dates() -> None:
    numbers = [str(n) for n in range(44600, 44700)]
    assert resolve_symbols(numbers, vocabulary_of(FAMILIES), "counts").counts == {"unknown": 100}


def test_an_alias_that_became_a_date_is_found_where_no_official_symbol_fits() -> None:
    vocabulary = vocabulary_of(["POU5F1", "SELENOF"], [("OCT4", 1), ("SEP15", 2)])
    genes = resolve_symbols(["4-Oct", "15-Sep", "3-Jan"], vocabulary, "counts")
    assert genes.counts == {"repaired": 2, "unknown": 1}


def test_dots_that_r_wrote_for_hyphens_are_repaired() -> None:
    genes = resolve_symbols(["NKX2.1", "AC004687.1"], vocabulary_of(FAMILIES), "counts")
    assert genes.counts == {"repaired": 1, "unknown": 1}


# --- probes and Entrez ids -----------------------------------------------------------------------------------


@pytest.fixture
def platform() -> pd.DataFrame:
    pairs = [("p1", 1), ("p2", 2), ("p3", 2), ("p3", 3), ("p4", 5)]
    return pd.DataFrame([(p, ensg(n)) for p, n in pairs], columns=["probe", "gene_id"])


def test_probes_resolve_by_the_platforms_table(released: GeneVocabulary, platform: pd.DataFrame) -> None:
    genes = resolve_probes(["p1", "p2", "p3", "p4", "p9"], platform, released, "counts")
    assert genes.counts == {"current": 3, "ambiguous": 1, "unknown": 1}


def test_probes_that_share_a_gene_with_an_ambiguous_one_can_be_dropped(released, platform) -> None:
    genes = resolve_probes(["p1", "p2", "p3", "p4"], platform, released, "counts", drop_sharing=True)
    assert genes.counts == {"current": 2, "ambiguous": 1, "shares_ambiguous": 1}
    assert genes.dropped["source"].tolist() == ["p2", "p3"]


def test_entrez_ids_resolve_as_numbers_and_text() -> None:
    rows = [{"gene_id": ensg(3162), "symbol": "HMOX1", "entrez_id": "3162"}]
    vocabulary = build_vocabulary([part(rows)])
    assert resolve_entrez([3162, "3162", 1], vocabulary, "counts").counts == {"entrez_id": 2, "unknown": 1}


# --- published forms -----------------------------------------------------------------------------------------


def tabbed(*rows: list[str]) -> str:
    return "".join("\t".join(row) + "\n" for row in rows)


def gtf_line(chromosome: str, feature: str, **attributes: str) -> list[str]:
    text = " ".join(f'{key} "{value}";' for key, value in attributes.items())
    return [chromosome, "havana", feature, "1", "2", ".", "+", ".", text]


HLA = {"gene_name": "HLA-C", "gene_biotype": "protein_coding"}
GTF = "#!genome-build GRCh38.p14\n" + tabbed(
    gtf_line("22", "gene", gene_id="ENSG00000100292", gene_version="17", gene_name="HMOX1", gene_biotype="lncRNA"),
    gtf_line("22", "transcript", gene_id="ENSG00000100292", transcript_id="ENST00000216117"),
    gtf_line("6", "gene", gene_id="ENSG00000204525", **HLA),
    gtf_line("CHR_HSCHR6_MHC_APD_CTG1", "gene", gene_id="ENSG00000143072", **HLA),
    gtf_line("X", "gene", gene_id="ENSG00000000003", gene_biotype="lncRNA"),
)
HGNC_HEAD = ["hgnc_id", "symbol", "name", "status", "alias_symbol", "prev_symbol", "entrez_id", "ensembl_gene_id"]
HGNC = tabbed(
    HGNC_HEAD,
    ["HGNC:5013", "HMOX1", "heme oxygenase 1", "Approved", '"bK286B10|HO-1"', "", "3162", "ENSG00000100292"],
    ["HGNC:4933", "HLA-C", "histocompatibility C", "Approved", "D6S204", '"HLA-JY3"', "3107", "ENSG00000204525"],
    ["HGNC:1", "NOID", "without an Ensembl id", "Approved", "", "", "", ""],
)
DESCRIPTION = "heme oxygenase 1 [Source:HGNC Symbol;Acc:HGNC:5013]"


def test_a_gtf_gives_genes_and_takes_copies_on_alternate_sequences_out(tmp_path: Path) -> None:
    path = tmp_path / "Homo_sapiens.GRCh38.112.chr_patch_hapl_scaff.gtf.gz"
    path.write_bytes(gzip.compress(GTF.encode()))
    found = read_genes(path)
    vocabulary = build_vocabulary([found])
    assert found.kind == "ensembl_gtf"
    assert vocabulary.genes["gene_key"].tolist() == [3, 100292, 204525]
    assert vocabulary.genes["symbol"].tolist() == [None, "HMOX1", "HLA-C"]
    assert vocabulary.genes["chromosome"].tolist() == ["X", "22", "6"]
    assert vocabulary.replacements.to_numpy().tolist() == [["ENSG00000143072", "ENSG00000204525", "alternate_sequence"]]


def test_the_release_of_a_gtf_stands_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "Homo_sapiens.GRCh38.112.gtf").write_text(GTF)
    assert read_genes(tmp_path / "Homo_sapiens.GRCh38.112.gtf").release == "Ensembl 112"


def test_hgnc_adds_names_entrez_ids_and_earlier_symbols(tmp_path: Path) -> None:
    (tmp_path / "Homo_sapiens.GRCh38.112.gtf").write_text(GTF)
    (tmp_path / "hgnc_complete_set.txt").write_text(HGNC)
    vocabulary = build_vocabulary([read_genes(p) for p in sorted(tmp_path.iterdir())])
    hmox1 = vocabulary.genes.set_index("symbol").loc["HMOX1"]
    assert (hmox1["name"], hmox1["entrez_id"], hmox1["hgnc_id"]) == ("heme oxygenase 1", 3162, "HGNC:5013")
    genes = resolve_symbols(["HO-1", "HLA-JY3", "HLA.C"], vocabulary, "counts")
    assert genes.counts == {"synonym": 2, "repaired": 1}
    assert vocabulary.synonyms.set_index("synonym")["kind"].to_dict()["HLA-JY3"] == "official"


@pytest.fixture
def dumps(tmp_path: Path) -> Path:
    """Ensembl's tables as its MySQL dumps write them."""
    folder = tmp_path / "homo_sapiens_core_112_38"
    folder.mkdir()
    place, dates = ["1", "2", "1"], ["2005", "2020"]
    tables = {
        "gene": [
            ["1", "lncRNA", "8", "71", *place, "900", "havana", DESCRIPTION, "1", "1", ensg(100292), "17", *dates],
            ["2", "lncRNA", "8", "72", *place, r"\N", "havana", r"\N", "1", "1", ensg(3), "1", *dates],
        ],
        "xref": [["899", "1", "X", "other", *dates], ["900", "1100", "HGNC:5013", "HMOX1", *dates]],
        "seq_region": [["71", "22", "4", "50818468"], ["72", "X", "4", "156040895"]],
        "external_synonym": [["900", "HO-1"], ["899", "not a gene"]],
        "stable_id_event": [
            [old, "1", new, "1", "385", kind, "1"]
            for old, new, kind in [
                (ensg(20), ensg(21), "gene"),
                (ensg(21), ensg(100292), "gene"),
                (ensg(22), r"\N", "gene"),
                (r"\N", ensg(100292), "gene"),
                (ensg(23), ensg(3), "transcript"),
            ]
        ],
        "gene_archive": [[ensg(24), "1", "ENST00000000001", "1", r"\N", "1", r"\N", "385"]],
    }
    for name, rows in tables.items():
        (folder / f"{name}.txt.gz").write_bytes(gzip.compress(tabbed(*rows).encode()))
    return folder


def test_mysql_dumps_give_genes_with_symbols_and_synonyms(dumps: Path) -> None:
    vocabulary = build_vocabulary([read_genes(dumps)])
    assert vocabulary.release == "Ensembl 112"
    hmox1 = vocabulary.genes.iloc[1]
    assert (hmox1["symbol"], hmox1["chromosome"], hmox1["hgnc_id"]) == ("HMOX1", "22", "HGNC:5013")
    assert vocabulary.genes["name"].tolist() == [None, "heme oxygenase 1"]
    assert vocabulary.synonyms["synonym"].tolist() == ["HO-1"]


def test_mysql_dumps_tell_what_became_of_retired_ids(dumps: Path) -> None:
    vocabulary = build_vocabulary([read_genes(dumps)])
    ended = [resolve_ids([ensg(i)], vocabulary, "counts").counts for i in (20, 21, 22, 23, 24)]
    assert [next(iter(e)) for e in ended] == ["replaced", "replaced", "dropped_none", "unknown", "dropped_none"]


def test_the_table_of_retired_ids_can_come_alone(dumps: Path, tables: GenePart) -> None:
    (dumps / "stable_id_event.txt.gz").rename(dumps.parent / "stable_id_event.txt.gz")
    events = read_genes(dumps.parent / "stable_id_event.txt.gz")
    assert build_vocabulary([tables, events]).ids[ensg(22)] == (None, "dropped_none")


def test_biomart_tables_are_read_by_their_headings(tmp_path: Path) -> None:
    head = ["Gene stable ID", "Gene name", "Gene description", "Gene type", "Chromosome/scaffold name"]
    head += ["NCBI gene (formerly Entrezgene) ID", "Gene Synonym"]
    row = [ensg(100292), "HMOX1", DESCRIPTION, "protein_coding", "22", "3162"]
    (tmp_path / "mart_export.txt").write_text(tabbed(head, [*row, "HO-1"], [*row, "bK286B10"]))
    vocabulary = build_vocabulary([read_genes(tmp_path / "mart_export.txt")], release="Ensembl 112")
    assert vocabulary.genes[["symbol", "entrez_id", "hgnc_id"]].to_numpy().tolist() == [["HMOX1", 3162, "HGNC:5013"]]
    assert vocabulary.synonyms["synonym"].tolist() == ["HO-1", "bK286B10"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"well,drug\nA01,dmso\n", "none of the gene tables known here"),
        (gzip.compress(GTF.encode(), mtime=0)[:200], "cannot be read"),
        (b"PAR1 and then no table", "cannot be read as catalogue"),
        (b"Gene stable ID\tGene type\nENSG00000100292\tx\n", "no column symbol"),
    ],
)
def test_other_and_damaged_files_are_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(VocabularyError, match=says):
        read_genes(tmp_path / "file")


def test_a_missing_file_and_an_unknown_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match="does not exist"):
        read_genes(tmp_path / "nowhere.gtf")
    with pytest.raises(VocabularyError, match="no kind of gene table"):
        read_genes(tmp_path, "refseq")


def test_tables_that_only_add_need_a_gene_table_first(tmp_path: Path) -> None:
    (tmp_path / "hgnc_complete_set.txt").write_text(HGNC)
    with pytest.raises(VocabularyError, match="only adds to a gene table"):
        build_vocabulary([read_genes(tmp_path / "hgnc_complete_set.txt")])


def test_two_releases_do_not_mix(tables: GenePart) -> None:
    with pytest.raises(VocabularyError, match="different releases"):
        build_vocabulary([tables], release="Ensembl 112")


def test_a_copy_gives_way_when_a_later_table_tells_which_lies_on_a_chromosome(tables: GenePart) -> None:
    rows = [{"gene_id": ensg(1), "chromosome": "HSCHR6_MHC_APD_CTG1"}, {"gene_id": ensg(6), "chromosome": "6"}]
    vocabulary = build_vocabulary([tables, part(rows, kind="ensembl_gtf")])
    assert vocabulary.ids[ensg(1)] == (ensg(6), "alternate_sequence")
    assert vocabulary.ids[ensg(14)] == (ensg(6), "replaced")
