"""Search by signature: the nearest first, by index and without, with filters."""

from __future__ import annotations

import numpy as np
import pytest
from rows import add_dataset, add_partitions, add_world, insert
from sqlalchemy import Engine, text

from pbdb.common.errors import ConfigError, QueryError
from pbdb.common.settings import Settings
from pbdb.database.models import N_LANDMARKS
from pbdb.query import signatures as signature_search
from pbdb.query.signatures import Where
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
        for place, symbol in enumerate(("HMOX1", "MYC", "TP53")):
            gene = {"gene_key": place + 1, "gene_id": f"ENSG{place:011}", "symbol": symbol, "status": "current"}
            insert(connection, "gene", gene | ({"landmark_index": place, "is_landmark": True} if place < 2 else {}))
        add_world(connection, 3000, "without_landmarks")
    return database


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


def test_the_index_finds_what_the_exact_search_finds(world: Settings) -> None:
    assert list(signature_search.build_indexes(connect.engine(world))) == ["one"]
    assert signature_search.build_indexes(connect.engine(world)) == {}
    hits = 0
    for number in range(0, N, 15):
        found = ids(signature_search.like_effect(world, number, Where(n=20)))
        hits += len(set(found) & set(_nearest(number)[:20]))
    assert hits / (20 * 20) >= 0.95


def test_the_plan_reads_the_index(world: Settings) -> None:
    engine: Engine = connect.engine(world)
    signature_search.build_indexes(engine)
    query = """EXPLAIN SELECT effect_id FROM core.effect WHERE dataset_id = 1
        ORDER BY landmark_t <=> (SELECT landmark_t FROM core.effect WHERE effect_id = 3) LIMIT 5"""
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL enable_sort = off"))
        assert any("landmark_t_idx" in line for line in connection.execute(text(query)).scalars())


@pytest.mark.parametrize("exact", [True, False])
def test_filters_still_give_as_many_as_asked_for(world: Settings, exact: bool) -> None:
    signature_search.build_indexes(connect.engine(world))
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
        connection.execute(text("UPDATE core.effect SET landmark_t = :to WHERE dataset_id = 1"), {"to": only_hmox1})
    assert signature_search.like_genes(world, ["MYC"], [], Where(n=7, exact=True))[0] == []


def test_a_compound_stands_for_its_effect_that_moves_most_genes(world: Settings) -> None:
    with connect.engine(world).begin() as connection:
        connection.execute(text("UPDATE core.effect SET n_up = effect_id % 200, n_down = 1 WHERE dataset_id = 1"))
    chosen = signature_search.effect_of
    assert chosen(world, "DRUG", None, Where())["effect_id"] == 199
    assert chosen(world, "K", None, Where(contexts=["even"]))["effect_id"] == 198
    assert chosen(world, "drug", 8e-9, Where(datasets=["one"]))["effect_id"] == 7
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
