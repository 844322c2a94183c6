"""pbdb evaluate holdout: how well methods predict effects of held-out compounds, beside what needs no model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from pbdb.common.errors import ConfigError
from pbdb.common.progress import Reporter, Silent
from pbdb.common.settings import Settings
from pbdb.learn import compendium_input, effects_of, folds, foreign, leaks, model_files, results
from pbdb.learn.compendium_input import Loaded, Wanted
from pbdb.learn.effects_of import EffectsOf
from pbdb.learn.foreign import Embedding
from pbdb.learn.models import calibration, methods, problem, scores
from pbdb.learn.models.methods import Named
from pbdb.learn.models.problem import Predictions, Problem, Visible

STATISTICS = ["skill", "delta_correlation", "rmse"]


@dataclass(frozen=True)
class Choices:
    """What is evaluated.

    task: transfer, compound or scaffold, drawn anew in each of `repeats`; or split: a stored one, once. embeddings:
    NAME=PATH of vectors; predictions: NAME=PATH of predicted effects, which need a stored split. epochs: of LPM.
    """

    task: str = "transfer"
    split: str | None = None
    repeats: int = 5
    datasets: Sequence[str] = ()
    without: Sequence[str] = ()
    embeddings: Sequence[str] = ()
    predictions: Sequence[str] = ()
    seed: int = 0
    epochs: int = 30

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ConfigError(f"{self.repeats} repeats evaluate nothing: give a number from 1.")
        if self.predictions and self.split is None:
            raise ConfigError("Predictions belong to one split: name it with --split, as it was when they were made.")


@dataclass(frozen=True)
class Evaluation:
    """What was found: summary (see `results.summarise`), rows (a method, a repeat and a held-out condition), facts."""

    summary: pd.DataFrame
    rows: pd.DataFrame
    facts: dict[str, Any] = field(default_factory=dict)


def run(
    settings: Settings, choices: Choices, snapshot: Path | None = None, reporter: Reporter | None = None
) -> Evaluation:
    """Evaluate all methods, and embeddings and predictions that are handed in, on held-out compounds.

    Raises:
        DataError: the split leaks, or a model learned from what it is tested on.
        QueryError, ConfigError: there is nothing to evaluate, or no such split.
    """
    listener = reporter or Silent()
    place = effects_of.opened(settings, snapshot)
    try:
        loaded = compendium_input.load(place, Wanted(choices.datasets, choices.without), listener.progress)
        task, divisions = _divisions(place, loaded, choices)
    finally:
        place.close()
    listener.stage("effects", f"{loaded.compendium.n_rows:,} conditions, {len(loaded.compounds):,} compounds")
    handed_in = [foreign.embedding(argument, loaded) for argument in choices.embeddings]
    with threadpool_limits(1, "blas"):
        parts = [_repeat(loaded, names, choices, handed_in, repeat, listener) for repeat, names in enumerate(divisions)]
    rows = pd.concat(parts, ignore_index=True)
    summary = results.with_best_simple(rows, results.summarise(rows, STATISTICS))
    return Evaluation(summary, rows, _facts(loaded, choices, handed_in, rows, results.best_simple(summary), task))


def _divisions(place: EffectsOf, loaded: Loaded, choices: Choices) -> tuple[str, list[folds.FoldNames]]:
    """The task, and the folds of each repeat."""
    if choices.split:
        task, divisions = _task_of(place, choices.split), [folds.stored(place, choices.split, loaded)]
    else:
        seeds = range(choices.seed, choices.seed + choices.repeats)
        task, divisions = choices.task, [folds.drawn(choices.task, loaded.conditions, seed) for seed in seeds]
    for names in divisions:
        leaks.refuse_leaks(loaded.conditions, names, task)
    return task, divisions


def _task_of(place: EffectsOf, split: str) -> str:
    kinds = place.frame("SELECT kind FROM core.split WHERE split = %(split)s", {"split": split})["kind"]
    return "transfer" if len(kinds) and kinds.iloc[0] == "transfer" else "compound"


def _repeat(
    loaded: Loaded,
    names: folds.FoldNames,
    choices: Choices,
    handed_in: list[Embedding],
    repeat: int,
    reporter: Reporter,
) -> pd.DataFrame:
    """Scores of every method on one division."""
    _refuse_seen(loaded, names, handed_in)
    task = problem.divide(loaded.compendium, folds.coded(loaded, names))
    ids = [part[codes == problem.TEST] for part, codes in _ids_and_codes(loaded, names)]
    common = np.logical_and.reduce([embedding.known for embedding in handed_in]) if handed_in else None
    runs = methods.always(choices.seed, os.cpu_count() or 1, choices.epochs)
    runs += [Named(embedding.name, methods.of_vectors(embedding.vectors, embedding.known)) for embedding in handed_in]
    parts = []
    for i, named in enumerate(runs):
        reporter.progress(f"repeat {repeat + 1}", i, len(runs))
        parts.append(_scored(task, named.name, *_predicted(task.visible, named), ids, common))
    for argument in choices.predictions:
        name, values, _ = foreign.predictions(argument, loaded, task.visible.test, ids)
        parts.append(_scored(task, name, _differences(task.visible, values), None, ids, common))
    reporter.stage("repeat", f"{repeat + 1}: {sum(map(len, task.visible.test)):,} held-out conditions")
    return pd.concat(parts, ignore_index=True).assign(repeat=repeat)


def _refuse_seen(loaded: Loaded, names: folds.FoldNames, handed_in: list[Embedding]) -> None:
    for embedding in handed_in:
        if embedding.folder is not None:
            held_out = pd.read_parquet(embedding.folder / model_files.HELD_OUT)
            manifest = model_files.read_manifest(embedding.folder)
            leaks.refuse_seen(embedding.name, loaded.conditions, (names == "test").tolist(), manifest, held_out)


def _ids_and_codes(loaded: Loaded, names: folds.FoldNames) -> list[tuple[Any, Any]]:
    ids = loaded.by_block(loaded.conditions["condition_id"].to_numpy(dtype=np.int64))
    return list(zip(ids, folds.coded(loaded, names), strict=True))


def _predicted(visible: Visible, named: Named) -> tuple[list[Any], Any]:
    """Test predictions of a method, with its slopes, and the reliability it states."""
    predicted: Predictions = named.method(visible)
    if not named.has_slope:
        return predicted.test, predicted.reliability
    slope = calibration.slopes(visible.validation, visible.validation_truth, predicted.validation)
    return calibration.scaled(visible.test, predicted.test, slope), predicted.reliability


def _differences(visible: Visible, values: list[Any]) -> list[Any]:
    """Foreign predictions as differences from the contexts' means; what is not predicted is the mean."""
    pairs = enumerate(zip(visible.test, values, strict=True))
    return [np.nan_to_num(part - visible.means.of(i, rows)).astype(np.float32) for i, (rows, part) in pairs]


