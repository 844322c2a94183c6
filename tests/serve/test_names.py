"""Names in memory: what a search finds, and in which order."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from pbdb.serve.names import NAMED, Name, Names

LETTERS = "ab c"


def named(*texts: str) -> Names:
    rows = [Name("compound", text, "", str(place), text)._asdict() for place, text in enumerate(texts)]
    return Names(pa.Table.from_pylist(rows, NAMED))


def test_exact_names_come_first_then_beginnings_then_short_ones() -> None:
    found = named("my aspirin", "aspirin sodium", "an aspirin of long ago", "ASPIRIN", "ibuprofen").search("aspirin", 9)
    assert [name.name for name in found] == ["ASPIRIN", "aspirin sodium", "my aspirin", "an aspirin of long ago"]


def test_one_or_two_letters_mean_beginnings() -> None:
    assert [name.name for name in named("HMOX1", "ahm", "hm").search("hm", 9)] == ["hm", "HMOX1"]


def test_a_name_is_found_once_whatever_stands_in_it() -> None:
    assert len(named("aaa\nbbb aaa", "").search("aaa", 9)) == 1
    assert named("a\nb").search("a\nb", 9)[0].name == "a\nb"
    assert named("x").search("\n", 9) == named().search("x", 9) == []


@pytest.mark.parametrize("seed", range(20))
def test_every_name_with_the_text_in_it_is_found(seed: int) -> None:
    draw = random.Random(seed)
    texts = ["".join(draw.choices(LETTERS, k=draw.randint(0, 8))) for _ in range(60)]
    wanted = "".join(draw.choices("abc", k=3))
    expected = {place for place, text in enumerate(texts) if wanted in " ".join(text.split())}
    assert {int(name.key) for name in named(*texts).search(wanted, 1000)} == expected
