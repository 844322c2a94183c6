"""Refusals: a held-out compound that a method could have seen makes every number of an evaluation worthless."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from pbdb.common.errors import DataError
from pbdb.learn.folds import FoldNames
from pbdb.learn.model_files import ModelManifest

N_EXAMPLES = 3


def compound_keys(conditions: pd.DataFrame) -> pd.Series[Any]:
    """Skeleton of each condition's compound: salts and stereoisomers are one; the name where it is unresolved."""
    return conditions["skeleton"].where(conditions["skeleton"].notna(), "name:" + conditions["name"])


def refuse_leaks(conditions: pd.DataFrame, folds: FoldNames, task: str) -> None:
    """Refuse a split that trains on what it tests.

    In task transfer a compound held out of a dataset may not train in it, nor in one that shares its wells; in every
    other task it may not train anywhere.

    Raises:
        DataError: some compound does; the sentence names examples.
    """
    unit = conditions["owner"] if task == "transfer" else pd.Series("all", index=conditions.index)
    keys = pd.DataFrame({"unit": unit.to_numpy(), "compound": compound_keys(conditions).to_numpy(), "fold": folds})
    keys["name"] = conditions["compound_name"].to_numpy()
    training = keys.loc[keys["fold"] == "train", ["unit", "compound"]].drop_duplicates()
    held = keys[keys["fold"].isin(["validation", "test"])]
    both = held.merge(training, on=["unit", "compound"])
    if len(both):
        shown = ", ".join(both["name"].drop_duplicates().head(N_EXAMPLES))
        raise DataError(
            f"The split leaks: {both['compound'].nunique():,} held-out compounds also train ({shown}; salts and"
            " stereoisomers count as one compound). Make a split with `pbdb split make --level skeleton`."
        )


def refuse_seen(
    name: str, conditions: pd.DataFrame, tested: Sequence[bool], manifest: ModelManifest, held_out: pd.DataFrame
) -> None:
    """Refuse a model of pbdb that learned from conditions it is tested on.

    Raises:
        DataError: it learned from the data set, and did not hold the compound out of it.
    """
    rows = conditions.assign(key=compound_keys(conditions))[list(tested)]
    groups = manifest["overlap_groups"]
    owners = {groups[dataset] for dataset in manifest["datasets"]}
    rows = rows[rows["owner"].isin(owners)]
    held = held_out.assign(key=compound_keys(held_out), owner=held_out["dataset"].map(groups))
    pairs = set(map(tuple, held[["owner", "key"]].to_numpy()))
    seen = rows[[pair not in pairs for pair in zip(rows["owner"], rows["key"], strict=True)]]
    if len(seen):
        example = seen.iloc[0]
        raise DataError(
            f"Model '{name}' learned from compounds it would be tested on ({seen['key'].nunique():,} of them, such as"
            f" '{example['compound_name']}' in {example['dataset']}): train it with --split and evaluate on that split."
        )
