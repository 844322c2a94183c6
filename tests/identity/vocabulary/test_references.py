"""Reference tables of compounds: names, mechanisms and targets at the level of parents."""

from __future__ import annotations

from pathlib import Path

import pytest
from loads import query
from rows import add_dataset, insert
from sqlalchemy import text
from vocabulary_tables import hub

from pbdb.common.errors import VocabularyError
from pbdb.common.ids import stable_id
from pbdb.common.settings import Settings
from pbdb.identity.compounds import structure
from pbdb.identity.compounds.resolve import Record, resolve
from pbdb.identity.compounds.structure import Structure
from pbdb.identity.vocabulary import references, releases
from pbdb.identity.vocabulary.reference_files import read_reference
from pbdb.server import connect

COMPOUNDS = {
    "ONC(=O)CCCCCCC(=O)Nc1ccccc1": "SAHA",
    "Cc1[nH]c2ccccc2c1CCNCc1ccc(/C=C/C(=O)NO)cc1.OC(=O)C(O)CC(O)=O": "LBH-589 malate",
    "CN(C)C(=N)NC(N)=N.Cl": "metformin hydrochloride",
    "CC(=O)Oc1ccccc1C(=O)O": "aspirin",
}
INHIBITORS = (
    "SELECT DISTINCT compound_name FROM pbdb.compound_annotation WHERE kind = 'moa' AND value = 'HDAC inhibitor'"
)


@pytest.fixture
def compounds(database: Settings) -> Settings:
    """A database with four compounds of one open dataset, two of them salts."""
    with connect.engine(database).begin() as connection:
        add_dataset(connection, 1, "open", is_redistributable=True)
        for number, (smiles, name) in enumerate(COMPOUNDS.items()):
            found = structure.standardise(smiles)
            assert isinstance(found, Structure)
            key = stable_id("compound", found.inchikey)
            row = {"compound_id": key, "inchikey": found.inchikey, "parent_inchikey": found.parent_inchikey}
            insert(connection, "compound", row | {"name": name.lower(), "smiles": smiles})
            source = {"source_compound_id": number, "dataset_id": 1, "source_key": f"k{number}", "name": name}
            insert(connection, "source_compound", source | {"compound_id": key, "resolved_by": "structure"})
    return database


def test_names_and_statements_reach_all_forms_of_a_parent(compounds: Settings, tmp_path: Path) -> None:
    outcome = releases.import_files(compounds, "repurposing_hub", hub(tmp_path))
    assert (outcome.release.name, outcome.labelled["compounds_renamed"]) == ("2020-03-24", 3)
    names = "SELECT compound_name FROM pbdb.compound ORDER BY 1"
    assert [row[0] for row in query(compounds, names)] == ["aspirin", "metformin", "panobinostat", "vorinostat"]
    assert query(compounds, f"{INHIBITORS} ORDER BY 1") == [("panobinostat",), ("vorinostat",)]
    stated = "SELECT kind, value FROM pbdb.compound_annotation WHERE compound_name = 'vorinostat' ORDER BY 1, 2"
    assert query(compounds, stated) == [
        ("approval", "Launched"),
        ("moa", "HDAC inhibitor"),
        ("target", "HDAC1"),
        ("target", "HDAC2"),
    ]


def test_apply_tells_how_many_compounds_it_renamed(compounds: Settings, tmp_path: Path) -> None:
    releases.import_files(compounds, "repurposing_hub", hub(tmp_path))
    with connect.engine(compounds).begin() as connection:
        connection.exec_driver_sql("UPDATE core.compound SET name = 'lost'")
    assert releases.apply(compounds).labelled["compounds_renamed"] == len(COMPOUNDS)


def test_every_name_finds_the_compound(compounds: Settings, tmp_path: Path) -> None:
    releases.import_files(compounds, "repurposing_hub", hub(tmp_path))
    for name in ("saha", "Vorinostat", "WAEXFXRVDQXREF-UHFFFAOYSA-N"):
        found = query(compounds, "SELECT compound_name, datasets FROM pbdb.find_compound(:name)", name=name)
        assert found == [("vorinostat", ["open"])]


