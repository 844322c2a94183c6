"""A user's table of compounds through the resolver, and the look-ups it uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from pbdb.common.errors import DataError
from pbdb.common.settings import Settings
from pbdb.identity.compounds.pubchem_bulk import import_dump
from pbdb.identity.compounds.pubchem_bulk_lookup import lookup
from pbdb.identity.compounds.pubchem_rest import Client
from pbdb.identity.compounds.user_table import in_words, resolve_file

ASPIRIN = "BSYNRYMUTXBXSQ-UHFFFAOYSA-N"


def written(folder: Path, text: str) -> Path:
    path = folder / "compounds.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_each_row_says_what_decided_and_what_was_in_the_way(tmp_path: Path) -> None:
    table = f"name,smiles,inchikey\naspirin,CC(=O)Oc1ccccc1C(=O)O,\nwrong,O,{ASPIRIN}\nbroken,C1CC,\n"
    rows = resolve_file(written(tmp_path, table))
    assert [(row["line"], row["route"]) for row in rows] == [(2, "structure"), (3, "structure"), (4, "unresolved")]
    assert rows[0]["inchikey"] == ASPIRIN
    assert rows[1]["conflict"].startswith("structure: the InChIKey given")
    assert "cannot read" in rows[2]["problem"]
    assert in_words(rows) == "3 compounds: 2 by structure, 1 unresolved; 1 conflicts"


def test_blank_lines_count_as_lines_and_hold_no_compound(tmp_path: Path) -> None:
    for table in ("smiles,name\n\nCCO,ethanol\n\n", "smiles\n\nCCO\n\n"):
        assert [row["line"] for row in resolve_file(written(tmp_path, table))] == [3]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n", "none of the columns smiles"),
        ("", "is empty"),
        ("smiles,name\nCCO,ethanol,10\n", "one name less than the rows"),
        ("smiles,name\nCCO,ethanol\nO,water,10\n", "Line 3 of .* has 3 cells, but there are 2 headings"),
        ("SMILES,smiles_1\nCCO,CCO\n", "'SMILES' and 'smiles_1' .* both say smiles"),
        (None, "no file"),
    ],
)
def test_what_is_no_such_table_is_refused(tmp_path: Path, text: str | None, says: str) -> None:
    path = tmp_path / "missing.csv" if text is None else written(tmp_path, text)
    with pytest.raises(DataError, match=says):
        resolve_file(path)


def test_imported_files_answer_before_earlier_answers(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    rows = resolve_file(written(tmp_path, "pubchem_cid\n2244\n"), lookup(settings))
    assert (rows[0]["route"], rows[0]["inchikey"]) == ("pubchem_cid", None)
    dump = tmp_path / "CID-SMILES"
    dump.write_text("2244\tCC(=O)OC1=CC=CC=C1C(=O)O\n", encoding="utf-8")
    import_dump(dump, settings.home / "vocab" / "pubchem")
    rows = resolve_file(written(tmp_path, "pubchem_cid\n2244\n"), lookup(settings))
    assert rows[0]["inchikey"] == ASPIRIN


def test_without_imported_files_the_way_is_a_client_with_its_cache(tmp_path: Path) -> None:
    assert isinstance(lookup(Settings(home=tmp_path)), Client)
