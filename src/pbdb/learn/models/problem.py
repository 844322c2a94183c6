"""A task as methods see it: effects of the training rows, and rows to predict without theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pbdb.learn.models import context_means
from pbdb.learn.models.compendium import Compendium, Floats, Rows, Values
from pbdb.learn.models.context_means import ContextMeans

TRAIN, VALIDATION, TEST, UNUSED = 0, 1, 2, 3

Folds = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Visible:
    """What a method may see: training rows centred on their contexts' means, validation rows, and test rows alone.

    validation, test: per block, rows without effects; validation_truth: effects of the validation rows, centred on the
    means of the training rows. The effects of the test rows are not in here, so no method can look at them.
    """

    train: Compendium
    means: ContextMeans
    validation: list[Rows]
    validation_truth: list[Values]
    test: list[Rows]


@dataclass(frozen=True)
class Problem:
    """What methods see, and what they are judged by: effects of the test rows, centred as the others."""

    visible: Visible
    test_truth: list[Values]


@dataclass(frozen=True)
class Predictions:
    """Predicted differences from the contexts' means, per block, for the validation and the test rows.

    reliability: of each test row, what the method says of its compound; None where it says nothing.
    """

    validation: list[Values]
    test: list[Values]
    reliability: list[Floats] | None = None


Method = Callable[[Visible], Predictions]
# A method that learns nothing from validation rows: training effects and rows in, predictions out.
Plain = Callable[[Compendium, Sequence[Rows]], list[Values]]


def plain(function: Plain) -> Method:
    """Make a method of one that needs no validation rows."""

    def method(visible: Visible) -> Predictions:
        n = len(visible.validation)
        values = function(visible.train, [*visible.validation, *visible.test])
        return Predictions(values[:n], values[n:])

    return method


def divide(compendium: Compendium, folds: Sequence[Folds]) -> Problem:
    """Cut a compendium by the fold of each row (TRAIN, VALIDATION, TEST; anything else is left out)."""
    train = compendium.take([fold == TRAIN for fold in folds])
    means = context_means.fit(train)
    validation, validation_truth = _held(compendium, folds, means, VALIDATION)
    test, test_truth = _held(compendium, folds, means, TEST)
    centred = means.centre(train, in_place=True)
    return Problem(Visible(centred, means, validation, validation_truth, test), test_truth)


def _held(
    compendium: Compendium, folds: Sequence[Folds], means: ContextMeans, fold: int
) -> tuple[list[Rows], list[Values]]:
    rows = compendium.described([part == fold for part in folds])
    truth = [
        block.values[part == fold] - means.of(i, described)
        for i, (block, part, described) in enumerate(zip(compendium.blocks, folds, rows, strict=True))
    ]
    return rows, truth
