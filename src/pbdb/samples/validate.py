"""Checks of canonical samples before anything is loaded: all violations are collected, then shown together."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from pbdb.common.errors import InvalidDataError, Violation
from pbdb.sources.declaration import Readout

Rule = Callable[[pd.DataFrame], "pd.Series[bool]"]

RULES: tuple[tuple[str, str, Rule], ...] = (
    ("source_sample", "must not be empty", lambda s: s["source_sample"].isna()),
    ("source_sample", "must be unique", lambda s: s["source_sample"].duplicated(keep=False)),
    ("plate", "must not be empty", lambda s: s["plate"].isna()),
    ("compound", "must not be empty where no flag says why", lambda s: s["compound"].isna() & ~s["flags"].astype(bool)),
    ("n_cells", "must not be negative", lambda s: s["n_cells"] < 0),
    ("time_h", "must not be empty for a condition", lambda s: s["has_condition"] & s["time_h"].isna()),
    ("dose", "must be above 0 for a treated sample", lambda s: s["in_fit"] & ~s["is_vehicle"] & (s["dose_fm"] == 0)),
)
COUNT_RULES: tuple[tuple[str, str, Rule], ...] = (
    ("n_counts", "must be above 0 for a sample in the fit", lambda s: s["in_fit"] & (s["n_counts"] == 0)),
)


def check(what: str, samples: pd.DataFrame, readout: Readout, unknown_compounds: list[str]) -> None:
    """Check the canonical samples of a dataset.

    Raises:
        InvalidDataError: with every broken rule, the rows it concerns and three examples.
    """
    rules = RULES + COUNT_RULES if readout == "counts" else RULES
    violations = [violation for rule in rules if (violation := _violation(samples, *rule))]
    if unknown_compounds:
        violations.append(
            Violation("compound", "must be in the compound table", len(unknown_compounds), tuple(unknown_compounds[:3]))
        )
    if not (samples["is_vehicle"] & samples["in_fit"]).any():
        violations.append(
            Violation("is_vehicle", "needs at least one vehicle sample that no flag excludes", len(samples))
        )
    if violations:
        raise InvalidDataError(what, violations)


def _violation(samples: pd.DataFrame, where: str, rule: str, broken: Rule) -> Violation | None:
    rows = broken(samples).fillna(False).astype(bool)
    if not rows.any():
        return None
    examples = samples.loc[rows, "source_sample"].astype(str).head(3)
    return Violation(where, rule, int(rows.sum()), tuple(examples))
