"""Splits in the database: stored, deterministic, proved, and found leaking when somebody alters them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result
from export_worlds import rows
from loads import environment, query, value
from sqlalchemy import text

from pbdb import schema, server, splits
from pbdb.cli import pbdb
from pbdb.config import Settings
from pbdb.errors import ConfigError, QueryError
from pbdb.export import shards
from pbdb.export.selection import Choice
from pbdb.split_rules import Shares
from pbdb.splits import Rule

QUARTERS = Shares(0.25, 0.25)
MEMBERS = "SELECT condition_id, fold FROM pbdb.split_member WHERE split = :name ORDER BY 1"


def run(settings: Settings, statement: str, **values: Any) -> None:
    with server.engine(settings).begin() as connection:
        connection.execute(text(statement), values)


@pytest.fixture
def made(exported: Settings) -> Settings:
    """A database with a compound split named `held`."""
    splits.make(exported, Rule("compound", seed=1, shares=QUARTERS), "held")
    return exported


def test_a_compound_is_in_one_fold_in_every_dataset_context_and_salt_form(made: Settings) -> None:
    found = rows(made, "SELECT DISTINCT parent_inchikey, compound_name, fold FROM pbdb.split_member")
    assert (found.groupby("parent_inchikey")["fold"].nunique() == 1).all()
    aspirin = found[found["compound_name"].str.contains("aspirin")]
    assert len(aspirin) == 2 and aspirin["fold"].nunique() == 1
    assert set(found["fold"]) == {"train", "validation", "test"}
    assert splits.check(made, "held")["ok"]


def test_a_parent_known_by_its_key_alone_is_one_with_its_salts(exported: Settings) -> None:
    run(exported, "UPDATE core.compound SET parent_inchikey = NULL, skeleton = NULL WHERE pubchem_cid = 2244")
    for seed in range(4):
        splits.make(exported, Rule("compound", seed=seed, shares=QUARTERS), "held", replace=True)
        aspirins = "SELECT DISTINCT fold FROM pbdb.split_member WHERE compound_name LIKE '%aspirin%'"
        assert len(query(exported, aspirins)) == 1 and splits.check(exported, "held")["ok"]


def test_vehicles_are_in_no_fold_and_every_other_condition_in_one(made: Settings) -> None:
    n = value(made, "SELECT count(*) FROM core.condition WHERE NOT is_vehicle")
    assert len(query(made, MEMBERS, name="held")) == n == 28


def test_the_seed_decides(exported: Settings) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        splits.make(exported, Rule("compound", seed=seed, shares=QUARTERS), name)
    one, again, other = (query(exported, MEMBERS, name=name) for name in ("one", "again", "other"))
    assert one == again != other


@pytest.mark.parametrize("kind", ["scaffold", "published"])
def test_other_kinds_are_made_and_do_not_leak(exported: Settings, kind: str) -> None:
    done = splits.make(exported, Rule(kind, seed=1, shares=Shares(0, 0.4)))
    assert done["split"] == f"{kind}-parent_inchikey-1"
    assert done["folds"]["train"] < 28
    assert splits.check(exported, done["split"])["ok"]


@pytest.mark.parametrize("kind", ["context", "dataset"])
def test_too_few_groups_are_refused_and_nothing_is_stored(exported: Settings, kind: str) -> None:
    with pytest.raises(ConfigError, match="too few"):
        splits.make(exported, Rule(kind))
    assert splits.listed(exported) == []


def test_contexts_are_held_out_whole(exported: Settings) -> None:
    splits.make(exported, Rule("context", shares=Shares(0, 0.5)), "cells")
    folds = query(exported, "SELECT context, count(DISTINCT fold) FROM pbdb.split_member GROUP BY 1 ORDER BY 1")
    assert folds == [("CVCL:0001", 1), ("CVCL:0002", 1)] and splits.check(exported, "cells")["ok"]


def test_datasets_that_share_wells_are_never_split_apart(exported: Settings) -> None:
    splits.make(exported, Rule("dataset", shares=Shares(0, 0.5)), "apart")
    assert splits.check(exported, "apart")["ok"]
    run(exported, "UPDATE core.dataset SET overlap_group = 'both'")
    assert not splits.check(exported, "apart")["ok"]
    with pytest.raises(ConfigError, match="too few"):
        splits.make(exported, Rule("dataset", shares=Shares(0, 0.5)))


@pytest.mark.parametrize("level", ["inchikey", "parent_inchikey", "pubchem_cid"])
def test_a_planted_leak_is_found(made: Settings, level: str) -> None:
    condition = value(
        made, f"SELECT min(condition_id) FROM pbdb.condition WHERE {level} IS NOT NULL AND NOT is_vehicle"
    )
    fold = value(made, "SELECT fold FROM core.split_member WHERE condition_id = :key", key=condition)
    other = "train" if fold != "train" else "test"
    run(made, "UPDATE core.split_member SET fold = :fold WHERE condition_id = :key", fold=other, key=condition)
    done = splits.check(made, "held")
    found = {finding["what"]: finding for finding in done["findings"]}
    assert not done["ok"] and found[level]["n_leaking"] == 1 and found[level]["examples"]


def test_a_leak_that_a_new_identity_brings_is_found(made: Settings) -> None:
    one, other = query(made, "SELECT DISTINCT ON (fold) compound_name, fold FROM pbdb.split_member ORDER BY fold")[:2]
    run(made, "UPDATE core.compound SET pubchem_cid = 1 WHERE name IN (:one, :other)", one=one[0], other=other[0])
    found = {finding["what"]: finding["n_leaking"] for finding in splits.check(made, "held")["findings"]}
    assert found["pubchem_cid"] == 1 and found["inchikey"] == 0


def test_conditions_loaded_since_are_counted(made: Settings) -> None:
    run(made, "DELETE FROM core.split_member WHERE condition_id = (SELECT min(condition_id) FROM core.split_member)")
    assert splits.check(made, "held")["n_undivided"] == 1


def test_the_split_of_a_source_is_taken_as_it_is(exported: Settings) -> None:
    run(
        exported,
        "UPDATE core.condition c SET attributes = jsonb_build_object('split', CASE WHEN x.context = 'CVCL:0001'"
        " THEN 'train' ELSE 'private_test' END) FROM core.context x, core.dataset d WHERE x.context_id = c.context_id"
        " AND d.dataset_id = c.dataset_id AND d.dataset = 'second'",
    )
    done = splits.make(exported, Rule("attribute", datasets=["second"]))
    assert (done["split"], done["folds"]) == ("second-split", {"private_test": 6, "train": 6})
    assert splits.check(exported, "second-split")["ok"]
    run(exported, "UPDATE core.split_member SET fold = 'train'")
    assert not splits.check(exported, "second-split")["ok"]


def test_a_name_is_taken_once(made: Settings) -> None:
    with pytest.raises(ConfigError, match="already"):
        splits.make(made, Rule("compound", seed=2), "held")
    splits.make(made, Rule("scaffold", seed=2, shares=Shares(0, 0.4)), "held", replace=True)
    assert [row["kind"] for row in splits.listed(made)] == ["scaffold"]


@pytest.mark.parametrize("what", [splits.show, splits.check, splits.drop])
def test_an_unknown_split_is_refused(exports: Settings, what: Any) -> None:
    with pytest.raises(QueryError, match="no split 'none'"):
        what(exports, "none")


def test_readers_of_the_public_see_the_members_they_may_see(made: Settings) -> None:
    with server.connect(made, role="pbdb_public") as connection:
        seen = connection.execute("SELECT DISTINCT dataset FROM pbdb.split_member").fetchall()
    assert seen == [("first",)]


def test_shards_of_a_split_hold_one_fold_each(made: Settings, tmp_path: Any) -> None:
    import pandas as pd

    done = shards.write(made, Choice(include=["second"]), tmp_path / "out", split="held")
    metadata = pd.concat(pd.read_parquet(path) for path in (tmp_path / "out").glob("*/metadata.parquet"))
    assert set(metadata["split"]) == {"train", "val", "test"} and done["left_out"]["not_in_split"] == 0
    joined = "pbdb.split_member m JOIN pbdb.condition c USING (condition_id)"
    folds = dict(query(made, f"SELECT DISTINCT c.pubchem_cid::text, m.fold FROM {joined}"))
    for row in metadata.itertuples():
        assert {folds[cid].removesuffix("idation") for cid in row.perturbations} == {row.split}


def test_the_kind_attribute_goes_with_its_revision(made: Settings) -> None:
    splits.make(made, Rule("compound", seed=3, shares=QUARTERS))
    run(made, "UPDATE core.split SET kind = 'attribute' WHERE split = 'held'")
    schema.downgrade(server.engine(made), "0001")
    assert query(made, "SELECT kind FROM core.split") == [("compound",)]
    schema.upgrade(server.engine(made))
    assert value(made, "SELECT count(*) FROM pbdb.split") == 1


# --- command line -----------------------------------------------------------------------------------------------


def call(settings: Settings, *words: str) -> Result:
    return CliRunner().invoke(pbdb, ["split", *words], env=environment(settings))


def test_the_command_line_makes_lists_shows_checks_and_drops(exported: Settings) -> None:
    shares = ("--validation", "0.25", "--test", "0.25")
    done = call(exported, "make", "--kind", "compound", "--seed", "1", *shares, "--name", "n", "--json")
    assert json.loads(done.stdout)["parameters"]["level"] == "parent_inchikey"
    assert "n" in call(exported, "list").stdout and "second" in call(exported, "show", "n").stdout
    assert json.loads(call(exported, "check", "n", "--json").stdout)["ok"]
    assert call(exported, "drop", "n").exit_code == 0 and json.loads(call(exported, "list", "--json").stdout) == []


def test_check_ends_with_an_error_where_a_split_leaks(made: Settings) -> None:
    run(made, "UPDATE core.split_member SET fold = 'test' WHERE condition_id % 2 = 0")
    done = call(made, "check", "held")
    assert done.exit_code != 0 and "leaks" in str(done.exception) and "parent_inchikey" in done.stdout
