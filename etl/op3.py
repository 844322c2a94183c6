"""OP3: immune cells of three donors under 144 compounds, pseudobulked single-cell RNA (NeurIPS 2023 competition).

The published file is already summed by well and cell type and holds 5,317 genes the authors chose: libraries are sums
over these. Donors stand on plates of their own, so the plate term of a fit takes up the donor.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pbdb import readers
from pbdb.common.errors import DataError
from pbdb.readers.tables import damaged, missing
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
    check_columns,
    col,
)

if TYPE_CHECKING:
    from anndata import AnnData

NAME = "pseudobulk_filtered_with_uns.h5ad"
BUCKET = "https://openproblems-data.s3.amazonaws.com/resources/task_perturbation_prediction/datasets/neurips-2023-data/"
VEHICLE = "Dimethyl Sulfoxide"
CONTROL = {"true": True, "1": True, "false": False, "0": False}
OF_DONOR = ("sex", "development_stage", "self_reported_ethnicity")
DONORS = {
    "Donor 1": ("female", "45-year-old stage", "White"),
    "Donor 2": ("male", "52-year-old stage", "White"),
    "Donor 3": ("male", "45-year-old stage", "White"),
}
# Symbols that no vocabulary has: names of clones, former names, and names the source marked as doubles with -1.
_ALIASES = """
    RPL9P9:293320 C18ORF21:141428 TTTY15:114374 LINC-PINT-1:231721 AC004687.1:265206 AC004865.2:239636
    AC005332.4:274712 AC008105.3:267121 AC008124.1:273015 AC008969.1:176593 AC010642.2:283103 AC012146.1:234327
    AC020656.1:257764 AC025164.1:245904 AC027644.3:272831 AC058791.1:273319 AC068587.4:283674 AC087190.1:260349
    AC093323.1:170846 AC100810.1:253982 AC114760.2:272211 AC116407.2:277511 AC127502.2:270055 AC243829.5:278097
    AC243960.1:268027 AC245060.5:274422 AC245297.3:274265 AL133342.1:278231 AL133453.1:258757 AL139246.5:272449
    AL662844.4:272501 FO393401.1:230155 MATR3-1:015479
"""
ALIASES = {symbol: f"ENSG00000{number}" for symbol, number in (pair.split(":") for pair in _ALIASES.split())}


def annotated(path: Path) -> AnnData:
    """Read the AnnData file."""
    import anndata

    if not path.is_file():
        raise missing(path)
    try:
        return anndata.read_h5ad(path)
    except (OSError, KeyError, ValueError) as problem:
        raise damaged(path, problem) from None


FILE = File(
    NAME,
    annotated,
    url=BUCKET + NAME,
    columns=(
        "plate_name", "well", "cell_type", "sm_name", "sm_lincs_id", "SMILES", "dose_uM", "timepoint_hr", "control",
        "library_id", "donor_id", "cell_count_by_well_celltype", "split",
    ),
    others_allowed=True,
)  # fmt: skip


def blocks(files: Files, dataset: str) -> Iterator[ProfileBlock]:
    """One block of all profiles: a row is a well's cells of one type."""
    import scipy.sparse as sp

    described, profiles = _describe(_rows(files)), files["pseudobulk"]
    yield ProfileBlock(described, sp.csr_matrix(profiles.X), np.asarray(profiles.var_names, dtype=object))


def _rows(files: Files) -> pd.DataFrame:
    """The table of profiles, as published, in text."""
    rows = readers.obs(files.path("pseudobulk"))
    check_columns(FILE, list(rows.columns))
    return rows


def _describe(rows: pd.DataFrame) -> pd.DataFrame:
    readers.only(rows, "donor_id", tuple(DONORS), NAME)
    plate, is_control = _cleaned(rows["plate_name"]), _is_control(rows["control"])
    is_dmso = rows["sm_name"] == VEHICLE
    if (is_dmso & ~is_control).any():
        raise DataError(
            f"'{NAME}' has '{VEHICLE}' with control False: it is the vehicle, and a control.",
            file=NAME,
            column="control",
            value=False,
        )
    return rows.assign(
        sample=plate + "_" + rows["well"] + "_" + rows["cell_type"].str.replace(" ", "_"),
        plate=plate,
        library=_cleaned(rows["library_id"]),
        is_vehicle=is_control & is_dmso,
        is_positive=is_control & ~is_dmso,
        **{name: [DONORS[donor][at] for donor in rows["donor_id"]] for at, name in enumerate(OF_DONOR)},
    )


def _is_control(control: pd.Series) -> pd.Series:
    """Truth values, which the file may hold as such or as text."""
    known = control.str.strip().str.lower().map(CONTROL)
    if known.isna().any():
        raise DataError(
            f"Column 'control' of '{NAME}' has the value '{control[known.isna()].iloc[0]}', not a truth.",
            file=NAME,
            column="control",
            value=control[known.isna()].iloc[0],
        )
    return known.astype(bool)


def _cleaned(names: pd.Series) -> pd.Series:
    """Names of plates and libraries without spaces, and with _ for -."""
    return names.str.replace(" ", "").str.replace("-", "_")


def compounds(files: Files) -> pd.DataFrame:
    """Name, structure and LINCS id of each compound; a structure missing in one row is taken from another."""
    structures = _rows(files)[["sm_name", "SMILES", "sm_lincs_id"]]
    several = structures.groupby("sm_name")["SMILES"].nunique()
    if (several > 1).any():
        raise DataError(
            f"'{NAME}' has several SMILES for '{several.idxmax()}': a compound has one structure.",
            file=NAME,
            column="SMILES",
            value=several.idxmax(),
        )
    return structures.groupby("sm_name", as_index=False).first()


SOURCE = Source(
    key="op3",
    title="OP3: perturbation of human immune cells, NeurIPS 2023",
    homepage="https://openproblems.bio/results/perturbation_prediction",
    assay=Assay("10x 3' v3.1", "counts"),
    datasets={
        "op3": Dataset(
            release="GSE279945",
            license="public GEO record without stated restriction; benchmark code MIT",
            citation="Szalata et al. 2024, NeurIPS Datasets and Benchmarks; GEO GSE279945",
            is_redistributable=True,
            min_cells=10,
        )
    },
    files={"pseudobulk": FILE},
    blocks=blocks,
    samples=SampleColumns(
        sample=col("sample"),
        plate=col("plate"),
        well=col("well"),
        compound=col("sm_name"),
        dose=col("dose_uM", unit="uM"),
        time=col("timepoint_hr", unit="h"),
        context=col("cell_type"),
        vehicle="is_vehicle",
        n_cells=col("cell_count_by_well_celltype"),
        attributes=("donor_id", *OF_DONOR, "library", "split"),
        condition_attributes=("split",),
    ),
    features=Features("symbol", aliases=ALIASES),
    contexts={
        source_name: Context(context, name, kind="primary_cell", tissue="blood", disease="normal")
        for source_name, context, name in (
            ("T cells", "CL:0000084", "T cell"),
            ("B cells", "CL:0000236", "B cell"),
            ("NK cells", "CL:0000623", "natural killer cell"),
            ("Myeloid cells", "CL:0000763", "myeloid cell"),
        )
    },
    compounds=CompoundColumns(table=compounds, key="sm_name", smiles="SMILES"),
    flags=(Flag("positive_control", "is_positive", has_condition=False),),
)
