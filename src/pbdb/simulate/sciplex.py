"""A small Sci-Plex3 release in the published layouts: nuclei of three lines, with effects that are known.

Its traps are those of the published files: nuclei without well, plate and compound, wells that carry the number of
another plate, a curated time that says 24h of everything, names cut at the first space, nuclei of hardly any counts,
dying ones and those without MALAT1, and, in the file of Zenodo, genes of the mouse among those of man.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from pbdb.simulate import release
from pbdb.simulate.known import DRUGS
from pbdb.simulate.planted import Planted, plant

if TYPE_CHECKING:
    from anndata import AnnData

NAME, ZENODO, SUPPLEMENT = "srivatsan20_sciplex3", "SrivatsanTrapnell2020_sciplex3.h5ad", "Supplementary_Table_3.txt.gz"
PLATES = {
    ("A549", 24): ("plate9", "plate10"),
    ("A549", 72): ("plate49", "plate50"),
    ("K562", 24): ("plate1", "plate2"),
    ("MCF7", 24): ("plate17", "plate18"),
}
DOSES_NM = (100, 10_000)
N_DRUGS, N_VEHICLES, N_NUCLEI, N_MOUSE = 6, 3, 24, 40
CUT = {0: "ZM 447439", 1: "Tie2 kinase inhibitor", 2: "Glesatinib(MGCD265)"}
"""Drugs that the source knows under the first word of this name only."""
ODD = {"Glesatinib(MGCD265)": "Glesatinib?(MGCD265)"}
FEW = ("plate2", 4)
"""A well, by plate and number, that few nuclei came from."""
Kinds = NDArray[np.str_]


@dataclass(frozen=True)
class Truth:
    """What was planted.

    effects: compound (as the source cuts it), dose_um, gene_symbol, gene_id, log2_fc. nuclei: all of them; left_out:
    those in no sample, by reason. samples: by flag, `in_fit` without one. n_genes: human ones.
    """

    effects: pd.DataFrame
    nuclei: int
    left_out: dict[str, int]
    samples: dict[str, int]
    n_genes: int


def write(
    folder: str | Path, *, layout: Literal["curated", "zenodo"] = "curated", genes: int = 700, seed: int = 20200103
) -> Truth:
    """Write a release in one of its layouts, truth.csv and SHA256SUMS; both layouts hold the same nuclei."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    planted = plant(N_DRUGS, [dose / 1000 for dose in DOSES_NM], genes, rng)
    table = release.with_marker_genes(release.measured_genes(planted))
    wells = _wells()
    nuclei, kinds = _nuclei(wells, rng)
    shift = release.shifts(planted, table, wells["drug"].to_numpy(), wells["at"].to_numpy())
    shift += release.group_shifts(wells, table, rng)
    counts = release.single_cells(table, shift, nuclei["number"].to_numpy(), kinds, rng)
    nuclei["ncounts"] = counts.sum(axis=1)
    (_write_curated if layout == "curated" else _write_zenodo)(folder, nuclei, counts, table, rng)
    _write_supplement(folder, planted)
    effects = planted.effects().drop(columns=["cmpd_sample_id", "inchikey"])
    effects = effects[effects["gene_id"].isin(table["gene_id"])]
    names = {drug.name: _cut(at) for at, (_, drug) in enumerate(planted.drugs)}
    effects = effects.assign(compound=effects["compound"].map(names)).reset_index(drop=True)
    release.write_truth(folder / release.TRUTH, effects)
    release.write_sums(folder)
    return _truth(effects, nuclei, counts, table)


def _truth(effects: pd.DataFrame, nuclei: pd.DataFrame, counts: NDArray[np.int64], genes: pd.DataFrame) -> Truth:
    why = release.reasons(genes, counts, nuclei["plate"].isna().to_numpy(), "plate")
    pooled = nuclei[why == ""].groupby("number").size()
    samples = {"in_fit": int((pooled >= 10).sum()), "few_cells": int((pooled < 10).sum())}
    return Truth(effects, len(nuclei), release.counted(why), samples, len(genes))


# --- wells and nuclei ----------------------------------------------------------------------------------------


def _wells() -> pd.DataFrame:
    """All wells: number, plate, well, line, time, drug and dose as indices (-1 for vehicle), and n nuclei."""
    content = [(-1, 0)] * N_VEHICLES + [(drug, at) for drug in range(N_DRUGS) for at in range(len(DOSES_NM))]
    rows = [
        {
            "plate": plate, "well": f"plate{at % 5 + 3}_{'ABCDEFGH'[at % 8]}{at // 8 + 1}", "cell_line": line,
            "time": float(hours), "drug": drug, "at": dose, "n": 6 if (plate, at) == FEW else N_NUCLEI,
        }
        for (line, hours), plates in PLATES.items()
        for plate in plates
        for at, (drug, dose) in enumerate(content)
    ]  # fmt: skip
    return pd.DataFrame(rows).rename_axis("number").reset_index()


