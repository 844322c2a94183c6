"""Context identity: published tables of cells, and how a source's cell names are brought to them."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from pbdb.common.errors import VocabularyError
from pbdb.identity.contexts.published_tables import CONTEXT_COLUMNS, development_stage
from pbdb.identity.contexts.resolve import ContextVocabulary, build_contexts, curie, read_cells, resolve_context
from pbdb.sources.declaration import Context

CELLOSAURUS = """\
----------------------------------------------------------------------------
 Description: Cellosaurus: a knowledge resource on cell lines
 Version: 99.0
 ID         Identifier (cell line name)     Once; starts an entry
____________________________________________________________________________
ID   A-549
AC   CVCL_0023
AS   CVCL_H249
SY   A 549; A549; NCI-A549
CC   Population: Caucasian.
CC   Derived from site: In situ; Lung; UBERON=UBERON_0002048.
DI   ORDO; Orphanet_1; Some other name
DI   NCIt; C3512; Lung adenocarcinoma
OX   NCBI_TaxID=9606; ! Homo sapiens (Human)
SX   Male
AG   58Y
CA   Cancer cell line
DT   Created: 04-04-12; Last updated: 10-04-25; Version: 43
//
ID   HEp-2
AC   CVCL_1906
SY   Hep-2; Hep2
CC   Problematic cell line: Contaminated. Shown to be a HeLa derivative.
CC   Derived from site: Metastatic; Pleural effusion; UBERON=UBERON_0000175.
CC   Misspelling: Hepp-2; In some catalogue.
OX   NCBI_TaxID=9606; ! Homo sapiens (Human)
HI   CVCL_0030 ! HeLa
SX   Sex unspecified
AG   Age unspecified
//
ID   Twin
AC   CVCL_ZZ01
SY   TW-1
OX   NCBI_TaxID=9606; ! Homo sapiens (Human)
//
ID   Twin 2
AC   CVCL_ZZ02
SY   TW-1; MOUSY
OX   NCBI_TaxID=9606; ! Homo sapiens (Human)
//
ID   Mouse twin
AC   CVCL_ZZ03
SY   MOUSY
OX   NCBI_TaxID=10090; ! Mus musculus (Mouse)
//
"""

OBO = """\
format-version: 1.2
data-version: cl/releases/2024-08-16/cl-basic.obo

[Term]
id: CL:0000182
name: hepatocyte
alt_id: CL:0000999
synonym: "hepatic parenchymal cell" EXACT []
synonym: "liver thing" RELATED []
relationship: part_of UBERON:0002107 ! liver

[Term]
id: CL:0000084
name: T cell
synonym: "T-lymphocyte" EXACT []

[Term]
id: CL:0000001
name: primary cultured cell
is_obsolete: true

