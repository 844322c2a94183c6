"""The methods every evaluation runs: baselines, both models, and the control. None can be switched off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pbdb.learn.models import baselines, lpm, tuning
from pbdb.learn.models.compendium import Compendium, Floats, Mask
from pbdb.learn.models.lowrank import Options
from pbdb.learn.models.problem import Method, Predictions, Visible, plain

MEAN, CONTROL = "mean of context", "control: compounds permuted"
# No method: what one could reach that misses nothing but the noise of the effects it is judged by.
CEILING = "ceiling: noise as stated"


@dataclass(frozen=True)
class Named:
    """A method with its name, and whether a slope for each dataset is fitted to it on validation rows."""

    name: str
    method: Method
    has_slope: bool = True


def always(seed: int = 0, threads: int = 1, epochs: int = 30) -> list[Named]:
    """All methods of an evaluation, simple ones first."""
    options = Options(seed=seed, threads=threads, iterations=20)
    alone = Options(seed=seed, threads=threads, iterations=20, structure=False)
    return [
        Named("zero", zero, has_slope=False),
        Named(MEAN, plain(baselines.mean_of_context), has_slope=False),
        Named("same compound elsewhere", plain(baselines.same_compound_elsewhere)),
        Named("nearest structures", plain(baselines.nearest_structures)),
        Named("structure ridge", plain(baselines.by_ridge(baselines.structure_features))),
        Named("consensus and PCA", plain(baselines.by_ridge(baselines.consensus_features))),
        Named("low-rank", tuning.low_rank(options)),
        Named("low-rank without structure", tuning.low_rank(alone)),
        Named("LPM", lpm.network(lpm.Options(seed=seed, epochs=epochs))),
        Named(CONTROL, baselines.permuted(tuning.low_rank(options), seed)),
    ]


def zero(visible: Visible) -> Predictions:
    """Predict no effect at all: as a difference, minus the mean of the context."""
    validation, test = (
        [-visible.means.of(i, rows) for i, rows in enumerate(several)] for several in (visible.validation, visible.test)
    )
    return Predictions(validation, test)


def of_vectors(vectors: Floats, known: Mask, folds: int | None = None) -> Method:
    """Make a method of an embedding: in each context, ridge regression of effects on vectors scaled to length 1.

    folds: see `baselines.by_ridge`.
    """
    scaled = np.where(known[:, None], vectors, 0.0)
    scaled = (scaled - scaled[known].mean(axis=0)) * known[:, None] if known.any() else scaled
    size = np.sqrt((scaled[known] ** 2).sum(axis=1).mean()) if known.any() else 1.0
    table = scaled / max(size, 1e-12)

    def features(_: Compendium) -> tuple[Floats, Mask]:
        return table, known

    return plain(baselines.by_ridge(features, folds))
