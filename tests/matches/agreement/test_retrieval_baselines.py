"""Baselines of retrieval counted one by one, the panel, and retrieval between replicates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pbdb.matches.agreement import replicate_retrieval
from pbdb.matches.agreement import retrieval as agreement_retrieval
from pbdb.matches.agreement.population_z import _nothing, _spread
from pbdb.matches.agreement.retrieval import Block, Pool, supported
from pbdb.matches.statistics import retrieval
from pbdb.matches.statistics.population import Moments

DOSES = np.array([1, 1, 1, 1, 5, 5, 5, 5, 100, 100, 100, 100], dtype=np.int64)
COMPOUNDS = np.array(list("ABCD") * 3)


@pytest.fixture
def pools() -> tuple[Pool, Pool]:
    """Two data sets of four compounds at three doses; an effect of the second has a missing gene."""
    chance = np.random.default_rng(4)
    values = chance.normal(size=(2, 12, 30)).astype(np.float32)
    values[1, 6, 3] = np.nan
    ids = np.arange(12)
    return Pool(ids, COMPOUNDS, DOSES, values[0]), Pool(ids + 50, COMPOUNDS, DOSES, values[1])


def block(pools: tuple[Pool, Pool], asked: int, partner: int, kind: str = "cosine") -> Block:
    own, other = pools
    matched = np.arange(12)[None, :] == partner
    rows = [pool.prepared(kind) for pool in pools]
    return Block(own, other, np.array([asked]), matched, rows[0], rows[1], kind, 10.0)


def queries(pools: tuple[Pool, Pool], query: str, target: str) -> pd.DataFrame:
    """What every effect of one side finds of that with its place on the other, by cosine."""
    named = dict(zip("ab", pools, strict=True))
    facts = {"dataset_id_a": 1, "dataset_id_b": 2, "context_id": 1, "time_h_a": 24.0, "time_h_b": 24.0}
    n = min(len(pool.ids) for pool in pools)
    matches = pd.DataFrame({f"effect_id_{side}": pool.ids[:n] for side, pool in named.items()}).assign(**facts)
    prepared = {side: pool.prepared("cosine") for side, pool in named.items()}
    found = list(agreement_retrieval._direction(matches, query, target, named, prepared, "cosine", 10.0))
    return pd.concat(found) if found else pd.DataFrame(columns=["metric"])


def brute(pools: tuple[Pool, Pool], asked: int, partner: int) -> dict[str, float]:
    """The same for cosine, by loops."""
    own, other = pools
    query = own.values[asked]
    near = lambda row: row @ query / np.linalg.norm(row) / np.linalg.norm(query)  # noqa: E731
    targets = [near(other.values[n]) for n in range(12) if n != 6]
    rank = lambda score: 1 + sum(one > score for one in targets)  # noqa: E731
    mates = [n for n in range(12) if COMPOUNDS[n] != COMPOUNDS[asked] and DOSES[n] == DOSES[asked]]
    others = [n for n in range(12) if COMPOUNDS[n] != COMPOUNDS[asked] and DOSES[n] == DOSES[partner] and n != 6]
    return {
        "normalised_rank": 1 - (rank(near(other.values[partner])) - 1) / 10,
        "source_centroid": 1 - (rank(near(own.values[mates].mean(axis=0))) - 1) / 11,
        "target_centroid": 1 - (rank(near(other.values[others].mean(axis=0))) - 1) / 11,
        "source_peer": 1 - (np.mean([rank(near(own.values[n])) for n in mates]) - 1) / 11,
        "target_peer": 1 - (np.mean([rank(near(other.values[n])) for n in others]) - 1) / 10,
    }


@pytest.mark.parametrize(("asked", "partner"), [(0, 0), (1, 5), (7, 3), (10, 9)])
def test_baselines_are_what_loops_count(pools: tuple[Pool, Pool], asked: int, partner: int) -> None:
    found = dict(block(pools, asked, partner).judged())["retrieval_cosine"]
    for name, value in brute(pools, asked, partner).items():
        assert found[name][0] == pytest.approx(value), name


def test_a_query_is_never_its_own_candidate_or_peer(pools: tuple[Pool, Pool]) -> None:
    own, _ = pools
    twins = Pool(own.ids, own.compound, own.dose, np.tile(own.values[:1], (12, 1)))
    found = dict(block((own, own), 0, 4).judged())["retrieval_cosine"]
    assert found["normalised_rank"][0] < 1 and found["source_peer"][0] < 1
    # All alike: every candidate ties, and the area is one half.
    assert dict(block((twins, twins), 0, 4).judged())["retrieval_cosine"]["auroc"][0] == pytest.approx(0.5)


def test_an_effect_without_direction_neither_asks_nor_answers(pools: tuple[Pool, Pool]) -> None:
    """A row of zeros has no cosine: it would else tie with everything, or come first."""
    own, other = pools
    own.values[3] = other.values[5] = 0
    found = queries(pools, "a", "b")
    found = found[found["metric"] == "retrieval_cosine"]
    # Twelve effects, of which one is zero; the partners of two others take no part.
    assert len(found) == 11 and found["normalised_rank"].notna().sum() == 9
    assert found["normalised_rank_floor"].dropna().unique() == pytest.approx([0.5])
    assert found["recall_1_floor"].dropna().unique() == pytest.approx([1 / 10])


def test_a_direction_needs_five_candidates_and_two_compounds_on_each_side(pools: tuple[Pool, Pool]) -> None:
    own, other = pools
    four = Pool(own.ids[:4], own.compound[:4], own.dose[:4], own.values[:4])
    assert len(queries((four, other), "a", "b")) > 0 and len(queries((four, other), "b", "a")) == 0
    one = Pool(own.ids[::4], own.compound[::4], own.dose[::4], own.values[::4])
    assert set(one.compound) == {"A"} and len(queries((one, other), "a", "b")) == 0


def test_positives_may_be_of_any_dose_or_within_the_window(pools: tuple[Pool, Pool]) -> None:
    found = dict(block(pools, 0, 0).judged())
    # Of four compounds and eleven whole candidates: three doses of A, two of them within ten-fold.
    floors = {
        name: retrieval.expected_normalised_rank(11, k) for name, k in (("", 1), ("_in_window", 2), ("_any_dose", 3))
    }
    for name, floor in floors.items():
        assert found[f"retrieval_cosine{name}"]["normalised_rank_floor"][0] == pytest.approx(floor)
    assert found["retrieval_cosine"]["control_normalised_rank_floor"][0] == pytest.approx(
        retrieval.expected_normalised_rank(11, 1)
    )
    assert set(found["retrieval_cosine_any_dose"]) < set(found["retrieval_cosine"])


def test_ranks_among_candidates_are_counted_with_ties_and_missing_values() -> None:
    found = np.array([[3.0, 1.0, 2.0, 9.0]])
    candidate = np.array([[True, True, True, False]])
    ranks = retrieval.rank_among(np.array([[2.0, np.nan, 5.0, 0.0, 2.0 + 1e-14]]), retrieval.in_order(found, candidate))
    assert ranks[0].tolist() == pytest.approx([2, np.nan, 1, 4, 2], nan_ok=True)
    assert retrieval.normalised([1, 3], [3, 3]).tolist() == [1, 0] and np.isnan(retrieval.normalised(1, 1))


def test_matches_within_a_source_need_support_from_another() -> None:
    rows = [("l", "l", 1, "X"), ("l", "l", 2, "X"), ("l", "l", 2, "Y"), ("l", "t", 1, "Z"), ("t", "s", 3, "X")]
    near = pd.DataFrame(rows, columns=["source_a", "source_b", "context_id", "compound_key"])
    assert supported(near).index.tolist() == [0, 1, 3, 4]


def test_replicates_are_asked_without_themselves_and_weigh_as_conditions() -> None:
    chance = np.random.default_rng(8)
    rows = pd.DataFrame({"stratum": "s", "compound_key": list("AABBBC"), "condition_id": [1, 1, 2, 2, 2, 3]})
    centre = chance.normal(size=(3, 40)).repeat([2, 3, 1], axis=0)
    values = (centre + 0.1 * chance.normal(size=centre.shape)).astype(np.float32)
    queries = pd.concat(replicate_retrieval._judged(values, rows), ignore_index=True)
    of_cosine = queries[queries["metric"] == "retrieval_cosine"]
    assert of_cosine["normalised_rank"].tolist() == pytest.approx([1, 1, 1, 1, 1, np.nan], nan_ok=True)
    floor = [float(retrieval.expected_normalised_rank(5, k)) for k in (1, 1, 2, 2, 2)]
    assert of_cosine["normalised_rank_floor"].tolist()[:5] == pytest.approx(floor)
    common = {"parameters_id": 1, "dataset_id_a": 7, "dataset_id_b": 7}
    made = replicate_retrieval.summarise_replicates(queries, common)
    told = {row["quantity"]: row for row in made if row["metric"] == "retrieval_cosine"}
    assert told["normalised_rank_floor"]["mean"] == pytest.approx((floor[0] + floor[2]) / 2)
    assert told["recall_1"]["n_defined"] == told["recall_1"]["n_compounds"] == 2


def test_wells_that_miss_a_gene_or_do_not_move_take_no_part_in_retrieval() -> None:
    values = np.random.default_rng(9).normal(size=(6, 5)).astype(np.float32)
    values[:4, 2] = values[5, 0] = np.nan
    values[1] = 0
    found, kept = replicate_retrieval._complete(values)
    assert kept.tolist() == [True, False, True, True, True, False]
    assert found == pytest.approx(np.delete(values, 2, axis=1)[kept])


def test_blocks_of_wells_are_as_good_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(10).normal(size=(7, 30)).astype(np.float32)
    monkeypatch.setattr(replicate_retrieval, "ROWS_AT_ONCE", 3)
    for kind in ("cosine", "spearman", "euclidean"):
        ready = replicate_retrieval._ranked(values) if kind == "spearman" else values
        found = replicate_retrieval._similarity(ready, np.array([1, 6]), kind)
        queries, candidates = (retrieval.prepared(rows, kind) for rows in (values[[1, 6]], values))
        assert found == pytest.approx(retrieval.similarity(queries, candidates, kind), abs=1e-6)


def test_moments_of_fits_with_different_genes_are_those_of_all_values() -> None:
    chance = np.random.default_rng(6)
    first, second = chance.normal(size=(9, 3)), chance.normal(2, 3, size=(5, 2))
    merged = _nothing(4).merged(_spread(Moments.of(first), np.array([0, 1, 3]), 4))
    merged = merged.merged(_spread(Moments.of(second), np.array([1, 2]), 4))
    shared = np.concatenate([first[:, 1], second[:, 0]])
    assert merged.n.tolist() == [9, 14, 5, 9]
    assert merged.mean[1] == pytest.approx(shared.mean())
    assert np.sqrt(merged.squares[1] / 14) == pytest.approx(shared.std())
