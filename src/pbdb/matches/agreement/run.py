"""Agreement of all matches of a rule: computed stratum by stratum, stored at once, replacing what was there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb.common.errors import ConfigError, DataError
from pbdb.common.ids import stable_id
from pbdb.common.progress import Progress, silent
from pbdb.common.rows import Row
from pbdb.common.settings import Settings
from pbdb.common.version import __version__
from pbdb.database import copy_binary
from pbdb.matches import match_table
from pbdb.matches.agreement import inputs as agreement_inputs
from pbdb.matches.agreement.inputs import SIDE_KEY, Connection, Pool, Pools, fits_of, rows_at_once
from pbdb.matches.agreement.population_z import Population
from pbdb.matches.agreement.retrieval import PANEL_FOLD, retrieve_matches, summarise_retrieval, supported
from pbdb.matches.agreement.summaries import summarise_matches
from pbdb.matches.match_table import DEFAULT_WINDOW, Rule
from pbdb.matches.statistics import stratum
from pbdb.matches.statistics.metrics import ALPHA, Signatures
from pbdb.matches.statistics.peers import DEFAULT_CAP, FACTS, SEED, peers_of
from pbdb.matches.statistics.stratum import Result, Side
from pbdb.server import connect

OF_RANKS = ("spearman", "pearson", "cosine", "deg_spearman", "signed_overlap")
HOW_TO_FIT = {"published": "--batching published", "limma": "--filter limma", "deseq2": "--method deseq2"}
STRATUM = [f"{name}_{side}" for side in "ab" for name in SIDE_KEY]
EFFECTS = ["effect_id_a", "effect_id_b"]
PoolKey = tuple[int, float, int]


@dataclass(frozen=True)
class Choices:
    """What decides the numbers of a run; all of it stands in agreement_summary.parameters.

    peers: at most so many of each pool (0: all). universe: genes both fits test (pairwise), or all fits of the
    context (context). population_z: z scores per gene before ranks and correlations, over the effects of a dataset in
    the context, or in all. fit_rule: the fits effects are taken from. panel: candidates of retrieval: all conditions
    with a partner, or without those that only datasets of one source share (published).
    """

    rule: Rule = field(default_factory=Rule)
    window: float = DEFAULT_WINDOW
    peers: int = DEFAULT_CAP
    universe: Literal["pairwise", "context"] = "pairwise"
    population_z: Literal["none", "context", "dataset"] = "none"
    fit_rule: Literal["default", "published", "limma", "deseq2"] = "default"
    panel: Literal["matched", "published"] = "matched"
    seed: int = SEED

    def __post_init__(self) -> None:
        if not self.window >= 1:
            raise ConfigError(
                f"A window of {self.window} makes no sense: give a fold of dose from 1.", value=self.window
            )
        if self.peers < 0:
            raise ConfigError(
                f"{self.peers} peers make no sense: give a number from 1, or 0 for all.", value=self.peers
            )

    @property
    def parameters(self) -> dict[str, object]:
        """Everything that decides the numbers, by name."""
        rest = {name: value for name, value in asdict(self).items() if name != "rule"}
        return asdict(self.rule) | rest | {"alpha": ALPHA, "min_shared_compounds": match_table.MIN_SHARED_COMPOUNDS}


class Done(TypedDict):
    """How many matches and summaries a run made, and by which parameters."""

    matches: int
    summaries: int
    parameters_id: int
    parameters: dict[str, object]


def run(settings: Settings, choices: Choices | None = None, progress: Progress = silent) -> Done:
    """Compute the agreement of all matches of a rule in a window, with summaries; replace those of the rule.

    Raises:
        DataError: there is no match with two effects, a data set with matches has no fit of the rule, or one was
            loaded anew meanwhile.
    """
    chosen = choices or Choices()
    with connect.connect(settings, autocommit=True) as connection:
        matches = _matches(connection, chosen)
        datasets = np.unique(matches[["dataset_id_a", "dataset_id_b"]]).tolist()
        prints = agreement_inputs.read_prints(connection, datasets)
        parameters = chosen.parameters | _fits(connection, matches, chosen)
        key = stable_id("agreement parameters", json.dumps(parameters, sort_keys=True))
        population = _population(connection, chosen)
        connection.execute(_STAGING)
        done = 0
        for context_id, rows in matches.groupby("context_id", sort=True):
            for part in _context(connection, int(str(context_id)), rows, chosen, population):
                _stage(connection, part, key)
                done += len(part.matches)
                progress("agreement", done, len(matches))
        totals = agreement_inputs.count_matches(connection, chosen.rule, chosen.window)
        common = _common(chosen, totals, parameters, key)
        made = summarise_matches(connection, common, progress)
        made += summarise_retrieval(_retrieval(connection, matches, chosen, population), common)
        _replace(connection, chosen.rule, pd.DataFrame(made), datasets, prints)
    return {"matches": len(matches), "summaries": len(made), "parameters_id": key, "parameters": parameters}


def _matches(connection: Connection, chosen: Choices) -> pd.DataFrame:
    lacking = agreement_inputs.read_unfitted(connection, chosen.rule, chosen.window, chosen.fit_rule)
    if lacking and chosen.fit_rule != "default":
        raise DataError(
            f"Dataset '{lacking[0]}' has no effects by the fit rule {chosen.fit_rule}: run"
            f" `pbdb effects run {lacking[0]} {HOW_TO_FIT[chosen.fit_rule]}`.",
            dataset=lacking[0],
            value=chosen.fit_rule,
        )
    matches = agreement_inputs.read_matches(connection, chosen.rule, chosen.window, chosen.fit_rule)
    if matches.empty:
        raise DataError(
            f"No match by {chosen.rule.level} within {chosen.window:g}-fold dose has two effects: load data sets"
            f" that share compounds, or run `{chosen.rule.command}`."
        )
    return matches


def _retrieval(
    connection: Connection, matches: pd.DataFrame, chosen: Choices, population: Population | None
) -> pd.DataFrame:
    near = agreement_inputs.read_near(connection, chosen.rule, PANEL_FOLD, chosen.fit_rule)
    panel = supported(near) if chosen.panel == "published" else near
    return retrieve_matches(connection, matches, panel, chosen.window, population)


def _population(connection: Connection, chosen: Choices) -> Population | None:
    if chosen.population_z == "none":
        return None
    return Population(connection, chosen.population_z, chosen.fit_rule)


def _common(
    chosen: Choices, totals: dict[tuple[int, int], int], parameters: dict[str, object], key: int
) -> dict[tuple[int, int], Row]:
    """What all summaries of a pair of datasets say."""
    rule = {"inchikey_level": chosen.rule.level, "time_tolerance_h": chosen.rule.time_tolerance_h}
    how = {"dose_window": chosen.window, "parameters_id": key, "parameters": parameters, "code_version": __version__}
    return {(a, b): {"dataset_id_a": a, "dataset_id_b": b, "n_matches": n} | rule | how for (a, b), n in totals.items()}


@dataclass(frozen=True)
class _Part:
    """The results of some matches of one stratum."""

    matches: npt.NDArray[np.int64]
    results: list[Result]
    capped: npt.NDArray[np.bool_]


def _fits(connection: Connection, matches: pd.DataFrame, chosen: Choices) -> dict[str, object]:
    """Which fits the effects come from, and a print of the genes that decide the universe."""
    fits = fits_of(matches)
    contexts = matches["context_id"].unique().tolist() if chosen.universe == "context" else []
    genes = agreement_inputs.read_gene_sets(connection, fits, contexts, chosen.fit_rule)
    facts = agreement_inputs.read_fit_facts(connection, fits)
    return {"fits": facts, "gene_universe_id": stable_id("gene universe", *genes)}


def _context(
    connection: Connection, context_id: int, matches: pd.DataFrame, chosen: Choices, population: Population | None
) -> Iterator[_Part]:
    """Compute the matches of one context, stratum by stratum."""
    fits = fits_of(matches)
    genes = agreement_inputs.read_genes(connection, fits)
    effects = agreement_inputs.read_effects(connection, fits, chosen.rule.level)
    pools = Pools(connection, effects, genes, chosen.peers, chosen.seed)
    matched = np.unique(matches[EFFECTS].to_numpy(dtype=np.int64))
    allowed = None
    if chosen.universe == "context":
        allowed = agreement_inputs.read_context_genes(connection, context_id, chosen.fit_rule)
    for key, rows in matches.groupby(STRATUM, sort=False):
        ends = _ends(pools, genes, matched, allowed, *_keys(key))
        step = rows_at_once(max(len(end.pool.peers) for end in ends), len(ends[0].columns))
        for start in range(0, len(rows), step):
            block = rows.iloc[start : start + step]
            compound = np.array([pools.numbers[key] for key in block["compound_key"]], dtype=np.int64)
            a, b = (end.side(block[name], compound) for end, name in zip(ends, EFFECTS, strict=True))
            yield _score(block, a, b, compound, chosen, population, ends)


def _keys(key: Any) -> tuple[PoolKey, PoolKey]:
    """Split the key of a stratum into those of its two pools."""
    fit_a, time_a, dose_a, fit_b, time_b, dose_b = key
    return (int(fit_a), float(time_a), int(dose_a)), (int(fit_b), float(time_b), int(dose_b))


@dataclass(frozen=True)
class _End:
    """One side of a stratum: its pool, its peers at the shared genes, and where these stand in the fit."""

    fit_id: int
    pool: Pool
    peers: Signatures
    columns: npt.NDArray[np.intp]

    def side(self, effects: pd.Series[Any], compound: npt.NDArray[np.int64]) -> Side:
        """Some matches' effects with what they are compared with."""
        return self.pool.side(effects.to_numpy(dtype=np.int64), compound, self.columns, self.peers)


