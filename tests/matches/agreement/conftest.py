"""Releases with planted agreement, made once for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from databases import new_database
from made_up_effects import Made, write
from sqlalchemy import text

from pbdb.common.settings import Settings
from pbdb.matches import match_table
from pbdb.matches.agreement import run as agreement_run
from pbdb.server import connect

COMPOUNDS, GENES = 24, 300


def planted(kind: str, base: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Effects that stand to the base as the name says."""
    if kind == "shuffled":
        strength = np.array([chance.permutation(row) for row in np.abs(base)])
        return np.sign(base) * strength
    return {"identical": base, "opposite": -base, "unrelated": chance.normal(size=base.shape)}[kind]


@pytest.fixture(scope="session")
def world(database_server: Settings, template: str, tmp_path_factory: Any) -> Iterator[Settings]:
    """Dataset `base`, and four that agree with it as their names say; agreement was run."""
    home: Path = tmp_path_factory.mktemp("agreement")
    chance = np.random.default_rng(1)
    base = chance.normal(size=(COMPOUNDS, GENES))
    with new_database(database_server, home, template) as settings:
        engine = connect.engine(settings)
        for name in ("base", "identical", "opposite", "shuffled", "unrelated"):
            values = (base if name == "base" else planted(name, base, chance)).astype(np.float32)
            conditions = pd.DataFrame({"compound": [f"C{n:02}" for n in range(COMPOUNDS)], "context": "CVCL:0001"})
            conditions = conditions.assign(dose_fm=10**9, time_h=24.0)
            write(
                engine,
                Made(name, conditions, np.arange(1, GENES + 1, dtype=np.int32), values, np.full_like(values, 0.3)),
            )
        # Only pairs with base are looked at: the others share an overlap group, so that they never match.
        with engine.begin() as connection:
            connection.execute(text("UPDATE core.dataset SET overlap_group = 'others' WHERE dataset <> 'base'"))
        match_table.refresh(engine)
        agreement_run.run(settings)
        yield settings


@pytest.fixture(scope="session")
def summary(world: Settings) -> pd.DataFrame:
    """The summaries of each dataset with `base`."""
    with connect.engine(world).connect() as connection:
        found = pd.read_sql(text("SELECT * FROM pbdb.agreement_summary WHERE dataset_a = 'base'"), connection)
    return found.set_index(["dataset_b", "metric", "quantity"]).sort_index()
