"""What the comparison of two snapshots tells; every pair is the value before and after."""

from __future__ import annotations

from typing import TypedDict

Pairs = dict[str, list[object]]
"""Facts that differ, by name."""


class Changes(TypedDict):
    """Rows by key, and the facts that changed."""

    added: list[str]
    removed: list[str]
    changed: dict[str, Pairs]


class CompoundChanges(TypedDict):
    """Compounds by InChIKey; merged, split and changed as the datasets' own compounds resolve."""

    added: list[str]
    removed: list[str]
    merged: dict[str, list[str]]
    split: dict[str, list[str]]
    changed: dict[str, str]
    newly_resolved: int
    no_longer_resolved: int


class Counted(TypedDict):
    """How many, and a few of their ids."""

    n: int
    examples: list[int]


ByDataset = dict[str, dict[str, Counted]]
"""What was counted, by dataset and kind of change."""


class SchemaChanges(TypedDict):
    """Revision and views; tables; columns by table, those added, removed or of another type."""

    revision: list[str | None]
    views_changed: bool
    tables_added: list[str]
    tables_removed: list[str]
    columns: dict[str, Pairs]


class Difference(TypedDict):
    """What changed from one snapshot to another; `files`: other files counted, by folder and kind of change."""

    releases: list[str]
    is_same: bool
    datasets: Changes
    compounds: CompoundChanges
    conditions: ByDataset
    effects: ByDataset
    fits: Changes
    matches: Changes
    splits: Changes
    agreements: Changes
    genes: Pairs
    vocabularies: Changes
    schema: SchemaChanges
    tables: Changes
    samples: Changes
    files: dict[str, dict[str, int]]
