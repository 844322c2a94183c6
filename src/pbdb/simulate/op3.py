"""A small OP3 release in the published layout: pseudobulked immune cells of three donors, with planted effects.

Its traps are those of the published file: counts stored as floats, controls that are no vehicle, names of plates with
spaces and hyphens, genes by symbol, among them clones, former names and doubles marked with -1, samples of few cells,
a compound that killed one type of cells, and a structure told in some rows only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from pbdb.simulate import release
from pbdb.simulate.planted import Planted, plant

if TYPE_CHECKING:
    from anndata import AnnData

NAME = "pseudobulk_filtered_with_uns.h5ad"
VEHICLE = "Dimethyl Sulfoxide"
CELL_TYPES = {"T cells": 300, "B cells": 90, "NK cells": 45, "Myeloid cells": 80}
"""Cell types, each with the median number of cells of a well."""
N_DONORS, PLATES_OF_A_DONOR, N_VEHICLES = 3, 2, 5
DRUGS_OF_A_PLATE, DOSE, OTHER_DOSE = 4, 1.0, 0.1
COUNTS_OF_A_CELL = 900
POSITIVE = {"Dabrafenib": "CC(C)(C)c1nc(c(s1)-c1ccnc(N)n1)-c1cccc(NS(=O)(=O)c2c(F)cccc2F)c1F",
            "Belinostat": "ONC(=O)/C=C/c1cccc(S(=O)(=O)Nc2ccccc2)c1"}  # fmt: skip
KILLER, WEAK, DOUBLE_DOSED, UNTOLD = 0, 1, 2, 3
"""Drugs with a trap: leaves hardly any NK cells, leaves few in one well, given at two doses, structure told in part."""
ALIASED = {"C18ORF21": "ENSG00000141428", "LINC-PINT-1": "ENSG00000231721", "MATR3-1": "ENSG00000015479"}
OFFICIAL = {"C18ORF21": "C18orf21", "LINC-PINT-1": "LINC-PINT", "MATR3-1": "MATR3"}
UNKNOWN_SYMBOLS = ("AL999999.9", "FAM9Z-1")
TESTED = (10, 50)


@dataclass(frozen=True)
class Truth:
    """What was planted.

    effects: compound, context, dose_um, gene_symbol, gene_id, log2_fc; what is not listed does not respond.
    samples: by flag, `in_fit` without one. statuses: of conditions by the least number of cells. genes: features by
    what they are found as.
    """

    effects: pd.DataFrame
    samples: dict[str, int]
    statuses: dict[int, dict[str, int]]
    genes: dict[str, int]


def write(folder: str | Path, *, genes: int = 600, seed: int = 20231130) -> Truth:
    """Write a release: the pseudobulks, the gene vocabulary, truth.csv and SHA256SUMS; a seed fixes every value."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    planted = plant(PLATES_OF_A_DONOR * DRUGS_OF_A_PLATE, (OTHER_DOSE, DOSE), genes, rng)
    table = release.measured_genes(planted)
    obs = _profiles(planted, rng)
    _annotated(obs, _counts(obs, planted, table, rng), _features(table)).write_h5ad(folder / NAME, compression="gzip")
    named = pd.DataFrame({"symbol": list(OFFICIAL.values()), "gene_id": list(ALIASED.values())})
    release.write_vocabulary(folder / release.VOCABULARY, pd.concat([table, named]))
    effects = planted.effects().rename(columns={"cmpd_sample_id": "sm_lincs_id"})
    effects = effects[effects["gene_id"].isin(table["gene_id"])].reset_index(drop=True)
    release.write_truth(folder / release.TRUTH, effects)
    release.write_sums(folder)
    genes_by_kind = {"symbol": len(table), "alias": len(ALIASED), "unknown": len(UNKNOWN_SYMBOLS)}
    return Truth(effects, _worth(obs), {least: _statuses(obs, least) for least in TESTED}, genes_by_kind)


# --- profiles ------------------------------------------------------------------------------------------------


def _profiles(planted: Planted, rng: Generator) -> pd.DataFrame:
    """A row for each well and cell type, with drug and dose as indices (-1 for none), in no order."""
    rows = [
        _profile(donor, plate, well, *content, cells)
        for donor in range(N_DONORS)
        for plate in range(PLATES_OF_A_DONOR)
        for well, content in enumerate(_wells(plate, donor))
        for cells in CELL_TYPES
    ]
    table = pd.DataFrame(rows)
    table["cell_count_by_well_celltype"] = _n_cells(table, rng)
    smiles = {drug.name: drug.smiles for _, drug in planted.drugs} | POSITIVE | {VEHICLE: "C[S+](C)[O-]"}
    names = {at: drug.name for at, (_, drug) in enumerate(planted.drugs)}
    table["sm_name"] = table["drug"].map(names).fillna(table["sm_name"])
    untold = (table["drug"] == UNTOLD) & (table["donor_id"] == "Donor 1")
    table["SMILES"] = table["sm_name"].map(smiles).mask(untold)
    table["sm_lincs_id"] = [f"LSM-{code + 1}" for code in table["sm_name"].factorize()[0]]
    table["split"] = _split(table)
    return table.sample(frac=1, random_state=rng).reset_index(drop=True)


