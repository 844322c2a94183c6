"""What `pbdb etl show` says of terms and files, and tokens that go to the provider and nowhere else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from web import provider

from pbdb.cli import pbdb
from pbdb.common.errors import SourceError
from pbdb.common.settings import Settings
from pbdb.sources import fetch, registry

SECRET = "tvc-0123456789-secret"


def shown(*words: str) -> str:
    result = CliRunner().invoke(pbdb, ["etl", "show", *words])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("key", registry.known())
def test_every_source_says_what_to_get_where_to_put_it_and_what_is_allowed(key: str) -> None:
    source, text = registry.get(key), shown(key)
    for dataset, terms in source.datasets.items():
        assert f"dataset {dataset}\n" in text
        assert terms.license in text
        assert ("may be passed on with" if terms.is_redistributable else "may not be passed on") in text
    assert all(file.name in text for file in source.files.values())
    assert text.count("--from FOLDER") == len(source.datasets)


def test_cigs_is_for_non_commercial_use_and_loads_offline() -> None:
    text = shown("cigs")
    assert "non-commercial use only; may not be passed on" in text
    assert "MCE_Bioactive_Compounds_HEK293T_10%CE%BCM_Counts.xlsx" in text
    assert "pbdb etl load cigs --dataset cigs_tcm --from FOLDER   (offline)" in text


def test_data_sets_that_share_wells_say_which_one_counts() -> None:
    text = shown("dilimap")
    assert "with dilimap_train_val: the two are never matched with each other, and in totals the other one" in text
    assert "with dilimap_train: the two are never matched with each other, and in totals this one" in text


def test_a_token_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TVC_TOKEN", raising=False)
    assert "environment variable TVC_TOKEN (not set)" in shown("vcpi")
    monkeypatch.setenv("TVC_TOKEN", SECRET)
    assert "environment variable TVC_TOKEN (set)" in shown("vcpi")
    assert SECRET not in shown("vcpi") + shown("vcpi", "--json")
    assert json.loads(shown("vcpi", "--json"))["datasets"]["vcpi_0001"]["token"] == "TVC_TOKEN"


def test_a_token_is_sent_where_files_are_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = registry.get("vcpi")
    with provider() as served:
        served.wants = f"Bearer {SECRET}"
        served.contents = {file.name: b"content" for file in declared.files.values()}
        addressed = {key: replace(file, url=served.url + file.name) for key, file in declared.files.items()}
        source = replace(declared, files=addressed)
        monkeypatch.setenv("TVC_TOKEN", SECRET)
        found = fetch.locate(source, "vcpi_0001", Settings(home=tmp_path / "with"))
        assert {file.path.read_bytes() for file in found.values()} == {b"content"}
        monkeypatch.setenv("TVC_TOKEN", "another")
        with pytest.raises(SourceError, match="could not be fetched"):
            fetch.locate(source, "vcpi_0001", Settings(home=tmp_path / "without"))
