"""Effects of a sample of genes, computed again from the canonical matrix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from pbdb.common.arrays import Ints
from pbdb.loading.verification import count_p, least_squares
from pbdb.loading.verification.differences import Differences
from pbdb.loading.verification.effects import FitRow, Sampled
from pbdb.loading.verification.least_squares import Floats, Model
from pbdb.loading.verification.tables import OF_LIMMA

# As many values of the matrix are in memory at once. The trend of voom needs all genes of a fit together: of a larger
# fit it is drawn through as many genes as make up so many.
VALUES_AT_ONCE = 40_000_000
# How far a fold change may lie off, in its standard errors: by rounding to single precision and the order of sums;
# and where the trend, hence each weight, comes from a part of the genes.
CLOSE, NEAR = 0.001, 0.2
# How far -log10 p of counts may lie off, relative to 1 more than itself: it follows every weight of the fit.
P_OF_COUNTS = 0.01


@dataclass(frozen=True)
class Matrix:
    """The canonical matrix on disk, samples x genes, opened for reading rows."""

    rows: dict[str, int]
    columns: dict[int, int]
    content: Any

    @classmethod
    def open(cls, path: Path) -> Matrix:
        """Open a matrix; only its annotations are read, not its layers either."""
        import h5py
        from anndata.io import read_elem, sparse_dataset

        file = h5py.File(path)
        samples = read_elem(file["obs"])["source_sample"].astype(str)
        keys = read_elem(file["var"])["gene_key"].astype(int)
        values = file["X"] if isinstance(file["X"], h5py.Dataset) else sparse_dataset(file["X"])
        return cls({name: at for at, name in enumerate(samples)}, {key: at for at, key in enumerate(keys)}, values)

    def blocks(self, samples: pd.Series[Any], genes: list[int]) -> Iterator[tuple[Ints, Any]]:
        """Some samples at some genes, a block of samples at a time in the order of the matrix.

        Each with the places of its samples among those asked for; CSR of counts, or dense intensities (float64).
        """
        places = np.array([self.rows[name] for name in samples], dtype=np.intp)
        columns = [self.columns[int(key)] for key in genes]
        order, step = np.argsort(places), max(1, VALUES_AT_ONCE // len(self.columns))
        for start in range(0, len(order), step):
            asked = order[start : start + step]
            values = self.content[places[asked]]
            if sp.issparse(values):
                yield asked, sp.csr_matrix(values)[:, columns]
            else:
                yield asked, np.asarray(values, dtype=np.float64)[:, columns]

    def read(self, samples: pd.Series[Any], genes: list[int]) -> tuple[Floats, bool]:
        """Values of some samples at some genes, and whether they are counts."""
        values, is_counts = np.empty((len(samples), len(genes))), False
        for asked, block in self.blocks(samples, genes):
            is_counts = sp.issparse(block)
            values[asked] = block.toarray() if is_counts else block
        return values, is_counts

    def library(self, samples: pd.Series[Any], genes: list[int], normalise: bool) -> Floats:
        """Counts of each sample at some genes, times its factor of TMM if so wanted."""
        total, seen = np.zeros(len(samples)), np.zeros(len(genes))
        order = []
        for asked, block in self.blocks(samples, genes):
            total[asked] = np.asarray(block.sum(axis=1)).ravel()
            seen += np.asarray(block.sum(axis=0)).ravel()
            order.append(asked)
        if not normalise:
            return total
        counted = [key for key, n in zip(genes, seen, strict=True) if n]

        def rows() -> Iterator[Floats]:
            for _, block in self.blocks(samples, counted):
                yield from block.toarray().astype(np.float64)

        in_order = np.concatenate(order)
        total[in_order] *= least_squares.tmm(rows, total[in_order])
        return total


@dataclass(frozen=True)
class Genes:
    """The sampled genes of a fit, ready for least squares: values and weights, samples x genes, and how exact.

    counts, library: what weighted values come from.
    """

    values: Floats
    weights: Floats
    tolerance: float
    counts: Floats | None = None
    library: Floats | None = None


def check_refit(matrix: Matrix, fit: FitRow, samples: pd.DataFrame, chosen: Sampled, differences: Differences) -> int:
    """Fit the sampled genes again and compare log2_fc, se and p of the sampled effects; return how many values."""
    if fit["method"] == "deseq2" or not len(chosen.effects) or not len(chosen.genes):
        return 0
    unknown = [name for name in samples["source_sample"] if name not in matrix.rows]
    if unknown or any(int(key) not in matrix.columns for key in fit["gene_keys"]):
        differences.add("matrix", f"{fit.label}: the matrix lacks a sample or gene of it")
        return 0
    group, plate = _groups(fit, samples), _plates(matrix, samples)
    genes = _prepared(matrix, fit, samples, (group, plate), chosen.genes)
    key = "condition_id" if fit["mode"] == "pooled" else "sample_id"
    time_of = dict(zip(samples[key], samples["time_h"], strict=True))
    contrasts = [(int(label), _vehicle(samples, time_of[label])) for label in chosen.effects[key]]
    for column, gene in enumerate(chosen.genes):
        expected = least_squares.refit(group, plate, genes.values[:, column], genes.weights[:, column], contrasts)
        _compare(fit, chosen, column, int(gene), expected, genes.tolerance, differences)
        if fit["p_values"] == "counts" and genes.counts is not None and genes.library is not None:
            exposure = genes.library * 2**expected.plate_effect
            counts = count_p.Counts(genes.counts[:, column], exposure, genes.library, group)
            _compare_counts(fit, chosen, column, counts, genes, expected, contrasts, differences)
    return 2 * len(chosen.effects) * len(chosen.genes)


def _groups(fit: FitRow, samples: pd.DataFrame) -> npt.NDArray[np.int64]:
    """The mean each sample belongs to: of its condition (or its own), or of the vehicle at its time."""
    treated = samples["condition_id" if fit["mode"] == "pooled" else "sample_id"].to_numpy(dtype=np.int64)
    vehicle = np.array([_vehicle(samples, time) for time in samples["time_h"]], dtype=np.int64)
    return np.where(samples["role"] == "vehicle", vehicle, treated)


def _plates(matrix: Matrix, samples: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Plates, numbered as they appear in the matrix: the first of those that cannot be told apart has no effect."""
    rows = samples["source_sample"].map(matrix.rows).to_numpy()
    number = {plate: at for at, plate in enumerate(samples["plate_id"].iloc[np.argsort(rows)].unique())}
    return samples["plate_id"].map(number).to_numpy(dtype=np.int64)


