"""A source made for tests, over two small text files that a test writes as it wants them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pbdb import readers
from pbdb.common.settings import Settings
from pbdb.loading import pipeline
from pbdb.readers.profile_block import ProfileBlock
from pbdb.sources.declaration import Assay, Context, Dataset, Features, File, Files, Flag, SampleColumns, Source, col

SHEET = ("sample", "plate", "drug", "dose", "unit", "hours", "cells", "note")
FIRST_GENE = 900_000


def blocks(files: Files, dataset: str) -> Iterator[ProfileBlock]:
    """One block of all samples."""
    counts = files["counts"]
    sheet = readers.aligned(files["sheet"], "sample", counts.samples, "sheet.csv", "counts.csv")
    yield ProfileBlock(sheet, counts.counts, counts.features)


SOURCE = Source(
    key="made",
    title="Made for a test",
    assay=Assay("made", "counts"),
    files={
        "sheet": File("sheet.csv", readers.csv, columns=SHEET),
        "counts": File("counts.csv", readers.gene_matrix("gene")),
    },
    datasets={"made": Dataset(release="1", license="MIT", citation="a test")},
    blocks=blocks,
    samples=SampleColumns(
        sample=col("sample"),
        plate=col("plate"),
        compound=col("drug"),
        dose=col("dose", unit_column="unit"),
        time=col("hours", unit="h"),
        context=col("cells"),
        vehicle="drug == 'DMSO'",
        attributes=("note",),
        non_molar_units=("ug/ml",),
    ),
    features=Features("gene_id"),
    contexts={"A": Context("CVCL:0001", "A"), "B": Context("CVCL:0002", "B")},
    flags=(Flag("bad", "note == 'bad'"), Flag("blank", "drug == 'blank'", has_condition=False)),
)


def source(**changes: Any) -> Source:
    """The source with parts of its declaration changed."""
    return replace(SOURCE, **changes)


def sheet(**changes: Any) -> pd.DataFrame:
    """24 samples on two plates: 8 of DMSO, 4 each of drugs x and y at 1 and 10 uM, in cells A."""
    drugs = np.repeat(["DMSO", "DMSO", "x", "x", "y", "y"], 4)
    doses = np.repeat(["", "", "1", "10", "1", "10"], 4)
    made = {
        "sample": [f"s{at:02d}" for at in range(24)],
        "plate": ["p1", "p2"] * 12,
        "drug": drugs,
        "dose": doses,
        "unit": np.where(doses == "", "", "uM"),
        "hours": "24",
        "cells": "A",
        "note": "",
    }
    return pd.DataFrame(made | changes)


def counts(samples: list[str], n_genes: int = 60, seed: int = 1) -> pd.DataFrame:
    """Counts of genes x samples around a level of each gene's own."""
    rng = np.random.default_rng(seed)
    level = rng.lognormal(5, 1, (n_genes, 1))
    values = rng.negative_binomial(10, 10 / (10 + level), (n_genes, len(samples)))
    genes = [f"ENSG{FIRST_GENE + at:011d}" for at in range(n_genes)]
    return pd.DataFrame(values, columns=samples, index=pd.Index(genes, name="gene"))


def write(folder: Path, table: pd.DataFrame | None = None, values: pd.DataFrame | None = None) -> Path:
    """Write a release; the counts are those of the sheet's samples unless given."""
    table = sheet() if table is None else table
    values = counts(table["sample"].tolist()) if values is None else values
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "sheet.csv", index=False)
    values.to_csv(folder / "counts.csv")
    return folder


def load(settings: Settings, folder: Path, declared: Source = SOURCE, **choices: Any) -> dict[str, Any]:
    """Load a release of the made source."""
    (outcome,) = pipeline.load_source(declared, settings, pipeline.Choices(folder=folder, **choices))
    return dict(outcome.as_dict())
