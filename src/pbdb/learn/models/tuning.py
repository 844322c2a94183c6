"""The low-rank model with what only held-out compounds can tell: its rank, a slope and a scale for each dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pbdb.learn.models import calibration, lowrank
from pbdb.learn.models.compendium import Rows, Values
from pbdb.learn.models.lowrank import LowRank, Options, Progress
from pbdb.learn.models.problem import Method, Predictions, Visible

RANKS = (8, 16, 32, 64)
LEAST_GAIN = 0.001


@dataclass(frozen=True)
class Tuned:
    """A model fitted to the training rows, and what the validation rows say of it.

    slope: of each dataset, what its predictions are multiplied by; scale: of each dataset, what its standard deviations
    are; skill: mean over datasets of the validation skill, by rank tried.
    """

    model: LowRank
    options: Options
    slope: dict[str, float]
    scale: dict[str, float]
    skill: dict[int, float]


def tune(visible: Visible, options: Options, ranks: Sequence[int] = RANKS, progress: Progress | None = None) -> Tuned:
    """Fit with growing rank while the mean validation skill grows by 0.001 or more; keep the best."""
    best: Tuned | None = None
    skill: dict[int, float] = {}
    for rank in sorted(ranks):
        tried = _tried(visible, replace(options, rank=rank), progress)
        skill |= tried.skill
        if best is not None and tried.skill[rank] < best.skill[best.options.rank] + LEAST_GAIN:
            break
        best = tried
    assert best is not None
    return replace(best, skill=skill)


def _tried(visible: Visible, options: Options, progress: Progress | None) -> Tuned:
    model = lowrank.fit(visible.train, options, progress)
    prediction = [model.predict(rows) for rows in visible.validation]
    slope = calibration.slopes(visible.validation, visible.validation_truth, prediction)
    fitted = calibration.scaled(visible.validation, prediction, slope)
    error = [truth - values for truth, values in zip(visible.validation_truth, fitted, strict=True)]
    scale = calibration.spread_scales(visible.validation, error, [model.sd(rows) for rows in visible.validation])
    return Tuned(model, options, slope, scale, {options.rank: mean_skill(visible, fitted)})


def mean_skill(visible: Visible, prediction: Sequence[Values]) -> float:
    """Mean over datasets of 1 - SSE / SSE of the contexts' means, over the validation rows."""
    skills = []
    for name in sorted({rows.dataset for rows in visible.validation}):
        parts = zip(visible.validation, visible.validation_truth, prediction, strict=True)
        left, total = np.sum([[((t - p) ** 2).sum(), (t**2).sum()] for r, t, p in parts if r.dataset == name], axis=0)
        if total > 0:
            skills.append(1 - left / total)
    return float(np.mean(skills)) if skills else 0.0


def low_rank(options: Options, ranks: Sequence[int] = RANKS) -> Method:
    """Make a method of the low-rank model, its rank chosen on the validation rows."""

    def method(visible: Visible) -> Predictions:
        model = tune(visible, options, ranks).model
        reliability = [model.reliability[rows.compound] for rows in visible.test]
        return Predictions(_all(model, visible.validation), _all(model, visible.test), reliability)

    return method


def _all(model: LowRank, rows: Sequence[Rows]) -> list[Values]:
    return [model.predict(part) for part in rows]
