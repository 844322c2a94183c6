"""Small L1000 releases of both phases in the published layout, with effects that are known because planted.

Their traps are those of the published files: codes in either case, doses that differ in the fifth decimal or come in
other units, ids spelled with other capitals, several ids of one structure, one name of two structures, structures
withheld by GEO and told by the portal, cells without a vehicle at one time or at all, and perturbagens that are no
compounds. `genes.tsv` beside the releases is the gene vocabulary they need.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from pbdb.readers import gctx
from pbdb.simulate import release
from pbdb.simulate.planted import Planted, inchikey, plant

TRUTH, VOCABULARY = release.TRUTH, release.VOCABULARY
SERIES = {"l1000_phase1": "GSE92742", "l1000_phase2": "GSE70138"}
LEVEL3 = {
    "l1000_phase1": "Level3_INF_mlr12k_n1319138x12328",
    "l1000_phase2": "Level3_INF_mlr12k_n345976x12328_2017-03-06",
}
TABLE_DATES = {
    "l1000_phase1": {},
    "l1000_phase2": {"inst_info": "_2017-03-06", "cell_info": "_2017-04-28", "gene_info": "_2017-03-06"},
}
PORTAL = (
    "SampleTable_LincsID2FacilityID2CenterBatchID_LINCS_StandardizedCmpds_LSMIDs.txt",
    "CompoundTable_ExternalAnnotations_LSMIDs.txt",
    "CompoundTable_LINCS_StandardizedCmpds_LSMIDs.txt",
)
DOSES = (0.12, 1.11, 10.0)
N_DRUGS, N_REPLICATES, N_VEHICLES, FIRST_ENTREZ = 10, 3, 8, 900_000_000
PLATES = {  # dataset: cells and hours of each set of replicate plates, and whether it has vehicle wells
    "l1000_phase1": (("A375", 24, True), ("A375", 6, True), ("NPC", 24, True), ("HEK293T", 24, True),
                     ("HEK293T", 48, False), ("MCH58", 144, False)),
    "l1000_phase2": (("A375", 24, True), ("NPC.TAK", 24, True)),
}  # fmt: skip
_CELLS = (
    ("A375", "cell line", "A375", "-666", "tumor", "skin", "malignant melanoma", "54", "F"),
    ("HEK293T", "cell line", "HEK293T", "immortalized normal", "normal", "kidney", "embryonal kidney", "-666", "-666"),
    ("MCH58", "cell line", "MCH58", "immortalized normal", "normal", "skin", "skin fibroblast", "-666", "M"),
    ("NPC", "differentiated", "NPC", "-666", "primary", "central nervous system", "-666", "-666", "-666"),
    ("NPC.TAK", "differentiated", "NPC", "-666", "primary", "central nervous system", "-666", "-666", "-666"),
)
_CELL_COLUMNS = (
    "cell_id", "cell_type", "base_cell_id", "modification", "sample_type", "primary_site", "subtype", "donor_age",
    "donor_sex",
)  # fmt: skip
TWIN, NAMESAKES, WITHHELD, BY_CID, UNTOLD = 0, (1, 2), 3, 4, 5
"""Drugs with a trap: with a second pert_id, of one name, of a structure only the portal tells, by CID, by nothing."""
_BY_CID = 23_725_625


@dataclass
class Truth:
    """What was planted.

    effects: compound, inchikey, dose_um, gene_symbol, gene_id, log2_fc; what is not listed does not respond. By
    dataset: wells by flag (`in_fit` without one), profiles left_out by kind, conditions (treated ones) by status,
    compounds: different ones among them.
    """

    effects: pd.DataFrame
    wells: dict[str, dict[str, int]] = field(default_factory=dict)
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    conditions: dict[str, dict[str, int]] = field(default_factory=dict)
    landmarks: int = 0


def write(folder: str | Path, *, landmarks: int = 560, inferred: int = 40, seed: int = 20170303) -> Truth:
    """Write both releases: matrices, tables, portal, gene vocabulary, truth.csv and SHA256SUMS; a seed fixes all."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    planted = plant(N_DRUGS, DOSES, landmarks + inferred + 200, rng)
    genes = _genes(planted, landmarks, inferred)
    truth = Truth(_effects(planted, genes), landmarks=landmarks)
    _write_shared(folder, planted, genes)
    for dataset in SERIES:
        wells = _wells(dataset)
        _write_release(folder, dataset, wells, genes, _values(wells, planted, genes, rng), rng)
        _note(truth, dataset, wells)
    release.write_truth(folder / TRUTH, truth.effects)
    release.write_sums(folder)
    return truth


