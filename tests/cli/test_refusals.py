"""What a new user may type wrong, or too early: one sentence each."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pbdb.cli import pbdb as root
from pbdb.common.errors import ConfigError, QueryError, SourceError
from pbdb.common.settings import Settings
from pbdb.sources import registry

Typed = Callable[..., Result]


@pytest.fixture
def typed(database: Settings, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Type a command in a home whose database has no data."""
    monkeypatch.setenv("PBDB_HOME", str(database.home))
    monkeypatch.setenv("PBDB_DATABASE_URL", str(database.database_url))
    monkeypatch.setenv("PBDB_READ_AS_SUPERUSER", "1")
    return lambda *words: CliRunner().invoke(root, [str(word) for word in words])


def test_the_ledger_of_a_new_home_is_a_sentence_and_an_unknown_name_refused(typed: Typed) -> None:
    assert typed("etl", "status").stderr == "Nothing has been loaded yet.\n"
    assert typed("etl", "status", "l1000_phase1").stderr == "Nothing of 'l1000_phase1' has been loaded yet.\n"
    found = typed("etl", "status", "driat").exception
    assert isinstance(found, QueryError) and "'driat': did you mean 'driad'?" in str(found)


def test_like_and_genes_together_are_not_both(typed: Typed) -> None:
    done = typed("signature", "search", "--like", "1", "--up", "MYC")
    assert (done.exit_code, "not both" in done.stderr) == (2, True)


def test_a_load_names_the_gene_table_beside_its_files(typed: Typed, tmp_path: Path) -> None:
    release = tmp_path / "release"
    lines = typed("simulate", "cigs", "--out", release).stderr.splitlines()[1:]
    assert lines == [
        f"  pbdb vocab import genes {release}/genes.tsv --release simulated",
        f"  pbdb etl load cigs --from {release}",
    ]
    assert lines[0].strip() in str(typed("etl", "load", "cigs", "--from", release, "--until", "transform").exception)


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("sheet.csv", "'.*sheet.csv' is a file: give the name of a folder"),
        ("sheet.csv/x", "cannot be made: Not a directory"),
        (".", "is not empty: give a new one"),
    ],
)
def test_a_release_is_written_to_a_folder_of_its_own(out: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "sheet.csv").touch()
    found = CliRunner().invoke(root, ["simulate", "vcpi", "--out", str(tmp_path / out)]).exception
    assert isinstance(found, ConfigError) and re.search(words, str(found))
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.csv"]


def test_help_of_simulate_lists_sources_and_seeds() -> None:
    shown = CliRunner().invoke(root, ["simulate", "--help"]).stdout
    assert set(re.findall(r"^  (\w+) +seed \d+ by default$", shown, re.M)) == set(registry.known())


def test_a_file_that_declares_no_source_is_told_from_one_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sheet.csv").touch()
    for key, words in (("sheet.csv", r"is a \.py file"), ("driad.csv", "did you mean 'driad'")):
        with pytest.raises(SourceError, match=words):
            registry.get(key)


def test_the_last_stage_is_one_of_the_list_in_its_order(typed: Typed) -> None:
    refused = typed("etl", "load", "driad", "--until", "load")
    assert refused.exit_code == 2
    assert "'load' is not one of 'extract', 'transform', 'validate', 'effects', 'publish', 'match'" in refused.stderr