def _nuclei(wells: pd.DataFrame, rng: Generator) -> tuple[pd.DataFrame, Kinds]:
    """Nuclei in no order, and what is wrong with each; one in twenty-two has lost its hash, and so all of its well."""
    nuclei = wells.loc[wells.index.repeat(wells["n"])].sample(frac=1, random_state=rng).reset_index(drop=True)
    kinds = rng.choice(["good", "empty", "dying", "silent"], len(nuclei), p=[0.85, 0.05, 0.04, 0.06])
    names = [f"{chr(65 + at % 8)}{at % 12 + 1:02d}_RT_{at:05d}" for at in range(len(nuclei))]
    nuclei = nuclei.set_axis(pd.Index(names, name="cell"), axis=0)
    nuclei["perturbation"] = nuclei["drug"].map({-1: "control", **{at: _cut(at) for at in range(N_DRUGS)}})
    nuclei["dose_value"] = np.where(nuclei["drug"] >= 0, np.take(DOSES_NM, nuclei["at"]), 0.0)
    nuclei["dose_unit"] = "nM"
    lost = rng.random(len(nuclei)) < 1 / 22
    nuclei.loc[lost, ["plate", "well", "perturbation", "dose_unit"]] = None
    nuclei.loc[lost, ["time", "dose_value"]] = np.nan
    return nuclei, kinds


def _cut(drug: int) -> str:
    """The name the source has for a drug."""
    full = CUT.get(drug, DRUGS[drug].name)
    return ODD.get(full, full.split(" ")[0])


# --- files ---------------------------------------------------------------------------------------------------


def _annotated(obs: pd.DataFrame, counts: NDArray[np.int64], var: pd.DataFrame) -> AnnData:
    import anndata
    import scipy.sparse as sp

    texts = [name for name in obs.columns if obs[name].dtype == object]
    return anndata.AnnData(sp.csr_matrix(counts.astype(np.float32)), obs.astype(dict.fromkeys(texts, "category")), var)


def _write_curated(
    folder: Path, nuclei: pd.DataFrame, counts: NDArray[np.int64], genes: pd.DataFrame, rng: Generator
) -> None:
    """Write matrix, cells and genes of the curated release; the tables are in other orders than the matrix."""
    embedded = nuclei[["plate", "well", "cell_line", "ncounts"]].assign(replicate="rep1")
    var = pd.DataFrame(index=pd.Index(genes["gene_id"], name="ensembl_id"))
    _annotated(embedded, counts, var).write_h5ad(folder / f"{NAME}.h5ad", compression="gzip")
    written = nuclei["dose_value"].map(lambda dose: f"{dose:.1f}nM", na_action="ignore").astype(object)
    cells = nuclei[["plate", "well", "time", "ncounts"]].assign(
        cell_line=nuclei["cell_line"].replace("K562", "K-562"),
        pert_compound=nuclei["perturbation"],
        pert_dose=written.mask(nuclei["perturbation"] == "control"),
        pert_time="24h",
        pathway=np.where(nuclei["drug"] == 0, "Cell Cycle", "Epigenetics"),
        organism="human",
        suspension_type="nucleus",
        assay="sci-Plex",
    )
    table = genes.set_index(pd.Index(genes["gene_id"], name="ensembl_gene_id"))[["symbol"]]
    for name, frame in (("obs", cells), ("var", table)):
        (folder / name).mkdir(exist_ok=True)
        frame.sample(frac=1, random_state=rng).to_parquet(folder / name / f"{NAME}.parquet")


def _write_zenodo(
    folder: Path, nuclei: pd.DataFrame, counts: NDArray[np.int64], genes: pd.DataFrame, rng: Generator
) -> None:
    """Write scPerturb's file: genes by symbol, those of the mouse behind; nuclei caught a few of their reads."""
    mouse = pd.DataFrame(
        {
            "symbol": [f"{symbol.capitalize()}-m{at}" for at, symbol in enumerate(genes["symbol"][:N_MOUSE])],
            "gene_id": [f"ENSMUSG{at:011d}" for at in range(N_MOUSE)],
        }
    )
    both = pd.concat([genes[["symbol", "gene_id"]], mouse])
    var = pd.DataFrame({"ensembl_id": both["gene_id"].to_numpy()}, index=pd.Index(both["symbol"], name="gene_symbol"))
    strays = rng.poisson(0.05, (len(nuclei), N_MOUSE))
    named = ["plate", "well", "cell_line", "time", "perturbation", "dose_value", "dose_unit", "ncounts"]
    obs = nuclei[named].assign(replicate="rep1", organism="human")
    _annotated(obs, np.hstack([counts, strays]), var).write_h5ad(folder / ZENODO, compression="gzip")


def _write_supplement(folder: Path, planted: Planted) -> None:
    """Write the supplement's well table as far as it tells compounds: names in full, structures with their marks."""
    rows: list[tuple[str | None, ...]] = [("S0000", None, None, None)]
    for at, (code, drug) in enumerate(planted.drugs):
        rows.append((code, CUT.get(at, f"{drug.name} (XY-{at})"), f"{drug.smiles} |c:2,17,t:15|", drug.cas))
    table = pd.DataFrame(rows, columns=["catalog_number", "name", "SMILES", "CAS.Number"])
    with gzip.GzipFile(folder / SUPPLEMENT, "wb", mtime=0) as file:
        file.write(table.to_csv(sep="\t", index=False, na_rep="NA", lineterminator="\n").encode())
