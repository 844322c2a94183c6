"""Vehicle wells that differ by more than their counts say: the load warns, ledger and view `fit` tell how much."""

from __future__ import annotations

from pathlib import Path

import made
import numpy as np
import pandas as pd
import pytest
from databases import new_database
from loads import query

from pbdb.common.settings import Settings
from pbdb.loading import pipeline

N_VEHICLES, N_DRUGS, N_GENES = 24, 30, 200


class Heard:
    """Keeps what a load said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def stage(self, stage: str, message: str) -> None:
        self.said.append(f"{stage}: {message}")

    def progress(self, what: str, done: int, total: int | None) -> None:
        """Say nothing."""


def release(folder: Path, scatter: float) -> Path:
    """Vehicle wells and drugs without effect, three wells each; every second vehicle well scatters by itself."""
    rng = np.random.default_rng(1)
    drugs = ["DMSO"] * N_VEHICLES + [f"drug {i}" for i in range(N_DRUGS) for _ in range(3)]
    n = len(drugs)
    table = pd.DataFrame({"sample": [f"s{i:03d}" for i in range(n)], "plate": "p1", "drug": drugs})
    is_vehicle = table["drug"] == "DMSO"
    table = table.assign(dose=np.where(is_vehicle, "", "10"), unit=np.where(is_vehicle, "", "uM"), hours="24")
    table = table.assign(cells="A", note="")
    level = rng.normal(4, 1, (N_GENES, 1)) + rng.normal(0, 0.2, n)
    odd = (np.arange(n) < N_VEHICLES) & (np.arange(n) % 2 == 0)
    level += scatter * odd * rng.normal(size=level.shape)
    values = rng.poisson(np.exp(level) * rng.gamma(50, 1 / 50, level.shape))
    genes = pd.Index([f"ENSG{made.FIRST_GENE + at:011d}" for at in range(N_GENES)], name="gene")
    return made.write(folder, table, pd.DataFrame(values, columns=table["sample"], index=genes))


@pytest.mark.parametrize(("scatter", "warns"), [(0.0, False), (0.5, True)], ids=["sound", "odd"])
def test_a_load_warns_where_p_values_do_not_hold_on_its_own_vehicle_wells(
    database_server: Settings, template: str, tmp_path: Path, scatter: float, warns: bool
) -> None:
    heard = Heard()
    with new_database(database_server, tmp_path / "home", template) as settings:
        choices = pipeline.Choices(folder=release(tmp_path / "release", scatter))
        pipeline.load_source(made.SOURCE, settings, choices, reporter=heard)
        columns = "null_any_share, null_any_share_low, null_any_share_high, n_null_wells"
        ((share, low, high, wells),) = query(settings, f"SELECT {columns} FROM pbdb.fit")
        ((kept,),) = query(settings, "SELECT report FROM core.etl_run WHERE stage = 'effects'")
    (of_ledger,) = kept.values()
    assert wells == N_VEHICLES and low <= share <= high
    assert of_ledger["null_any_share"] == pytest.approx(share) and of_ledger["n_null_wells"] == wells
    warned = [words for words in heard.said if "vehicle wells tested against the others" in words]
    assert bool(warned) == (low > 0.1) == warns
    assert not warns or ((words := warned[0]).startswith("effects: warning") and f"{share:.0%}" in words)
