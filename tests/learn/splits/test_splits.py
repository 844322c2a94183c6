"""Splits in the database: stored, deterministic, proved, and found leaking when somebody alters them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from export_worlds import rows
from loads import environment, query, value
from sqlalchemy import text

from pbdb.cli import pbdb
from pbdb.common.errors import ConfigError, QueryError
from pbdb.common.settings import Settings
from pbdb.database import schema
from pbdb.exports import shards
from pbdb.exports.selection import Choice
from pbdb.learn.splits import store as splits
from pbdb.learn.splits.rules import Shares
from pbdb.learn.splits.store import Rule
from pbdb.server import connect

QUARTERS = Shares(0.25, 0.25)
MEMBERS = "SELECT condition_id, fold FROM pbdb.split_member WHERE split = :name ORDER BY 1"


def run(settings: Settings, statement: str, **values: Any) -> None:
    with connect.engine(settings).begin() as connection:
        connection.execute(text(statement), values)


@pytest.fixture
def made(exported: Settings) -> Settings:
    """A database of the test's own with a compound split named `held`."""
    splits.make(exported, Rule("compound", seed=1, shares=QUARTERS), "held")
    return exported


@pytest.fixture(scope="module")
def held(exports: Settings) -> Settings:
    """The same in a database of all tests, which leave it as it is but for further splits."""
    splits.make(exports, Rule("compound", seed=1, shares=QUARTERS), "held")
    return exports


def names(settings: Settings) -> list[str]:
    return [row["split"] for row in splits.listed(settings)]


def test_a_compound_is_in_one_fold_in_every_dataset_context_and_salt_form(held: Settings) -> None:
    members = "SELECT DISTINCT parent_inchikey, compound_name, fold FROM pbdb.split_member WHERE split = 'held'"
    found = rows(held, members)
    assert (found.groupby("parent_inchikey")["fold"].nunique() == 1).all()
    aspirin = found[found["compound_name"].str.contains("aspirin")]
    assert len(aspirin) == 2 and aspirin["fold"].nunique() == 1
    assert set(found["fold"]) == {"train", "validation", "test"}
    assert splits.check(held, "held").ok


def test_a_parent_known_by_its_key_alone_is_one_with_its_salts(exported: Settings) -> None:
    run(exported, "UPDATE core.compound SET parent_inchikey = NULL, skeleton = NULL WHERE pubchem_cid = 2244")
    for seed in range(4):
        splits.make(exported, Rule("compound", seed=seed, shares=QUARTERS), "held", replace=True)
        aspirins = "SELECT DISTINCT fold FROM pbdb.split_member WHERE compound_name LIKE '%aspirin%'"
        assert len(query(exported, aspirins)) == 1 and splits.check(exported, "held").ok


def test_vehicles_are_in_no_fold_and_every_other_condition_in_one(held: Settings) -> None:
    n = value(held, "SELECT count(*) FROM core.condition WHERE NOT is_vehicle")
    assert len(query(held, MEMBERS, name="held")) == n == 28


def test_the_seed_decides(held: Settings) -> None:
    for name, seed in (("again", 1), ("other", 2)):
        splits.make(held, Rule("compound", seed=seed, shares=QUARTERS), name)
    one, again, other = (query(held, MEMBERS, name=name) for name in ("held", "again", "other"))
    assert one == again != other


@pytest.mark.parametrize("kind", ["scaffold", "published"])
def test_other_kinds_are_made_and_do_not_leak(held: Settings, kind: str) -> None:
    done = splits.make(held, Rule(kind, seed=1, shares=Shares(0, 0.4)))
    assert done.split == f"{kind}-parent_inchikey-1"
    assert done.folds["train"] < 28
    assert splits.check(held, done.split).ok


@pytest.mark.parametrize("kind", ["context", "dataset"])
def test_too_few_groups_are_refused_and_nothing_is_stored(held: Settings, kind: str) -> None:
    before = names(held)
    with pytest.raises(ConfigError, match="too few"):
        splits.make(held, Rule(kind), "few")
    assert names(held) == before


def test_contexts_are_held_out_whole(held: Settings) -> None:
    splits.make(held, Rule("context", shares=Shares(0, 0.5)), "cells")
    members = "SELECT context, count(DISTINCT fold) FROM pbdb.split_member WHERE split = 'cells' GROUP BY 1 ORDER BY 1"
    assert query(held, members) == [("CVCL:0001", 1), ("CVCL:0002", 1)] and splits.check(held, "cells").ok


def test_datasets_that_share_wells_are_never_split_apart(exported: Settings) -> None:
    splits.make(exported, Rule("dataset", shares=Shares(0, 0.5)), "apart")
    assert splits.check(exported, "apart").ok
    run(exported, "UPDATE core.dataset SET overlap_group = 'both'")
    assert not splits.check(exported, "apart").ok
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
    found = {finding.what: finding for finding in done.findings}
    assert not done.ok and found[level].n_leaking == 1 and found[level].examples