def _scored(
    task: Problem, name: str, predicted: list[Any], reliability: Any, ids: list[Any], common: Any
) -> pd.DataFrame:
    scored = scores.score(task.visible.test, task.test_truth, predicted)
    # A constant prediction says nothing of which genes differ: its correlation counts as 0, as no prediction does.
    values = scored.values | {"delta_correlation": np.nan_to_num(scored.values["delta_correlation"])}
    return pd.DataFrame(
        {
            "learner": name,
            "dataset": scored.dataset,
            "compound": scored.compound,
            "condition_id": np.concatenate(ids),
            "is_common": True if common is None else common[scored.compound],
            "reliability": np.nan if reliability is None else np.concatenate(reliability),
            **values,
        }
    )


def _facts(
    loaded: Loaded, choices: Choices, handed_in: list[Embedding], rows: pd.DataFrame, best: str, task: str
) -> dict[str, Any]:
    return {
        "task": task,
        "choices": asdict(choices),
        "datasets": loaded.compendium.datasets,
        "simulated": sorted(loaded.conditions.loc[loaded.conditions["is_simulated"], "dataset"].unique()),
        "origin": loaded.origin,
        "left_out": loaded.left_out,
        "undeclared": [embedding.name for embedding in handed_in if not embedding.is_declared],
        "coverage": {embedding.name: int(embedding.known.sum()) for embedding in handed_in},
        "n_compounds": int(rows["compound"].nunique()),
        "reference": methods.MEAN,
        "best_simple": best,
        "control": methods.CONTROL,
    }
