"""Sci-Plex3: simulated releases in both layouts, the real wells and compounds, and files that are not as published."""

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
import single_cells
from databases import new_database
from loads import copy_of, load, query, value

from pbdb.common.errors import PbdbError
from pbdb.common.settings import Settings
from pbdb.identity.compounds import source_compounds
from pbdb.samples import canonicalise, validate
from pbdb.simulate import sciplex
from pbdb.sources import registry
from pbdb.sources.declaration import Files

SOURCE = registry.get("sciplex")
etl = importlib.import_module("pbdb.etl.sciplex")
CELLS, GENES = f"obs/{sciplex.NAME}.parquet", f"var/{sciplex.NAME}.parquet"


@dataclass(frozen=True)
class Loaded:
    settings: Settings
    folder: Path
    truth: sciplex.Truth


@pytest.fixture(scope="module")
def one(database_server: Settings, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    place = tmp_path_factory.mktemp("sciplex")
    truth = sciplex.write(place / "release")
    with new_database(database_server, place / "home", template) as settings:
        load(settings, place / "release", "sciplex")
        yield Loaded(settings, place / "release", truth)


def count(one: Loaded, rows: str) -> int:
    return int(value(one.settings, f"SELECT count(*) FROM {rows}"))


def transformed(one: Loaded, folder: Path) -> tuple[ad.AnnData, dict[str, int]]:
    """The canonical matrix of another folder, and what was dropped."""
    outcome = load(one.settings, folder, "sciplex", until="validate")
    last = "SELECT dropped FROM core.etl_run WHERE stage = 'transform' ORDER BY etl_run_id DESC LIMIT 1"
    path = one.settings.cache / "sciplex" / outcome["fingerprint"] / "samples.h5ad"
    return ad.read_h5ad(path), value(one.settings, last)


def test_nuclei_are_pooled_or_counted_under_a_reason(one: Loaded) -> None:
    dropped = value(one.settings, "SELECT dropped FROM core.etl_run WHERE stage = 'transform'")
    assert {key.removeprefix("cell "): n for key, n in dropped.items() if key.startswith("cell ")} == one.truth.left_out
    assert one.truth.left_out["null plate"] > 0.03 * one.truth.nuclei
    pooled = value(one.settings, "SELECT sum(n_cells) FROM pbdb.sample")
    assert pooled == one.truth.nuclei - sum(one.truth.left_out.values())
    flags = {"few_cells": count(one, "pbdb.sample WHERE 'few_cells' = ANY(flags)")}
    assert flags | {"in_fit": count(one, "pbdb.sample WHERE in_fit")} == one.truth.samples


def test_time_is_that_of_the_plate_and_not_the_one_written_everywhere(one: Loaded) -> None:
    found = query(one.settings, "SELECT context_name, time_h, array_agg(DISTINCT plate) FROM pbdb.sample GROUP BY 1, 2")
    names = {"A549": "A549", "K-562": "K562", "MCF-7": "MCF7"}
    assert {(names[name], int(hours)): tuple(sorted(plates)) for name, hours, plates in found} == {
        key: tuple(sorted(plates)) for key, plates in sciplex.PLATES.items()
    }


def test_a_sample_is_a_plate_and_a_well_that_names_another_plate(one: Loaded) -> None:
    n_wells = sciplex.N_VEHICLES + sciplex.N_DRUGS * len(sciplex.DOSES_NM)
    assert count(one, "(SELECT DISTINCT plate, well FROM pbdb.sample) s") == 8 * n_wells
    assert count(one, "(SELECT DISTINCT well FROM pbdb.sample) s") == n_wells
    assert count(one, "pbdb.sample WHERE well NOT LIKE 'plate%'") == 0


def test_each_time_has_vehicles_of_its_own_and_doses_are_exact(one: Loaded) -> None:
    vehicles = query(one.settings, "SELECT time_h, n_samples FROM pbdb.condition WHERE is_vehicle ORDER BY 1, 2")
    assert vehicles == [(24.0, 6)] * 3 + [(72.0, 6)]
    assert query(one.settings, "SELECT DISTINCT dose_um FROM pbdb.condition ORDER BY 1") == [(0.0,), (0.1,), (10.0,)]
    assert count(one, "pbdb.effect WHERE status = 'ok'") == 4 * sciplex.N_DRUGS * len(sciplex.DOSES_NM)


def test_the_canonical_matrix_is_one_of_nuclei(one: Loaded) -> None:
    (path,) = one.settings.cache.glob("sciplex/*/samples.h5ad")
    matrix = ad.read_h5ad(path)
    assert set(matrix.obs["suspension_type"]) == {"nucleus"}
    assert set(matrix.obs["cell_type"]) == {"CVCL_0023", "CVCL_0004", "CVCL_0031"}
    assert matrix.n_vars == one.truth.n_genes


def test_names_that_were_cut_are_told_by_the_supplement(one: Loaded) -> None:
    found = dict(query(one.settings, "SELECT source_key, resolved_by FROM core.source_compound"))
    assert {"ZM", "Tie2", "Glesatinib?(MGCD265)", "DMSO"} < set(found)
    assert set(found.values()) == {"structure"}
    pathways = query(one.settings, "SELECT DISTINCT kind, value FROM core.compound_annotation ORDER BY 2")
    assert pathways == [("pathway", "Cell Cycle"), ("pathway", "Epigenetics")]


def test_without_the_supplement_an_alias_goes_before_the_name(one: Loaded) -> None:
    paths = {key: one.folder / name for key, name in (("cells", CELLS), ("genes", GENES))}
    samples = pd.DataFrame({"compound": ["ZM", "Tie2", "DMSO"]})
    found, _ = source_compounds.source_compounds(SOURCE, Files(SOURCE.files, paths), samples)
    routes = {row.source_key: (row.resolution.route, row.resolution.pubchem_cid) for row in found.itertuples()}
    assert routes["ZM"] == ("alias", 9914412)
    assert routes["Tie2"] == ("alias", 23625762)
    assert routes["DMSO"][0] == "structure"


def test_planted_effects_are_found_again(one: Loaded) -> None:
    planted = one.truth.effects.query("dose_um == 10").set_index(["compound", "gene_id"])["log2_fc"]
    statement = """SELECT source_compound_name, gene_id, log2_fc FROM pbdb.condition_effect
        WHERE dose_um = 10 AND context = 'CVCL:0023' AND time_h = {}"""
    for hours in (24, 72):
        found = pd.DataFrame(query(one.settings, statement.format(hours)), columns=["compound", "gene_id", "found"])
        both = pd.concat([planted, found.set_index(["compound", "gene_id"])["found"]], axis=1).dropna()
        assert len(both) > 80
        assert np.corrcoef(both["log2_fc"], both["found"])[0, 1] > 0.85


def test_the_file_of_zenodo_gives_the_same_samples_without_the_genes_of_the_mouse(one: Loaded, tmp_path: Path) -> None:
    sciplex.write(tmp_path / "zenodo", layout="zenodo")
    theirs, dropped = transformed(one, tmp_path / "zenodo")
    ours, _ = transformed(one, one.folder)
    assert dropped.pop("gene not_pooled") == sciplex.N_MOUSE
    assert {key.removeprefix("cell "): n for key, n in dropped.items()} == one.truth.left_out
    order = ["plate", "well"]
    pairs = [matrix[matrix.obs.sort_values(order).index] for matrix in (ours, theirs)]
    assert all((matrix.var_names == ours.var_names).all() for matrix in pairs)
    assert (pairs[0].X != pairs[1].X).nnz == 0
    for name in ("perturbagen", "pert_dose_uM", "pert_time_h", "cell_type", "psbulk_cells"):
        assert (pairs[0].obs[name].to_numpy() == pairs[1].obs[name].to_numpy()).all()


# --- real tables ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wells(shared: Path) -> pd.DataFrame:
    """The real wells as canonical samples, each with 100 nuclei."""
    table = pd.read_csv(shared / "data/sciplex/Supplementary_Table_3.txt.gz", sep="\t")
    raw = pd.DataFrame(
        {
            "plate": table["plate_oligo"],
            "well": table["well_oligo"],
            "pert_compound": table["name"].str.split().str[0].where(~table["vehicle"], "control"),
            "cell_line": table["cell_type"],
            "pert_dose": table["dose"].map(lambda dose: f"{dose}.0nM"),
            "time": table["time_point"],
            "n_cells": 100,
            "n_counts": 100_000,
        }
    )
    raw["sample"] = raw[list(etl.KEYS)].agg("_".join, axis=1)
    return canonicalise.canonical_samples(SOURCE, etl.describe(raw))


def test_real_wells_are_told_apart_by_plate_and_well(wells: pd.DataFrame) -> None:
    by_line = wells.groupby("context").agg(wells=("plate", "size"), plates=("plate", "nunique"))
    assert by_line["wells"].to_dict() == {"CVCL:0004": 1536, "CVCL:0023": 1920, "CVCL:0031": 1536}
    assert by_line["plates"].to_dict() == {"CVCL:0004": 16, "CVCL:0023": 20, "CVCL:0031": 16}
    assert wells["source_sample"].is_unique and not wells["well"].is_unique
    assert wells.loc[wells["time_h"] == 72, "plate"].unique().tolist() == ["plate49", "plate50", "plate51", "plate52"]


def test_real_conditions_are_a_few_more_than_those_with_nuclei(wells: pd.DataFrame) -> None:
    treated = wells[~wells["is_vehicle"]].drop_duplicates(["compound", "context", "dose_fm", "time_h"])
    published = {"CVCL:0004": 745, "CVCL:0023": 914, "CVCL:0031": 740}
    for context, n in treated.groupby("context").size().items():
        assert published[str(context)] <= n <= published[str(context)] * 1.03
    assert set(wells["dose_fm"]) == {0, 10**7, 10**8, 10**9, 10**10}
    assert wells["is_vehicle"].sum() == 104
    validate.check("Sci-Plex", wells, "counts", [])


def test_real_names_that_were_cut_have_structures_in_the_supplement(
    shared: Path, wells: pd.DataFrame, tmp_path: Path
) -> None:
    names = wells["compound"].replace("DMSO", "control").drop_duplicates()
    names = names.replace("Glesatinib(MGCD265)", "Glesatinib?(MGCD265)")
    pd.DataFrame({"pert_compound": names}).to_parquet(tmp_path / "cells.parquet")
    paths = {"cells": tmp_path / "cells.parquet", "supplement": shared / "data/sciplex/Supplementary_Table_3.txt.gz"}
    samples = pd.DataFrame({"compound": names.replace("control", "DMSO")})
    found, _ = source_compounds.source_compounds(SOURCE, Files(SOURCE.files, paths), samples)
    routes = {row.source_key: row.resolution.route for row in found.itertuples()}
    assert len(routes) == 188
    unsure = {"ENMD-2076", "Tranylcypromine"}  # two products of one first word; drawn with a query atom
    assert {name for name, route in routes.items() if route != "structure"} == unsure


# --- files that are not what they should be ------------------------------------------------------------------

Damage = Callable[[Path], Any]


def edited(name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Damage:
    def damage(folder: Path) -> None:
        change(pd.read_parquet(folder / name)).to_parquet(folder / name)

    return damage


def _dose(text: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda table: table.assign(pert_dose=table["pert_dose"].replace("100.0nM", text))


def _two_times(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(time=table["time"].where(np.arange(len(table)) % 2 == 0, 48.0))


DAMAGES: list[tuple[Damage, str]] = [
    (edited(CELLS, _dose("100.0 ng/ml")), "'ng/ml' is not a molar unit"),
    (edited(CELLS, _dose("some")), "the dose 'some' is no number with a unit"),
    (edited(CELLS, _two_times), "'time' differs between cells of the sample"),
    (edited(CELLS, lambda t: t.drop(columns="pert_compound")), "has no column 'pert_compound' of its cells"),
    (edited(CELLS, lambda t: t.set_axis([f"x{name}" for name in t.index])), "No cell of .* is in its cell table"),
    (edited(CELLS, lambda t: t.assign(cell_line=t["cell_line"].replace("K-562", "HeLa"))), "cells 'HeLa' are not"),
    (edited(CELLS, lambda t: t.assign(pert_compound=t["pert_compound"].replace("control", "water"))), "vehicle"),
    (edited(GENES, lambda t: t.set_axis([f"x{name}" for name in t.index])), "No gene of the file is in its gene table"),
    (edited(GENES, lambda t: t.rename(columns={"symbol": "name"})), "lacks the column 'symbol'"),
    (lambda folder: (folder / GENES).unlink(), "only part of the set curated: 'var/.*' is missing"),
    (lambda folder: (folder / f"{sciplex.NAME}.h5ad").write_bytes(b"no file"), r"h5ad'? .*damaged"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_files_that_are_not_as_published_are_one_sentence(
    one: Loaded, tmp_path: Path, damage: Damage, message: str
) -> None:
    folder = copy_of(one.folder, tmp_path / "release")
    damage(folder)
    with pytest.raises(PbdbError, match=message) as caught:
        load(one.settings, folder, "sciplex", until="validate", dry_run=True)
    assert "\n" not in str(caught.value)


def test_compounds_of_zenodo_are_read_from_files_of_old_versions(one: Loaded, tmp_path: Path) -> None:
    data = ad.read_h5ad(one.folder / f"{sciplex.NAME}.h5ad")
    data.obs = data.obs[["plate"]].rename(columns={"plate": "perturbation"}).astype("category")
    data.write_h5ad(tmp_path / "new.h5ad")
    old = single_cells.as_old(tmp_path / "new.h5ad", tmp_path / "old.h5ad", "categories")
    found = etl.compounds(Files(SOURCE.files, {"zenodo": old}))
    assert set(found["compound"]) == {plate for plates in sciplex.PLATES.values() for plate in plates}


def test_a_file_of_zenodo_without_its_columns_is_one_sentence(one: Loaded, tmp_path: Path) -> None:
    sciplex.write(tmp_path / "zenodo", layout="zenodo", genes=600)
    path = tmp_path / "zenodo" / sciplex.ZENODO
    (tmp_path / "zenodo/SHA256SUMS").unlink()
    for table, column in (("obs", "dose_unit"), ("var", "ensembl_id")):
        data = ad.read_h5ad(path)
        getattr(data, table).drop(columns=column, inplace=True)
        data.write_h5ad(path)
        with pytest.raises(PbdbError, match=f"no column '{column}'"):
            load(one.settings, tmp_path / "zenodo", "sciplex", dry_run=True)
