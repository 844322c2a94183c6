"""What a matrix and a sheet say by themselves: genes, readout, units, vehicle; blanks where they do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from screen_files import sheet

from pbdb.loading import sheet_inference as columns
from pbdb.loading import two_files


@pytest.mark.parametrize(("name", "sep"), [("SHEET.TSV", "\t"), ("sheet.tsv.csv", ","), ("v1.xlsx.txt", "\t")])
def test_the_last_ending_says_how_a_sheet_is_separated(tmp_path: Path, name: str, sep: str) -> None:
    sheet().to_csv(tmp_path / name, sep=sep, index=False)
    assert list(two_files.read_sheet(tmp_path / name).table) == list(sheet())


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
