"""L1000, LINCS phases 1 and 2: 978 landmark genes in cell lines under 20,000 compounds, bead assay, log2 intensities.

Level 3 (quantile-normalised) of GSE92742 and GSE70138. Wells of compounds, vehicle, positive controls and untreated
cells load; of them only compounds and DMSO are conditions. Genetic perturbagens, ligands and vectors are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pbdb import readers
from pbdb.common.errors import SourceError
from pbdb.readers import plain
from pbdb.readers.gctx import Gctx
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

GEO = "https://ftp.ncbi.nlm.nih.gov/geo/series/"
PORTAL = "https://lincsportal.ccs.miami.edu/dcic/api/download?path=LINCS_Data/Metadata/Small_Molecules/2020_06_16&file="
PHASES = {
    "l1000_phase1": ("GSE92742", "inst_info", "pert_info", "Level3_INF_mlr12k_n1319138x12328"),
    "l1000_phase2": ("GSE70138", "inst_info_2017-03-06", "pert_info", "Level3_INF_mlr12k_n345976x12328_2017-03-06"),
}
DATES = {"l1000_phase1": {}, "l1000_phase2": {"cell_info": "_2017-04-28", "gene_info": "_2017-03-06"}}
LOADED = ("trt_cp", "ctl_vehicle", "trt_poscon", "ctl_untrt")
MISSING = ("-666", "-666.0", "-666.000000", "restricted", "nan", "")
NON_MOLAR = ("%", "ng", "ng/ml", "ng/ul", "ug", "ug/ml", "mg/ml", "ul", "ml", "u/ml")
"""Units of an amount no concentration follows from: such a dose is null, and its condition has no effect."""
WELL_COLUMNS = (
    "inst_id", "cell_id", "pert_id", "pert_iname", "pert_type", "pert_dose", "pert_dose_unit", "pert_time",
    "pert_time_unit",
)  # fmt: skip
FORMER_NAMES = {  # columns of plates made before the release of 2017
    "exp_pert_dose": "pert_dose", "exp_pert_dose_unit": "pert_dose_unit", "exp_pert_time": "pert_time",
    "exp_pert_time_unit": "pert_time_unit", "pert_desc": "pert_iname", "distil_id": "inst_id", "cid": "inst_id",
}  # fmt: skip
ALIASES = {"BRD-U19872303": 5702243, "GNF2": 5311510, "CMAP-ERG-AZD2281": 23725625}

# --- wells ---------------------------------------------------------------------------------------------------


def blocks(files: Files, dataset: str) -> Iterator[ProfileBlock]:
    """Landmarks of the wells that load, in the order of the matrix."""
    matrix: Gctx = files[f"{dataset}_level3"]
    wells = _in_order(_wells(files, dataset), matrix.column_ids)
    if "det_plate" not in wells or dataset == "l1000_phase1":  # whose ids begin with it
        wells["det_plate"] = wells["inst_id"].str.partition(":")[0]
    loaded = wells["pert_type"].isin(LOADED).to_numpy()
    passed_over = wells.loc[~loaded, "pert_type"].fillna("none").value_counts()
    left_out = {str(kind): int(n) for kind, n in passed_over.items()}
    wells["is_alone"] = _alone(wells, loaded)
    landmarks = _landmarks(files[f"{dataset}_gene_info"], matrix)
    for part in matrix.blocks(list(landmarks.values()), list(matrix.column_ids[loaded])):
        described = wells.iloc[part.columns].reset_index(drop=True)
        yield ProfileBlock(described, part.values, np.array(list(landmarks), dtype=object), left_out)
        left_out = {}


def _wells(files: Files, dataset: str) -> pd.DataFrame:
    """Table inst_info with one spelling of column names and codes, and what is missing null."""
    wells = _table(files[f"{dataset}_inst_info"]).rename(columns=FORMER_NAMES)
    lacking = [name for name in WELL_COLUMNS if name not in wells]
    if lacking:
        raise SourceError(
            f"The table inst_info of {dataset} has no column '{lacking[0]}': get the table of GEO.",
            column=lacking[0],
            dataset=dataset,
        )
    for name in ("pert_type", "pert_dose_unit", "pert_time_unit"):
        wells[name] = wells[name].str.lower()
    wells["well"] = wells["rna_well"] if "rna_well" in wells else wells["det_well"]
    is_vehicle = (wells["pert_type"] == "ctl_vehicle") & (wells["pert_iname"].str.upper() == "DMSO")
    compound = wells["pert_id"].mask(is_vehicle, "DMSO").mask(wells["pert_type"] == "ctl_untrt")
    # A compound at 0 was given at less than half of the last decimal written: at what dose is not known.
    is_unknown = ~is_vehicle & (pd.to_numeric(wells["pert_dose"], errors="coerce") == 0)
    dose = wells["pert_dose"].mask(is_unknown)
    return wells.assign(is_vehicle=is_vehicle, compound=compound, pert_dose=dose)


def _table(raw: pd.DataFrame) -> pd.DataFrame:
    """A table of the release: column names in lower case with underscores, sentinels null."""
    names = raw.columns.str.lower().str.replace(r"[ -]", "_", regex=True)
    return raw.set_axis(names, axis=1).replace(list(MISSING), None)


def _in_order(wells: pd.DataFrame, ids: np.ndarray[Any, Any]) -> pd.DataFrame:
    """The wells as the columns of the matrix have them; ids that differ in case only are the same."""
    spelled = {str(name).lower(): str(name) for name in ids}
    as_spelled = wells["inst_id"].where(wells["inst_id"].isin(ids), wells["inst_id"].str.lower().map(spelled))
    wells["inst_id"] = as_spelled.fillna(wells["inst_id"])
    return readers.aligned(wells, "inst_id", ids, "inst_info", "the matrix")


def _alone(wells: pd.DataFrame, loaded: np.ndarray[Any, Any]) -> pd.Series[bool]:
    """Wells of cells that have compounds but no vehicle, or the reverse."""
    by_cell = wells["cell_id"]
    with_vehicle = set(by_cell[wells["is_vehicle"]])
    with_compound = set(by_cell[wells["pert_type"] == "trt_cp"])
    return pd.Series(loaded & ~by_cell.isin(with_vehicle & with_compound), index=wells.index)


def _landmarks(genes: pd.DataFrame, matrix: Gctx) -> dict[str, str]:
    """Entrez ids of the landmark genes, each with the id of its row in the matrix."""
    rows = matrix.rows()
    entrez = pd.to_numeric(rows["pr_gene_id"]).astype(int).astype(str) if "pr_gene_id" in rows else rows.index
    row_ids = dict(zip(entrez, rows.index, strict=True))
    return {gene: row_ids.get(gene, gene) for gene in genes.loc[genes["pr_is_lm"] == "1", "pr_gene_id"]}


# --- compounds -----------------------------------------------------------------------------------------------


def compounds(files: Files) -> pd.DataFrame:
    """Everything that is told of a pert_id: GEO phase 1, then phase 2, then the portal, then inst_info.

    What is missing or restricted in one is filled from the next.
    """
    tables = [_table(files[f"{phase}_pert_info"]) for phase in PHASES]
    tables += [_portal(files), _seen(files)]
    both = pd.concat([table.reindex(columns=_COMPOUND_COLUMNS) for table in tables], ignore_index=True)
    both = both[both["pert_id"].notna()]
    first: pd.DataFrame = both.groupby("pert_id", sort=True, as_index=False).first()
    first.loc[first["pert_id"] == "DMSO", "canonical_smiles"] = "CS(C)=O"
    return first


_COMPOUND_COLUMNS = ["pert_id", "pert_iname", "canonical_smiles", "inchi_key", "pubchem_cid"]
_FROM_PORTAL = {
    "sm_center_canonical_id": "pert_id", "sm_name": "pert_iname", "sm_smiles_parent": "canonical_smiles",
    "sm_inchi_key_parent": "inchi_key", "sm_pubchem_cid": "pubchem_cid",
}  # fmt: skip


def _portal(files: Files) -> pd.DataFrame:
    """The portal's compounds by pert_id; they know structures that GEO's tables withhold."""
    if "portal_samples" not in files:
        return pd.DataFrame(columns=_COMPOUND_COLUMNS)
    table = _table(files["portal_samples"])[["sm_center_canonical_id", "sm_lincs_id"]].dropna().drop_duplicates()
    for name in ("portal_annotations", "portal_structures"):
        portal = _table(files[name]).drop_duplicates("sm_lincs_id")
        new = [column for column in portal.columns if column not in table or column == "sm_lincs_id"]
        table = table.merge(portal[new], on="sm_lincs_id", how="left")
    return table.rename(columns=_FROM_PORTAL)


def _seen(files: Files) -> pd.DataFrame:
    """Ids and names of the wells, and DMSO, which stands for whatever the wells call it."""
    tables = [_wells(files, phase) for phase in PHASES if f"{phase}_inst_info" in files]
    seen = [table[["pert_id", "pert_iname"]].drop_duplicates() for table in tables]
    return pd.concat([*seen, pd.DataFrame({"pert_id": ["DMSO"], "pert_iname": ["DMSO"]})])


# --- cells ---------------------------------------------------------------------------------------------------

# Cellosaurus accessions (without CVCL_) by cell_id; cells that are not here keep their own name.
_ACCESSIONS = """
    A375:0132 A549:0023 A673:0080 AGS:0139 ASC:U602 BT20:0178 CL34:1980 CORL23:1139 COV644:2425 DV90:1184 EFO27:1192
    FIBRNPC:UK07 H1299:0060 HA1E:VU89 HCC15:2057 HCC515:5136 HCT116:0291 HEC108:2923 HEK293T:0063 HEKTE:WS59 HELA:0030
    HEPG2:0027 HL60:0002 HME1:3383 HS27A:3719 HS578T:0332 HT115:2520 HT29:0320 HUES3:B161 HUH7:0336 HUVEC:2959
    JHUEM2:4656 JURKAT:0065 LNCAP:0395 LOVO:0399 MCF10A:0598 MCF7:0031 MDAMB231:0062 MDST8:2588 NCIH1694:1489
    NCIH1836:1498 NCIH2073:1521 NCIH508:1564 NCIH596:1571 NCIH716:1581 NOMO1:1609 OV7:2675 PC3:0035 PL21:2161 RKO:0504
    RMGI:1662 RMUGS:3158 SHSY5Y:0019 SKBR3:0033 SKLU1:0629 SKM1:0098 SKMEL1:0068 SKMEL28:0526 SNGM:1707 SNU1040:5003
    SNUC4:5111 SNUC5:5112 SW480:0546 SW620:0547 SW948:0632 T3M10:8067 THP1:0006 TYKNU:1776 U266:0566 U2OS:0042
    U937:0007 VCAP:2235 WSUDLCL2:1902 YAPC:1794
