"""What agreement is computed from: matches with their effects, and the pools of effects their peers come from."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import psycopg

from pbdb.common.errors import DataError
from pbdb.database import copy_binary
from pbdb.matches.match_table import LOCK, Rule
from pbdb.matches.statistics.metrics import Signatures, significant
from pbdb.matches.statistics.peers import enough_peers, means_of_others, peer_order
from pbdb.matches.statistics.stratum import VECTORS, Side

Connection = psycopg.Connection[Any]
Values = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Columns = npt.NDArray[np.intp]
LAYERS = ("log2_fc", "se", "neg_log10_p_adj")
BYTES_PER_BLOCK = 128 << 20
CELLS_KEPT = 30_000_000
CELLS_AT_ONCE = 20_000_000
# Bytes that are held for a gene of a match while it is compared, over those of its score against a peer.
HEAVIER = 8
CHANGED = "The effects of a data set changed meanwhile: run this again when its load is done."
SIDE_KEY = ("fit_id", "time_h", "dose_fm")
# Which fit a condition's effect is taken from, as SQL over core.fit f; of several the newest.
FIT_RULES = {
    "default": "f.is_default",
    "published": "f.parameters ->> 'batching' = 'published'",
    "limma": "f.filter_rule = 'limma' AND f.parameters ->> 'batching' = 'none' AND f.method <> 'deseq2'",
    "deseq2": "f.method = 'deseq2'",
}


def read_matches(connection: Connection, rule: Rule, window: float, fit_rule: str = "default") -> pd.DataFrame:
    """Read the matches of a rule that count in a window and have both effects; sides as columns with _a and _b.

    fit_rule: one of FIT_RULES, whose fits the effects are taken from.
    """
    query = _MATCHES.format(fits=FIT_RULES[fit_rule], counts="m.from_window <= %(window)s")
    return _frame(connection, query, {**_given(rule), "window": window})


def read_near(connection: Connection, rule: Rule, fold: float, fit_rule: str = "default") -> pd.DataFrame:
    """Read the mutually nearest conditions within a fold of dose as `read_matches` does, however few compounds share.

    Beside its columns: source_a, source_b, the sources the datasets come from.
    """
    query = _MATCHES.format(fits=FIT_RULES[fit_rule], counts="m.dose_fold <= %(window)s")
    return _frame(connection, query, {**_given(rule), "window": fold})


def fits_of(matches: pd.DataFrame) -> list[int]:
    """The fits that the effects of matches come from."""
    return sorted({int(fit) for side in "ab" for fit in matches[f"fit_id_{side}"].unique()})


def read_fit_facts(connection: Connection, fits: list[int]) -> dict[str, dict[str, str | None]]:
    """Read how fits were made, by dataset: method, filter (its rule), batching, p_values; several with a comma."""
    rows = connection.execute(_FIT_FACTS, {"fits": fits}).fetchall()
    names = ("method", "filter", "batching", "p_values")
    return {dataset: dict(zip(names, facts, strict=True)) for dataset, *facts in rows}


def read_prints(connection: Connection, datasets: list[int]) -> list[Any]:
    """Read which effects datasets show: another load, another print."""
    return connection.execute(_PRINTS, {"datasets": datasets}).fetchall()


def require_unchanged(connection: Connection, datasets: list[int], prints: list[Any]) -> None:
    """Keep loads from changing matches until the transaction ends; refuse where one did since `read_prints`.

    Raises:
        DataError: a dataset shows other effects.
    """
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    if read_prints(connection, datasets) != prints:
        raise DataError(CHANGED)


def read_gene_sets(connection: Connection, fits: list[int], contexts: Sequence[int], fit_rule: str) -> list[int]:
    """Read the sets of genes of fits, and of all fits (by a fit rule) of contexts."""
    query = _GENE_SETS.format(fits=FIT_RULES[fit_rule])
    rows = connection.execute(query.encode(), {"fits": fits, "contexts": list(contexts)}).fetchall()
    return [int(key) for (key,) in rows]


def read_unfitted(connection: Connection, rule: Rule, window: float, fit_rule: str) -> list[str]:
    """Read which datasets with matches have no fit of a rule."""
    query = _UNFITTED.format(fits=FIT_RULES[fit_rule])
    return [str(name) for (name,) in connection.execute(query.encode(), {**_given(rule), "window": window}).fetchall()]


def _given(rule: Rule) -> Mapping[str, object]:
    return {"level": rule.level, "tolerance": rule.time_tolerance_h}


def count_matches(connection: Connection, rule: Rule, window: float) -> dict[tuple[int, int], int]:
    """Count the matches of a rule in a window by pair of datasets, with effects or without."""
    counts = _frame(connection, _COUNTS, {**_given(rule), "window": window})
    return {(int(a), int(b)): int(n) for a, b, n in counts.itertuples(index=False, name=None)}


def read_effects(connection: Connection, fits: list[int], level: str) -> pd.DataFrame:
    """Read the estimated pooled effects of fits: condition, time, dose, and the compound as a key."""
    return _frame(connection, _EFFECTS, {"fits": fits, "level": level})


def read_genes(connection: Connection, fits: list[int]) -> dict[int, npt.NDArray[np.int32]]:
    """Read the genes of fits, in array order."""
    rows = connection.execute(_GENES, {"fits": fits}).fetchall()
    return {int(fit): np.array(keys, dtype=np.int32) for fit, keys in rows}


def read_context_genes(connection: Connection, context_id: int, fit_rule: str = "default") -> npt.NDArray[np.int32]:
    """Read the genes that every fit (by a fit rule) of a context tests, sorted."""
    query = _CONTEXT_GENES.format(fits=FIT_RULES[fit_rule])
    rows = connection.execute(query.encode(), {"context_id": context_id}).fetchall()
    sets = [np.array(keys, dtype=np.int32) for (keys,) in rows]
    shared = sets[0]
    for keys in sets[1:]:
        shared = np.intersect1d(shared, keys)
    return np.sort(shared)


def rows_at_once(n_peers: int, n_genes: int) -> int:
    """How many matches to compare at once, so that their scores against all peers and their genes fit into memory."""
    return max(1, CELLS_AT_ONCE // max(1, 2 * n_peers, HEAVIER * n_genes))


def read_arrays(connection: Connection, dataset_id: int, effects: Ids, n_genes: int) -> Iterator[tuple[slice, Any]]:
    """Read the arrays of effects in blocks: log2_fc, se, neg_log10_p_adj, each rows x genes, by ascending id.

    effects: sorted ids. Yields the rows of each block and its three matrices.

    Raises:
        DataError: an effect is no longer there.
    """
    empty = {name: np.empty((0, n_genes), dtype=np.float32) for name in LAYERS}
    step = max(1, BYTES_PER_BLOCK // (8 * len(LAYERS) * max(1, n_genes)))
    for start in range(0, len(effects), step):
        chosen = effects[start : start + step].tolist()
        with connection.cursor().copy(_ARRAYS, [dataset_id, chosen]) as copy:
            block = copy_binary.decode(b"".join(bytes(part) for part in copy), empty)
        if len(block) != len(chosen):
            raise DataError(CHANGED)
        yield slice(start, start + len(chosen)), tuple(block[name]["value"].astype(np.float32) for name in LAYERS)


@dataclass
class Pool:
    """The effects of one fit at one time and dose: the rows that are needed, and sums over all of them.

    rows: signatures of matched compounds and of the first peers; position: where an effect stands in them; compound:
    number of each row's compound; peers: rows in peer order. total, missing: over all n effects of the pool, for
    log2 fold change and t.
    """

    rows: Signatures
    position: dict[int, int]
    compound: Ids
    peers: Columns
    n: int
    total: dict[str, npt.NDArray[np.float64]]
    missing: dict[str, Ids]

    def peers_at(self, columns: Columns) -> Signatures:
        """Signatures of the peers, in their order, at some genes."""
        return _at(self.rows, self.peers, columns)

    def side(
        self, effects: Ids, compound: Ids, columns: Columns, peers: Signatures, *, of_finite: bool = False
    ) -> Side:
        """Some effects at some genes (peers: those of the pool there) with what they are compared with.

        compound: number of each effect's. of_finite: centroids are means of the finite values of peers.
        """
        distinct, back = np.unique(compound, return_inverse=True)
        centroid, n = self._centroids(distinct, columns, of_finite)
        queries = _at(self.rows, np.array([self.position[int(effect)] for effect in effects]), columns)
        return Side(queries, centroid.take(back), n[back], peers, self.compound[self.peers])

    def _centroids(self, compounds: Ids, columns: Columns, of_finite: bool) -> tuple[Signatures, Ids]:
        """Mean of the pool without each compound (sorted; n x genes), and the number of effects averaged."""
        rows = np.flatnonzero(np.isin(self.compound, compounds))
        rows = rows[np.argsort(self.compound[rows], kind="stable")]
        starts = np.searchsorted(self.compound[rows], compounds)
        n = np.diff(starts, append=len(rows))
        means = []
        for name in VECTORS:
            values = self.rows.values(name)[np.ix_(rows, columns)].astype(np.float64)
            finite = np.isfinite(values)
            own_total = np.add.reduceat(np.where(finite, values, 0), starts)
            own_missing = np.add.reduceat((~finite).astype(np.int64), starts)
            total, missing = self.total[name][columns], self.missing[name][columns]
            means.append(means_of_others(total, missing, self.n, own_total, own_missing, n, of_finite))
        return Signatures(means[0], means[1]), self.n - n


def _at(rows: Signatures, chosen: Columns, columns: Columns) -> Signatures:
    place = np.ix_(chosen, columns)
    mask = None if rows.significant is None else rows.significant[place]
    return Signatures(rows.log2_fc[place], rows.t[place], mask)


class Pools:
    """The pools of a context's fits, read when they are needed; the last ones used are kept."""

    def __init__(
        self,
        connection: Connection,
        effects: pd.DataFrame,
        genes: dict[int, npt.NDArray[np.int32]],
        cap: int,
        seed: int,
    ):
        self._connection, self._genes, self._cap, self._seed = connection, genes, cap, seed
        self._effects = dict(iter(effects.groupby(list(SIDE_KEY), sort=False)))
        self._pools: OrderedDict[Any, Pool] = OrderedDict()
        self._peers: OrderedDict[Any, Signatures] = OrderedDict()

    @cached_property
    def numbers(self) -> dict[str, int]:
        """A number for each compound."""
        keys = sorted({key for rows in self._effects.values() for key in rows["compound_key"]})
        return {key: number for number, key in enumerate(keys)}

    def pool(self, key: tuple[int, float, int], matched: Ids) -> Pool:
        """Return the pool of a fit at a time and dose; matched: all effects of it that have matches."""
        if key not in self._pools:
            self._pools[key] = self._read(key, matched)
            _shrink(self._pools, lambda pool: pool.rows.log2_fc.size)
        self._pools.move_to_end(key)
        return self._pools[key]

    def peers(self, key: tuple[int, float, int], pool: Pool, columns: Columns, genes: Any) -> Signatures:
        """Return the peers of a pool at some genes; `genes` names them. What was computed for them is kept."""
        if (key, genes) not in self._peers:
            self._peers[key, genes] = pool.peers_at(columns)
            _shrink(self._peers, lambda peers: 4 * peers.log2_fc.size)
        self._peers.move_to_end((key, genes))
        return self._peers[key, genes]

    def _read(self, key: tuple[int, float, int], matched: Ids) -> Pool:
        rows = self._effects[key].sort_values("effect_id")
        ids = rows["effect_id"].to_numpy(dtype=np.int64)
        compound = np.array([self.numbers[text] for text in rows["compound_key"]], dtype=np.int64)
        # By condition, peers are the same ones whatever the fit; of replicates each is drawn for itself.
        name = "condition_id" if rows["condition_id"].is_unique else "effect_id"
        order = peer_order(rows[name].to_numpy(dtype=np.int64), self._seed)
        matched_compounds: Ids = np.unique(compound[np.isin(ids, matched)])
        peers = order[: enough_peers(matched_compounds, compound[order], self._cap)]
        needed = np.isin(compound, matched_compounds)
        needed[peers] = True
        kept = np.flatnonzero(needed)
        signatures, total, missing = self._sum_and_keep(int(rows["dataset_id"].iloc[0]), ids, kept, key[0])
        place = np.zeros(len(ids), dtype=np.intp)
        place[kept] = np.arange(len(kept))
        position = {int(ids[row]): int(place[row]) for row in kept}
        return Pool(signatures, position, compound[kept], place[peers], len(ids), total, missing)

    def _sum_and_keep(self, dataset_id: int, ids: Ids, kept: Columns, fit_id: int) -> tuple[Signatures, Any, Any]:
        n_genes = len(self._genes[fit_id])
        shape = (len(kept), n_genes)
        log2_fc, t, mask = np.empty(shape, np.float32), np.empty(shape, np.float32), np.empty(shape, bool)
        total: dict[str, npt.NDArray[np.float64]] = {name: np.zeros(n_genes) for name in VECTORS}
        missing = {name: np.zeros(n_genes, dtype=np.int64) for name in total}
        for rows, (fc, se, adjusted) in read_arrays(self._connection, dataset_id, ids, n_genes):
            statistic = t_of(fc, se)
            for name, values in (("log2_fc", fc), ("t", statistic)):
                finite = np.isfinite(values)
                total[name] += np.where(finite, values, 0).sum(axis=0, dtype=np.float64)
                missing[name] += (~finite).sum(axis=0)
            inside = (kept >= rows.start) & (kept < rows.stop)
            here = kept[inside] - rows.start
            log2_fc[inside], t[inside] = fc[here], statistic[here]
            mask[inside] = significant(fc[here], adjusted[here])
        return Signatures(log2_fc, t, mask), total, missing


