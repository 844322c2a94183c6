"""Which conditions train, validate and test: a stored split, or one drawn by a rule for this run."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb.common.errors import ConfigError, QueryError
from pbdb.learn.compendium_input import Loaded
from pbdb.learn.effects_of import EffectsOf
from pbdb.learn.models.problem import TEST, TRAIN, UNUSED, VALIDATION, Folds
from pbdb.learn.splits import rules, transfer
from pbdb.learn.splits.rules import Shares

CODES = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
TASKS = ("transfer", "compound", "scaffold")
# Compounds of one skeleton (salts, stereoisomers) are one: a model that knows one knows the others.
LEVEL = "skeleton"
TUNING = Shares(0.1, 0.0)

FoldNames = npt.NDArray[np.str_]


def stored(place: EffectsOf, name: str, loaded: Loaded) -> FoldNames:
    """The fold of each condition in a stored split; `unused` where it has none.

    Raises:
        QueryError: there is no such split, or it divides none of the conditions.
    """
    table = place.frame(_MEMBERS, {"split": name})
    if table.empty:
        raise QueryError(f"There is no split '{name}': `pbdb split list` shows them, `pbdb split make` makes one.")
    folds = loaded.conditions["condition_id"].map(table.set_index("condition_id")["fold"])
    if not folds.isin(CODES).any():
        raise QueryError(f"Split '{name}' divides none of the conditions to learn from: make one of these datasets.")
    return np.where(folds.isin(CODES), folds, "unused").astype(np.str_)


def drawn(task: str, conditions: pd.DataFrame, seed: int, shares: Shares | None = None) -> FoldNames:
    """Draw the folds of a task: transfer (new to its dataset), compound or scaffold (new to all).

    Raises:
        ConfigError: there is no such task, or there are too few groups.
    """
    if task not in TASKS:
        raise ConfigError(f"'{task}' is no task: choose {', '.join(TASKS)}.")
    held = shares or Shares(0.1, 0.1)
    scaffolds = _scaffolds(conditions) if task == "scaffold" else None
    groups = rules.compound_groups(conditions, LEVEL, scaffolds)
    if task == "transfer":
        return np.array(transfer.transfer(groups, conditions["owner"].tolist(), held, seed), dtype=np.str_)
    units = rules.compound_groups(conditions, LEVEL)
    return np.array(rules.by_group(groups, units, held, seed), dtype=np.str_)


def _scaffolds(conditions: pd.DataFrame) -> dict[str, str]:
    parents = conditions[["parent_inchikey", "parent_smiles"]].dropna().drop_duplicates("parent_inchikey")
    made = {key: rules.murcko(smiles) for key, smiles in parents.itertuples(index=False, name=None)}
    return {key: scaffold for key, scaffold in made.items() if scaffold}


def for_tuning(conditions: pd.DataFrame, seed: int) -> FoldNames:
    """Hold a tenth of the compounds that datasets share out for validation, or of all where none are shared."""
    folds = drawn("transfer", conditions, seed, TUNING)
    return folds if (folds == "validation").any() else drawn("compound", conditions, seed, TUNING)


def coded(loaded: Loaded, folds: FoldNames) -> list[Folds]:
    """Folds as codes, one array for each block."""
    codes: Any = pd.Series(folds).map(CODES).fillna(UNUSED).to_numpy(dtype=np.int8)
    return loaded.by_block(codes)


_MEMBERS = """
SELECT m.condition_id, m.fold FROM core.split_member m JOIN core.split s ON s.split_id = m.split_id
WHERE s.split = %(split)s"""