"""
ACCESSIONS = dict(pair.split(":") for pair in _ACCESSIONS.split())
CELL_COLUMNS = (
    "cell_id", "cell_type", "base_cell_id", "sample_type", "primary_site", "subtype", "donor_age", "donor_sex",
    "donor_ethnicity",
)  # fmt: skip
KINDS = {"cell line": "cell_line", "primary": "primary_cell"}


def cells(files: Files) -> Mapping[str, Context]:
    """The cells of table cell_info by cell_id."""
    table = pd.concat([_table(files[key]) for phase in PHASES if (key := f"{phase}_cell_info") in files])
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return {str(row["cell_id"]): _cells({str(name): value for name, value in row.items()}) for row in rows}


def _cells(row: Mapping[str, Any]) -> Context:
    cell_id, base = row["cell_id"], row["base_cell_id"]
    is_known = cell_id in ACCESSIONS
    age = pd.to_numeric(row["donor_age"]) if row["donor_age"] is not None else 0
    return Context(
        _context(cell_id),
        cell_id,
        kind="cell_line" if is_known else KINDS.get(row["cell_type"], "unknown"),  # type: ignore[arg-type]
        tissue=row["primary_site"],
        disease=_disease(row["sample_type"], row["subtype"]),
        sex={"M": "male", "F": "female"}.get(row["donor_sex"]),
        development_stage=f"{int(age)}-year-old stage" if age > 0 else None,
        ethnicity=row["donor_ethnicity"],
        parent_context=_context(base) if base not in (None, cell_id) else None,
    )


def _context(cell_id: str) -> str:
    return f"CVCL:{ACCESSIONS[cell_id]}" if cell_id in ACCESSIONS else f"l1000:{cell_id}"


def _disease(sample_type: str | None, subtype: str | None) -> str | None:
    return "normal" if sample_type in ("primary", "normal") and subtype != "carcinoma" else subtype


# --- the declaration -----------------------------------------------------------------------------------------


def _files() -> dict[str, File]:
    declared = {}
    for dataset, (series, inst_info, pert_info, level3) in PHASES.items():
        folder = f"{GEO}{series[:5]}nnn/{series}/suppl/"
        dated = DATES[dataset]
        of_dataset = {
            "level3": (f"{level3}.gctx.gz", Gctx, ()),
            "inst_info": (f"{inst_info}.txt.gz", plain.tsv(), ()),
            "cell_info": (f"cell_info{dated.get('cell_info', '')}.txt.gz", plain.tsv(), CELL_COLUMNS),
            "gene_info": (f"gene_info{dated.get('gene_info', '')}.txt.gz", plain.tsv(), ("pr_gene_id", "pr_is_lm")),
        }
        for key, (name, read, columns) in of_dataset.items():
            full = f"{series}_Broad_LINCS_{name}"
            declared[f"{dataset}_{key}"] = File(
                full, read, folder + full, columns=columns, others_allowed=True, datasets=(dataset,),
                unpack=key == "level3",
            )  # fmt: skip
        full = f"{series}_Broad_LINCS_{pert_info}.txt.gz"
        columns = ("pert_id", "pert_iname", "inchi_key", "canonical_smiles")
        declared[f"{dataset}_pert_info"] = File(full, plain.tsv(), folder + full, columns=columns, others_allowed=True)
    return declared | _portal_files()


def _portal_files() -> dict[str, File]:
    names = {
        "portal_samples": "SampleTable_LincsID2FacilityID2CenterBatchID_LINCS_StandardizedCmpds_LSMIDs.txt",
        "portal_annotations": "CompoundTable_ExternalAnnotations_LSMIDs.txt",
        "portal_structures": "CompoundTable_LINCS_StandardizedCmpds_LSMIDs.txt",
    }
    return {
        key: File(name, plain.tsv("latin-1"), PORTAL + name, others_allowed=True, optional=True, set="portal")
        for key, name in names.items()
    }


def _dataset(series: str) -> Dataset:
    return Dataset(
        release=series,
        license="public GEO record without stated restriction",
        citation="Subramanian et al. 2017, Cell 171:1437-1452",
        doi="10.1016/j.cell.2017.10.049",
        is_redistributable=True,
    )


SOURCE = Source(
    key="l1000",
    title="LINCS L1000 profiles of compounds",
    homepage="https://clue.io",
    assay=Assay("L1000", "log2_intensity"),
    datasets={dataset: _dataset(series) for dataset, (series, *_) in PHASES.items()},
    files=_files(),
    blocks=blocks,
    samples=SampleColumns(
        sample=col("inst_id"),
        plate=col("det_plate"),
        well=col("well"),
        compound=col("compound"),
        dose=col("pert_dose", unit_column="pert_dose_unit"),
        time=col("pert_time", unit_column="pert_time_unit"),
        context=col("cell_id"),
        vehicle="is_vehicle",
        non_molar_units=NON_MOLAR,
    ),
    features=Features("entrez"),
    contexts={
        "SNUC4": Context(
            "CVCL:5111",
            "SNUC4",
            tissue="large intestine",
            disease="colon adenocarcinoma",
            sex="male",
            development_stage="35-year-old stage",
            ethnicity="Korean",
        )
    },
    contexts_of=cells,
    compounds=CompoundColumns(
        table=compounds,
        key="pert_id",
        name="pert_iname",
        smiles="canonical_smiles",
        inchikey="inchi_key",
        pubchem_cid="pubchem_cid",
    ),
    flags=(
        Flag("positive_control", "pert_type == 'trt_poscon'", has_condition=False),
        Flag("untreated", "pert_type == 'ctl_untrt'", has_condition=False),
        Flag("other_vehicle", "pert_type == 'ctl_vehicle' and not is_vehicle", has_condition=False),
        Flag("cells_without_pair", "is_alone", has_condition=False),
    ),
    aliases=ALIASES,
    condition_by="compound",
    dose_decimals=4,
)
