"""A stratum's statistics against the same written plainly, row by row."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pbdb.matches.statistics.metrics import Signatures
from pbdb.matches.statistics.peers import peers_of
from pbdb.matches.statistics.stratum import Result, Side, score

GENES = 80
CAP = 5


def signatures(n: int, seed: int) -> Signatures:
    chance = np.random.default_rng(seed)
    return Signatures(chance.normal(size=(n, GENES)), chance.normal(size=(n, GENES)), chance.random((n, GENES)) < 0.4)


def side(seed: int, compounds: list[int], n: int = 3) -> Side:
    found = signatures(n + len(compounds), seed)
    own, peers = found.take(np.arange(n)), found.take(np.arange(n, n + len(compounds)))
    mean = signatures(n, seed + 100)
    return Side(own, Signatures(mean.log2_fc, mean.t), np.full(n, len(compounds)), peers, np.array(compounds))


@pytest.fixture(scope="module")
def world() -> tuple[Side, Side, dict[str, Result]]:
    a, b = side(1, [9, 1, 8, 7, 6, 5, 4]), side(2, [9, 8, 2])
    return a, b, {found.metric: found for found in score(a, b, np.array([1, 2, 3]), CAP)}


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    return float(stats.spearmanr(x, y).statistic)


def test_peers_are_of_the_own_and_the_other_pool_and_never_of_the_compound(world: tuple) -> None:
    a, b, found = world
    for row, compound in enumerate((1, 2, 3)):
        x, y = a.effects.t[row], b.effects.t[row]
        in_a, in_b = (s.peers.t[peers_of(np.array([compound]), s.peer_compound, CAP)[0]] for s in (a, b))
        source = [[spearman(v, p) for p in pool] for v, pool in ((x, in_a), (y, in_b))]
        target = [[spearman(v, p) for p in pool] for v, pool in ((x, in_b), (y, in_a))]
        rho = spearman(x, y)
        result = found["spearman_t"]
        assert result.score[row] == pytest.approx(rho) and result.n[row] == GENES
        for summary, peers in ((result.source.peers, source), (result.target.peers, target)):
            assert summary.mean[row] == pytest.approx(np.mean([np.mean(one) for one in peers]))
            assert summary.sd[row] == pytest.approx(np.mean([np.std(one, ddof=1) for one in peers]))
            assert summary.n[row] == sum(map(len, peers))
            place = np.mean([(1 + sum(m < rho for m in one)) / (len(one) + 1) for one in peers])
            assert summary.percentile[row] == pytest.approx(place)


def test_centroids_of_the_own_and_the_other_side(world: tuple) -> None:
    a, b, found = world
    for row in range(3):
        x, y, ca, cb = (s[row] for s in (a.effects.log2_fc, b.effects.log2_fc, a.centroid.log2_fc, b.centroid.log2_fc))
        result = found["pearson_log2_fc"]
        assert result.source.centroid[row] == pytest.approx((np.corrcoef(x, ca)[0, 1] + np.corrcoef(y, cb)[0, 1]) / 2)
        assert result.target.centroid[row] == pytest.approx((np.corrcoef(x, cb)[0, 1] + np.corrcoef(y, ca)[0, 1]) / 2)


def test_restricted_statistics_use_each_sides_own_genes(world: tuple) -> None:
    a, b, found = world
    for row in range(3):
        x, y = a.effects.log2_fc[row], b.effects.log2_fc[row]
        rho = [spearman(x[mask], y[mask]) for mask in (a.effects.significant[row], b.effects.significant[row])]
        sides = [found[f"deg_spearman_{name}"].score[row] for name in "ab"]
        assert sides == pytest.approx(rho) and found["deg_spearman"].score[row] == pytest.approx(np.mean(rho))
        mask = a.effects.significant[row]
        centroid = spearman(x[mask], b.centroid.log2_fc[row][mask])
        assert found["deg_spearman_a"].target.centroid[row] == pytest.approx(centroid)
        assert found["deg_spearman_a"].n[row] == mask.sum()


def test_genes_without_a_value_on_either_side_are_not_counted() -> None:
    a, b = side(1, [9, 8]), side(2, [9, 8])
    a.effects.significant[0] = True
    a.effects.log2_fc[0, :2] = b.effects.log2_fc[0, 1:3] = np.nan
    found = {one.metric: one for one in score(a, b, np.array([1, 2, 3]), CAP)}
    assert found["deg_spearman_a"].n[0] == GENES - 3


def test_direction_compares_like_with_like_except_as_published(world: tuple) -> None:
    a, b, found = world
    for row in range(3):
        same = np.sign(a.effects.log2_fc[row]) == np.sign(b.effects.log2_fc[row])
        masks = a.effects.significant[row], b.effects.significant[row]
        assert found["direction_both"].score[row] == pytest.approx(same[masks[0] & masks[1]].mean())
        assert found["direction"].score[row] == pytest.approx(np.mean([same[mask].mean() for mask in masks]))
        for name in ("source", "target"):
            assert (
                getattr(found["direction_both"], name).centroid[row] == getattr(found["direction"], name).centroid[row]
            )


def test_statistics_of_gene_lists_have_no_centroid_but_peers(world: tuple) -> None:
    found = world[2]
    for name in ("jaccard", "overlap_50"):
        assert np.isnan(found[name].source.centroid).all() and np.isnan(found[name].target.centroid).all()
    assert np.isfinite(found["jaccard"].source.peers.percentile).all()
    assert np.isnan(found["overlap_100"].score).all()
    assert np.isfinite(found["signed_overlap_50"].source.centroid).all()


def test_sides_may_change_places(world: tuple) -> None:
    a, b, found = world
    turned = {other.metric: other for other in score(b, a, np.array([1, 2, 3]), CAP)}
    for name, result in found.items():
        partner = turned[name[:-1] + {"a": "b", "b": "a"}[name[-1]]] if name[-2:] in ("_a", "_b") else turned[name]
        assert result.score == pytest.approx(partner.score, nan_ok=True)
        assert result.source.peers.mean == pytest.approx(partner.source.peers.mean, nan_ok=True)
        assert result.target.centroid == pytest.approx(partner.target.centroid, nan_ok=True)


def test_without_peers_statistics_stand_alone() -> None:
    a, b = side(1, []), side(2, [])
    for result in score(a, b, np.array([1, 2, 3]), CAP):
        assert (result.source.peers.n == 0).all() and np.isnan(result.target.peers.mean).all()
