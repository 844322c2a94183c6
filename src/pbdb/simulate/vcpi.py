"""Two small VCPI releases as the provider's client hands them out, with effects that are known because planted.

Their traps are those of the published tables: `is_control` holds reference compounds too and is text, rows stand
twice, ids of compounds are numbers, doses are nM in one release and uM in the other, genes come with spike-ins, and a
few wells stand in one table only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from pbdb.simulate import wells as plates
from pbdb.simulate.planted import Planted, inchikey, plant

RELEASES = {"vcpi_0001": "vcpi-0001", "vcpi_0002": "vcpi-0002"}
DOSES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
REFERENCES = ("Staurosporine", "Brefeldin A")
N_DRUGS, N_PLATES, N_VEHICLES, N_SPIKES, MEDIAN_UMI = 8, 2, 6, 5, 60_000
DMSO, UNTOLD = "7d0a0000-0000-4000-8000-000000000000", 7
"""DMSO's key, and a drug of which only its number is told."""


@dataclass
class Truth:
    """What was planted.

    effects: compound, inchikey, dose_um, gene_symbol, gene_id, log2_fc; what is not listed does not respond. By
    dataset: wells by flag (`in_fit` without one), profiles left_out by kind, number of treated conditions.
    """

    effects: pd.DataFrame
    genes: int
    wells: dict[str, dict[str, int]] = field(default_factory=dict)
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    conditions: dict[str, int] = field(default_factory=dict)


def write(folder: str | Path, *, genes: int = 500, seed: int = 20260117) -> Truth:
    """Write both releases, truth.csv and SHA256SUMS; a seed fixes every byte."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    planted = plant(N_DRUGS, DOSES, genes, rng)
    measured = plates.measured(planted)
    truth = Truth(plates.truth(planted, measured), len(measured))
    for dataset in RELEASES:
        _write(folder, dataset, planted, measured, truth, rng)
    plates.finish(folder, truth.effects)
    return truth


def uuid(drug: int) -> str:
    """The key the releases give a drug."""
    return f"7d0a0000-0000-4000-8000-{drug + 1:012d}"


def number(drug: int) -> str:
    """The id of a drug in the provider's store, which is no name of it."""
    return str(9_251_300 + drug)


def _write(
    folder: Path, dataset: str, planted: Planted, measured: NDArray[np.intp], truth: Truth, rng: Generator
) -> None:
    wells = _wells(dataset, rng)
    shift = plates.shifts(planted, measured, wells["drug"].clip(lower=-1).to_numpy(), wells["dose"].to_numpy())
    shift += rng.normal(0, 2, len(measured)) * (wells["kind"] == "positive_control").to_numpy()[:, None]
    names = wells["container_id"].to_numpy()
    counts = plates.counts(planted, measured, shift, names, wells["library"].to_numpy(), rng)
    gene_ids = planted.genes["gene_ids"].str[0].to_numpy()[measured]
    _write_data(folder, dataset, wells, counts, gene_ids, rng)
    _metadata(wells, dataset, rng).to_parquet(folder / f"{RELEASES[dataset]}_metadata.parquet")
    _chemistry(planted).to_parquet(folder / f"{RELEASES[dataset]}_chemistry.parquet")
    kinds = wells["kind"].replace({"vehicle": "in_fit", "treated": "in_fit"}).value_counts()
    truth.wells[dataset] = {str(kind): int(n) for kind, n in kinds.items()}
    truth.left_out[dataset] = {"profile without_counts": 1, "profile without_metadata": 1}
    truth.conditions[dataset] = int(wells[wells["drug"] >= 0].groupby(["drug", "dose"]).ngroups)


