"""Compounds through a load: looked up, named, reported, and led on when the rules change."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import made
import pandas as pd
import pytest
from databases import new_database
from loads import name_of, query, value

from pbdb.common.ids import stable_id
from pbdb.common.progress import Silent
from pbdb.common.settings import Settings
from pbdb.identity.compounds.pubchem_rest import Entry
from pbdb.identity.vocabulary import releases
from pbdb.loading import pipeline
from pbdb.server import connect
from pbdb.sources.declaration import CompoundColumns, Source

ASPIRIN, VORINOSTAT = "BSYNRYMUTXBXSQ-UHFFFAOYSA-N", "WAEXFXRVDQXREF-UHFFFAOYSA-N"
SMILES = {"x": "CC(=O)Oc1ccccc1C(=O)O", "y": "ONC(=O)CCCCCCC(=O)Nc1ccccc1", "DMSO": "CS(C)=O"}


def by_structure(files: object) -> pd.DataFrame:
    return pd.DataFrame({"drug": list(SMILES), "smiles": list(SMILES.values()), "hint": ["COX|pain", "HDAC", None]})


def by_cid(files: object) -> pd.DataFrame:
    return pd.DataFrame({"drug": list(SMILES), "cid": ["2244", "5311", "679"]})


STRUCTURES = made.source(
    compounds=CompoundColumns(by_structure, key="drug", smiles="smiles", annotations={"hint": "moa"}, separator="|")
)
CIDS = made.source(compounds=CompoundColumns(by_cid, key="drug", pubchem_cid="cid"))


class Told:
    """A look-up that knows aspirin by its title."""

    def entries(self, cids: Collection[int]) -> dict[int, Entry | None]:
        return {cid: Entry(2244, ASPIRIN, SMILES["x"], "Aspirin") for cid in cids if cid == 2244}

    def cids_of_inchikeys(self, inchikeys: Collection[str]) -> dict[str, tuple[int, ...]]:
        return {}

    def cids_of_names(self, names: Collection[str]) -> dict[str, tuple[int, ...]]:
        return {}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return made.write(tmp_path / "release")


def load(settings: Settings, release: Path, source: Source, **choices: object) -> None:
    pipeline.load_source(source, settings, pipeline.Choices(folder=release, effects=False, **choices), pubchem=Told())


@pytest.fixture(scope="module")
def with_structures(
    database_server: Settings, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Name of a database into which the source was loaded with structures."""
    folder = tmp_path_factory.mktemp("structures")
    with new_database(database_server, folder / "home", template) as settings:
        load(settings, made.write(folder / "release"), STRUCTURES)
        yield name_of(settings)


@pytest.fixture
def loaded(database_server: Settings, with_structures: str, tmp_path: Path) -> Iterator[Settings]:
    """A copy of that database."""
    with new_database(database_server, tmp_path / "home", with_structures) as settings:
        yield settings


def test_a_title_of_pubchem_wins_over_the_names_of_sources(database: Settings, release: Path) -> None:
    load(database, release, CIDS)
    assert query(database, "SELECT compound_name, pubchem_title FROM pbdb.compound") == [("aspirin", "Aspirin")]
    assert value(database, "SELECT compound_name FROM core.source_compound WHERE source_key = 'x'") == "aspirin"


def test_a_cid_that_is_no_whole_number_is_a_problem_and_not_kept(database: Settings, release: Path) -> None:
    def odd(files: object) -> pd.DataFrame:
        return by_cid(files).replace("5311", "5311.5")

    load(database, release, made.source(compounds=CompoundColumns(odd, key="drug", pubchem_cid="cid")))
    statement = "SELECT given_pubchem_cid, split_part(problem, ';', 1) FROM core.source_compound WHERE source_key = 'y'"
    assert query(database, statement) == [(None, "'5311.5' is not a valid PubChem CID")]


def test_an_imported_file_of_pubchem_is_used_by_the_next_load(
    database: Settings, release: Path, tmp_path: Path
) -> None:
    made.load(database, release, CIDS, effects=False)
    assert query(database, "SELECT inchikey FROM pbdb.compound") == []
    dump = tmp_path / "CID-SMILES"
    dump.write_text(f"679\tCS(=O)C\n2244\t{SMILES['x']}\n5311\t{SMILES['y']}\n", encoding="utf-8")
    releases.import_files(database, "pubchem", dump)
    assert made.load(database, release, CIDS, effects=False)["changed"]
    assert value(database, "SELECT count(*) FROM pbdb.compound") == 3
    assert not made.load(database, release, CIDS, effects=False)["changed"]


