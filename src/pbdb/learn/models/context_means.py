"""The mean effect of a dataset in a context: what every model must beat, taken off before any of them sees effects.

An effect holds what all compounds of a plate share (handling, vehicle, stress); a model that predicts this mean
already has most of what a pooled error measures (trap of published models; Systema, Nat Biotechnol 2025).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pbdb.learn.models.compendium import Block, Compendium, Floats, Ints, Mask, Rows, Values

FEWEST_ROWS_OF_A_DOSE = 50


@dataclass(frozen=True)
class ContextMeans:
    """Means of each block's rows over all doses, and of each dose with at least 50 rows.

    overall: per block, values per gene; dose_um and by_dose: per block, its doses and doses x genes.
    """

    overall: tuple[Values, ...]
    dose_um: tuple[Floats, ...]
    by_dose: tuple[Values, ...]

    def of(self, position: int, rows: Rows) -> Values:
        """Return the mean for each row of the block at `position`: rows x genes."""
        means = np.vstack([self.overall[position][None], self.by_dose[position]])
        return np.asarray(means[_stratum(rows.dose_um, self.dose_um[position])])

    def centre(self, compendium: Compendium, *, in_place: bool = False) -> Compendium:
        """Take the means off; in_place saves memory and changes the compendium given."""
        blocks = []
        for position, block in enumerate(compendium.blocks):
            values = block.values if in_place else block.values.copy()
            stratum = _stratum(block.dose_um, self.dose_um[position])
            means = np.vstack([self.overall[position][None], self.by_dose[position]])
            for i in np.unique(stratum):
                values[stratum == i] -= means[i]
            blocks.append(Block(**{**vars(block), "values": values}))
        return compendium.with_blocks(blocks)


def fit(compendium: Compendium, rows: Sequence[Mask] | None = None) -> ContextMeans:
    """Means over the given rows of each block (all unless given). A block without rows has means of zero."""
    chosen = rows or [np.ones(len(block), dtype=bool) for block in compendium.blocks]
    parts = [_of_block(block, mask) for block, mask in zip(compendium.blocks, chosen, strict=True)]
    overall, doses, by_dose = zip(*parts, strict=True)
    return ContextMeans(overall, doses, by_dose)


def _of_block(block: Block, rows: Mask) -> tuple[Values, Floats, Values]:
    doses, counts = np.unique(block.dose_um[rows], return_counts=True)
    frequent = doses[(counts >= FEWEST_ROWS_OF_A_DOSE) & np.isfinite(doses)]
    by_dose = [_mean(block.values, rows & (block.dose_um == dose)) for dose in frequent]
    table = np.stack(by_dose) if by_dose else np.empty((0, len(block.genes)), np.float32)
    return _mean(block.values, rows), frequent, table


def _mean(values: Values, rows: Mask) -> Values:
    if not rows.any():
        return np.zeros(values.shape[1], np.float32)
    # A product instead of values[rows].mean: the rows are not copied.
    return np.asarray((rows.astype(np.float32) / np.float32(rows.sum())) @ values)


def _stratum(dose_um: Floats, doses: Floats) -> Ints:
    """0 for the overall mean, else 1 + the position of the row's dose."""
    if not len(doses):
        return np.zeros(len(dose_um), dtype=np.int64)
    nearest = np.minimum(np.searchsorted(doses, dose_um), len(doses) - 1)
    return np.where(doses[nearest] == dose_um, nearest + 1, 0)
