"""Rows against the specification: ids against natural keys, counts against the ledger, tables against each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import pandas as pd

from pbdb.common.rows import Row
from pbdb.loading.verification.differences import Differences
from pbdb.loading.verification.tables import NATURAL_KEYS, Loaded

ID_BITS = 52
PUBLISH = ("load", "publish")  # what the stage was called, and what it is called


def key_of(table: str, parts: Sequence[object]) -> int:
    """The first 52 bits of SHA-256 over the JSON array [table, part, ...]; a whole float counts as an integer."""
    text = json.dumps([table, *map(_plain, parts)], separators=(",", ":"))
    return int(hashlib.sha256(text.encode()).hexdigest()[: ID_BITS // 4], 16)


def _plain(part: object) -> object:
    return int(part) if isinstance(part, float) and part.is_integer() else part


def check_ids(loaded: Loaded, differences: Differences) -> int:
    """Compute every id of the dataset from its row's natural key; return how many."""
    n = 0
    for table in NATURAL_KEYS:
        rows = loaded.natural_keys(table)
        wrong = [row for row in rows if row[0] != key_of(table, row[1:])]
        if wrong:
            key, *parts = wrong[0]
            differences.add("ids", f"{table} {key}: {key_of(table, parts)} by its natural key {parts}", len(wrong))
        n += len(rows)
    return n


def check_samples(loaded: Loaded, differences: Differences) -> dict[str, int]:
    """Samples and conditions against the ledger and against each other; return how many there are."""
    samples, conditions = loaded.table("sample"), loaded.table("condition")
    entries = _entries(loaded)
    for stage in entries.keys() & {"validate", *PUBLISH}:
        differences.expect(
            "samples", "samples", len(samples), entries[stage]["rows_out"], f"stage {stage} of the ledger"
        )
    if "validate" in entries:
        expected = entries["validate"]["report"].get("conditions")
        differences.expect("conditions", "conditions", len(conditions), expected, "stage validate of the ledger")
    _check_conditions(samples, conditions, differences)
    return {"samples": len(samples), "conditions": len(conditions)}


def _entries(loaded: Loaded) -> dict[str, Row]:
    """The last entry of each stage up to the last publish of what is loaded; a later load may have been stopped."""
    ledger, dataset = loaded.table("ledger"), loaded.table("dataset")
    ledger = ledger[ledger["fingerprint"] == dataset["fingerprint"].iloc[0]]
    published = ledger.loc[ledger["stage"].isin(PUBLISH), "etl_run_id"]
    before = ledger[ledger["etl_run_id"] <= (published.max() if len(published) else -1)]
    return {str(row["stage"]): row for row in before.to_dict("records")}


def _check_conditions(samples: pd.DataFrame, conditions: pd.DataFrame, differences: Differences) -> None:
    """What a condition says must be what its samples say."""
    with_condition = samples[samples["condition_id"].notna()].astype({"condition_id": "int64"})
    n_samples = with_condition.groupby("condition_id").size()
    table = conditions.set_index("condition_id")
    for key, n in table["n_samples"].items():
        differences.expect("n_samples", f"condition {key}", int(n), int(n_samples.get(key, 0)), "table sample")
    differences.add_all(
        "conditions", [f"condition {key} of a sample is in no row" for key in n_samples.index.difference(table.index)]
    )
    both = with_condition.join(table, on="condition_id", rsuffix="_of_condition", how="inner")
    for name in ("context_id", "time_h", "stratum", "is_vehicle"):
        of_sample, of_condition = both[name], both[f"{name}_of_condition"]
        wrong = both[~((of_sample == of_condition) | (of_sample.isna() & of_condition.isna()))]
        if len(wrong):
            first = wrong.iloc[0]
            where, by = f"{name} of condition {first['condition_id']}", f"its sample {first['sample_id']}"
            differences.differ("conditions", where, first[f"{name}_of_condition"], first[name], by, len(wrong))


def check_effect_counts(loaded: Loaded, statuses: dict[str, int], differences: Differences) -> None:
    """Effects of the default fits, by status, against the ledger."""
    entry = _entries(loaded).get("effects")
    if entry is None or loaded.table("dataset")["effects_fingerprint"].iloc[0] is None:
        return
    expected = {"ok": entry["rows_out"], **entry["dropped"]}
    for status in expected.keys() | statuses.keys():
        differences.expect(
            "effects",
            f"default effects of status {status}",
            statuses.get(status, 0),
            expected.get(status, 0),
            "stage effects of the ledger",
        )


def check_signatures(loaded: Loaded, differences: Differences) -> None:
    """What search compares, against the effects."""
    for key in loaded.signatures_astray():
        differences.add("signatures", f"effect {key} has another signature in table signature, or is missing there")
