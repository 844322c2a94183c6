"""CIGS: spreadsheets with everything that spreadsheets do, in two collections of other layouts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from loads import copy_of, load, query, value
from simulated import Simulated

from pbdb.common import workbook_writer
from pbdb.common.errors import PbdbError
from pbdb.common.settings import Settings
from pbdb.readers import workbook
from pbdb.samples import matrix_file
from pbdb.simulate import cigs
from pbdb.simulate.known import DRUGS
from pbdb.sources import registry

DATASETS = ("cigs_mce", "cigs_tcm")


@pytest.fixture(scope="module")
def one(simulated: Callable[[str], Simulated]) -> Simulated:
    return simulated("cigs")


def of(one: Simulated, dataset: str, statement: str) -> list[tuple[Any, ...]]:
    return query(one.settings, statement + " JOIN core.dataset USING (dataset_id) WHERE dataset = :d", d=dataset)


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_well_loads_in_the_fit_or_with_its_first_reason(one: Simulated, dataset: str) -> None:
    flags = [row[0] for row in of(one, dataset, "SELECT flags FROM core.sample")]
    found = pd.Series([flag[0] if flag else "in_fit" for flag in flags]).value_counts()
    assert found.to_dict() == one.truth.wells[dataset]
    dropped = "SELECT dropped FROM core.etl_run WHERE stage = 'transform' AND dataset = :dataset"
    expected = one.truth.left_out[dataset] | {"gene unknown": len(cigs.UNKNOWN)}
    assert value(one.settings, dropped, dataset=dataset) == expected


@pytest.mark.parametrize("dataset", DATASETS)
def test_blanks_and_jq1_are_no_condition_and_the_rest_is_estimated(one: Simulated, dataset: str) -> None:
    statuses = of(one, dataset, "SELECT status FROM core.effect")
    assert statuses == [("ok",)] * one.truth.conditions[dataset]
    without = of(one, dataset, "SELECT DISTINCT attributes->>'treatment', condition_id IS NULL FROM core.sample")
    alone = {str(name).upper() for name, is_none in without if is_none}
    assert alone == ({"BLANK", "RNA", "JQ1"} if dataset == "cigs_mce" else {"JQ1"})


@pytest.mark.parametrize("dataset", DATASETS)
def test_genes_that_spreadsheets_mangled_are_found(one: Simulated, dataset: str) -> None:
    report = "SELECT report->'genes' FROM core.etl_run WHERE stage = 'transform' AND dataset = :dataset"
    found = value(one.settings, report, dataset=dataset)
    assert sum(found.values()) - found["unknown"] == one.truth.genes
    (path,) = one.settings.cache.glob(f"{dataset}/*/samples.h5ad")
    samples, genes = matrix_file.read_annotations(path)
    assert {"SEPTIN7", "HLA-A", "HLA-DPA1", "NKX2-1"} <= set(genes["symbol"])
    assert samples.index.is_unique


def test_ids_and_plates_that_every_file_has_again_are_told_apart(one: Simulated) -> None:
    samples = [row[0] for row in of(one, "cigs_tcm", "SELECT source_sample FROM core.sample")]
    assert len({name.split(".")[1] for name in samples}) * 4 == len(set(samples)) == len(samples)
    assert len(of(one, "cigs_tcm", "SELECT plate FROM core.plate")) == 4 * cigs.N_REPLICATES
    assert of(one, "cigs_tcm", "SELECT DISTINCT well FROM core.sample") == [(None,)]


def test_a_well_has_its_letter_and_number_or_no_name(one: Simulated) -> None:
    assert ("B1",) in of(one, "cigs_mce", "SELECT DISTINCT well FROM core.sample")
    lost = of(one, "cigs_mce", "SELECT DISTINCT attributes->>'treatment', well IS NULL FROM core.sample")
    assert [name for name, is_lost in lost if is_lost] == ["RNA"]


def test_vehicles_of_both_doses_of_a_cell_line_are_one_condition(one: Simulated) -> None:
    vehicles = query(
        one.settings,
        "SELECT context, n_samples FROM pbdb.condition WHERE is_vehicle AND dataset = 'cigs_tcm' ORDER BY 1",
    )
    assert vehicles == [("CVCL:0062", 30), ("CVCL:0063", 30)]


def test_depth_is_judged_within_a_file_and_told(one: Simulated) -> None:
    facts = "SELECT report->'facts' FROM core.etl_run WHERE stage = 'transform' AND dataset = 'cigs_tcm'"
    limits = {name: limit for name, limit in value(one.settings, facts).items() if name.startswith("least")}
    assert sorted(limits) == sorted(f"least_log2_depth of {key}" for key in cigs.FILES if key.startswith("tcm"))
    assert all(np.log2(cigs.MEDIAN_READS) - 2 < limit < np.log2(cigs.MEDIAN_READS) for limit in limits.values())


def test_compounds_come_by_number_and_one_cas_of_two_is_settled_by_hand(one: Simulated) -> None:
    found = dict(of(one, "cigs_tcm", "SELECT source_key, (s.name, cas, resolved_by)::text FROM core.source_compound s"))
    assert found["Cpd0165"].endswith(",alias)")
    assert found["Cpd0165"].split(",")[1] == found["Cpd0164"].split(",")[1]
    assert found["Cpd0168"].startswith("(Cpd0168,,")
    assert found["Cpd0163"].startswith('("bort ezomib"')


@pytest.mark.parametrize("dataset", DATASETS)
def test_planted_effects_are_found(one: Simulated, dataset: str) -> None:
    rows = query(
        one.settings,
        "SELECT s.source_key, e.dose_um, e.gene_id, e.log2_fc FROM pbdb.condition_effect e JOIN core.condition c "
        "ON c.condition_id = e.condition_id JOIN core.source_compound s ON s.source_compound_id = c.source_compound_id "
        "WHERE e.dataset = :dataset",
        dataset=dataset,
    )
    names = {cigs.catalogue(at, dataset): drug.name for at, drug in enumerate(DRUGS)}
    keys = ["compound", "dose_um", "gene_id"]
    found = pd.DataFrame(rows, columns=[*keys, "log2_fc"]).assign(compound=lambda t: t["compound"].map(names))
    both = found.join(one.truth.effects.set_index(keys)["log2_fc"].rename("planted"), on=keys)
    responding = both[both["planted"].abs() > 0.7]
    assert len(responding) > 150
    assert np.corrcoef(responding["log2_fc"], responding["planted"])[0, 1] > 0.9


@pytest.mark.parametrize(
    ("column", "old", "new", "words"),
    [
        ("Dose", "10", "20", "of 'tcm_hek293t_10' has the dose '20', but the file is for 10"),
        ("Plate", "2", None, "plate: must not be empty"),
    ],
)
def test_a_dose_that_is_not_the_files_and_a_lacking_plate_stop_the_load(
    one: Simulated, own: Settings, tmp_path: Path, column: str, old: str, new: str | None, words: str
) -> None:
    folder = copy_of(one.folder, tmp_path / "release")
    path = folder / "TCM_Compounds_HEK293T_10_MetaData.xlsx"
    table = workbook.table("Sample_unique_id")(path)
    table.loc[table[column] == old, column] = new
    workbook_writer.save(path, {"Sheet1": [list(table), *table.to_numpy(dtype=object).tolist()]})
    with pytest.raises(PbdbError, match=words):
        load(own, folder, "cigs", dataset="cigs_tcm")


def test_terms_and_technology_are_those_of_each_collection(one: Simulated) -> None:
    terms = registry.get("cigs").datasets.values()
    assert {(terms.is_redistributable, terms.is_non_commercial) for terms in terms} == {(False, True)}
    found = query(one.settings, "SELECT dataset, technology FROM pbdb.dataset ORDER BY 1")
    assert found == [("cigs_mce", "HTS2"), ("cigs_tcm", "HiMAP-seq")]
