"""A database of made-up effects over the real list of conditions of the compendium, for the benchmarks beside it."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from made_up_effects import Made, write

from pbdb.common.settings import Settings
from pbdb.database import schema
from pbdb.server import connect

LIST = Path(__file__).resolve().parents[2] / "shared/data/condition_manifest_12datasets/df_annot_split.parquet"
FULL = 411_514


def conditions(n: int) -> pd.DataFrame:
    """Return n conditions (dataset, compound, context, dose_fm, time_h): real ones where the list is, else made up."""
    if not LIST.is_file():
        place = np.arange(n)
        made = {"dataset": [f"d{one % 3}" for one in place], "compound": [f"C{one // 60}" for one in place]}
        return pd.DataFrame(made).assign(
            context=[f"CVCL:{one % 20}" for one in place], dose_fm=10**9 + place, time_h=24.0
        )
    found = pd.read_parquet(LIST)
    found["dose_fm"] = np.round(10 ** found["log_dose"] * 1e9).fillna(0).astype(np.int64)
    found["dataset"] = [re.sub("[^a-z0-9]+", "_", name.lower()).strip("_")[:30] for name in found["dataset"]]
    found = found.rename(columns={"perturbation": "compound", "time": "time_h"})
    found["context"] = found["context"].str.replace("_", ":")
    chosen = found[["dataset", "compound", "context", "dose_fm", "time_h"]].drop_duplicates()
    rows = np.linspace(0, len(chosen) - 1, min(n, len(chosen))).astype(int)
    return chosen.iloc[np.unique(rows)].sort_values(["dataset", "context", "compound", "dose_fm", "time_h"])


@contextmanager
def database(n_conditions: int, n_genes: int) -> Iterator[Settings]:
    """Fill an embedded server of the benchmark's own; it goes with the block."""
    folder = Path(tempfile.mkdtemp(prefix="pbdb-effects-"))
    folder.chmod(0o755)
    settings = Settings(home=folder / "home")
    try:
        fill(settings, n_conditions, n_genes)
        yield settings
    finally:
        connect.stop(settings, immediately=True)
        shutil.rmtree(folder)


def fill(settings: Settings, n_conditions: int, n_genes: int) -> None:
    """Write the effects of all conditions, dataset by dataset."""
    engine = connect.engine(settings)
    schema.upgrade(engine)
    keys = np.arange(1, n_genes + 1, dtype=np.int32)
    chance = np.random.default_rng(1)
    for name, rows in conditions(n_conditions).groupby("dataset"):
        se = 0.2 + 0.3 * chance.random((len(rows), n_genes), dtype=np.float32)
        log2_fc = se * chance.standard_normal(se.shape, dtype=np.float32)
        write(engine, Made(str(name), rows.drop(columns="dataset"), keys, log2_fc, se))
