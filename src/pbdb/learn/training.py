"""pbdb embed train: from effects to a folder with vectors, what predicts, and how it was made."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from pbdb.common import memory
from pbdb.common.errors import ConfigError
from pbdb.common.progress import Reporter, Silent
from pbdb.common.rows import Json
from pbdb.common.settings import Settings
from pbdb.common.version import __version__
from pbdb.learn import compendium_input, effects_of, folds, model_files
from pbdb.learn.compendium_input import Loaded, Wanted
from pbdb.learn.model_files import ModelManifest, Predictor
from pbdb.learn.models import context_means, lowrank, lpm, problem, similarity, tuning
from pbdb.learn.models.compendium import Floats, Mask
from pbdb.learn.models.lowrank_state import State
from pbdb.learn.models.problem import TRAIN, UNUSED, Folds, Visible

KINDS = ("lowrank", "lpm")
SUFFIX, STATE, TUNED = ".unfinished", "state.npz", "tuned.json"
MOST_TUNING_ROWS, TUNING_ITERATIONS, KEPT_EVERY = 60_000, 20, 5
SMALLEST_FACTOR = 1e-3


@dataclass(frozen=True)
class Choices:
    """What is trained on what.

    rank: of lowrank; chosen on validation compounds unless given. split: a stored split whose training fold alone is
    used. structure: let fingerprints inform the vectors. published, epochs: of lpm.
    """

    kind: str = "lowrank"
    rank: int | None = None
    split: str | None = None
    datasets: Sequence[str] = ()
    without: Sequence[str] = ()
    structure: bool = True
    published: bool = False
    epochs: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"'{self.kind}' is no kind of model: choose {', '.join(KINDS)}.")
        if self.rank is not None and not 1 <= self.rank <= 256:
            raise ConfigError(f"A rank of {self.rank} makes no model: give 1 to 256, or none to have it chosen.")


def train(
    settings: Settings, out: Path, choices: Choices, snapshot: Path | None = None, reporter: Reporter | None = None
) -> ModelManifest:
    """Train a model into a new folder; return its manifest.

    Stopped anywhere, nothing stands at `out`, and the next call with the same choices and effects goes on from there.

    Raises:
        ConfigError: `out` is there already, or cannot be written.
        QueryError: there is nothing to learn from, or no such split.
    """
    listener = reporter or Silent()
    work = _work_folder(out)
    started = time.perf_counter()
    place = effects_of.opened(settings, snapshot)
    try:
        loaded = compendium_input.load(place, Wanted(choices.datasets, choices.without), listener.progress)
        names = folds.stored(place, choices.split, loaded) if choices.split else None
    finally:
        place.close()
    listener.stage("effects", f"{loaded.compendium.n_rows:,} conditions, {len(loaded.compounds):,} compounds")
    with threadpool_limits(1, "blas"):
        vectors, facts = _fitted(loaded, choices, names, work, listener)
    table = _table(loaded, names, *vectors)
    model_files.write_vectors(work, table, _held_out(loaded, names))
    content = _manifest(loaded, choices, names, table, facts, time.perf_counter() - started)
    model_files.write_manifest(work, content)
    for name in (STATE, TUNED):
        (work / name).unlink(missing_ok=True)
    os.replace(work, out)
    listener.stage("model", f"{len(table):,} compounds have a vector of {content['n_dimensions']} numbers")
    return content


def _work_folder(out: Path) -> Path:
    if out.exists():
        raise ConfigError(f"'{out}' exists already: name another --out, or remove it first.")
    if not out.absolute().parent.is_dir():
        raise ConfigError(f"There is no folder '{out.parent}' for '{out.name}': make it first.")
    work = out.with_name(out.name + SUFFIX)
    try:
        work.mkdir(exist_ok=True)
    except OSError as problem_:
        raise ConfigError(f"'{work}' cannot be made: {problem_.strerror}.") from None
    return work


Vectors = tuple[Floats, Floats | None, Mask]


def _fitted(
    loaded: Loaded, choices: Choices, names: folds.FoldNames | None, work: Path, reporter: Reporter
) -> tuple[Vectors, Json]:
    """Vectors, reliability and from_structure of all compounds, and what the fit says of itself."""
    if choices.kind == "lpm":
        return _lpm(loaded, choices, names, reporter)
    key = _key(loaded, choices, names)
    tuned = _tuned(loaded, choices, names, work, key, reporter)
    model, means = _final(loaded, choices, names, tuned["rank"], work, key, reporter)
    slope, scale = ({name: float(value) for name, value in tuned[part].items()} for part in ("slope", "scale"))
    compendium = loaded.compendium
    n_rows = tuple(map(len, compendium.blocks))
    model_files.write_predictor(
        work, Predictor(model, means, slope, scale, compendium.genes, compendium.compounds, n_rows)
    )
    size = np.sqrt((model.embedding**2).mean(axis=0))
    vectors = model.embedding[:, size > SMALLEST_FACTOR * max(size.max(), 1e-300)]
    return (vectors, model.reliability, model.from_structure), tuned


def _key(loaded: Loaded, choices: Choices, names: folds.FoldNames | None) -> str:
    """Hash of all that decides the result: conditions and effects, folds, choices, and the code's version."""
    digest = hashlib.sha256(json.dumps([asdict(choices), __version__], default=list).encode())
    digest.update(loaded.conditions["condition_id"].to_numpy(dtype=np.int64).tobytes())
    digest.update(b"" if names is None else "".join(names).encode())
    for block in loaded.compendium.blocks:
        digest.update(block.values.sum(axis=0, dtype=np.float64).tobytes())
    return digest.hexdigest()