def t_of(log2_fc: Values, se: Values) -> Values:
    """Return the moderated t; NaN where the standard error is not positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(se > 0, log2_fc / se, np.nan), dtype=np.float32)


def _shrink(kept: OrderedDict[Any, Any], size: Any) -> None:
    """Forget what was used longest ago until the rest is small enough; the newest stays."""
    while len(kept) > 1 and sum(map(size, kept.values())) > CELLS_KEPT:
        kept.popitem(last=False)


def _frame(connection: Connection, query: str, parameters: Mapping[str, object]) -> pd.DataFrame:
    with connection.cursor() as cursor:
        cursor.execute(query.encode(), parameters)
        columns = [column.name for column in cursor.description or ()]
        return pd.DataFrame(cursor.fetchall(), columns=columns)


_RULE = "m.inchikey_level = %(level)s AND m.time_tolerance_h = %(tolerance)s"
_MATCHES = f"""
WITH chosen AS MATERIALIZED (
    SELECT DISTINCT ON (e.dataset_id, e.condition_id) e.dataset_id, e.condition_id, e.effect_id, e.fit_id
    FROM core.fit f JOIN core.effect e ON e.dataset_id = f.dataset_id AND e.fit_id = f.fit_id
    WHERE f.mode = 'pooled' AND ({{fits}}) AND e.status = 'ok'
    ORDER BY e.dataset_id, e.condition_id, f.created_at DESC, e.effect_id
)
SELECT m.match_id, m.dataset_id_a, m.dataset_id_b, a.context_id, m.compound_key, ea.effect_id AS effect_id_a,
    eb.effect_id AS effect_id_b, ea.fit_id AS fit_id_a, eb.fit_id AS fit_id_b, a.time_h AS time_h_a,
    b.time_h AS time_h_b, a.dose_fm AS dose_fm_a, b.dose_fm AS dose_fm_b, da.source AS source_a, db.source AS source_b
