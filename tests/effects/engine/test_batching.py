"""The published batch rule, replayed."""

from __future__ import annotations

import numpy as np

from pbdb.effects.engine.batching import EXCESS, TARGET, published_batches


def context(n_compounds: int, wells: int, n_controls: int) -> tuple[np.ndarray, np.ndarray]:
    name = np.concatenate([np.repeat(np.arange(n_compounds), wells), np.full(n_controls, -1)])
    return name, name < 0


def test_small_context_is_one_batch():
    name, control = context(100, 25, 40)
    (batch,) = published_batches(name, control)
    np.testing.assert_array_equal(batch.samples, np.arange(2540))
    assert not batch.padded.any()


def test_single_compound_is_never_cut():
    name, control = context(1, 4000, 40)
    assert len(published_batches(name, control)) == 1


def test_batches_keep_compounds_whole_and_carry_all_controls():
    random = np.random.default_rng(3)
    name = np.repeat(np.arange(900), random.integers(1, 20, 900))
    name = np.concatenate([np.full(60, -1), random.permutation(name)])
    batches = published_batches(name, name < 0)
    sizes = np.bincount(name[name >= 0])
    home = np.concatenate([b.samples[~b.padded] for b in batches])
    for batch in batches:
        inside = name[batch.samples]
        assert (inside < 0).sum() == 60
        treated = inside[inside >= 0]
        assert TARGET <= len(treated) <= TARGET + EXCESS
        np.testing.assert_array_equal(np.bincount(treated)[np.unique(treated)], sizes[np.unique(treated)])
    at_home = home[name[home] >= 0]
    np.testing.assert_array_equal(np.sort(at_home), np.flatnonzero(name >= 0))


def test_best_fit_and_padding_by_hand():
    """Compounds of 1,000 wells: each batch takes two (2,700 would be passed by a third)."""
    name, control = context(5, 1000, 10)
    batches = published_batches(name, control)
    shuffled = np.arange(5)
    np.random.RandomState(0).shuffle(shuffled)
    assert [set(name[b.samples[~b.padded]]) - {-1} for b in batches] == [
        set(shuffled[:2]),
        set(shuffled[2:4]),
        set(shuffled[4:]),
    ]
    assert [int(b.padded.sum()) for b in batches] == [0, 0, 1000]


def test_compounds_are_taken_in_order_of_appearance():
    name, control = context(300, 12, 5)
    renamed = np.array([f"c{(7 * n) % 300:03d}" if n >= 0 else "DMSO" for n in name], dtype=object)
    plain, other = published_batches(name, control), published_batches(renamed, control)
    for a, b in zip(plain, other, strict=True):
        np.testing.assert_array_equal(a.samples, b.samples)