def pert_id(drug: int, twin: bool = False) -> str:
    """The id the releases give a drug."""
    return f"BRD-{'A' if twin else 'K'}{drug + 1:08d}"


# --- genes ---------------------------------------------------------------------------------------------------


def _genes(planted: Planted, landmarks: int, inferred: int) -> pd.DataFrame:
    """Measured genes: position in `planted`, entrez, symbol, gene_id, is_landmark (all that respond are)."""
    table = planted.genes.assign(position=np.arange(len(planted.genes)))
    table = table[table["alone"] & ~table["symbol"].duplicated(keep=False)]
    responds = (planted.log2_fc != 0).any(axis=(0, 1))[table["position"]]
    table = pd.concat([table[responds], table[~responds]]).head(landmarks + inferred)
    table["is_landmark"] = np.arange(len(table)) < landmarks
    table["gene_id"] = table["gene_ids"].str[0]
    ordered: pd.DataFrame = table.sort_values("position", ignore_index=True)
    return ordered.assign(entrez=[str(FIRST_ENTREZ + i) for i in range(len(table))])


def _effects(planted: Planted, genes: pd.DataFrame) -> pd.DataFrame:
    measured = set(genes.loc[genes["is_landmark"], "gene_id"])
    effects = planted.effects()[["compound", "inchikey", "dose_um", "gene_symbol", "gene_id", "log2_fc"]]
    return effects[effects["gene_id"].isin(measured)].reset_index(drop=True)


# --- wells ---------------------------------------------------------------------------------------------------


def _wells(dataset: str) -> pd.DataFrame:
    """Every well: inst_info's columns (phase 1's and phase 2's), and drug and dose (indices, -1: none)."""
    plates = [
        pd.DataFrame(_plate(dataset, number, cells, hours, has_vehicle, replicate))
        for number, (cells, hours, has_vehicle) in enumerate(PLATES[dataset])
        for replicate in range(N_REPLICATES)
    ]
    return pd.concat(plates, ignore_index=True)


def _plate(
    dataset: str, number: int, cells: str, hours: int, has_vehicle: bool, replicate: int
) -> list[dict[str, object]]:
    prefix = f"CPC{number:03d}" if dataset == "l1000_phase1" else f"REP.A{number:03d}"
    rna_plate = f"{prefix}_{cells}_{hours}H_X{replicate + 1}"
    plate = f"{rna_plate}_B{20 + replicate}"
    wells = []
    for at, well in enumerate(_content(replicate, has_vehicle)):
        name = f"{chr(65 + at // 24)}{at % 24 + 1:02d}"
        wells.append(
            {
                "inst_id": f"{plate}:{name}",
                "rna_plate": rna_plate,
                "det_plate": plate,
                "rna_well": name,
                "det_well": name,
                "pert_mfc_id": f"{well['pert_id']}-001-01-1",
                **well,
                "pert_time": str(hours),
                "pert_time_unit": "h",
                "cell_id": cells,
            }
        )
    return wells


def _content(replicate: int, has_vehicle: bool) -> list[dict[str, object]]:
    """Perturbagen, dose and unit of the wells of a plate."""
    wells = [_well("DMSO", "DMSO", "ctl_vehicle", "0.1", "%")] * (N_VEHICLES if has_vehicle else 0)
    for drug in range(N_DRUGS):
        key = pert_id(drug, twin=drug == TWIN and replicate == N_REPLICATES - 1)
        wells += [_well(key, _name(drug), "trt_cp", *_dose(at, replicate), drug, at) for at in range(len(DOSES))]
    wells.append(_well("BRD-M00000001", "extract", "trt_cp", *[("1", "%"), ("0", "um"), ("-666", "-666")][replicate]))
    if has_vehicle:
        wells.append(_well(pert_id(0), _name(0), "trt_poscon", "10", "um", 0, 2))
        wells.append(_well("CMAP-000", "UnTrt", "ctl_untrt", "-666", "-666"))
        wells.append(_well("H2O", "H2O", "ctl_vehicle", "-666", "-666"))
        wells += [_well("TRCN0000000001", "TP53", kind, "-666", "-666") for kind in ("trt_sh", "trt_oe")]
    return wells


