"""What the page shows, read from the views."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from pbdb.common.errors import QueryError
from pbdb.common.rows import Json
from pbdb.common.settings import Settings
from pbdb.matches.match_table import Rule
from pbdb.query import database

if TYPE_CHECKING:
    import pandas as pd

RANK, DIRECTION = "spearman_log2_fc", "direction"
POINTS_PER_PAIR = 400
MOST_PAIRS = 12
MOST_CONTEXTS = 50
MOST_MATCHES = 60
GENES_PER_MATCH = 800


class Pair(NamedTuple):
    """A row of matched_condition, with rank and direction agreement."""

    match_id: int
    dataset_a: str
    dataset_b: str
    compound_name: str
    context_name: str
    time_h: float
    dose_um_a: float
    dose_um_b: float
    dose_fold: float
    rank_agreement: float
    direction_agreement: float


class Run(NamedTuple):
    """The run that computed what is shown."""

    parameters_id: int
    parameters: Json
    dose_window: float
    code_version: str
    created_at: datetime


@dataclass(frozen=True)
class Match:
    """One match: what is matched, how far it agrees, and its genes.

    genes: gene_symbol, log2_fc_a, p_adj_a, log2_fc_b, p_adj_b; those that move most and a sample of the rest.
    """

    about: Pair
    genes: pd.DataFrame
    n_genes: int


@dataclass(frozen=True)
class Contents:
    """Everything on the page, as tables of the views' columns.

    points: per pair at most POINTS_PER_PAIR matches with their rank and direction agreement. replicates: summaries of
    data sets with themselves.
    """

    run: Run
    coverage: pd.DataFrame
    counts: pd.DataFrame
    folds: pd.DataFrame
    summaries: pd.DataFrame
    replicates: pd.DataFrame
    points: pd.DataFrame
    matches: list[Match]


def read(settings: Settings, rule: Rule, n_matches: int = MOST_MATCHES) -> Contents:
    """Read what a page on the agreement by a rule shows; n_matches: single matches at most.

    Raises:
        QueryError: no agreement by this rule is stored.
    """
    db = database.connect(settings)
    parameters: dict[str, object] = {"level": rule.level, "tolerance": rule.time_tolerance_h}
    runs = db.sql(_RUN, parameters)
    if runs.empty:
        raise QueryError(
            f"No agreement by {rule.level} at a time tolerance of {rule.time_tolerance_h:g} h is stored:"
            " run `pbdb agreement run`."
        )
    run = Run(*next(runs[list(Run._fields)].itertuples(index=False, name=None)))
    parameters["run"] = run.parameters_id
    points = db.sql(_POINTS, parameters | {"rank": RANK, "direction": DIRECTION, "most": POINTS_PER_PAIR})
    return Contents(
        run,
        db.sql(_COVERAGE),
        db.sql(_COUNTS, parameters),
        db.sql(_FOLDS, parameters),
        db.sql(_SUMMARIES, parameters),
        db.sql(_REPLICATES),
        points,
        _matches(db, parameters, n_matches),
    )


def _matches(db: database.Database, parameters: dict[str, object], n: int) -> list[Match]:
    """Pick matches of each pair, evenly from the most to the least agreeing; the most agreeing come first."""
    pairs = max(1, len(db.sql(_PAIRS, parameters)))
    picked = db.sql(_PICKED, parameters | {"rank": RANK, "direction": DIRECTION, "each": max(1, n // pairs), "n": n})
    return [_match(db, Pair(*row)) for row in picked[list(Pair._fields)].itertuples(index=False, name=None)]


def _match(db: database.Database, about: Pair) -> Match:
    genes = db.sql(_GENES, {"match_id": about.match_id})
    largest = genes[["log2_fc_a", "log2_fc_b"]].abs().max(axis=1)
    most = largest.nlargest(GENES_PER_MATCH // 2).index
    rest = genes.index.difference(most)
    # Every so many of the rest, in the order of genes: the same at each call.
    step = max(1, -(-len(rest) // (GENES_PER_MATCH - len(most))))
    kept = genes.loc[most.union(rest[::step])]
    return Match(about, kept.reset_index(drop=True), len(genes))


_OF_RUN = "dataset_a <> dataset_b AND inchikey_level = %(level)s AND time_tolerance_h = %(tolerance)s"
_RUN = f"""
SELECT parameters_id, parameters, dose_window, code_version, max(created_at) AS created_at
FROM agreement_summary WHERE {_OF_RUN} GROUP BY 1, 2, 3, 4 ORDER BY max(created_at) DESC LIMIT 1"""
_PAIRS = "SELECT DISTINCT dataset_a, dataset_b FROM agreement_summary WHERE parameters_id = %(run)s"
_COVERAGE = "SELECT dataset, context_name, n_compounds, n_conditions, n_effects FROM coverage ORDER BY 1, 2"
_MATCHES = "FROM matched_condition WHERE inchikey_level = %(level)s AND time_tolerance_h = %(tolerance)s"
_COUNTS = f"""
SELECT dataset_a, dataset_b, count(*) FILTER (WHERE in_window_1) AS exact, count(*) FILTER (WHERE in_window_2) AS
    within_2, count(*) FILTER (WHERE in_window_3) AS within_3, count(*) FILTER (WHERE in_window_10) AS within_10,
    count(*) AS any_fold, count(DISTINCT compound_key) FILTER (WHERE in_window_10) AS compounds,
    count(DISTINCT context) FILTER (WHERE in_window_10) AS contexts
{_MATCHES} GROUP BY 1, 2 ORDER BY 1, 2"""
_FOLDS = f"""
SELECT dataset_a, dataset_b, count(*) FILTER (WHERE dose_fold <= 1) AS same,
    count(*) FILTER (WHERE dose_fold > 1 AND dose_fold <= 2) AS up_to_2,
    count(*) FILTER (WHERE dose_fold > 2 AND dose_fold <= 3) AS up_to_3,
    count(*) FILTER (WHERE dose_fold > 3 AND dose_fold <= 10) AS up_to_10, count(*) FILTER (WHERE dose_fold > 10) AS
    beyond_10, percentile_cont(0.5) WITHIN GROUP (ORDER BY dose_fold) AS median_fold
{_MATCHES} GROUP BY 1, 2 ORDER BY 1, 2"""
_COLUMNS = """dataset_a, dataset_b, metric, quantity, mean, interval_low, interval_high, interval_status, n_matches,
    n_defined, n_compounds"""
_SUMMARIES = f"""
SELECT {_COLUMNS} FROM agreement_summary WHERE parameters_id = %(run)s AND dataset_a <> dataset_b
ORDER BY dataset_a, dataset_b, metric, quantity"""
_REPLICATES = f"""
SELECT {_COLUMNS} FROM agreement_summary WHERE dataset_a = dataset_b ORDER BY dataset_a, metric, quantity"""
# Ids of matches are hashes: the first so many are a sample that has nothing to do with the score.
_BOTH = """
SELECT r.match_id, r.dataset_a, r.dataset_b, r.compound_name, r.context_name, r.time_h, r.dose_um_a, r.dose_um_b,
    r.dose_fold, r.score AS rank_agreement, d.score AS direction_agreement
