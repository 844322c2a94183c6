"""Retrieval between datasets: does an effect find its matches among the effects of the other dataset?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb.common.arrays import Mask
from pbdb.common.rows import Row
from pbdb.matches.agreement import inputs as agreement_inputs
from pbdb.matches.agreement.inputs import Connection, fits_of
from pbdb.matches.agreement.population_z import Population
from pbdb.matches.agreement.summaries import summary_row
from pbdb.matches.statistics import retrieval

KINDS = ("cosine", "spearman", "euclidean")
FEWEST_CANDIDATES = 5
FEWEST_COMPOUNDS = 2
QUERIES_AT_ONCE = 1000
FOLD_SLACK = 1e-12
PANEL_FOLD = 10.0
STRATUM = ["fit_id_a", "fit_id_b", "time_h_a", "time_h_b"]
SIDES = (("a", "b"), ("b", "a"))
BASELINES = ("source_centroid", "target_centroid", "source_peer", "target_peer")
VARIANTS = ("_in_window", "_any_dose")
CONTROLS = ("normalised_rank", "normalised_rank_floor", "recall_1", "recall_1_floor")
ABOUT = ("pair", "metric", "direction", "stratum", "compound")
Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Pool:
    """Effects of one fit at one time that take part: ids ascending, numbers of compounds, doses (fM), values.

    values: effects x genes.
    """

    ids: Ids
    compound: Ids
    dose: Ids
    values: Floats

    def prepared(self, kind: str) -> Floats:
        """Rows for `retrieval.similarity`; NaN where an effect takes no part: it misses a gene, or is constant."""
        complete = np.isfinite(self.values).all(axis=1)
        rows = np.full(self.values.shape, np.nan)
        rows[complete] = retrieval.prepared(self.values[complete], kind)
        return rows

    def where(self, effects: Ids) -> npt.NDArray[np.intp]:
        """Places of effects."""
        return np.searchsorted(self.ids, effects)


def supported(near: pd.DataFrame) -> pd.DataFrame:
    """Leave out matches within one source unless another source's datasets match in their context or compound.

    Two phases of one source would else fill the pools with what nobody else measured. Contexts that bridge two
    sources have such matches, and stay without being named.
    """
    across = near["source_a"] != near["source_b"]
    contexts, compounds = (set(near.loc[across, name]) for name in ("context_id", "compound_key"))
    kept = across | near["context_id"].isin(contexts) | near["compound_key"].isin(compounds)
    return near[kept]


def retrieve_matches(
    connection: Connection, matches: pd.DataFrame, near: pd.DataFrame, window: float, population: Population | None
) -> pd.DataFrame:
    """Judge every matched effect as a query, in both directions: one row for each query and metric.

    near: the conditions with a nearest partner in any dataset; their effects are the candidates, those of the other
    dataset in the context at the time. Positives are the query's own matches; `_in_window`: all of its compound
    within the window; `_any_dose`: all of its compound. By log2 fold change (z scores, with a population) over the
    genes of both fits.
    """
    groups = (rows for _, rows in matches.groupby("context_id", sort=True))
    # Millions of comparisons of compounds: numbers, not text.
    numbered = near.assign(compound_key=pd.factorize(near["compound_key"])[0])
    parts = [part for of_context in groups for part in _context(connection, of_context, numbered, window, population)]
    return pd.concat(parts or [pd.DataFrame()], ignore_index=True)


def summarise_retrieval(queries: pd.DataFrame, common: dict[tuple[int, int], Row]) -> list[Row]:
    """Mean over directions of means over contexts and times, with intervals, as rows of agreement_summary.

    common: what all rows of a pair of datasets say.
    """
    rows: list[Row] = []
    if queries.empty:
        return rows
    quantities = [name for name in queries.columns if name not in ABOUT]
    of_variants = [name for name in quantities if not name.startswith(("control_", "delta_s", "delta_t", *BASELINES))]
    for key, part in queries.groupby(["pair", "metric"], sort=True):
        pair, metric = _named(key)
        codes = [pd.factorize(part[name])[0].astype(np.int64) for name in ("compound", "stratum", "direction")]
        names = of_variants if metric.endswith(VARIANTS) else quantities
        rows += [summary_row(common[pair], metric, name, part[name].to_numpy(np.float64), *codes) for name in names]
    return rows


def _named(key: Any) -> tuple[tuple[int, int], str]:
    pair, metric = key
    return (int(pair[0]), int(pair[1])), str(metric)


def _context(
    connection: Connection, matches: pd.DataFrame, near: pd.DataFrame, window: float, population: Population | None
) -> Iterator[pd.DataFrame]:
    genes = agreement_inputs.read_genes(connection, fits_of(matches))
    members = _members(near[near["context_id"] == matches["context_id"].iloc[0]])
    key: Any
    for key, rows in matches.groupby(STRATUM, sort=True):
        fit_a, fit_b, time_a, time_b = key
        _, at_a, at_b = np.intersect1d(genes[fit_a], genes[fit_b], return_indices=True)
        if len(at_a) < 2 or (fit_a, time_a) not in members or (fit_b, time_b) not in members:
            continue
        pools = {
            "a": _pool(connection, members[fit_a, time_a], len(genes[fit_a]), at_a, population),
            "b": _pool(connection, members[fit_b, time_b], len(genes[fit_b]), at_b, population),
        }
        for kind in KINDS:
            prepared = {side: pool.prepared(kind) for side, pool in pools.items()}
            for query, target in SIDES:
                yield from _direction(rows, query, target, pools, prepared, kind, window)


def _members(near: pd.DataFrame) -> dict[Any, pd.DataFrame]:
    """Effects that take part, with compound and dose, by fit and time; effects ascending."""
    names = ["dataset_id", "fit_id", "time_h", "effect_id", "dose_fm"]
    sides = [
        near[["compound_key", *(f"{name}_{side}" for name in names)]].set_axis(["compound", *names], axis=1)
        for side in "ab"
    ]
    both = pd.concat(sides).drop_duplicates("effect_id").sort_values("effect_id")
    return dict(iter(both.groupby(["fit_id", "time_h"])))


def _pool(
    connection: Connection,
    members: pd.DataFrame,
    n_genes: int,
    columns: npt.NDArray[np.intp],
    population: Population | None,
) -> Pool:
    ids = members["effect_id"].to_numpy(dtype=np.int64)
    dataset, fit_id = (int(members[name].iloc[0]) for name in ("dataset_id", "fit_id"))
    blocks = [arrays[0][:, columns] for _, arrays in agreement_inputs.read_arrays(connection, dataset, ids, n_genes)]
    values: Floats = np.concatenate(blocks)
    if population is not None:
        values = population.z(values, fit_id, columns, "log2_fc").astype(np.float32)
        # A gene without spread has no z score in any effect: it is left out, not the effects.
        values = np.where(np.isnan(values).all(axis=0), np.float32(0), values)
    compound, dose = (members[name].to_numpy(dtype=np.int64) for name in ("compound", "dose_fm"))
    return Pool(ids, compound, dose, values)


def _direction(
    rows: pd.DataFrame,
    query: str,
    target: str,
    pools: dict[str, Pool],
    prepared: dict[str, Floats],
    kind: str,
    window: float,
) -> Iterator[pd.DataFrame]:
    """Every matched effect of one side as a query among the other side's, by one kind of similarity."""
    queries, candidates = pools[query], pools[target]
    valid = {side: _valid(rows_of) for side, rows_of in prepared.items()}
    few = any(len(np.unique(pools[side].compound[valid[side]])) < FEWEST_COMPOUNDS for side in pools)
    taking_part = rows[
        rows[f"effect_id_{query}"].isin(queries.ids[valid[query]]) & rows[f"effect_id_{target}"].isin(candidates.ids)
    ]
    if few or valid[target].sum() < FEWEST_CANDIDATES or taking_part.empty:
        return
    asked, row = np.unique(queries.where(taking_part[f"effect_id_{query}"].to_numpy(np.int64)), return_inverse=True)
    matched = np.zeros((len(asked), len(candidates.ids)), dtype=bool)
    matched[row, candidates.where(taking_part[f"effect_id_{target}"].to_numpy(np.int64))] = True
    first = rows.iloc[0]
    words: Row = {
        "pair": [(int(first["dataset_id_a"]), int(first["dataset_id_b"]))] * len(asked),
        "direction": query,
        "stratum": f"{query} {first['context_id']} {first['time_h_a']} {first['time_h_b']}",
        "compound": queries.compound[asked],
    }
    about = pd.DataFrame(words)
    for start in range(0, len(asked), QUERIES_AT_ONCE):
        part = slice(start, start + QUERIES_AT_ONCE)
        block = Block(queries, candidates, asked[part], matched[part], prepared[query], prepared[target], kind, window)
        for metric, quantities in block.judged():
            yield about.iloc[part].reset_index(drop=True).assign(metric=metric, **quantities)


