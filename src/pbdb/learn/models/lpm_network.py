"""The multi-output network of the published embedding model (LPM; Miladinovic et al. 2025), with its gradients.

A condition enters as five vectors, of its dataset, context, compound, dose and time; two hidden layers; every gene
of the dataset leaves. Written out in NumPy: the whole model is seven matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pbdb.learn.models.compendium import Ints

Array: TypeAlias = npt.NDArray[np.floating[Any]]
Parameters: TypeAlias = dict[str, Array]
# Of a table, the rows that were used and their gradient; of anything else all of it (rows None).
Gradients: TypeAlias = dict[str, tuple[Ints | None, Array]]
ENTRIES = ("dataset", "context", "compound", "dose", "time")


@dataclass(frozen=True)
class Shape:
    """Sizes: width of each of the five vectors, units of both hidden layers, bits of a structure (0: none)."""

    datasets: int
    contexts: int
    compounds: int
    genes: int
    width: int = 128
    hidden: int = 256
    bits: int = 2048


@dataclass(frozen=True)
class Batch:
    """Rows of one block: positions of dataset, context and genes; per row compound, dose, time and structure bits.

    bits: rows x bits, each row of length 1, or zeros where the structure is unknown.
    """

    dataset: int
    context: int
    genes: Ints
    compound: Ints
    dose: Array
    time: Array
    bits: Array


def begin(shape: Shape, start: float, rng: np.random.Generator, dtype: Any = np.float32) -> Parameters:
    """Draw parameters: tables N(0, start^2), hidden layers uniform as Glorot and Bengio (2010) with gain sqrt 2.

    With structure bits the compounds' own table starts at zero: what structure cannot tell is learned on top of it.
    """
    tables = {"dataset": shape.datasets, "context": shape.contexts, "compound": shape.compounds}
    made: Parameters = {name: rng.normal(0, start, (n, shape.width)) for name, n in tables.items()}
    if shape.bits:
        made["compound"][:] = 0
        made["structure"] = rng.normal(0, start, (shape.bits, shape.width))
    for name in ("dose", "time"):
        made[f"{name}_weight"] = rng.uniform(-1, 1, shape.width)
        made[f"{name}_offset"] = rng.uniform(-1, 1, shape.width)
    made["first"] = _uniform(rng, len(ENTRIES) * shape.width, shape.hidden)
    made["second"] = _uniform(rng, shape.hidden, shape.hidden)
    made["first_offset"], made["second_offset"] = np.zeros(shape.hidden), np.zeros(shape.hidden)
    made["last"] = _uniform(rng, shape.hidden, shape.genes).T / np.sqrt(2)
    made["last_offset"] = np.zeros(shape.genes)
    return {name: np.ascontiguousarray(values, dtype=dtype) for name, values in made.items()}


def _uniform(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    limit = np.sqrt(2) * np.sqrt(6 / (n_in + n_out))
    return rng.uniform(-limit, limit, (n_in, n_out))


@dataclass(frozen=True)
class _Pass:
    """What the way back needs of the way forward."""

    entry: Array
    first: Array
    second: Array
    output: Array


def predict(p: Parameters, batch: Batch) -> Array:
    """Predict the effects of a batch: rows x the batch's genes."""
    return _forward(p, batch, None).output


def compound_vectors(p: Parameters, compound: Ints, bits: Array) -> Array:
    """Vectors of compounds: their own, plus what their structure says."""
    vectors = p["compound"][compound]
    return vectors + bits @ p["structure"] if "structure" in p else vectors


