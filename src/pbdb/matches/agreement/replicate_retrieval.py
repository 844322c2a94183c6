"""Retrieval between replicates: does a well find the other wells of its condition among all of its context?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb.common.rows import Row
from pbdb.matches.agreement import inputs as agreement_inputs
from pbdb.matches.agreement.inputs import Connection
from pbdb.matches.agreement.retrieval import KINDS, QUERIES_AT_ONCE, quantities_of
from pbdb.matches.agreement.summaries import summary_row
from pbdb.matches.statistics import retrieval
from pbdb.matches.statistics.ranks import average_ranks, unit_rows

FEWEST_COMPOUNDS = 10
ROWS_AT_ONCE = 2000
ABOUT = ("metric", "stratum", "compound", "condition_id")
Values = npt.NDArray[np.float32]


def retrieve_replicates(connection: Connection, effects: pd.DataFrame) -> pd.DataFrame:
    """Judge every replicate as a query among the other wells of its context and time: a row for each and metric.

    effects: as `agreement_data.read_effects` gives them. Positives are the other replicates of the condition, the
    query itself is no candidate. By log2 fold change; strata of fewer than ten compounds are left out.
    """
    groups = effects.sort_values("effect_id").groupby(["fit_id", "time_h"], sort=True)
    parts = [part for _, rows in groups for part in _stratum(connection, rows)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(ABOUT))


def summarise_replicates(queries: pd.DataFrame, common: Row) -> list[Row]:
    """Mean over strata of means over conditions, with intervals, as rows of agreement_summary."""
    rows = []
    for metric, part in queries.groupby("metric", sort=True):
        names = [name for name in part.columns if name not in ABOUT]
        means = part.groupby(["stratum", "compound", "condition_id"], sort=True)[names].mean().reset_index()
        compound, stratum = (pd.factorize(means[name])[0].astype(np.int64) for name in ("compound", "stratum"))
        rows += [
            summary_row(common, str(metric), name, means[name].to_numpy(np.float64), compound, stratum)
            for name in names
        ]
    return rows


def _stratum(connection: Connection, rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    first = rows.iloc[0]
    fit_id = int(first["fit_id"])
    ids = rows["effect_id"].to_numpy(dtype=np.int64)
    n_genes = len(agreement_inputs.read_genes(connection, [fit_id])[fit_id])
    values = np.empty((len(ids), n_genes), dtype=np.float32)
    for block, arrays in agreement_inputs.read_arrays(connection, int(first["dataset_id"]), ids, n_genes):
        values[block] = arrays[0]
    values, kept = _complete(values)
    rows = rows[kept].assign(stratum=f"{fit_id} {first['time_h']}")
    if rows["compound_key"].nunique() >= FEWEST_COMPOUNDS:
        yield from _judged(values, rows)


def _complete(values: Values) -> tuple[Values, npt.NDArray[np.bool_]]:
    """Leave out genes that are missing in most rows, then rows that miss a gene or are constant; and say which stay."""
    finite = np.isfinite(values)
    genes = finite.mean(axis=0) > 0.5
    values = values if genes.all() else values[:, genes]
    rows = np.asarray((finite | ~genes).all(axis=1) & (values != values[:, :1]).any(axis=1))
    return values if rows.all() else values[rows], rows


def _judged(values: Values, rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    condition = rows["condition_id"].to_numpy()
    about = rows[["stratum", "compound_key", "condition_id"]].rename(columns={"compound_key": "compound"})
    for kind in KINDS:
        ready = _ranked(values) if kind == "spearman" else values
        for start in range(0, len(rows), QUERIES_AT_ONCE):
            asked = np.arange(start, min(start + QUERIES_AT_ONCE, len(rows)))
            candidate = np.ones((len(asked), len(rows)), dtype=bool)
            candidate[np.arange(len(asked)), asked] = False
            similar = _similarity(ready, asked, kind)
            judged = retrieval.retrieve(similar, condition[asked][:, None] == condition[None, :], candidate)
            yield about.iloc[asked].reset_index(drop=True).assign(metric=f"retrieval_{kind}", **quantities_of(judged))


def _ranked(values: Values) -> Values:
    """Ranks within each row: halves, which single precision holds exactly."""
    ranks = np.empty_like(values)
    for start in range(0, len(values), ROWS_AT_ONCE):
        ranks[start : start + ROWS_AT_ONCE] = average_ranks(values[start : start + ROWS_AT_ONCE])
    return ranks


def _similarity(values: Values, asked: npt.NDArray[np.intp], kind: str) -> npt.NDArray[np.float64]:
    """Similarity of queries with all rows; rows of double precision, which `similarity` needs, are made by blocks."""

    def prepared(rows: Values) -> npt.NDArray[np.float64]:
        return unit_rows(rows, "pearson") if kind == "spearman" else retrieval.prepared(rows, kind)

    queries = prepared(values[asked])
    blocks = [
        retrieval.similarity(queries, prepared(values[start : start + ROWS_AT_ONCE]), kind)
        for start in range(0, len(values), ROWS_AT_ONCE)
    ]
    return np.concatenate(blocks, axis=1)
