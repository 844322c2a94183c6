"""Ginkgo Datapoints GDPx2: four primary cell types, six doses at three levels of DMSO, DRUG-seq on 384-well plates.

Each level of DMSO has vehicle wells of its own and is a stratum: a compound's six doses stand in three fits of a cell
type, two in each, and no effect compares wells of different levels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from pbdb import readers
from pbdb.common.errors import DataError
from pbdb.readers.annotated import Annotated, ordered
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

VEHICLE = "Ginkgo Neg Control - DMSO"
POSITIVE = "Ginkgo Pos Control"
QUANTITY = r"\s*(?P<number>[0-9.eE+-]+)\s*(?P<unit>[^0-9\s]\S*)?\s*"
OBS_COLUMNS = (
    "container_id", "row_id", "column_id", "pert_name", "pert_dose", "pert_time", "percent_volume_dmso", "sample_type",
    "compound", "cell_type",
)  # fmt: skip


def blocks(files: Files, dataset: str) -> Iterator[ProfileBlock]:
    """Profiles in the order of the matrix, described by the curated table, which stands for the embedded one."""
    matrix: Annotated = files["matrix"]
    listed = files["samples"]
    wells = described(ordered(listed, matrix.obs.index, "obs.parquet", "X.h5ad"))
    left_out = {"without_counts": len(listed) - len(wells)} if len(listed) > len(wells) else {}
    features = feature_names(ordered(files["genes"], matrix.var.index, "var.parquet", "X.h5ad"))
    for some, counts in matrix.blocks():
        yield ProfileBlock(wells.iloc[some].reset_index(drop=True), counts, features, left_out)
        left_out = {}


def described(obs: pd.DataFrame) -> pd.DataFrame:
    """Wells with dose, time and stratum taken from their texts; a well that is fitted must have a level of DMSO."""
    wells = obs.rename_axis("sample").reset_index()
    dose = _quantity(wells["pert_dose"])
    time = _quantity(wells["pert_time"])
    wells = wells.assign(
        plate=wells["container_id"].astype("string").str.replace(" ", "").str.replace("-", "_"),
        well="row" + wells["row_id"].astype(str) + "_col" + wells["column_id"].astype(str),
        dose=dose["number"],
        dose_unit=dose["unit"],
        time=time["number"],
        time_unit=time["unit"],
        stratum=pd.Series([_percent(value) for value in wells["percent_volume_dmso"]], dtype=object),
        is_vehicle=wells["sample_type"] == VEHICLE,
        is_positive=wells["sample_type"].astype(str).str.startswith(POSITIVE),
    )
    lacking = wells[wells["stratum"].isna() & ~wells["is_positive"]]
    if len(lacking):
        raise DataError(
            f"The sample '{lacking['sample'].iloc[0]}' of 'obs.parquet' has no percent_volume_dmso ({len(lacking)} "
            "such): without it no vehicle is its own; get the whole table.",
            file="obs.parquet",
            column="percent_volume_dmso",
            value=lacking["sample"].iloc[0],
        )
    return wells


def _quantity(texts: pd.Series[Any]) -> pd.DataFrame:
    """Number and unit of each text; a missing one has neither, and one that is no quantity stays, to be refused."""
    strings = texts.astype("string")
    parts = strings.str.extract(rf"^{QUANTITY}$")
    return parts.assign(number=parts["number"].fillna(strings))


def _percent(value: Any) -> str | None:
    return None if pd.isna(value) else f"{float(value):g}"


def feature_names(var: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Ensembl ids; a gene without one, and the second of two with the same, is called by its symbol."""
    gene_id = var["ensembl_gene_id"].astype(object).where(var["ensembl_gene_id"].notna(), None)
    is_named = gene_id.notna() & (gene_id != "") & ~gene_id.duplicated()
    symbol = var["symbol"].astype(object).where(var["symbol"].notna(), pd.Series(var.index, var.index))
    return gene_id.where(is_named, symbol).astype(str).to_numpy(dtype=object)


