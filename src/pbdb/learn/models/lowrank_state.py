"""What the low-rank model holds while it is fitted: its data as arrays, and its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from pbdb.learn.models.compendium import Compendium, Floats, Ints, Mask, Rows, Values

SMALLEST_VARIANCE = 1e-8


@dataclass(frozen=True)
class Work:
    """Centred effects and the indices the updates need; rows of all blocks in one line where they are joined.

    cell: of each row, its position among the (dataset, dose, time) that have a gain each. threads: to use.
    """

    values: tuple[Values, ...]
    genes: tuple[Ints, ...]
    dataset: Ints
    compound: Ints
    cell: Ints
    block: Ints
    n_compounds: int
    n_genes: int
    threads: int = 1

    @cached_property
    def starts(self) -> Ints:
        """Where each block's rows begin in the joined line; one more entry at the end."""
        return np.concatenate([[0], np.cumsum([len(values) for values in self.values])])

    @cached_property
    def squares(self) -> tuple[Floats, ...]:
        """Sum of squares of each block's genes: computed once, residuals follow from products (never a second pass)."""
        return tuple(np.einsum("ij,ij->j", v, v, dtype=np.float64) for v in self.values)

    @property
    def n_datasets(self) -> int:
        """Datasets."""
        return int(self.dataset.max()) + 1

    @cached_property
    def seen(self) -> Mask:
        """Compounds that have effects."""
        return np.bincount(self.compound, minlength=self.n_compounds) > 0

    def rows_of(self, block: int) -> slice:
        """The rows of a block in the joined line."""
        return slice(int(self.starts[block]), int(self.starts[block + 1]))

    def by_compound(self, weights: Floats) -> Any:
        """Sparse compounds x rows, to sum rows of compounds."""
        rows = np.arange(len(self.compound))
        return sparse.csr_matrix((weights, (self.compound, rows)), shape=(self.n_compounds, len(rows)))

    def pairs(self, weights: Floats) -> Any:
        """Sparse compounds x blocks: sums of the rows' weights."""
        shape = (self.n_compounds, len(self.values))
        return sparse.csr_matrix((weights, (self.compound, self.block)), shape=shape)


@dataclass
class State:
    """Parameters and posteriors of the low-rank model with K factors.

    mean, prior: compounds x K; spread: compounds x K, posterior variances; precision: K, of the compounds around their
    prior; shared: K x genes; loadings: per block, K x its genes; loading_spread: per block, K x K, the sum over genes
    of noise precision x posterior covariance; noise: datasets x genes, precisions; tightness: per dataset, precision
    of its loadings around the shared ones; gain: per cell. moments: per block, K x K, the sum over rows of
    gain^2 E[u u']. structure_share: K, what structure tells of each factor; coefficients: features
    of structure x K. steps: iterations done; noise_size: mean
    variance of the noise after the last.
    """

    mean: Floats
    prior: Floats
    spread: Floats
    precision: Floats
    shared: Floats
    loadings: list[Floats]
    loading_spread: list[Floats]
    noise: Floats
    tightness: Floats
    gain: Floats
    moments: Floats
    data_only: Floats
    structure_share: Floats
    coefficients: Floats
    steps: int = 0
    noise_size: float = np.inf

    @property
    def rank(self) -> int:
        """Number of factors."""
        return int(self.mean.shape[1])

    def pack(self) -> dict[str, npt.NDArray[Any]]:
        """Everything as named arrays, to be kept in a file."""
        out: dict[str, npt.NDArray[Any]] = {}
        for name, value in vars(self).items():
            if isinstance(value, list):
                out |= {f"{name}_{i}": part for i, part in enumerate(value)}
            else:
                out[name] = np.asarray(value)
        return out

    @classmethod
    def unpack(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> State:
        """Undo `pack`."""
        n = len(arrays["moments"])
        parts: dict[str, Any] = {name: arrays[name] for name in cls.__dataclass_fields__ if name in arrays}
        parts |= {name: [arrays[f"{name}_{i}"] for i in range(n)] for name in ("loadings", "loading_spread")}
        return cls(**parts | {"steps": int(arrays["steps"]), "noise_size": float(arrays["noise_size"])})

    def grams(self, work: Work) -> Floats:
        """Precision that one row of gain 1 of each block brings to its compound: blocks x K x K."""
        parts = [
            (loading * self.noise[work.dataset[s], work.genes[s]]) @ loading.T + self.loading_spread[s]
            for s, loading in enumerate(self.loadings)
        ]
        return np.stack(parts)


def cells(blocks: tuple[Rows, ...], datasets: list[str]) -> tuple[Ints, dict[tuple[str, int, float], int]]:
    """Give each row its (dataset, dose in half powers of ten, time); return positions and what they stand for."""
    keys = [key for block in blocks for key in cell_keys(block)]
    position = {key: i for i, key in enumerate(sorted(set(keys)))}
    return np.array([position[key] for key in keys], dtype=np.int64), position


def cell_keys(rows: Rows) -> list[tuple[str, int, float]]:
    """The cell of each row: dataset, dose as rounded 2 log10(micromolar), hours; -99 and -1 where unknown."""
    with np.errstate(divide="ignore", invalid="ignore"):
        half_decades = np.round(2 * np.log10(rows.dose_um))
    dose = np.where(np.isfinite(half_decades), half_decades, -99).astype(int)
    time = np.where(np.isfinite(rows.time_h), rows.time_h, -1.0)
    return [(rows.dataset, int(d), float(t)) for d, t in zip(dose, time, strict=True)]


def work(centred: Compendium, threads: int = 1) -> tuple[Work, dict[tuple[str, int, float], int]]:
    """Arrange a centred compendium for fitting; also the cells' positions."""
    blocks = centred.blocks
    cell, position = cells(blocks, centred.datasets)
    return Work(
        values=tuple(block.values for block in blocks),
        genes=tuple(block.genes for block in blocks),
        dataset=centred.dataset_of_block(),
        compound=np.concatenate([block.compound for block in blocks]),
        cell=cell,
        block=np.repeat(np.arange(len(blocks)), [len(block) for block in blocks]),
        n_compounds=len(centred.compounds),
        n_genes=len(centred.genes),
        threads=threads,
    ), position
