"""The batch rule of the published runs, so that their tables can be compared with ours.

Contexts of more than 2,500 treated samples were cut into batches of about that size, compounds kept whole,
each batch fitted by itself with all vehicle wells of the context. We need no batches; this replays them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pbdb.common.arrays import Ints, Mask

TARGET = 2500
EXCESS = 200


@dataclass(frozen=True)
class Batch:
    """Samples of one batch in rising order, all controls included; `padded` marks samples at home elsewhere."""

    samples: Ints
    padded: Mask


def published_batches(perturbagen: npt.ArrayLike, is_control: npt.ArrayLike) -> list[Batch]:
    """Cut the samples of a context into the published batches.

    `perturbagen` names the compound of each sample (not read for controls). The result depends on the order
    of the samples: compounds are shuffled, from their order of appearance, by NumPy's legacy generator (seed 0).
    """
    control = np.asarray(is_control, dtype=bool)
    treated = np.flatnonzero(~control)
    code = _codes_by_appearance(np.asarray(perturbagen)[treated])
    size = np.bincount(code)
    if len(treated) <= TARGET or len(size) <= 1:
        return [Batch(np.arange(len(control)), np.zeros(len(control), dtype=bool))]
    homes = _best_fit(size)
    return [_batch(control, treated, code, home, _padding(home, size)) for home in homes]


def _codes_by_appearance(labels: npt.NDArray[np.generic]) -> Ints:
    labels = labels.astype(str) if labels.dtype == object else labels
    _, first, code = np.unique(labels, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[code], dtype=np.int64)


def _shuffled(codes: Ints) -> Ints:
    return np.random.RandomState(0).permutation(codes)


def _best_fit(size: Ints) -> list[list[int]]:
    """Put each compound into the batch it fills best, the earliest of equals; open a new one if none takes it."""
    batches: list[list[int]] = []
    filled: list[int] = []
    for compound in _shuffled(np.arange(len(size))):
        wells = int(size[compound])
        fits = [b for b, n in enumerate(filled) if n < TARGET and n + wells <= TARGET + EXCESS]
        if fits:
            best = min(fits, key=lambda b: abs(TARGET - filled[b] - wells))
            batches[best].append(int(compound))
            filled[best] += wells
        else:
            batches.append([int(compound)])
            filled.append(wells)
    return batches


def _padding(home: list[int], size: Ints) -> list[int]:
    """Choose compounds of other batches that fill up a batch below the target."""
    filled, added = int(size[home].sum()), []
    if filled < TARGET:
        for compound in _shuffled(np.setdiff1d(np.arange(len(size)), home)):
            if filled >= TARGET:
                break
            if filled + size[compound] <= TARGET + EXCESS:
                added.append(int(compound))
                filled += int(size[compound])
    return added


def _batch(control: Mask, treated: Ints, code: Ints, home: list[int], padding: list[int]) -> Batch:
    """Controls, the batch's own compounds, and those that only fill it up (`padded`)."""
    chosen, padded = control.copy(), np.zeros(len(control), dtype=bool)
    chosen[treated[np.isin(code, home + padding)]] = True
    padded[treated[np.isin(code, padding)]] = True
    samples = np.flatnonzero(chosen)
    return Batch(samples, padded[samples])