@dataclass(frozen=True)
class Block:
    """Some queries among the candidates, by one kind of similarity.

    asked: places of the queries in the source's pool; matched: queries x candidates; source_rows, target_rows:
    `Pool.prepared`.
    """

    source: Pool
    target: Pool
    asked: npt.NDArray[np.intp]
    matched: Mask
    source_rows: Floats
    target_rows: Floats
    kind: str
    window: float

    def judged(self) -> Iterator[tuple[str, dict[str, Floats]]]:
        """What the queries find, by metric."""
        similar = retrieval.similarity(self.source_rows[self.asked], self.target_rows, self.kind)
        inner = retrieval.similarity(self.source_rows[self.asked], self.source_rows, self.kind)
        candidate = np.broadcast_to(_valid(self.target_rows), similar.shape)
        quantities = quantities_of(retrieval.retrieve(similar, self.matched, candidate))
        ranks = self._baselines(similar, inner, candidate)
        quantities |= ranks | {f"delta_{name}": quantities["normalised_rank"] - ranks[name] for name in BASELINES}
        yield f"retrieval_{self.kind}", quantities | self._control(inner)
        same = self.source.compound[self.asked][:, None] == self.target.compound[None, :]
        near = same & _within(self.source.dose[self.asked], self.target.dose, self.window)
        for name, positive in zip(VARIANTS, (near, same), strict=True):
            yield f"retrieval_{self.kind}{name}", quantities_of(retrieval.retrieve(similar, positive, candidate))

    def _baselines(self, similar: Floats, inner: Floats, candidate: Mask) -> dict[str, Floats]:
        """Normalised ranks that the mean of peers would have as one more candidate, and single peers.

        Peers: other compounds at the query's own dose, or at that of its best positive.
        """
        positive = self.matched & candidate
        best = np.where(positive, similar, -np.inf).argmax(axis=1)
        dose = self.source.dose[self.asked]
        ordered = retrieval.in_order(similar, candidate)
        n = candidate.sum(axis=1)
        ranks = self._of_peers("source", self.source, self.source_rows, dose, inner, ordered, n)
        ranks |= self._of_peers("target", self.target, self.target_rows, self.target.dose[best], similar, ordered, n)
        undefined = ~positive.any(axis=1)
        return {name: np.where(undefined, np.nan, ranks[name]) for name in BASELINES}

    def _of_peers(
        self, side: str, pool: Pool, rows: Floats, dose: Ids, similar: Floats, ordered: Floats, n: Ids
    ) -> dict[str, Floats]:
        compound = self.source.compound[self.asked]
        peer = (pool.compound[None, :] != compound[:, None]) & (pool.dose[None, :] == dose[:, None]) & _valid(rows)
        # Queries of one compound and dose have the same peers.
        _, first, back = np.unique(np.stack([compound, dose]), axis=1, return_index=True, return_inverse=True)
        means = retrieval.prepared(_means(pool, peer[first]), self.kind)[back]
        centroid = retrieval.paired_similarity(self.source_rows[self.asked], means, self.kind)
        of_centroid = retrieval.rank_among(centroid[:, None], ordered)[:, 0]
        single = _finite_mean(retrieval.rank_among(np.where(peer, similar, np.nan), ordered))
        # Peers of the target are candidates already; those of the source come as one more.
        return {
            f"{side}_centroid": retrieval.normalised(of_centroid, n + 1),
            f"{side}_peer": retrieval.normalised(single, n + (side == "source")),
        }

    def _control(self, inner: Floats) -> dict[str, Floats]:
        """The positive control: the query's compound at other doses within the window, in its own dataset."""
        candidate = np.repeat(_valid(self.source_rows)[None, :], len(self.asked), axis=0)
        candidate[np.arange(len(self.asked)), self.asked] = False
        same = self.source.compound[self.asked][:, None] == self.source.compound[None, :]
        positive = same & _within(self.source.dose[self.asked], self.source.dose, self.window)
        quantities = quantities_of(retrieval.retrieve(inner, positive, candidate))
        return {f"control_{name}": quantities[name] for name in CONTROLS}


