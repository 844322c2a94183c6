"""Retrieval between datasets: does an effect find its matches among all matched effects of the other dataset?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb import agreement_data
from pbdb.agreement import retrieval
from pbdb.agreement.intervals import clustered, seed_of
from pbdb.agreement_data import Connection
from pbdb.ids import stable_id

KINDS = ("cosine", "spearman", "euclidean")
FEWEST_CANDIDATES = 5
FEWEST_COMPOUNDS = 2
QUERIES_AT_ONCE = 2000
STRATUM = ["fit_id_a", "fit_id_b", "time_h_a", "time_h_b"]
SIDES = (("a", "b"), ("b", "a"))
Ids = npt.NDArray[np.int64]


def retrieve_matches(connection: Connection, matches: pd.DataFrame) -> pd.DataFrame:
    """Judge every matched effect as a query, in both directions: one row for each query and kind of similarity.

    Candidates are the effects of the other dataset in the context at the time that have a match with any dataset;
    positives the query's own matches. All by log2 fold change over the genes of both fits.
    """
    return pd.concat([part for one in _contexts(matches) for part in _context(connection, one)] or [pd.DataFrame()])


def summarise_retrieval(queries: pd.DataFrame, common: dict[tuple[int, int], dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean over directions of means over contexts and times, with intervals, as rows of agreement_summary.

    common: what all rows of a pair of datasets say.
    """
    rows: list[dict[str, Any]] = []
    if queries.empty:
        return rows
    quantities = [name for name in queries.columns if name not in ("pair", "kind", "direction", "stratum", "compound")]
    for key, part in queries.groupby(["pair", "kind"], sort=True):
        pair, kind = _named(key)
        codes = {name: pd.factorize(part[name])[0].astype(np.int64) for name in ("compound", "stratum", "direction")}
        for quantity in quantities:
            name = (*pair, f"retrieval_{kind}", quantity)
            values = part[quantity].to_numpy(dtype=np.float64)
            found = clustered(values, codes["compound"], seed_of(*name), codes["stratum"], codes["direction"])
            n = int(np.isfinite(values).sum())
            about = common[pair]
            rows.append(
                about
                | {
                    "agreement_summary_id": stable_id("agreement_summary", about["parameters_id"], *name),
                    "metric": f"retrieval_{kind}",
                    "quantity": quantity,
                    "n_defined": n,
                    "n_units": n,
                    "n_compounds": found.n_clusters,
                    "mean": found.mean,
                    "interval_low": found.low,
                    "interval_high": found.high,
                    "interval_status": found.status,
                }
            )
    return rows


def _named(key: Any) -> tuple[tuple[int, int], str]:
    pair, kind = key
    return (int(pair[0]), int(pair[1])), str(kind)


def _contexts(matches: pd.DataFrame) -> Iterator[pd.DataFrame]:
    return (rows for _, rows in matches.groupby("context_id", sort=True))


def _context(connection: Connection, matches: pd.DataFrame) -> Iterator[pd.DataFrame]:
    fits = sorted({int(one) for side in "ab" for one in matches[f"fit_id_{side}"].unique()})
    genes = agreement_data.read_genes(connection, fits)
    taking_part = _taking_part(matches)
    for _, rows in matches.groupby(STRATUM, sort=True):
        first = rows.iloc[0]
        _, at_a, at_b = np.intersect1d(genes[first["fit_id_a"]], genes[first["fit_id_b"]], return_indices=True)
        columns = {"a": at_a, "b": at_b}
        pools = {side: taking_part[first[f"fit_id_{side}"], first[f"time_h_{side}"]] for side in "ab"}
        if any(_too_small(pool) for pool in pools.values()):
            continue
        values = {
            side: _read(connection, int(first[f"dataset_id_{side}"]), pools[side], len(genes[first[f"fit_id_{side}"]]))[
                :, columns[side]
            ]
            for side in "ab"
        }
        for query, target in SIDES:
            yield from _direction(rows, query, target, pools, values)