def _tuned(
    loaded: Loaded, choices: Choices, names: folds.FoldNames | None, work: Path, key: str, reporter: Reporter
) -> Json:
    """Rank, slopes and scales by validation compounds; those of an earlier try where it got so far."""
    path = work / TUNED
    if path.is_file():
        kept: Json = json.loads(path.read_text(encoding="utf-8"))
        if kept["key"] == key:
            reporter.stage("tuning", f"rank {kept['rank']}, kept of an earlier try")
            return kept
    visible = _visible(loaded, choices, names)
    ranks = (choices.rank,) if choices.rank else tuning.RANKS
    options = _options(choices, iterations=TUNING_ITERATIONS)
    best = tuning.tune(visible, options, ranks, lambda done, n: reporter.progress("tuning", done, n))
    facts = {"key": key, "rank": best.options.rank, "slope": best.slope, "scale": best.scale}
    facts |= {"skill_by_rank": {str(rank): skill for rank, skill in best.skill.items()}}
    facts |= {"n_tuning_conditions": visible.train.n_rows, "n_validation": sum(map(len, visible.validation))}
    path.write_text(json.dumps(facts), encoding="utf-8")
    reporter.stage("tuning", f"rank {facts['rank']}: validation skill {best.skill[best.options.rank]:.3f}")
    return facts


def _options(choices: Choices, **more: Any) -> lowrank.Options:
    return lowrank.Options(structure=choices.structure, seed=choices.seed, threads=os.cpu_count() or 1, **more)


def _visible(loaded: Loaded, choices: Choices, names: folds.FoldNames | None) -> Visible:
    """Training and validation rows; of many training rows those of a random part of the compounds."""
    chosen = folds.for_tuning(loaded.conditions, choices.seed) if names is None else names
    codes = folds.coded(loaded, chosen)
    n_train = sum(int((code == TRAIN).sum()) for code in codes)
    share = MOST_TUNING_ROWS / max(n_train, 1)
    if share < 1:
        drawn = np.random.default_rng(choices.seed).random(len(loaded.compounds)) < share
        codes = [
            _thinned(code, block.compound, drawn) for code, block in zip(codes, loaded.compendium.blocks, strict=True)
        ]
    return problem.divide(loaded.compendium, codes).visible


def _thinned(code: Folds, compound: Any, drawn: Any) -> Folds:
    return np.where((code == TRAIN) & ~drawn[compound], UNUSED, code).astype(np.int8)


def _final(
    loaded: Loaded, choices: Choices, names: folds.FoldNames | None, rank: int, work: Path, key: str, reporter: Reporter
) -> tuple[lowrank.LowRank, context_means.ContextMeans]:
    """The fit itself: to the training fold of a split, or to all conditions."""
    used = loaded.compendium
    if names is not None:
        used = used.take([code == TRAIN for code in folds.coded(loaded, names)])
    means = context_means.fit(used)
    centred = means.centre(used, in_place=True)
    kept = work / STATE
    begun = _begun(kept, key, rank)

    def keep(state: State) -> None:
        if state.steps % KEPT_EVERY == 0:
            part = kept.with_suffix(".part.npz")
            packed: dict[str, Any] = {"key": np.array(key), **state.pack()}
            np.savez(part, **packed)
            os.replace(part, kept)

    options = _options(choices, rank=rank)
    model = lowrank.fit(centred, options, lambda done, n: reporter.progress("fitting", done, n), begun, keep)
    return model, means


