"""A database for tests of exports: two small datasets that share compounds, one of which may not be passed on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import made
import numpy as np
import pandas as pd
import pytest
from databases import new_database
from loads import name_of

from pbdb.common.settings import Settings
from pbdb.exports import selection
from pbdb.server import connect
from pbdb.sources.declaration import CompoundColumns, Context, Dataset

# Two salt forms of one parent, a stereoisomer pair, a compound of its own: name, SMILES, PubChem CID.
DRUGS = {
    "DMSO": ("CS(C)=O", "679"),
    "aspirin": ("CC(=O)Oc1ccccc1C(=O)O", "2244"),
    "aspirin sodium": ("CC(=O)Oc1ccccc1C(=O)[O-].[Na+]", "23666729"),
    "vorinostat": ("ONC(=O)CCCCCCC(=O)Nc1ccccc1", "5311"),
    "(R)-thing": ("C[C@H](N)c1ccc2ccccc2c1", "90001"),
    "(S)-thing": ("C[C@@H](N)c1ccc2ccccc2c1", "90002"),
    "sulforaphane": ("CS(=O)CCCCN=C=S", "5350"),
}
OPEN, CLOSED = ("aspirin", "vorinostat", "(R)-thing", "sulforaphane"), ("aspirin sodium", "vorinostat", "(S)-thing")
N_GENES = 60


def declared(dataset: str, *, is_redistributable: bool) -> Any:
    """A source with one dataset in two contexts, with structures."""
    terms = {"release": "1", "license": "MIT", "citation": "a test", "is_redistributable": is_redistributable}
    return made.source(
        key=dataset,
        datasets={dataset: Dataset(**terms)},
        contexts={"A": Context("CVCL:0001", "A"), "B": Context("CVCL:0002", "B")},
        compounds=CompoundColumns(table=_compounds, key="drug", name="drug", smiles="smiles", pubchem_cid="cid"),
    )


def _compounds(files: Any) -> pd.DataFrame:
    names = [name for name in files["sheet"]["drug"].unique() if name in DRUGS]
    return pd.DataFrame([(name, *DRUGS[name]) for name in names], columns=["drug", "smiles", "cid"])


def sheet(drugs: tuple[str, ...], dose: str = "10") -> pd.DataFrame:
    """Wells of two contexts on two plates: four of DMSO in each, two of every drug at two doses."""
    wells = [("DMSO", "")] * 4 + [(drug, at) for drug in drugs for at in ("1", dose) for _ in range(2)]
    table = pd.DataFrame([(cells, *well) for cells in "AB" for well in wells], columns=["cells", "drug", "dose"])
    table["unit"] = np.where(table["dose"] == "", "", "uM")
    rest = {"plate": [f"p{at % 2}" for at in range(len(table))], "hours": "24", "note": ""}
    return table.assign(sample=[f"s{at:03d}" for at in range(len(table))], **rest)[list(made.SHEET)]


def counts(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Counts in which vorinostat raises the first ten genes fourfold."""
    values = made.counts(table["sample"].tolist(), N_GENES, seed)
    values.iloc[:10] *= np.where(table["drug"] == "vorinostat", 4, 1)
    return values


@pytest.fixture(scope="session")
def two_datasets(database_server: Settings, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Name of a database that holds `first` (redistributable) and `second` (not)."""
    place = tmp_path_factory.mktemp("exported")
    with new_database(database_server, place / "home", template) as settings:
        for seed, (dataset, drugs, dose) in enumerate((("first", OPEN, "10"), ("second", CLOSED, "3.33333"))):
            table = sheet(drugs, dose)
            made.write(place / dataset, table, counts(table, seed))
            made.load(settings, place / dataset, declared(dataset, is_redistributable=dataset == "first"))
        yield name_of(settings)


@pytest.fixture
def exported(database_server: Settings, two_datasets: str, tmp_path: Path) -> Iterator[Settings]:
    """A copy of that database."""
    with new_database(database_server, tmp_path / "home", two_datasets) as settings:
        yield settings


@pytest.fixture(scope="session")
def exports(
    database_server: Settings, two_datasets: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Settings of one copy of that database for tests that only read."""
    with new_database(database_server, tmp_path_factory.mktemp("read"), two_datasets) as settings:
        yield settings


def rows(settings: Settings, query: str, **values: Any) -> pd.DataFrame:
    """Rows of a query as a frame."""
    with connect.connect(settings) as connection:
        return selection.frame(connection, query, values)
