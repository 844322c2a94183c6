"""OP3: a simulated release through the whole load, and what the file may not be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anndata as ad
import made
import numpy as np
import pandas as pd
import pytest
from databases import new_database
from loads import load, query, value

from pbdb.common.errors import PbdbError
from pbdb.common.settings import Settings
from pbdb.effects.engine import Options
from pbdb.effects.options import FitOptions
from pbdb.identity.compounds import source_compounds
from pbdb.identity.genes import resolve as genes
from pbdb.identity.vocabulary import releases
from pbdb.loading import further_fits, table_rows
from pbdb.query import database
from pbdb.samples import canonicalise
from pbdb.simulate import op3, release
from pbdb.sources import registry
from pbdb.sources.declaration import Files


@dataclass(frozen=True)
class Loaded:
    settings: Settings
    folder: Path
    truth: op3.Truth


@pytest.fixture(scope="module")
def one(database_server: Settings, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    place = tmp_path_factory.mktemp("op3")
    truth = op3.write(place / "release")
    with new_database(database_server, place / "home", template) as settings:
        releases.import_files(settings, "genes", place / "release" / release.VOCABULARY, release="simulated")
        load(settings, place / "release", "op3")
        yield Loaded(settings, place / "release", truth)


def count(one: Loaded, rows: str) -> int:
    return int(value(one.settings, f"SELECT count(*) FROM {rows}"))


def test_vehicle_is_a_control_of_dmso_alone_and_other_controls_are_no_condition(one: Loaded) -> None:
    vehicles = len(op3.CELL_TYPES) * op3.N_DONORS * op3.PLATES_OF_A_DONOR * op3.N_VEHICLES
    assert count(one, "pbdb.sample WHERE is_vehicle") == vehicles
    assert query(one.settings, "SELECT DISTINCT compound_name FROM pbdb.condition WHERE is_vehicle") == [
        ("dimethyl sulfoxide",)
    ]
    flagged = "pbdb.sample WHERE 'positive_control' = ANY(flags)"
    assert count(one, flagged) == count(one, f"{flagged} AND condition_id IS NULL AND NOT is_vehicle")
    assert count(one, flagged) == one.truth.samples["positive_control"]


def test_samples_of_few_cells_load_and_stay_out_of_the_default_fit(one: Loaded) -> None:
    assert count(one, "pbdb.sample WHERE in_fit") == one.truth.samples["in_fit"]
    few = "pbdb.sample WHERE 'few_cells' = ANY(flags)"
    assert count(one, few) == one.truth.samples["few_cells"]
    assert count(one, f"{few} AND NOT (n_cells < 10 AND condition_id IS NOT NULL)") == 0
    used = "core.fit_sample JOIN core.sample s USING (sample_id) WHERE s.n_cells < 10"
    assert count(one, used) == 0
    statuses = dict(query(one.settings, "SELECT status, count(*) FROM pbdb.effect GROUP BY 1"))
    assert statuses == one.truth.statuses[10]


def test_another_least_number_of_cells_is_a_further_fit_that_says_so(one: Loaded) -> None:
    assert database.min_cells(one.settings, "op3") == 10
    for least in (50, 5):
        options = FitOptions(Options(readout="counts"), is_default=False, min_cells=least)
        further_fits.run_fits(one.settings, "op3", options)
    fits = """SELECT (parameters->>'min_cells')::int, is_default, count(*), min(n_cells) FROM core.fit
        JOIN core.fit_sample USING (fit_id) JOIN core.sample USING (sample_id) GROUP BY 1, 2 ORDER BY 1"""
    found = query(one.settings, fits)
    assert [row[:2] for row in found] == [(5, False), (10, True), (50, False)]
    assert found[0][2] == one.truth.samples["in_fit"] + 3
    assert found[0][3] < 10 <= found[1][3] and found[2][3] >= 50
    statuses = """SELECT status, count(*) FROM core.effect JOIN core.fit USING (fit_id)
        WHERE parameters->>'min_cells' = '50' GROUP BY 1"""
    assert dict(query(one.settings, statuses)) == one.truth.statuses[50]


def test_donors_are_told_of_samples_and_taken_up_by_their_plates(one: Loaded) -> None:
    told = """SELECT attributes->>'donor_id', attributes->>'sex', attributes->>'development_stage',
        count(DISTINCT plate) FROM pbdb.sample GROUP BY 1, 2, 3 ORDER BY 1"""
    assert query(one.settings, told) == [
        ("Donor 1", "female", "45-year-old stage", 2),
        ("Donor 2", "male", "52-year-old stage", 2),
        ("Donor 3", "male", "45-year-old stage", 2),
    ]
    assert query(one.settings, "SELECT DISTINCT n_plates FROM core.fit WHERE is_default") == [(6,)]
    assert (
        count(one, "pbdb.sample WHERE plate !~ '^plate_[0-5]$' OR attributes->>'library' !~ '^[0-5]_library[0-2]$'")
        == 0
    )


def test_the_canonical_matrix_tells_sex_by_donor(one: Loaded) -> None:
    (path,) = one.settings.cache.glob("op3/*/samples.h5ad")
    matrix = ad.read_h5ad(path)
    assert matrix.obs["sex"].value_counts().to_dict() == {"male": 184, "female": 92}
    assert set(matrix.obs["cell_type"]) == {"CL_0000084", "CL_0000236", "CL_0000623", "CL_0000763"}
    assert matrix.obs["library"].notna().all()


def test_conditions_carry_the_split_of_the_competition(one: Loaded) -> None:
    found = query(
        one.settings, "SELECT attributes->>'split', is_vehicle, count(*) FROM pbdb.condition GROUP BY 1, 2 ORDER BY 1"
    )
    assert found == [("control", True, 4), ("private_test", False, 8), ("train", False, 28)]


def test_an_attribute_that_differs_within_a_condition_is_a_list() -> None:
    declared = made.source(samples=replace(made.SOURCE.samples, condition_attributes=("note",)))
    sheet = made.sheet(note=["", "late", "early"] * 8).replace("", None).assign(n_counts=1000)
    samples = canonicalise.canonical_samples(declared, sheet)
    compounds, annotations = source_compounds.source_compounds(declared, Files({}, {}), samples)
    tables = table_rows.dataset_tables(declared, "made", samples, compounds, annotations)
    assert set(tables["condition"]["attributes"]) == {'{"note": ["early", "late"]}'}


def test_a_condition_attribute_must_be_one_of_samples() -> None:
    with pytest.raises(PbdbError, match="the condition attribute 'fold' is not in"):
        made.source(samples=replace(made.SOURCE.samples, condition_attributes=("fold",)))


def test_symbols_become_genes_and_the_others_are_counted(one: Loaded) -> None:
    report = value(one.settings, "SELECT report->'genes' FROM core.etl_run WHERE stage = 'transform'")
    assert report == one.truth.genes
    dropped = value(one.settings, "SELECT dropped FROM core.etl_run WHERE stage = 'transform'")
    assert dropped == {"gene unknown": len(op3.UNKNOWN_SYMBOLS)}


def test_planted_effects_are_found_again(one: Loaded) -> None:
    planted = one.truth.effects.query("dose_um == 1").set_index(["compound", "gene_id"])["log2_fc"]
    statement = "SELECT compound_name, gene_id, log2_fc FROM pbdb.condition_effect WHERE dose_um = 1 AND context = {}"
    rows = query(one.settings, statement.format("'CL:0000084'"))
    found = pd.DataFrame(rows, columns=["compound", "gene_id", "log2_fc"]).set_index(["compound", "gene_id"])["log2_fc"]
    both = pd.concat([planted, found], axis=1, keys=["planted", "found"]).dropna()
    assert len(both) > 150
    assert np.corrcoef(both["planted"], both["found"])[0, 1] > 0.9
    assert (both["planted"] - both["found"]).abs().median() < 0.25


def test_every_alias_of_the_sheet_is_declared_and_most_are_current(shared: Path) -> None:
    sheet = pd.read_csv(shared / "sources/op3_gene_aliases.csv", index_col="symbol")["ensembl_id"].to_dict()
    assert registry.get("op3").features.aliases == sheet
    table = genes.read_genes(shared / "data/reference/genes/embl_perturbation_catalogue_genes.parquet")
    found = genes.resolve_symbols(list(sheet), genes.build_vocabulary([table]), "counts", sheet)
    assert found.counts == {"alias": 31, "unknown": 2}


# --- files that are not what they should be ------------------------------------------------------------------

Damage = Callable[[ad.AnnData], Any]


def _control_unclear(data: ad.AnnData) -> None:
    data.obs["control"] = data.obs["control"].astype(str).where(np.arange(data.n_obs) != 5, "perhaps")


def _of_a_stranger(data: ad.AnnData) -> None:
    data.obs["donor_id"] = data.obs["donor_id"].cat.rename_categories({"Donor 2": "Donor 9"})


def _of_other_cells(data: ad.AnnData) -> None:
    data.obs["cell_type"] = data.obs["cell_type"].cat.rename_categories({"B cells": "Basophils"})


def _treated_with_vehicle(data: ad.AnnData) -> None:
    data.obs["control"] = data.obs["control"] & (np.arange(data.n_obs) > 100)


def _of_two_structures(data: ad.AnnData) -> None:
    data.obs["SMILES"] = data.obs["SMILES"].astype(object)
    data.obs.loc[data.obs_names[data.obs["sm_name"] == "bortezomib"][0], "SMILES"] = "CCO"


def _normalised(data: ad.AnnData) -> None:
    data.X = data.X / 3


def _without_split(data: ad.AnnData) -> None:
    del data.obs["split"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_control_unclear, "Column 'control' of .* has the value 'perhaps'"),
        (_of_a_stranger, "unknown code 'Donor 9'"),
        (_of_other_cells, "the cells 'Basophils' are not declared"),
        (_treated_with_vehicle, "'Dimethyl Sulfoxide' with control False"),
        (_of_two_structures, "several SMILES for 'bortezomib'"),
        (_normalised, "some counts are fractional"),
        (_without_split, "lacks the column 'split'"),
    ],
)
def test_a_file_that_is_not_as_published_is_one_sentence(
    one: Loaded, tmp_path: Path, damage: Damage, message: str
) -> None:
    data = ad.read_h5ad(one.folder / op3.NAME)
    damage(data)
    data.write_h5ad(tmp_path / op3.NAME)
    with pytest.raises(PbdbError, match=message):
        load(one.settings, tmp_path, "op3", until="validate", dry_run=True)


def test_a_truncated_file_is_one_sentence(one: Loaded, tmp_path: Path) -> None:
    (tmp_path / op3.NAME).write_bytes((one.folder / op3.NAME).read_bytes()[:100_000])
    with pytest.raises(PbdbError, match="cannot be read"):
        load(one.settings, tmp_path, "op3", dry_run=True)


def test_controls_may_be_told_as_text_and_counts_stand_dense(one: Loaded, tmp_path: Path) -> None:
    source = registry.get("op3")
    data = ad.read_h5ad(one.folder / op3.NAME)
    data.obs["control"] = data.obs["control"].astype(str)
    data.X = data.X.toarray()
    data.write_h5ad(tmp_path / op3.NAME)
    blocks = [
        next(iter(source.blocks(Files(source.files, {"pseudobulk": folder / op3.NAME}), "op3")))
        for folder in (one.folder, tmp_path)
    ]
    assert blocks[0].samples["is_vehicle"].tolist() == blocks[1].samples["is_vehicle"].tolist()
    assert (blocks[0].matrix != blocks[1].matrix).nnz == 0
