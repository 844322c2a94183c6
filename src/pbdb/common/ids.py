r"""Stable ids: the first 52 bits of SHA-256 over a table's name and a row's natural key.

Encoding, fixed for good: the JSON array [table, part, part, ...] without spaces, characters beyond ASCII as
\uXXXX escapes. JSON keeps apart what must stay apart: ("a", "b") and ("ab",), 1 and "1", None and "".
A whole float is written as an integer, so a time of 24 and of 24.0 hours is one key, and any other float in
its shortest form that reads back the same. 52 bits are exact in a double, hence in JavaScript tools.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from numbers import Integral, Real

from pbdb.common.errors import DataError

BITS = 52


def stable_id(table: str, *key: object) -> int:
    """Return the id of the row with this natural key, 0 <= id < 2^52, the same on every machine.

    Raises:
        DataError: a part of the key is neither text, whole number, finite float nor None.
    """
    return _id(_digest(table, key))


def stable_ids(table: str, keys: Iterable[tuple[object, ...]]) -> list[int]:
    """Return the ids of many keys, in their order; a key that occurs twice has the same id twice.

    Raises:
        DataError: two different keys have one id, or a part of a key is of a wrong type.
    """
    seen: dict[int, bytes] = {}
    ids = []
    for key in keys:
        digest = _digest(table, key)
        number = _id(digest)
        if seen.setdefault(number, digest) != digest:
            raise DataError(
                f"Table '{table}': the id {number} of the key {key!r} is taken by another key of this load;"
                " nothing can be loaded until one of the two keys is changed."
            )
        ids.append(number)
    return ids


def _id(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "big") >> (64 - BITS)


def _digest(table: str, key: tuple[object, ...]) -> bytes:
    text = json.dumps([table, *(_plain(part, table) for part in key)], separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).digest()


def _plain(part: object, table: str) -> str | int | float | None:
    if part is None or isinstance(part, str):
        return part
    if isinstance(part, Integral) and not isinstance(part, bool):
        return int(part)
    if isinstance(part, Real) and not isinstance(part, bool) and math.isfinite(number := float(part)):
        return int(number) if number.is_integer() else number
    raise DataError(
        f"Table '{table}': {part!r} cannot be part of a natural key;"
        " give text, a whole number, a finite float or None.",
        value=part,
    )
