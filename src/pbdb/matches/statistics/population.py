"""Per-gene z scores over a population of signatures, for a sensitivity analysis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pbdb.matches.statistics.ranks import Floats


@dataclass(frozen=True)
class Moments:
    """Number, mean and sum of squared deviations of the finite values of each gene; blocks merge (Chan et al. 1983)."""

    n: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    squares: npt.NDArray[np.float64]

    @classmethod
    def of(cls, values: Floats) -> Moments:
        """Moments of one block: rows x genes."""
        finite = np.isfinite(values)
        n = finite.sum(axis=0).astype(np.float64)
        mean = np.where(finite, values, 0).sum(axis=0, dtype=np.float64) / np.maximum(n, 1)
        return cls(n, mean, (np.where(finite, values - mean, 0) ** 2).sum(axis=0, dtype=np.float64))

    def merged(self, other: Moments) -> Moments:
        """Moments of two blocks together."""
        # Chan, Golub & LeVeque 1983: mean = m1 + d n2 / n, squares = S1 + S2 + d^2 n1 n2 / n with d = m2 - m1. A sum of
        # squares less n mean^2 would lose the digits of genes whose mean is large beside their spread.
        n = self.n + other.n
        apart = other.mean - self.mean
        share = other.n / np.maximum(n, 1)
        squares = self.squares + other.squares + apart**2 * self.n * share
        return Moments(n, self.mean + apart * share, squares)

    def z(self, values: Floats) -> npt.NDArray[np.float64]:
        """Return (value - mean) / population SD; NaN for genes with fewer than 2 finite values or no spread."""
        sd = np.sqrt(self.squares / np.maximum(self.n, 1))
        valid = (self.n >= 2) & (sd > 0)
        return np.asarray(np.where(valid, (values - self.mean) / np.where(valid, sd, 1), np.nan))
