"""Write Excel workbooks (xlsx) row by row, so that a sheet may be larger than the memory.

Texts are shared strings and dates are numbers with a format of dates, as Excel itself writes them; missing cells are
left out. The same rows give the same bytes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from xml.sax.saxutils import escape

_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_SHEET_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"
_EPOCH = datetime(1899, 12, 30)
_AN_AGE = (1980, 1, 1, 0, 0, 0)

Rows = Iterable[Sequence[Any]]


def save(path: Path, sheets: Mapping[str, Rows], level: int = 6) -> None:
    """Write sheets by name: rows of text, numbers, dates and None. level: of compression, 1 to 9."""
    strings: dict[str, int] = {}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for number, rows in enumerate(sheets.values(), start=1):
            with archive.open(_member(f"xl/worksheets/sheet{number}.xml"), "w", force_zip64=True) as out:
                _write_sheet(out, rows, strings)
        for name, text in _others(list(sheets), strings).items():
            archive.writestr(_member(name), _XML + text)


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _AN_AGE)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def _write_sheet(out: IO[bytes], rows: Rows, strings: dict[str, int]) -> None:
    out.write(f'{_XML}<worksheet {_MAIN}><cols><col min="1" max="1" width="20"/></cols><sheetData>'.encode())
    letters: list[str] = []
    for number, row in enumerate(rows, start=1):
        letters += [column(at) for at in range(len(letters), len(row))]
        cells = "".join([_cell(f"{at}{number}", value, strings) for at, value in zip(letters, row, strict=False)])
        out.write(f'<row r="{number}">{cells}</row>'.encode())
    out.write(b"</sheetData></worksheet>")


def _cell(place: str, value: Any, strings: dict[str, int]) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f'<c r="{place}" t="s"><v>{strings.setdefault(value, len(strings))}</v></c>'
    if isinstance(value, datetime):
        return f'<c r="{place}" s="1"><v>{(value - _EPOCH).days}</v></c>'
    return f'<c r="{place}"><v>{value}</v></c>'


def column(at: int) -> str:
    """Letters of a column, from 0: A, B, ..., Z, AA, ..."""
    rest, letters = at + 1, ""
    while rest:
        rest, last = divmod(rest - 1, 26)
        letters = chr(65 + last) + letters
    return letters


def _others(names: Sequence[str], strings: dict[str, int]) -> dict[str, str]:
    """The members of the archive beside the sheets."""
    numbered = list(enumerate(names, start=1))
    listed = "".join(f'<sheet name="{escape(name)}" sheetId="{at}" r:id="rId{at}"/>' for at, name in numbered)
    parts = [("worksheet", f"worksheets/sheet{at}.xml") for at, _ in numbered]
    parts += [("styles", "styles.xml"), ("sharedStrings", "sharedStrings.xml")]
    related = "".join(
        f'<Relationship Id="rId{at}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for at, (kind, target) in enumerate(parts, start=1)
    )
    shared = "".join(f'<si><t xml:space="preserve">{escape(text)}</t></si>' for text in strings)
    sheets = "".join(
        f'<Override PartName="/xl/worksheets/sheet{at}.xml" ContentType="{_SHEET_KIND}"/>' for at, _ in numbered
    )
    return {
        "xl/sharedStrings.xml": f'<sst {_MAIN} uniqueCount="{len(strings)}">{shared}</sst>',
        "xl/styles.xml": f'<styleSheet {_MAIN}><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
        "</styleSheet>",
        "xl/workbook.xml": f'<workbook {_MAIN} xmlns:r="{_OFFICE}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{related}</Relationships>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="xml" '
        f'ContentType="application/xml"/><Default Extension="rels" ContentType="application/vnd.openxmlformats-'
        f'package.relationships+xml"/>{sheets}</Types>',
    }
