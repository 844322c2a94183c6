"""Search by signature: the nearest first, by index and without, with filters."""

from __future__ import annotations

import numpy as np
import pytest
from loads import name_of, query
from rows import add_dataset, add_partitions, add_signatures, add_world, insert
from sqlalchemy import text

from pbdb.common.errors import ConfigError, QueryError
from pbdb.common.settings import Settings
from pbdb.database import schema, signature_rows
from pbdb.database.effect_arrays import N_LANDMARKS
from pbdb.query import signature_index, signature_search
from pbdb.query.signature_search import Where
from pbdb.server import connect

N = 300


def _signatures() -> np.ndarray:
    """Groups of ten signatures around thirty centres."""
    chance = np.random.default_rng(0)
    centres = chance.normal(size=(N // 10, N_LANDMARKS))
    return np.repeat(centres, 10, axis=0) + 0.7 * chance.normal(size=(N, N_LANDMARKS))


@pytest.fixture
def world(database: Settings) -> Settings:
    """Dataset one with effects 0 to 299, of which every second is in another context, and a world without landmarks."""
    engine = connect.engine(database)
    with engine.begin() as connection:
        add_dataset(connection, 1, "one")
        add_partitions(connection, 1)
        for place, symbol in enumerate(("HMOX1", "MYC", "TP53")):
            gene = {"gene_key": place + 1, "gene_id": f"ENSG{place:011}", "symbol": symbol, "status": "current"}
            insert(connection, "gene", gene | ({"landmark_index": place, "is_landmark": True} if place < 2 else {}))
        insert(connection, "feature_set", {"feature_set_id": 1, "n_genes": 1, "gene_keys": [1]})
        insert(connection, "compound", {"compound_id": 1, "inchikey": "K", "name": "drug"})
        written = {"source_compound_id": 1, "dataset_id": 1, "source_key": "k", "name": "D", "compound_id": 1}
        insert(connection, "source_compound", written | {"resolved_by": "name"})
        for key, name in ((1, "even"), (2, "odd")):
            insert(
                connection,
                "context",
                {"context_id": key, "context": f"CVCL:{key}", "context_name": name, "kind": "x", "organism": "human"},
            )
            counts = dict.fromkeys(("n_samples", "n_vehicle", "n_plates", "n_components", "n_genes_in"), 1)
            ids = {
                "fit_id": key,
                "dataset_id": 1,
                "context_id": key,
                "feature_set_id": 1,
                "effect_ids": [],
                "condition_ids": [],
            }
            how = {"method": "voom", "mode": "pooled", "is_default": True, "filter_rule": "none", "code_version": "0"}
            insert(connection, "fit", ids | counts | how | {"parameters": {}, "report": {}})
        _add_effects(connection)
        add_world(connection, 3000, "without_landmarks")
        add_signatures(connection)
    return database


@pytest.fixture
def indexed(world: Settings) -> Settings:
    """The world with an index, which is used though there are few signatures."""
    engine = connect.engine(world)
    with engine.begin() as connection:
        for setting in ("pbdb.few_signatures = 0", "enable_sort = off", "enable_seqscan = off"):
            connection.exec_driver_sql(f"ALTER DATABASE {name_of(world)} SET {setting}")
    signature_index.build(engine)
    return world


def _add_effects(connection: object) -> None:
    for number, values in enumerate(_signatures()):
        context = 1 + number % 2
        dose = {"dose_fm": number + 1, "time_h": 24, "is_vehicle": False, "n_samples": 1}
        insert(
            connection,
            "condition",
            {"condition_id": number, "dataset_id": 1, "source_compound_id": 1, "context_id": context} | dose,
        )
        counts = dict.fromkeys(("n_treated", "n_vehicle", "n_plates", "n_vehicle_same_plates"), 1)
        signature = {"landmark_t": str(values.tolist()), "n_landmarks": N_LANDMARKS, "status": "ok"}
        ids = {"dataset_id": 1, "effect_id": number, "fit_id": context, "condition_id": number}
        insert(connection, "effect", ids | counts | signature)


def _nearest(number: int, sign: int = 1, keep: object = slice(None)) -> list[int]:
    values = _signatures().astype(np.float16).astype(np.float64)
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    likeness = sign * unit @ unit[number]
    likeness[number] = -9
    chosen = np.arange(N)[keep]
    return chosen[np.argsort(-likeness[chosen])].tolist()


def ids(rows: list[dict[str, object]]) -> list[object]:
    return [row["effect_id"] for row in rows]


def test_the_nearest_come_first_and_never_the_effect_itself(world: Settings) -> None:
    found = signature_search.like_effect(world, 42, Where(n=12, exact=True))
    assert ids(found) == _nearest(42)[:12]
    assert set(ids(found[:9])) == set(range(40, 50)) - {42}
    assert found[0]["similarity"] > found[-1]["similarity"] and found[0]["dose_um"] == (found[0]["effect_id"] + 1) / 1e9


def test_the_opposite_are_found_with_negative_similarity(world: Settings) -> None:
    found = signature_search.like_effect(world, 42, Where(n=5, exact=True), opposite=True)
    assert ids(found) == _nearest(42, -1)[:5] and found[0]["similarity"] < 0


def test_the_index_finds_what_the_exact_search_finds(indexed: Settings) -> None:
    hits = 0
    for number in range(0, N, 15):
        found = ids(signature_search.like_effect(indexed, number, Where(n=20)))
        hits += len(set(found) & set(_nearest(number)[:20]))
    assert hits / (20 * 20) >= 0.95


def test_an_index_holds_all_data_sets_and_is_made_once(world: Settings) -> None:
    built = signature_index.build(connect.engine(world))
    assert (built.datasets, built.n_signatures, built.is_anew) == (("one",), N, True)
    assert signature_index.build(connect.engine(world)).datasets == ()
    assert signature_index.build(connect.engine(world), rebuild=True).is_anew
    (index,) = query(world, "SELECT indexname FROM pg_indexes WHERE indexdef LIKE '%% hnsw %%'")
    assert index == ("signature_index_2",)
    assert query(world, "SELECT DISTINCT projection_id FROM core.projected_signature") == [(2,)]
    assert schema.check(connect.engine(world)) == []


def test_the_index_is_read(indexed: Settings) -> None:
    statement = """SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname LIKE 'signature_index_%%'"""
    with connect.connect(indexed, autocommit=True) as connection:
        connection.execute("SELECT * FROM pbdb.neighbours(42)")
        connection.execute("SELECT pg_stat_force_next_flush()")
        assert connection.execute(statement).fetchone() != (0,)


@pytest.mark.parametrize("exact", [True, False])
def test_filters_still_give_as_many_as_asked_for(indexed: Settings, exact: bool) -> None:
    world = indexed
    found = signature_search.like_effect(world, 42, Where(n=60, contexts=["odd"], exact=exact))
    assert len(found) == 60 and {row["context"] for row in found} == {"CVCL:2"}
    assert len(set(ids(found)) & set(_nearest(42, keep=slice(1, None, 2))[:60])) >= 57
    assert signature_search.like_effect(world, 42, Where(datasets=["without_landmarks"], exact=exact)) == []


def test_genes_make_a_signature(world: Settings) -> None:
    found, left_out = signature_search.like_genes(world, ["HMOX1", "TP53"], ["MYC"], Where(n=10, exact=True))
    values = _signatures().astype(np.float16).astype(np.float64)
    likeness = (values[:, 0] - values[:, 1]) / np.linalg.norm(values, axis=1)
    assert left_out == ["TP53"] and ids(found) == np.argsort(-likeness)[:10].tolist()
    opposite, _ = signature_search.like_genes(
        world, ["MYC"], ["ENSG00000000000"], Where(n=10, exact=True), opposite=True
    )
    assert ids(opposite) == ids(found)


def test_what_was_not_searched_or_not_tested_is_told(world: Settings) -> None:
    assert signature_search.not_searched(world, Where()) == ["without_landmarks"]
    assert signature_search.not_searched(world, Where(datasets=["one"])) == []
    found, _ = signature_search.like_genes(world, ["HMOX1"], ["MYC"], Where(n=7, exact=True))
    untested = signature_search.untested(world, found, ["HMOX1", "MYC"])
    assert (untested.n_hits, untested.by_gene) == (7, {"MYC": 7})
    with connect.engine(world).begin() as connection:
        only_hmox1 = str([1.0, *[0.0] * (N_LANDMARKS - 1)])
        connection.execute(text("UPDATE core.signature SET landmark_t = :to WHERE dataset_id = 1"), {"to": only_hmox1})
    assert signature_search.like_genes(world, ["MYC"], [], Where(n=7, exact=True))[0] == []


def test_a_compound_stands_for_its_effect_that_moves_most_genes(world: Settings) -> None:
    with connect.engine(world).begin() as connection:
        connection.execute(text("UPDATE core.effect SET n_up = effect_id % 200, n_down = 1 WHERE dataset_id = 1"))
    chosen = signature_search.effect_of
    assert chosen(world, "DRUG", None, Where()).effect_id == 199
    assert chosen(world, "K", None, Where(contexts=["even"])).effect_id == 198
    assert chosen(world, "drug", 8e-9, Where(datasets=["one"])).effect_id == 7
    for compound, dose in (("drug", 5.0), ("other", None)):
        with pytest.raises(QueryError, match=f"'{compound}' has no effect with a landmark signature"):
            chosen(world, compound, dose, Where())


def test_what_cannot_be_searched_is_a_sentence(world: Settings) -> None:
    for effect, words in ((987, "no effect 987"), (3061, "no landmark signature")):
        with pytest.raises(QueryError, match=words):
            signature_search.like_effect(world, effect)
    with pytest.raises(QueryError, match="landmarks"):
        signature_search.like_genes(world, ["TP53"])
    with pytest.raises(QueryError, match="up and down"):
        signature_search.like_genes(world, ["MYC"], ["MYC"])
    with pytest.raises(QueryError, match="'ENSG00000000001' is asked for up and down"):
        signature_search.like_genes(world, ["MYC"], ["ENSG00000000001"])
    with pytest.raises(QueryError, match="no dataset 'ones' in the database: did you mean 'one'"):
        signature_search.like_effect(world, 0, Where(datasets=["one", "ones"]))
    with pytest.raises(QueryError, match="no context 'EVEN' in the database: did you mean 'even'"):
        signature_search.like_genes(world, ["MYC"], where=Where(contexts=["EVEN"]))
    with pytest.raises(ConfigError):
        Where(n=0)


def _replace(world: Settings, sign: int) -> None:
    """What a load does: other signatures of the data set, in a transaction."""
    with connect.engine(world).begin() as connection:
        change = "UPDATE core.effect SET landmark_t = landmark_t * array_fill(:sign, ARRAY[978])::halfvec"
        connection.execute(text(change + " WHERE dataset_id = 1 AND effect_id % 10 = 3"), {"sign": float(sign)})
        generation = connection.execute(
            text("SELECT generation FROM core.generation WHERE dataset_id = 1")
        ).scalar_one()
        signature_rows.replace(connection, 1, generation)


def test_what_a_load_brings_is_found_before_it_is_indexed_and_after(indexed: Settings) -> None:
    _replace(indexed, -1)
    expected = [40, 41, 42, 44, 45, 46, 47, 48, 49]
    assert sorted(ids(signature_search.like_effect(indexed, 43, Where(n=9), opposite=True))) == expected
    built = signature_index.build(connect.engine(indexed))
    assert built.datasets == ("one",)
    assert sorted(ids(signature_search.like_effect(indexed, 43, Where(n=9), opposite=True))) == expected


def test_a_search_during_a_load_sees_the_signatures_before_it_then_those_after_it(indexed: Settings) -> None:
    asked = "SELECT effect_id FROM pbdb.neighbours(43, 5)"
    with connect.connect_as_reader(indexed) as reader, connect.connect_as_reader(indexed) as other:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        before = set(reader.execute(asked).fetchall())
        assert len(before) == 5
        _replace(indexed, -1)
        signature_index.build(connect.engine(indexed), rebuild=True)
        assert set(reader.execute(asked).fetchall()) == before
        assert not before & set(other.execute(asked).fetchall())


def test_an_old_index_that_a_reader_uses_goes_next_time(indexed: Settings) -> None:
    indexes = "SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'signature_index_%%'"
    with connect.connect_as_reader(indexed) as reader:
        reader.execute("SELECT * FROM pbdb.neighbours(43, 5)")
        signature_index.build(connect.engine(indexed), rebuild=True)
        assert query(indexed, indexes) == [(2,)]
    signature_index.build(connect.engine(indexed))
    assert query(indexed, indexes) == [(1,)]


def test_few_new_signatures_are_added_to_the_index_and_those_of_gone_fits_leave_it(indexed: Settings) -> None:
    engine = connect.engine(indexed)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE core.signature_fit SET projection_id = NULL, n_signatures = 10 WHERE fit_id = 2")
        )
        gone = "INSERT INTO core.projected_signature SELECT 1, 9999, 1, 99, coordinates FROM core.projected_signature"
        connection.execute(text(gone + " WHERE effect_id = 0"))
    built = signature_index.build(engine)
    assert (built.is_anew, built.datasets) == (False, ("one",))
    assert query(indexed, "SELECT count(*), max(effect_id) FROM core.projected_signature") == [(N, N - 1)]
    assert query(indexed, "SELECT DISTINCT projection_id FROM core.signature_fit") == [(1,)]


def test_signatures_of_a_removed_data_set_are_found_no_more(indexed: Settings) -> None:
    with connect.engine(indexed).begin() as connection:
        connection.execute(text("DELETE FROM core.fit WHERE fit_id = 2"))
    found = signature_search.like_effect(indexed, 42, Where(n=N))
    assert len(found) == N // 2 - 1 and {row["context"] for row in found} == {"CVCL:1"}


@pytest.mark.parametrize("are_axes_of_open_data", [True, False])
def test_what_may_not_be_passed_on_is_never_found_by_the_public(
    indexed: Settings, monkeypatch: pytest.MonkeyPatch, are_axes_of_open_data: bool
) -> None:
    """Fit 2 becomes that of a closed data set; the public uses the index only if its axes come from what it may see."""
    monkeypatch.setattr(signature_index, "ENOUGH", 1 if are_axes_of_open_data else N)
    engine = connect.engine(indexed)
    with engine.begin() as connection:
        add_dataset(connection, 2, "closed")
        connection.execute(text("UPDATE core.dataset SET is_redistributable = true WHERE dataset_id = 1"))
        for table in ("fit", "signature", "signature_fit"):
            connection.execute(text(f"UPDATE core.{table} SET dataset_id = 2 WHERE fit_id = 2"))
    signature_index.build(engine, rebuild=True)
    asked = "SELECT dataset, effect_id FROM pbdb.similar_signatures(CAST(:signature AS halfvec), 40)"
    likeness = str(_signatures()[43].tolist())
    with engine.connect() as connection:
        assert {row[0] for row in connection.execute(text(asked), {"signature": likeness})} == {"one", "closed"}
        connection.exec_driver_sql("SET ROLE pbdb_public")
        found = connection.execute(text(asked), {"signature": likeness}).all()
        assert {row[0] for row in found} == {"one"} and len(found) == 40
        hidden = "SELECT count(*) FROM core.{} WHERE dataset_id = 2"
        for table in ("signature", "signature_fit", "projected_signature"):
            assert connection.exec_driver_sql(hidden.format(table)).scalar_one() == 0
        n = connection.exec_driver_sql("SELECT count(*) FROM core.projected_signature").scalar_one()
        assert n == (N // 2 if are_axes_of_open_data else 0)


def test_a_signature_of_nothing_finds_nothing_and_is_not_found(indexed: Settings) -> None:
    with connect.engine(indexed).begin() as connection:
        zero = "UPDATE core.signature SET landmark_t = array_fill(0::real, ARRAY[978])::halfvec WHERE effect_id = 43"
        connection.execute(text(zero))
    signature_index.build(connect.engine(indexed), rebuild=True)
    assert 43 not in ids(signature_search.like_effect(indexed, 42, Where(n=299)))
    assert 43 not in ids(signature_search.like_effect(indexed, 42, Where(n=299, exact=True)))
