"""VCPI: THP-1 cells under thousands of compounds at six doses, DRUG-seq on 384-well plates, two releases.

The provider's client hands out three tables a release; saved as Parquet they are what is loaded here. Vehicle wells
are the controls named DMSO; other controls load as reference wells. A compound called by a number has no name.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pbdb import readers
from pbdb.common.errors import DataError
from pbdb.readers.wide import Wide, wide
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

RELEASES = {"vcpi_0001": ("vcpi-0001", "tvc-bhr-009"), "vcpi_0002": ("vcpi-0002", "tvc-kdl-010")}
SPIKE_IN = "ERCC-"
WELL_COLUMNS = (
    "sequenced_id", "container_id", "row_id", "column_id", "compound", "user_compound_id", "compound_concentration",
    "compound_concentration_unit", "timepoint", "cell_line", "is_control",
)  # fmt: skip


def blocks(files: Files, dataset: str) -> Iterator[ProfileBlock]:
    """Profiles of the wells that stand in both tables, in the order of the matrix; spike-ins are counted, not read."""
    matrix: Wide = files[f"{dataset}_data"]
    metadata = wells(files[f"{dataset}_metadata"])
    counted = set(matrix.samples)
    left_out = {
        "without_counts": int((~metadata["sequenced_id"].isin(counted)).sum()),
        "without_metadata": len(counted - set(metadata["sequenced_id"])),
    }
    described = metadata.set_index("sequenced_id", drop=False)
    wanted = [name for name in matrix.samples if name in described.index]
    is_gene = ~np.array([str(name).startswith(SPIKE_IN) for name in matrix.features])
    for part in matrix.blocks(wanted):
        some = described.loc[part.samples].reset_index(drop=True)
        some["n_of_genes"] = np.asarray(part.counts[:, is_gene].sum(axis=1)).ravel()
        yield ProfileBlock(some, part.counts, part.features, {reason: n for reason, n in left_out.items() if n})
        left_out = {}


def wells(metadata: pd.DataFrame) -> pd.DataFrame:
    """The sample table as text, each well once.

    Raises:
        DataError: a well stands there twice, differently.
    """
    text = _text(metadata).drop_duplicates()
    twice = text.loc[text["sequenced_id"].duplicated(), "sequenced_id"]
    if len(twice):
        raise DataError(
            f"The sample '{twice.iloc[0]}' stands twice in the metadata of VCPI, with different values.",
            value=twice.iloc[0],
        )
    is_placed = text["row_id"].notna() & text["column_id"].notna()
    is_control = text["is_control"].str.lower() == "true"
    return text.assign(
        plate=text["container_id"].str.replace(" ", "").str.replace("-", "_"),
        well=("row" + text["row_id"].fillna("") + "_col" + text["column_id"].fillna("")).where(is_placed, None),
        hours=text["timepoint"].str.extract(r"^\s*([0-9.]+)\s*h\s*$")[0],
        is_vehicle=is_control & (text["user_compound_id"] == "DMSO"),
        is_reference=is_control & (text["user_compound_id"] != "DMSO"),
    )


def _text(table: pd.DataFrame) -> pd.DataFrame:
    """Every column as text, with None for what is missing."""
    return table.astype(object).where(table.notna(), None).map(_written)


def _written(value: object) -> str | None:
    """A cell as text; a whole number without a point, which it has where other cells of its column are missing."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return None if value is None else str(value)


def compounds(files: Files) -> pd.DataFrame:
    """The chemistry of the release, and compounds of wells that it does not tell of; a number is no name."""
    dataset = next(key for key in RELEASES if f"{key}_chemistry" in files)
    chemistry = _text(files[f"{dataset}_chemistry"]).drop_duplicates()
    structure = next((name for name in ("canonical_smiles", "smiles") if name in chemistry), None)
    chemistry = chemistry.assign(smiles=chemistry[structure] if structure else None)
    seen = _text(files[f"{dataset}_metadata"])[["compound", "user_compound_id"]].dropna().drop_duplicates("compound")
    every = pd.concat([chemistry, seen[~seen["compound"].isin(chemistry["compound"])]], ignore_index=True)
    return every[["compound", "user_compound_id", "inchi_key", "smiles"]].drop_duplicates()


def _files() -> dict[str, File]:
    declared = {}
    for dataset, (release, _) in RELEASES.items():
        of_dataset = {
            "data": (wide("gene_id"), ()),
            "metadata": (readers.parquet, WELL_COLUMNS),
            "chemistry": (readers.parquet, ("compound", "user_compound_id", "inchi_key")),
        }
        for kind, (read, columns) in of_dataset.items():
            declared[f"{dataset}_{kind}"] = File(
                f"{release}_{kind}.parquet", read, columns=columns, others_allowed=True, datasets=(dataset,)
            )
    return declared


def _dataset(release: str, job: str) -> Dataset:
    return Dataset(
        release=f"{release} ({job})",
        license="CC-BY-4.0, as VCPI states for the release",
        citation="Virtual Cell Pharmacology Initiative, Ginkgo Bioworks, thevirtualcell.com",
        access="token",
        is_redistributable=True,
        token="TVC_TOKEN",
        get="make a free account at thevirtualcell.com and put the token of its dashboard into TVC_TOKEN; with the "
        f"client 'vcpi' (github.com/virtualcell-vcpi/vcpi-client) run exp = vcpi.load_experiment('{release}'), then "
        f"for each name of 'data', 'metadata' and 'chemistry' exp[name].write_parquet(f'{release}_{{name}}.parquet')",
    )


SOURCE = Source(
    key="vcpi",
    title="Virtual Cell Pharmacology Initiative: DRUG-seq of THP-1 cells",
    homepage="https://thevirtualcell.com",
    assay=Assay("DRUG-seq", "counts"),
    datasets={dataset: _dataset(*release) for dataset, release in RELEASES.items()},
    files=_files(),
    blocks=blocks,
    samples=SampleColumns(
        sample=col("sequenced_id"),
        plate=col("plate"),
        well=col("well"),
        compound=col("compound"),
        dose=col("compound_concentration", unit_column="compound_concentration_unit"),
        time=col("hours", unit="h"),
        context=col("cell_line"),
        vehicle="is_vehicle",
        attributes=("user_compound_id", "container_id"),
        non_molar_units=("%",),
    ),
    features=Features("gene_id"),
    contexts={
        "THP-1": Context(
            "CVCL:0006",
            "THP-1",
            tissue="peripheral blood",
            disease="childhood acute monocytic leukemia",
            sex="male",
            development_stage="1-year-old stage",
            ethnicity="Japanese",
        )
    },
    compounds=CompoundColumns(
        table=compounds, key="compound", name="user_compound_id", smiles="smiles", inchikey="inchi_key"
    ),
    flags=(
        Flag("zero_library", "n_of_genes == 0"),
        Flag("positive_control", "is_reference", has_condition=False),
    ),
)
