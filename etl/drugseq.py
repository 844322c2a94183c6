"""Novartis DRUG-seq of the MoABox library: U-2 OS cells, 384-well plates, four doses, three replicate plates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from pbdb import readers
from pbdb.readers import rdata
from pbdb.source import (
    Assay,
    CompoundColumns,
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
)

ZENODO = "https://zenodo.org/records/14291446/files/"
GITHUB = "https://raw.githubusercontent.com/Novartis/DRUG-seq/main/data/Novartis_drugseq_U2OS_MoABox/"
WELL_TYPES = ("SA", "RC", "EMPTY")
# Wells of these compounds (homoharringtonine, BTdCPU and an unnamed one) are references, not part of the screen.
POSITIVE_CONTROLS = ["BD-11-DV28", "EA-18-FP00", "SE-15-AV21"]


def blocks(files: Files, dataset: str) -> Iterator[ProfileBlock]:
    """One block a plate: wells as the counts have them, described by the plate's annotation.

    Rows of the annotation are not in the order of the counts, and the order of the genes differs between plates.
    """
    robust = set(files["robust"]["external_biosample_id"])
    for plate in files["expression"]:
        readers.only(plate.annotation, "well_type", WELL_TYPES, "Annotation")
        wells = plate.annotation.assign(sample=_names(plate.annotation))
        wells = readers.aligned(
            wells, "sample", plate.wells, f"Annotation of {plate.plate}", f"UMI.counts of {plate.plate}"
        )
        wells = wells.assign(is_robust=wells["external_biosample_id"].isin(robust))
        yield ProfileBlock(wells, plate.counts, np.asarray(plate.genes, dtype=object))


def _names(annotation: pd.DataFrame) -> list[str]:
    """Names of the wells as the counts' columns have them: plate and well index."""
    if isinstance(annotation.index, pd.RangeIndex):
        return [
            f"{plate}_{well}" for plate, well in zip(annotation["plate_barcode"], annotation["well_index"], strict=True)
        ]
    return [str(name) for name in annotation.index]


def gene_annotation(path: Path) -> pd.DataFrame:
    """The one object of the annotation file that is needed: geneID and Ensembl id, release 98."""
    table: pd.DataFrame = rdata.objects(path, ["drugseq_ensg_v98"])["drugseq_ensg_v98"]
    return table


def probes(files: Files) -> pd.DataFrame:
    """Give the pairs of geneID (`SYMBOL,chromosome`) and Ensembl id, a row each, labelled by the symbol."""
    pairs: pd.DataFrame = files["genes"].rename(columns={"geneID": "probe", "ensembl_gene_id": "gene_id"})
    return pairs.assign(symbol=pairs["probe"].str.split(",").str[0])


SOURCE = Source(
    key="drugseq",
    title="Novartis DRUG-seq of the MoABox compound library",
    homepage="https://github.com/Novartis/DRUG-seq",
    assay=Assay("DRUG-seq", "counts"),
    datasets={
        "drugseq": Dataset(
            release="zenodo.14291446",
            license="MIT",
            citation="Novartis DRUG-seq U-2 OS MoABox data set, Zenodo 14291446; method: Ye et al. 2018, "
            "Nature Communications 9:4307",
            doi="10.5281/zenodo.14291446",
            is_redistributable=True,
        )
    },
    files={
        "expression": File("Exp_gzip.RData", rdata.plates, url=ZENODO + "Exp_gzip.RData"),
        "robust": File(
            "robust_RC_ReferenceControl_DMSO_wells.txt",
            readers.tsv,
            url=ZENODO + "robust_RC_ReferenceControl_DMSO_wells.txt",
            columns=("external_biosample_id",),
            others_allowed=True,
        ),
        "compounds": File(
            "MoABox_compounds_metadata.txt",
            readers.tsv,
            url=GITHUB + "MoABox_compounds_metadata.txt",
            columns=("cmpd_sample_id", "inchi_key", "smiles", "cas_number"),
            others_allowed=True,
        ),
        "genes": File(
            "drugseq_ensembl_v98_annotation_and_entrez_mapping.RData",
            gene_annotation,
            url=GITHUB + "drugseq_ensembl_v98_annotation_and_entrez_mapping.RData",
            columns=("geneID", "ensembl_gene_id"),
            others_allowed=True,
        ),
    },
    blocks=blocks,
    samples=SampleColumns(
        sample=col("sample"),
        plate=col("plate_barcode"),
        well=col("well_id"),
        compound=col("cmpd_sample_id"),
        dose=col("concentration", unit_column="unit"),
        time=col("hours_post_treatment", unit="h"),
        context=col("cell_line_name"),
        vehicle="well_type == 'RC'",
        attributes=("batch_id", "plate_replicate", "well_type", "external_biosample_id"),
    ),
    features=Features("probe", table=probes, drop_sharing=True),
    contexts={
        "U-2 OS": Context(
            "CVCL:0042",
            "U-2 OS",
            tissue="bone",
            disease="osteosarcoma",
            sex="female",
            development_stage="15-year-old stage",
            ethnicity="Caucasian",
        )
    },
    compounds=CompoundColumns(
        table="compounds",
        key="cmpd_sample_id",
        smiles="smiles",
        inchikey="inchi_key",
        cas="cas_number",
        annotations={"moa": "moa"},
        separator=";",
    ),
    flags=(
        Flag("zero_library", "n_counts == 0"),
        Flag("empty", "well_type == 'EMPTY'", has_condition=False),
        Flag("unreliable_vehicle", "well_type == 'RC' and not is_robust", has_condition=False),
        Flag("positive_control", f"cmpd_sample_id in {POSITIVE_CONTROLS}", has_condition=False),
    ),
)
