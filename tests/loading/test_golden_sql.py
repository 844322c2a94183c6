"""Loaded through a source and read back by SQL, effects equal limma's to the precision of their storage."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import made
import numpy as np
import pandas as pd
import pytest
from databases import new_database
from loads import query

from pbdb.common.settings import Settings
from pbdb.effects.engine import Options
from pbdb.loading import dataset_load

LONG = """SELECT compound_name, dose_um, time_h, gene_id, log2_fc, se, t, p_value_limma, p_adj_limma
    FROM pbdb.condition_effect"""
KEY = ["compound", "dose_um", "time_h", "gene"]


@pytest.fixture(scope="module", params=["counts_one_plate", "counts_plates", "counts_two_times"])
def both(
    request: pytest.FixtureRequest,
    shared: Path,
    database_server: Settings,
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Effects of one golden case, as SQL gives them and as R gave them, row by row."""
    case, place = shared / "golden" / request.param, tmp_path_factory.mktemp("golden")
    sheet = pd.read_csv(f"{case}.samples.csv", dtype=str)
    sheet = sheet.rename(columns={"sample_id": "sample", "compound": "drug", "dose_um": "dose", "time_h": "hours"})
    sheet = sheet.assign(unit="uM", cells="A", note="")[list(made.SHEET)]
    made.write(place, sheet, pd.read_csv(f"{case}.matrix.csv.gz", index_col="gene"))
    with pytest.MonkeyPatch.context() as patch, new_database(database_server, place / "home", template) as settings:
        patch.setattr(dataset_load, "Options", partial(Options, span=0.5))
        made.load(settings, place)
        yield _ours(settings), _theirs(case)


def _ours(settings: Settings) -> pd.DataFrame:
    columns = [*KEY, "log2_fc", "se", "t", "p_value_limma", "p_adj_limma"]
    return pd.DataFrame(query(settings, LONG), columns=columns).set_index(KEY).sort_index()


def _theirs(case: Path) -> pd.DataFrame:
    table = pd.read_csv(f"{case}.effects.csv.gz")
    conditions = pd.read_csv(f"{case}.samples.csv").drop_duplicates("condition").set_index("condition")
    table = table.join(conditions[["compound", "dose_um", "time_h"]], on="condition").rename(
        columns={"logFC": "log2_fc"}
    )
    table["se"] = table["stdev.unscaled"] * np.sqrt(table["s2.post"])
    return table.astype({"dose_um": float, "time_h": float}).set_index(KEY).sort_index()


def test_the_same_effects_are_there(both: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    ours, theirs = both
    assert len(ours) > 1000
    assert [key[1:] for key in ours.index] == [key[1:] for key in theirs.index]
    assert [key[0].upper() for key in ours.index] == [key[0] for key in theirs.index]


@pytest.mark.parametrize("name", ["log2_fc", "se", "t"])
def test_statistics_equal_limma(both: tuple[pd.DataFrame, pd.DataFrame], name: str) -> None:
    ours, theirs = both
    np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("name", "theirs_name"), [("p_value_limma", "P.Value"), ("p_adj_limma", "adj.P.Val")])
def test_p_values_equal_limma_on_the_log_scale(
    both: tuple[pd.DataFrame, pd.DataFrame], name: str, theirs_name: str
) -> None:
    ours, theirs = both
    np.testing.assert_allclose(np.log10(ours[name]), np.log10(theirs[theirs_name]), rtol=2e-6, atol=1e-6)