def _vehicle(samples: pd.DataFrame, time: float) -> int:
    """A number below all ids for the vehicle of a time."""
    return -1 - int(np.searchsorted(np.unique(samples["time_h"]), time))


def _prepared(
    matrix: Matrix, fit: FitRow, samples: pd.DataFrame, design: tuple[Any, Any], genes: npt.NDArray[np.intp]
) -> Genes:
    """Values and weights of the sampled genes; voom's trend is drawn through all genes, or a sample of them."""
    keys, names = fit["gene_keys"], samples["source_sample"]
    drawn, n = np.arange(len(keys)), max(1, VALUES_AT_ONCE // len(names))
    if len(drawn) > n:
        drawn = np.sort(np.random.default_rng(len(keys)).permutation(drawn)[:n])
    wanted = np.union1d(genes, drawn)
    values, is_counts = matrix.read(names, [keys[at] for at in wanted])
    some = values[:, np.searchsorted(wanted, genes)]
    if not is_counts:
        return Genes(some, np.ones(some.shape), CLOSE)
    library = matrix.library(names, keys, fit["parameters"].get("normalise", True))
    if fit["method"] == "trend":
        prior = [least_squares.log_cpm_with_prior(column, library) for column in some.T]
        return Genes(np.stack(prior, axis=1), np.ones(some.shape), CLOSE)
    model = Model(*design, np.ones(len(library)))
    trend = least_squares.voom(values[:, np.searchsorted(wanted, drawn)], library, model, _span(fit))
    y = least_squares.log_cpm(some, library)
    fitted = model.design @ model.coefficients(y) + np.log2(library + 1)[:, None] - least_squares.MILLION
    return Genes(y, trend.weights(fitted), CLOSE if len(drawn) == len(keys) else NEAR, some, library)


def _span(fit: FitRow) -> float:
    """0.3 + 0.7 (50 / n)^(1/3) of n tested genes, at most 1, or the number that was asked for."""
    span = fit["parameters"]["span"]
    return min(1.0, 0.3 + 0.7 * (50 / fit["n_genes"]) ** (1 / 3)) if span == "adaptive" else float(span)


def _compare(
    fit: FitRow,
    chosen: Sampled,
    column: int,
    gene: int,
    expected: least_squares.Refit,
    tolerance: float,
    differences: Differences,
) -> None:
    se = expected.stdev_unscaled * np.sqrt(float(fit["s2_post"][gene]))
    stored = {name: values[:, column].astype(np.float64) for name, values in chosen.values.items()}
    apart = {
        "log2_fc": np.abs(stored["log2_fc"] - expected.log2_fc) / (se + 0.1),
        "se": np.abs(stored["se"] / se - 1),
    }
    for name, by in (("log2_fc", expected.log2_fc), ("se", se)):
        # A gene whose vehicle or condition has no value in the matrix has none in the arrays.
        wrong = np.flatnonzero((np.isnan(stored[name]) != np.isnan(by)) | (apart[name] > tolerance))
        for row in wrong:
            where = f"{name} of effect {chosen.effects['effect_id'][row]}, gene {fit['gene_keys'][gene]}"
            differences.differ("refit", where, float(stored[name][row]), float(by[row]), "least squares")
    _compare_p(fit, chosen, gene, stored, differences)


def _compare_p(fit: FitRow, chosen: Sampled, gene: int, stored: dict[str, Floats], differences: Differences) -> None:
    """Two-sided p of limma's moderated t, as far as its logarithm can be computed."""
    name = OF_LIMMA[0] if OF_LIMMA[0] in stored else "neg_log10_p"
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = count_p.neg_log10_p(stored["log2_fc"] / stored["se"], float(fit["df_total"][gene]))
    wrong = np.flatnonzero(np.isfinite(expected) & (np.abs(stored[name] - expected) > 0.001 * (1 + expected)))
    for row in wrong:
        where = f"-log10 p of effect {chosen.effects['effect_id'][row]}, gene {fit['gene_keys'][gene]}"
        differences.differ("p", where, float(stored[name][row]), float(expected[row]), "its t")


def _compare_counts(
    fit: FitRow,
    chosen: Sampled,
    column: int,
    counts: count_p.Counts,
    genes: Genes,
    refitted: least_squares.Refit,
    contrasts: list[tuple[int, int]],
    differences: Differences,
) -> None:
    """Dispersion and p of counts, with sigma and the posterior variance as the fit has them."""
    gene = int(chosen.genes[column])
    s2_post, sigma = float(fit["s2_post"][gene]), float(fit["sigma"][gene])
    weight_of = pd.Series(genes.weights[:, column]).groupby(counts.group).sum()
    of_groups = np.array([sum(1 / weight_of.get(label, np.nan) for label in pair) for pair in contrasts])
    phi = count_p.dispersion(counts, refitted.n_free, s2_post / sigma**2)
    tolerance = max(genes.tolerance, P_OF_COUNTS)
    if abs(float(fit["dispersion"][gene]) - phi) > tolerance * (0.1 + phi):
        where = f"dispersion of gene {fit['gene_keys'][gene]} in {fit.label}"
        differences.differ("dispersion", where, float(fit["dispersion"][gene]), phi, "its counts")
    z = count_p.deviates(counts, phi, contrasts, s2_post * (refitted.stdev_unscaled**2 - of_groups))
    expected = count_p.neg_log10_p(np.where(np.isnan(refitted.log2_fc), np.nan, z), float(fit["df_total"][gene]))
    stored = chosen.values["neg_log10_p"][:, column].astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.abs(stored - expected) > tolerance * (1 + expected)
    for row in np.flatnonzero((np.isnan(stored) != np.isnan(expected)) | (apart & np.isfinite(expected))):
        where = f"-log10 p of effect {chosen.effects['effect_id'][row]}, gene {fit['gene_keys'][gene]}"
        differences.differ("p_of_counts", where, float(stored[row]), float(expected[row]), "its counts")
