"""Readers of every view and function at the statement boundaries of a publish: the state before, or the one after.

`make faults` asks at every boundary (PBDB_FAULTS=long); a plain run at the commits and at some drawn by chance.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import made
import psycopg
import pytest
from export_worlds import OPEN, counts, declared, sheet
from sqlalchemy import Engine, event

from pbdb.common.settings import Settings
from pbdb.loading import publish, stages
from pbdb.server import connect
from pbdb.server.connect import READER

IS_LONG = os.environ.get("PBDB_FAULTS") == "long"
DRAWN = 0.06  # share of statement boundaries at which a plain run asks
GATE = 7  # number of an advisory lock that nobody else takes
GENE = f"ENSG{made.FIRST_GENE:011d}"
LEDGER = ("etl_run", "compound_embedding", "embedding_model", "evaluation")
FUNCTIONS = {
    "gene_pairs": "(SELECT g.gene_key, p.* FROM core.gene g CROSS JOIN LATERAL pbdb.gene_pairs(g.gene_key) p)",
    "match_conditions": "pbdb.match_conditions(10, 'parent_inchikey', 0, NULL, 1, true)",
    "find_compound": "pbdb.find_compound('vorinostat')",
    "gene_counts": f"pbdb.gene_counts('{GENE}')",
    "compound_responses": f"pbdb.compound_responses('{GENE}', ARRAY['vorinostat'])",
    "dose_response": f"pbdb.dose_response('vorinostat', '{GENE}')",
}
Answer = tuple[Any, ...]


def _question(settings: Settings) -> str:
    """One statement whose answer is a checksum of every view of pbdb and core, and of functions."""
    with connect.connect(settings) as connection:
        listed = connection.execute(
            "SELECT schemaname || '.' || viewname FROM pg_views WHERE schemaname IN ('pbdb', 'core') ORDER BY 1"
        )
        views = [name for (name,) in listed if name.split(".")[1] not in LEDGER]
    parts = [
        f"(SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {relation} t)"
        for relation in (*views, *FUNCTIONS.values())
    ]
    return f"SELECT {', '.join(parts)}"


class Reader:
    """A session of pbdb_reader that waits for no lock longer than 100 ms."""

    def __init__(self, settings: Settings, question: str, level: psycopg.IsolationLevel | None, *, prepare: bool):
        self.connection = connect.connect(settings, autocommit=level is None)
        self.connection.isolation_level = level
        self.question, self.prepare = question, prepare
        self.connection.execute(f"SET SESSION ROLE {READER}")
        self.connection.execute("SET lock_timeout = '100ms'")
        self.connection.commit()

    def ask(self) -> Answer:
        """The answer at this moment, in the transaction that is open if there is one."""
        row = self.connection.execute(self.question.encode(), prepare=self.prepare).fetchone()
        assert row is not None
        return row


@contextmanager
def _watched(monkeypatch: pytest.MonkeyPatch, look: Callable[[bool], None]) -> Iterator[None]:
    """Call `look` before each statement and after each commit of a publish; it is told whether it was a commit."""
    original = publish.publish

    def observed(engine: Engine, *rest: Any) -> Any:
        def committed(connection: Any) -> None:
            # Called before the commit itself: what it brings is looked at when the next statement begins.
            nonlocal has_committed
            has_committed = True

        has_committed = False

        def statement(*_: Any) -> None:
            nonlocal has_committed
            look(has_committed)
            has_committed = False

        event.listen(engine, "before_cursor_execute", statement)
        event.listen(engine, "commit", committed)
        try:
            return original(engine, *rest)
        finally:
            event.remove(engine, "before_cursor_execute", statement)
            event.remove(engine, "commit", committed)

    monkeypatch.setattr(stages, "publish", observed)
    yield
    monkeypatch.setattr(stages, "publish", original)


def _release(folder: Path, seed: int, drugs: tuple[str, ...] = OPEN) -> Path:
    table = sheet(drugs, "10")
    return made.write(folder, table, counts(table, seed))


def _load_first(settings: Settings, folder: Path, **choices: Any) -> dict[str, Any]:
    return made.load(settings, folder, declared("first", is_redistributable=True), **choices)


@pytest.mark.parametrize("seed", [1, 2] if IS_LONG else [1])
def test_every_answer_is_the_state_before_or_the_one_after(
    exported: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    question = _question(exported)
    draw = random.Random(seed)
    plain = Reader(exported, question, None, prepare=False)
    open_one = Reader(exported, question, psycopg.IsolationLevel.READ_COMMITTED, prepare=False)
    prepared = Reader(exported, question, psycopg.IsolationLevel.READ_COMMITTED, prepare=True)
    fixed = Reader(exported, question, psycopg.IsolationLevel.REPEATABLE_READ, prepare=False)
    before = plain.ask()
    assert {fixed.ask(), open_one.ask(), prepared.ask()} == {before}
    answers: list[tuple[str, Answer]] = []
    refused: list[str] = []

    def look(is_commit: bool) -> None:
        if not (is_commit or IS_LONG or draw.random() < DRAWN):
            return
        answers.append(("plain", plain.ask()))
        answers.append(("open", open_one.ask()))
        assert fixed.ask() == before
        try:
            answers.append(("prepared", prepared.ask()))
        except psycopg.errors.SerializationFailure as problem:
            refused.append(str(problem))
            prepared.connection.rollback()
        late = Reader(exported, question, psycopg.IsolationLevel.REPEATABLE_READ, prepare=False)
        answers.append(("late", late.ask()))
        late.connection.close()

    with _watched(monkeypatch, look):
        # Fewer drugs and other counts: conditions and matches go, values change under ids that stay.
        assert _load_first(exported, _release(tmp_path / "other", 7 + seed, OPEN[:3]))["changed"]
    assert fixed.ask() == before
    after = plain.ask()
    differ = sum(old != new for old, new in zip(before, after, strict=True))
    assert differ > 10
    mixed = [kind for kind, answer in answers if answer not in (before, after)]
    assert mixed == []
    assert {answer for _, answer in answers} == {before, after}
    for reader in (plain, open_one, prepared, fixed):
        reader.connection.close()


def test_a_function_that_runs_late_in_an_old_statement_sees_what_its_statement_sees(
    exported: Settings, tmp_path: Path
) -> None:
    """The statement has its snapshot, then waits for a lock of ours while the load publishes, and only then reads."""
    query = b"""SELECT g.match_id, g.log2_fc_a, g.log2_fc_b
        FROM (SELECT pg_advisory_xact_lock_shared(%s) IS NULL AS is_null OFFSET 0) w
        CROSS JOIN LATERAL pbdb.gene_pairs(CASE WHEN w.is_null THEN 0 ELSE %s END) g ORDER BY 1"""
    asked = [GATE, made.FIRST_GENE]
    with connect.connect(exported, autocommit=True) as slow, connect.connect(exported, autocommit=True) as other:
        before = other.execute(query, asked).fetchall()
        other.execute("SELECT pg_advisory_lock(%s)", [GATE])
        with ThreadPoolExecutor(1) as thread:
            late = thread.submit(lambda: slow.execute(query, asked).fetchall())
            while other.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() != (1,):
                time.sleep(0.01)
            _load_first(exported, _release(tmp_path / "other", 9))
            other.execute("SELECT pg_advisory_unlock(%s)", [GATE])
            assert late.result() == before
        assert other.execute(query, asked).fetchall() != before


def test_an_idle_reader_in_a_transaction_keeps_the_old_partitions_and_no_load_waits(
    exported: Settings, tmp_path: Path
) -> None:
    with connect.connect(exported) as idle, connect.connect(exported, autocommit=True) as other:
        idle.execute("SELECT count(*) FROM pbdb.effect, pbdb.sample")
        assert _load_first(exported, _release(tmp_path / "a", 11))["changed"]
        assert _partitions(other) == 9  # of two data sets, and of the one before
        assert _load_first(exported, _release(tmp_path / "b", 12))["changed"]
        assert _partitions(other) == 12
        idle.rollback()
        assert not _load_first(exported, tmp_path / "b")["changed"]
        assert _partitions(other) == 6
        assert other.execute("SELECT count(*) FROM core.generation").fetchone() == (2,)


def _partitions(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute(
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'part'::regnamespace AND relkind = 'r'"
    )
    return int((row.fetchone() or (0,))[0])


def test_agreement_goes_with_the_effects_it_rests_on_and_stays_with_equal_ones(
    exported: Settings, tmp_path: Path
) -> None:
    rows = "SELECT count(*) FROM core.agreement"
    _load_first(exported, _release(tmp_path / "a", 21))
    with connect.connect(exported, autocommit=True) as connection:
        n_rows = _agreed(exported, connection)
        _load_first(exported, tmp_path / "a", force=True)
        assert connection.execute(rows).fetchone() == (n_rows,)
        _load_first(exported, _release(tmp_path / "b", 22))
        assert connection.execute(rows).fetchone() == (0,)
        said = connection.execute(
            "SELECT report ->> 'forgotten' FROM core.etl_run WHERE stage = 'match' ORDER BY etl_run_id DESC LIMIT 1"
        ).fetchone()
    assert said == (str(n_rows),)


def _agreed(settings: Settings, connection: psycopg.Connection[Any]) -> int:
    statement = """INSERT INTO core.agreement (match_id, metric, n, score, n_source_peers, n_source_centroid,
        n_target_peers, n_target_centroid, is_capped, parameters_id)
        SELECT match_id, 'spearman_log2_fc', 3, 0.5, 0, 0, 0, 0, false, 1 FROM core.match"""
    return connection.execute(statement).rowcount