def test_statements_of_a_source_are_annotations(loaded: Settings) -> None:
    found = "SELECT compound_name, value, dataset FROM pbdb.compound_annotation ORDER BY 1, 2"
    assert query(loaded, found) == [("x", "COX", "made"), ("x", "pain", "made"), ("y", "HDAC", "made")]


def test_a_load_reports_routes_and_lists_the_unresolved(database: Settings, release: Path) -> None:
    said: list[str] = []

    class Heard(Silent):
        def stage(self, stage: str, message: str) -> None:
            said.append(message)

    pipeline.load_source(made.SOURCE, database, pipeline.Choices(folder=release, effects=False), reporter=Heard())
    (told,) = [message for message in said if "compounds:" in message]
    assert "3 compounds: 2 unresolved, 1 vehicle; 0 conflicts; unresolved: x, y;" in told
    assert said[0] == "made" and said[-1].startswith("matches with other datasets: 0 by parent_inchikey within 0 h")


def _of_an_earlier_rule(settings: Settings, key: str, *source_keys: str) -> None:
    """Let source compounds have been another compound under an earlier rule."""
    old = stable_id("compound", key)
    with connect.engine(settings).begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO core.compound (compound_id, inchikey) VALUES ({old}, '{key}')")
        listed = ", ".join(f"'{one}'" for one in source_keys)
        connection.exec_driver_sql(
            f"UPDATE core.source_compound SET compound_id = {old}, rule_version = '0' WHERE source_key IN ({listed})"
        )


REPLACED = "SELECT o.inchikey, n.inchikey FROM core.compound o JOIN core.compound n ON n.compound_id = o.replaced_by"


def test_a_compound_that_the_rules_changed_leads_to_what_it_became(loaded: Settings, release: Path) -> None:
    _of_an_earlier_rule(loaded, "OLD", "x")
    load(loaded, release, STRUCTURES, force=True)
    assert query(loaded, REPLACED) == [("OLD", ASPIRIN)]
    found = "SELECT compound_name FROM pbdb.compound_alias WHERE alias = 'OLD' AND kind = 'former_inchikey'"
    assert query(loaded, found) == [("x",)]
    assert query(loaded, "SELECT 1 FROM pbdb.compound WHERE inchikey = 'OLD'") == []


def test_a_compound_that_was_split_leads_to_one_part_and_its_sources_to_their_own(loaded: Settings, release) -> None:
    _of_an_earlier_rule(loaded, "OLD", "x", "y")
    load(loaded, release, STRUCTURES, force=True)
    first = min(ASPIRIN, VORINOSTAT, key=lambda key: stable_id("compound", key))
    assert query(loaded, REPLACED) == [("OLD", first)]
    own = (
        "SELECT k.inchikey FROM core.source_compound s JOIN core.compound k USING (compound_id) WHERE source_key = :key"
    )
    assert [value(loaded, own, key=key) for key in "xy"] == [ASPIRIN, VORINOSTAT]


def test_a_change_of_the_source_is_no_change_of_the_rules(loaded: Settings, release: Path) -> None:
    _of_an_earlier_rule(loaded, "OLD", "x")
    with connect.engine(loaded).begin() as connection:
        connection.exec_driver_sql("UPDATE core.source_compound SET given_smiles = 'C' WHERE source_key = 'x'")
    load(loaded, release, STRUCTURES, force=True)
    assert query(loaded, REPLACED) == []


def test_a_compound_that_comes_back_is_no_longer_replaced(loaded: Settings, release: Path) -> None:
    with connect.engine(loaded).begin() as connection:
        vorinostat = stable_id("compound", VORINOSTAT)
        connection.exec_driver_sql(f"UPDATE core.compound SET replaced_by = {vorinostat} WHERE inchikey = '{ASPIRIN}'")
    load(loaded, release, STRUCTURES, force=True)
    assert query(loaded, REPLACED) == []
