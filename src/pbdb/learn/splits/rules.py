"""Which fold a condition goes to: rules over plain tables of conditions, without a database.

What belongs together is joined first (salts of a parent, datasets that share wells, lines derived from one another);
then groups are drawn in the order of a hash of seed and key, so a split depends on nothing but its seed and the data.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pbdb.common.errors import ConfigError

TRAIN, VALIDATION, TEST = FOLDS = ("train", "validation", "test")
# What makes two compounds the same at a level, beside their CIDs: each level includes the finer ones.
KEYS_OF_LEVEL = {
    "inchikey": ("inchikey",),
    "parent_inchikey": ("inchikey", "parent_inchikey"),
    "skeleton": ("inchikey", "parent_inchikey", "skeleton"),
    "pubchem_cid": (),
}


@dataclass(frozen=True)
class Shares:
    """What is held out: fractions of the groups (of the pairs of each dataset, in `published`)."""

    validation: float
    test: float

    def __post_init__(self) -> None:
        if min(self.validation, self.test) < 0 or not 0 < self.validation + self.test < 1:
            raise ConfigError(
                f"Shares of {self.validation:g} for validation and {self.test:g} for testing make no split: both must"
                " be 0 or more, and their sum between 0 and 1."
            )


def rank(seed: int, *key: object) -> bytes:
    """Where a group stands in the order of drawing: the same on every machine."""
    return hashlib.sha256("\0".join(map(str, (seed, *key))).encode()).digest()


# --- what belongs together ----------------------------------------------------------------------------------------


def joined(keys: Iterable[Iterable[str]]) -> list[str]:
    """Name the group of each item, given the keys it has: items that share a key, directly or not, are one group.

    A group is named by its first key in the alphabet.
    """
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    items = [sorted(item) for item in keys]
    for item in items:
        for key in item:
            parent.setdefault(key, key)
        first = root(item[0])
        for key in item[1:]:
            first, other = sorted((first, root(key)))
            parent[other] = first
    return [root(item[0]) for item in items]


def compound_groups(conditions: pd.DataFrame, level: str, scaffolds: Mapping[str, str] | None = None) -> list[str]:
    """Name the group of each condition's compound.

    conditions: columns inchikey, parent_inchikey, skeleton, pubchem_cid, name; null where unknown. Compounds are one
    at `level`, by CID, or where one is unresolved by name. scaffolds: by parent_inchikey; joins those that share one.
    """
    columns = ["inchikey", "parent_inchikey", "skeleton", "pubchem_cid", "name"]
    distinct = conditions[columns].drop_duplicates().reset_index(drop=True)
    loose = set(distinct.loc[distinct["inchikey"].isna(), "name"])
    items = [_compound_keys(row, level, loose, scaffolds or {}) for row in distinct.to_dict("records")]
    distinct["group"] = joined(items)
    merged = conditions[columns].merge(distinct, how="left", on=columns)
    return merged["group"].tolist()


def _compound_keys(row: Mapping[Hashable, Any], level: str, loose: set[str], scaffolds: Mapping[str, str]) -> list[str]:
    keys = [f"{name}:{row[name]}" for name in KEYS_OF_LEVEL[level] if not pd.isna(row[name])]
    if not pd.isna(row["pubchem_cid"]):
        keys.append(f"pubchem_cid:{int(row['pubchem_cid'])}")
    if row["name"] in loose or not keys:
        keys.append(f"name:{row['name']}")
    scaffold = scaffolds.get(row["parent_inchikey"])
    return [*keys, f"scaffold:{scaffold}"] if scaffold else keys


def context_groups(conditions: pd.DataFrame) -> list[str]:
    """Name the group of each condition's context: lines derived from one another are one."""
    pairs = zip(conditions["context"], conditions["parent_context"], strict=True)
    return joined([[name] if pd.isna(origin) else [name, origin] for name, origin in pairs])


def murcko(smiles: str | None) -> str | None:
    """The Murcko scaffold of a structure as SMILES (Bemis and Murcko 1996); None without rings or structure."""
    from rdkit import Chem
    from rdkit.Chem.Scaffolds import MurckoScaffold

    mol = Chem.MolFromSmiles(smiles) if isinstance(smiles, str) else None
    return MurckoScaffold.MurckoScaffoldSmiles(mol=mol) or None if mol is not None else None