def test_statements_that_may_not_be_passed_on_are_hidden_from_the_public(compounds: Settings, tmp_path: Path) -> None:
    releases.import_files(compounds, "repurposing_hub", hub(tmp_path))
    with connect.engine(compounds).begin() as connection:
        connection.execute(text("SET LOCAL ROLE pbdb_reader"))
        assert connection.execute(text(INHIBITORS)).all()
        connection.execute(text("SET LOCAL ROLE pbdb_public"))
        assert connection.execute(text(INHIBITORS)).all() == []


def test_another_release_takes_the_place_of_the_one_in_use(compounds: Settings, tmp_path: Path) -> None:
    paths = hub(tmp_path)
    releases.import_files(compounds, "repurposing_hub", paths)
    paths[0].write_text(paths[0].read_text().replace("3/24/2020", "3/24/2021").replace("HDAC inhibitor", "other"))
    releases.import_files(compounds, "repurposing_hub", paths)
    assert query(compounds, INHIBITORS)
    releases.use(compounds, "repurposing_hub", "2021-03-24")
    assert query(compounds, INHIBITORS) == []


def test_one_of_two_files_is_not_enough(database: Settings, tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match="is made of 2 files: give repurposing_drugs_DATE"):
        releases.import_files(database, "repurposing_hub", hub(tmp_path)[0])
    with pytest.raises(VocabularyError, match="has no column"):
        releases.import_files(database, "repurposing_hub", [hub(tmp_path)[0]] * 2)


@pytest.mark.parametrize(
    ("kind", "files", "compounds", "kinds"),
    [
        ("repurposing_hub", "reference/repurposing_hub/repurposing_*", 6798, {"moa", "target", "approval"}),
        ("moabox", "drugseq_like/novartis/MoABox_c*", 3836, {"moa", "target"}),
        ("tahoe_drugs", "tahoe/drug_metadata.parquet", 379, {"moa", "target", "approval"}),
        ("sciplex_drugs", "sciplex/[dS][ru][up][gp][Pl][re][om]*", 189, {"target", "pathway"}),
    ],
)
def test_real_tables_are_read(shared: Path, kind: str, files: str, compounds: int, kinds: set[str]) -> None:
    read = read_reference(kind, sorted((shared / "data").glob(files)))
    assert read.compounds["key"].nunique() == compounds
    assert set(read.statements["kind"]) == kinds
    assert not read.statements["value"].str.contains(";", regex=False).any()


def test_a_name_with_one_structure_in_a_table_in_use_is_resolved_by_it(database: Settings, tmp_path: Path) -> None:
    releases.import_files(database, "repurposing_hub", hub(tmp_path))
    with connect.engine(database).connect() as connection:
        listed = references.structures_by_name(database, references.in_use(connection))
    assert references.structures_by_name(database, references.in_home(database)) == listed
    (vorinostat,) = resolve([Record(name="Vorinostat ")], references=listed)
    assert (vorinostat.route, vorinostat.inchikey) == ("reference", "WAEXFXRVDQXREF-UHFFFAOYSA-N")
    assert vorinostat.structure is not None
    several = {
        "saha": ["ONC(=O)CCCCCCC(=O)Nc1ccccc1", "CC(=O)Oc1ccccc1C(=O)O"],
        "salt": ["CC(=O)[O-].[Na+]", "CC(=O)O"],
    }
    ambiguous, salt = resolve([Record(name="SAHA"), Record(name="salt")], references=several)
    assert ambiguous.route == "unresolved" and "'SAHA' is ambiguous in reference tables: WAEXF" in str(
        ambiguous.problem
    )
    assert (salt.route, salt.inchikey) == ("reference", "QTBSBXVTEAMEQO-UHFFFAOYSA-N")
