"""A small GDPx2 release in the published layout, with effects that are known because they were planted.

Its traps are those of the published files: each level of DMSO moves genes of its own, doses are texts in several
units, a third of the genes has no Ensembl id and two share one, tables of the matrix itself are wrong, and the curated
ones stand in another order and have a row too many.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.random import Generator
from numpy.typing import NDArray

from pbdb.simulate import wells as plates
from pbdb.simulate.planted import Floats, Planted, inchikey, plant

CELLS = ("aortic smooth muscle cell", "epithelial melanocyte", "fibroblast of dermis", "skeletal muscle myoblast")
DOSES = (0.0095, 0.0285, 0.3, 0.9, 3.0, 0.095)
STRATA = {0.0625: (2, 0), 0.1875: (3, 1), 0.625: (4, 5)}  # DMSO percent -> its two doses
POSITIVE = ("Dexamethasone", "Trichostatin A", "Brefeldin A")
N_PLATES, N_VEHICLES, MEDIAN_UMI = 2, 3, 60_000
DMSO = "00000000-0000-4000-8000-000000000000"
_OF_PLATE = 2  # replicates of a compound-dose on a plate


@dataclass(frozen=True)
class Truth:
    """What was planted.

    effects: compound, inchikey, dose_um, gene_symbol, gene_id, log2_fc; what is not listed does not respond. wells:
    by flag (`in_fit` without one). conditions: treated ones. genes: those with an Ensembl id.
    """

    effects: pd.DataFrame
    wells: dict[str, int]
    conditions: int
    genes: int


def write(folder: str | Path, *, drugs: int = 5, cells: int = 2, genes: int = 500, seed: int = 20250603) -> Truth:
    """Write a release: matrix, curated tables, compounds, truth.csv and SHA256SUMS; a seed fixes every byte."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    planted = plant(drugs, DOSES, genes, rng)
    measured = plates.measured(planted)
    wells = pd.concat([_cell(name, drugs, number) for number, name in enumerate(CELLS[:cells])], ignore_index=True)
    wells["library"] = MEDIAN_UMI * rng.lognormal(0, 0.2, len(wells))
    wells.loc[wells["kind"] == "zero_library", "library"] = 0
    var = _genes(planted, measured)
    _write_matrix(folder, wells, var, _counts(planted, measured, wells, rng))
    _write_tables(folder, wells, var, rng)
    _compounds(planted).to_csv(folder / "compounds-GDPx2-2026-02-09.csv", index=False, lineterminator="\n")
    effects = plates.truth(planted, measured)
    plates.finish(folder, effects)
    kinds = wells["kind"].replace({"vehicle": "in_fit", "treated": "in_fit"}).value_counts()
    return Truth(effects, {str(kind): int(n) for kind, n in kinds.items()}, cells * drugs * len(DOSES), len(measured))


def uuid(drug: int) -> str:
    """The key the release gives a drug."""
    return f"00000000-0000-4000-8000-{drug + 1:012d}"


def _cell(name: str, drugs: int, number: int) -> pd.DataFrame:
    """The wells of one cell type: kind, drug and dose (indices), stratum, plate, position."""
    rows = []
    for plate in range(N_PLATES):
        for level, pair in STRATA.items():
            rows += [("vehicle", -1, -1, level, plate)] * N_VEHICLES
            treated = [(drug, dose) for drug in range(drugs) for dose in pair for _ in range(_OF_PLATE)]
            rows += [("treated", drug, dose, level, plate) for drug, dose in treated]
        rows += [("positive_control", -2 - number, -1, 0.625, plate) for number in range(len(POSITIVE))]
    table = pd.DataFrame(rows, columns=["kind", "drug", "dose", "level", "plate"])
    if number == 0:
        table.loc[table.index[table["kind"] == "treated"][0], "kind"] = "zero_library"
    table["position"] = table.groupby("plate").cumcount()
    container = "GDP " + str(number + 1) + "-" + table["plate"].astype(str)
    return table.assign(cell_type=name, container_id=container)


def _genes(planted: Planted, measured: NDArray[np.intp]) -> pd.DataFrame:
    """The gene table: a third more rows without an id, and a second row of the first two ids."""
    some = planted.genes.iloc[measured]
    ids: list[str | None] = [*some["gene_ids"].str[0]]
    symbols: list[str] = some["symbol"].tolist()
    n_without = len(ids) // 2
    ids += [None] * n_without + ids[:2]
    symbols += [f"NOID{at}" for at in range(n_without)] + ["SECOND1", "SECOND2"]
    return pd.DataFrame({"ensembl_gene_id": ids, "symbol": symbols}, index=[f"g{at}" for at in range(len(ids))])


