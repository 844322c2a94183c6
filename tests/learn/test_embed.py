"""Models from the database and back: training, loading, asking what acts alike, predicting."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from loads import query, value
from made_up_compendium import Learnt

from pbdb.cli import pbdb
from pbdb.common.errors import ConfigError, DataError, QueryError
from pbdb.common.settings import Settings
from pbdb.exports.snapshots import build, restore
from pbdb.learn import compendium_input, effects_of, foreign, model_files, prediction, stored_models, training
from pbdb.learn.models import lowrank
from pbdb.learn.training import Choices
from pbdb.query import database
from pbdb.server import connect


def command(*arguments: str) -> str:
    done = CliRunner().invoke(pbdb, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def change(settings: Settings, statement: str) -> None:
    with connect.engine(settings).begin() as connection:
        connection.exec_driver_sql(statement)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def vectors_of(folder: Path) -> pd.DataFrame:
    return model_files.read_vectors(folder).set_index("parent_inchikey")


def test_compounds_near_in_the_model_are_near_in_truth(learnt: Learnt) -> None:
    table = vectors_of(learnt.model)
    found = unit(np.stack(table["vector"].to_list()))
    truth = unit(np.stack([learnt.factors(key) for key in table.index]))
    pairs = np.triu_indices(len(table), 1)
    assert np.corrcoef((found @ found.T)[pairs], (truth @ truth.T)[pairs])[0, 1] > 0.8
    seen = {int(c) for block in learnt.world.compendium.blocks for c in block.compound}
    assert set(table.index) == {learnt.keys[c] for c in seen} and not table["from_structure"].any()
    counts = [sum((block.compound == learnt.keys.index(key)).sum() for block in learnt.world.compendium.blocks)
              for key in table.index]  # fmt: skip
    assert table["n_effects"].tolist() == counts


def test_the_manifest_says_what_went_in(learnt: Learnt) -> None:
    content = model_files.read_manifest(learnt.model)
    assert content["datasets"] == ["array", "bulk", "cells"]
    assert content["origin"]["n_conditions"] == learnt.world.compendium.n_rows
    assert content["parameters"]["fit"]["rank"] == 8 and content["seconds"] > 0 and content["peak_mb"] > 50
    assert len(content["cosine_quantiles"]) == 5 * len(content["cosine_levels"])


def test_a_training_that_is_stopped_goes_on_to_the_same_vectors(
    learnt: Learnt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    iterate = lowrank._iterate

    def stopping(*parts: Any) -> None:
        steps.append(1)
        if len(steps) == 40:
            raise KeyboardInterrupt
        iterate(*parts)

    monkeypatch.setattr(lowrank, "_iterate", stopping)
    out = tmp_path / "again"
    with pytest.raises(KeyboardInterrupt):
        while len(steps) < 100:
            training.train(learnt.settings, out, Choices(rank=8))
            model_files.read_manifest(out)
            out = tmp_path / f"again{len(steps)}"
    monkeypatch.undo()
    assert not out.exists() and out.with_name(out.name + ".unfinished").is_dir()
    training.train(learnt.settings, out, Choices(rank=8))
    np.testing.assert_array_equal(
        np.stack(vectors_of(out)["vector"].to_list()), np.stack(vectors_of(learnt.model)["vector"].to_list())
    )
    assert sorted(path.name for path in out.iterdir()) == [
        "embedding.parquet", "held_out.parquet", "manifest.json", "model.npz",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="exists already"):
        training.train(learnt.settings, out, Choices(rank=8))


TRAIN_AND_STOP = """
import os, signal, sys
from pathlib import Path
from pbdb.cli.common import settings
from pbdb.learn import training
from pbdb.learn.models import lowrank

iterate, steps = lowrank._iterate, []

def killed(*parts):
    steps.append(1)
    if len(steps) == 30:
        os.kill(os.getpid(), signal.SIGKILL)
    iterate(*parts)