def test_a_leak_that_a_new_identity_brings_is_found(made: Settings) -> None:
    one, other = query(made, "SELECT DISTINCT ON (fold) compound_name, fold FROM pbdb.split_member ORDER BY fold")[:2]
    run(made, "UPDATE core.compound SET pubchem_cid = 1 WHERE name IN (:one, :other)", one=one[0], other=other[0])
    found = {finding.what: finding.n_leaking for finding in splits.check(made, "held").findings}
    assert found["pubchem_cid"] == 1 and found["inchikey"] == 0


def test_conditions_loaded_since_are_counted(made: Settings) -> None:
    run(made, "DELETE FROM core.split_member WHERE condition_id = (SELECT min(condition_id) FROM core.split_member)")
    assert splits.check(made, "held").n_undivided == 1


def test_the_split_of_a_source_is_taken_as_it_is(exported: Settings) -> None:
    run(
        exported,
        "UPDATE core.condition c SET attributes = jsonb_build_object('split', CASE WHEN x.context = 'CVCL:0001'"
        " THEN 'train' ELSE 'private_test' END) FROM core.context x, core.dataset d WHERE x.context_id = c.context_id"
        " AND d.dataset_id = c.dataset_id AND d.dataset = 'second'",
    )
    done = splits.make(exported, Rule("attribute", datasets=["second"]))
    assert (done.split, done.folds) == ("second-split", {"private_test": 6, "train": 6})
    assert splits.check(exported, "second-split").ok
    run(exported, "UPDATE core.split_member SET fold = 'train'")
    assert not splits.check(exported, "second-split").ok


def test_a_name_is_taken_once(held: Settings) -> None:
    splits.make(held, Rule("compound", seed=2, shares=QUARTERS), "taken")
    with pytest.raises(ConfigError, match="already"):
        splits.make(held, Rule("compound", seed=2), "taken")
    splits.make(held, Rule("scaffold", seed=2, shares=Shares(0, 0.4)), "taken", replace=True)
    assert [row["kind"] for row in splits.listed(held) if row["split"] == "taken"] == ["scaffold"]


@pytest.mark.parametrize("what", [splits.show, splits.check, splits.drop])
def test_an_unknown_split_is_refused(held: Settings, what: Any) -> None:
    with pytest.raises(QueryError, match="no split 'none'"):
        what(held, "none")


def test_readers_of_the_public_see_the_members_they_may_see(held: Settings) -> None:
    with connect.connect(held, role="pbdb_public") as connection:
        seen = connection.execute("SELECT DISTINCT dataset FROM pbdb.split_member").fetchall()
    assert seen == [("first",)]


def test_shards_of_a_split_hold_one_fold_each(held: Settings, tmp_path: Path) -> None:
    done = shards.write(held, Choice(include=["second"]), tmp_path / "out", split="held", published=True)
    metadata = pd.concat(pd.read_parquet(path) for path in (tmp_path / "out").glob("*/metadata.parquet"))
    assert set(metadata["split"]) == {"train", "val", "test"} and done["left_out"]["not_in_split"] == 0
    joined = "pbdb.split_member m JOIN pbdb.condition c USING (condition_id) WHERE m.split = 'held'"
    folds = dict(query(held, f"SELECT DISTINCT c.pubchem_cid::text, m.fold FROM {joined}"))
    for row in metadata.itertuples():
        assert {folds[cid].removesuffix("idation") for cid in row.perturbations} == {row.split}


def test_the_kind_attribute_goes_with_its_revision(made: Settings) -> None:
    splits.make(made, Rule("compound", seed=3, shares=QUARTERS))
    run(made, "UPDATE core.split SET kind = 'attribute' WHERE split = 'held'")
    schema.downgrade(connect.engine(made), "0001")
    assert query(made, "SELECT kind FROM core.split") == [("compound",)]
    schema.upgrade(connect.engine(made))
    assert value(made, "SELECT count(*) FROM pbdb.split") == 1


# --- command line -----------------------------------------------------------------------------------------------


def call(settings: Settings, *words: str) -> Result:
    return CliRunner().invoke(pbdb, ["split", *words], env=environment(settings))


def test_the_command_line_makes_lists_shows_checks_and_drops(held: Settings) -> None:
    shares = ("--validation", "0.25", "--test", "0.25")
    done = call(held, "make", "--kind", "compound", "--seed", "1", *shares, "--name", "by-hand", "--json")
    assert json.loads(done.stdout)["parameters"]["level"] == "parent_inchikey"
    assert "by-hand" in call(held, "list").stdout and "second" in call(held, "show", "by-hand").stdout
    assert json.loads(call(held, "check", "by-hand", "--json").stdout)["ok"]
    assert call(held, "drop", "by-hand").exit_code == 0
    assert "by-hand" not in {row["split"] for row in json.loads(call(held, "list", "--json").stdout)}


def test_check_ends_with_an_error_where_a_split_leaks(made: Settings) -> None:
    run(made, "UPDATE core.split_member SET fold = 'test' WHERE condition_id % 2 = 0")
    done = call(made, "check", "held")
    assert done.exit_code != 0 and "leaks" in str(done.exception) and "parent_inchikey" in done.stdout