def _well(key: str, name: str, kind: str, dose: str, unit: str, drug: int = -1, at: int = -1) -> dict[str, object]:
    return {
        "pert_id": key, "pert_iname": name, "pert_type": kind, "pert_dose": dose, "pert_dose_unit": unit,
        "drug": drug, "at": at,
    }  # fmt: skip


def _name(drug: int) -> str:
    return f"compound-{NAMESAKES[0] if drug in NAMESAKES else drug}"


def _dose(at: int, replicate: int) -> tuple[str, str]:
    """A dose as the replicate has it: plain, off in the fifth decimal, or in nM."""
    if replicate == 1:
        return f"{DOSES[at] + 0.00003:.5f}", "UM"
    return (f"{DOSES[at] * 1000:g}", "nM") if replicate == 2 else (f"{DOSES[at]:g}", "\N{MICRO SIGN}M")


def _values(wells: pd.DataFrame, planted: Planted, genes: pd.DataFrame, rng: Generator) -> NDArray[np.float32]:
    """Log2 intensities, wells x genes: level, plate effect, planted effect, noise."""
    place = genes["position"].to_numpy()
    plates = wells["det_plate"].factorize()[0]
    values = rng.uniform(5, 12, len(genes)) + rng.normal(0, 0.3, (plates.max() + 1, len(genes)))[plates]
    drug, at = wells["drug"].to_numpy(), wells["at"].to_numpy()
    values += np.where((drug >= 0)[:, None], planted.log2_fc[drug, at][:, place], 0)
    return np.asarray(values + rng.normal(0, 0.2, values.shape), dtype=np.float32)


def _note(truth: Truth, dataset: str, wells: pd.DataFrame) -> None:
    """Count what a load must find."""
    kinds, alone = wells["pert_type"], wells["cell_id"] == "MCH58"
    flags = {
        "positive_control": int((kinds == "trt_poscon").sum()),
        "untreated": int((kinds == "ctl_untrt").sum()),
        "other_vehicle": int((wells["pert_id"] == "H2O").sum()),
        "cells_without_pair": int(alone.sum()),
    }
    left_out = {kind: int((kinds == kind).sum()) for kind in ("trt_sh", "trt_oe")}
    in_fit = len(wells) - sum(flags.values()) - sum(left_out.values())
    truth.wells[dataset] = {"in_fit": in_fit, **{flag: n for flag, n in flags.items() if n}}
    truth.left_out[dataset] = left_out
    sets = [has_vehicle for cells, _, has_vehicle in PLATES[dataset] if cells != "MCH58"]
    each = N_DRUGS * len(DOSES)
    status = {"ok": each * sum(sets), "no_vehicle": each * (len(sets) - sum(sets)), "no_dose": len(sets)}
    truth.conditions[dataset] = {name: n for name, n in status.items() if n}


# --- files ---------------------------------------------------------------------------------------------------


def _write_release(
    folder: Path, dataset: str, wells: pd.DataFrame, genes: pd.DataFrame, values: NDArray[np.float32], rng: Generator
) -> None:
    """Write matrix and tables of a phase; rows of the tables stand in another order than the matrix."""
    rows = pd.DataFrame(index=pd.Index(genes["entrez"], name="id"))
    name = f"{SERIES[dataset]}_Broad_LINCS_{LEVEL3[dataset]}.gctx"
    writer = gctx.Writer(folder / name, rows)
    writer.add(values)
    writer.finish(pd.DataFrame(index=pd.Index(wells["inst_id"], name="id")))
    first = dataset == "l1000_phase1"
    gone = ["drug", "at", "det_plate", "det_well", "pert_mfc_id"] if first else ["drug", "at", "rna_plate", "rna_well"]
    inst_info = wells.drop(columns=gone).sample(frac=1, random_state=rng)
    inst_info["inst_id"] = [name.lower() if at == 0 else name for at, name in enumerate(inst_info["inst_id"])]
    gene_info = genes.rename(columns={"entrez": "pr_gene_id", "symbol": "pr_gene_symbol"})
    gene_info = gene_info.assign(pr_is_lm=genes["is_landmark"].astype(int), pr_is_bing=1)
    tables = {
        "inst_info": inst_info,
        "cell_info": pd.DataFrame(_CELLS, columns=list(_CELL_COLUMNS)).assign(donor_ethnicity="-666"),
        "gene_info": gene_info[["pr_gene_id", "pr_gene_symbol", "pr_is_lm", "pr_is_bing"]],
    }
    for kind, table in tables.items():
        _write_table(folder, dataset, kind, table)


