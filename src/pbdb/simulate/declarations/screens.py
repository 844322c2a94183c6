"""The source of the four simulated screens: what a declaration in etl/ is for published data."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from pbdb import readers
from pbdb.readers.profile_block import ProfileBlock
from pbdb.simulate.screens import CELLS, COMPOUNDS, DOSES, VEHICLE
from pbdb.sources.declaration import (
    Assay,
    CompoundColumns,
    Context,
    Dataset,
    Features,
    File,
    Files,
    SampleColumns,
    Source,
    col,
    const,
)

CELLOSAURUS = {"U-2 OS": "CVCL:0042", "A549": "CVCL:0023"}


def blocks(files: Files, dataset: str) -> Iterator[ProfileBlock]:
    """One block a screen."""
    counts = files[f"{dataset}_counts"]
    wells: pd.DataFrame = files[f"{dataset}_wells"]
    names = (f"{dataset}-wells.csv", f"{dataset}-counts.csv.gz")
    yield ProfileBlock(readers.aligned(wells, "sample", counts.samples, *names), counts.counts, counts.features)


def _files() -> dict[str, File]:
    declared = {"compounds": File(COMPOUNDS, readers.csv, columns=("compound", "smiles", "moa"))}
    columns = ("sample", "plate", "cells", "compound", "dose_um")
    for name in DOSES:
        counts, wells = f"{name}-counts.csv.gz", f"{name}-wells.csv"
        declared[f"{name}_counts"] = File(counts, readers.gene_matrix("gene"), datasets=(name,))
        declared[f"{name}_wells"] = File(wells, readers.csv, columns=columns, datasets=(name,))
    return declared


SOURCE = Source(
    key="screens",
    title="Four simulated screens with planted agreement",
    assay=Assay("simulated", "counts"),
    datasets={
        name: Dataset(release="simulated", license="MIT", citation="simulated", is_redistributable=True)
        for name in DOSES
    },
    files=_files(),
    blocks=blocks,
    samples=SampleColumns(
        sample=col("sample"),
        plate=col("plate"),
        compound=col("compound"),
        dose=col("dose_um", unit="uM"),
        time=const(24),
        context=col("cells"),
        vehicle=f"compound == '{VEHICLE}'",
    ),
    features=Features("gene_id"),
    compounds=CompoundColumns("compounds", "compound", name="compound", smiles="smiles", annotations={"moa": "moa"}),
    contexts={name: Context(CELLOSAURUS[name], name) for name in CELLS},
)
