"""Retrieval between replicates: does a well find the other wells of its condition among all of its context?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb import agreement_data
from pbdb.agreement import retrieval
from pbdb.agreement_data import Connection
from pbdb.agreement_retrieval import KINDS, QUERIES_AT_ONCE, quantities_of, summary_row

FEWEST_COMPOUNDS = 10
ABOUT = ("metric", "stratum", "compound", "condition_id")


def retrieve_replicates(connection: Connection, effects: pd.DataFrame) -> pd.DataFrame:
    """Judge every replicate as a query among the other wells of its context and time: a row for each and metric.

    effects: as `agreement_data.read_effects` gives them. Positives are the other replicates of the condition, the
    query itself is no candidate. By log2 fold change; strata of fewer than ten compounds are left out.
    """
    groups = effects.sort_values("effect_id").groupby(["fit_id", "time_h"], sort=True)
    large = (rows for _, rows in groups if rows["compound_key"].nunique() >= FEWEST_COMPOUNDS)
    found = [part for rows in large for part in _stratum(connection, rows)]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(ABOUT))


def summarise_replicates(queries: pd.DataFrame, dataset: int, common: dict[str, Any]) -> list[dict[str, Any]]:
    """Mean over strata of means over conditions, with intervals, as rows of agreement_summary."""
    rows = []
    for metric, part in queries.groupby("metric", sort=True):
        names = [name for name in part.columns if name not in ABOUT]
        means = part.groupby(["stratum", "compound", "condition_id"], sort=True)[names].mean().reset_index()
        compound, stratum = (pd.factorize(means[name])[0].astype(np.int64) for name in ("compound", "stratum"))
        codes = [compound, stratum, np.zeros_like(stratum)]
        pair = (dataset, dataset)
        rows += [
            summary_row(common, pair, str(metric), name, means[name].to_numpy(np.float64), codes) for name in names
        ]
    return rows


def _stratum(connection: Connection, rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    first = rows.iloc[0]
    fit_id = int(first["fit_id"])
    ids = rows["effect_id"].to_numpy(dtype=np.int64)
    n_genes = len(agreement_data.read_genes(connection, [fit_id])[fit_id])
    blocks = agreement_data.read_arrays(connection, int(first["dataset_id"]), ids, n_genes)
    values: npt.NDArray[np.float32] = np.concatenate([arrays[0] for _, arrays in blocks])
    values, kept = _complete(values)
    yield from _judged(values, rows[kept].assign(stratum=f"{fit_id} {first['time_h']}"))


def _complete(values: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Leave out genes that are missing in most rows, then rows with a missing gene; also return which rows stay."""
    finite = np.isfinite(values)
    genes = finite.mean(axis=0) > 0.5
    rows = np.asarray(finite[:, genes].all(axis=1))
    return values[np.ix_(rows, genes)], rows


def _judged(values: npt.NDArray[np.float32], rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    condition = rows["condition_id"].to_numpy()
    about = rows[["stratum", "compound_key", "condition_id"]].rename(columns={"compound_key": "compound"})
    for kind in KINDS:
        prepared = retrieval.prepared(values, kind)
        for start in range(0, len(rows), QUERIES_AT_ONCE):
            asked = np.arange(start, min(start + QUERIES_AT_ONCE, len(rows)))
            candidate = np.ones((len(asked), len(rows)), dtype=bool)
            candidate[np.arange(len(asked)), asked] = False
            found = retrieval.similarity(prepared[asked], prepared, kind)
            judged = retrieval.retrieve(found, condition[asked][:, None] == condition[None, :], candidate)
            yield about.iloc[asked].reset_index(drop=True).assign(metric=f"retrieval_{kind}", **quantities_of(judged))
