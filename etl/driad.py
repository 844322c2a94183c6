"""DRIAD: 3' digital gene expression of kinase and other inhibitors in human neuronal cultures, 384-well plates."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from pbdb import readers
from pbdb.source import (
    Assay,
    Context,
    Dataset,
    Features,
    File,
    Files,
    Flag,
    ProfileBlock,
    SampleColumns,
    Source,
    col,
    const,
)

BASE = "https://raw.githubusercontent.com/labsyspharm/DRIADrc/master/results/"
PLATES = ("DGE1", "DGE2")
VEHICLES = ("drug control", "dmso")
STIMULANTS = ("lps", "naked dsrna", "dsrna +lipo", "dsrnami", "lipo control", "chitosan")
# A drug given with a stimulant is written with its name in brackets at the end: "name (lipo)".
STIMULATED = r"\((?:lipo|dsrnami)\)\s*$"


def blocks(files: Files, dataset: str) -> Iterator[ProfileBlock]:
    """One block a plate; wells of the sheet and of the counts must be the same."""
    for plate in files.sets():
        wells = files[f"{plate}_meta"].assign(plate=plate)
        counts = files[f"{plate}_counts"]
        wells = readers.aligned(wells, "Well", counts.samples, f"{plate}-meta.csv", f"{plate}-counts.csv.gz")
        yield ProfileBlock(_describe(wells), counts.counts, counts.features)


def _describe(wells: pd.DataFrame) -> pd.DataFrame:
    drug = wells["Drug"].str.strip()
    is_vehicle = drug.str.lower().isin(VEHICLES)
    is_stimulated = drug.str.lower().isin(STIMULANTS) | drug.str.contains(STIMULATED, case=False)
    return wells.assign(
        sample=wells["plate"] + "_" + wells["Well"],
        compound=drug.mask(is_vehicle, "DMSO"),
        is_vehicle=is_vehicle,
        is_stimulated=is_stimulated,
    ).reset_index(drop=True)


def _files() -> dict[str, File]:
    declared = {}
    for plate in PLATES:
        counts, meta = f"{plate}-counts.csv.gz", f"{plate}-meta.csv"
        declared[f"{plate}_counts"] = File(counts, readers.gene_matrix("HUGO"), url=BASE + counts, set=plate)
        declared[f"{plate}_meta"] = File(
            meta, readers.csv, url=BASE + meta, columns=("Well", "Drug", "Concentration"), set=plate
        )
    return declared


SOURCE = Source(
    key="driad",
    title="DRIAD: 3' DGE of kinase inhibitors in human neuronal cultures",
    homepage="https://github.com/labsyspharm/DRIADrc",
    assay=Assay("3' DGE", "counts"),
    datasets={
        "driad": Dataset(
            release="GSE164788",
            license="MIT",
            citation="Rodriguez et al. 2021, Nature Communications 12:1033",
            doi="10.1038/s41467-021-21330-0",
            is_redistributable=True,
        )
    },
    files=_files(),
    blocks=blocks,
    samples=SampleColumns(
        sample=col("sample"),
        plate=col("plate"),
        well=col("Well"),
        compound=col("compound"),
        dose=col("Concentration", unit="uM"),
        time=const(24),
        context=const("ReNcell VM"),
        vehicle="is_vehicle",
        attributes=("Drug",),
    ),
    features=Features("symbol"),
    contexts={
        "ReNcell VM": Context(
            "CVCL:E921",
            "ReNcell VM",
            tissue="ventral mesencephalon",
            disease="normal",
            sex="male",
            development_stage="fetal stage",
        )
    },
    flags=(
        Flag("low_counts", "n_counts < 30000"),
        Flag("stimulated", "is_stimulated", has_condition=False),
    ),
)
