"""The published embedding network, trained on a compendium: for comparison, not by default."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pbdb.learn.models import lpm_network, tuning
from pbdb.learn.models.compendium import Bits, Compendium, Floats, Ints, Rows, Values
from pbdb.learn.models.lpm_network import Adam, Array, Batch, Parameters, Shape
from pbdb.learn.models.problem import Method, Predictions, Visible

LOG_DOSE_RANGE = (-5.0, 5.0)
HOURS_OF_A_DAY = 24.0
STEPS_OF_AN_EPOCH, SMALLEST_BATCH = 40, 64

EpochDone = Callable[[int, int], None]


@dataclass(frozen=True)
class Options:
    """How the network is trained.

    start: spread of the tables at the beginning; bits: of the structure that maps to the compound's vector (0: none);
    centred: learn differences from the contexts' means, not effects; day: hours that make a time of 1.
    """

    epochs: int = 40
    rate: float = 0.002
    rate_decay: float = 0.97
    batch: int = 1024
    dropout: float = 0.1
    width: int = 128
    hidden: int = 256
    start: float = 0.1
    bits: int = 2048
    centred: bool = True
    day: float = HOURS_OF_A_DAY
    seed: int = 0

    @staticmethod
    def published(seed: int = 0, epochs: int = 200) -> Options:
        """The published recipe: tables from N(0, 1), no structure, raw effects, hours as they are, batches of 4,096."""
        return Options(epochs=epochs, batch=4096, start=1.0, bits=0, centred=False, day=1.0, seed=seed)


@dataclass(frozen=True)
class Lpm:
    """A trained network; epoch: the one kept, best on the validation rows (the last where there are none)."""

    parameters: Parameters
    options: Options
    datasets: tuple[str, ...]
    contexts: tuple[str, ...]
    bits: Bits
    epoch: int

    def predict(self, rows: Rows) -> Values:
        """Predict rows of a dataset and context it was trained on: rows x genes; as differences if so trained."""
        parts = [lpm_network.predict(self.parameters, self._batch(rows, part)) for part in _cut(len(rows), 4096)]
        return np.vstack(parts).astype(np.float32) if parts else np.empty((0, len(rows.genes)), np.float32)

    def embedding(self) -> Floats:
        """Vectors of all compounds: compounds x width."""
        every = np.arange(len(self.bits))
        parts = [
            lpm_network.compound_vectors(self.parameters, every[part], _unit(self.bits[part], self.options.bits))
            for part in _cut(len(every), 4096)
        ]
        return np.vstack(parts).astype(np.float64)

    def _batch(self, rows: Rows, part: slice | Ints) -> Batch:
        with np.errstate(divide="ignore"):
            dose = np.clip(np.nan_to_num(np.log10(rows.dose_um[part]), nan=0.0), *LOG_DOSE_RANGE)
        time = np.nan_to_num(rows.time_h[part]) / self.options.day
        return Batch(
            self.datasets.index(rows.dataset),
            self.contexts.index(rows.context),
            rows.genes,
            rows.compound[part],
            dose.astype(np.float32),
            time.astype(np.float32),
            _unit(self.bits[rows.compound[part]], self.options.bits),
        )


def _cut(n: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def _unit(packed: Bits, bits: int) -> Array:
    """Structure bits folded to a number of bits, each row of length 1."""
    if not bits:
        return np.zeros((len(packed), 0), np.float32)
    full = np.unpackbits(packed, axis=1).reshape(len(packed), -1, bits).max(axis=1).astype(np.float32)
    return np.asarray(full / np.maximum(np.sqrt(full.sum(axis=1, keepdims=True)), 1))


def fit(visible: Visible, options: Options, done: EpochDone | None = None) -> Lpm:
    """Train; keep the epoch with the best mean validation skill. Deterministic for a seed."""
    rng = np.random.default_rng(options.seed)
    model = _begin(visible.train, options, rng)
    adam, best, best_skill = Adam(model.parameters), model, -np.inf
    for epoch in range(options.epochs):
        rate = options.rate * options.rate_decay**epoch
        for block, values, rows in _batches(visible, options, rng):
            batch = model._batch(block, rows)
            keep = _dropout(len(rows), options, rng)
            _, found = lpm_network.gradients(model.parameters, batch, values[rows], keep)
            adam.step(model.parameters, found, rate)
        skill = _skill(model, visible) if visible.validation else epoch
        if skill > best_skill:
            kept = {name: values.copy() for name, values in model.parameters.items()}
            best, best_skill = Lpm(kept, options, model.datasets, model.contexts, model.bits, epoch + 1), skill
        if done:
            done(epoch + 1, options.epochs)
    return best


def _begin(train: Compendium, options: Options, rng: np.random.Generator) -> Lpm:
    contexts = tuple(sorted({block.context for block in train.blocks}))
    shape = Shape(
        len(train.datasets),
        len(contexts),
        len(train.compounds),
        len(train.genes),
        options.width,
        options.hidden,
        options.bits,
    )
    parameters = lpm_network.begin(shape, options.start, rng)
    return Lpm(parameters, options, tuple(train.datasets), contexts, train.fingerprints, 0)


def _batches(visible: Visible, options: Options, rng: np.random.Generator) -> Iterator[tuple[Rows, Values, Ints]]:
    """Batches of an epoch, each within one block, in random order: only the genes of the block are computed."""
    parts: list[tuple[int, Ints]] = []
    for i, block in enumerate(visible.train.blocks):
        order = rng.permutation(len(block))
        parts += [(i, order[part]) for part in _cut(len(block), options.batch)]
    for k in rng.permutation(len(parts)):
        i, rows = parts[k]
        block = visible.train.blocks[i]
        values = block.values if options.centred else block.values + visible.means.of(i, block)
        yield block, values, rows


def _dropout(n: int, options: Options, rng: np.random.Generator) -> tuple[Array, Array] | None:
    if not options.dropout:
        return None
    share = 1 - options.dropout
    masks = rng.random((2, n, options.hidden), dtype=np.float32) < share
    return masks[0] / np.float32(share), masks[1] / np.float32(share)


def differences(model: Lpm, visible: Visible, rows: Sequence[Rows]) -> list[Values]:
    """Predictions as differences from the contexts' means; rows: one item per block."""
    out = [model.predict(part) for part in rows]
    if model.options.centred:
        return out
    return [values - visible.means.of(i, part) for i, (values, part) in enumerate(zip(out, rows, strict=True))]


def _skill(model: Lpm, visible: Visible) -> float:
    return tuning.mean_skill(visible, differences(model, visible, visible.validation))


def network(options: Options) -> Method:
    """Make a method of the network."""

    def method(visible: Visible) -> Predictions:
        # With few conditions, smaller batches: an epoch needs some steps to learn anything.
        batch = int(np.clip(visible.train.n_rows // STEPS_OF_AN_EPOCH, SMALLEST_BATCH, options.batch))
        model = fit(visible, replace(options, batch=batch))
        return Predictions(differences(model, visible, visible.validation), differences(model, visible, visible.test))

    return method
