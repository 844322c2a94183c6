"""A fit as the effects stage leaves it on disk: facts, tables, and tiles of float32, effects x genes."""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb.common import output_files
from pbdb.effects.engine import OK
from pbdb.effects.engine.matrix import transposed
from pbdb.effects.options import Mode

BY_GENE = ("log2_fc", "se", "neg_log10_p", "neg_log10_p_adj")
GENE_FACTS = ("ave_expr", "sigma", "s2_post", "df_total")
OF_COUNTS = ("dispersion",)
LAST = "fit.json"  # written last: a folder that has it is complete
COUNTED = ("n_up", "n_down", "n_up_fit", "n_down_fit")


@dataclass(frozen=True)
class FitFacts:
    """The row of table `fit`, its arrays and keys of other tables excepted; dataset, context and stratum as text.

    report, parameters: plain values of JSON. df_prior: the median over genes, which may be infinite.
    """

    fit_id: int
    dataset: str
    context: str
    stratum: str | None
    method: str
    mode: Mode
    p_values: str
    is_default: bool
    n_genes_in: int
    parameters: Mapping[str, object]
    report: Mapping[str, object]
    filter_rule: str = "none"
    n_samples: int = 0
    n_vehicle: int = 0
    n_plates: int = 0
    n_components: int = 0
    cpm_cutoff: float | None = None
    min_samples: float | None = None
    span: float | None = None
    df_residual: float | None = None
    df_prior: float | None = None
    neg_log10_p_cutoff: float | None = None
    n_null_wells: int | None = None
    null_any_share: float | None = None
    null_any_share_low: float | None = None
    null_any_share_high: float | None = None
    null_tail_ratio: float | None = None


@dataclass(frozen=True)
class StoredFit:
    """A fit on disk: facts, the table of its effects, facts of its genes, and tiles of float32, effects x genes."""

    folder: Path

    @cached_property
    def facts(self) -> FitFacts:
        """What is known of the fit as a whole."""
        return FitFacts(**json.loads((self.folder / LAST).read_text(encoding="utf-8")))

    def finish(self, facts: FitFacts) -> StoredFit:
        """Write the facts last and under their name at once: a folder that has them is complete."""
        output_files.write_text(self.folder / LAST, json.dumps(asdict(facts)))
        return StoredFit(self.folder)

    @property
    def is_finished(self) -> bool:
        """Whether all of it is there."""
        return (self.folder / LAST).is_file()

    @property
    def label(self) -> str:
        """Context, and stratum where there is one."""
        return " ".join(filter(None, (self.facts.context, self.facts.stratum)))

    @cached_property
    def effects(self) -> pd.DataFrame:
        """One row per effect, whatever its status; those with status ok come first, in the order of the tiles."""
        return pd.read_parquet(self.folder / "effects.parquet")

    @cached_property
    def gene_keys(self) -> npt.NDArray[np.int32]:
        """The tested genes, in array order."""
        return np.asarray(np.load(self.folder / "gene_keys.npy"))

    @property
    def tests_counts(self) -> bool:
        """Whether its p values are of counts, with limma's beside them."""
        return self.facts.p_values == "counts" and self.n_ok > 0

    def gene_fact(self, name: str) -> npt.NDArray[np.float32]:
        """One of GENE_FACTS (or, of a fit that tests counts, OF_COUNTS), aligned with gene_keys."""
        return np.asarray(np.load(self.folder / f"{name}.npy"))

    @cached_property
    def samples(self) -> pd.DataFrame:
        """sample_id and role of the samples in the fit."""
        return pd.read_parquet(self.folder / "samples.parquet")

    @property
    def n_ok(self) -> int:
        """Effects that were estimated."""
        return int((self.effects["status"] == OK).sum())

    def by_effect(self, name: str) -> npt.NDArray[np.float32]:
        """One of BY_EFFECT (or, of a fit that tests counts, OF_LIMMA): estimated effects x genes, mapped from disk."""
        return tile(self.folder / f"{name}.tile", (self.n_ok, len(self.gene_keys)), "r")

    def by_gene(self, name: str, genes: slice) -> npt.NDArray[np.float32]:
        """Some genes of one of BY_GENE: genes x estimated effects, turned over in memory."""
        return transposed(self.by_effect(name)[:, genes])


def tile(path: Path, shape: tuple[int, int], mode: Literal["r", "w+"]) -> npt.NDArray[np.float32]:
    """Map a float32 matrix on disk; an empty one is no file.

    Raises:
        OSError: the disk has no room for a new one.
    """
    if 0 in shape:
        return np.zeros(shape, dtype=np.float32)
    if mode == "w+":
        with path.open("wb") as file:
            reserve(file, 4 * shape[0] * shape[1])
    return np.memmap(path, dtype=np.float32, mode="r" if mode == "r" else "r+", shape=shape)


def release(tiles: Iterable[npt.NDArray[np.float32]]) -> None:
    """Let go of the memory of mapped matrices: what they hold is in their files, and read again where it is needed."""
    for matrix in tiles:
        if isinstance(matrix.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            matrix.base.madvise(mmap.MADV_DONTNEED)


def reserve(file: IO[bytes], n_bytes: int) -> None:
    """Give an empty file zeros that have their room on disk: writing to a map of a sparse file on a full disk kills.

    Raises:
        OSError: the disk has no room.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, n_bytes)
    else:
        file.truncate(n_bytes)
