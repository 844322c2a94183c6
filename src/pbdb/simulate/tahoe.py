"""A small Tahoe release in the published layout: cells of three lines pooled in every well, with planted effects.

Its traps are those of the published files: no column of the well but the name of a cell, counts stored as floats,
drugs spelled in other case, with a blank behind or another Greek letter, a drug whose name contains the vehicle's, one
without structure, a dose a plate, genes by symbol only, and a plate without curated cell table.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from pbdb.simulate import release
from pbdb.simulate.known import DRUGS
from pbdb.simulate.planted import Planted, plant

VEHICLE = "DMSO_TF"
PLATES = {"plate1": 0.05, "plate2": 0.5, "plate3": 5.0}
"""Plates, each with its dose (uM)."""
NOT_CURATED = "plate3"
LINES = {"CVCL_0023": "A549", "CVCL_0320": "HT-29", "CVCL_C466": "hTERT-HPNE"}
VEHICLE_WELLS = (12, 96)
N_DRUGS, N_CELLS = 6, 24
FEW = ("plate2", 1, "CVCL_C466")
"""A plate, well and line of which few cells were found."""
NAMES = {0: "18β-Glycyrrhetinic acid", 1: "Trametinib (DMSO_TF solvate)", 2: "Verteporfin", 3: "Erdafitinib"}
IN_CELL_TABLES = {NAMES[0]: "18\u03d0-Glycyrrhetinic acid", NAMES[2]: "verteporfin", NAMES[3]: "Erdafitinib "}
UNTOLD = 2


@dataclass(frozen=True)
class Truth:
    """What was planted.

    effects: compound, dose_um, gene_symbol, gene_id, log2_fc. cells: all of them; left_out: those in no sample, by
    reason. samples: by flag, `in_fit` without one. wells: names by plate. n_genes.
    """

    effects: pd.DataFrame
    cells: int
    left_out: dict[str, int]
    samples: dict[str, int]
    wells: dict[str, list[str]]
    n_genes: int


def write(folder: str | Path, *, genes: int = 700, seed: int = 20250225) -> Truth:
    """Write a release: three plates, curated cell tables of two, the hub's tables, truth.csv and SHA256SUMS."""
    folder = Path(folder)
    (folder / "obs").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    planted = plant(N_DRUGS, list(PLATES.values()), genes, rng)
    table = release.with_marker_genes(release.measured_genes(planted))
    samples = _samples()
    cells, kinds = _cells(samples, rng)
    shift = release.shifts(planted, table, samples["drug"].to_numpy(), samples["at"].to_numpy())
    shift += release.group_shifts(samples, table, rng)
    counts = release.single_cells(table, shift, cells["number"].to_numpy(), kinds, rng)
    _write_plates(folder, _described(cells, table, counts), counts, table, rng)
    _write_hub(folder, planted, table, rng)
    effects = _effects(planted, table)
    release.write_truth(folder / release.TRUTH, effects)
    release.write_sums(folder)
    return _truth(effects, samples, cells, counts, table)


def _truth(
    effects: pd.DataFrame, samples: pd.DataFrame, cells: pd.DataFrame, counts: NDArray[np.int64], genes: pd.DataFrame
) -> Truth:
    why = release.reasons(genes, counts, np.zeros(len(cells), dtype=bool), "well")
    pooled = cells[why == ""].groupby("number").size()
    worth = {"in_fit": int((pooled >= 10).sum()), "few_cells": int((pooled < 10).sum())}
    wells = {str(plate): sorted({_well(n) for n in rows}) for plate, rows in samples.groupby("plate")["place"]}
    return Truth(effects, len(cells), release.counted(why), worth, wells, len(genes))


def _well(place: int) -> str:
    """Row-major on a plate of 96: 1 is A1, 12 A12, 13 B1, 96 H12."""
    row, column = divmod(place - 1, 12)
    return f"{'ABCDEFGH'[row]}{column + 1}"


def _effects(planted: Planted, genes: pd.DataFrame) -> pd.DataFrame:
    effects = planted.effects().drop(columns=["cmpd_sample_id", "inchikey"])
    effects = effects[effects["gene_id"].isin(genes["gene_id"])]
    names = {drug.name: NAMES.get(at, drug.name) for at, (_, drug) in enumerate(planted.drugs)}
    return effects.assign(compound=effects["compound"].map(names)).reset_index(drop=True)


# --- wells and cells -----------------------------------------------------------------------------------------


def _samples() -> pd.DataFrame:
    """Wells x lines: plate, place on it, line, drug and dose as indices (-1 for vehicle), number of cells."""
    rows = []
    for at, plate in enumerate(PLATES):
        drugs = list(range(N_DRUGS)) * (2 if plate == NOT_CURATED else 1)
        content = [(place, -1) for place in VEHICLE_WELLS] + [(1 + 7 * n, drug) for n, drug in enumerate(drugs)]
        rows += [
            {
                "plate": plate, "place": place, "cell_line": line, "drug": drug, "at": at,
                "n": 5 if (plate, place, line) == FEW else N_CELLS,
            }
            for place, drug in content
            for line in LINES
        ]  # fmt: skip
    return pd.DataFrame(rows).rename_axis("number").reset_index()