FROM core.match m
JOIN core.condition a ON a.condition_id = m.condition_id_a
JOIN core.condition b ON b.condition_id = m.condition_id_b
JOIN core.dataset da ON da.dataset_id = m.dataset_id_a
JOIN core.dataset db ON db.dataset_id = m.dataset_id_b
JOIN chosen ea ON ea.dataset_id = m.dataset_id_a AND ea.condition_id = m.condition_id_a
JOIN chosen eb ON eb.dataset_id = m.dataset_id_b AND eb.condition_id = m.condition_id_b
WHERE {_RULE} AND {{counts}}
ORDER BY a.context_id, fit_id_a, fit_id_b, time_h_a, time_h_b, dose_fm_a, dose_fm_b, m.match_id"""
_FIT_FACTS = """
SELECT d.dataset, string_agg(DISTINCT f.method, ', '), string_agg(DISTINCT f.filter_rule, ', '),
    string_agg(DISTINCT f.parameters ->> 'batching', ', '), string_agg(DISTINCT f.p_values, ', ')
FROM core.fit f JOIN core.dataset d USING (dataset_id) WHERE f.fit_id = ANY(%(fits)s) GROUP BY 1 ORDER BY 1"""
_UNFITTED = f"""
SELECT d.dataset FROM core.dataset d
WHERE EXISTS (SELECT FROM core.match m WHERE {_RULE} AND m.from_window <= %(window)s
    AND (m.dataset_id_a = d.dataset_id OR m.dataset_id_b = d.dataset_id))
  AND NOT EXISTS (SELECT FROM core.fit f WHERE f.dataset_id = d.dataset_id AND f.mode = 'pooled' AND ({{fits}}))