def _begun(path: Path, key: str, rank: int) -> State | None:
    if not path.is_file():
        return None
    with np.load(path) as kept:
        if str(kept["key"]) != key:
            return None
        state = State.unpack({name: kept[name] for name in kept.files if name != "key"})
    return state if state.rank == rank else None


def _lpm(loaded: Loaded, choices: Choices, names: folds.FoldNames | None, reporter: Reporter) -> tuple[Vectors, Json]:
    chosen = folds.for_tuning(loaded.conditions, choices.seed) if names is None else names
    visible = problem.divide(loaded.compendium, folds.coded(loaded, chosen)).visible
    options = lpm.Options.published(choices.seed) if choices.published else lpm.Options(seed=choices.seed)
    if not choices.structure:
        options = replace(options, bits=0)
    if choices.epochs:
        options = replace(options, epochs=choices.epochs)
    model = lpm.fit(visible, options, lambda done, n: reporter.progress("training", done, n))
    seen = np.zeros(len(loaded.compounds), dtype=bool)
    for block in visible.train.blocks:
        seen[block.compound] = True
    return (model.embedding(), None, ~seen), {"epoch": model.epoch, "options": asdict(options)}


def _table(
    loaded: Loaded, names: folds.FoldNames | None, vectors: Floats, reliability: Floats | None, guessed: Any
) -> pd.DataFrame:
    """One row per compound with a structure and a vector."""
    rows = loaded.conditions if names is None else loaded.conditions[names == "train"]
    counts = rows.groupby("compound").agg(
        n_effects=("condition_id", "size"), n_datasets=("dataset", "nunique"), n_contexts=("context", "nunique")
    )
    table = loaded.compounds.assign(
        vector=list(vectors.astype(np.float32)),
        reliability=np.nan if reliability is None else reliability,
        from_structure=guessed,
    )
    table = table.join(counts).fillna({name: 0 for name in counts.columns})
    table[counts.columns] = table[counts.columns].astype(np.int32)
    known = table["parent_inchikey"].notna() & (vectors != 0).any(axis=1)
    columns = list(model_files.SCHEMA.names)
    found: pd.DataFrame = table[known][columns].sort_values("parent_inchikey", ignore_index=True)
    return found


def _held_out(loaded: Loaded, names: folds.FoldNames | None) -> pd.DataFrame:
    columns = ["dataset", "parent_inchikey", "skeleton", "name"]
    held = loaded.conditions[columns].assign(fold="train" if names is None else names)
    return held[held["fold"] != "train"].drop_duplicates().reset_index(drop=True)


def _manifest(
    loaded: Loaded,
    choices: Choices,
    names: folds.FoldNames | None,
    table: pd.DataFrame,
    facts: Json,
    seconds: float,
) -> ModelManifest:
    vectors = np.array(table["vector"].tolist(), dtype=np.float64).reshape(len(table), -1)
    reliability = np.nan_to_num(table["reliability"].to_numpy(dtype=np.float64))
    calibrated = similarity.calibrate(vectors, reliability, choices.seed)
    owners = loaded.conditions.drop_duplicates("dataset")
    return {
        "kind": choices.kind,
        "n_dimensions": int(vectors.shape[1]),
        "n_compounds": len(table),
        "datasets": loaded.compendium.datasets,
        "overlap_groups": dict(zip(owners["dataset"], owners["owner"], strict=True)),
        "origin": {
            **loaded.origin,
            "n_conditions": loaded.compendium.n_rows,
            "n_genes": len(loaded.compendium.genes),
        },
        "left_out": loaded.left_out,
        "split": choices.split,
        "n_held_out": 0 if names is None else int((names != "train").sum()),
        "parameters": asdict(choices) | {"fit": {name: part for name, part in facts.items() if name != "key"}},
        "cosine_levels": list(similarity.LEVELS),
        "cosine_quantiles": calibrated.quantiles.ravel().tolist(),
        "code_version": __version__,
        "seconds": round(seconds, 2),
        "peak_mb": memory.peak_mb(),
    }
