"""Excel workbooks: large sheets of counts are read in parts, small ones at once, and bad ones in a sentence."""

from __future__ import annotations

import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pbdb.common import workbook_writer
from pbdb.common.errors import DataError, SourceError
from pbdb.readers import workbook

MEMBER = "xl/worksheets/sheet1.xml"
HEADING = ["Sample_id", datetime(2024, 9, 7), "HLA.A", "B & <b>"]


def saved(path: Path, *rows: list[Any]) -> Path:
    workbook_writer.save(path, {"Sheet1": rows})
    return path


def counts_of(path: Path) -> tuple[list[str], np.ndarray[Any, Any]]:
    parts = list(workbook.sheet("Sample_id")(path).blocks())
    return [name for names, _ in parts for name in names], np.vstack([values for _, values in parts])


def test_counts_are_read_below_notes_and_a_date_in_the_heading_is_its_number(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.xlsx", ["Note"], HEADING, ["s1", 1, 0, 3], ["s2", 40, 5.0, 2_000_000_000])
    assert workbook.sheet("Sample_id")(path).features.tolist() == ["45542", "HLA.A", "B & <b>"]
    names, values = counts_of(path)
    assert names == ["s1", "s2"]
    assert values.tolist() == [[1, 0, 3], [40, 5, 2_000_000_000]]


def test_a_sheet_is_read_the_same_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = np.random.default_rng(2).integers(0, 10**6, (300, 3))
    rows = [[f"s{at}", *row] for at, row in enumerate(expected.tolist())]
    path = saved(tmp_path / "a.xlsx", ["Note"], HEADING, *rows)
    monkeypatch.setattr(workbook, "STEP", 1500)
    monkeypatch.setattr(workbook, "ROWS", 1)
    names, values = counts_of(path)
    assert names == [row[0] for row in rows]
    assert (values == expected).all()
    assert len(list(workbook.sheet("Sample_id")(path).blocks())) > 10


@pytest.mark.parametrize(
    "cells",
    [
        '<c r="A2" t="inlineStr"><is><t>s1</t></is></c><c r="B2"><v>7</v></c><c r="C2" s="3"><v>1.2E1</v></c>',
        '<c t="str"><f>A1</f><v>s1</v></c><c><v>7</v></c><c t="n"><v>12.0</v></c>',
        '<c r="A2" s="1" t="s"><v>2</v></c><c r="C2"><v>12</v></c><c r="B2" cm="1"><v>+7</v></c>',
    ],
)
def test_cells_are_understood_however_they_are_written(tmp_path: Path, cells: str) -> None:
    names, values = counts_of(with_rows(tmp_path / "a.xlsx", f'<row r="2" spans="1:3">{cells}</row>'))
    assert (names, values.tolist()) == (["s1"], [[7, 12]])


def with_rows(path: Path, rows: str) -> Path:
    """A sheet of the genes `g1` and `s1` whose samples are written as told."""
    saved(path, ["Sample_id", "g1", "s1"])
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[MEMBER] = members[MEMBER].replace(b"</sheetData>", f"{rows}</sheetData>".encode())
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


SAMPLE = '<row r="2"><c r="A2" t="str"><v>s1</v></c><c r="B2"><v>7</v></c><c r="C2"><v>12</v></c></row>'


def test_rows_of_empty_cells_hold_no_sample(tmp_path: Path) -> None:
    empty = '<row r="3"><c r="A3" s="1"/><c r="B3" s="1"></c></row><row r="4"/>'
    names, values = counts_of(with_rows(tmp_path / "a.xlsx", SAMPLE + empty))
    assert (names, values.tolist()) == (["s1"], [[7, 12]])
    with pytest.raises(DataError, match=r"'a\.xlsx' holds no sample below its heading"):
        counts_of(with_rows(tmp_path / "a.xlsx", empty))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (SAMPLE.replace("7", "seven") * 999, "'seven' for gene g1 in sample s1"),
        (SAMPLE.replace("</row>", "") * 99 + "</row>", "has no end, or is longer than its heading"),
        (SAMPLE.replace('r="B2"', 'r="2"'), "has no end, or is longer than its heading"),
        ('<row><c t="s"><v>99</v></c></row>', "damaged or incomplete"),
    ],
)
def test_rows_that_make_no_sense_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: str, words: str
) -> None:
    path = with_rows(tmp_path / "a.xlsx", rows)
    monkeypatch.setattr(workbook, "STEP", 200)
    with pytest.raises(DataError, match=words):
        counts_of(path)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (["s1", 1, None, 3], "'nothing' for gene HLA.A in sample s1"),
        (["s1", 1, 2.5, 3], "'2.5' for gene HLA.A in sample s1"),
        (["s1", 1, 2, -1], "'-1' for gene B & <b> in sample s1"),
        (["s1", 1, "n/a", 3], "'n/a' for gene HLA.A in sample s1"),
        ([None, 1, 2, 3], "no name of a sample"),
        (["s1", 1, 2, 3, 4], "longer than its heading"),
    ],
)
def test_what_is_no_count_is_refused_by_name(tmp_path: Path, row: list[Any], words: str) -> None:
    path = saved(tmp_path / "a.xlsx", HEADING, ["s0", 1, 2, 3], row)
    with pytest.raises(DataError, match=words):
        counts_of(path)


def test_another_sheet_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"No row of 'a\.xlsx' begins with 'Sample_id'"):
        workbook.sheet("Sample_id")(saved(tmp_path / "a.xlsx", ["Other", "g"], ["x", 1]))
    whole = saved(tmp_path / "b.xlsx", HEADING, *[[f"s{at}", 1, 2, 3] for at in range(500)]).read_bytes()
    (tmp_path / "b.xlsx").write_bytes(whole[: len(whole) // 2])
    for read in (workbook.sheet("Sample_id"), workbook.table("Sample_id")):
        with pytest.raises(DataError, match="damaged or incomplete"):
            read(tmp_path / "b.xlsx")


def test_a_small_sheet_is_text_with_white_space_collapsed(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    rows = [["A title"], ["Name", "Catalog Number", "Catalog Number"], ["Syringaresin\n  ol", 12.0, None], ["x", -666]]
    workbook_writer.save(path, {"First": [["a"]], "Second": rows})
    read = workbook.table(sheet="Second", skip=1, columns=("name", "catalogue", "cas"))
    found = read(path)
    assert found.to_numpy().tolist() == [["Syringaresin ol", "12", None], ["x", "-666", None]]
    assert list(found) == ["name", "catalogue", "cas"]
    workbook_writer.save(tmp_path / "b.xlsx", {"First": [["Name", None, "Dose"], ["x", "a note", 5]]})
    assert workbook.table("Name")(tmp_path / "b.xlsx").to_dict("list") == {"Name": ["x"], "Dose": ["5"]}
    with pytest.raises(SourceError, match=r"The first sheet of 'b\.xlsx' has 2 columns, not 3"):
        workbook.table("Name", columns=("a", "b", "c"))(tmp_path / "b.xlsx")
    with pytest.raises(SourceError, match="has no sheet 'Third'; it has First, Second"):
        workbook.table("Name", sheet="Third")(path)
