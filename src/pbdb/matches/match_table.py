"""Matches: conditions of different datasets with the same compound, context and time, mutually nearest in dose.

The rule itself is the SQL function pbdb.match_conditions; here its result is kept in table `match`, one set of rows
for each level of identity and time tolerance. A row holds for every window: `from_window` says from which on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from pbdb.common.errors import ConfigError
from pbdb.database.choices import LEVELS
from pbdb.server import locks

DEFAULT_WINDOW = 10.0
MIN_SHARED_COMPOUNDS = 10
LOCK = locks.key_of("pbdb match")


@dataclass(frozen=True)
class Rule:
    """What makes two conditions the same: level of compound identity, and hours by which times may differ."""

    level: str = "parent_inchikey"
    time_tolerance_h: float = 0.0

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ConfigError(f"'{self.level}' is no level of identity: choose {', '.join(LEVELS)}.", value=self.level)
        if not 0 <= self.time_tolerance_h < float("inf"):
            raise ConfigError(
                f"A time tolerance of {self.time_tolerance_h} h makes no sense: give hours from 0.",
                value=self.time_tolerance_h,
            )

    @property
    def parameters(self) -> dict[str, object]:
        """Values for SQL; the tolerance also as text, written as in keys of ids."""
        hours = float(self.time_tolerance_h)
        return {"level": self.level, "tolerance": hours, "written": str(int(hours) if hours.is_integer() else hours)}

    @property
    def command(self) -> str:
        """What finds the matches by this rule."""
        tolerance = f" --time-tolerance {self.time_tolerance_h:g}" if self.time_tolerance_h else ""
        return f"pbdb match run --level {self.level}{tolerance}"


@dataclass(frozen=True)
class Refreshed:
    """What a refresh did: rows removed and added (a changed row is both), and how many stand now."""

    rule: Rule
    removed: int
    added: int
    matches: int
    in_window: int


@dataclass(frozen=True)
class Matched:
    """What a new state of a dataset did to matches, by rule, and how many stored results went that no longer hold."""

    refreshed: list[Refreshed]
    forgotten: int

    @property
    def in_words(self) -> list[str]:
        """What a load says of it."""
        counts = (
            f"{done.matches:,} by {done.rule.level} within {done.rule.time_tolerance_h:g} h" for done in self.refreshed
        )
        said = [f"matches with other datasets: {'; '.join(counts)}"]
        if self.forgotten:
            said.append(
                f"{self.forgotten:,} stored rows of agreement rested on effects that changed, and are gone: "
                "`pbdb agreement run` computes them anew"
            )
        return said


@dataclass(frozen=True)
class Before:
    """A dataset before its new state: which samples and effects it showed, and rows of agreement that rest on them."""

    fingerprint: str | None
    effects_fingerprint: str | None
    results: int


def refresh(engine: Engine, rule: Rule | None = None) -> Refreshed:
    """Find the matches of a rule anew; agreement stays with matches that did not change, summaries if none did."""
    with engine.begin() as connection:
        locks.take(connection, LOCK)
        chosen = rule or Rule()
        done = _refresh(connection, chosen, None)
        if done.added or done.removed:
            connection.execute(text(_FORGET_SUMMARIES), chosen.parameters)
    _analyze(engine)
    return done


def read_before(connection: Connection, dataset: str) -> Before:
    """Read what `refresh_dataset` compares with; the caller holds the lock of matches."""
    row = connection.execute(text(_PRINTS), {"dataset": dataset}).one_or_none()
    results = connection.execute(text(_RESULTS), {"dataset": dataset}).scalar_one()
    return Before(row.fingerprint, row.effects_fingerprint, results) if row else Before(None, None, results)


def refresh_dataset(connection: Connection, dataset: str, before: Before) -> Matched:
    """Find the matches of one dataset's new state by every rule in use, in the transaction that makes it.

    Agreement stays where it rests on the same effects, that of replicates where it rests on the same samples.
    """
    prints = connection.execute(text(_PRINTS), {"dataset": dataset}).one()
    if prints.effects_fingerprint is None or prints.effects_fingerprint != before.effects_fingerprint:
        _run(connection, _FORGET_AGREEMENT, dataset)
    if prints.fingerprint is None or prints.fingerprint != before.fingerprint:
        _run(connection, _FORGET_REPLICATES, dataset)
    refreshed = [_refresh(connection, rule, dataset) for rule in _rules(connection)]
    if any(done.added or done.removed for done in refreshed):
        _run(connection, (_FORGET_PAIRS,), dataset)
    connection.execute(text(_NOTE), {"dataset": dataset})
    left = connection.execute(text(_RESULTS), {"dataset": dataset}).scalar_one()
    return Matched(refreshed, max(0, before.results - left))


def match_dataset(engine: Engine, dataset: str) -> Matched:
    """Find the matches of a dataset that an earlier version of pbdb loaded, and was stopped before it matched."""
    with engine.begin() as connection:
        locks.take(connection, LOCK)
        before = Before(None, None, read_before(connection, dataset).results)
        done = refresh_dataset(connection, dataset, before)
    _analyze(engine)
    return done


def is_current(engine: Engine, dataset: str) -> bool:
    """Whether the dataset was matched since its last load."""
    with engine.connect() as connection:
        return bool(connection.execute(text(_IS_CURRENT), {"dataset": dataset}).scalar())


def _run(connection: Connection, statements: Iterable[str], dataset: str) -> None:
    for statement in statements:
        connection.execute(text(statement), {"dataset": dataset})


def _rules(connection: Connection) -> list[Rule]:
    used = connection.execute(text("SELECT DISTINCT inchikey_level, time_tolerance_h FROM core.match"))
    return sorted({Rule(), *(Rule(*row) for row in used)}, key=lambda rule: (rule.level, rule.time_tolerance_h))


def _refresh(connection: Connection, rule: Rule, dataset: str | None) -> Refreshed:
    parameters = rule.parameters | {"dataset": dataset, "window": DEFAULT_WINDOW, "least": MIN_SHARED_COMPOUNDS}
    connection.execute(text("DROP TABLE IF EXISTS pg_temp.found_match"))
    connection.execute(text(_FIND), parameters)
    connection.execute(text("ANALYZE pg_temp.found_match"))
    removed = connection.execute(text(_REMOVE), parameters).rowcount
    added = connection.execute(text(_ADD), parameters).rowcount
    matches, in_window = connection.execute(text(_COUNT), parameters).one()
    return Refreshed(rule, removed, added, matches, in_window)


def _analyze(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE core.match")


_OF_DATASET = "(SELECT dataset_id FROM core.dataset WHERE dataset = CAST(:dataset AS text))"
_FIND = """
CREATE TEMPORARY TABLE found_match ON COMMIT DROP AS
WITH shown_effect AS MATERIALIZED (
    SELECT e.dataset_id, e.condition_id, e.effect_id
    FROM core.effect e JOIN core.fit t ON t.dataset_id = e.dataset_id AND t.fit_id = e.fit_id
    WHERE t.is_default AND e.status = 'ok'
)
SELECT
    -- The id of pbdb.ids: 52 bits of SHA-256 over the JSON of table and key.
    ('x' || left(encode(sha256(convert_to(
        format('["match","%s",%s,%s,%s]', CAST(:level AS text), CAST(:written AS text), f.condition_id_a,
        f.condition_id_b), 'UTF8')), 'hex'), 13))::bit(52)::bigint AS match_id,
    f.dataset_id_a, f.dataset_id_b, f.condition_id_a, f.condition_id_b, a.effect_id AS effect_id_a,
    b.effect_id AS effect_id_b, CAST(:level AS text) AS inchikey_level, f.compound_key,
    CAST(:tolerance AS double precision) AS time_tolerance_h, f.dose_fold, f.tie_block_size, f.n_shared_compounds,
    f.from_window
