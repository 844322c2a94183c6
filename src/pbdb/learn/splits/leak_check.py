"""Does a split keep its promise? Looked for at every level of identity, in the conditions as they are now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pbdb.database.choices import LEVELS
from pbdb.learn.splits.rules import TRAIN, compound_groups, murcko

COARSER: Mapping[str, Sequence[str]] = {
    "inchikey": ("parent_inchikey", "skeleton"),
    "parent_inchikey": ("skeleton",),
    "skeleton": (),
    "pubchem_cid": ("inchikey", "parent_inchikey", "skeleton"),
}
N_EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what is meant to be in one fold only, how many of it there are, and which leak.

    promised: the split says that none leaks.
    """

    what: str
    promised: bool
    n: int
    n_leaking: int
    examples: tuple[str, ...] = ()


def examine(members: pd.DataFrame, kind: str, level: str) -> list[Finding]:
    """Look for leaks of a split.

    members: a row for each condition of it: condition_id, fold, dataset, owner (dataset or overlap group), context,
    parent_context, inchikey, parent_inchikey, skeleton, pubchem_cid, name, parent_smiles, dose_fm, time_h, stratum,
    and `stated`, the fold by an attribute of the condition. level: the one the split was made at.
    """
    return [*_EXAMINED[kind](members, level), _shared_wells(members)]


def leaks(findings: list[Finding]) -> list[Finding]:
    """Those that break a promise."""
    return [finding for finding in findings if finding.promised and finding.n_leaking]


def _one_fold(members: pd.DataFrame, keys: list[str], what: str, *, promised: bool = True) -> Finding:
    """Things named by some columns must be in one fold; rows without a key are not looked at."""
    known = members.dropna(subset=keys)
    folds = known.groupby(keys, sort=True)["fold"].nunique()
    bad = folds[folds > 1]
    return Finding(what, promised, len(folds), len(bad), tuple(_words(key) for key in bad.index[:N_EXAMPLES]))


def _words(key: Any) -> str:
    if isinstance(key, tuple):
        return " ".join(_words(part) for part in key)
    return str(int(key)) if isinstance(key, float) and key.is_integer() else str(key)


def _by_level(members: pd.DataFrame, level: str) -> Iterator[Finding]:
    for name in LEVELS:
        yield _one_fold(members, [name], name, promised=name not in COARSER[level])
    unresolved = set(members.loc[members["inchikey"].isna(), "name"])
    yield _one_fold(members[members["name"].isin(unresolved)], ["name"], "name of an unresolved compound")


def _compound(members: pd.DataFrame, level: str) -> list[Finding]:
    return list(_by_level(members, level))


def _scaffold(members: pd.DataFrame, level: str) -> list[Finding]:
    distinct = members["parent_smiles"].dropna().unique()
    scaffolds = {smiles: murcko(smiles) for smiles in distinct}
    with_scaffold = members.assign(scaffold=members["parent_smiles"].map(scaffolds))
    return [*_by_level(members, level), _one_fold(with_scaffold, ["scaffold"], "scaffold")]


def _context(members: pd.DataFrame, _: str) -> list[Finding]:
    derived = members[["fold", "parent_context"]].rename(columns={"parent_context": "context"})
    family = pd.concat([members[["fold", "context"]], derived])
    return [_one_fold(family, ["context"], "context, and what derives from it")]


def _dataset(members: pd.DataFrame, _: str) -> list[Finding]:
    return [_one_fold(members, ["dataset"], "dataset"), _one_fold(members, ["owner"], "datasets that share wells")]


def _published(members: pd.DataFrame, level: str) -> list[Finding]:
    grouped = members.assign(compound=compound_groups(members, level))
    held = grouped[grouped["fold"] != TRAIN]
    return [
        _one_fold(grouped, ["owner", "compound", "context"], "pair of compound and context in a dataset"),
        *_by_level(held, level),
        _trains_elsewhere(grouped, held),
    ]


def _transfer(members: pd.DataFrame, level: str) -> list[Finding]:
    grouped = members.assign(compound=compound_groups(members, level))
    held = grouped[grouped["fold"] != TRAIN]
    keys = [name for name in LEVELS if name not in COARSER[level]]
    return [
        _one_fold(grouped, ["owner", "compound"], "compound in a dataset"),
        *(_one_fold(grouped, ["owner", name], f"{name} in a dataset") for name in keys),
        _trains_elsewhere(grouped, held),
    ]


def _trains_elsewhere(members: pd.DataFrame, held: pd.DataFrame) -> Finding:
    """Every compound held out in a dataset must train in another."""
    train = members[members["fold"] == TRAIN].groupby("compound")["owner"].agg(set).to_dict()
    pairs = held[["compound", "owner"]].drop_duplicates().itertuples(index=False, name=None)
    known = {(compound, owner): train.get(compound, set()) - {owner} for compound, owner in pairs}
    bad = [f"{compound} of {owner}" for (compound, owner), others in known.items() if not others]
    what = "compound held out in a dataset (it must train in another)"
    return Finding(what, True, len(known), len(bad), tuple(bad[:N_EXAMPLES]))


def _attribute(members: pd.DataFrame, _: str) -> list[Finding]:
    """What a source promises by its split is its own; that the folds are those it states can be seen."""
    bad = members.loc[members["stated"] != members["fold"], "condition_id"]
    return [Finding("fold as the source states it", True, len(members), len(bad), tuple(map(str, bad[:N_EXAMPLES])))]


def _shared_wells(members: pd.DataFrame) -> Finding:
    """The same condition of two datasets that share wells must be in one fold."""
    shared = members[members["owner"] != members["dataset"]]
    keys = ["owner", "name", "context", "dose_fm", "time_h"]
    return _one_fold(shared, keys, "condition of datasets that share wells")


_EXAMINED = {
    "compound": _compound,
    "scaffold": _scaffold,
    "context": _context,
    "dataset": _dataset,
    "published": _published,
    "transfer": _transfer,
    "attribute": _attribute,
}
