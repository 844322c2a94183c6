"""Tables as people save them: one table of cells in many forms of files, all of which say the same."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path

from pbdb.common import workbook_writer

Rows = list[list[str]]


def text(rows: Rows, sep: str = ",", ending: str = "\n") -> str:
    """Rows as CSV."""
    out = io.StringIO()
    csv.writer(out, delimiter=sep, lineterminator=ending).writerows(rows)
    return out.getvalue()


def _saved(sep: str = ",", encoding: str = "utf-8", suffix: str = ".csv", ending: str = "\n") -> Callable[..., Path]:
    def save(folder: Path, name: str, rows: Rows) -> Path:
        path = folder / f"{name}{suffix}"
        path.write_bytes(text(rows, sep, ending).encode(encoding))
        return path

    return save


def _changed(change: Callable[[Rows], Rows], save: Callable[..., Path] | None = None) -> Callable[..., Path]:
    return lambda folder, name, rows: (save or _saved())(folder, name, change(rows))


def _workbook(change: Callable[[Rows], Rows] = list, **others: Rows) -> Callable[..., Path]:
    def save(folder: Path, name: str, rows: Rows) -> Path:
        path = folder / f"{name}.xlsx"
        workbook_writer.save(path, {"Plan": [[cell or None for cell in row] for row in change(rows)], **others})
        return path

    return save


def _gzipped(folder: Path, name: str, rows: Rows) -> Path:
    path = folder / f"{name}.csv.gz"
    path.write_bytes(gzip.compress(text(rows).encode()))
    return path


def _titled(rows: Rows) -> Rows:
    return [["Screen of March"], [], *rows]


def _with_empty_rows(rows: Rows) -> Rows:
    empty = [""] * len(rows[0])
    return [rows[0], *(row for one in rows[1:] for row in (one, empty))]


def _with_empty_columns(rows: Rows) -> Rows:
    return [[*row, "", ""] for row in rows]


def _with_blanks(rows: Rows) -> Rows:
    return [[f"\u00a0{cell}  " for cell in row] for row in rows]


FORMS: dict[str, Callable[..., Path]] = {
    "plain": _saved(),
    "semicolons": _saved(";"),
    "tabs": _saved("\t", suffix=".tsv"),
    "tabs in a .csv": _saved("\t"),
    "commas in a .txt": _saved(suffix=".txt"),
    "lines of Windows": _saved(ending="\r\n"),
    "byte order mark": _saved(encoding="utf-8-sig"),
    "UTF-16": _saved("\t", "utf-16", ".txt"),
    "UTF-16 without a mark": _saved("\t", "utf-16-le", ".txt"),
    "Windows-1252": _saved(";", "cp1252"),
    "gzip": _gzipped,
    "sep= line": lambda folder, name, rows: _saved(";")(folder, name, [["sep=", ""], *rows]),
    "title rows": _changed(_titled),
    "empty rows": _changed(_with_empty_rows),
    "empty columns": _changed(_with_empty_columns),
    "blanks around cells": _changed(_with_blanks),
    "workbook": _workbook(),
    "workbook with a title": _workbook(_titled),
    "workbook with an empty worksheet": _workbook(Sheet2=[]),
    "workbook with blanks": _workbook(_with_blanks),
}
"""Ways to save rows; each takes folder, name without ending, and rows, and returns the path."""