[Typedef]
id: part_of
name: part of
"""


@pytest.fixture
def vocabulary(tmp_path: Path) -> ContextVocabulary:
    for name, text in (("cellosaurus.txt", CELLOSAURUS), ("cl-basic.obo", OBO)):
        (tmp_path / name).write_text(text)
    return build_contexts([read_cells(tmp_path / n) for n in ("cellosaurus.txt", "cl-basic.obo")])


@pytest.fixture(scope="module")
def tables(shared: Path) -> ContextVocabulary:
    folder = shared / "data/reference/cell_lines"
    names = ["depmap_metadata.parquet", *sorted(p.name for p in folder.glob("*.gz"))]
    return build_contexts([read_cells(folder / name) for name in names])


# --- published forms -----------------------------------------------------------------------------------------


def test_an_entry_of_cellosaurus_tells_tissue_disease_and_donor(vocabulary: ContextVocabulary) -> None:
    assert vocabulary.rows["CVCL:0023"] == dict.fromkeys(CONTEXT_COLUMNS) | {
        "context": "CVCL:0023",
        "context_name": "A-549",
        "kind": "cell_line",
        "tissue": "lung",
        "tissue_id": "UBERON:0002048",
        "disease": "lung adenocarcinoma",
        "disease_id": "NCIT:C3512",
        "organism": "human",
        "sex": "male",
        "development_stage": "58-year-old stage",
        "ethnicity": "Caucasian",
        "is_problematic": False,
    }


def test_a_contaminated_line_is_flagged_with_its_reason_and_parent(vocabulary: ContextVocabulary) -> None:
    row = vocabulary.rows["CVCL:1906"]
    assert row["is_problematic"] is True
    assert row["problem"] == "Contaminated. Shown to be a HeLa derivative."
    assert row["parent_context"] == "CVCL:0030"
    assert row["tissue"] is None, "the site of a metastasis is not the tissue of origin"
    assert row["sex"] is row["development_stage"] is None


def test_terms_of_the_cell_ontology_are_primary_cells(vocabulary: ContextVocabulary) -> None:
    row = vocabulary.rows["CL:0000182"]
    assert (row["context_name"], row["kind"]) == ("hepatocyte", "primary_cell")
    assert (row["tissue"], row["tissue_id"]) == ("liver", "UBERON:0002107")
    assert "CL:0000001" not in vocabulary.rows


@pytest.mark.parametrize(
    ("age", "stage"),
    [
        ("58Y", "58-year-old stage"),
        ("30Y6M", "30-year-old stage"),
        ("8M", "8-month-old stage"),
        ("Fetus", "fetal stage"),
        ("20FW", "fetal stage"),
        ("Age unspecified", None),
    ],
)
def test_ages_are_written_as_stages(age: str, stage: str | None) -> None:
    assert development_stage(age) == stage


def test_releases_are_those_the_files_name(tmp_path: Path, vocabulary: ContextVocabulary) -> None:
    found = [read_cells(tmp_path / name).release for name in ("cellosaurus.txt", "cl-basic.obo")]
    assert found == ["Cellosaurus 99.0", "Cell Ontology 2024-08-16"]


def test_an_earlier_table_wins_and_later_ones_fill_in(tmp_path: Path, vocabulary: ContextVocabulary) -> None:
    (tmp_path / "names.tsv").write_text(
        "ModelID\tCellLineName\tRRID\nACH-1\tA549 of ours\tCVCL_0023\nACH-2\tNew\tCVCL_9999\n"
    )
    merged = build_contexts([read_cells(tmp_path / name) for name in ("cellosaurus.txt", "names.tsv")])
    assert merged.rows["CVCL:0023"]["context_name"] == "A-549"
    assert resolve_context("A549 of ours", merged).context == "CVCL:0023"
    assert resolve_context("ACH-2", merged).context == "CVCL:9999"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"well,drug\nA01,dmso\n", "none of the cell tables known here"),
        (b"\x1f\x8b and then no gzip", "cannot be read"),
        (b"PAR1 and then no table", "cannot be read as depmap"),
    ],
)
def test_other_and_damaged_files_are_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(VocabularyError, match=says):
        read_cells(tmp_path / "file")


# --- names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["CVCL_0023", "CVCL:0023", "cvcl_0023", "RRID:CVCL_0023", " CVCL_0023 "])
def test_spellings_of_an_accession_are_one(text: str) -> None:
    assert curie(text) == "CVCL:0023"


def test_a_name_is_no_accession() -> None:
    assert curie("CL34") is None
    assert curie("CVCL") is None


@pytest.mark.parametrize(
    ("name", "context", "route"),
    [
        ("CVCL_0023", "CVCL:0023", "id"),
        ("CVCL_H249", "CVCL:0023", "id"),
        ("A-549", "CVCL:0023", "name"),
        ("A549", "CVCL:0023", "synonym"),
        ("nci a549", "CVCL:0023", "normalised"),
        ("Hepp-2", "CVCL:1906", "synonym"),
        ("CL_0000182", "CL:0000182", "id"),
        ("CL:0000999", "CL:0000182", "id"),
        ("T cells", "CL:0000084", "normalised"),
        ("MOUSY", "CVCL:ZZ02", "synonym"),
        ("CVCL_7777", "CVCL:7777", "unknown_id"),
        ("liver thing", None, "unresolved"),
    ],
)
def test_names_resolve_by_id_name_synonym_and_spelling(vocabulary, name, context, route) -> None:
    match = resolve_context(name, vocabulary)
    assert (match.context, match.route) == (context, route)


def test_a_name_of_two_lines_is_reported_not_chosen(vocabulary: ContextVocabulary) -> None:
    match = resolve_context("TW-1", vocabulary)
    assert (match.context, match.route, match.candidates) == (None, "ambiguous", ("CVCL:ZZ01", "CVCL:ZZ02"))


def test_a_declaration_is_the_identity_and_the_vocabulary_fills_in_what_it_leaves_open(vocabulary) -> None:
    overrides = {"TW-1": Context("CVCL_0023", "A549", tissue="trachea")}
    match = resolve_context("TW-1", vocabulary, overrides)
    assert (match.context, match.route) == ("CVCL:0023", "override")
    assert (match.attributes["context_name"], match.attributes["tissue"]) == ("A549", "trachea")
    assert match.attributes["tissue_id"] is None, "the id of another tissue"
    assert match.attributes["disease_id"] == "NCIT:C3512"
    assert match.attributes["is_problematic"] is False


def test_without_a_vocabulary_declarations_and_accessions_still_resolve() -> None:
    overrides = {"ReNcell VM": Context("CVCL:E921", "ReNcell VM", sex="male")}
    matches = [resolve_context(name, None, overrides) for name in ("ReNcell VM", "CL_0000182", "mystery")]
    assert [m.route for m in matches] == ["override", "unknown_id", "unresolved"]
    assert [m.attributes.get("kind") for m in matches] == ["cell_line", "primary_cell", None]


# --- real tables ---------------------------------------------------------------------------------------------


def test_the_published_contexts_are_124_ids_and_12_names_of_l1000(shared: Path, tables: ContextVocabulary) -> None:
    published = pd.read_csv(shared / "sources/contexts_reference.csv")["context"]
    names = {re.sub(r"_0\.\d+$", "", name) for name in published}
    found = [resolve_context(name, tables).context for name in names]
    assert sum(context is not None for context in found) == 124
    assert found.count(None) == 12


def test_names_of_tahoe_find_the_accessions_its_own_table_gives(shared: Path, tables: ContextVocabulary) -> None:
    lines = pd.read_parquet(shared / "data/tahoe/cell_line_metadata.parquet").drop_duplicates("cell_name")
    found = {name: resolve_context(name, tables).context for name in lines["cell_name"]}
    assert {name for name, context in found.items() if context is None} == {"Hs 936.T(C1)", "hTERT-HPNE"}
    given = dict(zip(lines["cell_name"], map(curie, lines["Cell_ID_Cellosaur"]), strict=True))
    assert all(context == given[name] for name, context in found.items() if context)


def test_names_of_l1000_find_the_core_lines(shared: Path, tables: ContextVocabulary) -> None:
    path = shared / "data/l1000/geo_GSE92742/GSE92742_Broad_LINCS_cell_info.txt.gz"
    found = {name: resolve_context(name, tables) for name in pd.read_csv(path, sep="\t", dtype=str)["cell_id"]}
    core = {"VCAP": "CVCL:2235", "MCF7": "CVCL:0031", "PC3": "CVCL:0035", "HT29": "CVCL:0320", "YAPC": "CVCL:1794"}
    assert {name: found[name].context for name in core} == core
    assert [name for name, match in found.items() if match.route == "ambiguous"] == ["LNCAP"]