def _valid(rows: Floats) -> Mask:
    """Which prepared rows take part: one that does not is NaN from end to end."""
    return np.asarray(np.isfinite(rows[:, 0]))


def _within(dose: Ids, other_dose: Ids, window: float) -> Mask:
    fold = dose[:, None] / other_dose[None, :]
    most = window + FOLD_SLACK
    return np.asarray((fold <= most) & (fold * most >= 1))


def quantities_of(retrieved: retrieval.Retrieved) -> dict[str, Floats]:
    """What is said of queries: normalised rank, recall at 1 and AUROC, beside the exact expectation of chance."""
    n, k = retrieved.n_candidates, retrieved.n_positives
    defined = np.isfinite(retrieved.rank)
    floor = np.where(defined, retrieval.expected_normalised_rank(n, k), np.nan)
    return {
        "normalised_rank": retrieved.normalised_rank,
        "normalised_rank_floor": floor,
        "delta_normalised_rank_floor": retrieved.normalised_rank - floor,
        "recall_1": retrieved.recall_1,
        "recall_1_floor": np.where(defined, k / np.maximum(n, 1), np.nan),
        "auroc": retrieved.auroc,
        "mid_p": np.where(defined, retrieval.mid_p(retrieved.rank, n, k), np.nan),
    }


def _means(pool: Pool, peer: Mask) -> Floats:
    """Mean of the effects marked in each row; NaN where there is none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(peer.astype(np.float32) @ np.nan_to_num(pool.values) / peer.sum(axis=1)[:, None])


def _finite_mean(values: Floats) -> Floats:
    known = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(known, values, 0).sum(axis=1) / known.sum(axis=1))
