"""Baselines of retrieval counted one by one, the panel, and retrieval between replicates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pbdb import agreement_replicate_retrieval
from pbdb.agreement import retrieval
from pbdb.agreement.population import Moments
from pbdb.agreement_population import _nothing, _spread
from pbdb.agreement_retrieval import Block, Pool, supported

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
    rows = [retrieval.prepared(np.nan_to_num(pool.values), kind) for pool in pools]
    return Block(own, other, np.array([asked]), matched, rows[0], rows[1], kind, 10.0)


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
    queries = pd.concat(agreement_replicate_retrieval._judged(values, rows), ignore_index=True)
    of_cosine = queries[queries["metric"] == "retrieval_cosine"]
    assert of_cosine["normalised_rank"].tolist() == pytest.approx([1, 1, 1, 1, 1, np.nan], nan_ok=True)
    floor = [float(retrieval.expected_normalised_rank(5, k)) for k in (1, 1, 2, 2, 2)]
    assert of_cosine["normalised_rank_floor"].tolist()[:5] == pytest.approx(floor)
    common = {"parameters_id": 1}
    made = agreement_replicate_retrieval.summarise_replicates(queries, 7, common)
    told = {row["quantity"]: row for row in made if row["metric"] == "retrieval_cosine"}
    assert told["normalised_rank_floor"]["mean"] == pytest.approx((floor[0] + floor[2]) / 2)
    assert told["recall_1"]["n_defined"] == told["recall_1"]["n_compounds"] == 2


def test_moments_of_fits_with_different_genes_are_those_of_all_values() -> None:
    chance = np.random.default_rng(6)
    first, second = chance.normal(size=(9, 3)), chance.normal(2, 3, size=(5, 2))
    merged = _nothing(4).merged(_spread(Moments.of(first), np.array([0, 1, 3]), 4))
    merged = merged.merged(_spread(Moments.of(second), np.array([1, 2]), 4))
    shared = np.concatenate([first[:, 1], second[:, 0]])
    assert merged.n.tolist() == [9, 14, 5, 9]
    assert merged.mean[1] == pytest.approx(shared.mean())
    assert np.sqrt(merged.squares[1] / 14) == pytest.approx(shared.std())
