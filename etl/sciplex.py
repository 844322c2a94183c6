"""Sci-Plex3: nuclei of three cancer cell lines under 187 compounds at four doses, by combinatorial indexing.

Two files hold the same nuclei: the curated re-release with its tables of cells and genes, and the one of scPerturb on
Zenodo, whose genes are those of human and mouse together. Nuclei are pooled by plate, well, compound and line; nearly
one in twenty has no well and is dropped. Names of compounds are their first words only: what a name stands for is
told by the supplement of the paper where it lies beside the files, then by the aliases here, then by the name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd

from pbdb import readers
from pbdb.common.errors import DataError
from pbdb.source import (
    Assay,
    CellFilter,
    CompoundColumns,
    Context,
    Dataset,
    Features,
    File,
    Files,
    ProfileBlock,
    Pseudobulk,
    SampleColumns,
    Source,
    col,
)

ZENODO = "https://zenodo.org/records/13350497/files/"
KEYS = ("plate", "well", "pert_compound", "cell_line")
FILTER = CellFilter(n_counts="ncounts")
VEHICLE = "DMSO"
CONTROL = "control"
OWN_COLUMNS = ("perturbation", "dose_value", "dose_unit")
"""Columns of Zenodo's file that the curated table has in another form."""
DOSE = r"^\s*(?P<dose>[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*(?P<unit>\D*?)\s*$"
# CIDs of cut names; they go before a look-up of the name, whose first hit may be another substance.
ALIASES = {
    "ZM": 9914412, "Tubastatin": 57336514, "GSK": 56963315, "Anacardic": 167551, "Tie2": 23625762,
    "Glesatinib?(MGCD265)": 24901704,
}  # fmt: skip


def blocks(files: Files, dataset: str) -> Iterator[ProfileBlock]:
    """Blocks of pooled nuclei, of the curated release where it is there, else of Zenodo's."""
    for block in files[files.sets()[0]]:
        yield replace(block, samples=describe(block.samples))


def describe(samples: pd.DataFrame) -> pd.DataFrame:
    """Samples with the vehicle by its name, and the dose, which is text such as 10.0nM, as number and unit."""
    is_vehicle = samples["pert_compound"] == CONTROL
    written = samples["pert_dose"].astype(object).where(~is_vehicle, None)
    parts = written.astype("string").str.extract(DOSE).astype(object)
    unread = written.notna() & parts["dose"].isna()
    if unread.any():
        raise DataError(
            f"Source 'sciplex': the dose '{written[unread].iloc[0]}' is no number with a unit.",
            value=written[unread].iloc[0],
        )
    compound = samples["pert_compound"].mask(is_vehicle, VEHICLE)
    return samples.assign(compound=compound, dose=parts["dose"], unit=parts["unit"], is_vehicle=is_vehicle)


# --- Zenodo's file -------------------------------------------------------------------------------------------


