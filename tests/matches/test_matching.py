"""Which conditions match: rules of dose, time, compound and window."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction

import pytest
from rows import insert
from sqlalchemy import Connection, Engine, text

from pbdb.common.errors import ConfigError
from pbdb.common.ids import stable_id
from pbdb.matches import match_table
from pbdb.matches.match_table import Rule

Row = tuple[str, str, int, float]
Writer = Callable[..., list[int]]
UM = 10**9


def pairs(connection: Connection, **parameters: object) -> dict[tuple[int, int], float]:
    """Matches of the function, whatever the number of shared compounds: fold by pair of conditions."""
    query = """SELECT condition_id_a, condition_id_b, dose_fold
        FROM pbdb.match_conditions(:window, :level, :tolerance, NULL, 1)"""
    given = {"window": 1e9, "level": "parent_inchikey", "tolerance": 0} | parameters
    return {(a, b): fold for a, b, fold in connection.execute(text(query), given)}


def ladder(compound: str, *doses: int, time: float = 24.0) -> list[Row]:
    return [(compound, "A375", dose, time) for dose in doses]


def test_doses_match_mutually_nearest(engine: Engine, write: Writer) -> None:
    with engine.begin() as connection:
        a = write(connection, "one", ladder("X", UM, 10 * UM))
        b = write(connection, "two", ladder("X", 2 * UM, 3 * UM, 30 * UM))
        # 3 uM is nearest to 1 uM or 10 uM, but neither is nearest to it.
        assert pairs(connection) == {(a[0], b[0]): 2.0, (a[1], b[2]): 3.0}
        without_least = text("SELECT count(*) FROM pbdb.match_conditions(min_compounds => 0)")
        assert connection.execute(without_least).scalar() == 2


def test_equally_near_doses_all_match_and_form_one_block(engine: Engine, write: Writer) -> None:
    with engine.begin() as connection:
        a = write(connection, "one", ladder("X", 7 * UM, 7 * UM))
        b = write(connection, "two", ladder("X", 21 * UM, 21 * UM, 21 * UM))
        assert pairs(connection) == {(one, two): 3.0 for one in a for two in b}
        blocks = text("SELECT DISTINCT tie_block_size FROM pbdb.match_conditions(100, min_compounds => 1)")
        assert connection.execute(blocks).scalars().all() == [6]


def test_a_chain_of_equal_folds_is_one_block_and_a_second_ladder_another(engine: Engine, write: Writer) -> None:
    with engine.begin() as connection:
        write(connection, "one", ladder("X", 10, 40, 10**6))
        write(connection, "two", ladder("X", 5, 20, 80, 2 * 10**6))
        query = text("SELECT dose_fold, tie_block_size FROM pbdb.match_conditions(100, min_compounds => 1)")
        assert sorted(tuple(row) for row in connection.execute(query)) == [(2.0, 1)] + [(2.0, 4)] * 4


def test_ties_are_exact_where_floating_point_is_not(engine: Engine, write: Writer) -> None:
    with engine.begin() as connection:
        a = write(connection, "one", ladder("X", 999_999_999_999_999))
        b = write(connection, "two", ladder("X", 333_333_333_333_333, 2_999_999_999_999_997, 2_999_999_999_999_998))
        assert set(pairs(connection)) == {(a[0], b[0]), (a[0], b[1])}


@pytest.mark.parametrize("seed", range(4))
def test_matches_are_those_of_the_rule_written_plainly(engine: Engine, write: Writer, seed: int) -> None:
    chance = random.Random(seed)
    conditions: dict[int, Row] = {}
    with engine.begin() as connection:
        for name in ("one", "two", "three"):
            drawn = [
                (chance.choice("XYZ"), chance.choice(("A", "B")), chance.choice((1, 2, 3, 4, 6, 8, 12, 50)), 24.0)
                for _ in range(40)
            ]
            conditions |= dict(zip(write(connection, name, drawn), drawn, strict=True))
        found = pairs(connection)
    named = {frozenset(pair): fold for pair, fold in found.items()}
    assert named == pytest.approx(_plainly(conditions))
    assert len(named) == len(found) > 50


def _plainly(conditions: dict[int, Row]) -> dict[frozenset[int], float]:
    fold: dict[tuple[int, int], Fraction] = {}
    for one, (c, x, dose, t) in conditions.items():
        for two, (c2, x2, dose2, t2) in conditions.items():
            if one // 1000 != two // 1000 and (c, x, t) == (c2, x2, t2):
                fold[one, two] = max(Fraction(dose, dose2), Fraction(dose2, dose))
    best: dict[tuple[int, int], Fraction] = defaultdict(lambda: Fraction(10**9))
    for (one, two), value in fold.items():
        best[one, two // 1000] = min(best[one, two // 1000], value)
    return {
        frozenset((one, two)): float(value)
        for (one, two), value in fold.items()
        if value == best[one, two // 1000] == best[two, one // 1000]
    }


def test_what_may_not_match_does_not(engine: Engine, write: Writer) -> None:
    with engine.begin() as connection:
        same = ladder("X", UM)
        write(connection, "one", [*same, ("X", "A375", 0, 24.0)], overlap_group="g")
        write(connection, "sister", same, overlap_group="g")
        write(connection, "later", ladder("X", UM, time=24.5))
        write(connection, "other_cells", [("X", "MCF7", UM, 24.0)])
        write(connection, "vehicle", [("X", "A375", 0, 24.0)])
        assert pairs(connection) == {}
        write(connection, "zed", same)
        assert len(pairs(connection)) == 2


def test_unresolved_compounds_and_unknown_doses_never_match(engine: Engine, write: Writer) -> None:
    with engine.begin() as connection:
        for name in ("one", "two"):
            write(connection, name, ladder("X", UM))
        assert len(pairs(connection)) == 1
        connection.execute(text("UPDATE core.condition SET dose_fm = NULL WHERE dataset_id = 1000"))
        assert pairs(connection) == {}
        connection.execute(text("UPDATE core.condition SET dose_fm = 5"))
        connection.execute(text("UPDATE core.source_compound SET compound_id = NULL WHERE dataset_id = 1000"))
        assert pairs(connection) == {}


def test_level_decides_which_compounds_are_the_same(engine: Engine, write: Writer) -> None:
    with engine.begin() as connection:
        write(connection, "one", ladder("XA", UM))
        write(connection, "two", ladder("XA.HCl", UM))
        write(connection, "zed", ladder("XB", UM))
        levels = ("inchikey", "pubchem_cid", "parent_inchikey", "skeleton")
        assert [len(pairs(connection, level=level)) for level in levels] == [0, 0, 1, 3]


def test_times_within_the_tolerance_match_the_nearest_first(engine: Engine, write: Writer) -> None:
    with engine.begin() as connection:
        a = write(connection, "one", [*ladder("X", UM, time=24), *ladder("X", UM, time=6)])
        b = write(connection, "two", [*ladder("X", UM, time=22), *ladder("X", 5 * UM, time=23)])
        assert pairs(connection) == {}
        assert pairs(connection, tolerance=1) == {(a[0], b[1]): 5.0}
        assert pairs(connection, tolerance=2) == {(a[0], b[1]): 5.0}


def _panel(write: Writer, connection: Connection) -> None:
    """Twelve shared compounds at folds 1 to 12."""
    compounds = "ABCDEFGHIJKL"
    write(connection, "one", [(name, "A375", UM, 24.0) for name in compounds])
    write(connection, "two", [(name, "A375", UM * fold, 24.0) for fold, name in enumerate(compounds, start=1)])


def test_a_window_needs_ten_shared_compounds_of_its_own(engine: Engine, write: Writer) -> None:
    with engine.begin() as connection:
        _panel(write, connection)
        query = text("SELECT count(*), max(n_shared_compounds) FROM pbdb.match_conditions(:window)")
        found = {window: tuple(connection.execute(query, {"window": window}).one()) for window in (3, 9.9, 10, 11, 50)}
        assert found == {3: (0, None), 9.9: (0, None), 10: (10, 10), 11: (11, 11), 50: (12, 12)}


def test_one_table_holds_every_window(engine: Engine, write: Writer) -> None:
    with engine.begin() as connection:
        _panel(write, connection)
    match_table.refresh(engine)
    with engine.connect() as connection:
        for window in (1, 9, 10, 10.5, 11, 100):
            kept = "SELECT condition_id_a, condition_id_b FROM core.match WHERE from_window <= :w ORDER BY 1"
            found = "SELECT condition_id_a, condition_id_b FROM pbdb.match_conditions(:w) ORDER BY 1"
            assert (
                connection.execute(text(kept), {"w": window}).all()
                == connection.execute(text(found), {"w": window}).all()
            )
        shown = "SELECT count(*) FILTER (WHERE in_window_3), count(*) FILTER (WHERE in_window_10), count(*)"
        assert tuple(connection.execute(text(shown + " FROM pbdb.matched_condition")).one()) == (0, 10, 12)


def test_ids_of_matches_are_those_of_the_key(engine: Engine, write: Writer) -> None:
    with engine.begin() as connection:
        a = write(connection, "one", ladder("X", UM))
        b = write(connection, "two", ladder("X", UM))
    for hours in (0.0, 1.5):
        match_table.refresh(engine, Rule("skeleton", hours))
    with engine.connect() as connection:
        found = set(connection.execute(text("SELECT match_id FROM core.match")).scalars())
    assert found == {stable_id("match", "skeleton", hours, a[0], b[0]) for hours in (0, 1.5)}


def _agree(connection: Connection) -> None:
    zero = dict.fromkeys(
        ("n_source_peers", "n_source_centroid", "n_target_peers", "n_target_centroid", "parameters_id"), 0
    )
    for key in connection.execute(text("SELECT match_id FROM core.match")).scalars().all():
        insert(connection, "agreement", {"match_id": key, "metric": "m", "n": 1, "is_capped": False} | zero)


def test_a_refresh_without_change_keeps_what_was_said_of_matches(engine: Engine, write: Writer) -> None:
    with engine.begin() as connection:
        for name in ("one", "two", "zed"):
            write(connection, name, ladder("X", UM))
    assert match_table.refresh(engine).added == 3
    with engine.begin() as connection:
        _agree(connection)
    done = match_table.refresh(engine)
    assert (done.added, done.removed, done.matches) == (0, 0, 3)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM core.agreement")).scalar() == 3


def test_a_load_renews_its_datasets_matches_by_every_rule_and_forgets_their_agreement(
    engine: Engine, write: Writer
) -> None:
    with engine.begin() as connection:
        for name in ("one", "two", "zed"):
            write(connection, name, ladder("X", UM))
    match_table.refresh(engine, Rule("skeleton"))
    match_table.refresh(engine)
    with engine.begin() as connection:
        _agree(connection)
        connection.execute(text("UPDATE core.dataset SET fingerprint = 'new' WHERE dataset = 'two'"))
    # Matches of one rule found by hand are not all that a stopped load has left to do.
    match_table.refresh(engine, Rule("skeleton"))
    assert not match_table.is_current(engine, "two")
    with engine.begin() as connection:
        connection.execute(text("UPDATE core.condition SET dose_fm = 3 * dose_fm WHERE dataset_id = 2000"))
    done = match_table.match_dataset(engine, "two").refreshed
    assert [(one.rule.level, one.removed, one.added) for one in done] == [("parent_inchikey", 2, 2), ("skeleton", 2, 2)]
    assert match_table.is_current(engine, "two")
    with engine.connect() as connection:
        left = connection.execute(
            text("SELECT DISTINCT dataset_id_b FROM core.match JOIN core.agreement USING (match_id)")
        )
        assert left.scalars().all() == [3000]


@pytest.mark.parametrize("rule", [("name", 0.0), ("skeleton", -1.0), ("skeleton", float("nan"))])
def test_a_rule_that_makes_no_sense_is_refused(rule: tuple[str, float]) -> None:
    with pytest.raises(ConfigError):
        Rule(*rule)
