"""What readers get: signatures as AnnData equal the rows of the views."""

from __future__ import annotations

import numpy as np
import pytest
from databases import new_database

from pbdb.common.errors import QueryError, SchemaError
from pbdb.loading import pipeline
from pbdb.query import database
from pbdb.query.database import connect
from pbdb.simulate import drugseq
from pbdb.sources import registry


@pytest.fixture(scope="module")
def loaded(database_server, template, tmp_path_factory):
    place = tmp_path_factory.mktemp("reading")
    drugseq.write(place / "release", compounds=10, plates=3, genes=800)
    with new_database(database_server, place / "home", template) as settings:
        pipeline.load_source(registry.get("drugseq"), settings, pipeline.Choices(folder=place / "release"))
        yield settings


@pytest.mark.parametrize("at_once", [1, 5_000, database.VALUES_AT_ONCE])
def test_signatures_hold_the_numbers_of_the_views(loaded, monkeypatch, at_once):
    monkeypatch.setattr(database, "VALUES_AT_ONCE", at_once)
    db = connect(loaded)
    signatures = db.signatures(dataset="drugseq")
    rows = db.sql("SELECT effect_id, gene_id, log2_fc, se, p_adj FROM condition_effect")
    assert signatures.shape == (rows["effect_id"].nunique(), rows["gene_id"].nunique())
    effects = signatures.obs_names.get_indexer(rows["effect_id"].astype(str))
    genes = signatures.var_names.get_indexer(rows["gene_id"])
    assert np.array_equal(signatures.X[effects, genes], rows["log2_fc"].to_numpy(np.float32))
    # Null where counts give a gene no p value, though it has a fold change: NaN in the layer, at the same places.
    assert rows["p_adj"].notna().mean() > 0.5
    p_adj = 10.0 ** -signatures.layers["neg_log10_p_adj"][effects, genes]
    assert np.allclose(p_adj, rows["p_adj"], rtol=1e-5, equal_nan=True)


def test_signatures_can_be_of_one_compound(loaded):
    db = connect(loaded)
    name = db.sql("SELECT compound_name FROM condition WHERE NOT is_vehicle LIMIT 1").iloc[0, 0]
    found = db.signatures(compound=name)
    assert set(found.obs["compound_name"]) == {name}


def test_a_selection_without_effects_is_a_sentence(loaded):
    with pytest.raises(QueryError, match="No estimated effect"):
        connect(loaded).signatures(dataset="none")


def test_parameters_are_values_not_text(loaded):
    db = connect(loaded)
    found = db.sql("SELECT %(name)s AS name", {"name": "'; DROP TABLE core.effect; --"})
    assert found.iloc[0, 0] == "'; DROP TABLE core.effect; --"


def test_an_external_database_without_schema_says_what_to_run(empty_database):
    with pytest.raises(SchemaError, match="pbdb db upgrade"):
        connect(empty_database)


def test_a_database_is_a_context_as_a_snapshot_is(loaded):
    with connect(loaded) as db:
        assert db.sql("SELECT count(*) AS n FROM effect")["n"].iloc[0] > 0
