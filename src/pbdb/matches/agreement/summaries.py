"""Summaries of agreement: means over compounds, contexts and times for each pair of datasets, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import psycopg

from pbdb.common.ids import stable_id
from pbdb.common.progress import Progress
from pbdb.common.rows import Row
from pbdb.matches.statistics.intervals import clustered, seed_of

Connection = psycopg.Connection[Any]
Ids = npt.NDArray[np.int64]
BASELINES = {
    "source_centroid": "source_centroid",
    "target_centroid": "target_centroid",
    "source_peer": "source_peer_mean",
    "target_peer": "target_peer_mean",
}
# What is averaged, as SQL over the staged results.
QUANTITIES = (
    {"score": "score"}
    | {column: column for column in BASELINES.values()}
    | {f"delta_{name}": f"score - {column}" for name, column in BASELINES.items()}
    | {
        f"{side}_peer_{what}": f"{side}_peer_{what}"
        for side in ("source", "target")
        for what in ("below", "percentile")
    }
)


def summarise_matches(connection: Connection, common: dict[tuple[int, int], Row], progress: Progress) -> list[Row]:
    """Summarise the staged results (temporary view `found`) as rows of agreement_summary.

    First the mean over the matches of a compound in a context at a time, then over those units; compounds are
    resampled. common: what all rows of a pair of datasets say.
    """
    rows = []
    for done, ((a, b), about) in enumerate(sorted(common.items())):
        for metric, part in _units(connection, a, b).groupby("metric", sort=True):
            rows += [_row(about, str(metric), part, quantity) for quantity in QUANTITIES]
        progress("intervals", done + 1, len(common))
    return rows


def _units(connection: Connection, a: int, b: int) -> pd.DataFrame:
    """Means of the defined values by metric, context, times and compound, with their numbers."""
    with connection.cursor() as cursor:
        cursor.execute(_UNITS, [a, b])
        names = [column.name for column in cursor.description or ()]
        units = pd.DataFrame(cursor.fetchall(), columns=names)
    return units.astype(dict.fromkeys(QUANTITIES, "float64"))


def _row(common: Row, metric: str, units: pd.DataFrame, quantity: str) -> Row:
    values = units[quantity].to_numpy(dtype=np.float64)
    known = np.isfinite(values)
    compound = pd.factorize(units["compound_key"].to_numpy()[known])[0].astype(np.int64)
    row = summary_row(common, metric, quantity, values[known], compound)
    return row | {"n_defined": int(units[f"n_{quantity}"].sum())}


def summary_row(
    common: Row,
    metric: str,
    quantity: str,
    values: npt.NDArray[np.float64],
    compound: Ids,
    inner: Ids | None = None,
    outer: Ids | None = None,
) -> Row:
    """Make a row of agreement_summary from the values of units, NaN where undefined.

    common: what all rows of a pair of datasets say; compound, inner, outer: as for `intervals.clustered`.
    """
    name = (common["dataset_id_a"], common["dataset_id_b"], metric, quantity)
    interval = clustered(values, compound, seed_of(*name), inner, outer)
    n = int(np.isfinite(values).sum())
    return common | {
        "agreement_summary_id": stable_id("agreement_summary", common["parameters_id"], *name),
        "metric": metric,
        "quantity": quantity,
        "n_defined": n,
        "n_units": n,
        "n_compounds": interval.n_clusters,
        "mean": interval.mean,
        "interval_low": interval.low,
        "interval_high": interval.high,
        "interval_status": interval.status,
    }


_MEANS = ", ".join(f"avg({sql}) AS {name}, count({sql}) AS n_{name}" for name, sql in QUANTITIES.items())
_UNITS = f"""
SELECT metric, a.context_id, a.time_h AS time_h_a, b.time_h AS time_h_b, m.compound_key, {_MEANS}
FROM pg_temp.found
JOIN core.match m USING (match_id)
JOIN core.condition a ON a.condition_id = m.condition_id_a
JOIN core.condition b ON b.condition_id = m.condition_id_b
WHERE m.dataset_id_a = %s AND m.dataset_id_b = %s
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5"""
