"""The summaries of agreement that a person asks for: one statistic, some data sets, one level."""

from __future__ import annotations

from collections.abc import Sequence
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
    given = {"metric": metric, "quantity": quantity, "level": level, "datasets": list(datasets)}
    found = database.connect(settings)
    with found.rows(_SUMMARY, given) as (columns, rows):
        table = list(columns), list(rows)
    if not table[1]:
        raise QueryError(_refusal(found, given))
    return table


def _refusal(found: database.Database, given: dict[str, Any]) -> str:
    """Say which of what was asked for is not there."""
    metrics = _names(found, "SELECT DISTINCT metric FROM agreement_summary ORDER BY 1", given)
    if not metrics:
        return "No agreement is stored: run `pbdb agreement run`."
    if given["metric"] not in metrics:
        return f"No agreement by '{given['metric']}' is stored; there is: {', '.join(metrics)}."
    of_metric = "SELECT DISTINCT quantity FROM agreement_summary WHERE metric = %(metric)s ORDER BY 1"
    quantities = _names(found, of_metric, given)
    if given["quantity"] is not None and given["quantity"] not in quantities:
        return f"'{given['metric']}' has no quantity '{given['quantity']}'; it has: {', '.join(quantities)}."
    level = f" at level {given['level']} (`pbdb agreement run --level {given['level']}`)" if given["level"] else ""
    of_datasets = f" of {' and '.join(given['datasets'])}" if given["datasets"] else ""
    named = _names(
        found, "SELECT dataset_a FROM agreement_summary UNION SELECT dataset_b FROM agreement_summary", given
    )
    return (
        f"No agreement{of_datasets} by '{given['metric']}'{level} is stored; there is of: {', '.join(sorted(named))}."
    )


def _names(found: database.Database, query: str, given: dict[str, Any]) -> list[str]:
    with found.rows(query, given) as (_, rows):
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