lowrank._iterate = killed
training.train(settings(), Path(sys.argv[1]), training.Choices(rank=8))
"""


def test_a_training_that_is_killed_goes_on_to_the_same_vectors_with_other_threads(
    learnt: Learnt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "killed"
    there = {"PBDB_HOME": str(learnt.settings.home), "PBDB_DATABASE_URL": str(learnt.settings.database_url)}
    call = [sys.executable, "-c", TRAIN_AND_STOP, str(out)]
    environment = os.environ | there | {"PBDB_READ_AS_SUPERUSER": "1"}
    done = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not out.exists() and any(out.with_name("killed.unfinished").iterdir())
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    training.train(learnt.settings, out, Choices(rank=8))
    cosines = [vectors @ vectors.T for vectors in (unit_of(out), unit_of(learnt.model))]
    np.testing.assert_allclose(cosines[0], cosines[1], atol=1e-4)


def unit_of(folder: Path) -> np.ndarray:
    return unit(np.stack(vectors_of(folder)["vector"].to_list()))


def test_a_split_keeps_what_it_holds_out_from_the_model(learnt: Learnt, tmp_path: Path) -> None:
    content = training.train(learnt.settings, tmp_path / "held", Choices(rank=8, split="held"))
    counts = query(learnt.settings, "SELECT fold, count(*) FROM pbdb.split_member WHERE split = 'held' GROUP BY 1")
    by_fold = dict(counts)
    assert content["n_held_out"] == by_fold["validation"] + by_fold["test"] > 0
    assert vectors_of(tmp_path / "held")["n_effects"].sum() == by_fold["train"]
    held = pd.read_parquet(tmp_path / "held" / "held_out.parquet")
    assert set(held["fold"]) == {"validation", "test"}


def test_the_network_trains_too_and_states_no_reliability(learnt: Learnt, tmp_path: Path) -> None:
    training.train(learnt.settings, tmp_path / "lpm", Choices(kind="lpm", epochs=2))
    table = vectors_of(tmp_path / "lpm")
    assert table["reliability"].isna().all() and len(table["vector"].iloc[0]) == 128
    with pytest.raises(DataError, match="gives vectors only"):
        model_files.read_predictor(tmp_path / "lpm")


def test_what_cannot_be_trained_is_said(learnt: Learnt, tmp_path: Path) -> None:
    for choices, message in (
        (Choices(datasets=("nowhere",)), "no dataset 'nowhere'"),
        (Choices(split="unheard"), "no split 'unheard'"),
    ):
        with pytest.raises(QueryError, match=message):
            training.train(learnt.settings, tmp_path / "x", choices)
    with pytest.raises(ConfigError, match="rank of 0"):
        Choices(rank=0)


# --- in the database ------------------------------------------------------------------------------------------------


def similar(learnt: Learnt, key: str, k: int = 5, **more: Any) -> list[dict[str, Any]]:
    return stored_models.similar(database.connect(learnt.settings), key, k, **more)


def test_acts_like_ranks_by_cosine_and_says_where_it_stands_among_random_pairs(learnt: Learnt) -> None:
    table = vectors_of(learnt.model)
    asked = table.index[3]
    cosines = unit(np.stack(table["vector"].to_list())) @ unit(table.loc[asked, "vector"][None])[0]
    expected = pd.Series(cosines, table.index).drop(asked).sort_values(ascending=False).head(5)
    rows = similar(learnt, asked)
    assert [row["parent_inchikey"] for row in rows] == expected.index.tolist()
    assert [row["cosine"] for row in rows] == pytest.approx(expected.tolist(), abs=1e-5)
    below = [(cosines[:, None] < row["cosine"]).mean() for row in rows]
    assert all(0.8 < row["percentile"] <= 1 for row in rows) and min(below) > 0.9
    assert [row["percentile"] for row in rows] == sorted((row["percentile"] for row in rows), reverse=True)
    assert all(0 <= row["tanimoto"] <= 1 for row in rows)


def test_unreliable_compounds_are_hidden_unless_asked_for(learnt: Learnt) -> None:
    table = vectors_of(learnt.model)
    asked, hidden = table.index[3], similar(learnt, table.index[3], 1)[0]["parent_inchikey"]
    statement = "UPDATE core.compound_embedding SET reliability = {} WHERE parent_inchikey = '{}'"
    before = table.loc[hidden, "reliability"]
    change(learnt.settings, statement.format(0.2, hidden))
    try:
        assert hidden not in {row["parent_inchikey"] for row in similar(learnt, asked)}
        assert similar(learnt, asked, least_reliability=0.0)[0]["parent_inchikey"] == hidden
    finally:
        change(learnt.settings, statement.format(before, hidden))


def test_what_is_not_known_is_said(learnt: Learnt) -> None:
    with pytest.raises(QueryError, match="No compound is called 'nobody'"):
        similar(learnt, "nobody")
    with pytest.raises(QueryError, match="no model 'other': there are model"):
        similar(learnt, learnt.keys[0], model="other")
    with pytest.raises(ConfigError, match="a model 'model' already"):
        stored_models.load(learnt.settings, learnt.model)
    with pytest.raises(DataError, match="is no model"):
        stored_models.load(learnt.settings, learnt.model.parent)


def test_a_model_needs_the_data_sets_it_learned_from(learnt: Learnt, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    for path in learnt.model.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    content = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(content | {"datasets": ["array", "gone"]}))
    with pytest.raises(QueryError, match="'gone', which this database does not hold"):
        stored_models.load(learnt.settings, folder)


def test_the_first_model_is_the_default_and_another_only_if_so_told(learnt: Learnt) -> None:
    assert not stored_models.load(learnt.settings, learnt.model, "second")["is_default"]
    names = [row["model"] for row in stored_models.listed(database.connect(learnt.settings))]
    assert names == ["model", "second"]
    assert stored_models.load(learnt.settings, learnt.model, "model", replace=True, default=True)["is_default"]
    change(learnt.settings, "DELETE FROM core.embedding_model WHERE model = 'second'")


# --- predictions ----------------------------------------------------------------------------------------------------


def predict(
    learnt: Learnt, what: str, context: str = "array_0", dose: float = 10.0
) -> tuple[dict[str, Any], pd.DataFrame]:
    return prediction.predict(database.connect(learnt.settings), what, context, dose, 24.0, "model")


def test_predictions_are_the_planted_effects_within_their_deviations(learnt: Learnt) -> None:
    block, signal = learnt.world.compendium.blocks[0], learnt.world.signal[0]
    row = 7
    facts, table = predict(learnt, learnt.keys[block.compound[row]], dose=block.dose_um[row])
    assert facts["dataset"] == "array" and not facts["from_structure"] and facts["reliability"] > 0.8
    by_gene = table.set_index("gene_id")
    found = (by_gene["log2_fc"] - by_gene["context_mean"]).sort_index().to_numpy()
    assert np.corrcoef(found, signal[row])[0, 1] > 0.8
    z = (by_gene["log2_fc"].sort_index().to_numpy() - block.values[row]) / by_gene["sd"].sort_index().to_numpy()
    assert 0.5 < (z**2).mean() < 1.6


def test_a_new_structure_is_a_guess_and_a_new_context_is_refused(learnt: Learnt) -> None:
    facts, table = predict(learnt, "CC(=O)Oc1ccccc1C(=O)O")
    assert facts["from_structure"] and facts["reliability"] < 0.6 and len(table) == 50
    assert (table["sd"] > 0).all()
    with pytest.raises(QueryError, match=r"never saw context 'CVCL:9999'.*array_0"):
        predict(learnt, learnt.keys[0], "CVCL:9999")
    with pytest.raises(QueryError, match="no structure to guess from"):
        predict(learnt, "neither name nor structure")
    with pytest.raises(ConfigError, match="above 0"):
        predict(learnt, learnt.keys[0], dose=0)


# --- snapshots ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def snapshot(learnt: Learnt, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("snapshot") / "2026.1"
    build.export(learnt.settings, str(folder), build.Choices("2026.1"))
    return folder


def test_a_snapshot_answers_as_the_database_does(learnt: Learnt, snapshot: Path) -> None:
    asked = vectors_of(learnt.model).index[3]
    expected = similar(learnt, asked)
    with duckdb.connect(snapshot / "pbdb.duckdb", read_only=True) as connection:
        found = connection.execute(f"SELECT * FROM acts_like('{asked}', k := 5)").df()
    assert found.columns.tolist() == list(expected[0])
    for name in ("parent_inchikey", "compound_name", "n_training_effects"):
        assert found[name].tolist() == [row[name] for row in expected]
    for name in ("cosine", "percentile", "tanimoto", "reliability"):
        assert found[name].tolist() == pytest.approx([row[name] for row in expected], abs=1e-5)


def test_a_snapshot_teaches_what_the_database_does(learnt: Learnt, snapshot: Path, tmp_path: Path) -> None:
    content = training.train(learnt.settings, tmp_path / "from", Choices(rank=8), snapshot)
    assert content["origin"]["kind"] == "snapshot" and content["origin"]["release"] == "2026.1"
    there, here = (np.stack(vectors_of(folder)["vector"].to_list()) for folder in (tmp_path / "from", learnt.model))
    np.testing.assert_allclose(unit(there) @ unit(there).T, unit(here) @ unit(here).T, atol=1e-4)


def test_a_restored_snapshot_has_the_model(learnt: Learnt, snapshot: Path, empty_database: Settings) -> None:
    restore.load(empty_database, snapshot)
    statement = "SELECT parent_inchikey, vec, reliability FROM pbdb.compound_embedding ORDER BY 1"
    assert query(empty_database, statement) == query(learnt.settings, statement)


EXAMPLE = (Path(__file__).resolve().parents[2] / "docs/learning.md").read_text().split("```python\n")[1].split("```")[0]


def test_the_example_for_other_peoples_models_reads_the_training_fold(
    learnt: Learnt, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What of it needs no PyTorch: signatures of the compounds that train."""
    monkeypatch.chdir(snapshot.parent)
    before, found = EXAMPLE.split("x = torch")[0].replace("import torch\n", ""), {}
    exec(before, found)
    keys = query(
        learnt.settings, "SELECT DISTINCT inchikey FROM pbdb.split_member WHERE split = 'held' AND fold = 'train'"
    )
    assert len(found["signatures"]) > 0 and set(found["signatures"].index) <= {key for (key,) in keys}


