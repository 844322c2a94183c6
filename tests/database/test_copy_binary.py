"""COPY BINARY blocks made by NumPy arrive in PostgreSQL as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, text

from pbdb.database import copy_binary
from pbdb.database.copy_text import cursor

TYPES = {
    "i8": "bigint", "i4": "integer", "f8": "double precision", "flag": "boolean", "word": "text", "none": "text",
    "same": "bigint", "real_list": "real[]", "int_list": "integer[]", "big_list": "bigint[]", "half": "halfvec(3)",
}  # fmt: skip


def columns(n: int) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    return {
        "i8": rng.integers(-(2**62), 2**62, n),
        "i4": rng.integers(-(2**31), 2**31, n).astype(np.int32),
        "f8": rng.normal(size=n) * 1e300,
        "flag": rng.random(n) < 0.5,
        "word": "été",
        "none": None,
        "same": 2**52 - 1,
        "real_list": rng.normal(size=(n, 4)).astype(np.float32),
        "int_list": rng.integers(0, 2**31, (n, 2)).astype(np.int32),
        "big_list": rng.integers(0, 2**52, (n, 2)),
        "half": rng.normal(size=(n, 3)).astype(np.float16),
    }


def copied(connection: Connection, blocks: list[bytes]) -> list[dict[str, Any]]:
    with cursor(connection) as open_cursor:
        open_cursor.execute(f"CREATE TEMPORARY TABLE given ({', '.join(f'{k} {v}' for k, v in TYPES.items())})")
        with open_cursor.copy("COPY pg_temp.given FROM STDIN (FORMAT binary)") as copy:
            for block in [copy_binary.HEADER, *blocks, copy_binary.TRAILER]:
                copy.write(block)
    query = "SELECT *, half::real[] AS half_list FROM pg_temp.given"
    return [dict(row) for row in connection.execute(text(query)).mappings()]


def test_every_kind_of_column_comes_back_bit_by_bit(scratch: Connection) -> None:
    given = columns(50)
    found = copied(scratch, [copy_binary.rows(given, 50)])
    for name in ("i8", "i4", "f8", "flag"):
        assert [row[name] for row in found] == given[name].tolist()
    for name in ("real_list", "int_list", "big_list"):
        np.testing.assert_array_equal(np.array([row[name] for row in found], dtype=given[name].dtype), given[name])
    np.testing.assert_array_equal(np.array([row["half_list"] for row in found], dtype=np.float16), given["half"])
    assert {(row["word"], row["none"], row["same"]) for row in found} == {("été", None, 2**52 - 1)}


def test_blocks_follow_each_other_and_may_be_empty(scratch: Connection) -> None:
    given = columns(5)
    empty = {name: column[:0] if isinstance(column, np.ndarray) else column for name, column in given.items()}
    found = copied(scratch, [copy_binary.rows(empty, 0), copy_binary.rows(given, 5), copy_binary.rows(given, 5)])
    assert [row["i8"] for row in found] == given["i8"].tolist() * 2


def test_nan_and_infinity_survive_in_arrays(scratch: Connection) -> None:
    values = np.array([[np.nan, np.inf, -np.inf, -0.0]], dtype=np.float32)
    (row,) = copied(scratch, [copy_binary.rows(columns(1) | {"real_list": values}, 1)])
    np.testing.assert_array_equal(np.array(row["real_list"], dtype=np.float32), values[0])


@pytest.mark.parametrize("word", ["", "ok"])
def test_a_text_of_any_length_is_repeated(scratch: Connection, word: str) -> None:
    found = copied(scratch, [copy_binary.rows(columns(3) | {"word": word}, 3)])
    assert [row["word"] for row in found] == [word] * 3


def test_what_the_server_sends_is_decoded(scratch: Connection) -> None:
    kept = {name: column for name, column in columns(20).items() if isinstance(column, np.ndarray)}
    copied(scratch, [copy_binary.rows(columns(20), 20)])
    with (
        cursor(scratch) as open_cursor,
        open_cursor.copy(f"COPY (SELECT {', '.join(kept)} FROM pg_temp.given) TO STDOUT (FORMAT binary)") as copy,
    ):
        data = b"".join(bytes(part) for part in copy)
    found = copy_binary.decode(data, {name: column[:0] for name, column in kept.items()})
    for name, column in kept.items():
        values = found[name] if column.ndim < 2 or name == "half" else found[name]["value"]
        np.testing.assert_array_equal(values, column)
