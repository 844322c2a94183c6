"""How effects are made, as a user chooses it: the engine's options, and what lies around a fit.

Nothing here needs the engine, so that a load can say by which choices it would fit before it imports what fits.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from pbdb.common.errors import ConfigError

Readout = Literal["counts", "log2_intensity"]
Span = float | Literal["adaptive"]
Filter = Literal["floor", "limma", "none"]
PValues = Literal["counts", "limma"]
Mode = Literal["pooled", "replicate"]
Batching = Literal["none", "published"]


@dataclass(frozen=True)
class Options:
    """How a fit is made.

    readout: `counts` or `log2_intensity`; method: `voom` or `trend` (None: by readout).
    span: of the voom trend, `adaptive` (limma from 3.56 on) or a number (0.5 for older limma).
    filter: `floor`, `limma` or `none`, for counts; normalise: TMM factors, for counts.
    robust: moderation that tolerates outlying variances; threads: None leaves Numba's number.
    p_values: `counts` (`count_test`, for voom fits; trend fits have limma's all the same) or `limma`.
    """

    readout: Readout = "counts"
    method: Literal["voom", "trend"] | None = None
    span: Span = "adaptive"
    filter: Filter = "floor"
    normalise: bool = True
    robust: bool = True
    threads: int | None = None
    p_values: PValues = "counts"

    @property
    def chosen_p_values(self) -> PValues:
        """Which p values the fit has: those of counts for voom, unless limma's are asked for.

        Raises:
            ConfigError: an unknown kind.
        """
        if self.p_values not in ("counts", "limma"):
            raise ConfigError(f"P values {self.p_values!r} are unknown; use counts or limma.")
        return self.p_values if self.chosen_method == "voom" else "limma"

    @property
    def chosen_method(self) -> Literal["voom", "trend"]:
        """The method, by readout where none is named.

        Raises:
            ConfigError: an unknown readout or method, or voom on intensities.
        """
        if self.readout not in ("counts", "log2_intensity"):
            raise ConfigError(f"Readout {self.readout!r} is unknown; use counts or log2_intensity.")
        method = self.method or ("voom" if self.readout == "counts" else "trend")
        if method not in ("voom", "trend"):
            raise ConfigError(f"Method {method!r} is not one of this engine; use voom or trend.")
        if method == "voom" and self.readout != "counts":
            raise ConfigError("voom needs counts; use the method trend for log2 intensities.")
        return method


@dataclass(frozen=True)
class FitOptions:
    """How effects are made: the engine's options, and what lies around a fit.

    mode: one effect per condition, or per treated well. min_cells: samples of fewer cells are left out. batching
    `published`: cut large contexts as the published runs did; implies the filter `limma` and limma's p values.
    deseq2: use DESeq2 instead of the method of the options. is_default: of a loaded dataset, the fits on display.
    """

    options: Options = field(default_factory=Options)
    mode: Mode = "pooled"
    min_cells: int = 0
    is_default: bool = True
    batching: Batching = "none"
    deseq2: bool = False

    @property
    def method(self) -> str:
        """voom, trend or deseq2."""
        return "deseq2" if self.deseq2 else self.options.chosen_method

    @property
    def p_values(self) -> str:
        """Which test the p values are of: counts, limma or deseq2."""
        return "deseq2" if self.deseq2 else self.options.chosen_p_values

    def as_dict(self) -> dict[str, object]:
        """Everything that decides the numbers, by name."""
        chosen: dict[str, object] = asdict(self.options)
        engine = {name: value for name, value in chosen.items() if name not in ("threads", "p_values")}
        # All others have the numbers, hence the ids, of fits made before there was a choice.
        if self.p_values == "counts":
            engine["p_values"] = "counts"
        around = {"mode": self.mode, "min_cells": self.min_cells, "batching": self.batching}
        return engine | {"method": self.method} | around

    def checked(self) -> FitOptions:
        """The same options, checked; published batches imply the plain filter and limma's p values.

        Raises:
            ConfigError: options that make no sense together.
        """
        options = self.options
        if self.deseq2 and options.readout != "counts":
            raise ConfigError("deseq2 needs counts; use the method trend for log2 intensities.")
        if options.chosen_method == "voom":
            choose_span(options.span, 1)
        if self.batching == "published":
            plain = "limma" if options.filter == "floor" else options.filter
            return replace(self, options=replace(options, filter=plain, p_values="limma"))
        return self


def choose_span(span: Span, n_genes: int) -> float:
    """Return the lowess span: a number as it is, `adaptive` 0.3 + 0.7 (50 / n_genes)^(1/3), at most 1."""
    if span == "adaptive":
        return float(min(1.0, 0.3 + 0.7 * (50 / max(1, n_genes)) ** (1 / 3)))
    if isinstance(span, str) or not 0 < span <= 1:
        raise ConfigError(f"Span {span!r} makes no sense; use adaptive or a number above 0 and up to 1.")
    return float(span)
