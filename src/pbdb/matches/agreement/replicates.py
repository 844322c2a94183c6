"""Agreement between replicates of one condition: how far one dataset agrees with itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pbdb.common.errors import DataError
from pbdb.common.ids import stable_id
from pbdb.common.rows import Row
from pbdb.common.settings import Settings
from pbdb.common.version import __version__
from pbdb.matches.agreement import inputs as agreement_inputs
from pbdb.matches.agreement.inputs import SIDE_KEY, Connection, Pools, rows_at_once
from pbdb.matches.agreement.replicate_retrieval import retrieve_replicates, summarise_replicates
from pbdb.matches.agreement.summaries import summary_row
from pbdb.matches.statistics import stratum
from pbdb.matches.statistics.peers import DEFAULT_CAP, FACTS, SEED, peers_of
from pbdb.matches.statistics.stratum import Result
from pbdb.server import connect

LEVEL = "parent_inchikey"
ROWS_AT_ONCE = 50_000
QUANTITIES = ("score", "source_centroid", "source_peer_mean", "source_peer_below", "source_peer_percentile")
DELTAS = {"delta_source_centroid": "source_centroid", "delta_source_peer": "source_peer_mean"}


def run(
    settings: Settings, datasets: Sequence[str] = (), peers: int = DEFAULT_CAP, seed: int = SEED
) -> dict[str, dict[str, int]]:
    """Compute replicate agreement of datasets (all that have replicate-mode effects), replacing what was there.

    A condition's n replicates make n pairs (i, i + 1; two make one), its score is the mean over them.

    Raises:
        DataError: a dataset has no condition with two replicate effects, or was loaded anew meanwhile.
    """
    done = {}
    with connect.connect(settings, autocommit=True) as connection:
        rows = connection.execute(_FITS, {"datasets": list(datasets) or None}).fetchall()
        for dataset in datasets or sorted({name for name, *_ in rows}):
            fits = [int(fit) for name, fit in rows if name == dataset]
            done[dataset] = _dataset(connection, dataset, fits, peers, seed)
    if not done:
        raise DataError(
            "No data set has effects of single replicates: run `pbdb effects run DATASET --mode replicate`."
        )
    return done


def _dataset(connection: Connection, dataset: str, fits: list[int], peers: int, seed: int) -> dict[str, int]:
    effects = agreement_inputs.read_effects(connection, fits, LEVEL)
    pairs = _pairs(effects)
    if pairs.empty:
        raise DataError(
            f"Dataset '{dataset}' has no condition with two replicate effects: run"
            f" `pbdb effects run {dataset} --mode replicate`.",
            dataset=dataset,
        )
    number = int(effects["dataset_id"].iloc[0])
    prints = agreement_inputs.read_prints(connection, [number])
    genes = agreement_inputs.read_genes(connection, fits)
    pools = Pools(connection, effects, genes, peers, seed)
    table = pd.concat(list(_scored(pools, pairs, genes, peers)), ignore_index=True)
    parameters = {"mode": "replicate", "peers": peers, "seed": seed, "level": LEVEL, "fit_ids": sorted(fits)}
    parameters["fits"] = agreement_inputs.read_fit_facts(connection, fits)
    key = stable_id("agreement parameters", json.dumps(parameters, sort_keys=True))
    common = _common(number, parameters, key)
    summaries = _summaries(table, pairs, common)
    queries = retrieve_replicates(connection, effects)
    n_conditions = {"n_matches": queries["condition_id"].nunique()}
    summaries += summarise_replicates(queries, common | n_conditions)
    table = table.assign(dataset_id=number, parameters_id=key)
    _replace(connection, number, table, pd.DataFrame(summaries), prints)
    return {"conditions": int(pairs["condition_id"].nunique()), "pairs": len(pairs), "summaries": len(summaries)}


def _pairs(effects: pd.DataFrame) -> pd.DataFrame:
    """The cyclic pairs of replicates of each condition: one of two, n of n."""
    rows = effects.sort_values(["fit_id", "condition_id", "effect_id"])
    group = rows.groupby(["fit_id", "condition_id"])["effect_id"]
    size, place = group.transform("size"), group.cumcount()
    following = group.shift(-1).fillna(group.transform("first"))
    kept = (size > 2) | ((size == 2) & (place == 0))
    return rows[kept].assign(partner=following[kept].astype("int64"))


def _scored(pools: Pools, pairs: pd.DataFrame, genes: dict[int, Any], cap: int) -> Iterator[pd.DataFrame]:
    """Scores by condition and metric, pool by pool."""
    matched = np.unique(pairs[["effect_id", "partner"]].to_numpy(dtype=np.int64))
    for key, rows in pairs.groupby(list(SIDE_KEY), sort=True):
        fit_id, time_h, dose_fm = _key(key)
        pool = pools.pool((fit_id, time_h, dose_fm), matched)
        columns = np.arange(len(genes[fit_id]))
        peers = pool.peers_at(columns)
        for block in _blocks(rows, rows_at_once(len(peers), len(columns))):
            compound = np.array([pools.numbers[key] for key in block["compound_key"]], dtype=np.int64)
            a, b = (
                pool.side(block[name].to_numpy(dtype=np.int64), compound, columns, peers, of_finite=True)
                for name in ("effect_id", "partner")
            )
            capped = peers_of(compound, a.peer_compound, cap).sum(axis=1) < a.n_pool
            for result in stratum.score(a, b, compound, cap, same_pool=True):
                yield _by_condition(block, result, capped)


def _blocks(pairs: pd.DataFrame, step: int) -> Iterator[pd.DataFrame]:
    """Blocks of about `step` pairs; those of a condition stay together, for its score is their mean."""
    place = pd.Series(np.arange(len(pairs)), index=pairs.index)
    number = place.groupby(pairs["condition_id"]).transform("min") // step
    return (block for _, block in pairs.groupby(number, sort=True))


def _key(key: Any) -> tuple[int, float, int]:
    return int(key[0]), float(key[1]), int(key[2])


def _by_condition(block: pd.DataFrame, result: Result, capped: Any) -> pd.DataFrame:
    columns = {
        "condition_id": block["condition_id"].to_numpy(),
        "score": result.score,
        "n": result.n,
        "source_centroid": result.source.centroid,
        "n_source_centroid": result.source.n_pool,
        **{f"source_peer_{what}": getattr(result.source.peers, what) for what in FACTS},
        "n_source_peers": result.source.peers.n,
        "is_capped": capped,
    }
    table = pd.DataFrame(columns).groupby("condition_id", sort=True)
    counts = ("n", "n_source_centroid", "n_source_peers")
    means = table.mean().assign(n_pairs=table.size(), metric=result.metric, is_capped=table["is_capped"].any())
    return means.astype(dict.fromkeys(counts, "int64")).reset_index()


def _common(dataset: int, parameters: Row, key: int) -> Row:
    """What all summaries of a dataset say."""
    common = {"dataset_id_a": dataset, "dataset_id_b": dataset, "inchikey_level": LEVEL, "time_tolerance_h": 0.0}
    return common | {"dose_window": 1.0, "parameters_id": key, "parameters": parameters, "code_version": __version__}


def _summaries(table: pd.DataFrame, pairs: pd.DataFrame, common: Row) -> list[Row]:
    about = pairs.drop_duplicates("condition_id").set_index("condition_id")[["fit_id", "time_h", "compound_key"]]
    joined = table.join(about, on="condition_id")
    for delta, baseline in DELTAS.items():
        joined[delta] = joined["score"] - joined[baseline]
    rows = []
    for metric, part in joined.groupby("metric", sort=True):
        for quantity in (*QUANTITIES, *DELTAS):
            units = part.groupby(["fit_id", "time_h", "compound_key"], sort=True)[quantity].mean().reset_index()
            compound = pd.factorize(units["compound_key"])[0].astype(np.int64)
            counted = {"n_matches": len(part), "n_defined": int(part[quantity].notna().sum())}
            values = units[quantity].to_numpy(dtype=np.float64)
            rows.append(summary_row(common, str(metric), quantity, values, compound) | counted)
    return rows


def _replace(
    connection: Connection, dataset: int, table: pd.DataFrame, summaries: pd.DataFrame, prints: list[Any]
) -> None:
    written = summaries.assign(parameters=[json.dumps(parameters) for parameters in summaries["parameters"]])
    with connection.transaction():
        agreement_inputs.require_unchanged(connection, [dataset], prints)
        connection.execute("DELETE FROM core.replicate_agreement WHERE dataset_id = %s", [dataset])
        connection.execute(
            "DELETE FROM core.agreement_summary WHERE dataset_id_a = %s AND dataset_id_b = dataset_id_a", [dataset]
        )
        for name, frame in (("replicate_agreement", table), ("agreement_summary", written)):
            command = f"COPY core.{name} ({', '.join(frame.columns)}) FROM STDIN (FORMAT csv, NULL '')"
            with connection.cursor().copy(command.encode()) as copy:
                for start in range(0, len(frame), ROWS_AT_ONCE):
                    copy.write(frame.iloc[start : start + ROWS_AT_ONCE].to_csv(index=False, header=False))


# Of several replicate-mode fits of one context the newest counts.
_FITS = """
SELECT DISTINCT ON (d.dataset, f.context_id, f.stratum) d.dataset, f.fit_id
FROM core.fit f JOIN core.dataset d USING (dataset_id)
WHERE f.mode = 'replicate' AND (%(datasets)s::text[] IS NULL OR d.dataset = ANY(%(datasets)s))
ORDER BY d.dataset, f.context_id, f.stratum, f.created_at DESC, f.fit_id"""
