"""Agreement of replicates: pairs, means over pairs, and baselines without the condition's own compound."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from loads import query
from made_up_effects import Made, write
from scipy import stats
from sqlalchemy import text

from pbdb.common.errors import DataError
from pbdb.common.ids import stable_id
from pbdb.common.settings import Settings
from pbdb.matches.agreement import inputs as agreement_inputs
from pbdb.matches.agreement import replicates
from pbdb.matches.statistics.peers import peer_order
from pbdb.server import connect

COMPOUNDS, GENES = 5, 200


@pytest.fixture
def world(database: Settings) -> tuple[Settings, dict[str, np.ndarray]]:
    """Compounds C0 to C4 with three replicates each, but C4 with two; their effects by compound, by ascending id."""
    chance = np.random.default_rng(2)
    names = [f"C{n}" for n in range(COMPOUNDS) for _ in range(3)][:-1]
    values = (chance.normal(size=(COMPOUNDS, GENES)).repeat(3, axis=0)[:-1] + chance.normal(size=(14, GENES))).astype(
        "f4"
    )
    # As three doses, for conditions of one name are one; then made replicates of the first.
    doses = [10**9 + n for n in range(3)] * COMPOUNDS
    conditions = pd.DataFrame({"compound": names, "context": "CVCL:0001", "dose_fm": doses[:-1], "time_h": 24.0})
    engine = connect.engine(database)
    write(engine, Made("one", conditions, np.arange(1, GENES + 1, dtype=np.int32), values, np.full_like(values, 0.4)))
    with engine.begin() as connection:
        connection.execute(text("UPDATE core.fit SET mode = 'replicate', is_default = false"))
        connection.execute(
            text("""UPDATE core.effect e SET condition_id = f.condition_id
            FROM core.condition c, core.condition f WHERE c.condition_id = e.condition_id
            AND f.source_compound_id = c.source_compound_id AND f.dose_fm = 1000000000""")
        )
        query = """SELECT s.name, e.log2_fc FROM core.effect e JOIN core.condition c USING (condition_id)
            JOIN core.source_compound s USING (source_compound_id) ORDER BY e.effect_id"""
        rows = connection.execute(text(query)).all()
    return database, {name: np.array([fc for one, fc in rows if one == name]) for name in sorted(set(names))}


def scores(settings: Settings, metric: str) -> pd.DataFrame:
    query = text("SELECT * FROM pbdb.replicate_agreement WHERE metric = :metric")
    with connect.engine(settings).connect() as connection:
        return pd.read_sql(query, connection, params={"metric": metric}).set_index("compound_name").sort_index()


def test_a_condition_is_the_mean_of_its_cyclic_pairs_beside_other_compounds(world: tuple) -> None:
    settings, effects = world
    assert replicates.run(settings)["one"] | {"summaries": 0} == {
        "conditions": 5,
        "pairs": 13,
        "summaries": 0,
    }
    found = scores(settings, "pearson_log2_fc")
    assert found["n_pairs"].tolist() == [3, 3, 3, 3, 1]
    for name, own in effects.items():
        pairs = [(0, 1)] if len(own) == 2 else [(0, 1), (1, 2), (2, 0)]
        others = np.concatenate([rows for other, rows in effects.items() if other != name])
        row = found.loc[name]
        assert row["score"] == pytest.approx(np.mean([np.corrcoef(own[i], own[j])[0, 1] for i, j in pairs]))
        centroid = np.mean([np.corrcoef(own[k], others.mean(axis=0))[0, 1] for pair in pairs for k in pair])
        assert row["source_centroid"] == pytest.approx(centroid, abs=1e-6)
        peers = [[np.mean([np.corrcoef(own[k], other)[0, 1] for k in pair]) for other in others] for pair in pairs]
        assert row["source_peer_mean"] == pytest.approx(np.mean(peers))
        assert row["source_peer_sd"] == pytest.approx(np.mean([np.std(one, ddof=1) for one in peers]))
        assert row["n_source_peers"] == row["n_source_centroid"] == len(others)


def test_a_value_missing_in_one_well_leaves_the_mean_of_the_others(world: tuple) -> None:
    settings, effects = world
    with connect.engine(settings).begin() as connection:
        first = "(SELECT min(e.effect_id) FROM core.effect e JOIN core.condition USING (condition_id)"
        first += " JOIN core.source_compound s USING (source_compound_id) WHERE s.name = 'C0')"
        connection.execute(text(f"UPDATE core.effect SET log2_fc[1] = 'NaN' WHERE effect_id = {first}"))
    replicates.run(settings)
    effects["C0"][0, 0] = np.nan
    others = np.concatenate([rows for name, rows in effects.items() if name != "C4"])
    centroid = np.mean([np.corrcoef(own, np.nanmean(others, axis=0))[0, 1] for own in effects["C4"]])
    assert scores(settings, "pearson_log2_fc").loc["C4", "source_centroid"] == pytest.approx(centroid, abs=1e-7)


def test_capped_peers_are_drawn_well_by_well(world: tuple) -> None:
    settings, effects = world
    replicates.run(settings, peers=4)
    listed = """SELECT e.effect_id, s.name, e.log2_fc FROM core.effect e JOIN core.condition USING (condition_id)
        JOIN core.source_compound s USING (source_compound_id) WHERE s.name <> 'C4' ORDER BY 1"""
    ids, _, values = zip(*query(settings, listed), strict=True)
    peers = [values[at] for at in peer_order(np.array(ids))[:4]]
    mean = np.mean([np.corrcoef(own, peer)[0, 1] for own in effects["C4"] for peer in peers])
    assert scores(settings, "pearson_log2_fc").loc["C4", "source_peer_mean"] == pytest.approx(mean)


def test_small_blocks_give_the_same(world: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, _ = world
    replicates.run(settings)
    whole = scores(settings, "deg_spearman")
    monkeypatch.setattr(agreement_inputs, "CELLS_AT_ONCE", 1)
    replicates.run(settings)
    pd.testing.assert_frame_equal(scores(settings, "deg_spearman"), whole)


def test_summaries_of_a_dataset_with_itself_tell_replicates_from_baselines(world: tuple) -> None:
    settings, effects = world
    replicates.run(settings)
    replicates.run(settings, ["one"], peers=4)
    with connect.engine(settings).connect() as connection:
        found = pd.read_sql(text("SELECT * FROM pbdb.agreement_summary"), connection)
    assert set(found["dataset_a"]) == set(found["dataset_b"]) == {"one"} and found["parameters_id"].nunique() == 1
    rows = found[found["metric"] == "spearman_log2_fc"].set_index("quantity")
    assert rows.loc["score", "mean"] == pytest.approx(scores(settings, "spearman_log2_fc")["score"].mean())
    assert rows.loc["delta_source_peer", "interval_low"] > 0.3
    own = effects["C4"]
    assert scores(settings, "spearman_log2_fc").loc["C4", "score"] == pytest.approx(stats.spearmanr(*own).statistic)
    assert scores(settings, "spearman_log2_fc").loc["C4", "n_source_peers"] == 4


def test_datasets_without_replicates_are_refused_in_a_sentence(database: Settings, world: tuple) -> None:
    with pytest.raises(DataError, match="two' has no condition"):
        replicates.run(database, ["two"])
    with connect.engine(database).begin() as connection:
        connection.execute(
            text("DELETE FROM core.effect WHERE dataset_id = :key"), {"key": stable_id("dataset", "one")}
        )
    with pytest.raises(DataError, match="one"):
        replicates.run(database)
