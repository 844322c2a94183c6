"""Predictions scored row by row: what means, intervals and win rates are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pbdb.learn.models import metrics
from pbdb.learn.models.compendium import Floats, Ints, Mask, Rows, Values

METRICS = {"skill": metrics.gained, "delta_correlation": metrics.correlation, "rmse": metrics.rmse}


@dataclass(frozen=True)
class RowScores:
    """One row per predicted condition: dataset, compound (position), block and place within its block, each metric.

    skill: 1 - SSE / SSE of the contexts' means, in parts whose mean over a dataset is its skill: a row's gain over the
    dataset's mean sum of squares, so rows count by what there is to explain in them. delta_correlation: of differences
    from the context's mean, NaN where the prediction is constant. rmse: root mean squared error of the row. direction:
    share of the significant genes predicted up or down as they are, NaN where there is none (with `Signs` only).
    """

    dataset: npt.NDArray[np.str_]
    compound: Ints
    block: Ints
    place: Ints
    values: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.dataset)


@dataclass(frozen=True)
class Signs:
    """What the direction of effects is judged by, per block: means of the contexts, and which genes are significant."""

    means: Sequence[Values]
    significant: Sequence[Mask]

    def score(self, i: int, truth: Values, prediction: Values) -> Floats:
        """Share of each row's significant genes whose whole effect is predicted in its direction."""
        return metrics.direction(truth + self.means[i], prediction + self.means[i], self.significant[i])


def score(
    rows: Sequence[Rows], truth: Sequence[Values], prediction: Sequence[Values], signs: Signs | None = None
) -> RowScores:
    """Score predictions of blocks; all are differences from the contexts' means. signs: score directions too."""
    filled = [i for i, block in enumerate(rows) if len(block)]
    values = {name: _joined([f(truth[i], prediction[i]) for i in filled]) for name, f in METRICS.items()}
    if signs:
        values["direction"] = _joined([signs.score(i, truth[i], prediction[i]) for i in filled])
    dataset = np.array([rows[i].dataset for i in filled for _ in range(len(rows[i]))], dtype=np.str_)
    total = _joined([metrics.squares(truth[i]) for i in filled])
    for name in np.unique(dataset):
        here = dataset == name
        mean = total[here].mean()
        values["skill"][here] = values["skill"][here] / mean if mean > 0 else np.nan
    return RowScores(
        dataset=dataset,
        compound=_joined([rows[i].compound for i in filled]).astype(np.int64),
        block=_joined([np.full(len(rows[i]), i) for i in filled]).astype(np.int64),
        place=_joined([np.arange(len(rows[i])) for i in filled]).astype(np.int64),
        values=values,
    )


def ceiling(rows: Sequence[Rows], truth: Sequence[Values], noise: Sequence[Floats]) -> RowScores:
    """Scores of a prediction that misses nothing but noise, whose squares add up to `noise` in each row.

    Rows of more noise than they vary in all count as they are in skill, so that its mean is not too high.
    """
    found = score(rows, truth, truth)
    filled = [i for i, block in enumerate(rows) if len(block)]
    left = _joined([noise[i] for i in filled])
    total = _joined([metrics.squares(truth[i]) for i in filled])
    genes = _joined([np.full(len(rows[i]), len(rows[i].genes)) for i in filled])
    share = np.divide(left, total, out=np.full(len(left), np.nan), where=total > 0)
    found.values["skill"] *= 1 - share
    found.values["delta_correlation"] = np.sqrt(np.maximum(1 - share, 0))
    found.values["rmse"] = np.sqrt(left / np.maximum(genes, 1))
    return found


def _joined(parts: Sequence[Floats | Ints]) -> Floats:
    return np.concatenate(parts).astype(np.float64) if parts else np.empty(0)