def _cells(samples: pd.DataFrame, rng: Generator) -> tuple[pd.DataFrame, NDArray[np.str_]]:
    cells = samples.loc[samples.index.repeat(samples["n"])].sample(frac=1, random_state=rng)
    names = [f"{place:02d}_{at % 97:03d}_{at // 97:03d}-lib_1105" for at, place in enumerate(cells["place"])]
    kinds = rng.choice(["good", "empty", "dying", "silent"], len(cells), p=[0.94, 0.03, 0.02, 0.01])
    return cells.set_axis(pd.Index(names, name="BARCODE_SUB_LIB_ID"), axis=0), kinds


def _described(cells: pd.DataFrame, genes: pd.DataFrame, counts: NDArray[np.int64]) -> pd.DataFrame:
    """Cells with the columns the plates' files have of their own."""
    names = {at: NAMES.get(at, DRUGS[at].name) for at in range(N_DRUGS)} | {-1: VEHICLE}
    drug = cells["drug"].map({at: IN_CELL_TABLES.get(name, name) for at, name in names.items()})
    dose = cells["plate"].map(PLATES).where(cells["drug"] >= 0, 0.0)
    mito = counts[:, genes["symbol"].str.startswith("MT-").to_numpy(dtype=bool)].sum(axis=1) / counts.sum(axis=1)
    return cells.assign(
        sample=[f"smp_{1000 + number}" for number in cells["number"] // len(LINES)],
        drug_name=drug,
        dose=dose,
        drugname_drugconc=[f"[('{name}', {value}, 'uM')]" for name, value in zip(drug, dose, strict=True)],
        gene_count=(counts > 0).sum(axis=1),
        tscp_count=counts.sum(axis=1),
        pcnt_mito=mito.astype(np.float32),
    )


# --- files ---------------------------------------------------------------------------------------------------


def _write_plates(
    folder: Path, cells: pd.DataFrame, counts: NDArray[np.int64], genes: pd.DataFrame, rng: Generator
) -> None:
    embedded_columns = [
        "sample",
        "drug",
        "drugname_drugconc",
        "cell_line",
        "plate",
        "gene_count",
        "tscp_count",
        "pcnt_mito",
    ]
    embedded = cells.drop(columns="drug").rename(columns={"drug_name": "drug"})[embedded_columns]
    for plate in PLATES:
        here = (cells["plate"] == plate).to_numpy()
        name = f"{plate}_filt_Vevo_Tahoe100M_WServicesFrom_ParseGigalab.h5ad"
        _annotated(embedded[here], counts[here], genes).write_h5ad(folder / name, compression="gzip")
        if plate != NOT_CURATED:
            _curated(cells[here]).sample(frac=1, random_state=rng).to_parquet(folder / "obs" / f"{plate}.parquet")


def _annotated(obs: pd.DataFrame, counts: NDArray[np.int64], genes: pd.DataFrame) -> Any:
    import anndata
    import scipy.sparse as sp

    texts = [name for name in obs.columns if obs[name].dtype == object]
    var = pd.DataFrame({"n_cells": (counts > 0).sum(axis=0)}, index=pd.Index(genes["symbol"], name="gene_name"))
    return anndata.AnnData(sp.csr_matrix(counts.astype(np.float32)), obs.astype(dict.fromkeys(texts, "category")), var)


def _curated(cells: pd.DataFrame) -> pd.DataFrame:
    """The curated table of a plate: ontology ids, doses and times with their units as text."""
    table = cells[["plate", "gene_count", "tscp_count", "pcnt_mito"]].assign(
        cell_line_ontology_id=cells["cell_line"],
        pert_compound=cells["drug_name"],
        pert_dose=[f"{dose}uM" for dose in cells["dose"]],
        pert_time="24h",
        pert_type="compound",
        organism="human",
        assay="Parse Evercode",
    )
    return table.astype({"pert_compound": "category", "pert_dose": "category"})


def _write_hub(folder: Path, planted: Planted, genes: pd.DataFrame, rng: Generator) -> None:
    """Write the hub's tables of genes and drugs; the vehicle is not among the drugs."""
    hub = pd.DataFrame({"gene_symbol": genes["symbol"], "ensembl_id": genes["gene_id"]})
    hub = hub.assign(token_id=np.arange(3, len(hub) + 3)).sample(frac=1, random_state=rng)
    hub.to_parquet(folder / "gene_metadata.parquet", index=False)
    smiles = [None if at == UNTOLD else drug.smiles for at, (_, drug) in enumerate(planted.drugs)]
    drugs = pd.DataFrame(
        {
            "drug": [NAMES.get(at, drug.name) for at, (_, drug) in enumerate(planted.drugs)],
            "targets": ["MAP2K1, MAP2K2" if at == 1 else None for at in range(N_DRUGS)],
            "moa-broad": "inhibitor/antagonist",
            "moa-fine": ["MEK inhibitor" if at == 1 else "unclear" for at in range(N_DRUGS)],
            "human-approved": "yes",
            "clinical-trials": "yes",
            "gpt-notes-approval": "",
            "canonical_smiles": smiles,
            "pubchem_cid": [
                np.nan if structure is None else float(1_000_000 + at) for at, structure in enumerate(smiles)
            ],
        }
    )
    drugs.to_parquet(folder / "drug_metadata.parquet", index=False)
