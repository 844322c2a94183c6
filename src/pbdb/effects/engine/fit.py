"""One fit: from a matrix and a design to moderated effects, in blocks of genes."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypedDict

import numba
import numpy as np

from pbdb.common.arrays import Floats, Ints
from pbdb.common.errors import ConfigError, DataError, DesignError
from pbdb.effects.engine import unweighted, voom
from pbdb.effects.engine.design import Design
from pbdb.effects.engine.gene_fits import Block, Blocks, EffectsOfBlock, Reader, first_pass, in_turn, variances
from pbdb.effects.engine.left_out import checked_wells
from pbdb.effects.engine.matrix import Matrix, gene_blocks, genes_per_block, wrap
from pbdb.effects.engine.moderate import Moderated, moderate
from pbdb.effects.engine.normalise import Kept, detected_genes, keep_genes, tmm
from pbdb.effects.engine.tails import worth_tables
from pbdb.effects.options import Mode, Options, PValues, choose_span


class FitReport(TypedDict, total=False):
    """The facts of a fit as plain numbers and texts, ready for JSON; not every method knows all of them."""

    method: str
    mode: Mode
    p_values: PValues
    n_given: int
    n_samples: int
    n_vehicle: int
    n_conditions: int
    n_plates: int
    n_components: int
    effects: dict[str, int]
    genes_in: int
    genes_tested: int
    filter: str
    cpm_cut: float
    samples_needed: float
    floor_samples: float
    normalise: str
    span: float | None
    robust: bool
    df_residual: int
    df_prior_median: float | str | None
    s2_prior_median: float | None
    seconds: dict[str, float]


@dataclass(frozen=True)
class Fit:
    """A moderated fit. Arrays by gene are aligned with `genes`, the positions of the tested genes.

    library: effective library sizes of the samples, in design order (None for intensities).
    norm_factors: TMM factors, likewise. df_residual differs by gene only where values are missing. sigma_first: as
    sigma, of the fit without weights that the curve was drawn through.
    """

    design: Design
    options: Options
    genes: Ints
    ave_expr: Floats
    sigma: Floats
    df_residual: Floats
    moderated: Moderated
    kept: Kept
    library: Floats | None
    norm_factors: Floats | None
    curve: voom.Curve | None
    sigma_first: Floats
    seconds: dict[str, float]
    _reader: Reader
    _blocks: Blocks

    @property
    def effects(self) -> Ints:
        """Positions in `design.effects` of the columns of each block."""
        return self.design.ok

    @property
    def p_values(self) -> PValues:
        """Which test `neg_log10_p` of the blocks comes from."""
        return self.options.chosen_p_values

    @property
    def n_checked_wells(self) -> int:
        """Vehicle wells that are tested against the others of their vehicle."""
        return len(checked_wells(self.design).well) if self.p_values == "counts" else 0

    @property
    def s2_post(self) -> Floats:
        """Posterior variance by gene."""
        return self.moderated.s2_post

    @property
    def df_total(self) -> Floats:
        """Total degrees of freedom by gene."""
        return self.moderated.df_total

    @property
    def df_prior(self) -> Floats:
        """Prior degrees of freedom by gene."""
        return self.moderated.df_prior

    @property
    def genes_per_block(self) -> int:
        """How many genes a block holds unless told otherwise."""
        return genes_per_block(max(self.design.n_samples, 2 * len(self.effects)))

    def blocks(self, size: int | None = None, names: Collection[str] | None = None) -> Iterator[Block]:
        """Yield the effects of all tested genes, `size` genes at a time; each call computes them anew.

        names: statistics that are wanted, in float32 (the others are empty); None: all of them, in float64.
        """
        if not len(self.effects):
            return
        made = self._blocks(self._reader, self.genes, size or self.genes_per_block, self._work(names))
        while True:
            with threads(self.options.threads):
                block = next(made, None)
            if block is None:
                return
            yield block[1]

    def _work(self, names: Collection[str] | None) -> EffectsOfBlock:
        return EffectsOfBlock(
            effects=self.effects,
            curve=self.curve,
            tests_counts=self.p_values == "counts" and self.curve is not None,
            variance=self.sigma**2,
            s2_post=self.s2_post,
            df_total=self.df_total,
            in_table=worth_tables(self.df_total, len(self.effects)),
            names=None if names is None else frozenset(names),
        )

    def weights(self, genes: slice) -> Floats:
        """Return the voom weights of some tested genes, genes x samples in design order.

        Raises:
            ConfigError: the fit has no weights.
        """
        if self.curve is None:
            raise ConfigError("Only a voom fit has weights.")
        return self._reader.weights(self._reader.values(self.genes[genes]), self.curve)

    def report(self) -> FitReport:
        """Return the facts of the fit as plain numbers and texts, ready for JSON."""
        design, options = self.design, self.options
        status, n = np.unique(design.effects.status, return_counts=True)
        median_df = _median(self.df_prior)
        return {
            "method": options.chosen_method,
            "mode": design.mode,
            "p_values": self.p_values,
            "n_given": design.n_given,
            "n_samples": design.n_samples,
            "n_vehicle": int(design.is_control.sum()),
            "n_conditions": design.n_conditions,
            "n_plates": design.n_plates,
            "n_components": design.n_components,
            "effects": {str(s): int(k) for s, k in zip(status, n, strict=True)},
            "genes_in": self._reader.matrix.shape[1],
            "genes_tested": len(self.genes),
            "filter": self.kept.rule,
            "cpm_cut": self.kept.cpm_cut,
            "samples_needed": self.kept.samples_needed,
            "floor_samples": self.kept.floor_samples,
            "normalise": "tmm" if self.norm_factors is not None and options.normalise else "none",
            "span": choose_span(options.span, len(self.genes)) if self.curve is not None else None,
            "robust": options.robust,
            "df_residual": design.df_residual,
            "df_prior_median": "inf" if median_df == np.inf else median_df,
            "s2_prior_median": _median(self.moderated.s2_prior),
            "seconds": dict(self.seconds),
        }


def _median(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else None


def prepare(matrix: Any, design: Design, options: Options | None = None, blocks: Blocks = in_turn) -> Fit:
    """Filter, normalise, fit and moderate; effects then come from `Fit.blocks`.

    `matrix` is samples x genes (NumPy, CSC, CSR, or what `gather` returns), rows as given to `build_design`.
    CSR counts are copied; hand them over without keeping a reference and their memory is free after that.
    `blocks` does the passes over blocks of genes, now and for `Fit.blocks`, which come in the order in which it yields.

    Raises:
        DataError: values that contradict the readout, or samples without any count.
        DesignError: no gene passes the filter.
        ConfigError: options that make no sense.
    """
    options = options or Options()
    method, clock = options.chosen_method, _Clock()
    with clock("check"):
        values = wrap(matrix, options.readout)
    del matrix
    if values.shape[0] != design.n_given:
        raise DataError(f"The matrix has {values.shape[0]} samples and the design {design.n_given}.")
    with threads(options.threads):
        with clock("design"):
            common = unweighted.share(design)
        with clock("filter"):
            kept, library = _choose_genes(values, common, options)
        with clock("normalise"):
            factors = _factors(values, common, kept.genes, library, options)
        effective = None if library is None or factors is None else library * factors
        reader = Reader(values, common, method, effective)
        return _moderated_fit(reader, kept, factors, options, clock, blocks)


def tested_genes(matrix: Any, design: Design, options: Options | None = None) -> Ints:
    """Return the genes (positions) that a fit with these options would test, for another method on the same genes.

    Raises:
        DataError: values that contradict the readout, or samples without any count.
        DesignError: no gene passes the filter.
    """
    options = options or Options()
    with threads(options.threads):
        kept, _ = _choose_genes(wrap(matrix, options.readout), unweighted.share(design), options)
    return kept.genes


def _moderated_fit(
    reader: Reader, kept: Kept, factors: Floats | None, options: Options, clock: _Clock, blocks: Blocks
) -> Fit:
    """Fit all genes and squeeze their variances."""
    with clock("trend"):
        ave_expr, variance, df, curve = first_pass(reader, kept.genes, options.span, blocks)
        first = np.sqrt(variance)
    with clock("variance"):
        if curve is not None:
            variance, df = variances(reader, kept.genes, curve, blocks)
    with clock("moderate"):
        covariate = ave_expr if reader.method == "trend" else None
        moderated = moderate(variance, df, covariate=covariate, robust=options.robust)
    return Fit(
        design=reader.shared.design,
        options=options,
        genes=kept.genes,
        ave_expr=ave_expr,
        sigma=np.sqrt(variance),
        df_residual=df,
        moderated=moderated,
        kept=kept,
        library=reader.library,
        norm_factors=factors,
        curve=curve,
        sigma_first=first,
        seconds=clock.seconds,
        _reader=reader,
        _blocks=blocks,
    )


def _choose_genes(matrix: Matrix, common: unweighted.Shared, options: Options) -> tuple[Kept, Floats | None]:
    """Return the genes and, for counts, the library sizes over them (in design order)."""
    if options.readout != "counts":
        return Kept(np.arange(matrix.shape[1]), "none", 0.0, 0.0, 0.0), None
    library = matrix.totals()[common.design.samples]
    if (library <= 0).any():
        raise DataError(
            f"{int((library <= 0).sum())} samples have no count at all (the first is row "
            f"{int(common.design.samples[library <= 0].min())}, from 0); leave them out of the fit."
        )
    kept = keep_genes(matrix, common, library, options.filter)
    if not len(kept.genes):
        raise DesignError("No gene passes the expression filter; check that samples and genes are not swapped.")
    if len(kept.genes) == matrix.shape[1]:
        return kept, library
    return kept, _library_over(matrix, common.design, kept.genes)


def _library_over(matrix: Matrix, design: Design, genes: Ints) -> Floats:
    library = np.zeros(design.n_samples)
    for part in gene_blocks(genes, genes_per_block(design.n_samples)):
        library += matrix.genes(genes[part], design.samples).sum(axis=0)
    return library


def _factors(
    matrix: Matrix, common: unweighted.Shared, genes: Ints, library: Floats | None, options: Options
) -> Floats | None:
    if library is None:
        return None
    if not options.normalise:
        return np.ones(len(library))
    if options.filter == "none":
        genes = detected_genes(matrix, common.design, genes)
    return tmm(matrix, common.design, genes, library)


@contextmanager
def threads(n: int | None) -> Iterator[None]:
    """Run Numba on n threads within the block (None: as it is)."""
    before = numba.get_num_threads()
    if n is not None:
        numba.set_num_threads(max(1, min(n, numba.config.NUMBA_NUM_THREADS)))
    try:
        yield
    finally:
        numba.set_num_threads(before)


class _Clock:
    """Seconds per step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[step] = round(time.perf_counter() - start, 3)
