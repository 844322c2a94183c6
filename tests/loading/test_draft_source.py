"""`pbdb etl new`: what two files say by themselves, and blanks for what they do not."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from loads import environment, query, value

from pbdb import readers
from pbdb.cli import pbdb
from pbdb.common.errors import ConfigError, DataError, SourceError
from pbdb.common.settings import Settings
from pbdb.identity.contexts.resolve import ContextVocabulary
from pbdb.loading import draft_source, pipeline, two_files
from pbdb.loading import sheet_inference as columns
from pbdb.sources import registry

GENES = [f"ENSG{at:011d}" for at in range(900_000, 900_040)]


def sheet(**changes: object) -> pd.DataFrame:
    """Six wells of DMSO and six of a drug, as a lab writes them."""
    drugs = ["DMSO", "torin 1"] * 6
    made = {"Sample": [f"s{at}" for at in range(12)], "Plate": "P1", "Drug": drugs, "Dose_uM": ["0", "10"] * 6}
    return pd.DataFrame(made | {"Hours": "24", "Cell line": "MCF7"} | changes)


def counts(names: list[str] = GENES) -> pd.DataFrame:
    values = np.random.default_rng(1).poisson(50, (len(names), 12))
    return pd.DataFrame(values, names, [f"s{at}" for at in range(12)])


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., draft_source.Written]:
    """Write both files and the declaration of a screen."""

    def done(table: pd.DataFrame | None = None, values: pd.DataFrame | None = None, **options: object):
        (sheet() if table is None else table).to_csv(tmp_path / "sheet.csv", index=False)
        (counts() if values is None else values).to_csv(tmp_path / "counts.tsv", sep="\t")
        given = {"technology": "DRUG-seq"} | options
        return draft_source.write(tmp_path / "screen.py", tmp_path / "counts.tsv", tmp_path / "sheet.csv", **given)

    return done


KNOWN = ContextVocabulary(
    pd.DataFrame({"context": ["CVCL:0031"], "context_name": ["MCF-7"], "kind": ["cell_line"], "organism": ["human"]}),
    pd.DataFrame({"synonym": ["MCF7"], "context": ["CVCL:0031"]}),
)


def test_a_plain_sheet_leaves_no_blank(write: Callable[..., draft_source.Written]) -> None:
    written = write(cells=KNOWN)
    assert written.blanks == {} and written.samples == 12
    source = registry.get(str(written.path))
    assert source.contexts["MCF7"].context == "CVCL:0031"
    assert source.datasets["screen"].is_redistributable is False
    rules = source.samples
    assert [rules.sample.columns, rules.plate.columns, rules.compound.columns] == [("Sample",), ("Plate",), ("Drug",)]
    assert (rules.dose.unit, rules.time.unit, rules.vehicle) == ("uM", "h", "`Drug` == 'DMSO'")


def test_what_was_written_loads_from_where_it_lies(
    write: Callable[..., draft_source.Written], database: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = pd.concat([sheet(), sheet().iloc[:1].assign(Sample="s99")])
    written = write(table, counts().assign(odd=1), cells=KNOWN)
    assert (written.no_matrix_column, written.no_sheet_row) == (1, 1)
    monkeypatch.chdir(tmp_path.parent)
    (outcome,) = pipeline.load_source(registry.get(str(written.path)), database, pipeline.Choices())
    assert outcome.effects == {"ok": 1}
    dropped = value(database, "SELECT dropped FROM core.etl_run WHERE stage = 'transform'")
    assert dropped == {"profile no_matrix_column": 1, "profile no_sheet_row": 1}


def test_a_blank_is_refused_by_its_line_and_what_belongs_there(write: Callable[..., draft_source.Written]) -> None:
    written = write(sheet().drop(columns="Hours"), technology=None)
    line, wanted = next(iter(written.blanks.items()))
    with pytest.raises(SourceError, match=rf"a blank in line {line}, and 2 more: .*FILL_IN: {wanted}"):
        registry.get(str(written.path))


def test_a_name_of_several_lines_stays_in_one_line_of_the_declaration(
    write: Callable[..., draft_source.Written],
) -> None:
    written = write(sheet(**{"Cell line": "mine\n(of the lab)"}))
    (wanted,) = written.blanks.values()
    assert wanted.startswith("its Cellosaurus") and "'screen:mine (of the lab)'" in wanted
    with pytest.raises(SourceError, match="has a blank in line"):
        registry.get(str(written.path))


@pytest.mark.parametrize(("name", "sep"), [("SHEET.TSV", "\t"), ("sheet.tsv.csv", ","), ("v1.xlsx.txt", "\t")])
def test_the_last_ending_says_how_a_sheet_is_separated(tmp_path: Path, name: str, sep: str) -> None:
    sheet().to_csv(tmp_path / name, sep=sep, index=False)
    assert list(two_files.read_sheet(tmp_path / name).table) == list(sheet())


def test_a_blank_the_user_made_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from pbdb.source import FILL_IN\nSOURCE = FILL_IN\n")
    with pytest.raises(SourceError, match="a blank in line 2: write there instead of FILL_IN: a value"):
        registry.get(str(tmp_path / "mine.py"))


@pytest.mark.parametrize(
    ("names", "kind", "pattern"),
    [
        (["ENSG00000141510.17", "ENSG00000012048", "ERCC-1"], "gene_id", None),
        (["ENSG00000141510_at", "ENSG00000012048_at"], "gene_id", r"(.+)_at"),
        (["7157", "672"], "entrez", None),
        (["AARS_3", "HLA-A_12"], "symbol", r"(.+)_\d+"),
        (["TP53", "HLA-A", "C1orf112"], "symbol", None),
    ],
)
def test_genes_are_known_by_their_names(names: list[str], kind: str, pattern: str | None) -> None:
    found, gene = columns.genes(np.array(names, dtype=object))
    assert (found.code, gene) == (f'Features("{kind}")', pattern)


def test_unknown_names_of_genes_are_a_blank() -> None:
    found, _ = columns.genes(np.array(["ILMN_1762337", "201983_s_at"], dtype=object))
    assert found.blank and "ILMN_1762337" in found.blank


@pytest.mark.parametrize(
    ("values", "code"),
    [([0.0, 5, 700], '"counts"'), ([3.5, 14.2], '"log2_intensity"'), ([-1.0, 2], '"log2_intensity"')],
)
def test_the_readout_shows_in_the_values(values: list[float], code: str) -> None:
    assert columns.readout(np.array(values)).code == code
    assert columns.readout(np.array([1.5, 7000])).blank


def test_units_come_from_headings_or_from_columns_of_units() -> None:
    table = pd.DataFrame({"Time": ["24"], "Unit": ["h"], "Concentration_1": ["10"], "Unit_1": ["nM"]})
    assert columns.time(table).code == 'col("Time", unit_column="Unit")'
    assert columns.dose(table)[0].code == 'col("Concentration_1", unit_column="Unit_1")'
    for heading, unit in (("dose (nM)", "nM"), ("Final conc. [µM]", "uM"), ("concentration_um", "uM")):
        assert columns.dose(pd.DataFrame({heading: ["1"]}))[0].code == f'col("{heading}", unit="{unit}")'
    mixed = pd.DataFrame({"dose": ["1", "2"], "dose_unit": ["uM", "ug/ml"]})
    assert columns.dose(mixed)[1].code == '("ug/ml",)'


@pytest.mark.parametrize("cells", [["high", "10"], ["10 uM", "1"]])
def test_a_dose_that_is_no_number_is_a_blank(cells: list[str]) -> None:
    assert columns.dose(pd.DataFrame({"dose_um": cells}))[0].blank


def test_vehicle_is_a_name_or_a_column_that_says_so() -> None:
    def rule(**given: list[str]) -> columns.Found:
        table = pd.DataFrame(given)
        return columns.vehicle(table, columns.compound(table))

    assert rule(drug=["dmso", "x", "DMSO"]).code == "\"`drug` in ['DMSO', 'dmso']\""
    assert rule(drug=["x", "y"], is_control=["TRUE", "FALSE"]).code == "\"`is_control` == 'TRUE'\""
    assert rule(drug=["x", "y"], kind=["Control", "treated"]).code == "\"`kind` == 'Control'\""
    undecided = rule(drug=["x", "y"], kind=["control", "a"], role=["b", "control"])
    assert undecided.blank and "kind and role mark different wells" in undecided.blank


def test_a_heading_that_no_rule_can_hold_is_to_be_renamed() -> None:
    table = pd.DataFrame({"Drug #1": ["DMSO", "Media", "x"]})
    compounds = columns.compound(table)
    found = columns.vehicle(table, compounds)
    assert found.blank and "rename that column" in found.blank
    assert columns.flags(table, compounds) == []


def test_wells_that_were_not_treated_are_flagged() -> None:
    table = pd.DataFrame({"drug": ["Media", None, "x"]})
    found = columns.flags(table, columns.compound(table))
    assert ["untreated" in found[0], "no_compound" in found[1]] == [True, True]


def test_treated_wells_of_dose_zero_are_a_blank_that_names_them() -> None:
    table = pd.DataFrame({"drug": ["DMSO", "Media", "cells x", "y"], "dose_um": ["0", "0", "0", "1"]})
    compounds = columns.compound(table)
    given = columns.dose(table)[0], compounds, columns.vehicle(table, compounds)
    (found,) = columns.zero_doses(table, *given)
    assert found.blank and found.blank.startswith("1 treated wells have dose 0") and "cells x" in found.blank
    assert columns.zero_doses(table.drop(index=2), *given) == []


def test_a_well_without_counts_is_flagged(write: Callable[..., draft_source.Written]) -> None:
    assert "n_counts" not in write(cells=KNOWN).found.get("flags", "")
    written = write(values=counts().assign(s3=0), cells=KNOWN, force=True)
    assert written.found["flags"] == 'Flag("no_counts", "n_counts == 0")'


def test_structures_in_the_sheet_become_a_compound_table(write: Callable[..., draft_source.Written]) -> None:
    written = write(sheet(SMILES=["CS(C)=O", "CCO"] * 6, MoA=[None, "solvent"] * 6), cells=KNOWN)
    source = registry.get(str(written.path))
    declared = source.compounds
    assert declared is not None and (declared.smiles, declared.annotations) == ("SMILES", {"MoA": "moa"})
    made = readers.compounds_of(sheet(SMILES=["CS(C)=O", "CCO"] * 6), "Drug", ["SMILES"])
    assert made.to_dict("list") == {"Drug": ["DMSO", "torin 1"], "SMILES": ["CS(C)=O", "CCO"]}


def test_a_compound_with_two_structures_is_refused() -> None:
    with pytest.raises(DataError, match="The compound 'DMSO' has several values of 'SMILES'"):
        readers.compounds_of(sheet(SMILES=["C"] * 6 + ["CC"] * 6), "Drug", ["SMILES"])


def test_a_sample_with_two_rows_is_refused(write: Callable[..., draft_source.Written]) -> None:
    profiles = readers.counts
    write()
    table = pd.concat([sheet(), sheet().iloc[:1]])
    with pytest.raises(DataError, match="The sample 's0' has several rows"):
        readers.paired(profiles(Path(write(force=True).path.parent / "counts.tsv")), table, "Sample")


def test_a_sheet_of_another_matrix_is_refused(write: Callable[..., draft_source.Written]) -> None:
    with pytest.raises(DataError, match=r"No column of 'sheet\.csv' holds sample names of 'counts\.tsv', such as 's0'"):
        write(sheet(Sample=[f"x{at}" for at in range(12)]))


CELL = '<c r="{at}" t="inlineStr"><is><t>{text}</t></is></c>'
WORKBOOK = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship '
    'Id="r1" Target="xl/workbook.xml" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/'
    'officeDocument"/></Relationships>',
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r='
    '"http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="a" sheetId="1" '
    'r:id="r1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="r1" Target="worksheets/sheet1.xml" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
    'relationships/worksheet"/></Relationships>',
}


def write_workbook(path: Path, table: pd.DataFrame) -> None:
    """A workbook of one sheet; numbers are numbers there."""
    rows = []
    for at, row in enumerate([list(table.columns), *table.to_numpy().tolist()], start=1):
        cells = [
            f'<c r="{chr(65 + n)}{at}"><v>{text}</v></c>'
            if text.isdigit()
            else CELL.format(at=f"{chr(65 + n)}{at}", text=text)
            for n, text in enumerate(map(str, row))
        ]
        rows.append(f'<row r="{at}">{"".join(cells)}</row>')
    name = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheet_text = f'<worksheet xmlns="{name}"><sheetData>{"".join(rows)}</sheetData></worksheet>'
    with zipfile.ZipFile(path, "w") as archive:
        for part, text in (WORKBOOK | {"xl/worksheets/sheet1.xml": sheet_text}).items():
            archive.writestr(part, text)


def test_a_sheet_may_be_a_workbook(write: Callable[..., draft_source.Written], tmp_path: Path) -> None:
    write()
    write_workbook(tmp_path / "sheet.xlsx", sheet())
    read = readers.xlsx(tmp_path / "sheet.xlsx")
    assert read.to_dict("list") == sheet().to_dict("list")
    found = draft_source.write(tmp_path / "other.py", tmp_path / "counts.tsv", tmp_path / "sheet.xlsx").found
    assert (found["dose"], found["plate"]) == ('col("Dose_uM", unit="uM")', 'col("Plate")')
    (tmp_path / "sheet.xlsx").write_bytes(b"none")
    with pytest.raises(DataError, match="is damaged or incomplete"):
        readers.xlsx(tmp_path / "sheet.xlsx")


def test_own_screens_match_each_other(
    write: Callable[..., draft_source.Written], database: Settings, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        written = write(sheet(SMILES=["CS(C)=O", "CCO"] * 6), cells=KNOWN)
        place = written.path.rename(tmp_path / f"{name}.py")
        place.write_text(place.read_text().replace('"screen"', f'"{name}"'))
        pipeline.load_source(registry.get(str(place)), database, pipeline.Choices())
    matched = "SELECT dataset_a, dataset_b, dose_fold FROM pbdb.matched_condition"
    assert query(database, matched) == [("first", "second", 1.0)]


def test_a_file_that_is_there_stays_unless_forced(write: Callable[..., draft_source.Written]) -> None:
    written = write()
    written.path.write_text("mine")
    with pytest.raises(ConfigError, match="is there already: choose another name, or replace it with --force"):
        write()
    assert written.path.read_text() == "mine"
    assert write(force=True).path.read_text() != "mine"


@pytest.mark.parametrize(("name", "why"), [("drugseq", "pbdb brings along"), ("My-Screen", "lower case")])
def test_names_that_cannot_be_are_refused(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        draft_source.write(tmp_path / f"{name}.py", tmp_path / "counts.tsv", tmp_path / "sheet.csv")


def test_an_h5ad_brings_its_sheet(tmp_path: Path) -> None:
    obs = sheet().set_index("Sample")
    values = counts()
    anndata.AnnData(values.to_numpy().T.astype(np.float32), obs, pd.DataFrame(index=values.index)).write_h5ad(
        tmp_path / "plate.h5ad"
    )
    written = draft_source.write(tmp_path / "screen.py", tmp_path / "plate.h5ad", technology="x", cells=KNOWN)
    assert written.found["sample"] == 'col("obs_name")'
    source = registry.get(str(written.path))
    files = source.files
    (block,) = source.blocks({key: one.read(tmp_path / one.name) for key, one in files.items()}, "screen")  # type: ignore[arg-type]
    assert block.matrix.shape == (12, 40)


def test_the_command_prints_json_and_one_sentence_on_a_mistake(
    write: Callable[..., draft_source.Written], database: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, text in environment(database).items():
        monkeypatch.setenv(name, text)
    monkeypatch.chdir(tmp_path)
    write()
    words = ["etl", "new", "other", "--matrix", "counts.tsv", "--samples", "sheet.csv", "--json"]
    result = CliRunner().invoke(pbdb, words)
    found = json.loads(result.stdout)
    assert found["found"]["compound"] == 'col("Drug")'
    assert [key for key in found["blanks"].values() if "Cellosaurus" in key]
    again = CliRunner().invoke(pbdb, words)
    assert isinstance(again.exception, ConfigError)


def test_without_a_database_names_of_cells_are_blanks(
    write: Callable[..., draft_source.Written], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PBDB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PBDB_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    words = ["etl", "new", "other", "--matrix", "counts.tsv", "--samples", "sheet.csv"]
    result = CliRunner().invoke(pbdb, words)
    assert result.exit_code == 0
    assert "Names of cells were not looked up:" in result.stderr
    assert "its Cellosaurus or Cell Ontology id" in result.stderr


def test_show_says_where_the_files_lie(write: Callable[..., draft_source.Written], tmp_path: Path) -> None:
    shown = CliRunner().invoke(pbdb, ["etl", "show", str(write(cells=KNOWN).path)]).stdout
    assert f"the files lie in {tmp_path}" in shown
    assert "pbdb etl load ./screen.py" in shown


def test_a_folder_given_wins_over_the_declared_one(
    write: Callable[..., draft_source.Written], database: Settings, tmp_path: Path
) -> None:
    source = replace(registry.get(str(write(cells=KNOWN).path)), folder=tmp_path / "nowhere")
    with pytest.raises(SourceError, match="nowhere"):
        pipeline.load_source(source, database, pipeline.Choices(until="extract"))
    pipeline.load_source(source, database, pipeline.Choices(folder=tmp_path, until="extract"))


@pytest.mark.parametrize(
    "name",
    ["DMSO 0.1%", "0.1 % DMSO", "Dimethylsulfoxid", "vehicle control", "Vehicle (DMSO)", "Lösungsmittel", "véhicule"],
)
def test_vehicles_go_by_many_names(name: str) -> None:
    assert columns.vehicle(pd.DataFrame({"Drug": [name, "a"]}), columns.compound(pd.DataFrame({"Drug": ["a"]}))).code


def test_an_explicit_control_column_wins_over_names_of_compounds() -> None:
    table = sheet(is_control=["TRUE", "FALSE"] * 6)
    table.loc[[1, 3], ["Drug", "Dose_uM", "is_control"]] = ["Solutol", "0", "TRUE"]
    found = columns.vehicle(table, columns.compound(table), columns.dose(table)[0])
    assert found.code == "\"`is_control` == 'TRUE'\"" and found.blank is None
    table.loc[[1, 3], "Dose_uM"] = "5"
    found = columns.vehicle(table, columns.compound(table), columns.dose(table)[0])
    assert found.blank and "is_control also marks wells of Solutol, which have a dose" in found.blank
    table.loc[0, "is_control"] = "FALSE"
    found = columns.vehicle(table, columns.compound(table), columns.dose(table)[0])
    assert found.blank and "is_control and Drug mark different wells" in found.blank


@pytest.mark.parametrize(
    ("changes", "part", "says"),
    [
        ({"Treatment": ["vehicle", "treated"] * 5 + ["a", "b"]}, "compound", "both 'Drug' and 'Treatment' may be it"),
        ({"Plate name": [f"p{at % 3}" for at in range(12)]}, "plate", "both 'Plate' and 'Plate name' may be it"),
        ({"Conc (mM)": ["0", "1"] * 6}, "dose", "both 'Dose_uM' and 'Conc (mM)' may be it"),
        ({"Dose_uM": ["0", "1:1000"] * 6}, "dose", "the cell '1:1000' of 'Dose_uM' is no number"),
        ({"Dose_uM": ["0", "1,000"] * 6}, "dose", "may be 1.000 or 1000"),
        ({"Time_h": ["6", "24"] * 6}, "time", "both"),
    ],
)
def test_two_columns_for_one_meaning_are_a_blank_that_names_them(
    changes: dict[str, object], part: str, says: str
) -> None:
    table = sheet(**changes)
    found = {"compound": columns.compound, "plate": columns.plate, "time": columns.time}.get(
        part, lambda table: columns.dose(table)[0]
    )(table)
    assert found.code == "FILL_IN" and says in str(found.blank)


def test_of_doses_the_one_with_a_unit_or_the_final_one_is_taken() -> None:
    level = sheet().rename(columns={"Dose_uM": "Dose"}).assign(**{"Concentration_uM": ["0", "1.11"] * 6})
    assert columns.dose(level)[0].code == 'col("Concentration_uM", unit="uM")'
    stock = (
        sheet()
        .rename(columns={"Dose_uM": "Stock conc"})
        .assign(**{"Concentration (mM)": ["0", "10"] * 6, "Final concentration (µM)": ["0", "10"] * 6})
    )
    assert columns.dose(stock)[0].code == 'col("Final concentration (µM)", unit="uM")'
    german = pd.DataFrame(
        {"Wirkstoff": ["a"], "Konzentration [nM]": ["1"], "Zeit (h)": ["6"], "Zelllinie": ["x"], "Platte": ["1"]}
    )
    assert columns.compound(german).columns == ("Wirkstoff",) and columns.plate(german).columns == ("Platte",)
    assert columns.dose(german)[0].code == 'col("Konzentration [nM]", unit="nM")'
    assert columns.time(german).code == 'col("Zeit (h)", unit="h")' and columns.context(german).columns == (
        "Zelllinie",
    )


def test_names_written_in_two_ways_are_one_compound_of_a_load_and_few_known_genes_stop_it(
    write: Callable[..., draft_source.Written], database: Settings
) -> None:
    drugs = ["DMSO", "Torin 1", "DMSO", "torin 1 "] * 3
    written = write(sheet(Drug=drugs), cells=KNOWN)
    assert any("'torin 1' as 'Torin 1'" in note for note in written.notes)
    source = registry.get(str(written.path))
    (outcome,) = pipeline.load_source(source, database, pipeline.Choices())
    assert outcome.effects == {"ok": 1}
    assert query(database, "SELECT DISTINCT source_compound_name FROM pbdb.effect") == [("Torin 1",)]
    assert value(database, "SELECT count(*) FROM core.sample WHERE attributes ? 'compound_written'") == 3
    odd = counts([*GENES[:10], *(f"G{at}x" for at in range(30))])
    path = write(sheet(), odd, cells=KNOWN, force=True).path
    path.write_text(path.read_text().replace('Features("symbol")', 'Features("gene_id")'))
    source = registry.get(str(path))
    with pytest.raises(DataError, match=r"30 of 40 features are no gene of the vocabulary .*'G0x'.*--allow-gene-loss"):
        pipeline.load_source(source, database, pipeline.Choices())
    (outcome,) = pipeline.load_source(source, database, pipeline.Choices(allow_gene_loss=True))
    assert outcome.effects == {"ok": 1}


def test_declarations_on_readers_of_csv_make_the_same_of_what_people_type_or_refuse_it(
    write: Callable[..., draft_source.Written], database: Settings, tmp_path: Path
) -> None:
    drugs = [
        "DMSO",
        "torin 1",
        "DMSO",
        "Torin 1 ",
        "DMSO",
        "torin 1\u00a0",
        "DMSO",
        "torin 1",
        "DMSO",
        "TORIN 1",
        "DMSO",
    ]

    def load(reader: str, last: str) -> object:
        written = write(sheet(Drug=[*drugs, last], Plate=["P1", "P1 "] * 6), cells=KNOWN, force=True)
        text = written.path.read_text().replace("readers.sheet)", f"readers.{reader})")
        written.path.write_text(text)
        pipeline.load_source(registry.get(str(written.path)), database, pipeline.Choices())
        return query(database, "SELECT compound_name, n_treated, n_vehicle, n_plates, status FROM pbdb.effect")

    assert load("sheet", "torin 1") == load("csv", "torin 1") == [("torin 1", 6, 6, 1, "ok")]
    assert load("sheet", "#N/A") == [("torin 1", 5, 6, 1, "ok")]
    with pytest.raises(DataError, match=r"compound.*must not be empty where no flag says why.*s11"):
        load("csv", "#N/A")
    (tmp_path / "sheet.csv").write_bytes((tmp_path / "sheet.csv").read_bytes() + "s12;µ\n".encode("cp1252"))
    with pytest.raises(DataError, match=r"a file that people made is read by readers\.sheet"):
        readers.csv(tmp_path / "sheet.csv")


def test_a_sample_without_cells_is_named(write: Callable[..., draft_source.Written], database: Settings) -> None:
    written = write(sheet(**{"Cell line": ["MCF7"] * 11 + [""]}), cells=KNOWN)
    with pytest.raises(DataError, match=r"sample 's11' has no cells \(1 such\): fill them in"):
        pipeline.load_source(registry.get(str(written.path)), database, pipeline.Choices())
