"""pbdb evaluate holdout: how well methods predict effects of held-out compounds, beside what needs no model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from pbdb.common.errors import ConfigError
from pbdb.common.progress import Reporter, Silent
from pbdb.common.rows import Json
from pbdb.common.settings import Settings
from pbdb.learn import beside, compendium_input, effects_of, folds, foreign, leaks, model_files, results
from pbdb.learn.beside import Beside
from pbdb.learn.compendium_input import Loaded, Wanted
from pbdb.learn.effects_of import EffectsOf, Origin
from pbdb.learn.foreign import Embedding
from pbdb.learn.models import calibration, methods, problem, scores
from pbdb.learn.models.methods import Named
from pbdb.learn.models.problem import Predictions, Problem, Visible

STATISTICS = ["skill", "delta_correlation", "rmse", "direction"]


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


class Facts(TypedDict):
    """How methods were evaluated, on what, and which of them stand for the others.

    parts: of a benchmark that has some. undeclared: embeddings that do not say what they learned from. coverage:
    compounds that an embedding knows.
    """

    task: str
    choices: Json
    datasets: list[str]
    parts: NotRequired[list[str]]
    simulated: list[str]
    origin: Origin
    left_out: dict[str, int]
    undeclared: list[str]
    coverage: dict[str, int]
    n_compounds: int
    reference: str
    best_simple: str
    control: str


@dataclass(frozen=True)
class Evaluation:
    """What was found: summary (see `results.summarise`), rows (a method, a repeat and a held-out condition), facts."""

    summary: pd.DataFrame
    rows: pd.DataFrame
    facts: Facts


def run(
    settings: Settings, choices: Choices, snapshot: Path | None = None, reporter: Reporter | None = None
) -> Evaluation:
    """Evaluate all methods, and embeddings and predictions that are handed in, on held-out compounds.

    Raises:
        DataError: the split leaks, or a model learned from what it is tested on.
        QueryError, ConfigError: there is nothing to evaluate, or no such split.
    """
    told = reporter or Silent()
    place = effects_of.opened(settings, snapshot)
    try:
        loaded = compendium_input.load(place, Wanted(choices.datasets, choices.without), told.progress)
        task, divisions = _divisions(place, loaded, choices)
        told_beside = beside.read(place, loaded, _ever_tested(loaded, divisions))
    finally:
        place.close()
    told.stage("effects", f"{loaded.compendium.n_rows:,} conditions, {len(loaded.compounds):,} compounds")
    handed_in = [foreign.embedding(given, loaded) for given in choices.embeddings]
    with threadpool_limits(1, "blas"):
        parts = [
            _repeat(loaded, told_beside, names, choices, handed_in, repeat, told)
            for repeat, names in enumerate(divisions)
        ]
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


def _ever_tested(loaded: Loaded, divisions: list[folds.FoldNames]) -> list[Any]:
    """Rows of each block that any division tests."""
    coded = [folds.coded(loaded, names) for names in divisions]
    return [
        np.logical_or.reduce([codes == problem.TEST for codes in of_block]) for of_block in zip(*coded, strict=True)
    ]


@dataclass(frozen=True)
class _Judged:
    """What predictions of a division are judged by: the task, ids of its test rows per block, and what is beside."""

    task: Problem
    ids: list[Any]
    signs: scores.Signs
    noise: list[Any]


def _judged(loaded: Loaded, told: Beside, names: folds.FoldNames) -> _Judged:
    codes = folds.coded(loaded, names)
    task = problem.divide(loaded.compendium, codes)
    tested = [part == problem.TEST for part in codes]
    ids = loaded.by_block(loaded.conditions["condition_id"].to_numpy(dtype=np.int64))
    blocks = loaded.compendium.blocks
    found = [told.of(i, rows, len(blocks[i].genes)) for i, rows in enumerate(tested)]
    means = [task.visible.means.of(i, rows) for i, rows in enumerate(task.visible.test)]
    signs = scores.Signs(means, [significant for significant, _ in found])
    return _Judged(task, [part[rows] for part, rows in zip(ids, tested, strict=True)], signs, [n for _, n in found])


def _repeat(
    loaded: Loaded,
    told_beside: Beside,
    names: folds.FoldNames,
    choices: Choices,
    handed_in: list[Embedding],
    repeat: int,
    told: Reporter,
) -> pd.DataFrame:
    """Scores of every method on one division, and of the ceiling."""
    _refuse_seen(loaded, names, handed_in)
    judged = _judged(loaded, told_beside, names)
    visible = judged.task.visible
    common = np.logical_and.reduce([one.known for one in handed_in]) if handed_in else None
    runs = methods.always(choices.seed, os.cpu_count() or 1, choices.epochs)
    runs += [Named(one.name, methods.of_vectors(one.vectors, one.known)) for one in handed_in]
    parts = []
    for i, named in enumerate(runs):
        told.progress(f"repeat {repeat + 1}", i, len(runs))
        values, reliability = _predicted(visible, named)
        found = scores.score(visible.test, judged.task.test_truth, values, judged.signs)
        parts.append(_table(named.name, found, reliability, judged.ids, common))
    for given in choices.predictions:
        name, values, _ = foreign.predictions(given, loaded, visible.test, judged.ids)
        found = scores.score(visible.test, judged.task.test_truth, _differences(visible, values), judged.signs)
        parts.append(_table(name, found, None, judged.ids, common))
    ceiling = scores.ceiling(visible.test, judged.task.test_truth, judged.noise)
    parts.append(_table(methods.CEILING, ceiling, None, judged.ids, common).assign(direction=np.nan))
    told.stage("repeat", f"{repeat + 1}: {sum(map(len, visible.test)):,} held-out conditions")
    return pd.concat(parts, ignore_index=True).assign(repeat=repeat)


def _refuse_seen(loaded: Loaded, names: folds.FoldNames, handed_in: list[Embedding]) -> None:
    for one in handed_in:
        if one.folder is not None:
            held_out = pd.read_parquet(one.folder / model_files.HELD_OUT)
            manifest = model_files.read_manifest(one.folder)
            leaks.refuse_seen(one.name, loaded.conditions, (names == "test").tolist(), manifest, held_out)


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


def _table(name: str, found: scores.RowScores, reliability: Any, ids: list[Any], common: Any) -> pd.DataFrame:
    """Scores as rows."""
    # A constant prediction says nothing of which genes differ: its correlation counts as 0, as no prediction does.
    values = found.values | {"delta_correlation": np.nan_to_num(found.values["delta_correlation"])}
    return pd.DataFrame(
        {
            "learner": name,
            "dataset": found.dataset,
            "compound": found.compound,
            "condition_id": np.concatenate(ids),
            "is_common": True if common is None else common[found.compound],
            "reliability": np.nan if reliability is None else np.concatenate(reliability),
            **values,
        }
    )


def _facts(
    loaded: Loaded, choices: Choices, handed_in: list[Embedding], rows: pd.DataFrame, best: str, task: str
) -> Facts:
    return {
        "task": task,
        "choices": asdict(choices),
        "datasets": loaded.compendium.datasets,
        "simulated": sorted(loaded.conditions.loc[loaded.conditions["is_simulated"], "dataset"].unique()),
        "origin": loaded.origin,
        "left_out": loaded.left_out,
        "undeclared": [one.name for one in handed_in if not one.is_declared],
        "coverage": {one.name: int(one.known.sum()) for one in handed_in},
        "n_compounds": int(rows["compound"].nunique()),
        "reference": methods.MEAN,
        "best_simple": best,
        "control": methods.CONTROL,
    }
