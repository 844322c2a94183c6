"""What a transform read, wrote and left out, and what it refuses: names spelled in two ways, genes nobody knows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pandas as pd

from pbdb.common.errors import DataError
from pbdb.common.typed_cells import one_spelling
from pbdb.sources.declaration import Source

SHOWN = 5
MANY_UNKNOWN, MOST_UNKNOWN = 0.05, 0.5
"""Shares of features that are no known gene: beyond the first a load warns, beyond the second it stops."""


@dataclass
class Report:
    """What a transform read, wrote and left out.

    n_left_out: profiles that were passed over; dropped: they and genes, by reason. no_dose: treated samples of a
    condition without a molar dose, by the unit they have. facts: what the source decided by all that is loaded.
    n_cells: single cells that were read, where samples are pooled from them. respelled: names of compounds and plates
    that count as another, alike but for case and blanks. unknown_genes: some of the features that are no known gene.
    """

    n_samples: int = 0
    n_left_out: int = 0
    n_cells: int = 0
    n_in_fit: int = 0
    n_genes: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    genes: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    no_dose: Counter[str] = field(default_factory=Counter)
    facts: dict[str, object] = field(default_factory=dict)
    respelled: dict[str, str] = field(default_factory=dict)
    unknown_genes: list[str] = field(default_factory=list)

    @property
    def gene_loss(self) -> float:
        """Share of the features that are no gene of the vocabulary."""
        return self.genes["unknown"] / max(1, sum(self.genes.values()))

    def as_dict(self) -> dict[str, object]:
        """The report as plain values."""
        return {
            "n_samples": self.n_samples,
            "n_in_fit": self.n_in_fit,
            "n_genes": self.n_genes,
            "flags": dict(self.flags),
            "genes": dict(self.genes),
            "no_dose": dict(self.no_dose),
            "facts": self.facts,
            **({"n_cells": self.n_cells} if self.n_cells else {}),
            **({"respelled": self.respelled} if self.respelled else {}),
        }

    @property
    def rows_in(self) -> int:
        """Cells, or profiles, that came in."""
        return self.n_cells or self.n_samples + self.n_left_out


def with_one_spelling(samples: pd.DataFrame, keys: set[str], report: Report) -> pd.DataFrame:
    """Give compounds and plates one spelling each, where two differ in case, blanks or Unicode form only.

    keys: compounds of the source's own table, which stay as they are. What was written of a compound stays as the
    attribute `compound_written`.
    """
    compounds, plates = samples["compound"], samples["plate"]
    of_compounds = one_spelling(compounds.dropna(), keys)
    report.respelled = {**of_compounds, **one_spelling(plates.dropna())}
    if not report.respelled:
        return samples
    written = [
        {**attributes, "compound_written": name} if name in of_compounds else attributes
        for attributes, name in zip(samples["attributes"], compounds, strict=True)
    ]
    return samples.assign(
        compound=compounds.replace(of_compounds),
        plate=plates.replace(one_spelling(plates.dropna())),
        attributes=pd.Series(written, index=samples.index, dtype=object),
    )


def check_gene_loss(source: Source, report: Report, most: float) -> None:
    """Refuse a vocabulary that knows few of the features: it is of another species, or of other ids."""
    if report.gene_loss > most:
        raise DataError(
            f"Source '{source.key}': {told_of_genes(report)}. Import the vocabulary these names are of "
            "(`pbdb vocab status` shows which is in use), or load what is left with --allow-gene-loss.",
            value=source.key,
        )


def told_of_genes(report: Report) -> str:
    """Say how many features are no known gene, and what they look like."""
    names = ", ".join(f"'{name}'" for name in report.unknown_genes[:SHOWN])
    n_features = sum(report.genes.values())
    return (
        f"{report.genes['unknown']:,} of {n_features:,} features are no gene of the vocabulary in use, such as {names}"
    )