# --- who is held out -----------------------------------------------------------------------------------------------


def by_group(groups: list[str], units: list[str], shares: Shares, seed: int) -> list[str]:
    """Give every condition the fold of its group.

    units: what is counted in the shares (compounds, contexts, datasets), for each condition. Groups are drawn in the
    order of their rank; each goes to test, else to validation, where it still fits, else to train.

    Raises:
        ConfigError: there are too few groups for the folds.
    """
    table = pd.DataFrame({"group": groups, "unit": units}).drop_duplicates()
    sizes = table.groupby("group").size()
    total = int(sizes.sum())
    room = {fold: _room(share, total) for fold, share in ((TEST, shares.test), (VALIDATION, shares.validation))}
    wanted = [fold for fold, most in room.items() if most]
    fold_of = {}
    for group in sorted(sizes.index, key=lambda group: rank(seed, group)):
        size = int(sizes[group])
        fold = next((fold for fold in wanted if size <= room[fold]), TRAIN)
        if fold != TRAIN:
            room[fold] -= size
        fold_of[group] = fold
    missing = {TRAIN, *wanted} - set(fold_of.values())
    if missing:
        raise ConfigError(
            f"{len(sizes)} groups of what belongs together are too few for a split: nothing is left for"
            f" {' and '.join(sorted(missing))}. Choose other shares or another kind."
        )
    return [fold_of[group] for group in groups]


def _room(share: float, total: int) -> int:
    return max(1, round(share * total)) if share else 0


def published(compounds: list[str], contexts: list[str], owners: list[str], shares: Shares, seed: int) -> list[str]:
    """Hold out pairs of compound and context, as the published training runs of the compendium do.

    Their rule, as far as it is told: in each dataset 70 % of the pairs (all doses and times of one together) train,
    15 % validate and 15 % test, at random; a pair is held out only if its compound trains in another dataset, so
    that a model knows every compound it is asked about; no compound is in validation and in test, of whatever
    dataset. (Their list of 411,514 conditions is drawn otherwise, by whole compounds: of those that a dataset shares
    with others 10 % validate and 10 % test, with all their pairs in the dataset, and 109 compounds validate in one
    dataset and test in another.) Here compounds are those of a level of identity, datasets that share wells count as
    one, and a compound's side is drawn once for all datasets. A dataset whose compounds are its own gives nothing.

    compounds, contexts, owners (dataset or overlap group): for each condition. Returns folds, in the same order.
    """
    pairs = pd.DataFrame({"owner": owners, "compound": compounds, "context": contexts})
    distinct = pairs.drop_duplicates()
    training: dict[str, Counter[str]] = defaultdict(Counter)
    for row in distinct.itertuples():
        training[str(row.compound)][str(row.owner)] += 1
    held: dict[str, set[str]] = defaultdict(set)
    fold_of = {}
    for owner, some in distinct.groupby("owner", sort=True):
        keys = zip(some["compound"], some["context"], strict=True)
        room = {fold: int(share * len(some)) for fold, share in ((VALIDATION, shares.validation), (TEST, shares.test))}
        for compound, context in sorted(keys, key=lambda pair: rank(seed, owner, *pair)):
            fold = _side(compound, shares, seed)
            if room[fold] and _may_go(str(owner), training[compound], held[compound]):
                room[fold] -= 1
                fold_of[owner, compound, context] = fold
    members = zip(owners, compounds, contexts, strict=True)
    return [fold_of.get(pair, TRAIN) for pair in members]


def _side(compound: str, shares: Shares, seed: int) -> str:
    drawn = int.from_bytes(rank(seed, "side", compound)[:8], "big") / 2**64
    return VALIDATION if drawn * (shares.validation + shares.test) < shares.validation else TEST


def _may_go(owner: str, training: Counter[str], held: set[str]) -> bool:
    """Hold a pair of the compound out of `owner`, if each dataset that holds some out leaves another that trains."""
    left = {group for group, n in training.items() if n - (group == owner) > 0}
    if not all(left - {group} for group in held | {owner}):
        return False
    training[owner] -= 1
    held.add(owner)
    return True