FROM agreement r JOIN agreement d ON d.match_id = r.match_id AND d.metric = %(direction)s
WHERE r.metric = %(rank)s AND r.parameters_id = %(run)s AND r.score IS NOT NULL"""
_POINTS = f"""
SELECT * FROM (SELECT b.*, row_number() OVER (PARTITION BY dataset_a, dataset_b ORDER BY match_id) AS place,
    count(*) OVER (PARTITION BY dataset_a, dataset_b) AS n_of_pair
    FROM ({_BOTH} AND d.score IS NOT NULL) b) p
WHERE p.place <= %(most)s ORDER BY dataset_a, dataset_b, match_id"""
_PICKED = f"""
SELECT * FROM (
    SELECT DISTINCT ON (dataset_a, dataset_b, slice) * FROM (
        SELECT b.*, ntile(%(each)s) OVER (
            PARTITION BY dataset_a, dataset_b ORDER BY rank_agreement DESC, match_id
        ) AS slice FROM ({_BOTH}) b
    ) s ORDER BY dataset_a, dataset_b, slice, rank_agreement DESC, match_id
) p ORDER BY rank_agreement DESC, match_id LIMIT %(n)s"""
_GENES = """
SELECT coalesce(gene_symbol, gene_id) AS gene_symbol, log2_fc_a, p_adj_a, log2_fc_b, p_adj_b
FROM matched_effect WHERE match_id = %(match_id)s ORDER BY gene_id"""