FROM pbdb.match_conditions(
    CAST(:window AS double precision), CAST(:level AS text), CAST(:tolerance AS double precision),
    CASE WHEN CAST(:dataset AS text) IS NOT NULL THEN ARRAY[CAST(:dataset AS text)] END, CAST(:least AS integer), true
) f
LEFT JOIN shown_effect a ON a.dataset_id = f.dataset_id_a AND a.condition_id = f.condition_id_a
LEFT JOIN shown_effect b ON b.dataset_id = f.dataset_id_b AND b.condition_id = f.condition_id_b
"""
_SCOPE = f"""m.inchikey_level = :level AND m.time_tolerance_h = :tolerance AND (CAST(:dataset AS text) IS NULL
    OR m.dataset_id_a = {_OF_DATASET} OR m.dataset_id_b = {_OF_DATASET})"""
_REMOVE = f"""
DELETE FROM core.match m WHERE {_SCOPE} AND NOT EXISTS (
    SELECT FROM pg_temp.found_match f
    WHERE f.match_id = m.match_id AND (f.dose_fold, f.tie_block_size, f.n_shared_compounds, f.from_window,
        f.effect_id_a, f.effect_id_b, f.compound_key) IS NOT DISTINCT FROM (m.dose_fold, m.tie_block_size,
        m.n_shared_compounds, m.from_window, m.effect_id_a, m.effect_id_b, m.compound_key))"""
_COLUMNS = """match_id, dataset_id_a, dataset_id_b, condition_id_a, condition_id_b, effect_id_a, effect_id_b,
    inchikey_level, compound_key, time_tolerance_h, dose_fold, tie_block_size, n_shared_compounds, from_window"""
_ADD = f"""
INSERT INTO core.match ({_COLUMNS}) SELECT {_COLUMNS} FROM pg_temp.found_match f
WHERE NOT EXISTS (SELECT FROM core.match m WHERE m.match_id = f.match_id)"""
_COUNT = f"SELECT count(*), count(*) FILTER (WHERE m.from_window <= :window) FROM core.match m WHERE {_SCOPE}"
_PRINTS = "SELECT fingerprint, effects_fingerprint FROM core.dataset WHERE dataset = :dataset"
_ITS_MATCH = f"m.match_id = g.match_id AND (m.dataset_id_a = {_OF_DATASET} OR m.dataset_id_b = {_OF_DATASET})"
_RESULTS = f"""
SELECT (SELECT count(*) FROM core.agreement g JOIN core.match m ON {_ITS_MATCH})
    + (SELECT count(*) FROM core.replicate_agreement WHERE dataset_id = {_OF_DATASET})"""
_FORGET_PAIRS = f"""
DELETE FROM core.agreement_summary
WHERE (dataset_id_a = {_OF_DATASET} OR dataset_id_b = {_OF_DATASET}) AND dataset_id_a <> dataset_id_b"""
# A load may have changed effects under ids that stay.
_FORGET_AGREEMENT = (f"DELETE FROM core.agreement g USING core.match m WHERE {_ITS_MATCH}", _FORGET_PAIRS)
_FORGET_REPLICATES = (
    f"DELETE FROM core.replicate_agreement WHERE dataset_id = {_OF_DATASET}",
    f"DELETE FROM core.agreement_summary WHERE dataset_id_a = {_OF_DATASET} AND dataset_id_b = dataset_id_a",
)
_FORGET_SUMMARIES = """
DELETE FROM core.agreement_summary
WHERE inchikey_level = :level AND time_tolerance_h = :tolerance AND dataset_id_a <> dataset_id_b"""
_NOTE = """
UPDATE core.dataset SET matches_fingerprint = coalesce(effects_fingerprint, fingerprint) WHERE dataset = :dataset"""
_IS_CURRENT = """
SELECT matches_fingerprint IS NOT DISTINCT FROM coalesce(effects_fingerprint, fingerprint)
FROM core.dataset WHERE dataset = :dataset"""
