"""GDPx2: a fit for each cell type and level of DMSO, and the traps of the published tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from loads import copy_of, load, query
from simulated import Simulated

from pbdb.common.errors import PbdbError
from pbdb.common.settings import Settings
from pbdb.simulate import gdpx2
from pbdb.sources import registry


@pytest.fixture(scope="module")
def one(simulated: Callable[[str], Simulated]) -> Simulated:
    return simulated("gdpx2")


def test_every_well_loads_in_the_fit_or_with_its_flag(one: Simulated) -> None:
    found = query(one.settings, "SELECT coalesce(flags[1], 'in_fit'), count(*) FROM core.sample GROUP BY 1")
    assert dict(found) == one.truth.wells
    ((left_out,),) = query(one.settings, "SELECT dropped FROM core.etl_run WHERE stage = 'transform'")
    assert left_out["profile without_counts"] == 1


def test_a_fit_holds_one_cell_type_at_one_level_of_dmso(one: Simulated) -> None:
    fits = query(one.settings, "SELECT context_id, stratum, n_vehicle, array_length(effect_ids, 1) FROM core.fit")
    assert sorted({stratum for _, stratum, _, _ in fits}) == ["0.0625", "0.1875", "0.625"]
    assert len(fits) == 6
    assert {row[2:] for row in fits} == {(gdpx2.N_PLATES * gdpx2.N_VEHICLES, one.truth.conditions // 6)}
    doses = query(
        one.settings, "SELECT stratum, array_agg(DISTINCT dose_um ORDER BY dose_um) FROM pbdb.condition GROUP BY 1"
    )
    assert dict(doses) == {
        f"{level:g}": [0.0, *sorted(gdpx2.DOSES[at] for at in pair)] for level, pair in gdpx2.STRATA.items()
    }


def test_what_dmso_does_at_a_level_is_in_no_effect(one: Simulated) -> None:
    """Against vehicles of all levels together, a fifth of the genes would seem to respond to everything."""
    found = pd.DataFrame(
        query(one.settings, "SELECT inchikey, dose_um, gene_id, log2_fc FROM pbdb.condition_effect"),
        columns=["inchikey", "dose_um", "gene_id", "log2_fc"],
    )
    keys = ["inchikey", "dose_um", "gene_id"]
    planted = one.truth.effects.set_index(keys)["log2_fc"]
    both = found.join(planted.rename("planted"), on=keys)
    responding = both[both["planted"].abs() > 0.5]
    assert np.corrcoef(responding["log2_fc"], responding["planted"])[0, 1] > 0.9
    quiet = both[both["planted"].isna()]
    assert quiet["log2_fc"].abs().quantile(0.95) < 1
    assert abs(quiet["log2_fc"].mean()) < 0.05


def test_doses_in_any_unit_are_the_same_condition(one: Simulated) -> None:
    samples = query(one.settings, "SELECT n_samples FROM pbdb.condition WHERE NOT is_vehicle AND dose_um = 0.0095")
    assert {n for (n,) in samples} == {4}


def test_genes_without_an_id_are_counted_and_the_second_of_two_is_not_summed(one: Simulated) -> None:
    ((report,),) = query(one.settings, "SELECT report FROM core.etl_run WHERE stage = 'transform'")
    n = one.truth.genes
    assert report["genes"] == {"unchecked": n, "unknown": n // 2 + 2}


@pytest.mark.parametrize(
    ("column", "given", "words"),
    [
        ("percent_volume_dmso", None, r"'{}' of 'obs.parquet' has no percent_volume_dmso \(1 such\)"),
        ("pert_dose", "about 3uM", "'dose' has the value 'about 3uM' without a unit"),
        ("container_id", None, "plate: must not be empty"),
    ],
)
def test_a_well_of_which_too_little_is_told_stops_the_load(
    one: Simulated, database: Settings, tmp_path: Path, column: str, given: str | None, words: str
) -> None:
    folder = copy_of(one.folder, tmp_path / "release")
    table = pd.read_parquet(folder / "obs.parquet")
    treated = table.index[(table["sample_type"] == "Sample").argmax()]
    table.loc[treated, column] = given
    table.to_parquet(folder / "obs.parquet")
    with pytest.raises(PbdbError, match=words.format(treated)):
        load(database, folder, "gdpx2")


def test_neither_data_nor_results_may_be_passed_on() -> None:
    terms = registry.get("gdpx2").datasets["gdpx2"]
    assert (terms.access, terms.is_redistributable) == ("gated", False)