def _counts(planted: Planted, measured: NDArray[np.intp], wells: pd.DataFrame, rng: Generator) -> NDArray[np.int64]:
    """Counts; every level of DMSO moves a fifth of the genes, in all wells that have it."""
    shift = plates.shifts(planted, measured, wells["drug"].clip(lower=-1).to_numpy(), wells["dose"].to_numpy())
    moved = rng.normal(0, 1.5, (len(STRATA), len(measured))) * (rng.random((len(STRATA), len(measured))) < 0.2)
    shift += moved[wells["level"].map({level: at for at, level in enumerate(STRATA)}).to_numpy()]
    poisoned: Floats = rng.normal(0, 2, len(measured)) * (wells["kind"] == "positive_control").to_numpy()[:, None]
    library = wells["library"].to_numpy()
    return plates.counts(planted, measured, shift + poisoned, wells["container_id"].to_numpy(), library, rng)


def _write_matrix(folder: Path, wells: pd.DataFrame, var: pd.DataFrame, counts: NDArray[np.int64]) -> None:
    """X.h5ad; its own tables say nothing that is true."""
    rest = np.full((len(wells), len(var) - counts.shape[1]), 3) * (wells["library"] > 0).to_numpy()[:, None]
    matrix = sp.csr_matrix(np.hstack([counts, rest]).astype(np.float32))
    names = [f"seq{at:05d}" for at in range(len(wells))]
    obs = pd.DataFrame({"sample_type": "not curated", "cell_type": "unknown"}, index=names)
    ad.AnnData(matrix, obs, pd.DataFrame({"symbol": "?"}, index=var.index)).write_h5ad(folder / "X.h5ad")


def _write_tables(folder: Path, wells: pd.DataFrame, var: pd.DataFrame, rng: Generator) -> None:
    names = {-1: "DMSO"} | {-2 - at: name for at, name in enumerate(POSITIVE)}
    table = pd.DataFrame(
        {
            "container_id": wells["container_id"],
            "row_id": wells["position"] // 24 + 1,
            "column_id": wells["position"] % 24 + 1,
            "pert_name": [names.get(drug, f"Compound {drug}") for drug in wells["drug"]],
            "pert_type": "compound",
            "pert_dose": [_dose(*row) for row in wells[["kind", "dose", "level", "plate"]].itertuples(index=False)],
            "pert_time": "24.0h",
            "percent_volume_dmso": wells["level"],
            "sample_type": wells["kind"].map(_TYPES),
            "compound": [DMSO if drug == -1 else uuid(drug) if drug >= 0 else _control(drug) for drug in wells["drug"]],
            "cell_type": pd.Categorical(wells["cell_type"]),
            "organism": "human", "tissue_type": "cell culture", "assay": "DRUG-seq", "suspension_type": "cell",
        }
    )  # fmt: skip
    table.index = pd.Index([f"seq{at:05d}" for at in range(len(wells))], name="sequenced_id")
    further = table.iloc[:1].set_axis(["seq_not_counted"])
    pd.concat([table.sample(frac=1, random_state=rng), further]).to_parquet(folder / "obs.parquet")
    var.sample(frac=1, random_state=rng).to_parquet(folder / "var.parquet")


_TYPES = {
    "vehicle": "Ginkgo Neg Control - DMSO", "treated": "Sample", "zero_library": "Sample",
    "positive_control": "Ginkgo Pos Control - any",
}  # fmt: skip


def _control(drug: int) -> str:
    return f"00000000-0000-4000-8000-{900 - drug:012d}"


def _dose(kind: str, dose: int, level: float, plate: int) -> str:
    """A dose as the table has it: percent of DMSO, nM, or uM on the second plate."""
    if kind == "vehicle":
        return f"{level}%"
    if kind == "positive_control":
        return "10.0uM"
    return f"{DOSES[dose]}uM" if plate else f"{DOSES[dose] * 1000:.10g}nM"


def _compounds(planted: Planted) -> pd.DataFrame:
    rows = [(uuid(at), inchikey(drug.smiles), drug.smiles) for at, (_, drug) in enumerate(planted.drugs)]
    rows.append((DMSO, inchikey("CS(C)=O"), "CS(C)=O"))
    rows += [(_control(-2 - at), "", "") for at in range(len(POSITIVE))]
    return pd.DataFrame(rows, columns=["compound", "inchi_key", "canonical_smiles"])