def _ends(
    pools: Pools,
    genes: dict[int, npt.NDArray[np.int32]],
    matched: npt.NDArray[np.int64],
    allowed: npt.NDArray[np.int32] | None,
    a: PoolKey,
    b: PoolKey,
) -> tuple[_End, _End]:
    at_a, at_b, common = _shared(genes[a[0]], genes[b[0]], allowed)

    def end(key: PoolKey, columns: npt.NDArray[np.intp]) -> _End:
        pool = pools.pool(key, matched)
        return _End(key[0], pool, pools.peers(key, pool, columns, common), columns)

    return end(a, at_a), end(b, at_b)


def _shared(
    genes_a: npt.NDArray[np.int32], genes_b: npt.NDArray[np.int32], allowed: npt.NDArray[np.int32] | None
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], bytes]:
    """Where the shared genes stand on both sides, and the genes as bytes."""
    common, at_a, at_b = np.intersect1d(genes_a, genes_b, return_indices=True)
    if allowed is not None:
        kept = np.isin(common, allowed)
        common, at_a, at_b = common[kept], at_a[kept], at_b[kept]
    return at_a, at_b, common.tobytes()


def _score(
    block: pd.DataFrame,
    a: Side,
    b: Side,
    compound: npt.NDArray[np.int64],
    chosen: Choices,
    population: Population | None,
    ends: tuple[_End, _End],
) -> _Part:
    results = list(stratum.score(a, b, compound, chosen.peers))
    if population is not None:
        scaled = [population.scaled(side, end.fit_id, end.columns) for side, end in zip((a, b), ends, strict=True)]
        of_z = {result.metric: result for result in stratum.score(scaled[0], scaled[1], compound, chosen.peers)}
        results = [of_z[result.metric] if result.metric.startswith(OF_RANKS) else result for result in results]
    used = [peers_of(compound, side.peer_compound, chosen.peers).sum(axis=1) for side in (a, b)]
    capped = (used[0] < a.n_pool) | (used[1] < b.n_pool)
    return _Part(block["match_id"].to_numpy(dtype=np.int64), results, capped)


