"""What stages leave behind is read back as it was, so that a resumed load equals one that ran through."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import made
import pandas as pd
import pytest
from loads import query

from pbdb import readers
from pbdb.common.settings import Settings
from pbdb.loading import stage_cache
from pbdb.samples import canonicalise
from pbdb.sources.declaration import CompoundColumns, File, Source

ASPIRIN, SALT = "CC(=O)Oc1ccccc1C(O)=O", "CC(=O)Oc1ccccc1C(=O)[O-].[Na+]"
TABLE = pd.DataFrame(
    {
        "id": ["DMSO", "x", "y"],
        "name": ["DMSO", "aspirin", None],
        "smiles": [None, ASPIRIN, SALT],
        "cid": [None, "2244", None],
        "target": [None, "PTGS1|PTGS2", r"\N"],
    }
)


@pytest.fixture
def declared() -> Source:
    compounds = CompoundColumns(
        "compounds",
        key="id",
        name="name",
        smiles="smiles",
        pubchem_cid="cid",
        annotations={"target": "target"},
        separator="|",
    )
    table = File("compounds.csv", readers.csv, columns=tuple(TABLE.columns))
    return made.source(compounds=compounds, files={**made.SOURCE.files, "compounds": table})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = made.write(tmp_path / "release")
    TABLE.to_csv(place / "compounds.csv", index=False)
    return place


ROWS = """SELECT source_key, s.name, given_smiles, given_pubchem_cid, resolved_by, c.inchikey, c.pubchem_cid, c.smiles,
    c.fingerprint::text, array(SELECT value FROM core.compound_annotation a
                               WHERE a.source_compound_id = s.source_compound_id ORDER BY 1)
    FROM core.source_compound s LEFT JOIN core.compound c USING (compound_id) ORDER BY 1"""


def test_a_resumed_load_writes_the_same_compounds(
    database: Settings, declared: Source, folder: Path, tmp_path: Path
) -> None:
    made.load(database, folder, declared)
    at_once = query(database, ROWS)
    elsewhere = replace(database, home=tmp_path / "elsewhere")
    made.load(elsewhere, folder, declared, until="validate", force=True)
    made.load(elsewhere, folder, declared, until="validate")
    made.load(elsewhere, folder, replace(declared, datasets={"made": declared.datasets["made"]}), force=False)
    assert query(elsewhere, ROWS) == at_once
    by_key = {row[0]: row for row in at_once}
    assert by_key["x"][3] == 2244
    assert by_key["x"][9] == ["PTGS1", "PTGS2"]
    assert by_key["y"][9] == [r"\N"]
    assert by_key["DMSO"][4] == "unresolved"


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Equal in values and types; which of None and NaN stands for a missing text does not matter."""
    assert found.dtypes.tolist() == expected.dtypes.tolist()
    either = (table.astype(object).where(table.notna(), None) for table in (found, expected))
    pd.testing.assert_frame_equal(*either)


def test_samples_come_back_with_their_types(tmp_path: Path) -> None:
    table = made.sheet(note=["seen", None] * 12).mask(lambda t: t == "").assign(n_counts=5)
    samples = canonicalise.canonical_samples(made.SOURCE, table)
    stage_cache.write_samples(tmp_path, samples)
    assert_same(stage_cache.read_samples(tmp_path), samples)


def test_rows_of_tables_come_back_with_their_types(
    database: Settings, declared: Source, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []
    original = stage_cache.write_tables
    monkeypatch.setattr(
        stage_cache, "write_tables", lambda place, tables: kept.append(tables) or original(place, tables)
    )
    made.load(database, folder, declared, until="validate")
    (place,) = (database.cache / "made").iterdir()
    found = stage_cache.read_tables(place)
    assert set(found) == set(kept[0])
    for name, table in kept[0].items():
        assert_same(found[name], table)
