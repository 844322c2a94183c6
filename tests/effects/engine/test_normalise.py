"""The expression filter and TMM."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from pbdb.effects import engine
from pbdb.effects.engine import matrix as columns
from pbdb.effects.engine.matrix import Dense
from pbdb.effects.engine.normalise import keep_genes, samples_needed, tmm
from pbdb.effects.engine.unweighted import Shared, share


def two_groups(sizes: tuple[int, int]) -> Shared:
    label = np.repeat(["vehicle", "drug"], sizes)
    return share(engine.build_design(label, label == "vehicle"))


def kept(values: np.ndarray, common: Shared, rule: str = "limma") -> list[int]:
    matrix = Dense(values)
    return keep_genes(matrix, common, matrix.totals()[common.design.samples], rule).genes.tolist()  # type: ignore[arg-type]


def test_samples_needed_by_hand():
    assert samples_needed(1.0) == 1.0
    assert samples_needed(0.25) == 4.0
    assert samples_needed(0.05) == pytest.approx(10 + 0.7 * 10)


def test_gene_must_pass_the_cut_in_as_many_samples_as_the_smallest_group():
    values = np.full((7, 3), 1000.0)
    values[:, 1] = [0, 0, 0, 0, 20, 20, 20]
    values[:, 2] = [0, 0, 0, 0, 0, 20, 20]
    assert kept(values, two_groups((4, 3))) == [0, 1]


def test_singleton_condition_lowers_the_number_to_one():
    values = np.full((5, 2), 1000.0)
    values[:, 1] = [0, 0, 0, 0, 20]
    assert kept(values, two_groups((4, 1))) == [0, 1]


def test_total_below_fifteen_is_dropped():
    values = np.full((4, 2), 1000.0)
    values[:, 1] = [0, 0, 0, 14]
    assert kept(values, two_groups((3, 1))) == [0]


def large_fit() -> tuple[np.ndarray, Shared]:
    """600 samples, one singleton; genes: everywhere, in one well only, in all wells of one triplet."""
    label = np.array(["vehicle"] * 296 + [f"d{i // 3:03d}" for i in range(303)] + ["single"])
    values = np.full((600, 3), 1000.0)
    values[:, 1:] = 0
    values[599, 1] = 50
    values[296:299, 2] = 50
    return values, share(engine.build_design(label, label == "vehicle"))


def test_floor_drops_genes_of_one_well_and_keeps_those_of_a_whole_condition():
    values, common = large_fit()
    assert kept(values, common, "limma") == [0, 1, 2]
    assert kept(values, common, "floor") == [0, 2]


def test_floor_is_the_plain_rule_up_to_500_samples():
    values, _ = large_fit()
    label = np.array(["vehicle"] * 196 + [f"d{i // 3:03d}" for i in range(303)] + ["single"])
    common = share(engine.build_design(label, label == "vehicle"))
    assert common.design.n_samples == 500
    assert kept(values[100:], common, "floor") == [0, 1, 2]


def test_tmm_by_hand():
    reference = np.array([100, 200, 300, 400, 500, 600, 700, 800, 900, 1000], dtype=float)
    other = reference * np.array([1, 1, 1, 1, 1, 1, 1, 1, 1, 20])
    common = two_groups((1, 1))
    values = np.stack([reference, other])
    library = values.sum(axis=1)
    factors = dict(zip(common.design.samples.tolist(), tmm_of(values, common), strict=True))
    ratio = factors[1] / factors[0]
    assert ratio == pytest.approx(library[0] / library[1])
    assert factors[0] * factors[1] == pytest.approx(1.0)


def tmm_of(values: np.ndarray, common: Shared) -> list[float]:
    matrix = Dense(values)
    library = matrix.totals()[common.design.samples]
    return tmm(matrix, common.design, np.arange(values.shape[1]), library).tolist()


def test_factors_of_a_scaled_sample_are_equal():
    random = np.random.default_rng(0)
    profile = random.gamma(1, 100, 300).round() + 1
    values = np.stack([profile, 3 * profile, 10 * profile])
    np.testing.assert_allclose(tmm_of(values, two_groups((2, 1))), 1.0, rtol=1e-12)


@pytest.mark.parametrize(("held", "times"), [(0, 2), (10**9, 1)])
def test_chunks_too_large_to_be_held_are_read_twice(held: int, times: int, counts: Any, monkeypatch: Any):
    monkeypatch.setattr(columns, "HELD_BYTES", held)
    read = []

    def chunks() -> Any:
        read.append(True)
        return (sparse.csr_array(counts.values[start : start + 4]) for start in range(0, len(counts.values), 4))

    found, expected = engine.gather(chunks), sparse.csc_array(counts.values)
    assert len(read) == times
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_array, sparse.coo_array, sparse.csr_matrix])
def test_sparse_and_dense_matrices_give_the_same_fit(kind: type, counts: Any):
    sparse_t = counts.with_values(kind(counts.values)).block().t
    np.testing.assert_array_equal(sparse_t, counts.block().t)


def test_chunks_are_gathered_into_small_integers(counts: Any):
    values = counts.values
    chunks = [sparse.csr_array(values[:5]), sparse.csr_array(values[5:])]
    matrix = engine.gather(lambda: chunks)
    assert (matrix.data.dtype, matrix.indices.dtype) == (np.uint16, np.uint16)
    everything = np.arange(values.shape[1]), np.arange(values.shape[0])
    np.testing.assert_array_equal(matrix.genes(*everything), values.T)
    np.testing.assert_array_equal(matrix.samples(2, 9, everything[0]), values[2:9])
    np.testing.assert_array_equal(matrix.totals(), values.sum(axis=1))