def _stage(connection: Connection, part: _Part, key: int) -> None:
    """Copy results into the staging table; NaN becomes null when they are stored."""
    with connection.cursor().copy("COPY pg_temp.staged FROM STDIN (FORMAT binary)") as copy:
        copy.write(copy_binary.HEADER)
        for result in part.results:
            copy.write(copy_binary.rows(_columns(part, result, key), len(part.matches)))
        copy.write(copy_binary.TRAILER)


def _columns(part: _Part, result: Result, key: int) -> dict[str, copy_binary.Value]:
    columns: dict[str, copy_binary.Value] = {
        "match_id": part.matches,
        "metric": result.metric,
        "n": result.n.astype(np.int32),
        "score": result.score,
        "is_capped": part.capped,
        "parameters_id": key,
    }
    for name, baseline in (("source", result.source), ("target", result.target)):
        columns |= {f"{name}_centroid": baseline.centroid, f"n_{name}_centroid": baseline.n_pool.astype(np.int32)}
        columns |= {f"{name}_peer_{what}": getattr(baseline.peers, what) for what in FACTS}
        columns[f"n_{name}_peers"] = baseline.peers.n.astype(np.int32)
    return columns


def _replace(
    connection: Connection, rule: Rule, summaries: pd.DataFrame, datasets: list[int], prints: list[Any]
) -> None:
    """Put the staged results in the place of all earlier ones of the rule, in one transaction.

    prints: of the data sets, read before any of their effects.
    """
    parameters = {"level": rule.level, "tolerance": rule.time_tolerance_h}
    with connection.transaction():
        agreement_inputs.require_unchanged(connection, datasets, prints)
        for statement in (*_REMOVE, _INSERT):
            connection.execute(statement, parameters)
        names = ", ".join(summaries.columns)
        with connection.cursor().copy(f"COPY core.agreement_summary ({names}) FROM STDIN") as copy:
            for row in summaries.itertuples(index=False, name=None):
                copy.write_row([_plain(value) for value in row])
    for table in ("agreement", "agreement_summary"):
        connection.execute(f"ANALYZE core.{table}".encode())


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and np.isnan(value) else value


