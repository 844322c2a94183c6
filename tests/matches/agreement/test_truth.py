"""What was planted is what statistics and intervals say."""

from __future__ import annotations

import pandas as pd
import pytest
from sqlalchemy import text

from pbdb.common.errors import ConfigError, DataError
from pbdb.common.settings import Settings
from pbdb.matches import match_table
from pbdb.matches.agreement import run as agreement_run
from pbdb.matches.agreement.run import Choices
from pbdb.server import connect

RANKS = ("spearman_log2_fc", "pearson_log2_fc", "cosine_log2_fc", "spearman_t", "deg_spearman", "deg_spearman_a")
DIRECTIONS = ("direction", "direction_a", "direction_b", "direction_both")


def mean(summary: pd.DataFrame, *key: str) -> float:
    return float(summary.loc[key, "mean"])


def test_identical_releases_agree_fully(summary: pd.DataFrame) -> None:
    for metric in (*RANKS, *DIRECTIONS, "jaccard", "overlap_50", "signed_overlap_50"):
        assert mean(summary, "identical", metric, "score") == pytest.approx(1, abs=1e-6)
        assert summary.loc[("identical", metric, "score"), "interval_status"] == "degenerate"
        assert mean(summary, "identical", metric, "source_peer_percentile") == pytest.approx(1)
        assert summary.loc[("identical", metric, "delta_target_peer"), "interval_low"] > 0


def test_opposite_releases_disagree_in_rank_and_direction_on_the_same_genes(summary: pd.DataFrame) -> None:
    for metric in RANKS:
        assert mean(summary, "opposite", metric, "score") == pytest.approx(-1, abs=1e-6)
    for metric in DIRECTIONS:
        assert mean(summary, "opposite", metric, "score") == 0
        assert summary.loc[("opposite", metric, "delta_source_peer"), "interval_high"] < 0
    assert mean(summary, "opposite", "jaccard", "score") == 1
    assert mean(summary, "opposite", "signed_overlap_50", "score") == 0


def test_shuffled_ranks_keep_the_direction_only(summary: pd.DataFrame) -> None:
    for metric in DIRECTIONS:
        assert mean(summary, "shuffled", metric, "score") == 1
    assert 0.5 < mean(summary, "shuffled", "spearman_log2_fc", "score") < 0.9
    assert mean(summary, "shuffled", "jaccard", "score") < 0.5
    assert summary.loc[("shuffled", "direction", "delta_target_centroid"), "interval_low"] > 0.3


def test_unrelated_releases_agree_no_more_than_their_baselines(summary: pd.DataFrame) -> None:
    for metric in (*RANKS, *DIRECTIONS):
        for quantity in ("delta_source_centroid", "delta_target_centroid", "delta_source_peer", "delta_target_peer"):
            row = summary.loc[("unrelated", metric, quantity)]
            assert row["interval_low"] - 0.03 < 0 < row["interval_high"] + 0.03
        assert abs(mean(summary, "unrelated", metric, "target_peer_percentile") - 0.5) < 0.15


def test_matches_are_retrieved_where_releases_agree_and_by_chance_where_not(summary: pd.DataFrame) -> None:
    for kind in ("cosine", "spearman", "euclidean"):
        metric = f"retrieval_{kind}"
        assert mean(summary, "identical", metric, "recall_1") == mean(summary, "identical", metric, "auroc") == 1
        assert mean(summary, "opposite", metric, "normalised_rank") < 0.1
        assert mean(summary, "unrelated", metric, "normalised_rank_floor") == pytest.approx(0.5)
        by_chance = summary.loc[("unrelated", metric, "delta_normalised_rank_floor")]
        assert by_chance["interval_low"] < 0 < by_chance["interval_high"] and by_chance["n_units"] == 48
        assert mean(summary, "unrelated", metric, "recall_1_floor") == pytest.approx(1 / 24)


def test_every_quantity_says_how_many_it_rests_on(summary: pd.DataFrame) -> None:
    assert (summary["n_matches"] == 24).all()
    assert (summary["n_compounds"] <= 24).all()
    assert summary.loc[("identical", "spearman_t", "score"), "n_units"] == 24
    assert summary.loc[("identical", "overlap_200", "score"), ["n_defined", "n_compounds"]].tolist() == [0, 0]
    assert summary.loc[("identical", "overlap_200", "score"), "interval_status"] == "not_estimable"
    assert pd.isna(mean(summary, "identical", "jaccard", "source_centroid"))


def test_summaries_name_what_they_hold_for(world: Settings, summary: pd.DataFrame) -> None:
    parameters = summary["parameters"].iloc[0]
    assert parameters["fits"]["identical"] == {
        "method": "voom",
        "filter": "floor",
        "batching": None,
        "p_values": "limma",
    }
    expected = {"window": 10.0, "peers": 512, "seed": 20260505, "universe": "pairwise", "level": "parent_inchikey"}
    assert expected.items() <= parameters.items() and parameters["gene_universe_id"]
    rows = "SELECT count(DISTINCT parameters_id) FROM core.agreement_summary"
    with connect.engine(world).connect() as connection:
        assert connection.execute(text(rows)).scalar() == 1


def _everything(settings: Settings) -> list[object]:
    with connect.engine(settings).connect() as connection:
        agreement = connection.execute(text("SELECT * FROM core.agreement ORDER BY match_id, metric")).all()
        columns = "metric, quantity, mean, interval_low, interval_high, dataset_id_a, dataset_id_b, parameters_id"
        summaries = connection.execute(text(f"SELECT {columns} FROM core.agreement_summary ORDER BY 1, 2, 6, 7")).all()
    return [*agreement, *summaries]


def _scores(settings: Settings) -> dict[str, list[float]]:
    query = "SELECT metric, array_agg(score ORDER BY match_id) FROM core.agreement GROUP BY 1"
    with connect.engine(settings).connect() as connection:
        return {metric: values for metric, values in connection.execute(text(query))}


def test_other_choices_replace_what_was_there_and_the_first_ones_give_it_back_to_the_bit(world: Settings) -> None:
    first, plain = _everything(world), _scores(world)
    agreement_run.run(world, Choices(peers=5, universe="context", population_z="context"))
    other, scaled = _everything(world), _scores(world)
    assert len(other) == len(first) and other != first
    # Population z scores change ranks, and leave alone what a change of sign would spoil.
    assert scaled["spearman_t"] != plain["spearman_t"]
    for metric in (*DIRECTIONS, "jaccard", "overlap_50"):
        assert scaled[metric] == plain[metric]
    with connect.engine(world).connect() as connection:
        capped = (
            "SELECT DISTINCT is_capped, n_source_peers, n_target_centroid FROM core.agreement WHERE metric = 'jaccard'"
        )
        assert connection.execute(text(capped)).all() == [(True, 10, 0)]
    agreement_run.run(world)
    assert _everything(world) == first


def test_without_matches_there_is_a_sentence(database: Settings) -> None:
    with pytest.raises(DataError, match="match run --level skeleton --time-tolerance 2"):
        agreement_run.run(database, agreement_run.Choices(rule=match_table.Rule("skeleton", 2.0)))


@pytest.mark.parametrize("wrong", [{"window": 0.5}, {"window": float("nan")}, {"peers": -1}])
def test_choices_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Choices(**wrong)
