"""Search in the database: similar structures are exact, substructures those RDKit finds, names those anybody uses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from databases import new_database
from loads import query
from rdkit import Chem, DataStructs
from rows import add_dataset, insert

from pbdb.cli import pbdb
from pbdb.common.errors import ConfigError, PbdbError, QueryError
from pbdb.common.ids import stable_id
from pbdb.common.settings import Settings
from pbdb.database.copy_text import copy_frame
from pbdb.identity.compounds import structure
from pbdb.identity.compounds.resolve import Resolution
from pbdb.identity.compounds.source_compounds import compound_rows
from pbdb.identity.compounds.structure import Structure
from pbdb.query import compound_page
from pbdb.query import compounds as compound_search
from pbdb.query.database import Database
from pbdb.server import connect

DRUGS = {
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "salicylic acid": "OC(=O)c1ccccc1O",
    "salsalate": "OC(=O)c1ccccc1OC(=O)c1ccccc1O",
    "paracetamol": "CC(=O)Nc1ccc(O)cc1",
    "phenacetin": "CCOc1ccc(NC(C)=O)cc1",
    "vorinostat": "ONC(=O)CCCCCCC(=O)Nc1ccccc1",
    "belinostat": "ONC(=O)/C=C/c1cccc(c1)S(=O)(=O)Nc1ccccc1",
    "metformin": "CN(C)C(=N)NC(N)=N",
    "metformin hydrochloride": "CN(C)C(=N)NC(N)=N.Cl",
    "caffeine": "Cn1c(=O)c2c(ncn2C)n(C)c1=O",
    "theophylline": "Cn1c(=O)c2[nH]cnc2n(C)c1=O",
    "lidocaine": "CCN(CC)CC(=O)Nc1c(C)cccc1C",
    "procaine": "CCN(CC)CCOC(=O)c1ccc(N)cc1",
    "imatinib": "Cc1ccc(NC(=O)c2ccc(CN3CCN(C)CC3)cc2)cc1Nc1nccc(-c2cccnc2)n1",
    "imatinib mesylate": "Cc1ccc(NC(=O)c2ccc(CN3CCN(C)CC3)cc2)cc1Nc1nccc(-c2cccnc2)n1.CS(=O)(=O)O",
    "ibuprofen": "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "dexibuprofen": "CC(C)Cc1ccc(cc1)[C@H](C)C(=O)O",
    "naproxen": "COc1ccc2cc(ccc2c1)[C@H](C)C(=O)O",
}


@pytest.fixture(scope="module")
def structures() -> dict[str, Structure]:
    found = {name: structure.standardise(smiles) for name, smiles in DRUGS.items()}
    return {name: one for name, one in found.items() if isinstance(one, Structure)}


@pytest.fixture(scope="module")
def drugs(database_server: Settings, template: str, structures, tmp_path_factory) -> Iterator[Database]:
    """A database of the drugs, for tests that only read."""
    with new_database(database_server, tmp_path_factory.mktemp("drugs"), template) as settings:
        yield filled(settings, structures)


def filled(settings: Settings, structures: dict[str, Structure]) -> Database:
    """The drugs as compounds of one dataset; aspirin has a conflict and two conditions."""
    resolved = [
        Resolution("structure", s.inchikey, s.parent_inchikey, s.skeleton, None, s) for s in structures.values()
    ]
    rows = compound_rows(pd.DataFrame({"resolution": resolved}))
    rows["compound_id"] = [stable_id("compound", key) for key in rows["inchikey"]]
    with connect.engine(settings).begin() as connection:
        add_dataset(connection, 1, "made")
        copy_frame(connection, "core.compound", rows.assign(name=list(structures)))
        for number, name in enumerate(structures):
            _add_source(connection, number, name, stable_id("compound", structures[name].inchikey))
        _add_source(connection, 99, "mystery", None)
        insert(connection, "context", {"context_id": 1, "context": "CVCL:1", "context_name": "A"} | KIND)
        for number, dose in enumerate((10**9, 10**10)):
            what = {"condition_id": number, "dataset_id": 1, "source_compound_id": 0, "context_id": 1, "dose_fm": dose}
            insert(connection, "condition", what | {"time_h": 24, "is_vehicle": False, "n_samples": 3})
    return Database(settings)


KIND = {"kind": "cell_line", "organism": "human"}


def _add_source(connection: Any, number: int, name: str, compound: int | None) -> None:
    row = {"source_compound_id": number, "dataset_id": 1, "source_key": f"D{number}", "name": name}
    row |= {"compound_id": compound, "resolved_by": "structure" if compound is not None else "unresolved"}
    insert(connection, "source_compound", row | ({"conflict": "salt: given another key"} if number == 0 else {}))


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["compound_name"] for row in rows]


@pytest.mark.parametrize("name", ["aspirin", "vorinostat", "imatinib mesylate", "caffeine"])
def test_similar_compounds_are_exact(drugs: Database, structures: dict[str, Structure], name: str) -> None:
    bits = {one: DataStructs.CreateFromBitString(structure.bit_string(s.fingerprint)) for one, s in structures.items()}
    own = bits.pop(name)
    expected = sorted(DataStructs.BulkTanimotoSimilarity(own, list(bits.values())), reverse=True)[:5]
    found = query(
        drugs.settings,
        "SELECT inchikey, tanimoto FROM pbdb.similar_compounds(:key, 5)",
        key=structures[name].inchikey,
    )
    assert [value for _, value in found] == pytest.approx(expected)
    assert structures[name].inchikey not in [key for key, _ in found]


def test_nothing_is_similar_to_a_compound_that_is_not_there(drugs: Database) -> None:
    assert query(drugs.settings, "SELECT * FROM pbdb.similar_compounds('AAAAAAAAAAAAAA-UHFFFAOYSA-N')") == []


def test_a_structure_that_is_not_there_finds_what_is_like_it(drugs: Database) -> None:
    found = compound_search.similar_to(drugs, "CCC(=O)Oc1ccccc1C(=O)O", 2)
    assert names(found)[0] == "aspirin"
    assert 0.5 < found[0]["tanimoto"] < 1


def test_salts_are_as_similar_as_their_parent(drugs: Database) -> None:
    found = compound_search.similar_to(drugs, DRUGS["metformin"], 2)
    assert sorted(names(found)) == ["metformin", "metformin hydrochloride"]
    assert [row["tanimoto"] for row in found] == [1, 1]


@pytest.mark.parametrize("smarts", ["C(=O)NO", "c1ccccc1", "[NX3;H2]", "S(=O)(=O)O", "n1cncc1", "C#N"])
def test_substructures_are_those_of_the_parents(drugs: Database, structures: dict[str, Structure], smarts: str) -> None:
    pattern = Chem.MolFromSmarts(smarts)
    expected = {
        name for name, one in structures.items() if Chem.MolFromSmiles(one.parent_smiles).HasSubstructMatch(pattern)
    }
    assert set(names(compound_search.with_substructure(drugs, smarts))) == expected


def test_a_search_stops_at_its_limit(drugs: Database) -> None:
    every = compound_search.with_substructure(drugs, "c1ccccc1")
    assert compound_search.find(drugs, "substructure", "c1ccccc1", 3) == every[:3]
    assert len(compound_search.find(drugs, "name", "in", 4)) == 4


def test_keys_find_a_compound_and_its_salts(drugs: Database, structures: dict[str, Structure]) -> None:
    found = compound_search.by_inchikey(drugs, structures["metformin"].inchikey.lower())
    assert names(found) == ["metformin", "metformin hydrochloride"]
    assert names(compound_search.by_inchikey(drugs, structures["metformin hydrochloride"].inchikey)) == [
        "metformin hydrochloride"
    ]


def test_replaced_compounds_are_found_under_their_new_name_only(database: Settings, structures) -> None:
    drugs = filled(database, structures)
    old, new = (stable_id("compound", structures[name].inchikey) for name in ("phenacetin", "paracetamol"))
    with connect.engine(database).begin() as connection:
        connection.exec_driver_sql("DELETE FROM core.source_compound WHERE name = 'phenacetin'")
        connection.exec_driver_sql(f"UPDATE core.compound SET replaced_by = {new} WHERE compound_id = {old}")
    assert "phenacetin" not in names(compound_search.similar_to(drugs, DRUGS["phenacetin"], 50))
    assert "phenacetin" not in names(compound_search.with_substructure(drugs, "CCO"))
    assert names(compound_search.one_compound(drugs, structures["phenacetin"].inchikey)) == ["paracetamol"]


@pytest.mark.parametrize(
    ("way", "text", "error", "says"),
    [
        ("smiles", "C1CC", ConfigError, "cannot be searched for"),
        ("substructure", "((", QueryError, "not a SMARTS"),
        ("inchikey", "vorinostat", ConfigError, "not a standard InChIKey"),
        ("cid", "abc", ConfigError, "not a PubChem CID"),
    ],
)
def test_what_cannot_be_searched_for_is_refused(
    drugs: Database, way: str, text: str, error: type[PbdbError], says
) -> None:
    with pytest.raises(error, match=says):
        compound_search.find(drugs, way, text)


def test_the_page_of_a_compound_holds_what_is_known_of_it(drugs: Database, structures: dict[str, Structure]) -> None:
    page = compound_page.describe(drugs, "Aspirin")
    assert [row["inchikey"] for row in page["compounds"]] == [structures["aspirin"].inchikey]
    assert [row["conflict"] for row in page["sources"]] == ["salt: given another key"]
    assert {"aspirin", "D0", structures["aspirin"].inchikey} == {row["alias"] for row in page["aliases"]}
    (condition,) = page["conditions"]
    assert (condition["dataset"], condition["n_conditions"], condition["max_dose_um"]) == ("made", 2, 10)


def test_the_page_names_other_forms_and_the_level_they_share(drugs: Database) -> None:
    related = compound_page.describe(drugs, "metformin")["related"]
    assert [(row["compound_name"], row["level"]) for row in related] == [("metformin hydrochloride", "parent_inchikey")]
    related = compound_page.describe(drugs, "ibuprofen")["related"]
    assert [(row["compound_name"], row["level"]) for row in related] == [("dexibuprofen", "skeleton")]


def test_an_unresolved_compound_has_a_page_without_structure(drugs: Database, tmp_path: Path) -> None:
    page = compound_page.describe(drugs, "mystery")
    assert (page["compounds"], [row["name"] for row in page["sources"]]) == ([], ["mystery"])
    (namesake,) = page["namesakes"]
    assert (namesake["dataset"], namesake["name"]) == ("made", "mystery")
    assert namesake["resolve"].startswith("pbdb etl load ./") and namesake["resolve"].endswith("made --pubchem rest")
    with pytest.raises(QueryError, match="not known"):
        compound_page.draw(page, tmp_path / "x.svg")


def test_an_unknown_name_is_refused_with_names_like_it(drugs: Database) -> None:
    with pytest.raises(QueryError, match=r"No compound is called 'profen'; there are '.*ibuprofen'"):
        compound_page.describe(drugs, "profen")


@pytest.fixture
def command(drugs: Database, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command line over the drugs; returns what it prints."""
    monkeypatch.setenv("PBDB_HOME", str(drugs.settings.home))
    monkeypatch.setenv("PBDB_DATABASE_URL", str(drugs.settings.database_url))
    monkeypatch.setenv("PBDB_READ_AS_SUPERUSER", "1")
    return lambda *words: CliRunner().invoke(pbdb, ["compound", *words], catch_exceptions=False).stdout


def test_show_prints_json_and_draws(command: Any, tmp_path: Path) -> None:
    picture = tmp_path / "aspirin.svg"
    page = json.loads(command("show", "aspirin", "--json", "--picture", str(picture)))
    assert page["name"] == "aspirin"
    assert picture.read_bytes().lstrip().startswith(b"<?xml")
    assert "conditions" in command("show", "aspirin")


def test_search_and_conflicts_print(command: Any) -> None:
    assert "vorinostat" in command("search", "--substructure", "C(=O)NO")
    (found,) = json.loads(command("search", "--smiles", DRUGS["caffeine"], "--limit", "1", "--json"))
    assert (found["compound_name"], found["tanimoto"]) == ("caffeine", 1)
    assert [row["compound_name"] for row in json.loads(command("conflicts", "--json"))] == ["aspirin"]
    assert json.loads(command("conflicts", "--dataset", "other", "--json")) == []