# The columns of agreement in the order in which _columns gives them.
_SIDES = {
    side: [f"{side}_centroid", f"n_{side}_centroid", *(f"{side}_peer_{what}" for what in FACTS), f"n_{side}_peers"]
    for side in ("source", "target")
}
COLUMNS = ("match_id", "metric", "n", "score", "is_capped", "parameters_id", *_SIDES["source"], *_SIDES["target"])
_IS_NUMBER = [name == "score" or name.startswith(("source_", "target_")) for name in COLUMNS]
_KNOWN = [
    f"nullif({name}, 'NaN') AS {name}" if number else name for name, number in zip(COLUMNS, _IS_NUMBER, strict=True)
]
_STAGING = f"""
CREATE TEMPORARY TABLE staged AS SELECT {", ".join(COLUMNS)} FROM core.agreement WITH NO DATA;
CREATE TEMPORARY VIEW found AS SELECT {", ".join(_KNOWN)} FROM staged"""
_OF_RULE = "SELECT match_id FROM core.match WHERE inchikey_level = %(level)s AND time_tolerance_h = %(tolerance)s"
_REMOVE = (
    f"DELETE FROM core.agreement WHERE match_id IN ({_OF_RULE})",
    "DELETE FROM core.agreement_summary WHERE inchikey_level = %(level)s AND time_tolerance_h = %(tolerance)s"
    " AND dataset_id_a <> dataset_id_b",
)
_INSERT = f"""
INSERT INTO core.agreement ({", ".join(COLUMNS)})
SELECT {", ".join(f"s.{name}" for name in COLUMNS)} FROM pg_temp.found s JOIN core.match m ON m.match_id = s.match_id"""