def test_the_example_for_other_peoples_models_runs_where_pytorch_is(
    learnt: Learnt, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="PyTorch is no dependency")
    monkeypatch.chdir(snapshot.parent)
    exec(EXAMPLE, {})
    made = foreign.embedding("mine=vectors.parquet", compendium_input.load(effects_of.opened(learnt.settings, None)))
    assert made.known.any() and not made.is_declared


def test_a_closed_data_set_keeps_the_model_out_of_a_snapshot(learnt: Learnt, tmp_path: Path) -> None:
    close = "UPDATE core.dataset SET is_redistributable = {} WHERE dataset = 'cells'"
    change(learnt.settings, close.format("false"))
    try:
        build.export(learnt.settings, str(tmp_path / "open"), build.Choices("2026.2"))
    finally:
        change(learnt.settings, close.format("true"))
    assert len(pd.read_parquet(tmp_path / "open" / "core" / "compound_embedding.parquet")) == 0
    assert value(learnt.settings, "SELECT count(*) FROM core.embedding_model") == 1


# --- commands -------------------------------------------------------------------------------------------------------


def test_commands_from_training_to_prediction(learnt: Learnt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PBDB_HOME", str(learnt.settings.home))
    monkeypatch.setenv("PBDB_DATABASE_URL", str(learnt.settings.database_url))
    monkeypatch.setenv("PBDB_READ_AS_SUPERUSER", "1")
    out = tmp_path / "small"
    made = json.loads(command("embed", "train", "--rank", "4", "--dataset", "bulk", "--out", str(out), "--json"))
    assert made["datasets"] == ["bulk"] and made["n_dimensions"] <= 4
    assert json.loads(command("embed", "load", str(out), "--name", "bulk alone", "--json"))["compounds"] == 100
    assert "bulk alone" in command("embed", "list")
    key = vectors_of(out).index[0]
    rows = json.loads(command("embed", "similar", key, "--model", "bulk alone", "--unlike", "0.5", "--all", "--json"))
    assert rows and all(row["tanimoto"] < 0.5 for row in rows)
    place = ("--context", "bulk_0", "--dose", "10", "--time", "24", "--model", "bulk alone", "--json")
    assert len(json.loads(command("embed", "predict", key, *place))["genes"]) == 100
    change(learnt.settings, "DELETE FROM core.embedding_model WHERE model = 'bulk alone'")
