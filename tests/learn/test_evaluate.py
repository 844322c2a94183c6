"""Evaluations: who wins where, what is refused, what the page dares to say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from databases import new_database
from loads import query
from made_up_compendium import Learnt, write_world
from planted_worlds import Plan, world

from pbdb.cli import pbdb
from pbdb.common.errors import ConfigError, DataError, QueryError
from pbdb.common.settings import Settings
from pbdb.learn import holdout, op3, op3_files, page, results, training
from pbdb.learn.holdout import Choices, Evaluation
from pbdb.learn.models import metrics
from pbdb.learn.models.methods import CEILING, CONTROL, MEAN
from pbdb.server import connect

EPOCHS = 2


@pytest.fixture(scope="module")
def done(learnt: Learnt) -> Evaluation:
    return holdout.run(learnt.settings, Choices(split="held", epochs=EPOCHS))


def score(done: Evaluation, learner: str, statistic: str = "skill", quantity: str = "score", on: str = "all") -> Any:
    found = done.summary
    chosen = (found["learner"] == learner) & (found["statistic"] == statistic) & (found["quantity"] == quantity)
    (row,) = found[chosen & (found["evaluated_on"] == on)].itertuples()
    return row


def test_every_baseline_runs_and_the_planted_order_is_found(done: Evaluation) -> None:
    learners = set(done.summary["learner"])
    assert learners == {
        "zero", MEAN, "same compound elsewhere", "nearest structures", "structure ridge", "consensus and PCA",
        "low-rank", "low-rank without structure", "LPM", CONTROL, CEILING,
    }  # fmt: skip
    assert score(done, "low-rank").interval_low > 0
    assert score(done, "low-rank").estimate > 3 * score(done, "same compound elsewhere").estimate
    assert score(done, MEAN).estimate == 0 and score(done, "zero").estimate < 0
    assert score(done, CONTROL).interval_low <= 0 < score(done, CONTROL).interval_high + 0.02
    assert score(done, "low-rank", quantity=f"delta_{MEAN}").estimate == pytest.approx(score(done, "low-rank").estimate)
    assert 0.5 < score(done, "low-rank", quantity="win_rate").estimate <= 1


def test_numbers_are_those_of_the_rows(learnt: Learnt, done: Evaluation) -> None:
    counts = dict(
        query(learnt.settings, "SELECT dataset, count(*) FROM pbdb.split_member WHERE fold = 'test' GROUP BY 1")
    )
    own = done.rows[done.rows["learner"] == "low-rank"]
    assert own.groupby("dataset").size().to_dict() == counts
    means = own.groupby("dataset")["skill"].mean()
    for dataset, mean in means.items():
        assert score(done, "low-rank", on=str(dataset)).estimate == pytest.approx(mean)
        assert score(done, "low-rank", on=str(dataset)).n_test_conditions == counts[dataset]
    assert score(done, "low-rank").estimate == pytest.approx(means.mean())
    assert (done.rows["delta_correlation"].between(-1, 1)).all()


def test_directions_are_those_of_significant_genes(done: Evaluation) -> None:
    """The planted standard errors are 0.3: significant is what lies beyond, and half is guessing."""
    assert score(done, "zero", "direction").estimate == 0.5
    assert 0.5 < score(done, MEAN, "direction").estimate < score(done, "low-rank", "direction").estimate < 1
    guessed = done.rows.loc[done.rows["learner"] == "zero", "direction"]
    assert (guessed.isna() | (guessed == 0.5)).all() and guessed.notna().any()


def test_the_ceiling_is_what_standard_errors_leave(done: Evaluation) -> None:
    """The world's standard errors are all 0.3, so that a gene's share of 0.09 is noise."""
    ceiling = done.rows[done.rows["learner"] == CEILING].set_index("condition_id")
    zero_skill = done.rows[done.rows["learner"] == MEAN].set_index("condition_id")
    assert np.allclose(ceiling["rmse"], 0.3)
    of_all = zero_skill["rmse"] ** 2  # squares around the mean of the context, a gene
    expected = (1 - 0.09 / of_all[ceiling.index]).clip(lower=0) ** 0.5
    np.testing.assert_allclose(ceiling["delta_correlation"], expected, atol=1e-4)
    assert score(done, CEILING).estimate > score(done, "low-rank").estimate
    assert f"({score(done, CEILING).estimate:.2f} over all" in " ".join(page.not_shown(done))


@pytest.fixture(scope="module")
def empty_world(database_server: Settings, template: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with new_database(database_server, tmp_path_factory.mktemp("null") / "home", template) as settings:
        plans = (Plan("array", 2, 110, 0.6, 0.4), Plan("bulk", 1, 100, 1.0, 0.4))
        write_world(settings, world(21, plans, n_compounds=130, n_genes=60, rank=3, signal=0.0))
        yield settings


def test_in_a_world_without_effects_no_interval_leaves_zero(empty_world: Settings) -> None:
    found = holdout.run(empty_world, Choices(repeats=3, epochs=EPOCHS))
    rows = found.summary.query("statistic == 'skill' and quantity == 'score' and learner != 'zero'")
    rows = rows[rows["learner"] != CEILING]
    assert (rows["interval_low"] <= 1e-9).all() and (rows["interval_high"] >= -1e-9).all()
    assert (rows["estimate"].abs() < 0.01).all()
    over = [words for words in page.shown(found) if words.startswith("low-rank:")]
    assert len(over) == 1 and "above 0 in 0 of them" in over[0]


# --- refusals -------------------------------------------------------------------------------------------------------


def test_a_split_on_which_a_held_out_compound_trains_is_refused(learnt: Learnt) -> None:
    with connect.engine(learnt.settings).begin() as connection:
        connection.exec_driver_sql(
            """INSERT INTO core.split SELECT 99, 'leaky', kind, parameters, code_version FROM core.split
            WHERE split = 'held'"""
        )
        connection.exec_driver_sql(
            """INSERT INTO core.split_member SELECT 99, m.condition_id,
                CASE WHEN m.fold = 'test' AND row_number() OVER (
                    PARTITION BY m.fold ORDER BY d.dataset <> 'array', m.condition_id) = 1
                THEN 'train' ELSE m.fold END FROM core.split_member m JOIN core.split s USING (split_id)
                JOIN core.condition c USING (condition_id) JOIN core.dataset d USING (dataset_id)
                WHERE s.split = 'held'"""
        )
    try:
        with pytest.raises(DataError, match="The split leaks: 1 held-out compounds also train"):
            holdout.run(learnt.settings, Choices(split="leaky", datasets=("array", "bulk", "cells"), epochs=EPOCHS))
    finally:
        with connect.engine(learnt.settings).begin() as connection:
            connection.exec_driver_sql("DELETE FROM core.split WHERE split = 'leaky'")


def test_a_model_that_saw_what_it_is_tested_on_is_refused_and_one_that_did_not_is_taken(
    learnt: Learnt, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="Model 'all' learned from compounds it would be tested on"):
        holdout.run(learnt.settings, Choices(split="held", embeddings=(f"all={learnt.model}",), epochs=EPOCHS))
    training.train(learnt.settings, tmp_path / "fair", training.Choices(rank=8, split="held"))
    found = holdout.run(
        learnt.settings, Choices(split="held", embeddings=(f"fair={tmp_path / 'fair'}",), epochs=EPOCHS)
    )
    assert score(found, "fair").estimate > 0.05 and not found.facts["undeclared"]


def test_choices_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="belong to one split"):
        Choices(predictions=("x.parquet",))
    with pytest.raises(ConfigError, match="0 repeats"):
        Choices(repeats=0)


# --- other people's models ------------------------------------------------------------------------------------------


def test_foreign_vectors_are_scored_where_they_are_and_where_all_are(learnt: Learnt, tmp_path: Path) -> None:
    truth = pd.DataFrame({"inchikey": learnt.keys, "vector": list(learnt.world.factors)})
    truth.to_parquet(tmp_path / "truth.parquet")
    truth.iloc[::2].to_parquet(tmp_path / "half.parquet")
    given = (f"truth={tmp_path / 'truth.parquet'}", f"half={tmp_path / 'half.parquet'}")
    found = holdout.run(learnt.settings, Choices(split="held", embeddings=given, epochs=EPOCHS))
    assert score(found, "truth").estimate > score(found, "half").estimate
    common = score(found, "half", quantity="score_common")
    assert common.n_test_compounds < score(found, "half").n_test_compounds
    assert common.estimate > score(found, "half").estimate
    assert found.facts["undeclared"] == ["truth", "half"]
    words = " ".join(page.not_shown(found))
    assert "'truth' is fair" in words and "'half' is fair" in words
    shown = " ".join(page.shown(found))
    assert "truth (whether it saw the held-out effects is not known): skill" in shown and "saw the answers" not in shown
    assert page.write(found, tmp_path / "page.html")["figures"] > 0
    assert "half (training not declared)" in (tmp_path / "page.html").read_text()


def test_foreign_predictions_are_scored_as_they_are(learnt: Learnt, done: Evaluation, tmp_path: Path) -> None:
    ids = query(
        learnt.settings,
        """SELECT m.condition_id, d.dataset, m.context, m.inchikey, m.dose_um FROM pbdb.split_member m
        JOIN pbdb.dataset d USING (dataset) WHERE split = 'held' AND fold = 'test'""",
    )
    blocks = {(block.dataset, block.context): i for i, block in enumerate(learnt.world.compendium.blocks)}
    genes = dict(query(learnt.settings, "SELECT gene_key, gene_id FROM core.gene"))
    rows = []
    for condition, dataset, context, key, dose in ids:
        i = blocks[dataset, context]
        block = learnt.world.compendium.blocks[i]
        (row,) = np.flatnonzero((block.compound == learnt.keys.index(key)) & np.isclose(block.dose_um, dose))
        values = learnt.world.signal[i][row] + (block.values - learnt.world.signal[i]).mean(axis=0)
        rows += [(condition, genes[int(g) + 1], v) for g, v in zip(block.genes, values, strict=True)]
    pd.DataFrame(rows, columns=["condition_id", "gene_id", "value"]).to_parquet(tmp_path / "effects.parquet")
    given = (f"planted={tmp_path / 'effects.parquet'}",)
    found = holdout.run(learnt.settings, Choices(split="held", predictions=given, epochs=EPOCHS))
    assert score(found, "planted").estimate > score(done, "low-rank").estimate
    assert score(found, "planted", "delta_correlation").estimate > 0.4


def test_vectors_that_copy_the_answers_are_called_out(learnt: Learnt, done: Evaluation, tmp_path: Path) -> None:
    """Effects of every compound, those held out and their noise included, as one vector: no method could know it."""
    compendium = learnt.world.compendium
    columns = [np.zeros((len(learnt.keys), len(block.genes))) for block in compendium.blocks]
    for table, block in zip(columns, compendium.blocks, strict=True):
        np.add.at(table, block.compound, block.values)
    vectors = np.hstack(columns)
    seen = np.unique(np.concatenate([block.compound for block in compendium.blocks]))
    keys = [learnt.keys[i] for i in seen]
    pd.DataFrame({"inchikey": keys, "vector": list(vectors[seen])}).to_parquet(tmp_path / "leak.parquet")
    given = (f"leak={tmp_path / 'leak.parquet'}",)
    found = holdout.run(learnt.settings, Choices(split="held", embeddings=given, epochs=EPOCHS))
    assert score(found, "leak").estimate > score(done, "low-rank").estimate
    words = " ".join(page.shown(found))
    assert "leak (whether it saw the held-out effects is not known)" in words
    rows = found.rows.copy()
    of_leak, ceiling = rows["learner"] == "leak", rows["learner"] == CEILING
    rows.loc[of_leak, "skill"] = rows.loc[ceiling, "skill"].to_numpy() + 0.02
    assert "either it saw the answers" in " ".join(page.shown(replace(found, rows=rows)))


def test_files_that_say_nothing_are_refused(learnt: Learnt, tmp_path: Path) -> None:
    pd.DataFrame({"inchikey": ["X"], "vector": [[1.0]]}).to_parquet(tmp_path / "none.parquet")
    pd.DataFrame({"name": ["X"], "vector": [[1.0]]}).to_parquet(tmp_path / "names.parquet")
    (tmp_path / "text.parquet").write_text("no Parquet")
    for name, message in (
        ("none", "no vector of any"),
        ("names", "no column parent_inchikey or"),
        ("text", "as Parquet"),
    ):
        with pytest.raises(DataError, match=message):
            holdout.run(learnt.settings, Choices(split="held", embeddings=(str(tmp_path / f"{name}.parquet"),)))


# --- the page -------------------------------------------------------------------------------------------------------


def test_the_page_says_what_is_shown_and_what_is_not(done: Evaluation, tmp_path: Path) -> None:
    written = page.write(done, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert written["figures"] == 4 + 2 * 3 + 1 and "http://" not in text.replace("http://www.w3.org", "")
    for words in ("array, bulk, cells are simulated", "New chemistry", "as it must be where nothing leaks"):
        assert words in text
    assert "low-rank against the best method without a model" in text


def test_a_control_with_skill_is_called_a_leak(done: Evaluation) -> None:
    summary = done.summary.copy()
    chosen = (summary["learner"] == CONTROL) & (summary["statistic"] == "skill") & (summary["quantity"] == "score")
    summary.loc[chosen, ["estimate", "interval_low", "interval_high"]] = [0.1, 0.05, 0.2]
    assert "something leaks" in list(page.shown(replace(done, summary=summary)))[-1]


def test_no_difference_is_claimed_where_the_interval_holds_zero(done: Evaluation) -> None:
    summary = done.summary.copy()
    best = done.facts["best_simple"]
    chosen = (summary["learner"] == "low-rank") & (summary["quantity"] == f"delta_{best}")
    summary.loc[chosen, ["interval_low", "interval_high"]] = [-0.1, 0.3]
    (words,) = [words for words in page.shown(replace(done, summary=summary)) if words.startswith("low-rank against")]
    assert "no difference is shown" in words


def test_the_command_stores_shows_and_writes(learnt: Learnt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PBDB_HOME", str(learnt.settings.home))
    monkeypatch.setenv("PBDB_DATABASE_URL", str(learnt.settings.database_url))
    monkeypatch.setenv("PBDB_READ_AS_SUPERUSER", "1")
    arguments = ["evaluate", "holdout", "--split", "held", "--epochs", "1", "--name", "mine", "--json"]
    arguments += ["--out", str(tmp_path / "n.parquet"), "--page", str(tmp_path / "p.html")]
    shown = CliRunner().invoke(pbdb, arguments, catch_exceptions=False)
    assert shown.exit_code == 0, shown.output
    told = json.loads(shown.stdout)
    assert told["evaluation"] == "mine" and len(told["summary"]) == len(pd.read_parquet(tmp_path / "n.parquet"))
    stored = query(
        learnt.settings, "SELECT count(*), count(DISTINCT learner) FROM pbdb.evaluation WHERE evaluation = 'mine'"
    )
    assert stored == [(len(told["summary"]), 11)] and (tmp_path / "p.html").stat().st_size > 50_000


# --- OP3 ------------------------------------------------------------------------------------------------------------


def test_vectors_of_other_data_sets_help_where_effects_are_shared(learnt: Learnt) -> None:
    found = op3.run(learnt.settings, op3.Choices(split="repeat", repeats=3, dataset="cells"))
    ours = score(found, op3.LOWRANK, "mrrmse", f"delta_{MEAN}")
    assert ours.interval_low > 0
    assert abs(score(found, CONTROL).estimate) < 0.05
    assert set(found.summary["evaluated_on"]) == {"all", "cells_0", "cells_1"}
    with pytest.raises(DataError, match="'model' learned from cells"):
        op3.run(learnt.settings, op3.Choices(split="repeat", dataset="cells", embeddings=(str(learnt.model),)))
    with pytest.raises(QueryError, match="35 of the 35 published test compounds"):
        op3.run(learnt.settings, op3.Choices(dataset="cells"))


def test_the_published_compounds_are_the_golden_ones(shared: Path) -> None:
    golden = pd.read_csv(shared / "golden" / "learning" / "learning_op3_compound_split.csv")
    assert set(op3.PUBLISHED) == set(golden.loc[golden["split"] == "test", "perturbagen"])


def test_files_of_the_benchmark_give_the_metrics_of_the_benchmark(learnt: Learnt, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    names = [*op3.PUBLISHED, *(f"train {i}" for i in range(60))]
    chain = ["C" * (i + 1) + "O" for i in range(len(names))]
    obs = pd.DataFrame({"sm_name": names * 2, "SMILES": chain * 2, "cell_type": np.repeat(["B cells", "NK cells"], 95)})
    values = np.clip(rng.normal(size=(190, 30)), -4, 4)
    for name, part in (("train", slice(0, 150)), ("test", slice(150, 190))):
        table = obs.iloc[part].copy()
        table.index = table.index.astype(str)
        file = ad.AnnData(np.zeros((len(table), 30)), obs=table, layers={"clipped_sign_log10_pval": values[part]})
        file.write_h5ad(tmp_path / f"de_{name}.h5ad")
    files = (tmp_path / "de_train.h5ad", tmp_path / "de_test.h5ad")
    loaded = op3_files.read(files)
    assert loaded.compendium.n_rows == 190 and len(loaded.compounds) == 95 and loaded.compendium.has_structure.all()
    found = op3.run(learnt.settings, op3.Choices(files=files))
    assert score(found, MEAN, "mrrmse").n_test_compounds == 35
    for cells, rows in (("B cells", slice(0, 95)), ("NK cells", slice(95, 190))):
        truth, tested = values[rows], np.isin(names, op3.PUBLISHED)
        mean = np.tile(truth[~tested].mean(axis=0), (35, 1))
        expected = metrics.op3_scores(truth[tested].astype(np.float32), mean.astype(np.float32))
        for statistic, number in expected.items():
            assert score(found, MEAN, statistic, on=cells).estimate == pytest.approx(number, abs=1e-5), statistic


def test_headlines_are_methods_by_data_sets(done: Evaluation) -> None:
    table = results.headline(done.summary)
    assert table.loc["low-rank", "all"] == score(done, "low-rank").estimate
    assert list(table.columns) == ["all", "array", "bulk", "cells"]
