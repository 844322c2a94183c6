"""Rules of splits on plain tables: what belongs together stays together, and a planted leak is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbdb.common.errors import ConfigError
from pbdb.learn.splits import leak_check, transfer
from pbdb.learn.splits import rules as split_rules
from pbdb.learn.splits.rules import Shares

SHARES = Shares(0.2, 0.2)


def conditions(*compounds: dict[str, Any], **columns: Any) -> pd.DataFrame:
    """A condition for each compound, of dataset d in context A unless said otherwise."""
    facts = {"dataset": "d", "owner": "d", "context": "A", "parent_context": None, "dose_fm": 1, "time_h": 24.0}
    keys = {"inchikey": None, "parent_inchikey": None, "skeleton": None, "pubchem_cid": None, "name": "x"}
    rest = {"parent_smiles": None, "stratum": None, "stated": None}
    table = pd.DataFrame([facts | keys | rest | compound for compound in compounds])
    return table.assign(condition_id=range(len(table)), **columns)


def drug(parent: str, salt: str = "", **more: Any) -> dict[str, Any]:
    """A compound by the letters of its parent: the skeleton is the first one."""
    return {"inchikey": parent + salt, "parent_inchikey": parent, "skeleton": parent[0], "name": parent + salt} | more


def test_salts_are_one_compound_at_the_level_of_the_parent_alone() -> None:
    table = conditions(drug("AX"), drug("AX", "-Na"), drug("AY"))
    groups = {level: split_rules.compound_groups(table, level) for level in ("inchikey", "parent_inchikey", "skeleton")}
    assert [len(set(found)) for found in groups.values()] == [3, 2, 1]


def test_compounds_of_one_cid_are_one_whatever_the_structure() -> None:
    table = conditions(drug("AX", pubchem_cid=7), drug("BX", pubchem_cid=7), drug("CX"))
    one, two, three = split_rules.compound_groups(table, "inchikey")
    assert one == two != three


def test_an_unresolved_compound_is_known_by_its_name() -> None:
    table = conditions(drug("AX", name="saha"), {"name": "saha"}, {"name": "other"}, drug("BX", name="b"))
    one, two, three, four = split_rules.compound_groups(table, "parent_inchikey")
    assert one == two and len({one, three, four}) == 3


def test_namesakes_with_structures_stay_apart() -> None:
    table = conditions(drug("AX", name="extract"), drug("BX", name="extract"))
    assert len(set(split_rules.compound_groups(table, "parent_inchikey"))) == 2


def test_lines_derived_from_one_another_are_one() -> None:
    table = conditions({}, {}, {}, context=["A", "B", "C"], parent_context=[None, "A", None])
    one, two, three = split_rules.context_groups(table)
    assert one == two != three


@given(st.lists(st.sets(st.sampled_from("abcdefgh"), min_size=1), min_size=1))
def test_items_that_share_a_key_are_one_group(items: list[set[str]]) -> None:
    groups = split_rules.joined(items)
    for one, group in zip(items, groups, strict=True):
        assert {other for item, other in zip(items, groups, strict=True) if item & one} == {group}


@pytest.mark.parametrize(
    ("smiles", "scaffold"),
    [("Cc1ccccc1CCO", "c1ccccc1"), ("CCO", None), (None, None), ("ONC(=O)CCCCCCC(=O)Nc1ccccc1", "c1ccccc1")],
)
def test_scaffolds(smiles: str | None, scaffold: str | None) -> None:
    assert split_rules.murcko(smiles) == scaffold


def test_shares_are_kept_and_the_seed_decides() -> None:
    groups = [f"g{at}" for at in range(100) for _ in range(3)]
    one, again, other = (split_rules.by_group(groups, groups, SHARES, seed) for seed in (1, 1, 2))
    assert one == again != other
    assert pd.Series(one).value_counts().to_dict() == {"train": 180, "validation": 60, "test": 60}


def test_growth_moves_few_groups() -> None:
    small = [f"g{at}" for at in range(1000)]
    large = small + [f"new{at}" for at in range(50)]
    before, after = (split_rules.by_group(groups, groups, SHARES, 1) for groups in (small, large))
    assert np.mean([one != two for one, two in zip(before, after, strict=False)]) < 0.04


def test_a_group_larger_than_a_fold_trains() -> None:
    groups = ["large"] * 60 + [f"g{at}" for at in range(40)]
    units = [f"u{at}" for at in range(100)]
    folds = split_rules.by_group(groups, units, SHARES, 3)
    assert set(folds[:60]) == {"train"} and folds.count("test") == 20


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(ConfigError, match="too few"):
        split_rules.by_group(["a", "b"], ["a", "b"], SHARES, 0)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0, 0), (-0.1, 0.2)])
def test_shares_that_make_no_split_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="make no split"):
        Shares(*shares)


# --- the published rule ---------------------------------------------------------------------------------------------


def world() -> pd.DataFrame:
    """Pairs of two datasets that share half their compounds, three contexts each, two doses."""
    rng = np.random.default_rng(0)
    rows = [
        {"owner": owner, "compound": f"c{at}", "context": context}
        for owner, first in (("a", 0), ("b", 50))
        for at in range(first, first + 100)
        for context in "ABC"
        if rng.random() < 0.8
    ]
    return pd.DataFrame(rows * 2)


def folded(table: pd.DataFrame, seed: int = 1) -> pd.DataFrame:
    lists = (table[name].tolist() for name in ("compound", "context", "owner"))
    return table.assign(fold=split_rules.published(*lists, Shares(0.15, 0.15), seed))


def keeps_the_rule(table: pd.DataFrame) -> None:
    """Whole pairs, shares, disjoint sides, and every held-out compound trains in another dataset."""
    pairs = table.drop_duplicates()
    assert not pairs.duplicated(["owner", "compound", "context"]).any()
    held = pairs[pairs["fold"] != "train"]
    assert (held.groupby("compound")["fold"].nunique() == 1).all()
    shares = held.groupby(["owner", "fold"]).size() / pairs.groupby("owner").size()
    assert shares.max() <= 0.15
    training = pairs[pairs["fold"] == "train"].groupby("compound")["owner"].agg(set).to_dict()
    distinct = held[["compound", "owner"]].drop_duplicates().itertuples(index=False)
    assert all(training.get(compound, set()) - {owner} for compound, owner in distinct)


def test_published_holds_out_pairs_whose_compounds_train_elsewhere() -> None:
    table = folded(world())
    keeps_the_rule(table)
    held = table[table["fold"] != "train"]
    assert set(held["owner"]) == {"a", "b"} and set(held["fold"]) == {"validation", "test"}
    assert table.equals(folded(world())) and not table.equals(folded(world(), seed=2))


def test_published_on_the_conditions_of_the_compendium(shared: Path) -> None:
    file = shared / "data" / "condition_manifest_12datasets" / "df_annot_split.parquet"
    table = pd.read_parquet(file, columns=["dataset", "context", "perturbation"])
    table = table.rename(columns={"dataset": "owner", "perturbation": "compound"})
    table = folded(table[table["compound"].isin(table["compound"].unique()[::5])])
    keeps_the_rule(table)
    counts = table.drop_duplicates().groupby(["owner", "fold"]).size().unstack(fill_value=0)
    filled = counts[["validation", "test"]].div(counts.sum(axis=1), axis=0)
    assert (filled.loc["tahoe100"] > 0.14).all() and (filled.loc["LINCS_phase2_level3"] > 0.14).all()


def test_the_published_list_of_the_compendium_is_drawn_by_another_rule(shared: Path) -> None:
    table = pd.read_parquet(shared / "data" / "condition_manifest_12datasets" / "df_annot_split.parquet")
    held_out = table.loc[table["split"] != "train", "perturbation"]
    table = table[table["perturbation"].isin(held_out)].drop_duplicates(["dataset", "context", "perturbation"])
    table = table.rename(columns={"split": "fold", "log_dose": "dose_fm", "time": "time_h"}).replace(
        "val", "validation"
    )
    keys = {name: table["perturbation"] for name in ("inchikey", "parent_inchikey", "skeleton", "name")}
    table = table.assign(owner=table["dataset"], pubchem_cid=None, **keys)
    leaks = leak_check.leaks(leak_check.examine(table, "published", "parent_inchikey"))
    assert {finding.what: finding.n_leaking for finding in leaks} == {"inchikey": 109, "parent_inchikey": 109}


# --- leaks --------------------------------------------------------------------------------------------------------


def leaking(table: pd.DataFrame, kind: str = "compound", level: str = "parent_inchikey") -> set[str]:
    return {finding.what for finding in leak_check.leaks(leak_check.examine(table, kind, level))}


def test_no_leak_is_found_where_there_is_none() -> None:
    table = conditions(drug("AX"), drug("AX", "-Na"), drug("BX"), fold=["test", "test", "train"])
    assert leaking(table) == set()


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (drug("AX"), {"inchikey", "parent_inchikey"}),
        (drug("AX", "-Na"), {"parent_inchikey"}),
        (drug("BX", pubchem_cid=5), {"pubchem_cid"}),
        ({"name": "AX"}, {"name of an unresolved compound"}),
    ],
)
def test_a_planted_leak_is_found_at_its_level(other: dict[str, Any], what: set[str]) -> None:
    table = conditions(drug("AX", pubchem_cid=5), other, drug("CX"), fold=["test", "train", "train"])
    assert leaking(table) == what


def test_stereoisomers_leak_only_where_the_skeleton_is_promised() -> None:
    table = conditions(drug("AX"), drug("AY"), fold=["test", "train"])
    assert leaking(table) == set() and leaking(table, level="skeleton") == {"skeleton"}
    told = {finding.what: finding.n_leaking for finding in leak_check.examine(table, "compound", "parent_inchikey")}
    assert told["skeleton"] == 1


def test_a_scaffold_in_two_folds_is_found() -> None:
    smiles = ["Cc1ccccc1", "CCc1ccccc1", "CCO"]
    table = conditions(*map(drug, ("AX", "BX", "CX")), parent_smiles=smiles, fold=["test", "train", "train"])
    assert leaking(table, "scaffold") == {"scaffold"}


def test_a_context_and_its_parent_in_two_folds_are_found() -> None:
    table = conditions({}, {}, context=["A", "B"], parent_context=[None, "A"], fold=["test", "train"])
    assert leaking(table, "context") == {"context, and what derives from it"}


def test_datasets_that_share_wells_in_two_folds_are_found() -> None:
    table = conditions(drug("AX"), drug("AX"), dataset=["one", "two"], owner="both", fold=["test", "train"])
    assert leaking(table, "dataset") == {"datasets that share wells", "condition of datasets that share wells"}


def test_breaches_of_the_published_rule_are_found() -> None:
    table = folded(world()).rename(columns={"fold": "was"})
    facts = [drug(name + "X", inchikey=name, parent_inchikey=name, skeleton=name) for name in table["compound"]]
    members = conditions(
        *facts, owner=table["owner"], dataset=table["owner"], context=table["context"], fold=table["was"]
    )
    assert leaking(members, "published") == set()
    first = members.index[members["fold"] == "test"][0]
    compound = members.loc[first, "inchikey"]
    moved = members.copy()
    moved.loc[first, "fold"] = "validation"
    assert {"parent_inchikey", "pair of compound and context in a dataset"} <= leaking(moved, "published")
    everywhere = members.assign(fold=members["fold"].mask(members["inchikey"] == compound, "test"))
    assert leaking(everywhere, "published") == {"compound held out in a dataset (it must train in another)"}


def test_groups_are_drawn_in_one_order_on_every_machine() -> None:
    assert [split_rules.rank(1, name).hex()[:6] for name in "abc"] == ["03a95b", "68be5c", "75eea7"]


# --- transfer ------------------------------------------------------------------------------------------------------


def _held(folds: list[str], compounds: list[str], owners: list[str], owner: str, fold: str) -> set[str]:
    return {c for c, o, f in zip(compounds, owners, folds, strict=True) if o == owner and f == fold}


def test_transfer_holds_compounds_out_of_a_dataset_that_train_in_another() -> None:
    compounds = [f"C{i}" for i in range(60)] + [f"C{i}" for i in range(30, 90)]
    owners = ["a"] * 60 + ["b"] * 60
    folds = transfer.transfer(compounds, owners, Shares(0.1, 0.1), 3)
    for owner, other in (("a", "b"), ("b", "a")):
        held = [_held(folds, compounds, owners, owner, fold) for fold in ("validation", "test")]
        assert [len(part) for part in held] == [3, 3]
        assert set.union(*held) <= _held(folds, compounds, owners, other, "train")
    assert transfer.transfer(compounds, owners, Shares(0.1, 0.1), 3) == folds
    assert transfer.transfer(compounds, owners, Shares(0.1, 0.1), 4) != folds


def test_few_shared_compounds_are_dealt_out_by_their_conditions() -> None:
    compounds = ["P", "P", "P", "Q", "Q", "R", "own", "P", "Q", "R"]
    owners = ["a"] * 7 + ["b"] * 3
    folds = transfer.transfer(compounds, owners, Shares(0.1, 0.1), 0)
    # In a: P (3 conditions) validates, Q (2) and R (1) test; b then may hold nothing out that trains elsewhere.
    assert folds == ["validation"] * 3 + ["test"] * 3 + ["train"] * 4


def test_transfer_gives_the_published_counts_on_the_published_conditions(shared: Path) -> None:
    table = pd.read_parquet(shared / "data" / "condition_manifest_12datasets" / "df_annot_split.parquet")
    golden = pd.read_csv(shared / "golden" / "learning" / "learning_molholdout_split_summary.csv")
    folds = transfer.transfer(table["perturbation"].tolist(), table["dataset"].tolist(), Shares(0.1, 0.1), 13)
    held = table.assign(fold=folds)
    for row in golden.itertuples():
        own = held[held["dataset"] == row.dataset]
        counts = own.groupby("fold")["perturbation"].nunique()
        assert len(own) == row.total_samples and own["perturbation"].nunique() == row.total_molecules
        assert counts.get("validation", 0) == row.val_molecules, row.dataset
        assert counts.get("test", 0) == row.test_molecules, row.dataset
        if row.strategy == "low_shared_sample_balanced":
            assert (own["fold"] == "validation").sum() == row.val_samples
            assert (own["fold"] == "test").sum() == row.test_samples
    training = held[held["fold"] == "train"].groupby("perturbation")["dataset"].agg(set)
    tested = held.loc[held["fold"] == "test", ["perturbation", "dataset"]].drop_duplicates()
    assert all(training[compound] - {dataset} for compound, dataset in tested.itertuples(index=False, name=None))


def test_a_leaky_transfer_split_is_caught() -> None:
    rows = [
        {"inchikey": f"K{i}-A-N", "parent_inchikey": f"K{i}-A-N", "skeleton": f"K{i}", "name": f"c{i}"}
        for i in range(4)
    ]
    both = conditions(*(row | {"dataset": d, "owner": d} for d in ("a", "b") for row in rows))
    sound = both.assign(fold=["test", "train", "train", "train"] + ["train"] * 4)
    assert not leak_check.leaks(leak_check.examine(sound, "transfer", "skeleton"))
    nowhere = both.assign(fold=["test", "train", "train", "train", "test", "train", "train", "train"])
    assert [f.what for f in leak_check.leaks(leak_check.examine(nowhere, "transfer", "skeleton"))] == [
        "compound held out in a dataset (it must train in another)"
    ]
    # A stereoisomer of the test compound of a trains in a.
    twin = rows[0] | {"inchikey": "K0-B-N", "parent_inchikey": "K0-B-N", "dataset": "a", "owner": "a", "name": "twin"}
    isomer = pd.concat([sound, conditions(twin).assign(fold="train", condition_id=99)], ignore_index=True)
    found = {f.what for f in leak_check.leaks(leak_check.examine(isomer, "transfer", "skeleton"))}
    assert {"skeleton in a dataset", "compound in a dataset"} <= found
