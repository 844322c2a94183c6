"""Cells, headings, names and matrices as people and their programs write them: the right value, or a true refusal."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from people import Rows, text

from pbdb.common import typed_cells as cells
from pbdb.common import workbook_writer
from pbdb.common.errors import DataError, PbdbError, VocabularyError
from pbdb.effects import plate_sheets
from pbdb.identity.compounds import user_table
from pbdb.identity.genes.published_tables import read_genes
from pbdb.identity.genes.release import build_vocabulary, without_version
from pbdb.identity.genes.resolve import resolve_symbols
from pbdb.identity.genes.spreadsheet_dates import day_numbers
from pbdb.identity.vocabulary.reference_files import read_reference
from pbdb.loading import draft_source
from pbdb.loading import sheet_inference as columns
from pbdb.readers import matrices
from pbdb.readers.handwritten import pairing
from pbdb.readers.profiles import paired

HEADINGS = ["sample_id", "compound", "dose_um", "time_h", "plate", "is_control"]


def sheet(headings: list[str] = HEADINGS, **changed: Callable[[int], str]) -> Rows:
    """Four wells of DMSO and four of a drug on two plates; changed: cells of a column by the number of the well."""
    rows = [
        [
            f"S{at}",
            "DMSO" if at < 4 else "drugA",
            "0" if at < 4 else "10",
            "24",
            f"P{at % 2}",
            "yes" if at < 4 else "no",
        ]
        for at in range(8)
    ]
    for name, cell in changed.items():
        for at, row in enumerate(rows):
            row[HEADINGS.index(name)] = cell(at)
    return [headings, *rows]


def treated(value: str) -> Callable[[int], str]:
    """A cell of treated wells; vehicle wells have 0."""
    return lambda at: "0" if at < 4 else value


def saved(folder: Path, rows: Rows | str, name: str = "sheet.csv") -> Path:
    (folder / name).write_text(rows if isinstance(rows, str) else text(rows), encoding="utf-8")
    return folder / name


def counts(samples: list[str] | None = None) -> Rows:
    values = np.random.default_rng(1).poisson(40, (12, 8))
    body = [[f"ENSG{at:011d}", *map(str, row)] for at, row in enumerate(values, start=900_000)]
    return [["gene", *(samples or [f"S{at}" for at in range(8)])], *body]


def drafted(folder: Path, rows: Rows, matrix: Rows | None = None) -> draft_source.Written:
    path = saved(folder, matrix or counts(), "counts.csv")
    return draft_source.write(folder / "mine.py", path, saved(folder, rows), technology="x", force=True)


# --- sheets ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headings",
    [
        ["Probe", "Wirkstoff", "Konzentration (µM)", "Zeit (h)", "Platte", "Kontrolle"],
        ["échantillon", "composé", "dose (µM)", "temps (heures)", "plaque", "témoin"],
        ["muestra", "compuesto", "concentración [µM]", "tiempo (horas)", "placa", "control"],
        ["campione", "composto", "concentrazione (µM)", "tempo (ore)", "piastra", "controllo"],
        ["Sample", "Drug", "Final conc. (uM)", "Time [hours]", "Plate ID", "Is Control?"],
    ],
)
def test_headings_of_any_language_reach_every_door(tmp_path: Path, headings: list[str]) -> None:
    rows = plate_sheets.read_sheet(saved(tmp_path, sheet(headings)))
    assert set(rows.sheet["condition"]) == {"DMSO_0uM_24h", "drugA_10uM_24h"} and rows.ignored == ()
    assert rows.notes[0].startswith(f"columns that were read: '{headings[0]}' as sample_id")
    found = drafted(tmp_path, sheet(headings)).found
    assert (found["dose"], found["time"]) == (f'col("{headings[2]}", unit="uM")', f'col("{headings[3]}", unit="h")')
    assert (found["plate"], found["compound"]) == (f'col("{headings[4]}")', f'col("{headings[1]}")')


def test_doses_in_another_unit_are_brought_to_micromolar(tmp_path: Path) -> None:
    rows = sheet(["sample_id", "compound", "Dose (nM)", "Time (d)", "plate", "is_control"])
    read = plate_sheets.read_sheet(saved(tmp_path, rows)).sheet
    assert set(read["dose_um"]) == {0, 0.01} and set(read["time_h"]) == {24 * 24}


def test_two_headings_of_one_meaning_are_refused(tmp_path: Path) -> None:
    rows = sheet(["sample_id", "Drug", "Dose (nM)", "time_h", "plate", "is_control"])
    rows = [[*row, "Substance" if at == 0 else "x"] for at, row in enumerate(rows)]
    with pytest.raises(DataError, match=r"'Drug' and 'Substance' .* both say compound"):
        plate_sheets.read_sheet(saved(tmp_path, rows, "sheet.csv"))


@pytest.mark.parametrize(
    "cell",
    [
        "１０", "1e400", "1'000", "1\u2009000", "1-10", "<10", "~10", "10±1", "10⁻⁵", "1x10^-5", "1_000", "0x10", "inf",
        "-5", "−5", "1,125", "2024-01-10 00:00:00",
    ],
)  # fmt: skip
def test_what_is_no_dose_is_refused_by_its_cell_and_a_blank(tmp_path: Path, cell: str) -> None:
    rows = sheet(dose_um=treated(cell))
    with pytest.raises(DataError, match=r"The dose_um of sample 'S4' .* is '.*': give"):
        plate_sheets.read_sheet(saved(tmp_path, rows))
    blank = next(blank for blank in drafted(tmp_path, rows).blanks.values() if "doses" in blank)
    assert repr(cells.cleaned(cell)) in blank or "negative" in blank


@pytest.mark.parametrize("unit", ["uM", "UM", "µM", "μmol/L", "umol/l", "micromolar", "uM.", "µmol l-1"])
def test_units_in_a_column_are_known_in_any_spelling(unit: str) -> None:
    table = pd.DataFrame({"Dose": ["1", "2"], "Dose unit": [unit, "nM"]}, dtype=object)
    assert columns.dose(table)[1].code == ""


@pytest.mark.parametrize(
    ("unit", "is_blank"), [("ug/ml", False), ("%", False), ("microM", True), ("m", True), ("x", True)]
)
def test_units_that_nobody_knows_are_a_blank_and_not_an_unknown_dose(unit: str, is_blank: bool) -> None:
    table = pd.DataFrame({"Dose": ["1", "2"], "Dose unit": [unit, "uM"]}, dtype=object)
    assert bool(columns.dose(table)[1].blank) is is_blank


@pytest.mark.parametrize(
    ("heading", "says"),
    [
        ("log10 dose (M)", "holds logarithms"),
        ("Dose_log10_uM", "holds logarithms"),
        ("Dose (log M)", "holds logarithms"),
        ("Dose (ug/mL)", "is not molar"),
    ],
)
def test_headings_that_are_no_dose_say_why(heading: str, says: str) -> None:
    assert says in str(columns.dose(pd.DataFrame({heading: ["1", "2"]}))[0].blank)


MISSING = [
    "n.d.", "n/d", "N.A", "na.", "not tested", "keine Angabe", "inconnu", "desconocido", "(none)", "[NA]", "ERROR",
    "-999", "0", "0.0", "#NOMBRE?", "nil", "\u2014",
]  # fmt: skip


@pytest.mark.parametrize("word", MISSING)
def test_more_words_for_missing_are_no_compound_through_any_door(tmp_path: Path, word: str) -> None:
    rows = sheet(compound=lambda at: "DMSO" if at < 4 else word if at == 5 else "drugA")
    with pytest.raises(DataError, match=r"'S5' .* is treated with no compound"):
        plate_sheets.read_sheet(saved(tmp_path, rows))
    assert "no_compound" in drafted(tmp_path, rows).found["flags"]
    assert user_table.resolve_file(saved(tmp_path, [["name"], [word], ["aspirin"]], "names.csv"))[0]["name"] is None


@pytest.mark.parametrize("sign", ['"', "〃", "ditto", "s.o.", "siehe oben", "idem"])
def test_a_sign_for_as_above_is_refused_by_its_cell(tmp_path: Path, sign: str) -> None:
    rows = sheet(compound=lambda at: "DMSO" if at < 4 else sign if at == 5 else "drugA")
    for door in (plate_sheets.read_sheet, lambda path: drafted(path.parent, rows)):
        with pytest.raises(
            DataError, match=r"The cell of 'compound' in line 7 of 'sheet.csv' is .*: write what is meant"
        ):
            door(saved(tmp_path, rows))


@pytest.mark.parametrize(
    "name", ["diméthylsulfoxyde", "dimetilsulfóxido", "vehicle (DMSO)", "DMSO-Kontrolle", "0,1 % DMSO", "disolvente"]
)
def test_vehicles_of_any_language_are_known(tmp_path: Path, name: str) -> None:
    table = pd.DataFrame({"drug": [name, "x"]})
    assert columns.vehicle(table, columns.compound(table)).code == f'"`drug` == {name!r}"'


@pytest.mark.parametrize("name", ["control", "Neg. control", "Kontrolle", "témoin", "untreated", "PBS", "mock"])
def test_a_name_that_may_be_the_vehicle_is_asked_for(name: str) -> None:
    table = pd.DataFrame({"drug": [name, "x"]})
    found = columns.vehicle(table, columns.compound(table))
    assert f"drug has {name!r}: is that it?" in str(found.blank)


@pytest.mark.parametrize(("yes", "no"), [("WAHR", "FALSCH"), ("sì", "no"), ("Sí", "No"), ("✓", "✗"), ("1.0", "0.0")])
def test_yes_and_no_are_one_list_for_every_door(tmp_path: Path, yes: str, no: str) -> None:
    rows = sheet(is_control=lambda at: yes if at < 4 else no)
    assert plate_sheets.read_sheet(saved(tmp_path, rows)).sheet["is_control"].sum() == 4
    assert drafted(tmp_path, rows).found["vehicle"] == f'"`is_control` == {yes!r}"'


def test_treated_wells_with_the_name_of_a_vehicle_are_told(tmp_path: Path) -> None:
    rows = sheet(is_control=lambda at: "yes" if 0 < at < 4 else "no")
    notes = plate_sheets.read_sheet(saved(tmp_path, rows)).notes
    assert notes == ("treated wells have the name of a vehicle (DMSO): is_control says they are none",)


def test_a_share_of_vehicle_is_no_dose(tmp_path: Path) -> None:
    read = plate_sheets.read_sheet(saved(tmp_path, sheet(dose_um=lambda at: "0.1 %" if at < 4 else "10 uM"))).sheet
    assert set(read["condition"]) == {"DMSO_0uM_24h", "drugA_10uM_24h"}


@pytest.mark.parametrize(
    "other", ["SB\u2010203580", "SB\u2013203580", "SB\u2011203580", "sb-203580 ", "SB\u2212203580"]
)
def test_hyphens_that_look_alike_make_no_second_compound(tmp_path: Path, other: str) -> None:
    rows = sheet(compound=lambda at: "DMSO" if at < 4 else other if at == 5 else "SB-203580")
    assert set(plate_sheets.read_sheet(saved(tmp_path, rows)).sheet["compound"]) == {"DMSO", "SB-203580"}


def test_a_cyrillic_letter_in_a_latin_name_is_latin_and_greek_ones_stay() -> None:
    assert cells.one_spelling(["drugA", "drugA", "drug\u0410"]) == {"drug\u0410": "drugA"}
    assert cells.one_spelling(["TNF\u03b1", "TNFa", "\u0410\u0411\u0412"]) == {}


def test_plates_that_differ_in_case_are_one(tmp_path: Path) -> None:
    read = plate_sheets.read_sheet(saved(tmp_path, sheet(plate=lambda at: "p1" if at == 5 else f"P{at % 2}")))
    assert set(read.sheet["plate"]) == {"P0", "P1"}
    assert any("names of plates" in note and "'p1' as 'P1'" in note for note in read.notes)


def test_a_hidden_worksheet_is_not_read(tmp_path: Path) -> None:
    book = tmp_path / "sheet.xlsx"
    workbook_writer.save(book, {"Old": sheet(dose_um=treated("99")), "New": sheet()})
    with zipfile.ZipFile(book) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["xl/workbook.xml"] = members["xl/workbook.xml"].replace(b'name="Old"', b'name="Old" state="hidden"')
    with zipfile.ZipFile(book, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    read = plate_sheets.read_sheet(book)
    assert set(read.sheet["dose_um"]) == {0, 10} and "were not read: 'Old'" in " ".join(read.notes)


# --- sheet and matrix ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (["A1", "A2", "A10", "A11"], ["A01", "A02", "A10", "A11"]),
        (["AF1", "AF12"], ["AF01", "AF12"]),
        (["1.0", "2.0"], ["1", "2"]),
        (["1", "2"], ["001", "002"]),
        (["S1", "s2"], ["S1", "S2"]),
        (["S1", "s2", "S3", "S4"], ["S1", "S2"]),
    ],
)
def test_names_of_which_some_are_the_same_are_all_found(ours: list[str], theirs: list[str]) -> None:
    found, how = pairing.of_matrix(ours, theirs)
    assert sorted(found.values()) == sorted(theirs) and how


def test_names_that_another_spelling_would_make_one_stay(tmp_path: Path) -> None:
    assert pairing.of_matrix(["a", "A", "b"], ["a", "b", "c"]) == ({"a": "a", "b": "b"}, None)


def test_a_row_that_stands_twice_is_named_by_etl_new_too(tmp_path: Path) -> None:
    rows = sheet()
    with pytest.raises(DataError, match=r"The sample 'S2' has several rows in the sheet \(they are alike: delete"):
        drafted(tmp_path, [*rows, rows[3]])


# --- matrices ------------------------------------------------------------------------------------------------------


def read(folder: Path, rows: Rows | str) -> matrices.Profiles:
    return matrices.read(saved(folder, rows, "counts.csv"), sparse=True)


def test_columns_that_describe_genes_and_sums_are_left_out_and_named(tmp_path: Path) -> None:
    plain = read(tmp_path, counts())
    rows = [[row[0], "gene_name" if at == 0 else f"G{at}", *row[1:]] for at, row in enumerate(counts())]
    for made, left_out in (
        (rows, ("gene_name",)),
        ([["" if at == 0 else str(at), *row[:1], *row[1:]] for at, row in enumerate(counts())], ("column 1",)),
        ([*counts(), ["Total", *["9"] * 8], ["unmapped", *["9"] * 8]], ("Total", "unmapped")),
        ([*counts(), ["Unassigned_NoFeatures", *["9"] * 8]], ("Unassigned_NoFeatures",)),
    ):
        found = read(tmp_path, made)
        assert found.left_out == left_out
        assert found.genes.tolist() == plain.genes.tolist() and found.samples.tolist() == plain.samples.tolist()
        np.testing.assert_array_equal(found.values.toarray(), plain.values.toarray())


def test_lines_with_nothing_in_them_are_no_rows_and_lines_of_other_lengths_are_refused(tmp_path: Path) -> None:
    lines = text(counts()).splitlines()
    assert read(tmp_path, "\n".join([*lines, "  ", ",,"])).values.shape == (8, 12)
    for line, says in (
        (lines[5].rsplit(",", 1)[0], r"Line 6 of 'counts.csv' has 8 cells, but there are 9 headings .*ends early"),
        (f"{lines[5]},7", r"Line 6 of 'counts.csv' has 10 cells, but there are 9 headings .*quotation marks"),
    ):
        with pytest.raises(DataError, match=says) as refused:
            read(tmp_path, "\n".join([*lines[:5], line, *lines[6:]]))
        assert "damaged" not in str(refused.value)


def test_decimal_commas_in_every_cell_are_no_separators(tmp_path: Path) -> None:
    rows = [[row[0], *(cell if at == 0 else f"{float(cell):.3E}".replace(".", ",") for cell in row[1:])]
            for at, row in enumerate(counts())]  # fmt: skip
    found = read(tmp_path, text(rows, ";"))
    np.testing.assert_array_equal(found.values.toarray(), read(tmp_path, counts()).values.toarray())


@pytest.mark.parametrize(("cell", "blank"), [("", "without a number"), ("inf", "without a number"), ("-5", "negative")])
def test_cells_that_are_no_counts_are_a_blank_that_says_so(tmp_path: Path, cell: str, blank: str) -> None:
    rows = counts()
    rows[3][5] = cell
    assert any(blank in one for one in drafted(tmp_path, sheet(), rows).blanks.values())


@pytest.mark.parametrize("cell", ["1'234", "1,234", "1 234", "1\u2009234"])
def test_signs_between_thousands_are_refused_by_cell(tmp_path: Path, cell: str) -> None:
    rows = counts()
    rows[3][5] = cell
    with pytest.raises(DataError, match=r"holds '1.234' in the column of sample 'S4': give numbers without signs"):
        read(tmp_path, rows)


@pytest.mark.parametrize(
    ("names", "kind", "genes"),
    [
        ("{id}_G{at}", "gene_id", "{id}"),
        ("{id}.7|G{at}", "gene_id", "{id}.7"),
        ("G{at}_{id}", "gene_id", "{id}"),
        ("G{at}|{at}", "entrez", "{at}"),
    ],
)
def test_ids_joined_to_symbols_are_taken_apart(tmp_path: Path, names: str, kind: str, genes: str) -> None:
    rows = [
        [row[0] if at == 0 else names.format(id=row[0], at=at), *row[1:]] for at, row in enumerate(counts())
    ]  # fmt: skip
    written = drafted(tmp_path, sheet(), rows)
    assert written.found["features"] == f'Features("{kind}")'
    pattern = written.found["gene"].removeprefix('r"').removesuffix('"')
    block = paired(read(tmp_path, rows), pd.DataFrame({"sample_id": rows[0][1:]}), "sample_id", pattern)
    assert block.features.tolist() == [genes.format(id=row[0], at=at) for at, row in enumerate(counts()) if at]


# --- genes and compounds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dates",
    [
        ["2022-09-02 00:00:00.000", "2022-09-06 00:00:00.000"],
        ["Sep 2, 2022", "Sep 6, 2022"],
        ["Friday, September 2, 2022", "Tuesday, September 6, 2022"],
        ["Freitag, 2. September 2022", "Dienstag, 6. September 2022"],
        ["2022年9月2日", "2022年9月6日"],
        ["9月2日", "9月6日"],
        ["2-сен", "6-сен"],
        ["2-wrz", "6-wrz"],
        ["2-set", "6-set"],
    ],
)
def test_dates_of_more_forms_and_languages_are_the_septins_they_were(dates: list[str]) -> None:
    assert day_numbers(dates) == [[(9, 2)], [(9, 6)]]


TABLE = "Gene stable ID\tGene name\nENSG00000000001\tSEPTIN2\nENSG00000000002\tC1orf112\n"


@pytest.mark.parametrize(
    "table",
    [
        TABLE.replace("Gene stable ID", "gene_id").replace("Gene name", "gene_name"),
        TABLE.replace("Gene stable ID", "Gene stable ID version").replace("1\tS", "1.4\tS").replace("2\tC", "2.3\tC"),
        TABLE.replace("1\tS", "1.4\tS"),
        TABLE.replace("Gene name", "HGNC symbol"),
    ],
)
def test_gene_tables_with_other_headings_or_versions_are_read(tmp_path: Path, table: str) -> None:
    part = read_genes(saved(tmp_path, table, "genes.tsv"))
    assert part.genes["gene_id"].tolist() == ["ENSG00000000001", "ENSG00000000002"]
    assert part.genes["symbol"].tolist() == ["SEPTIN2", "C1orf112"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (TABLE.replace("SEPTIN2", "2-Sep"), "'2-Sep' is no symbol but a date: a spreadsheet saved genes.tsv"),
        (TABLE.replace("\tSEPTIN2", ""), "Line 2 of 'genes.tsv' has 1 cells, but there are 2 headings"),
        (TABLE.replace("SEPTIN2", "SEPTIN2\tx"), "Line 2 of 'genes.tsv' has 3 cells, but there are 2 headings"),
    ],
)
def test_gene_tables_that_lost_something_are_refused(tmp_path: Path, table: str, says: str) -> None:
    with pytest.raises(PbdbError, match=says):
        read_genes(saved(tmp_path, table, "genes.tsv"))


def test_a_word_for_missing_is_no_symbol(tmp_path: Path) -> None:
    assert read_genes(saved(tmp_path, TABLE.replace("SEPTIN2", "#N/A"), "genes.tsv")).genes["symbol"][0] is None


def test_symbols_in_capitals_and_ids_in_small_letters_are_found(tmp_path: Path) -> None:
    known = build_vocabulary([read_genes(saved(tmp_path, TABLE, "genes.tsv"))], release="x")
    assert resolve_symbols(["C1ORF112", "Septin2"], known, "counts").counts == {"repaired": 1, "unknown": 1}
    assert without_version("ensg00000000001.4") == without_version("ENSGR0000000001") == "ENSG00000000001"


def test_cas_numbers_and_cids_as_they_are_typed(tmp_path: Path) -> None:
    rows = [["name", "CAS", "Compound CID"], ["a", "50\u201178\u20112", "CID 2244"], ["b", "", "cid:2519"]]
    table = user_table.resolve_file(saved(tmp_path, rows))
    assert [row["pubchem_cid"] for row in table] == [2244, 2519]
    rows = [["name", "CAS"], ["a", "50\u201178\u20112"]]
    assert "'50-78-2' has not been looked up" in str(user_table.resolve_file(saved(tmp_path, rows))[0]["problem"])


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_reference_tables_keep_their_letters_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    drugs = "!File_date\t3/24/2020\npert_iname\tclinical_phase\tmoa\ttarget\nx\tPhase 1\tkrüppel–like\tA\n"
    samples = "pert_iname\tsmiles\tInChIKey\tpubchem_cid\nx\tCCO\t\t\n"
    paths = [tmp_path / "drugs.txt", tmp_path / "samples.txt"]
    paths[0].write_bytes(drugs.encode(encoding))
    paths[1].write_text(samples)
    found = read_reference("repurposing_hub", paths)
    assert found.release == "2020-03-24"
    assert found.statements.query("kind == 'moa'")["value"].tolist() == ["krüppel–like"]


def test_a_table_of_other_headings_is_refused_with_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match="a table with the headings 'Gene stable ID' and 'Gene name'"):
        read_genes(saved(tmp_path, TABLE.replace("Gene stable ID", "Gen").replace("Gene name", "Symbole"), "genes.tsv"))