def _wells(dataset: str, rng: Generator) -> pd.DataFrame:
    """Kind, drug and dose (indices), plate and library of every well; the second release has half the drugs."""
    drugs = range(N_DRUGS) if dataset == "vcpi_0001" else range(0, N_DRUGS, 2)
    rows = []
    for plate in range(N_PLATES):
        rows += [("vehicle", -1, -1, plate)] * N_VEHICLES
        rows += [("treated", drug, dose, plate) for drug in drugs for dose in range(len(DOSES))]
        rows += [("positive_control", -2 - at, -1, plate) for at in range(len(REFERENCES))]
    table = pd.DataFrame(rows, columns=["kind", "drug", "dose", "plate"])
    table.loc[table.index[table["kind"] == "treated"][0], "kind"] = "zero_library"
    table["library"] = MEDIAN_UMI * rng.lognormal(0, 0.2, len(table)) * (table["kind"] != "zero_library")
    first = 101_160_268 if dataset == "vcpi_0001" else 201_160_268
    return table.assign(
        sequenced_id=[str(first + at) for at in range(len(table))],
        container_id=dataset[-1] + "-PL " + table["plate"].astype(str),
        position=table.groupby("plate").cumcount(),
    )


def _write_data(
    folder: Path, dataset: str, wells: pd.DataFrame, counts: NDArray[np.int64], gene_ids: NDArray[np.object_],
    rng: Generator,
) -> None:  # fmt: skip
    """The wide table; one of its columns stands in no other table, and a spike-in was seen in every well."""
    spikes = rng.poisson(50, (len(wells), N_SPIKES))
    values = np.hstack([counts, spikes]).T
    names = [*gene_ids, *(f"ERCC-{at:05d}" for at in range(N_SPIKES))]
    table = pd.DataFrame(values, columns=wells["sequenced_id"].tolist())
    table["999999999"] = values[:, 0]
    table.insert(0, "gene_id", names)
    table.to_parquet(folder / f"{RELEASES[dataset]}_data.parquet")


def _metadata(wells: pd.DataFrame, dataset: str, rng: Generator) -> pd.DataFrame:
    """The sample table, in no order: a row stands twice and one has no counts; controls are told in text."""
    names = {-1: "DMSO"} | {-2 - at: name for at, name in enumerate(REFERENCES)}
    is_nm = dataset == "vcpi_0001"
    doses = [DOSES[dose] * (1000 if is_nm else 1) if drug >= 0 else 10.0 for drug, dose in _pairs(wells)]
    table = pd.DataFrame(
        {
            "sequenced_id": wells["sequenced_id"],
            "job_id": dataset,
            "container_id": wells["container_id"],
            "row_id": wells["position"] // 24 + 1,
            "column_id": wells["position"] % 24 + 1,
            "compound": [_key(drug) for drug in wells["drug"]],
            "user_compound_id": [names.get(drug, number(drug)) for drug in wells["drug"]],
            "compound_concentration": np.where(wells["drug"] == -1, 0.15, np.round(doses, 6)),
            "compound_concentration_unit": np.where(wells["drug"] == -1, "%", "nM" if is_nm else "uM"),
            "timepoint": "24h",
            "cell_line": "THP-1",
            "is_control": np.where(wells["drug"] < 0, "True", "False"),
        }
    )
    without = table.tail(1).assign(sequenced_id="888888888")
    both = pd.concat([table, table.head(1), without], ignore_index=True)
    return both.sample(frac=1, random_state=rng, ignore_index=True)


def _pairs(wells: pd.DataFrame) -> list[tuple[int, int]]:
    return list(zip(wells["drug"].tolist(), wells["dose"].tolist(), strict=True))


def _key(drug: int) -> str:
    return DMSO if drug == -1 else uuid(drug) if drug >= 0 else uuid(900 - drug)


def _chemistry(planted: Planted) -> pd.DataFrame:
    """Structures by key; a row stands twice, and the reference compounds stand in no row."""
    rows: list[tuple[str, str, str | None, str | None]] = [(DMSO, "DMSO", inchikey("CS(C)=O"), "CS(C)=O")]
    for at, (_, drug) in enumerate(planted.drugs):
        has_structure = at != UNTOLD
        rows.append(
            (
                uuid(at),
                number(at),
                inchikey(drug.smiles) if has_structure else None,
                drug.smiles if has_structure else None,
            )
        )
    columns = ["compound", "user_compound_id", "inchi_key", "canonical_smiles"]
    return pd.DataFrame([*rows, rows[1]], columns=columns)
