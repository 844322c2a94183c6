"""Evaluations as rows of the database."""

from __future__ import annotations

import hashlib
import json

import pandas as pd
from sqlalchemy import text

from pbdb.common.ids import stable_id
from pbdb.common.settings import Settings
from pbdb.common.version import __version__
from pbdb.database.copy_text import copy_frame
from pbdb.learn.holdout import Evaluation, Facts
from pbdb.server import connect

COLUMNS = (
    "evaluated_on", "learner", "statistic", "quantity", "n_test_conditions", "n_test_compounds", "n_repeats",
    "estimate", "interval_low", "interval_high", "interval_status",
)  # fmt: skip


def store(settings: Settings, done: Evaluation, name: str | None = None) -> str:
    """Store the numbers of an evaluation under a name, made of its choices unless given; what had it is replaced."""
    chosen = name or _name(done.facts)
    key = stable_id("evaluation", chosen)
    table: pd.DataFrame = done.summary[list(COLUMNS)].assign(
        evaluation_id=key, evaluation=chosen, task=done.facts["task"], code_version=__version__
    )
    table["datasets"] = [done.facts["datasets"]] * len(table)
    table["parameters"] = pd.Series([done.facts["choices"]] * len(table), index=table.index, dtype=object)
    with connect.engine(settings).begin() as connection:
        connection.execute(text("DELETE FROM core.evaluation WHERE evaluation_id = :key"), {"key": key})
        copy_frame(connection, "core.evaluation", table)
    return chosen


def _name(facts: Facts) -> str:
    digest = hashlib.sha256(json.dumps(facts["choices"], sort_keys=True, default=list).encode()).hexdigest()
    return f"{facts['task']}-{digest[:8]}"
