"""Stable ids: fixed values, unambiguous keys, collisions refused."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest

from pbdb.common import ids
from pbdb.common.errors import DataError
from pbdb.common.ids import stable_id, stable_ids


def test_id_is_the_first_52_bits_of_sha256_over_the_written_encoding() -> None:
    digest = hashlib.sha256(b'["compound","WAXQNWCZJDTGBU-UHFFFAOYSA-N"]').hexdigest()
    assert stable_id("compound", "WAXQNWCZJDTGBU-UHFFFAOYSA-N") == int(digest[:13], 16)


def test_known_values_stay_what_they_are() -> None:
    assert stable_id("context", "CVCL:0023") == 4_145_462_352_875_141
    assert stable_id("condition", "drugseq", None, 10_000_000_000, 24.5, "µ") == 2_113_306_409_458_787


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "b"), ("ab",)),
        ((1,), ("1",)),
        ((None,), ("",)),
        ((None,), ("null",)),
        (("a",), ("a", None)),
        (('a","b',), ("a", "b")),
    ],
)
def test_different_keys_have_different_ids(one: tuple[object, ...], other: tuple[object, ...]) -> None:
    assert stable_id("t", *one) != stable_id("t", *other)


def test_the_table_is_part_of_the_key() -> None:
    assert stable_id("fit", "a") != stable_id("effect", "a")


def test_numbers_of_one_value_are_one_key() -> None:
    times = (24, 24.0, np.int32(24), np.float64(24), np.float32(24))
    assert len({stable_id("t", time) for time in times}) == 1
    assert stable_id("t", -0.0) == stable_id("t", 0)


@pytest.mark.parametrize("part", [float("nan"), float("inf"), True, np.True_, pd.NA, b"a", ("a",)])
def test_parts_without_one_meaning_are_refused(part: object) -> None:
    with pytest.raises(DataError, match="cannot be part of a natural key"):
        stable_id("t", part)


def test_many_keys_give_the_ids_of_each_in_order() -> None:
    keys = [("b", 2), ("a", 1), ("b", 2)]
    assert stable_ids("t", iter(keys)) == [stable_id("t", *key) for key in keys]


def test_ids_fit_in_a_double() -> None:
    numbers = stable_ids("t", ((n,) for n in range(2000)))
    assert 2**51 < max(numbers) < 2**52
    assert all(int(float(number)) == number for number in numbers)


def test_a_collision_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "BITS", 6)
    with pytest.raises(DataError, match="taken by another key"):
        stable_ids("t", ((n,) for n in range(100)))
