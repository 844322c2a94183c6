"""The DRIAD source: real first plate, simulated second one, and the traps of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from databases import new_database
from loads import contents, load, query, value
from simulated import Simulated

from pbdb.common.settings import Settings
from pbdb.effects import engine
from pbdb.identity.vocabulary import releases
from pbdb.simulate import driad

GENES = "data/reference/genes/embl_perturbation_catalogue_genes.parquet"
PLATES = "data/drugseq_like/driadrc"
BORTEZOMIB = (
    "SELECT {} FROM pbdb.condition_effect WHERE dataset = 'driad' AND compound_name = 'bortezomib' AND dose_um = 1"
)


@pytest.fixture(scope="module")
def one(simulated: Callable[[str], Simulated]) -> Simulated:
    return simulated("driad")


@pytest.fixture(scope="module")
def real(
    shared: Path, database_server: Settings, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """A database that holds the real first plate."""
    with new_database(database_server, tmp_path_factory.mktemp("driad") / "home", template) as settings:
        releases.import_files(settings, "genes", shared / GENES)
        load(settings, shared / PLATES)
        yield settings


@pytest.fixture(scope="module")
def matrix(real: Settings) -> ad.AnnData:
    (path,) = real.cache.glob("driad/*/samples.h5ad")
    return ad.read_h5ad(path)


def count(settings: Settings, rows: str) -> int:
    return int(value(settings, f"SELECT count(*) FROM {rows}"))


def test_real_wells_are_those_of_the_sheet(real: Settings) -> None:
    assert count(real, "pbdb.sample") == 381
    assert count(real, "pbdb.sample WHERE 'low_counts' = ANY(flags)") == 34
    assert count(real, "pbdb.sample WHERE is_vehicle") == 11
    assert count(real, "pbdb.sample WHERE is_vehicle AND in_fit") == 11
    assert count(real, "pbdb.sample WHERE in_fit") == 335


def test_real_conditions_are_estimated_or_have_no_sample_left(real: Settings) -> None:
    assert count(real, "pbdb.condition WHERE NOT is_vehicle") == 117
    statuses = dict(query(real, "SELECT status, count(*) FROM pbdb.effect GROUP BY 1"))
    assert statuses == {"ok": 109, "no_sample": 8}


def test_real_symbols_become_genes_as_counted(real: Settings, matrix: ad.AnnData) -> None:
    found = value(real, "SELECT report->'genes' FROM core.etl_run WHERE stage = 'transform'")
    dropped = value(real, "SELECT dropped FROM core.etl_run WHERE stage = 'transform'")
    assert sum(found.values()) == 18_024
    assert found["synonym"] == 435
    assert dropped == {"gene ambiguous": 14, "gene unknown": 536}
    assert matrix.shape == (381, 17_472)
    copies = """SELECT count(DISTINCT gene_id) FROM core.gene_replacement JOIN core.gene g USING (gene_id)
        WHERE reason = 'alternate_sequence' AND g.gene_key = ANY(:keys)"""
    assert value(real, copies, keys=matrix.var["gene_key"].tolist()) >= 1_136
    assert value(real, "SELECT n_genes FROM core.feature_set JOIN core.fit USING (feature_set_id)") == 7_302


def test_real_bortezomib_raises_heat_shock_and_stress_genes(real: Settings, shared: Path) -> None:
    rows = query(real, BORTEZOMIB.format("gene_symbol, log2_fc, p_adj") + " ORDER BY log2_fc DESC LIMIT 30")
    rank = {symbol: at for at, (symbol, _, _) in enumerate(rows, start=1)}
    expected = {"HSPA1B": 1, "HSPA6": 2, "CRYAB": 3, "HMOX1": 4, "ZFAND2A": 9, "DNAJB1": 26}
    assert {symbol: rank[symbol] for symbol in expected} == expected
    assert all(p_adj < 0.05 for symbol, _, p_adj in rows if symbol in expected)
    two_groups = pd.read_csv(shared / "data/golden_real/DGE1_bortezomib_1_vs_dmso.csv.gz", index_col="gene")[
        "voom_logFC"
    ]
    changes = pd.Series({symbol: change for symbol, change, _ in rows if symbol in expected})
    assert (changes - two_groups[changes.index]).abs().max() < 0.3


def test_real_vehicle_wells_do_not_differ_from_each_other(matrix: ad.AnnData) -> None:
    wells = matrix[(matrix.obs["is_control"] & matrix.obs["in_fit"]).to_numpy()]
    design = engine.build_design(np.arange(11) % 2, np.arange(11) % 2 == 0)
    fit = engine.prepare(wells.X, design, engine.Options(threads=1))
    (block,) = engine.complete(fit, size=100_000)
    assert (block.p_adj < 0.05).sum() == 0


def test_a_second_load_of_the_real_plate_writes_nothing(real: Settings, shared: Path) -> None:
    before = contents(real, versions=True)
    assert load(real, shared / PLATES) == {
        "dataset": "driad",
        "changed": False,
        "fingerprint": value(real, "SELECT fingerprint FROM core.dataset"),
    }
    assert contents(real, versions=True) == before


def test_wells_of_both_plates_are_worth_what_was_simulated(one: Simulated) -> None:
    wells, statuses = one.truth.wells, one.truth.statuses
    assert count(one.settings, "pbdb.sample") == wells["loaded"]
    for reason in ("low_counts", "stimulated"):
        assert count(one.settings, f"pbdb.sample WHERE '{reason}' = ANY(flags)") == wells[reason]
    assert count(one.settings, "pbdb.sample WHERE in_fit") == wells["in_fit"]
    assert dict(query(one.settings, "SELECT status, count(*) FROM pbdb.effect GROUP BY 1")) == statuses


def test_a_drug_with_a_stimulant_is_no_condition_but_brackets_alone_make_none(one: Simulated) -> None:
    given = dict(
        query(one.settings, "SELECT attributes->>'Drug', bool_or(condition_id IS NOT NULL) FROM core.sample GROUP BY 1")
    )
    assert {drug for drug, has_condition in given.items() if not has_condition} == {
        "LPS", "naked dsRNA", "Lipo control", "Chitosan", "vorinostat (lipo)", "vorinostat (dsrnami)",
    }  # fmt: skip
    assert given["(+)-JQ1"]


def test_the_vehicles_of_both_plates_are_one_condition_of_one_fit(one: Simulated) -> None:
    assert query(one.settings, "SELECT n_samples FROM pbdb.condition WHERE is_vehicle") == [(2 * driad.N_VEHICLES,)]
    assert query(one.settings, "SELECT n_plates, n_vehicle FROM core.fit") == [(2, 2 * driad.N_VEHICLES)]


def test_planted_effects_are_found_again(one: Simulated) -> None:
    planted = one.truth.effects.query("dose_um == 10").set_index(["compound", "gene_id"])["log2_fc"]
    rows = query(one.settings, "SELECT compound_name, gene_id, log2_fc FROM pbdb.condition_effect WHERE dose_um = 10")
    found = pd.DataFrame(rows, columns=["compound", "gene_id", "log2_fc"]).set_index(["compound", "gene_id"])["log2_fc"]
    both = pd.concat([planted, found], axis=1, keys=["planted", "found"]).dropna()
    assert len(both) > 200
    assert np.corrcoef(both["planted"], both["found"])[0, 1] > 0.9
    unmoved = found[~found.index.get_level_values("gene_id").isin(one.truth.effects["gene_id"])]
    assert unmoved.abs().quantile(0.95) < 1


def test_a_gene_that_one_plate_lacks_counts_zero_there(one: Simulated) -> None:
    (path,) = one.settings.cache.glob("driad/*/samples.h5ad")
    matrix = ad.read_h5ad(path)
    second = matrix[(matrix.obs["plate"] == "DGE2").to_numpy()].X.sum(axis=0)
    first = matrix[(matrix.obs["plate"] == "DGE1").to_numpy()].X.sum(axis=0)
    assert matrix.n_vars == one.truth.genes["current"] + one.truth.genes["synonym"]
    symbols = [pd.read_csv(one.folder / f"{plate}-counts.csv.gz")["HUGO"] for plate in driad.PLATES]
    assert len(symbols[0]) - len(symbols[1]) == 10
    assert 0 < int(((second == 0) & (first > 100)).sum()) <= 10
