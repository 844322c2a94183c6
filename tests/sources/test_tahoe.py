"""Tahoe: a simulated release through the whole load, the real tables of drugs, lines, genes and cells, bad files."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from databases import new_database
from loads import copy_of, load, query, value

from pbdb.common.errors import PbdbError
from pbdb.common.settings import Settings
from pbdb.identity.compounds import source_compounds
from pbdb.identity.contexts import published_tables as cell_readers
from pbdb.identity.contexts import resolve as contexts
from pbdb.samples import canonicalise, validate
from pbdb.simulate import tahoe
from pbdb.sources import registry
from pbdb.sources.declaration import Files

SOURCE = registry.get("tahoe")
etl = importlib.import_module("pbdb.etl.tahoe")
FILES = {plate: f"{plate}_filt_Vevo_Tahoe100M_WServicesFrom_ParseGigalab.h5ad" for plate in tahoe.PLATES}


@dataclass(frozen=True)
class Loaded:
    settings: Settings
    folder: Path
    truth: tahoe.Truth


@pytest.fixture(scope="module")
def one(database_server: Settings, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    place = tmp_path_factory.mktemp("tahoe")
    truth = tahoe.write(place / "release")
    with new_database(database_server, place / "home", template) as settings:
        load(settings, place / "release", "tahoe")
        yield Loaded(settings, place / "release", truth)


def count(one: Loaded, rows: str) -> int:
    return int(value(one.settings, f"SELECT count(*) FROM {rows}"))


def test_cells_are_pooled_or_counted_under_a_reason(one: Loaded) -> None:
    report, dropped = query(one.settings, "SELECT report, dropped FROM core.etl_run WHERE stage = 'transform'")[0]
    left_out = {key.removeprefix("cell "): n for key, n in dropped.items() if key.startswith("cell ")}
    assert left_out == one.truth.left_out
    pooled = value(one.settings, "SELECT sum(n_cells) FROM pbdb.sample")
    assert pooled == one.truth.cells - sum(left_out.values())
    assert report["genes"] == {"unchecked": one.truth.n_genes}
    flags = {"few_cells": count(one, "pbdb.sample WHERE 'few_cells' = ANY(flags)")}
    assert flags | {"in_fit": count(one, "pbdb.sample WHERE in_fit")} == one.truth.samples


def test_wells_are_decoded_from_the_names_of_cells(one: Loaded) -> None:
    rows = query(one.settings, "SELECT plate, array_agg(DISTINCT well ORDER BY well) FROM pbdb.sample GROUP BY 1")
    assert dict(rows) == one.truth.wells
    wells = {start: etl.WELLS[start] for start in ("01_", "12_", "13_", "96_")}
    assert wells == {"01_": "A1", "12_": "A12", "13_": "B1", "96_": "H12"}


def test_a_drug_named_after_the_vehicle_is_a_treatment(one: Loaded) -> None:
    assert query(one.settings, "SELECT DISTINCT source_compound_name FROM pbdb.condition WHERE is_vehicle") == [
        (tahoe.VEHICLE,)
    ]
    treated = "pbdb.condition WHERE source_compound_name = 'Trametinib (DMSO_TF solvate)' AND NOT is_vehicle"
    assert count(one, treated) == len(tahoe.PLATES) * len(tahoe.LINES)


def test_drugs_are_those_of_the_hub_however_the_cells_spell_them(one: Loaded) -> None:
    rows = query(one.settings, "SELECT source_key, resolved_by, given_smiles IS NULL FROM core.source_compound")
    found = {key: (route, is_untold) for key, route, is_untold in rows}
    named = {tahoe.NAMES.get(at) for at in range(tahoe.N_DRUGS)} - {None}
    assert named < set(found)
    assert found.pop("Verteporfin") == ("alias", True)
    assert set(found.values()) == {("structure", False)}
    assert len(found) == tahoe.N_DRUGS


def test_mechanisms_and_targets_come_with_the_drugs_and_unclear_ones_do_not(one: Loaded) -> None:
    found = query(
        one.settings, "SELECT kind, value FROM core.compound_annotation WHERE kind <> 'approval' ORDER BY 1, 2"
    )
    assert found == [("moa", "MEK inhibitor"), ("target", "MAP2K1"), ("target", "MAP2K2")]


def test_a_plate_without_curated_table_is_described_by_its_own_columns(one: Loaded) -> None:
    doses = query(
        one.settings,
        "SELECT plate, max(dose_um), count(DISTINCT compound_name), min(time_h) FROM pbdb.sample GROUP BY 1",
    )
    assert sorted(doses) == [(plate, dose, tahoe.N_DRUGS + 1, 24.0) for plate, dose in tahoe.PLATES.items()]


def test_planted_effects_are_found_again(one: Loaded) -> None:
    planted = one.truth.effects.query("dose_um == 5").set_index(["compound", "gene_id"])["log2_fc"]
    statement = """SELECT source_compound_name, gene_id, log2_fc FROM pbdb.condition_effect
        WHERE dose_um = 5 AND context = 'CVCL:0023'"""
    found = pd.DataFrame(query(one.settings, statement), columns=["compound", "gene_id", "log2_fc"])
    both = pd.concat([planted, found.set_index(["compound", "gene_id"])["log2_fc"]], axis=1, keys=["planted", "found"])
    both = both.dropna()
    assert len(both) > 100
    assert np.corrcoef(both["planted"], both["found"])[0, 1] > 0.85


def test_plates_that_are_there_are_enough_and_the_others_are_named(one: Loaded, tmp_path: Path) -> None:
    folder = copy_of(one.folder, tmp_path / "release")
    for plate in ("plate2", "plate3"):
        (folder / FILES[plate]).unlink()
    (folder / "obs/plate2.parquet").unlink()
    load(one.settings, folder, "tahoe", until="transform")
    report = value(
        one.settings, "SELECT report FROM core.etl_run WHERE stage = 'transform' ORDER BY etl_run_id DESC LIMIT 1"
    )
    assert report["facts"]["plates"] == ["plate1"]
    assert report["facts"]["plates_not_there"][:2] == ["plate2", "plate3"]
    assert report["n_samples"] == len(one.truth.wells["plate1"]) * len(tahoe.LINES)


# --- real tables ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def manifest(shared: Path) -> tuple[pd.DataFrame, Files]:
    """The real numbers of cells by drug, line, plate and dose as raw samples, and the files that describe them."""
    folder = shared / "data/tahoe"
    files = Files(
        SOURCE.files, {name: folder / f"{key}_metadata.parquet" for name, key in (("genes", "gene"), ("drugs", "drug"))}
    )
    grid = pd.read_parquet(folder / "obs_cell_grid.parquet")
    lines = pd.read_parquet(folder / "cell_line_metadata.parquet").drop_duplicates("cell_name")
    accessions = grid["cell_name"].map(lines.set_index("cell_name")["Cell_ID_Cellosaur"])
    raw = grid[["plate", "n_cells"]].assign(
        well=None,
        pert_compound=grid["drug"],
        cell_line_ontology_id=accessions,
        pert_dose=grid["conc"].map(lambda dose: f"{dose:g}uM"),
        pert_time="24h",
        n_counts=grid["n_cells"],
    )
    raw["sample"] = raw[["plate", "pert_compound", "cell_line_ontology_id", "pert_dose"]].agg("_".join, axis=1)
    drugs = {etl.spelled(name): name for name in etl.compounds(files)["drug"]}
    return canonicalise.canonical_samples(SOURCE, etl.describe(raw, drugs)), files


def test_real_cells_are_all_there_in_every_line_and_under_every_drug(manifest: tuple[pd.DataFrame, Files]) -> None:
    samples, files = manifest
    assert samples["n_cells"].sum() == 100_648_790
    assert samples["context"].nunique() == len(SOURCE.contexts) == 50
    assert samples["compound"].nunique() == 380
    assert samples.loc[samples["is_vehicle"], "compound"].unique().tolist() == ["DMSO_TF"]
    assert samples.loc[samples["is_vehicle"], "n_cells"].agg(["size", "sum"]).tolist() == [14 * 50, 2_330_156]
    validate.check("Tahoe", samples, "counts", source_compounds.unknown_compounds(SOURCE, files, samples))


def test_real_plates_have_the_cells_and_treatments_that_were_published(manifest: tuple[pd.DataFrame, Files]) -> None:
    by_plate = manifest[0].groupby("plate").agg(cells=("n_cells", "sum"), drugs=("compound", "nunique"))
    found = by_plate.loc[list(etl.PLATES)]
    assert found["cells"].iloc[[0, 1, 2, 11, 12, 13]].tolist() == [
        5_481_420, 8_064_658, 4_705_402, 10_487_057, 8_501_658, 6_518_806,
    ]  # fmt: skip
    assert found["drugs"].tolist() == [93] * 3 + [95] * 3 + [94] * 3 + [95] * 3 + [44, 95]


def test_real_conditions_of_ten_cells_are_hardly_more_than_those_published(
    manifest: tuple[pd.DataFrame, Files],
) -> None:
    samples = manifest[0]
    enough = samples[~samples["is_vehicle"] & (samples["n_cells"] >= 10)]
    n = len(enough.drop_duplicates(["compound", "context", "dose_fm", "time_h"]))
    assert 56_358 <= n <= 56_358 * 1.005
    assert enough.drop_duplicates(["compound", "context", "dose_fm"]).groupby("context").size().max() == 1137


def test_every_real_drug_has_an_identity(manifest: tuple[pd.DataFrame, Files]) -> None:
    samples, files = manifest
    found, annotations = source_compounds.source_compounds(SOURCE, files, samples)
    routes = found["resolution"].map(lambda one: one.route)
    assert routes.value_counts().to_dict() == {"structure": 378, "alias": 2}
    assert found.loc[routes == "alias", "source_key"].tolist() == ["Sacubitril/Valsartan", "Verteporfin"]
    assert "unclear" not in set(annotations["value"])


def test_every_real_line_is_known_to_cellosaurus(shared: Path) -> None:
    folder = shared / "data/reference/cell_lines"
    parts = [cell_readers.read_cells(path) for path in sorted(folder.iterdir()) if path.suffix in (".gz", ".parquet")]
    known = contexts.build_contexts(parts)
    rows = contexts.context_rows(SOURCE.contexts.values(), known)
    assert len(rows) == 50
    unknown = {cells.context for cells in SOURCE.contexts.values()} - set(known.rows)
    assert unknown <= {"CVCL:C466"}  # the one line that is not of a tumour


def test_real_wells_have_the_doses_of_the_hub(shared: Path) -> None:
    table = pd.read_parquet(shared / "data/tahoe/sample_metadata.parquet")
    doses = etl.amounts(table["drugname_drugconc"])
    assert doses.value_counts().to_dict() == {
        ("5.0", "uM"): 490,
        ("0.05", "uM"): 424,
        ("0.5", "uM"): 402,
        ("0.0", "uM"): 28,
    }
    assert table.groupby("plate").size().tolist() == [96] * 14


def test_real_genes_join_one_to_one(manifest: tuple[pd.DataFrame, Files]) -> None:
    hub = manifest[1]["genes"]
    named = etl.hub_genes(manifest[1], pd.DataFrame(index=pd.Index(hub["gene_symbol"]).sort_values()))
    assert len(named) == named["feature"].nunique() == 62_710
    assert named.set_index("symbol").loc["MALAT1", "feature"] == "ENSG00000251562"


# --- files that are not what they should be ------------------------------------------------------------------

Damage = Callable[[Path], Any]


def edited(name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Damage:
    def damage(folder: Path) -> None:
        change(pd.read_parquet(folder / name)).to_parquet(folder / name)

    return damage


def in_plate(change: Callable[[ad.AnnData], Any]) -> Damage:
    def damage(folder: Path) -> None:
        data = ad.read_h5ad(folder / FILES["plate3"])
        change(data)
        data.write_h5ad(folder / FILES["plate3"])

    return damage


def _strange_names(data: ad.AnnData) -> None:
    data.obs_names = [f"97{name[2:]}" if at == 3 else name for at, name in enumerate(data.obs_names)]


def _other_line(data: ad.AnnData) -> None:
    data.obs["cell_line"] = data.obs["cell_line"].cat.rename_categories({"CVCL_0320": "CVCL_0030"})


def _one_unit(unit: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda table: table.assign(pert_dose=table["pert_dose"].astype(str).str.replace("uM", unit))


HUB, DRUGS, CELLS = "gene_metadata.parquet", "drug_metadata.parquet", "obs/plate1.parquet"
DAMAGES: list[tuple[Damage, str]] = [
    (edited(HUB, lambda t: pd.concat([t, t.head(1)])), "The symbol '.*' stands twice in gene_metadata"),
    (edited(HUB, lambda t: t.iloc[1:]), "The gene '.*' of a plate's file is not in gene_metadata"),
    (edited(HUB, lambda t: t.drop(columns="ensembl_id")), "lacks the column 'ensembl_id'"),
    (edited(DRUGS, lambda t: pd.concat([t, t.tail(1)])), "The drug '.*' stands twice"),
    (edited(DRUGS, lambda t: t[t["drug"] != "Erdafitinib"]), "must be in the compound table.*Erdafitinib"),
    (edited(CELLS, lambda t: t.drop(columns="pert_dose")), "has no column 'pert_dose' of its cells"),
    (edited(CELLS, lambda t: t.set_axis([f"x{name}" for name in t.index])), "No cell of .* is in its cell table"),
    (edited(CELLS, _one_unit("mol")), "'mol' is not a molar unit"),
    (in_plate(_strange_names), "The cell '97_.*' has no number of a well"),
    (in_plate(_other_line), "the cells 'CVCL_0030' are not declared"),
    (
        lambda folder: (folder / FILES["plate2"]).unlink(),
        r"cell table 'obs/plate2\.parquet' but not the file of plate2",
    ),
    (lambda folder: (folder / CELLS).write_bytes(b"PAR1 no table"), r"plate1\.parquet.* is damaged|could not be read"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_files_that_are_not_as_published_are_one_sentence(
    one: Loaded, tmp_path: Path, damage: Damage, message: str
) -> None:
    folder = copy_of(one.folder, tmp_path / "release")
    damage(folder)
    with pytest.raises(PbdbError, match=message) as caught:
        load(one.settings, folder, "tahoe", until="validate", dry_run=True)
    assert "\n" not in str(caught.value)