def compounds(files: Files) -> pd.DataFrame:
    """The compound table by UUID, with the names of the sample table; controls stand in it as the others do."""
    table: pd.DataFrame = files["compounds"].drop_duplicates()
    seen = files["samples"][["compound", "pert_name"]].dropna().astype(str).drop_duplicates("compound")
    named: pd.DataFrame = table[["compound"]].merge(seen, on="compound", how="outer")
    named["smiles"] = named["compound"].map(_first(table, ("canonical_smiles", "smiles")))
    named["inchikey"] = named["compound"].map(_first(table, ("inchi_key", "inchikey")))
    return named


def _first(table: pd.DataFrame, names: tuple[str, ...]) -> dict[str, str]:
    """Values by compound of the first of these columns that the table has, whatever their capitals."""
    columns = {str(name).lower(): str(name) for name in table}
    column = next((columns[name] for name in names if name in columns), None)
    return {} if column is None else dict(zip(table["compound"], table[column], strict=True))


def _cells(context: str, name: str, tissue: str, sex: str, stage: str | None, ethnicity: str | None) -> Context:
    return Context(
        context, name, "primary_cell", tissue, "normal", sex, development_stage=stage, ethnicity=ethnicity
    )  # fmt: skip


SOURCE = Source(
    key="gdpx2",
    title="Ginkgo Datapoints GDPx2: DRUG-seq of primary human cells",
    homepage="https://datapoints.ginkgo.bio",
    assay=Assay("DRUG-seq", "counts"),
    datasets={
        "gdpx2": Dataset(
            release="2026-02-09",
            license="terms of Ginkgo Datapoints GDPx2, to be accepted: neither data nor results may be passed on",
            citation="Ginkgo Datapoints GDPx2, bioRxiv 2025.06.03.657593",
            doi="10.1101/2025.06.03.657593",
            access="gated",
            get="accept the conditions of GDPx2 at datapoints.ginkgo.bio, then save the four artifacts "
            "'ginkgo-datapoints/vcpi/X.h5ad', '.../obs.parquet', '.../var.parquet' and "
            "'.../compounds-GDPx2-2026-02-09.csv' of the Lamin instance 'laminlabs/pertdata' under their names "
            "(in spite of the folder's name they are not the VCPI releases)",
        )
    },
    files={
        "matrix": File("X.h5ad", Annotated),
        "samples": File("obs.parquet", readers.parquet, columns=OBS_COLUMNS, others_allowed=True),
        "genes": File("var.parquet", readers.parquet, columns=("ensembl_gene_id", "symbol"), others_allowed=True),
        "compounds": File("compounds-GDPx2-2026-02-09.csv", readers.csv, columns=("compound",), others_allowed=True),
    },
    blocks=blocks,
    samples=SampleColumns(
        sample=col("sample"),
        plate=col("plate"),
        well=col("well"),
        compound=col("compound"),
        dose=col("dose", unit_column="dose_unit"),
        time=col("time", unit_column="time_unit"),
        context=col("cell_type"),
        stratum=col("stratum"),
        vehicle="is_vehicle",
        attributes=("pert_name", "sample_type", "percent_volume_dmso"),
        non_molar_units=("%",),
    ),
    features=Features("gene_id"),
    contexts={
        "aortic smooth muscle cell": _cells(
            "CL:0002539", "aortic smooth muscle cell", "aorta", "male", "27-year-old stage", None
        ),
        "epithelial melanocyte": _cells(
            "CL:0002484", "epithelial melanocyte", "skin", "male", "0-year-old stage", None
        ),
        "fibroblast of dermis": _cells(
            "CL:0002551", "fibroblast of dermis", "skin", "female", "45-year-old stage", None
        ),
        "skeletal muscle myoblast": _cells(
            "CL:0000515", "skeletal muscle myoblast", "skeletal muscle", "male", None, "Caucasian"
        ),
    },
    compounds=CompoundColumns(table=compounds, key="compound", name="pert_name", smiles="smiles", inchikey="inchikey"),
    flags=(
        Flag("zero_library", "n_counts == 0"),
        Flag("positive_control", "is_positive", has_condition=False),
    ),
)
