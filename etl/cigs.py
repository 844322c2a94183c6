"""CIGS: HEK293T and MDA-MB-231 cells under 11,000 bioactive compounds (MCE) and 1,850 natural products (TCM).

Targeted counts of some 3,400 genes, in spreadsheets. Ids of samples repeat over the files of TCM, so each is named with
its file. Blank wells and the reference compound JQ1 load with a flag; so do wells of plates that the authors exclude,
and wells of little depth, which is judged within a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pbdb.common.errors import DataError
from pbdb.readers import workbook
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

BASE = "https://cigs.iomicscloud.com/docs/cigs/"
SUPPLEMENT = "41592_2025_2781_MOESM3_ESM.xlsx"
SPRINGER = "https://static-content.springer.com/esm/art%3A10.1038%2Fs41592-025-02781-5/MediaObjects/"


@dataclass(frozen=True)
class Subset:
    """One pair of spreadsheets: counts and metadata; dose in uM of all its treated wells."""

    dataset: str
    name: str
    dose: int


SUBSETS = {
    "mce_hek293t_10uM": Subset("cigs_mce", "MCE_Bioactive_Compounds_HEK293T_10\u03bcM", 10),
    "mce_mda_mb_231_10uM": Subset("cigs_mce", "MCE_Bioactive_Compounds_MDA_MB_231_10\u03bcM", 10),
    "tcm_hek293t_10": Subset("cigs_tcm", "TCM_Compounds_HEK293T_10", 10),
    "tcm_hek293t_20": Subset("cigs_tcm", "TCM_Compounds_HEK293T_20", 20),
    "tcm_mda_mb_231_10": Subset("cigs_tcm", "TCM_Compounds_MDA_MB_231_10", 10),
    "tcm_mda_mb_231_20": Subset("cigs_tcm", "TCM_Compounds_MDA_MB_231_20", 20),
}
HOURS = 24
SHEETS = {  # how the heading of the counts begins, and the columns of the metadata
    "cigs_mce": (
        "Sample_id",
        ("unique_ID", "sample_plate", "sample_row", "sample_column", "cell_id", "pert_itime", "pert_idose",
         "treatment"),
    ),
    "cigs_tcm": ("Sample_unique_id", ("Sample_unique_id", "Treat", "Plate", "Cell", "Dose", "Time")),
}  # fmt: skip
EXCLUDED_PLATES = ("MCE4_293T_24H_X1", "MCE4_293T_24H_X2", "MCE4_293T_24H_X3")
BLANK, REFERENCE = ("BLANK", "RNA"), "JQ1"
MANGLED = {
    "2024-09-07 00:00:00": "SEPT7", "45542": "SEPT7", "X7.Sep": "SEPT7", "NKX2.1": "NKX2-1", "NKX3.1": "NKX3-1",
    **{f"HLA.{gene}": f"HLA-{gene}" for gene in ("A", "B", "C", "DMA", "DPA1", "DRA", "E")},
}  # fmt: skip
COMMON = {  # columns of both collections by the names of the second
    "unique_id": "sample_unique_id", "sample_plate": "plate", "cell_id": "cell", "pert_itime": "time",
    "pert_idose": "dose", "treatment": "treat",
}  # fmt: skip

# --- wells -----------------------------------------------------------------------------------------------------


def blocks(files: Files, dataset: str) -> Iterator[ProfileBlock]:
    """Profiles file by file, with the genes that all files have; one file at a time is held in memory."""
    subsets = [key for key, subset in SUBSETS.items() if subset.dataset == dataset]
    sheets = {key: files[f"{key}_counts"] for key in subsets}
    features = {key: [MANGLED.get(name, name) for name in sheet.features] for key, sheet in sheets.items()}
    common = set.intersection(*map(set, features.values()))
    for key in subsets:
        places = [at for at, name in enumerate(features[key]) if name in common]
        genes = np.array([features[key][at] for at in places], dtype=object)
        metadata = wells(key, files[f"{key}_metadata"])
        facts = {f"genes of {key} that another file lacks": len(features[key]) - len(places)}
        yield from _of_subset(key, metadata, sheets[key], places, genes, facts)


def _of_subset(
    key: str,
    metadata: pd.DataFrame,
    sheet: workbook.Sheet,
    places: Sequence[int],
    genes: np.ndarray[Any, Any],
    facts: Mapping[str, int],
) -> Iterator[ProfileBlock]:
    described = metadata.set_index("raw_id", drop=False)
    read: list[tuple[pd.DataFrame, np.ndarray[Any, Any]]] = []
    n_undescribed = 0
    for names, counts in sheet.blocks():
        is_told = np.array([name in described.index for name in names])
        n_undescribed += int((~is_told).sum())
        some = described.loc[[name for name, known in zip(names, is_told, strict=True) if known]]
        read.append((some.reset_index(drop=True), counts[is_told]))
    totals = [counts.sum(axis=1, dtype=np.int64) for _, counts in read]
    limit = _least_depth(pd.concat([some for some, _ in read]), np.concatenate(totals))
    left_out = {"without_counts": len(metadata) - sum(len(some) for some, _ in read), "without_metadata": n_undescribed}
    for (some, counts), total in zip(read, totals, strict=True):
        depth = np.log2(np.maximum(total, 1))
        yield ProfileBlock(
            some.assign(total=total, is_shallow=depth < limit),
            counts[:, places],
            genes,
            {reason: n for reason, n in left_out.items() if n},
            facts={**facts, f"least_log2_depth of {key}": round(float(limit), 4)},
        )
        left_out = {}


def _least_depth(wells: pd.DataFrame, totals: np.ndarray[Any, Any]) -> float:
    """The first quartile less 1.5 interquartile ranges of log2 total reads, over wells that are no blanks."""
    judged = totals[(totals > 0) & ~(wells["is_blank"] | wells["is_excluded"]).to_numpy()]
    if not len(judged):
        return 0.0
    first, third = np.quantile(np.log2(judged), (0.25, 0.75))
    return float(first - 1.5 * (third - first))


def wells(key: str, metadata: pd.DataFrame) -> pd.DataFrame:
    """The sample table of a file in the columns of both collections.

    Raises:
        DataError: a dose or time is not the one the file is for, or a sample stands twice.
    """
    table = metadata.rename(columns=str.lower).rename(columns=COMMON)
    twice = table.loc[table["sample_unique_id"].duplicated(), "sample_unique_id"]
    if len(twice):
        raise DataError(
            f"The sample '{twice.iloc[0]}' stands twice in the metadata of '{key}'.",
            column="raw_id",
            value=twice.iloc[0],
        )
    _check(key, table, "dose", SUBSETS[key].dose)
    _check(key, table, "time", HOURS)
    treat = table["treat"].str.replace(r"^Compd", "Cpd", regex=True)
    kind = treat.str.upper()
    is_mce = SUBSETS[key].dataset == "cigs_mce"
    return pd.DataFrame(
        {
            "raw_id": table["sample_unique_id"],
            "sample": key + "." + table["sample_unique_id"],
            "plate": table["plate"] if is_mce else key + "." + table["plate"],
            "well": _well_names(table) if is_mce else None,
            "cell": table["cell"],
            "treatment": table["treat"],
            "compound": treat.mask(kind == "DMSO", "DMSO").mask(kind == REFERENCE, REFERENCE).mask(kind.isin(BLANK)),
            "dose": SUBSETS[key].dose,
            "time": HOURS,
            "is_vehicle": kind == "DMSO",
            "is_blank": kind.isin(BLANK),
            "is_reference": kind == REFERENCE,
            "is_excluded": table["plate"].isin(EXCLUDED_PLATES),
            "library": table.get("library"),
        }
    )


def _well_names(table: pd.DataFrame) -> pd.Series[Any]:
    """Letter of the row (1 is A) and column: 4 and 10 are D10; none where either is missing."""
    row = pd.to_numeric(table["sample_row"], errors="coerce")
    known = row.between(1, 26) & ~table["sample_column"].isin([None, "-666"])
    letter = row.where(known, 1).astype(int).map(lambda number: chr(64 + number))
    return (letter + table["sample_column"].astype(str)).where(known, None)


def _check(key: str, table: pd.DataFrame, name: str, expected: int) -> None:
    numbers = pd.to_numeric(table[name].astype(str).str.extract(r"^\s*(-?[0-9.]+)")[0])
    wrong = table[numbers.notna() & (numbers != expected) & (numbers != -666)]
    if len(wrong):
        raise DataError(
            f"The sample '{wrong['sample_unique_id'].iloc[0]}' of '{key}' has the {name} '{wrong[name].iloc[0]}', but "
            f"the file is for {expected}: it is not the file it is called.",
            column=name,
            value=wrong[name].iloc[0],
        )


# --- compounds -------------------------------------------------------------------------------------------------


def compounds(files: Files) -> pd.DataFrame:
    """The compound table by catalogue number, and what the wells have beside it, which is called by its number."""
    table = files["tcm_compounds" if "tcm_compounds" in files else "mce_compounds"]
    table = table.assign(catalogue=table["catalogue"].str.replace(r"^Compd", "Cpd", regex=True))
    table = table.dropna(subset="catalogue").drop_duplicates("catalogue")
    seen: set[str] = set()
    for key in SUBSETS:
        if f"{key}_metadata" in files:
            seen |= set(wells(key, files[f"{key}_metadata"])["compound"].dropna())
    further = pd.DataFrame({"catalogue": sorted(seen - set(table["catalogue"]))})
    sheet: pd.DataFrame = pd.concat([table, further], ignore_index=True).reindex(columns=list(MCE_COLUMNS))
    return sheet


MCE_COLUMNS = ("name", "catalogue", "cas", "mechanism", "clinical_information", "approval")

# --- the declaration -------------------------------------------------------------------------------------------


def _files() -> dict[str, File]:
    declared = {}
    for key, subset in SUBSETS.items():
        heading, columns = SHEETS[subset.dataset]
        address = BASE + subset.name.replace("\u03bc", "%CE%BC")
        declared[f"{key}_counts"] = File(
            f"{subset.name}_Counts.xlsx", workbook.sheet(heading), f"{address}_Counts.xlsx", datasets=(subset.dataset,)
        )
        declared[f"{key}_metadata"] = File(
            f"{subset.name}_MetaData.xlsx",
            workbook.table(columns[0]),
            f"{address}_MetaData.xlsx",
            columns=columns,
            ignored=("experiment_no", "sample", "Library", "library"),
            others_allowed=True,
            datasets=(subset.dataset,),
        )
    for dataset, number, names in (("mce", 3, MCE_COLUMNS), ("tcm", 4, MCE_COLUMNS[:3])):
        read = workbook.table(sheet=f"Supplementary Table {number}", skip=1, columns=names)
        declared[f"{dataset}_compounds"] = File(SUPPLEMENT, read, SPRINGER + SUPPLEMENT, datasets=(f"cigs_{dataset}",))
    return declared


def _dataset(collection: str, technology: str) -> Dataset:
    return Dataset(
        release=f"{collection}, 2025",
        technology=technology,
        license="non-commercial research use only, as every file says; neither files nor results may be passed on",
        citation="CIGS, Nature Methods 2025, s41592-025-02781-5",
        doi="10.1038/s41592-025-02781-5",
        is_non_commercial=True,
        get="download the files of the portal cigs.iomicscloud.com and the paper's supplement 'MOESM3'",
    )


SOURCE = Source(
    key="cigs",
    title="CIGS: chemical-induced gene signatures of bioactive compounds and natural products",
    homepage="https://cigs.iomicscloud.com",
    assay=Assay("targeted counts", "counts"),
    datasets={"cigs_mce": _dataset("MCE", "HTS2"), "cigs_tcm": _dataset("TCM", "HiMAP-seq")},
    files=_files(),
    blocks=blocks,
    samples=SampleColumns(
        sample=col("sample"),
        plate=col("plate"),
        well=col("well"),
        compound=col("compound"),
        dose=col("dose", unit="uM"),
        time=col("time", unit="h"),
        context=col("cell"),
        vehicle="is_vehicle",
        attributes=("treatment", "library"),
    ),
    features=Features("symbol"),
    contexts={
        **dict.fromkeys(
            ("cell_293T", "293T", "293"),
            Context("CVCL:0063", "HEK293T", tissue="kidney", disease="normal", sex="female",
                  development_stage="fetal stage"),
        ),
        **dict.fromkeys(
            ("cell_MDA_MB_231", "cell_231", "MDA_MB_231", "231"),
            Context("CVCL:0062", "MDA-MB-231", tissue="breast", disease="breast adenocarcinoma", sex="female",
                  development_stage="51-year-old stage", ethnicity="Caucasian"),
        ),
    },
    compounds=CompoundColumns(
        table=compounds,
        key="catalogue",
        name="name",
        cas="cas",
        annotations={"mechanism": "moa", "clinical_information": "approval", "approval": "approval"},
    ),
    flags=(
        Flag("blank", "is_blank", has_condition=False),
        Flag("zero_library", "total == 0"),
        Flag("excluded_plate", "is_excluded"),
        Flag("low_depth", "is_shallow and not is_blank and not is_excluded and total > 0"),
        Flag("positive_control", "is_reference", has_condition=False),
    ),
    aliases={"Cpd0165": 24148538},
)  # fmt: skip
