"""VCPI: both releases, the traps of their tables, and a token that is never shown."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from loads import copy_of, load, query, value
from simulated import Simulated

from pbdb.common.errors import PbdbError, SourceError
from pbdb.common.settings import Settings
from pbdb.loading import pipeline
from pbdb.simulate import vcpi
from pbdb.sources import registry

declaration: Any = importlib.import_module("pbdb.etl.vcpi")
SECRET = "tvc-0123456789-secret"


@pytest.fixture(scope="module")
def one(simulated: Callable[[str], Simulated]) -> Simulated:
    return simulated("vcpi")


@pytest.mark.parametrize("dataset", vcpi.RELEASES)
def test_every_well_loads_or_is_counted(one: Simulated, dataset: str) -> None:
    flags = """SELECT coalesce(flags[1], 'in_fit'), count(*) FROM core.sample JOIN core.dataset USING (dataset_id)
        WHERE dataset = :dataset GROUP BY 1"""
    assert dict(query(one.settings, flags, dataset=dataset)) == one.truth.wells[dataset]
    dropped = "SELECT dropped FROM core.etl_run WHERE stage = 'transform' AND dataset = :dataset"
    found = value(one.settings, dropped, dataset=dataset)
    assert found == one.truth.left_out[dataset] | {"gene unknown": vcpi.N_SPIKES}


def test_only_controls_named_dmso_are_vehicle(one: Simulated) -> None:
    found = query(
        one.settings,
        "SELECT DISTINCT attributes->>'user_compound_id', is_vehicle, condition_id IS NOT NULL FROM core.sample "
        "WHERE is_vehicle OR NOT in_fit AND 'positive_control' = ANY(flags)",
    )
    assert set(found) == {("DMSO", True, True), *((name, False, False) for name in vcpi.REFERENCES)}


def test_both_releases_give_the_same_doses_whatever_their_unit(one: Simulated) -> None:
    doses = "SELECT dataset, array_agg(DISTINCT dose_um ORDER BY dose_um) FROM pbdb.condition GROUP BY 1"
    assert dict(query(one.settings, doses)) == {key: [0.0, *vcpi.DOSES] for key in vcpi.RELEASES}


def test_a_number_is_shown_as_the_id_it_is_and_never_looked_up(one: Simulated) -> None:
    told = dict(query(one.settings, "SELECT source_key, (name, problem)::text FROM core.source_compound"))
    assert vcpi.number(vcpi.UNTOLD) in told[vcpi.uuid(vcpi.UNTOLD)]
    assert "PubChem" not in told[vcpi.uuid(vcpi.UNTOLD)]


def test_the_releases_meet_in_their_compounds(one: Simulated) -> None:
    pairs = query(one.settings, "SELECT count(*), count(DISTINCT inchikey_level) FROM pbdb.matched_condition")
    assert pairs == [(one.truth.conditions["vcpi_0002"], 1)]


def test_planted_effects_are_found_in_both(one: Simulated) -> None:
    keys = ["inchikey", "dose_um", "gene_id"]
    rows = query(one.settings, "SELECT inchikey, dose_um, gene_id, log2_fc FROM pbdb.condition_effect")
    found = pd.DataFrame(rows, columns=[*keys, "log2_fc"])
    both = found.join(one.truth.effects.set_index(keys)["log2_fc"].rename("planted"), on=keys)
    responding = both[both["planted"].abs() > 0.7]
    assert len(responding) > 500
    assert np.corrcoef(responding["log2_fc"], responding["planted"])[0, 1] > 0.9
    assert both.loc[both["planted"].isna(), "log2_fc"].abs().quantile(0.9) < 1


def test_an_unknown_unit_stops_the_load(one: Simulated, database: Settings, tmp_path: Path) -> None:
    folder = copy_of(one.folder, tmp_path / "release")
    table = pd.read_parquet(folder / "vcpi-0002_metadata.parquet")
    table["compound_concentration_unit"] = table["compound_concentration_unit"].replace("uM", "ug/ml")
    table.to_parquet(folder / "vcpi-0002_metadata.parquet")
    with pytest.raises(PbdbError, match="'ug/ml' is not a molar unit"):
        load(database, folder, "vcpi", dataset="vcpi_0002")


def test_where_one_cell_is_missing_whole_numbers_stay_whole(one: Simulated) -> None:
    table = pd.read_parquet(one.folder / "vcpi-0002_metadata.parquet").drop_duplicates()
    table["row_id"] = table["row_id"].where(table["sequenced_id"] != table["sequenced_id"].iloc[0])
    found = declaration.wells(table)["well"]
    assert found.iloc[0] is None
    assert found.iloc[1:].str.fullmatch(r"row\d+_col\d+").all()


def test_a_token_that_is_missing_is_asked_for_by_name(
    database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TVC_TOKEN", raising=False)
    source = _with_urls("http://127.0.0.1:9/release")
    with pytest.raises(SourceError, match="set the environment variable TVC_TOKEN to yours"):
        pipeline.load_source(source, database, pipeline.Choices(), dataset="vcpi_0001")


def test_a_token_is_in_no_error_and_not_in_the_ledger(database: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TVC_TOKEN", SECRET)
    source = _with_urls(f"http://127.0.0.1:9/release?key={SECRET}&file=")
    with pytest.raises(SourceError, match=r"could not be fetched from http://127.0.0.1:9/release\?key=\*\*\*") as told:
        pipeline.load_source(source, database, pipeline.Choices(), dataset="vcpi_0001")
    problem: BaseException | None = told.value
    while problem is not None:
        assert SECRET not in f"{problem} {problem!r}"
        problem = problem.__cause__ or problem.__context__
    ledger = str(query(database, "SELECT etl_run::text FROM core.etl_run"))
    assert "key=***" in ledger
    assert SECRET not in ledger


def _with_urls(address: str) -> registry.Source:
    declared = registry.get("vcpi")
    return replace(
        declared, files={key: replace(file, url=address + file.name) for key, file in declared.files.items()}
    )
