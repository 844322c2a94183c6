"""The summaries of agreement that a person asks for: one statistic, some data sets, one level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pbdb.common.errors import ConfigError, QueryError
from pbdb.common.settings import Settings
from pbdb.query import database

Table = tuple[list[str], list[tuple[Any, ...]]]


def read(
    settings: Settings,
    metric: str,
    *,
    quantity: str | None = None,
    level: str | None = None,
    datasets: Sequence[str] = (),
) -> Table:
    """Read a statistic of pairs of data sets, with its means over centroids and peers, as columns and rows.

    quantity: only this one. datasets: pairs that hold it, or, where two are given, that pair.

    Raises:
        QueryError: nothing of the kind is stored; the sentence says what there is.
    """
    if len(datasets) > 2:
        raise ConfigError(f"{len(datasets)} data sets make no pair: give one or two.")
    parameters = {"metric": metric, "quantity": quantity, "level": level, "datasets": list(datasets)}
    db = database.connect(settings)
    with db.rows(_SUMMARY, parameters) as (columns, rows):
        table = list(columns), list(rows)
    if not table[1]:
        raise QueryError(_refusal(db, metric, quantity, level, datasets))
    return table


def _refusal(
    db: database.Database, metric: str, quantity: str | None, level: str | None, datasets: Sequence[str]
) -> str:
    """Say which of what was asked for is not there."""
    metrics = _names(db, "SELECT DISTINCT metric FROM agreement_summary ORDER BY 1")
    if not metrics:
        return "No agreement is stored: run `pbdb agreement run`."
    if metric not in metrics:
        return f"No agreement by '{metric}' is stored; there is: {', '.join(metrics)}."
    of_metric = "SELECT DISTINCT quantity FROM agreement_summary WHERE metric = %(metric)s ORDER BY 1"
    quantities = _names(db, of_metric, {"metric": metric})
    if quantity is not None and quantity not in quantities:
        return f"'{metric}' has no quantity '{quantity}'; it has: {', '.join(quantities)}."
    at_level = f" at level {level} (`pbdb agreement run --level {level}`)" if level else ""
    of_datasets = f" of {' and '.join(datasets)}" if datasets else ""
    named = _names(db, "SELECT dataset_a FROM agreement_summary UNION SELECT dataset_b FROM agreement_summary")
    sought = f"{of_datasets} by '{metric}'{at_level}"
    return f"No agreement{sought} is stored; there is of: {', '.join(sorted(named))}."


def _names(db: database.Database, query: str, parameters: Mapping[str, object] | None = None) -> list[str]:
    with db.rows(query, parameters) as (_, rows):
        return [str(name) for (name,) in rows]


_SUMMARY = """
SELECT dataset_a, dataset_b, inchikey_level, quantity, mean, interval_low, interval_high, n_defined, n_compounds,
    interval_status, time_tolerance_h, dose_window
FROM pbdb.agreement_summary
WHERE metric = %(metric)s
    AND (quantity = %(quantity)s OR %(quantity)s::text IS NULL
        AND quantity ~ '^(score|normalised_rank|(source|target)_(centroid|peer|peer_mean))$')
    AND (%(level)s::text IS NULL OR inchikey_level = %(level)s)
    AND %(datasets)s::text[] <@ ARRAY[dataset_a, dataset_b]
ORDER BY 1, 2, 3, time_tolerance_h, quantity NOT IN ('score', 'normalised_rank'), quantity"""
