"""pbdb evaluate op3: do vectors learned elsewhere help to predict the OP3 benchmark's unseen compounds?

Target, compounds and metrics are those of the benchmark; the reader of every embedding is one and the same: ridge
regression in each cell type, its penalty by five parts of the training compounds. Nothing else is tuned.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from pbdb.common.errors import ConfigError, DataError, QueryError
from pbdb.common.progress import Reporter, Silent
from pbdb.common.settings import Settings
from pbdb.learn import compendium_input, effects_of, foreign, model_files, op3_files, results
from pbdb.learn.compendium_input import Loaded, Wanted
from pbdb.learn.foreign import Embedding
from pbdb.learn.holdout import Evaluation, Facts
from pbdb.learn.models import baselines, context_means, lowrank, methods, metrics, problem, scores
from pbdb.learn.models.methods import Named
from pbdb.learn.models.problem import TEST, TRAIN, Folds, Problem, plain

DATASET = "op3"
LARGEST = 4.0
STATISTICS = ["mrrmse", "mae", "pearson", "spearman", "cosine", "skill", "delta_correlation"]
SHARE = 0.25
INNER_FOLDS = 5
LOWRANK, CONSENSUS = "low-rank, all other data sets", "consensus and PCA, all other data sets"
L1000 = "low-rank, L1000 alone"
# The compounds that the published compound holdout tests, as the benchmark names them.
PUBLISHED = (
    "Tamatinib", "Ixabepilone", "Linagliptin", "I-BET151", "GW843682X", "BMS-387032", "BMS-777607",
    "Porcn Inhibitor III", "BMS-265246", "Navitoclax", "FK 866", "Perhexiline", "Desloratadine", "Amiodarone",
    "Penfluridol", "Quizartinib", "PD-0325901", "HMN-214", "Crizotinib", "PRT-062607", "AZD-8330", "Nefazodone",
    "MGCD-265", "Clemastine", "YK 4-279", "Buspirone", "Midostaurin", "GSK256066", "SCH-58261", "Colforsin",
    "Doxorubicin", "Tacalcitol", "Selumetinib", "SB525334", "Dabrafenib",
)  # fmt: skip


@dataclass(frozen=True)
class Choices:
    """What is evaluated.

    split: published (its 35 compounds, once) or repeat (a quarter of the compounds drawn anew, `repeats` times).
    embeddings: NAME=PATH. files: the benchmark's de_train and de_test; the loaded data set unless given.
    """

    split: str = "published"
    repeats: int = 20
    embeddings: Sequence[str] = ()
    files: Sequence[Path] = ()
    dataset: str = DATASET
    seed: int = 0

    def __post_init__(self) -> None:
        if self.split not in ("published", "repeat"):
            raise ConfigError(f"'{self.split}' is no split of OP3: choose published or repeat.")


def run(
    settings: Settings, choices: Choices, snapshot: Path | None = None, reporter: Reporter | None = None
) -> Evaluation:
    """Evaluate embeddings on OP3.

    Raises:
        DataError: a model learned from OP3, or a file is not the benchmark's.
        QueryError: OP3 is not loaded, or it lacks compounds of the published split.
    """
    told = reporter or Silent()
    place = effects_of.opened(settings, snapshot)
    try:
        loaded = _benchmark(place, choices, told)
        others = _others(place, choices, told)
    finally:
        place.close()
    with threadpool_limits(1, "blas"):
        own = _learned(loaded, others, choices.seed, told)
        handed_in = [_handed_in(given, loaded, choices.dataset) for given in choices.embeddings]
        divisions = _divisions(loaded, choices)
        parts = [_repeat(loaded, held, [*own, *handed_in], i, told) for i, held in enumerate(divisions)]
    rows = pd.concat(parts, ignore_index=True)
    summary = results.with_best_simple(rows, results.summarise(rows, STATISTICS))
    return Evaluation(summary, rows, _facts(loaded, others, choices, [*own, *handed_in], rows, summary))


def _benchmark(place: effects_of.EffectsOf, choices: Choices, told: Reporter) -> Loaded:
    if choices.files:
        return op3_files.read(choices.files)
    wanted = Wanted((choices.dataset,), statistic="neg_log10_p", signed=True, clip=LARGEST)
    return compendium_input.load(place, wanted, told.progress)


def _others(place: effects_of.EffectsOf, choices: Choices, told: Reporter) -> Loaded | None:
    """Every data set that shares no well with OP3; None where there is none."""
    table = place.frame("SELECT dataset, coalesce(overlap_group, dataset) AS owner FROM core.dataset")
    owner = dict(zip(table["dataset"], table["owner"], strict=True)).get(choices.dataset, choices.dataset)
    chosen = table.loc[(table["owner"] != owner) & (table["dataset"] != choices.dataset), "dataset"].tolist()
    try:
        return compendium_input.load(place, Wanted(chosen), told.progress) if chosen else None
    except QueryError:
        return None  # Loaded, but without effects.


# --- embeddings ------------------------------------------------------------------------------------------------------


def _learned(loaded: Loaded, others: Loaded | None, seed: int, told: Reporter) -> list[Embedding]:
    """Vectors from the other data sets: the low-rank model, plain averages, and L1000 alone where there is more."""
    if others is None:
        return []
    compendium = others.compendium
    centred = context_means.fit(compendium).centre(compendium, in_place=True)
    options = lowrank.Options(seed=seed, threads=os.cpu_count() or 1)
    vectors, known = baselines.consensus_features(centred)
    seen = np.isin(np.arange(len(known)), np.concatenate([block.compound for block in centred.blocks]))
    out = [
        _placed(LOWRANK, loaded, others, lowrank.fit(centred, options).embedding, seen),
        _placed(CONSENSUS, loaded, others, vectors, known),
    ]
    blocks = [block for block in centred.blocks if block.dataset.startswith("l1000")]
    if blocks and len(blocks) < len(centred.blocks):
        part = centred.with_blocks(blocks)
        seen = np.isin(np.arange(len(known)), np.concatenate([block.compound for block in blocks]))
        out.append(_placed(L1000, loaded, others, lowrank.fit(part, options).embedding, seen))
    told.stage("vectors", f"learned from {len(compendium.datasets)} other data sets")
    return out


def _placed(name: str, loaded: Loaded, others: Loaded, vectors: Any, known: Any) -> Embedding:
    """Vectors of the other data sets' compounds at the benchmark's positions."""
    position = {key: i for i, key in enumerate(others.compendium.compounds)}
    at = np.array([position.get(key, -1) for key in loaded.compendium.compounds])
    there = (at >= 0) & np.where(at >= 0, known[at], False)
    return Embedding(name, np.where(there[:, None], vectors[at], 0.0), there, None)


def _handed_in(given: str, loaded: Loaded, dataset: str) -> Embedding:
    found = foreign.embedding(given, loaded)
    if found.folder is not None and dataset in model_files.read_manifest(found.folder)["datasets"]:
        raise DataError(
            f"Model '{found.name}' learned from {dataset}, on which it would be tested: train it with"
            f" --without-dataset {dataset}."
        )
    return found


# --- folds -----------------------------------------------------------------------------------------------------------


def _divisions(loaded: Loaded, choices: Choices) -> list[list[Folds]]:
    if choices.split == "published":
        return [_coded(loaded, _published(loaded))]
    rng = np.random.default_rng(choices.seed)
    keys = loaded.compounds["skeleton"].fillna(loaded.compounds["compound"]).to_numpy(dtype=str)
    groups = np.unique(keys)
    n = max(1, int(SHARE * len(groups)))
    return [_coded(loaded, np.isin(keys, rng.choice(groups, n, replace=False))) for _ in range(choices.repeats)]


def _published(loaded: Loaded) -> Any:
    """Which compounds the published holdout tests."""
    names = {name.lower() for name in PUBLISHED}
    rows = loaded.conditions[loaded.conditions["name"].isin(names)]
    missing = sorted(names - set(rows["name"]))
    if missing:
        raise QueryError(
            f"{len(missing)} of the {len(PUBLISHED)} published test compounds are not in this data set (such as"
            f" '{missing[0]}'): use --split repeat, or the benchmark's own files with --de-train and --de-test."
        )
    return np.isin(np.arange(len(loaded.compounds)), rows["compound"].to_numpy())


def _coded(loaded: Loaded, tested: Any) -> list[Folds]:
    return [np.where(tested[block.compound], TEST, TRAIN).astype(np.int8) for block in loaded.compendium.blocks]


# --- scores ----------------------------------------------------------------------------------------------------------


def _repeat(loaded: Loaded, held: list[Folds], vectors: list[Embedding], repeat: int, told: Reporter) -> pd.DataFrame:
    task = problem.divide(loaded.compendium, held)
    codes = zip(loaded.by_block(loaded.conditions["condition_id"].to_numpy()), held, strict=True)
    ids = np.concatenate([part[code == TEST] for part, code in codes])
    common = np.logical_and.reduce([one.known for one in vectors]) if vectors else np.ones(len(loaded.compounds), bool)
    parts = [_scored(task, named, ids, common) for named in _methods(vectors, repeat)]
    told.progress("splits", repeat + 1, None)
    return pd.concat(parts, ignore_index=True).assign(repeat=repeat)


def _methods(vectors: list[Embedding], seed: int) -> list[Named]:
    named = [
        Named("zero", methods.zero),
        Named(methods.MEAN, plain(baselines.mean_of_context)),
        Named("nearest structures", plain(baselines.nearest_structures)),
        Named("structure ridge", plain(baselines.by_ridge(baselines.structure_features, INNER_FOLDS))),
        *(Named(one.name, methods.of_vectors(one.vectors, one.known, INNER_FOLDS)) for one in vectors),
    ]
    if vectors:
        first = vectors[0]
        shuffled = np.zeros_like(first.vectors)
        shuffled[first.known] = np.random.default_rng(seed).permutation(first.vectors[first.known])
        named.append(Named(methods.CONTROL, methods.of_vectors(shuffled, first.known, INNER_FOLDS)))
    return named


def _scored(task: Problem, named: Named, ids: Any, common: Any) -> pd.DataFrame:
    visible = task.visible
    predicted = named.method(visible).test
    found = scores.score(visible.test, task.test_truth, predicted)
    filled = [i for i, rows in enumerate(visible.test) if len(rows)]
    means = {i: visible.means.of(i, visible.test[i]) for i in filled}
    pairs = [(task.test_truth[i] + means[i], predicted[i] + means[i]) for i in filled]
    values = {name: np.concatenate([f(*pair) for pair in pairs]) for name, f in _METRICS.items()}
    values |= {name: found.values[name] for name in ("skill", "delta_correlation")}
    context = [visible.test[i].context for i in filled for _ in range(len(visible.test[i]))]
    columns = {"learner": named.name, "dataset": context, "compound": found.compound, "condition_id": ids}
    known = {name: np.nan_to_num(value) for name, value in values.items()}
    return pd.DataFrame(columns | {"is_common": common[found.compound], "reliability": np.nan} | known)


_METRICS = {
    "mrrmse": metrics.rmse,
    "mae": metrics.mae,
    "pearson": metrics.correlation,
    "spearman": metrics.spearman,
    "cosine": metrics.cosine,
}


def _facts(
    loaded: Loaded,
    others: Loaded | None,
    choices: Choices,
    vectors: list[Embedding],
    rows: pd.DataFrame,
    summary: pd.DataFrame,
) -> Facts:
    everything = [loaded.conditions, *([] if others is None else [others.conditions])]
    simulated = {name for part in everything for name in part.loc[part["is_simulated"], "dataset"]}
    handed_in = [one for one in vectors if one.name not in (LOWRANK, CONSENSUS, L1000)]
    return {
        "task": "op3",
        "choices": asdict(choices) | {"files": list(map(str, choices.files))},
        "datasets": sorted({choices.dataset} | set([] if others is None else others.compendium.datasets)),
        "parts": sorted(rows["dataset"].unique()),
        "simulated": sorted(simulated),
        "origin": loaded.origin,
        "left_out": loaded.left_out,
        "undeclared": [one.name for one in handed_in if not one.is_declared],
        "coverage": {one.name: int(one.known.sum()) for one in vectors},
        "n_compounds": int(rows["compound"].nunique()),
        "reference": methods.MEAN,
        "control": methods.CONTROL,
        "best_simple": results.best_simple(summary),
    }
