"""A run as a whole: which genes decide, and what happens when data change under it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from loads import query
from made_up_effects import Made, write
from sqlalchemy import text

from pbdb.common.errors import DataError
from pbdb.common.ids import stable_id
from pbdb.common.settings import Settings
from pbdb.matches import match_table
from pbdb.matches.agreement import inputs as agreement_inputs
from pbdb.matches.agreement import run as agreement_run
from pbdb.matches.agreement.run import Choices
from pbdb.server import connect

COMPOUNDS = 10


def add(settings: Settings, name: str, first_gene: int, n_genes: int, prefix: str = "C") -> None:
    """Add a data set of effects drawn by chance, in one context."""
    values = np.random.default_rng(first_gene).normal(size=(COMPOUNDS, n_genes)).astype(np.float32)
    conditions = pd.DataFrame({"compound": [f"{prefix}{n}" for n in range(COMPOUNDS)], "context": "CVCL:0001"})
    genes = np.arange(first_gene, first_gene + n_genes, dtype=np.int32)
    made = Made(name, conditions.assign(dose_fm=10**9, time_h=24.0), genes, values, np.full_like(values, 0.3))
    write(connect.engine(settings), made)


def matched(settings: Settings, *first_genes: int) -> None:
    for number, first_gene in enumerate(first_genes):
        add(settings, f"data{number}", first_gene, 60)
    match_table.refresh(connect.engine(settings))


def run(settings: Settings, **choices: Any) -> dict[str, Any]:
    return agreement_run.run(settings, Choices(peers=3, **choices))


@pytest.mark.parametrize("first_gene", [61, 60])
def test_below_two_shared_genes_nothing_is_said(database: Settings, first_gene: int) -> None:
    matched(database, 1, first_gene)
    run(database)
    assert query(database, "SELECT count(*), count(score) FROM core.agreement WHERE metric LIKE '%log2_fc'") == [
        (30, 0)
    ]
    assert query(database, "SELECT count(*) FROM core.agreement_summary WHERE metric LIKE 'retrieval%'") == [(0,)]


def test_the_universe_of_a_context_names_data_sets_without_matches_too(database: Settings) -> None:
    matched(database, 1, 1)
    before = run(database, universe="context")["parameters"]["gene_universe_id"]
    add(database, "other", 31, 60, prefix="D")
    assert run(database, universe="context")["parameters"]["gene_universe_id"] != before
    assert query(database, "SELECT DISTINCT n FROM core.agreement WHERE metric = 'spearman_t'") == [(30,)]


def test_summaries_stand_as_long_as_their_matches_do(database: Settings) -> None:
    matched(database, 1, 1)
    run(database)
    kept = query(database, "SELECT * FROM core.agreement_summary ORDER BY 1")
    match_table.refresh(connect.engine(database))
    assert kept == query(database, "SELECT * FROM core.agreement_summary ORDER BY 1") != []
    with connect.engine(database).begin() as connection:
        connection.execute(text("DELETE FROM core.match WHERE match_id = (SELECT min(match_id) FROM core.match)"))
    match_table.refresh(connect.engine(database))
    assert query(database, "SELECT * FROM core.agreement_summary") == []


def test_a_load_meanwhile_stops_the_run_and_the_old_results_stand(database: Settings) -> None:
    matched(database, 1, 1)
    run(database)
    kept = query(database, "SELECT * FROM core.agreement ORDER BY match_id, metric")

    def load(*_: object) -> None:
        with connect.engine(database).begin() as connection:
            connection.execute(text("UPDATE core.dataset SET effects_fingerprint = 'new' WHERE dataset = 'data1'"))

    with pytest.raises(DataError, match="changed meanwhile"):
        agreement_run.run(database, Choices(peers=2), load)
    assert query(database, "SELECT * FROM core.agreement ORDER BY match_id, metric") == kept


def test_an_effect_that_is_gone_is_a_sentence(database: Settings) -> None:
    add(database, "one", 1, 5)
    with connect.connect(database, autocommit=True) as connection, pytest.raises(DataError, match="changed meanwhile"):
        list(agreement_inputs.read_arrays(connection, stable_id("dataset", "one"), np.array([1, 2]), 5))
