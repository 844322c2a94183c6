"""What data hold is shown on a terminal and never obeyed, and no cell of a CSV need be a formula."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import unicodedata

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from loads import environment

from pbdb.cli import pbdb
from pbdb.cli.common import say, show_table
from pbdb.cli.terminal import safe_output, visible
from pbdb.common.settings import Settings

HOSTILE = "\x1b]0;title\x07\x1b[2J\x9b31m\u202egnp.exe\r\x08\x7f\u2066\U000e0041"


def is_harmless(text: str) -> bool:
    return all(c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp", "Cs") for c in text)


@settings(max_examples=300)
@given(st.text())
def test_what_is_visible_is_harmless_and_says_the_rest(text: str) -> None:
    shown = visible(text)
    assert is_harmless(shown)
    assert visible(shown) == shown and (shown == text or not is_harmless(text))


def test_every_mark_that_is_not_seen_is_told() -> None:
    unseen = [chr(at) for at in range(0x10FFFF) if not is_harmless(chr(at))]
    assert len(unseen) > 2000 and is_harmless(visible("".join(unseen)))


def test_tables_and_talk_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    with safe_output():
        show_table([[HOSTILE, 1]], [HOSTILE, "n"])
        say(HOSTILE)
        print(HOSTILE, file=sys.stderr)  # noqa: T201
    for text in capsys.readouterr():
        assert is_harmless(text) and "\\x1b]0;title" in text


@pytest.mark.parametrize("shape", ["table", "csv", "json"])
def test_what_a_query_gives_is_harmless(database: Settings, shape: str) -> None:
    query = "SELECT E'\\x1b]0;t\\x07\\u202e' AS \"a\x1b[2J\", ARRAY[E'\\u009b'] AS b"
    done = CliRunner(env=environment(database)).invoke(pbdb, ["sql", query, "--format", shape], catch_exceptions=False)
    assert done.exit_code == 0 and is_harmless(done.stdout) and "1b]0;t" in done.stdout.lower()


@pytest.mark.parametrize(
    "words",
    [["sql", "SELECT 'x' FROM \"a\x1b]0;t\x07\""], ["snapshot", "verify", HOSTILE], ["x\x1b[2J"], ["db", "\x9b"]],
)
def test_errors_are_harmless(database: Settings, words: list[str]) -> None:
    command = [sys.executable, "-c", "from pbdb.cli import main; main()", *words]
    done = subprocess.run(command, env=environment(database), capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2) and done.stderr and is_harmless(done.stderr + done.stdout)


def test_formulas_become_text_on_request(database: Settings) -> None:
    query = """SELECT * FROM (VALUES ('=1+1', -1.5), ('@SUM(A1)', 2), ('  =x', NULL), ('-2+3', 0), ('a', 1)) v (a, b)"""
    run = CliRunner(env=environment(database))
    plain, safe = (
        list(csv.reader(io.StringIO(run.invoke(pbdb, ["sql", query, "--format", "csv", *more]).stdout)))
        for more in ([], ["--no-formulas"])
    )
    assert [row[0] for row in plain] == ["a", "=1+1", "@SUM(A1)", "  =x", "-2+3", "a"]
    assert [row[0] for row in safe] == ["a", "'=1+1", "'@SUM(A1)", "'  =x", "'-2+3", "a"]
    assert [row[1] for row in safe] == [row[1] for row in plain] == ["b", "-1.5", "2", "", "0", "1"]