def _write_shared(folder: Path, planted: Planted, genes: pd.DataFrame) -> None:
    """Write what both phases need: perturbagens, the portal's tables, and the gene vocabulary."""
    perts = _perturbagens(planted)
    second = perts.drop(columns=["pubchem_cid"])
    second = second.assign(canonical_smiles=second["canonical_smiles"].where(second["pert_id"] != "DMSO", "-666"))
    _write_table(folder, "l1000_phase1", "pert_info", perts)
    _write_table(folder, "l1000_phase2", "pert_info", second)
    for name, table in zip(PORTAL, _portal(planted), strict=True):
        table.to_csv(folder / name, sep="\t", index=False, lineterminator="\n", encoding="latin-1")
    vocabulary = pd.DataFrame(
        {
            "Gene stable ID": genes["gene_id"],
            "Gene name": genes["symbol"],
            "Gene type": "protein_coding",
            "NCBI gene (formerly Entrezgene) ID": genes["entrez"],
        }
    )
    vocabulary.to_csv(folder / VOCABULARY, sep="\t", index=False, lineterminator="\n")


def _perturbagens(planted: Planted) -> pd.DataFrame:
    """Table pert_info of GEO; a structure is withheld, one is told by its CID alone, one not at all."""
    rows = [_perturbagen(drug, planted, twin=False) for drug in range(N_DRUGS) if drug != UNTOLD]
    rows.append(_perturbagen(TWIN, planted, twin=True))
    rows.append(("DMSO", "DMSO", "ctl_vehicle", "-666", "CS(C)=O", "679"))
    rows.append(("TRCN0000000001", "TP53", "trt_sh", "-666", "-666", "-666"))
    columns = ["pert_id", "pert_iname", "pert_type", "inchi_key", "canonical_smiles", "pubchem_cid"]
    return pd.DataFrame(rows, columns=columns)


def _perturbagen(drug: int, planted: Planted, twin: bool) -> tuple[str, str, str, str, str, str]:
    key, smiles = pert_id(drug, twin), planted.drugs[drug][1].smiles
    if drug == WITHHELD:
        return key, _name(drug), "trt_cp", "restricted", "restricted", "-666"
    if drug == BY_CID:
        return key, _name(drug), "trt_cp", "-666", "-666", str(_BY_CID)
    return key, _name(drug), "trt_cp", inchikey(smiles), smiles, "-666"


def _portal(planted: Planted) -> Sequence[pd.DataFrame]:
    smiles = planted.drugs[WITHHELD][1].smiles
    key = {"sm_center_canonical_id": pert_id(WITHHELD), "SM LINCS ID": "LSM-1", "sm_center_batch_id": "1"}
    annotated = {"sm_lincs_id": "LSM-1", "sm_name": "compos\xe9", "sm_smiles_parent": smiles, "sm_pubchem_cid": "-666"}
    structure = {"sm_lincs_id": "LSM-1", "sm_inchi_key_parent": inchikey(smiles)}
    return [pd.DataFrame([row]) for row in (key, annotated, structure)]


def _write_table(folder: Path, dataset: str, kind: str, table: pd.DataFrame) -> None:
    name = f"{SERIES[dataset]}_Broad_LINCS_{kind}{TABLE_DATES[dataset].get(kind, '')}.txt.gz"
    with gzip.GzipFile(folder / name, "wb", mtime=0) as file:
        file.write(table.to_csv(sep="\t", index=False, lineterminator="\n").encode())
