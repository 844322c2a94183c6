"""Tables as people save them, through every door that takes one."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from people import FORMS, text

from pbdb import readers
from pbdb.common import typed_cells as cells
from pbdb.common import workbook_writer
from pbdb.common.errors import DataError
from pbdb.effects import plate_sheets
from pbdb.identity.compounds import user_table
from pbdb.identity.genes.published_tables import read_genes
from pbdb.identity.genes.resolve import build_vocabulary, resolve_symbols
from pbdb.loading import draft_source
from pbdb.readers import gct, matrices
from pbdb.readers.handwritten import quantities, sheets
from pbdb.samples.pseudobulk.cell_table import sample_names

HEADINGS = ["sample_id", "compound", "dose_um", "time_h", "plate", "is_control", "smiles", "note"]
VEHICLE = ["DMSO", "0", "24", "yes", "CS(C)=O", "10 µM"]
TREATED = ["thé vert", "0.5", "24", "no", "CCO", "10 µM"]
ROWS = [
    HEADINGS,
    *(
        [f"s{at}", *(VEHICLE if at % 2 else TREATED)[:3], f"P{at % 4 // 2}", *(VEHICLE if at % 2 else TREATED)[3:]]
        for at in range(8)
    ),
]
GENES = [["Gene stable ID", "Gene name"], ["ENSG00000000001", "A1BG"], ["ENSG00000000002", "SEPTIN2"]]


def matrix(folder: Path, names: list[str] | None = None, name: str = "counts.csv") -> Path:
    values = np.random.default_rng(1).poisson(40, (30, 8))
    table = pd.DataFrame(values, [f"ENSG{at:011d}" for at in range(30)], names or [f"s{at}" for at in range(8)])
    table.to_csv(folder / name)
    return folder / name


@pytest.mark.parametrize("form", FORMS)
def test_every_door_reads_every_form_alike(tmp_path: Path, form: str) -> None:
    plain, saved = FORMS["plain"](tmp_path, "plain", ROWS), FORMS[form](tmp_path, "saved", ROWS)
    pd.testing.assert_frame_equal(sheets.read(saved).table, sheets.read(plain).table)
    pd.testing.assert_frame_equal(plate_sheets.read_sheet(saved).sheet, plate_sheets.read_sheet(plain).sheet)
    compounds = [user_table.read(path).table.reset_index(drop=True) for path in (saved, plain)]
    pd.testing.assert_frame_equal(*compounds)
    parts = {}
    for path in (plain, saved):
        written = draft_source.write(tmp_path / "mine.py", matrix(tmp_path), path, technology="RNA-seq", force=True)
        parts[path] = written.found
        assert "readers.sheet)" in written.path.read_text()
        pd.testing.assert_frame_equal(readers.sheet(path), sheets.read(plain).table)
    assert parts[plain] == parts[saved]


@pytest.mark.parametrize("form", FORMS)
def test_gene_tables_come_in_every_form(tmp_path: Path, form: str) -> None:
    part = read_genes(FORMS[form](tmp_path, "genes", GENES))
    assert (part.kind, part.genes["symbol"].tolist()) == ("biomart", ["A1BG", "SEPTIN2"])


@pytest.mark.parametrize("form", [form for form in FORMS if form != "Windows-1252"])
def test_matrices_come_in_every_form(tmp_path: Path, form: str) -> None:
    rows = [["gene", "s1", "s2"], ["G1", "3", "0"], ["G2", "10", "7"]]
    profiles = matrices.read(FORMS[form](tmp_path, "counts", rows), sparse=True)
    assert profiles.samples.tolist() == ["s1", "s2"] and profiles.genes.tolist() == ["G1", "G2"]
    assert profiles.values.toarray().tolist() == [[3, 10], [0, 7]]


@pytest.mark.parametrize("word", ["#N/A", "#NV", "nan", "None", "n/a", "NULL", "-", "#REF!", "#¡VALOR!", "<NA>", "?"])
def test_a_word_for_missing_is_no_compound_through_any_door(tmp_path: Path, word: str) -> None:
    rows = [ROWS[0], [ROWS[1][0], word, *ROWS[1][2:]], *ROWS[2:]]
    path = FORMS["plain"](tmp_path, "sheet", rows)
    with pytest.raises(DataError, match=r"'s0' .* is treated with no compound"):
        plate_sheets.read_sheet(path)
    written = draft_source.write(tmp_path / "mine.py", matrix(tmp_path), path)
    assert "no_compound" in written.found["flags"]
    assert user_table.resolve_file(path)[0]["name"] is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a,b\n1,2,3\nx,y\n", "Line 2 of 'x.csv' has 3 cells, but there are 2 headings .*quotation marks"),
        ("a,b\nx,1,2\ny,1,2\n", "one name less than the rows have cells"),
        ("a,b\n1\n", "Line 2 of 'x.csv' has 1 cells, .*ends early"),
        ("a,a\n1,2\n", "has the column 'a' more than once"),
        ('a,b\n1,"2\n3,4\n', "a quotation mark in it is not closed"),
        ("\n\n", "'x.csv' is empty"),
        ("a,b\n\0,1\n", "bytes that are no text"),
        ("a,b\nu\u0308,\xff\n".encode("utf-8") + b"\xb5,1\n", "Line 3 of 'x.csv' is not UTF-8"),
    ],
)
def test_what_may_be_two_things_is_refused_with_its_place(tmp_path: Path, content: str | bytes, says: str) -> None:
    (tmp_path / "x.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=says) as refused:
        sheets.read(tmp_path / "x.csv")
    assert "get it again" not in str(refused.value)


def test_of_several_worksheets_the_one_that_fits_is_read_and_told(tmp_path: Path) -> None:
    book = tmp_path / "book.xlsx"
    workbook_writer.save(book, {"Notes": [["who", "when"], ["me", "May"]], "Wells": ROWS})
    read = plate_sheets.read_sheet(book)
    assert len(read.sheet) == 8 and "read worksheet 'Wells' of 'book.xlsx', not 'Notes'" in read.notes
    written = draft_source.write(tmp_path / "mine.py", matrix(tmp_path), book)
    assert 'readers.worksheet("Wells")' in written.path.read_text()
    workbook_writer.save(book, {"One": ROWS, "Two": ROWS})
    with pytest.raises(DataError, match=r"Several worksheets .*'One', 'Two'.*: save the one that is meant"):
        plate_sheets.read_sheet(book)


def merged(path: Path, rows: list[list[str]], *places: str) -> Path:
    """A workbook with merged cells."""
    workbook_writer.save(path, {"Plan": [[cell or None for cell in row] for row in rows]})
    with zipfile.ZipFile(path) as book:
        members = {name: book.read(name) for name in book.namelist()}
    cells_merged = "".join(f'<mergeCell ref="{place}"/>' for place in places)
    sheet = members["xl/worksheets/sheet1.xml"].decode()
    members["xl/worksheets/sheet1.xml"] = sheet.replace(
        "</sheetData>", f"</sheetData><mergeCells>{cells_merged}</mergeCells>"
    ).encode()
    with zipfile.ZipFile(path, "w") as book:
        for name, content in members.items():
            book.writestr(name, content)
    return path


def test_merged_cells_count_for_every_row_they_cover(tmp_path: Path) -> None:
    rows = [["Screen 1", ""], ["sample", "drug"], ["s1", "drugA"], ["s2", ""], ["s3", "drugB"]]
    read = sheets.read(merged(tmp_path / "plan.xlsx", rows, "A1:B1", "B3:B4"))
    assert read.table["drug"].tolist() == ["drugA", "drugA", "drugB"]
    assert any("B3:B4 as 'drugA'" in note for note in read.notes)
    with pytest.raises(DataError, match=r"A3:B4 .* merged over several columns: unmerge"):
        sheets.read(merged(tmp_path / "wide.xlsx", rows, "A3:B4"))


@pytest.mark.parametrize(
    ("column", "numbers", "units"),
    [
        (["10 µM", "100 nM", "0"], ["10", "100", "0"], ["uM", "nM", "uM"]),
        (["1e-05 M", "0,5 µM"], ["1e-05", "0.5"], ["M", "uM"]),
        (["10uM", "3 μmol/L"], ["10", "3"], ["uM", "uM"]),
        (["1:1000", "10 uM"], ["1:1000", "10 uM"], None),
        (["10 uM", "3"], ["10 uM", "3"], None),
        (["10 m", "3 m"], ["10 m", "3 m"], None),
        (["0,1", "10"], ["0.1", "10"], None),
        (["1,000", "10"], ["1,000", "10"], None),
        (["1.000,5", "10"], ["1000.5", "10"], None),
    ],
)
def test_doses_are_parted_from_their_units_where_that_is_certain(
    column: list[str], numbers: list[str], units: list[str] | None
) -> None:
    table, _ = quantities.tidied(pd.DataFrame({"Dose": column}, dtype=object))
    assert table["Dose"].tolist() == numbers
    assert (table["Dose unit"].tolist() if "Dose unit" in table else None) == units


def test_cells_with_units_reach_every_door_in_its_own_unit(tmp_path: Path) -> None:
    rows = [ROWS[0], *([*row[:2], "0" if row[2] == "0" else "500 nM", "1 d", *row[4:]] for row in ROWS[1:])]
    path = FORMS["semicolons"](tmp_path, "sheet", rows)
    sheet = plate_sheets.read_sheet(path).sheet
    assert set(sheet["dose_um"]) == {0.0, 0.5} and set(sheet["time_h"]) == {24.0}
    found = draft_source.write(tmp_path / "mine.py", matrix(tmp_path), path).found
    assert found["dose"] == 'col("dose_um", unit_column="dose_um unit")'
    assert found["time"] == 'col("time_h", unit_column="time_h unit")'


def test_names_alike_but_for_case_and_blanks_are_one_compound(tmp_path: Path) -> None:
    names = ["Bortezomib", "bortezomib ", "BORTEZOMIB", "Borte\u200bzomib", "Cafe\u0301", "Café"]
    rows = [ROWS[0], *([row[0], names[at % 6], *row[2:]] for at, row in enumerate(ROWS[1:]))]
    read = plate_sheets.read_sheet(FORMS["plain"](tmp_path, "sheet", rows))
    assert set(read.sheet["compound"]) == {"Bortezomib", "Café"}
    assert any("'BORTEZOMIB' as 'Bortezomib'" in note for note in read.notes)
    assert cells.one_spelling(["a", "A", "b"], fixed={"a", "A"}) == {}


def test_sheets_with_fewer_samples_than_the_matrix_are_told_and_the_reverse_is_refused(tmp_path: Path) -> None:
    path = FORMS["plain"](tmp_path, "sheet", ROWS[:-1])
    plates = plate_sheets.read(matrix(tmp_path), path, "counts")
    assert len(plates.sheet) == plates.values.shape[0] == 7
    assert any("1 samples of 'counts.csv' have no row" in note for note in plates.notes)
    FORMS["plain"](tmp_path, "sheet", [*ROWS, ["s9", *ROWS[1][1:]]])
    with pytest.raises(DataError, match=r"'s9' stands in 'sheet.csv' but not in 'counts.csv'"):
        plate_sheets.read(matrix(tmp_path), path, "counts")
    FORMS["plain"](tmp_path, "sheet", [*ROWS, ROWS[1]])
    with pytest.raises(DataError, match=r"'s0' stands twice .*they are alike: delete all but one"):
        plate_sheets.read(matrix(tmp_path), path, "counts")


@pytest.mark.parametrize("spelled", ["/data/run/s{}.sorted.bam", "S{}", "s{} "])
def test_samples_are_found_under_the_names_that_tools_give_them(tmp_path: Path, spelled: str) -> None:
    names = [spelled.format(at) for at in range(8)]
    plates = plate_sheets.read(matrix(tmp_path, names), FORMS["plain"](tmp_path, "sheet", ROWS), "counts")
    assert plates.values.shape == (8, 30)


def test_rows_and_columns_of_counting_programs_are_no_genes(tmp_path: Path) -> None:
    counted = '# Program:featureCounts v2.0.6; Command:"featureCounts" "-T"\n' + text(
        [["Geneid", "Chr", "Start", "End", "Strand", "Length", "s1.bam"], ["G1", "1;1", "1", "2", "+;+", "9", "5"]],
        "\t",
    )
    (tmp_path / "counts.txt").write_text(counted)
    profiles = matrices.read(tmp_path / "counts.txt", sparse=True)
    assert (profiles.samples.tolist(), profiles.genes.tolist()) == (["s1.bam"], ["G1"])
    (tmp_path / "htseq.tsv").write_text("gene\ts1\nG1\t4\n__no_feature\t9\nN_unmapped\t3\n")
    profiles = matrices.read(tmp_path / "htseq.tsv", sparse=True)
    assert profiles.genes.tolist() == ["G1"] and profiles.left_out == ("__no_feature", "N_unmapped")
    (tmp_path / "one.tsv").write_text("ENSG00000000003\t4\nENSG00000000005\t0\n")
    with pytest.raises(DataError, match=r"holds counts of 'ENSG00000000003', not names of samples"):
        matrices.read(tmp_path / "one.tsv", sparse=True)


def test_decimal_commas_of_a_matrix_are_read_and_thousands_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("gene;s1;s2\nG1;1,5;2,25\n")
    assert matrices.read(tmp_path / "x.csv", sparse=False).values.tolist() == [[1.5], [2.25]]
    (tmp_path / "x.csv").write_text("gene;s1;s2\nG1;1,500;2\n")
    with pytest.raises(DataError, match=r"'1,500' in 'x.csv' may be 1.500 or 1500"):
        matrices.read(tmp_path / "x.csv", sparse=False)


WORDS = some.text("abcdefgXYZäµ -_", min_size=1, max_size=8).map(lambda word: f"n{word}z")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=some.lists(WORDS, min_size=2, max_size=6, unique_by=cells.folded),
    doses=some.lists(some.sampled_from(["0.1", "1", "10", "2.5"]), min_size=2, max_size=2),
    form=some.sampled_from(sorted(FORMS)),
    comma=some.booleans(),
    headings=some.sampled_from([("compound", "dose (µM)"), ("Wirkstoff", "Konzentration [µM]"), ("Composé", "Dose")]),
)
def test_what_is_written_comes_back(
    tmp_path: Path, names: list[str], doses: list[str], form: str, comma: bool, headings: tuple[str, str]
) -> None:
    unit = "" if "µM" in headings[1] else " µM"
    written = [(name, doses[at % 2]) for at, name in enumerate(names)]
    rows = [["sample", *headings]]
    rows += [
        [f"s{at}", name, f"{dose.replace('.', ',') if comma else dose}{unit}"]
        for at, (name, dose) in enumerate(written)
    ]
    table = sheets.read(FORMS[form](tmp_path, "sheet", rows)).table
    assert list(table)[:3] == ["sample", *headings]
    assert [cells.folded(name) for name in table[headings[0]]] == [cells.folded(name) for name, _ in written]
    assert table[headings[1]].tolist() == [dose for _, dose in written]


def test_pooled_samples_whose_keys_would_join_to_one_name_have_two() -> None:
    keys = pd.DataFrame({"plate": ["A_B", "A", "A"], "well": ["C", "B_C", "D"]})
    names = sample_names(keys, ("plate", "well"))
    assert len(set(names)) == 3 and names[2] == "A_D"


CASES = {
    "anndata_record_tables": ("plates.h5ad", "samples.csv"),
    "blank_after_compound": ("counts.csv", "samples.csv"),
    "blank_after_plate": ("counts.csv", "samples.csv"),
    "htseq_special_rows": ("counts.csv", "samples.csv"),
    "features_third_column": ("counts", "samples.csv"),
    "sheet_latin1": ("counts.csv", "samples.csv"),
    "sheet_xlsx_for_de_run": ("counts.csv", "samples.xlsx"),
    "header_without_corner": ("counts.tsv", "samples.csv"),
    "empty_columns_at_the_end": ("counts.csv", "samples.csv"),
}


@pytest.mark.parametrize("case", CASES)
def test_cases_of_neighbouring_projects_have_two_conditions_on_two_plates(shared: Path, case: str) -> None:
    folder = shared / "cases" / case
    if not folder.is_dir():
        pytest.skip("the cases (../shared/cases) are not beside this checkout")
    plates = plate_sheets.read(*(folder / name for name in CASES[case]), "counts")
    treated = plates.sheet[~plates.sheet["is_control"]]
    assert treated.groupby("condition")["plate"].nunique().to_dict() == {"drugA_10uM_24h": 2, "drugB_10uM_24h": 2}
    assert plates.values.shape == (12, 40)


@pytest.mark.parametrize(("case", "says"), [("gct_columns_beyond_sizes", "has 3"), ("gct_field_twice", "'dose'")])
def test_cases_of_gct_are_refused(shared: Path, case: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        gct.read(shared / "cases" / case / "profiles.gct")


@pytest.mark.parametrize("case", ["dates_german", "dates_month_year"])
def test_cases_of_dates_are_the_septins_they_were(shared: Path, case: str) -> None:
    folder = shared / "cases" / case
    known = build_vocabulary([read_genes(folder / "genes.tsv")], release="case")
    names = matrices.read(folder / "counts.csv", sparse=True).genes.tolist()
    assert resolve_symbols(names, known, "counts").counts == {"symbol": 40, "repaired": 4}
