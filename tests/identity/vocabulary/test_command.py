"""pbdb vocab, as a user types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from loads import environment
from vocabulary_tables import N_GENES, gene_table

from pbdb.cli import pbdb
from pbdb.common.settings import Settings


def command(settings: Settings, *words: object) -> Result:
    return CliRunner().invoke(pbdb, ["vocab", *map(str, words)], catch_exceptions=False, env=environment(settings))


@pytest.fixture
def vocab(database: Settings) -> Callable[..., Result]:
    return partial(command, database)


def test_nothing_imported_says_what_to_run(vocab: Callable[..., Result]) -> None:
    done = vocab("status")
    assert (done.stdout, "pbdb vocab fetch genes" in done.stderr) == ("", True)


def test_apply_without_data_is_a_sentence(vocab: Callable[..., Result]) -> None:
    assert vocab("apply").stderr == "Nothing to label: all that is loaded has its labels.\n"


def test_import_and_status(vocab: Callable[..., Result], tmp_path: Path) -> None:
    done = vocab("import", "genes", gene_table(tmp_path, "one.tsv"), "--release", "one")
    assert f"genes one: {N_GENES} rows" in done.stderr
    (row,) = json.loads(vocab("status", "--json").stdout)
    assert (row["kind"], row["release"], row["is_current"], row["n_rows"]) == ("genes", "one", True, N_GENES)


def test_a_second_release_says_how_to_use_it_and_stale_fits_how_to_refit(loaded: Settings, tmp_path: Path) -> None:
    vocab = partial(command, loaded)
    vocab("import", "genes", gene_table(tmp_path, "one.tsv"), "--release", "one")
    done = vocab("import", "genes", gene_table(tmp_path, "two.tsv", without=[3]), "--release", "two")
    assert "pbdb vocab use genes 'two'" in done.stderr
    done = vocab("use", "genes", "two")
    assert "1 fits of 'made' are stale" in done.stderr
    assert "pbdb etl load made --dataset made" in done.stderr
    assert json.loads(vocab("apply", "--json").stdout)["stale"][0]["n_genes"] == 1


def test_kinds_of_the_command_are_those_of_the_library() -> None:
    from pbdb.cli import vocab as command
    from pbdb.identity.vocabulary import fetch as vocabulary_fetch
    from pbdb.identity.vocabulary import releases

    assert set(command.KINDS) == set(releases.KINDS)
    assert set(command.FETCHED) == set(vocabulary_fetch.PROVIDED)
