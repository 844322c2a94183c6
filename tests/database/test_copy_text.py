"""Data frames arrive in tables as they are, whatever their texts hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rows import add_dataset
from sqlalchemy import Connection, text

from pbdb.database.copy_text import as_json, copy_frame, cursor, upsert

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
CORNERS = [
    r"\N",
    r"\.",
    "",
    " ",
    '"',
    '""',
    "a\tb",
    "a\nb",
    "a\r\nb",
    "\\",
    r"\n",
    "µM, 5′",
    "{1,2}",
    "NULL",
    "nan",
    None,
]


def back(connection: Connection, frame: pd.DataFrame, **types: str) -> list[tuple[Any, ...]]:
    """Copy a frame into a temporary table and read it."""
    columns = ", ".join(f"{name} {kind}" for name, kind in types.items())
    with cursor(connection) as open_cursor:
        open_cursor.execute("DROP TABLE IF EXISTS pg_temp.given")
        open_cursor.execute(f"CREATE TEMPORARY TABLE given ({columns}, n serial) ON COMMIT DROP")
    copy_frame(connection, "pg_temp.given", frame)
    return [tuple(row[:-1]) for row in connection.execute(text("SELECT * FROM pg_temp.given ORDER BY n"))]


def test_texts_that_look_like_something_else_stay_texts(scratch: Connection) -> None:
    frame = pd.DataFrame({"one": CORNERS, "two": CORNERS[::-1]}, dtype=object)
    assert back(scratch, frame, one="text", two="text") == list(zip(CORNERS, CORNERS[::-1], strict=True))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.none() | TEXTS, st.lists(TEXTS), st.dictionaries(TEXTS, TEXTS)), max_size=4))
def test_any_text_list_and_dictionary_comes_back(
    scratch: Connection, rows: list[tuple[str | None, list[str], dict[str, str]]]
) -> None:
    frame = pd.DataFrame(rows, columns=["a", "b", "c"], dtype=object)
    assert back(scratch, frame, a="text", b="text[]", c="jsonb") == rows


def test_numbers_keep_every_bit_and_missing_ones_are_null(scratch: Connection) -> None:
    floats = [0.1, 1e-320, np.inf, -1 / 3, np.nan]
    frame = pd.DataFrame(
        {"i": pd.array([1, None, 2**53 + 1, -5, 0], dtype="Int64"), "f": floats, "b": [True, False, True, False, True]}
    )
    found = back(scratch, frame, i="bigint", f="double precision", b="boolean")
    assert [row[0] for row in found] == [1, None, 2**53 + 1, -5, 0]
    assert [row[1] for row in found] == [*floats[:4], None]
    assert [row[2] for row in found] == [True, False, True, False, True]


def test_lists_of_numbers_become_arrays(scratch: Connection) -> None:
    lists = [[1, 2**53 + 1], [], [np.int64(3), None]]
    floats = [[0.5, float("inf")], [], [1e-30]]
    found = back(scratch, pd.DataFrame({"i": lists, "f": floats}), i="bigint[]", f="double precision[]")
    assert found == list(zip(lists, floats, strict=True))


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_numbers_that_json_lacks_become_text(scratch: Connection, number: float) -> None:
    frame = pd.DataFrame({"report": [{"df_prior": number, "n": 3}]})
    assert back(scratch, frame, report="jsonb") == [({"df_prior": as_json(number).strip('"'), "n": 3},)]


def test_an_upsert_writes_only_rows_that_change(scratch: Connection) -> None:
    add_dataset(scratch, 7, "seven")
    plates = pd.DataFrame({"plate_id": [1, 2], "dataset_id": 7, "plate": ["a", "b"]})
    upsert(scratch, "plate", plates)
    before = dict(scratch.execute(text("SELECT plate, ctid::text FROM core.plate")).all())
    upsert(scratch, "plate", plates.assign(plate=["a", "c"]))
    after = dict(scratch.execute(text("SELECT plate, ctid::text FROM core.plate")).all())
    assert after["a"] == before["a"]
    assert after["c"] != before["b"]


def test_an_upsert_keeps_what_is_known_where_the_new_value_is_null(scratch: Connection) -> None:
    known = {"compound_id": 5, "inchikey": "KEY", "smiles": "CCO", "formula": "C2H6O"}
    upsert(scratch, "compound", pd.DataFrame([known]))
    upsert(scratch, "compound", pd.DataFrame([known | {"smiles": None, "formula": None}]), keep=["smiles"])
    assert scratch.execute(text("SELECT smiles, formula FROM core.compound")).all() == [("CCO", None)]
