"""`pbdb etl remove`: what would go, a question, and a dataset less."""

from __future__ import annotations

import json
from pathlib import Path

import made
import pytest
from click.testing import CliRunner, Result
from loads import contents, environment, value

from pbdb.cli import etl as commands
from pbdb.cli import pbdb
from pbdb.common.errors import ConfigError, QueryError, ServerError
from pbdb.common.settings import Settings
from pbdb.loading import removal
from pbdb.server import connect, locks

COUNTS = {"sample": 24, "condition": 5, "fit": 1, "effect": 4, "match": 0, "split_member": 0}


@pytest.fixture
def full(database: Settings, tmp_path: Path) -> Settings:
    made.load(database, made.write(tmp_path / "release"))
    return database


def typed(settings: Settings, *words: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(pbdb, ["etl", "remove", "made", *words], env=environment(settings), input=answer)


def n_datasets(settings: Settings) -> int:
    return int(value(settings, "SELECT count(*) FROM core.dataset"))


def test_a_dry_run_shows_what_would_go_and_changes_nothing(full: Settings) -> None:
    before = contents(full, versions=True)
    done = typed(full, "--dry-run", "--json")
    assert json.loads(done.stdout) == {"dataset": "made", "rows": COUNTS, "removed": False}
    assert contents(full, versions=True) == before
    assert "Nothing was changed." in typed(full, "--dry-run").stderr


def test_without_a_terminal_it_needs_a_yes(full: Settings) -> None:
    assert isinstance(typed(full).exception, ConfigError)
    assert n_datasets(full) == 1
    assert "is no longer in the database" in typed(full, "--yes").stderr
    assert n_datasets(full) == 0
    assert value(full, "SELECT count(*) FROM core.etl_run") > 0
    assert made.load(full, full.home.parent / "release")["changed"]


@pytest.mark.parametrize(("answer", "left"), [("n\n", 1), ("y\n", 0)])
def test_on_a_terminal_it_asks(full: Settings, answer: str, left: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_has_terminal", lambda: True)
    done = typed(full, answer=answer)
    assert (done.exit_code, "Remove dataset 'made' from the database?" in done.output) == (0, True)
    assert n_datasets(full) == left


def test_a_dataset_that_is_not_there_or_is_being_loaded_is_refused(full: Settings) -> None:
    with pytest.raises(QueryError, match="'mad' is not loaded: did you mean 'made'"):
        removal.plan(full, "mad")
    with (
        locks.exclusive(connect.engine(full), "load made", "busy"),
        pytest.raises(ServerError, match="'made' is being loaded by another process"),
    ):
        removal.remove(full, "made")
    assert n_datasets(full) == 1