ORDER BY 1"""
_COUNTS = f"""
SELECT m.dataset_id_a, m.dataset_id_b, count(*) AS n FROM core.match m
WHERE {_RULE} AND m.from_window <= %(window)s GROUP BY 1, 2"""
_EFFECTS = """
SELECT e.effect_id, e.dataset_id, e.fit_id, e.condition_id, c.time_h, c.dose_fm, coalesce(pbdb.compound_key(
    %(level)s, k.inchikey, k.parent_inchikey, k.skeleton, k.pubchem_cid), 'source ' || s.source_compound_id)
    AS compound_key
FROM core.fit f
JOIN core.effect e ON e.dataset_id = f.dataset_id AND e.fit_id = f.fit_id
JOIN core.condition c ON c.condition_id = e.condition_id
JOIN core.source_compound s ON s.source_compound_id = c.source_compound_id
LEFT JOIN core.compound k ON k.compound_id = s.compound_id
WHERE f.fit_id = ANY(%(fits)s) AND e.status = 'ok' AND NOT c.is_vehicle"""
_GENES = """
SELECT f.fit_id, h.gene_keys FROM core.fit f JOIN core.feature_set h USING (feature_set_id)
WHERE f.fit_id = ANY(%(fits)s)"""
_OF_CONTEXT = "f.mode = 'pooled' AND ({fits}) AND cardinality(f.effect_ids) > 0 AND f.context_id"
_CONTEXT_GENES = f"""
SELECT DISTINCT h.gene_keys FROM core.fit f JOIN core.feature_set h USING (feature_set_id)
WHERE {_OF_CONTEXT} = %(context_id)s"""
_GENE_SETS = f"""
SELECT DISTINCT f.feature_set_id FROM core.fit f
WHERE f.fit_id = ANY(%(fits)s) OR {_OF_CONTEXT} = ANY(%(contexts)s) ORDER BY 1"""
_PRINTS = "SELECT dataset_id, effects_fingerprint FROM core.dataset WHERE dataset_id = ANY(%(datasets)s) ORDER BY 1"
_ARRAYS = f"""
COPY (SELECT {", ".join(f"e.{name}" for name in LAYERS)} FROM core.effect e
WHERE e.dataset_id = %s AND e.effect_id = ANY(%s) ORDER BY e.effect_id) TO STDOUT (FORMAT binary)"""
