"""From scores of conditions to the numbers of an evaluation: means, intervals over compounds, win rates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from pbdb.learn.models.methods import MEAN
from pbdb.matches.statistics import intervals

ALL = "all"
SIMPLE = (MEAN, "zero", "same compound elsewhere", "nearest structures", "structure ridge", "consensus and PCA")
# A positive difference is better: where smaller is better the sign is turned.
SMALLER_IS_BETTER = ("rmse", "mrrmse", "mae")


def summarise(
    rows: pd.DataFrame, statistics: list[str], reference: str = MEAN, resamples: int = intervals.RESAMPLES
) -> pd.DataFrame:
    """Summarise rows of learner, repeat, dataset, compound, condition_id, is_common and statistics.

    For each data set, and all (every data set counts once): score, delta_ (paired difference to the reference, positive
    is better) and win_rate (share of conditions with the better score), the mean over repeats with a 95 % interval of
    compounds drawn anew; `_common` over the compounds every embedding covers, where coverage differs.
    """
    of_reference = rows[rows["learner"] == reference].set_index(["repeat", "condition_id"])
    found = []
    for learner, own in rows.groupby("learner", sort=False):
        other = of_reference.loc[pd.MultiIndex.from_frame(own[["repeat", "condition_id"]])]
        for statistic in statistics:
            sign = -1 if statistic in SMALLER_IS_BETTER else 1
            difference = sign * (own[statistic].to_numpy() - other[statistic].to_numpy())
            found += list(_quantities(str(learner), statistic, own, difference, reference, resamples))
    return pd.DataFrame(found)


def _quantities(
    learner: str, statistic: str, own: pd.DataFrame, difference: Any, reference: str, resamples: int
) -> Iterator[dict[str, object]]:
    values = {"score": own[statistic].to_numpy(dtype=np.float64)}
    if learner != reference:
        values[f"delta_{reference}"] = difference
        won = np.where(difference == 0, 0.5, (difference > 0).astype(float))
        values["win_rate"] = np.where(np.isnan(difference), np.nan, won)
    subsets = {"": np.ones(len(own), bool)}
    if not own["is_common"].all():
        subsets["_common"] = own["is_common"].to_numpy(dtype=bool)
    for ending, chosen in subsets.items():
        for quantity, numbers in values.items():
            for dataset in [*sorted(own["dataset"].unique()), ALL]:
                here = chosen & (True if dataset == ALL else (own["dataset"] == dataset).to_numpy())
                name = {
                    "evaluated_on": dataset,
                    "learner": learner,
                    "statistic": statistic,
                    "quantity": quantity + ending,
                }
                yield name | _number(own[here], numbers[here], name, resamples)


def _number(own: pd.DataFrame, values: Any, name: dict[str, str], resamples: int) -> dict[str, object]:
    codes = {column: np.unique(own[column], return_inverse=True)[1] for column in ("dataset", "repeat", "compound")}
    strata = codes["dataset"] * (codes["repeat"].max(initial=0) + 1) + codes["repeat"]
    seed = intervals.seed_of("evaluation", *name.values())
    found = intervals.clustered(values, codes["compound"], seed, strata, codes["dataset"], resamples)
    known = own[np.isfinite(values)]
    return {
        "n_test_conditions": known["condition_id"].nunique(),
        "n_test_compounds": known["compound"].nunique(),
        "n_repeats": known["repeat"].nunique(),
        "estimate": found.mean,
        "interval_low": found.low,
        "interval_high": found.high,
        "interval_status": found.status,
    }


def best_simple(summary: pd.DataFrame) -> str:
    """The method without a model whose mean skill over the data sets is highest."""
    rows = summary[(summary["statistic"] == "skill") & (summary["quantity"] == "score")]
    means = rows[(rows["evaluated_on"] == ALL) & rows["learner"].isin(SIMPLE)].set_index("learner")["estimate"]
    return str(means.idxmax())


def with_best_simple(rows: pd.DataFrame, summary: pd.DataFrame) -> pd.DataFrame:
    """Add the models' paired differences in skill to the best method without a model."""
    best = best_simple(summary)
    if best == MEAN:
        return summary
    others = rows[~rows["learner"].isin(set(SIMPLE) - {best})]
    against = summarise(others, ["skill"], best)
    return pd.concat([summary, against[against["quantity"].str.startswith("delta_")]], ignore_index=True)


def headline(summary: pd.DataFrame, statistic: str = "skill", quantity: str = "score") -> pd.DataFrame:
    """One statistic as a table of methods by data sets."""
    rows = summary[(summary["statistic"] == statistic) & (summary["quantity"] == quantity)]
    return rows.pivot(index="learner", columns="evaluated_on", values="estimate")
