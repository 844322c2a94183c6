"""`pbdb etl new` of a sheet that is a workbook."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from screen_files import sheet

from pbdb import readers
from pbdb.common.errors import DataError
from pbdb.loading import draft_source

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


def test_a_sheet_may_be_a_workbook(draft: Callable[..., draft_source.Written], tmp_path: Path) -> None:
    draft()
    write_workbook(tmp_path / "sheet.xlsx", sheet())
    read = readers.xlsx(tmp_path / "sheet.xlsx")
    assert read.to_dict("list") == sheet().to_dict("list")
    found = draft_source.write(tmp_path / "other.py", tmp_path / "counts.tsv", tmp_path / "sheet.xlsx").found
    assert (found["dose"], found["plate"]) == ('col("Dose_uM", unit="uM")', 'col("Plate")')
    (tmp_path / "sheet.xlsx").write_bytes(b"none")
    with pytest.raises(DataError, match="is damaged or incomplete"):
        readers.xlsx(tmp_path / "sheet.xlsx")