def as_curated(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells of Zenodo's file with the columns of the curated table: the dose and its unit as one text.

    Raises:
        DataError: a column is missing.
    """
    lacking = [name for name in OWN_COLUMNS if name not in cells]
    if lacking:
        raise DataError(
            f"Zenodo's file has no column '{lacking[0]}' of its cells: it is not the release described here.",
            column=lacking[0],
        )
    value, unit = cells["dose_value"], cells["dose_unit"].astype(object)
    spelled = value.map(lambda dose: f"{float(dose):g}", na_action="ignore").astype(object) + unit
    return cells.assign(pert_compound=cells["perturbation"], pert_dose=spelled)


def human_genes(files: Any, genes: pd.DataFrame) -> pd.DataFrame:
    """Genes of Zenodo's file, those of the mouse without a name: they are not pooled."""
    if "ensembl_id" not in genes:
        raise DataError(
            f"The genes of Zenodo's file have no column 'ensembl_id'; they have {list(genes.columns)}.",
            column="ensembl_id",
        )
    return _human(genes["ensembl_id"], genes.index)


def curated_genes(files: Any, genes: pd.DataFrame) -> pd.DataFrame:
    """Genes of the curated file, with the symbols of its gene table."""
    table: pd.DataFrame = files["genes"]
    table = table if "symbol" not in table.index.names else table.reset_index()
    if not genes.index.isin(table.index).any():
        raise DataError("No gene of the file is in its gene table: see whether both are of one release.")
    return _human(pd.Series(genes.index, index=genes.index), table["symbol"].reindex(genes.index))


def _human(ids: pd.Series, symbols: Any) -> pd.DataFrame:
    ids = ids.astype(object)
    is_human = ids.astype(str).str.startswith("ENSG").to_numpy(dtype=bool)
    return pd.DataFrame({"feature": ids.where(is_human, None).to_numpy(), "symbol": list(symbols)})


# --- compounds -----------------------------------------------------------------------------------------------

ANNOTATIONS = {"pathway": "pathway", "pert_target": "target"}


def compounds(files: Files) -> pd.DataFrame:
    """Compounds by the names the cells have; with structure and CAS number where the supplement tells them."""
    table = _named(files)
    table["first_word"] = table["compound"].map(_plain)
    structures = _supplement(files)
    return table.merge(structures, how="left", left_on="first_word", right_index=True)


def _named(files: Files) -> pd.DataFrame:
    """Every name, the vehicle among them, with what the cell table says of it."""
    import pyarrow.parquet as pq

    if "cells" in files:
        path = files.path("cells")
        wanted = [name for name in ("pert_compound", *ANNOTATIONS) if name in pq.read_schema(path).names]
        table = pd.read_parquet(path, columns=wanted).dropna(subset="pert_compound")
        table = table.astype(object).drop_duplicates("pert_compound").reset_index(drop=True)
    else:
        with readers.cell_matrix(files.path("zenodo")) as matrix:
            names = matrix.obs.column("perturbation").astype(object)
        table = pd.DataFrame({"pert_compound": names.dropna().unique()})
    table = table.reindex(columns=["pert_compound", *ANNOTATIONS]).rename(columns={"pert_compound": "compound"})
    return table.assign(compound=table["compound"].replace(CONTROL, VEHICLE))


def _supplement(files: Files) -> pd.DataFrame:
    """Structure and CAS number by the first word of the product's name; of two products with one word neither."""
    vehicle = pd.DataFrame({"smiles": "CS(C)=O", "cas": "67-68-5"}, index=[_plain(VEHICLE)])
    if "supplement" not in files:
        return vehicle
    structures = files["supplement"].dropna(subset="name").drop_duplicates("name")
    structures = structures.set_index(structures["name"].map(_plain))[["SMILES", "CAS.Number"]]
    structures = structures[~structures.index.duplicated(keep=False)].set_axis(["smiles", "cas"], axis=1)
    both: pd.DataFrame = pd.concat([structures.assign(smiles=structures["smiles"].str.split(" ").str[0]), vehicle])
    return both


def _plain(name: str) -> str:
    """First word of a name, letters and digits only: the names of cells were cut at the first space."""
    return "".join(letter for letter in name.split(maxsplit=1)[0].lower() if letter.isalnum() and letter.isascii())


SOURCE = Source(
    key="sciplex",
    title="Sci-Plex3: single nuclei of three cancer cell lines under 187 compounds",
    homepage="https://zenodo.org/records/13350497",
    assay=Assay("sci-Plex", "counts"),
    datasets={
        "sciplex": Dataset(
            release="scPerturb, Zenodo 13350497",
            license="CC BY 4.0",
            citation="Srivatsan et al. 2020, Science 367:45-51; Peidli et al. 2024, Nature Methods 21:531-540",
            doi="10.1126/science.aax6234",
            is_redistributable=True,
            min_cells=10,
            get="the curated release is in the Lamin instance laminlabs/pertdata below scperturb/ (an account is "
            "needed); the file of Zenodo 13350497 does as well and is fetched without --from",
        )
    },
    files={
        "curated": File(
            "srivatsan20_sciplex3.h5ad",
            readers.cell_matrix,
            set="curated",
            pseudobulk=Pseudobulk(
                KEYS, constants=("pert_dose", "time"), filter=FILTER, table="cells", genes=curated_genes
            ),
        ),
        "cells": File(
            "obs/srivatsan20_sciplex3.parquet",
            readers.parquet,
            columns=(*KEYS, "pert_dose", "time", "ncounts"),
            others_allowed=True,
            set="curated",
        ),
        "genes": File(
            "var/srivatsan20_sciplex3.parquet", readers.parquet, columns=("symbol",), others_allowed=True, set="curated"
        ),
        "zenodo": File(
            "SrivatsanTrapnell2020_sciplex3.h5ad",
            readers.cell_matrix,
            url=ZENODO + "SrivatsanTrapnell2020_sciplex3.h5ad",
            set="zenodo",
            pseudobulk=Pseudobulk(
                KEYS,
                constants=("pert_dose", "time"),
                filter=FILTER,
                columns=OWN_COLUMNS,
                derive=as_curated,
                genes=human_genes,
            ),
        ),
        "supplement": File(
            "Supplementary_Table_3.txt.gz",
            readers.tsv,
            columns=("name", "SMILES", "CAS.Number"),
            others_allowed=True,
            optional=True,
        ),
    },
    blocks=blocks,
    samples=SampleColumns(
        sample=col("sample"),
        plate=col("plate"),
        well=col("well"),
        compound=col("compound"),
        dose=col("dose", unit_column="unit"),
        time=col("time", unit="h"),
        context=col("cell_line"),
        vehicle="is_vehicle",
        n_cells=col("n_cells"),
        suspension_type="nucleus",
    ),
    features=Features("gene_id"),
    contexts={
        written: Context(context, name, tissue=tissue, disease=disease, sex=sex)
        for written, context, name, tissue, disease, sex in (
            ("A549", "CVCL:0023", "A549", "lung", "lung adenocarcinoma", "male"),
            ("K562", "CVCL:0004", "K-562", "blood", "chronic myeloid leukemia", "female"),
            ("K-562", "CVCL:0004", "K-562", "blood", "chronic myeloid leukemia", "female"),
            ("MCF7", "CVCL:0031", "MCF-7", "breast", "breast carcinoma", "female"),
        )
    },
    compounds=CompoundColumns(table=compounds, key="compound", smiles="smiles", cas="cas", annotations=ANNOTATIONS),
    aliases=ALIASES,
)