def _taking_part(matches: pd.DataFrame) -> dict[Any, pd.Series[Any]]:
    """Compound of each matched effect, by fit and time; effects ascending."""
    sides = [
        matches[[f"fit_id_{side}", f"time_h_{side}", f"effect_id_{side}", "compound_key"]].set_axis(
            ["fit_id", "time_h", "effect_id", "compound"], axis=1
        )
        for side in "ab"
    ]
    both = pd.concat(sides).drop_duplicates("effect_id").sort_values("effect_id")
    return {key: rows.set_index("effect_id")["compound"] for key, rows in both.groupby(["fit_id", "time_h"])}


def _too_small(pool: pd.Series[Any]) -> bool:
    return len(pool) < FEWEST_CANDIDATES or pool.nunique() < FEWEST_COMPOUNDS


def _read(connection: Connection, dataset: int, pool: pd.Series[Any], n_genes: int) -> npt.NDArray[np.float32]:
    ids = pool.index.to_numpy(dtype=np.int64)
    blocks = [arrays[0] for _, arrays in agreement_data.read_arrays(connection, dataset, ids, n_genes)]
    return np.concatenate(blocks)


def _direction(
    rows: pd.DataFrame, query: str, target: str, pools: dict[str, Any], values: dict[str, npt.NDArray[np.float32]]
) -> Iterator[pd.DataFrame]:
    """Every matched effect of one side as a query among the other side's; effects with a missing gene take no part."""
    whole = {side: np.asarray(np.isfinite(values[side]).all(axis=1)) for side in "ab"}
    place = {side: {int(one): row for row, one in enumerate(pools[side].index)} for side in "ab"}
    partners = rows.groupby(f"effect_id_{query}")[f"effect_id_{target}"].agg(list)
    asked = np.array([place[query][int(str(one))] for one in partners.index], dtype=np.intp)
    positive = np.zeros((len(asked), len(pools[target])), dtype=bool)
    for row, found in enumerate(partners):
        positive[row, [place[target][int(one)] for one in found]] = True
    first = rows.iloc[0]
    about = {
        "pair": [(int(first["dataset_id_a"]), int(first["dataset_id_b"]))] * len(asked),
        "direction": query,
        "stratum": f"{query} {first['context_id']} {first['time_h_a']} {first['time_h_b']}",
        "compound": pools[query].to_numpy()[asked],
    }
    kept = whole[query][asked]
    for kind in KINDS:
        parts = [
            _judged(values[query][asked[block]], values[target], positive[block], whole[target], kind)
            for block in np.array_split(np.flatnonzero(kept), max(1, -(-int(kept.sum()) // QUERIES_AT_ONCE)))
        ]
        yield pd.DataFrame(about)[kept].reset_index(drop=True).assign(kind=kind, **pd.concat(parts, ignore_index=True))


def _judged(
    queries: npt.NDArray[np.float32],
    candidates: npt.NDArray[np.float32],
    positive: npt.NDArray[np.bool_],
    whole: npt.NDArray[np.bool_],
    kind: str,
) -> pd.DataFrame:
    similar = retrieval.scores(queries, np.nan_to_num(candidates), kind)
    found = retrieval.retrieve(similar, positive, np.broadcast_to(whole, positive.shape))
    n, k = found.n_candidates, found.n_positives
    floor = np.where(np.isfinite(found.rank), retrieval.expected_normalised_rank(n, k), np.nan)
    recall_floor = np.where(np.isfinite(found.rank), k / np.maximum(n, 1), np.nan)
    return pd.DataFrame(
        {
            "normalised_rank": found.normalised_rank,
            "normalised_rank_floor": floor,
            "delta_normalised_rank_floor": found.normalised_rank - floor,
            "recall_1": found.recall_1,
            "recall_1_floor": recall_floor,
            "auroc": found.auroc,
            "mid_p": np.where(np.isfinite(found.rank), retrieval.mid_p(found.rank, n, k), np.nan),
        }
    )
