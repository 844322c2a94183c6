"""Effects of many datasets as blocks of arrays: one block is what one dataset measured in one context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pbdb.common.errors import DataError

Floats = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Bits = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Rows:
    """Conditions of one dataset in one context, without their effects: all that a model is told of what it predicts.

    genes: positions in the compendium's list, each once; compound: positions in its list of compounds; dose_um
    (micromolar) and time_h (hours), NaN where unknown.
    """

    dataset: str
    context: str
    genes: Ints
    compound: Ints
    dose_um: Floats
    time_h: Floats

    def __len__(self) -> int:
        return len(self.compound)


@dataclass(frozen=True)
class Block(Rows):
    """Conditions with their effects: values is rows x genes, log2 fold changes, finite."""

    values: Values

    def take(self, rows: Ints | Mask) -> Block:
        """Return some of the rows."""
        return Block(**vars(self.described(rows)), values=self.values[rows])

    def described(self, rows: Ints | Mask) -> Rows:
        """Return some of the rows without their effects."""
        own = self.compound[rows], self.dose_um[rows], self.time_h[rows]
        return Rows(self.dataset, self.context, self.genes, *own)


@dataclass(frozen=True)
class Compendium:
    """Blocks over common lists of genes and compounds.

    fingerprints: compounds x 256 bytes (2,048 bits, Morgan radius 2); zeros where the structure is unknown.
    """

    blocks: tuple[Block, ...]
    genes: tuple[str, ...]
    compounds: tuple[str, ...]
    fingerprints: Bits

    def __post_init__(self) -> None:
        for block in self.blocks:
            shape = (len(block), len(block.genes))
            if block.values.shape != shape:
                raise DataError(f"{_name(block)}: {block.values.shape} values for {shape} conditions and genes.")
            if not np.isfinite(block.values).all():
                raise DataError(f"{_name(block)}: some effects are missing or infinite; leave those rows out.")
        if len(self.fingerprints) != len(self.compounds):
            raise DataError(f"{len(self.fingerprints)} fingerprints for {len(self.compounds)} compounds.")

    @property
    def datasets(self) -> list[str]:
        """Names of the datasets, sorted."""
        return sorted({block.dataset for block in self.blocks})

    @property
    def n_rows(self) -> int:
        """Conditions in all blocks."""
        return sum(map(len, self.blocks))

    @property
    def has_structure(self) -> Mask:
        """Which compounds have a fingerprint."""
        return np.asarray(self.fingerprints.any(axis=1))

    def dataset_of_block(self) -> Ints:
        """Position of each block's dataset in `datasets`."""
        position = {name: i for i, name in enumerate(self.datasets)}
        return np.array([position[block.dataset] for block in self.blocks], dtype=np.int64)

    def with_blocks(self, blocks: Sequence[Block]) -> Compendium:
        """Return the same genes and compounds with other blocks."""
        return replace(self, blocks=tuple(blocks))

    def take(self, rows: Sequence[Mask]) -> Compendium:
        """Return some rows of each block; blocks stay in place, even if empty."""
        return self.with_blocks([block.take(mask) for block, mask in zip(self.blocks, rows, strict=True)])

    def described(self, rows: Sequence[Mask]) -> list[Rows]:
        """Describe some rows of each block, without their effects."""
        return [block.described(mask) for block, mask in zip(self.blocks, rows, strict=True)]


def _name(rows: Rows) -> str:
    return f"Effects of {rows.dataset} in {rows.context}"