def _wells(plate: int, donor: int) -> list[tuple[str, int, int, bool]]:
    """Name, drug, dose and whether it is a control, of the wells of a plate."""
    wells = [(VEHICLE, -1, -1, True)] * N_VEHICLES + [(name, -1, -1, True) for name in POSITIVE]
    drugs = range(plate * DRUGS_OF_A_PLATE, (plate + 1) * DRUGS_OF_A_PLATE)
    wells += [("", drug, 1, False) for drug in drugs]
    return wells + [("", drug, 0, False) for drug in drugs if drug == DOUBLE_DOSED]


def _profile(
    donor: int, plate: int, well: int, name: str, drug: int, at: int, is_control: bool, cells: str
) -> dict[str, object]:
    number = donor * PLATES_OF_A_DONOR + plate
    return {
        "plate_name": f"plate - {number}", "well": f"{chr(65 + well % 8)}{well // 8 + 1}", "cell_type": cells,
        "sm_name": name, "drug": drug, "at": at, "dose_uM": OTHER_DOSE if at == 0 else DOSE, "timepoint_hr": 24.0,
        "control": is_control, "library_id": f"{number}-library {well % 3}", "donor_id": f"Donor {donor + 1}",
        "number": number,
    }  # fmt: skip


def _n_cells(table: pd.DataFrame, rng: Generator) -> NDArray[np.int64]:
    median = table["cell_type"].map(CELL_TYPES).to_numpy(dtype=float)
    cells = np.rint(median * rng.lognormal(0, 0.2, len(table))).astype(np.int64)
    is_nk = (table["cell_type"] == "NK cells").to_numpy()
    cells[is_nk & (table["drug"] == KILLER)] = [4, 7, 9]
    cells[is_nk & (table["drug"] == WEAK) & (table["donor_id"] == "Donor 2")] = 6
    return cells


def _split(table: pd.DataFrame) -> list[str]:
    """Split of the competition: by compound and cell type."""
    is_test = (table["drug"] >= DRUGS_OF_A_PLATE) & table["cell_type"].isin(["B cells", "Myeloid cells"])
    treated = np.where(is_test, "private_test", "train")
    return [str(name) for name in np.where(table["control"], "control", treated)]


# --- counts --------------------------------------------------------------------------------------------------


def _features(genes: pd.DataFrame) -> list[str]:
    return [*genes["symbol"], *ALIASED, *UNKNOWN_SYMBOLS]


def _counts(obs: pd.DataFrame, planted: Planted, genes: pd.DataFrame, rng: Generator) -> NDArray[np.int64]:
    """Profiles x features; cell types differ in what they express, plates (and so donors) shift it."""
    n_others, n = len(ALIASED) + len(UNKNOWN_SYMBOLS), len(genes)
    place = genes["position"].to_numpy()
    drug, at = obs["drug"].to_numpy(), obs["at"].to_numpy()
    shift = np.where((drug >= 0)[:, None], planted.log2_fc[drug, at][:, place], 0)
    plate = rng.normal(0, 0.2, (obs["number"].max() + 1, n))[obs["number"]]
    cells = rng.normal(0, 0.5, (len(CELL_TYPES), n))[[list(CELL_TYPES).index(name) for name in obs["cell_type"]]]
    library = obs["cell_count_by_well_celltype"].to_numpy(dtype=float) * COUNTS_OF_A_CELL
    share, spread = genes["share"].to_numpy(), genes["spread"].to_numpy()
    counts = release.pooled_counts(share, spread, library, shift, plate + cells, rng)
    return np.hstack([counts, rng.poisson(30, (len(obs), n_others))])


def _annotated(obs: pd.DataFrame, counts: NDArray[np.int64], features: list[str]) -> AnnData:
    """The file as published: counts as float32 in compressed rows, text as categories, names of rows without sense."""
    import anndata
    import scipy.sparse as sp

    table = obs.drop(columns=["drug", "at", "number"])
    kept = {"dose_uM", "timepoint_hr", "control", "cell_count_by_well_celltype"}
    table = table.astype({name: "category" for name in table.columns if name not in kept})
    table["cell_count_by_well_celltype"] = table["cell_count_by_well_celltype"].astype(float)
    table["obs_id"] = [f"{at:04d}" for at in range(len(table))]
    var = pd.DataFrame(index=pd.Index(features, name="gene"))
    uns = {"dataset_id": "neurips-2023-data", "dataset_name": "OpenProblems NeurIPS2023"}
    return anndata.AnnData(sp.csr_matrix(counts.astype(np.float32)), table.set_index("obs_id"), var, uns)


# --- what a load must find -----------------------------------------------------------------------------------


def _worth(obs: pd.DataFrame) -> dict[str, int]:
    is_positive = obs["sm_name"].isin(list(POSITIVE))
    is_few = ~is_positive & (obs["cell_count_by_well_celltype"] < TESTED[0])
    flags = {"positive_control": int(is_positive.sum()), "few_cells": int(is_few.sum())}
    return {"in_fit": len(obs) - sum(flags.values()), **flags}


def _statuses(obs: pd.DataFrame, least: int) -> dict[str, int]:
    """A condition is estimated where a sample of it has cells enough, and a vehicle on a connected plate has."""
    treated = obs[obs["drug"] >= 0]
    most = treated.groupby(["cell_type", "drug", "at"])["cell_count_by_well_celltype"].max()
    estimated = int((most >= least).sum())
    counted = {"ok": estimated, "no_sample": len(most) - estimated}
    return {status: n for status, n in counted.items() if n}