def _forward(p: Parameters, batch: Batch, keep: tuple[Array, Array] | None) -> _Pass:
    n = len(batch.compound)
    entry = np.concatenate(
        [
            np.tile(p["dataset"][batch.dataset], (n, 1)),
            np.tile(p["context"][batch.context], (n, 1)),
            compound_vectors(p, batch.compound, batch.bits),
            batch.dose[:, None] * p["dose_weight"] + p["dose_offset"],
            batch.time[:, None] * p["time_weight"] + p["time_offset"],
        ],
        axis=1,
    )
    first = np.maximum(entry @ p["first"] + p["first_offset"], 0)
    first = first if keep is None else first * keep[0]
    second = np.maximum(first @ p["second"] + p["second_offset"], 0)
    second = second if keep is None else second * keep[1]
    output = second @ p["last"][batch.genes].T + p["last_offset"][batch.genes]
    return _Pass(entry, first, second, output)


def gradients(
    p: Parameters, batch: Batch, truth: Array, keep: tuple[Array, Array] | None = None
) -> tuple[float, Gradients]:
    """Mean squared error over the values of a batch, and its gradients.

    keep: for each hidden layer, the factors of dropout (0, or 1 / share kept), rows x units.
    """
    passed = _forward(p, batch, keep)
    error = passed.output - truth
    out = (2 / error.size) * error
    into_second = _back(out @ p["last"][batch.genes], passed.second, keep and keep[1])
    into_first = _back(into_second @ p["second"].T, passed.first, keep and keep[0])
    found: Gradients = {
        "last": (batch.genes, out.T @ passed.second),
        "last_offset": (batch.genes, out.sum(axis=0)),
        "second": (None, passed.first.T @ into_second),
        "second_offset": (None, into_second.sum(axis=0)),
        "first": (None, passed.entry.T @ into_first),
        "first_offset": (None, into_first.sum(axis=0)),
    }
    return float((error**2).mean()), found | _of_entries(p, batch, into_first @ p["first"].T)


def _back(gradient: Array, output: Array, keep: Array | None) -> Array:
    """Through dropout and ReLU: where a unit gave zero, nothing comes back."""
    return gradient * (output > 0) * (1 if keep is None else keep)


def _of_entries(p: Parameters, batch: Batch, entry: Array) -> Gradients:
    dataset, context, compound, dose, time = np.split(entry, len(ENTRIES), axis=1)
    used, place = np.unique(batch.compound, return_inverse=True)
    own = np.zeros((len(used), compound.shape[1]), compound.dtype)
    np.add.at(own, place, compound)
    gradients: Gradients = {
        "dataset": (np.array([batch.dataset]), dataset.sum(axis=0, keepdims=True)),
        "context": (np.array([batch.context]), context.sum(axis=0, keepdims=True)),
        "compound": (used, own),
        "dose_weight": (None, batch.dose @ dose),
        "dose_offset": (None, dose.sum(axis=0)),
        "time_weight": (None, batch.time @ time),
        "time_offset": (None, time.sum(axis=0)),
    }
    return gradients | ({"structure": (None, batch.bits.T @ compound)} if "structure" in p else {})


class Adam:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), touching only rows that have a gradient."""

    def __init__(self, p: Parameters, decay: float = 0.01, beta: tuple[float, float] = (0.9, 0.999)):
        self._first = {name: np.zeros_like(values) for name, values in p.items()}
        self._second = {name: np.zeros_like(values) for name, values in p.items()}
        self._decay, self._beta, self._steps = decay, beta, 0

    def step(self, p: Parameters, gradients: Gradients, rate: float) -> None:
        """Change parameters in place by one step."""
        self._steps += 1
        one, two = (1 - beta**self._steps for beta in self._beta)
        for name, (rows, gradient) in gradients.items():
            place: Any = slice(None) if rows is None else rows
            first = self._beta[0] * self._first[name][place] + (1 - self._beta[0]) * gradient
            second = self._beta[1] * self._second[name][place] + (1 - self._beta[1]) * gradient**2
            self._first[name][place], self._second[name][place] = first, second
            change = (first / one) / (np.sqrt(second / two) + 1e-8)
            p[name][place] -= (rate * (change + self._decay * p[name][place])).astype(p[name].dtype)
