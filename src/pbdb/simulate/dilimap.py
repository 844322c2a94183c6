"""Small DILImap releases, training and validation, in the published layout, with effects known because planted.

Their traps are those of the published files: names of wells stand several times, doses differ in the fourth digit,
vehicle wells carry a dose, the splits have other genes in another order, and wells fail for every reason quality
control knows, one of them only while the training split is loaded alone.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.random import Generator
from numpy.typing import NDArray

from pbdb.simulate import wells as plates
from pbdb.simulate.planted import Planted, plant

DOSES = (1.0, 10.0, 31.62)
WRITTEN = {("train", 1): (1.0, 10.003, 31.62), ("val", 0): (1.0, 10.0, 31.6)}
"""Doses as some plates have them; the others have them as DOSES."""
N_DRUGS, TRAINING_PLATES, DRUGS_A_PLATE, N_REPLICATES, N_VEHICLES = 8, 3, 2, 3, 6
LOG10_LIBRARY = {"train": 6.0, "val": 5.5}
BORDERLINE, ALIAS, UNLISTED = "BORDER", "Imipramine2", 7
"""Well that passes only beside the validation split, a name only an alias knows, and a drug without structure."""
_ODD = ("failed_ldh", "low_counts", "high_mito", "low_correlation", "borderline")
_N_MITO = 3
UNKNOWN_GENE, N_LACKING = 200, 7


@dataclass(frozen=True)
class Truth:
    """What was planted.

    effects: compound, inchikey, dose_um, gene_symbol, gene_id, log2_fc; what is not listed does not respond. wells: by
    dataset and flag (`in_fit` without one). conditions: treated ones by dataset.
    """

    effects: pd.DataFrame
    wells: dict[str, dict[str, int]]
    conditions: dict[str, int]


def write(folder: str | Path, *, genes: int = 500, seed: int = 10) -> Truth:
    """Write both splits, the label table, truth.csv and SHA256SUMS; a seed fixes every byte."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    planted = plant(N_DRUGS, DOSES, genes, rng)
    planted = replace(planted, genes=planted.genes.assign(spread=0.0004))  # replicates that agree to 0.99 and better
    measured = plates.measured(planted)
    splits = {"train": _split("train", planted), "val": _split("val", planted)}
    for split, name in (("train", "training"), ("val", "validation")):
        _write_counts(folder / f"adata_{name}_counts.h5ad", splits[split], planted, measured, rng)
    _labels(planted).to_csv(folder / "compound_DILI_labels.csv", index=False, lineterminator="\n")
    effects = plates.truth(planted, measured)
    effects = effects.assign(compound=effects["compound"].replace({planted.drugs[0][1].name: ALIAS}))
    plates.finish(folder, effects)
    return Truth(effects, _worth(splits), {"dilimap_train": 18, "dilimap_train_val": 24})


def name_of(planted: Planted, drug: int) -> str:
    """Name of a drug in the release."""
    return ALIAS if drug == 0 else planted.drugs[drug][1].name


def _split(split: str, planted: Planted) -> pd.DataFrame:
    """The wells of a split: kind, drug, dose (indices), what the sheet says, and log10 of the library."""
    n_plates = TRAINING_PLATES if split == "train" else 1
    first = 0 if split == "train" else TRAINING_PLATES * DRUGS_A_PLATE
    rows = []
    for plate in range(n_plates):
        drugs = range(first + plate * DRUGS_A_PLATE, first + (plate + 1) * DRUGS_A_PLATE)
        rows += [("vehicle", -1, -1, plate)] * N_VEHICLES + [("replaced_vehicle", -2, -1, plate)]
        rows += [("treated", d, dose, plate) for d in drugs for dose in range(len(DOSES)) for _ in range(N_REPLICATES)]
    table = pd.DataFrame(rows, columns=["kind", "drug", "dose", "plate"])
    table["well"] = table.groupby("plate").cumcount().map(lambda at: f"{chr(65 + at // 12)}{at % 12 + 1:02d}")
    if split == "train":  # one well of five conditions, each for another reason
        odd = table.index[table["kind"] == "treated"][::N_REPLICATES][: len(_ODD)]
        table.loc[odd, "kind"] = list(_ODD)
        table.loc[odd[-1], "well"] = BORDERLINE
    table["log10"] = LOG10_LIBRARY[split] + table["kind"].map({"low_counts": -2.0, "borderline": -0.7}).fillna(0)
    table["compound"] = [
        "DMSO" if drug == -1 else "DMSO_replaced" if drug == -2 else name_of(planted, drug) for drug in table["drug"]
    ]
    written_as = [WRITTEN.get((split, plate), DOSES) for plate in table["plate"]]
    table["written"] = [doses[dose] for doses, dose in zip(written_as, table["dose"], strict=True)]
    return table.assign(split=split)


def _write_counts(
    path: Path, wells: pd.DataFrame, planted: Planted, measured: NDArray[np.intp], rng: Generator
) -> None:
    """Write one h5ad; its observations are called by their wells, which every plate has again."""
    shift = plates.shifts(planted, measured, wells["drug"].clip(lower=-1).to_numpy(), wells["dose"].to_numpy())
    mito = _mito(planted, measured)
    shift[:, mito] += 12.0 * (wells["kind"] == "high_mito").to_numpy()[:, None]
    library = 10 ** wells["log10"].to_numpy()
    counts = plates.counts(planted, measured, shift, wells["plate"].to_numpy(), library, rng)
    garbled = np.flatnonzero(wells["kind"] == "low_correlation")
    counts[garbled] = rng.permuted(counts[garbled], axis=1)
    counts[np.ix_(garbled, mito)] = 0
    some = planted.genes.iloc[measured]
    symbols = some["symbol"].to_numpy(dtype=object).copy()
    symbols[mito] = [f"MT-ND{at + 1}" for at in range(_N_MITO)]
    var = pd.DataFrame({"gene_id": some["gene_ids"].str[0].to_numpy()}, index=symbols)
    var.loc[symbols[UNKNOWN_GENE], "gene_id"] = "LRG_1"
    if "val" in wells["split"].to_numpy():  # in another order, and without some
        order = np.sort(rng.permutation(len(var))[N_LACKING:])[::-1]
        counts, var = counts[:, order], var.iloc[order]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Observation names are not unique")
        ad.AnnData(sp.csr_matrix(counts.astype(np.float32)), _obs(wells), var).write_h5ad(path)


def _mito(planted: Planted, measured: NDArray[np.intp]) -> NDArray[np.intp]:
    """Genes that stand for mitochondrial ones: little expressed, and moved by nothing."""
    quiet = (planted.log2_fc[:, :, measured] == 0).all(axis=(0, 1))
    share = planted.genes["share"].to_numpy()[measured]
    order = np.argsort(np.where(quiet & (share > 0), share, np.inf), kind="stable")
    return order[20 : 20 + _N_MITO]


def _obs(wells: pd.DataFrame) -> pd.DataFrame:
    plate = wells["split"].str.upper() + "_P" + (wells["plate"] + 1).astype(str)
    columns = {
        "COMPOUND": wells["compound"],
        "CONCENTRATION_UM": wells["written"],
        "TIMEPOINT_HOURS": 24,
        "PLATE_NAME": plate,
        "WELL_ID": wells["well"],
        "LIBRARY_ID": "LIB_" + plate + "_" + wells["well"],
        "SPECIES": "Human ",
        "BATCH_ID": "B1",
        "SPLIT": wells["split"],
        "LDH_QC": np.where(wells["kind"] == "failed_ldh", "LDH high", ""),
        "CMPD_DOSE": wells["compound"] + "_" + wells["written"].astype(str).where(wells["drug"] >= 0, "0"),
    }
    return pd.DataFrame(columns).set_axis(wells["well"].to_numpy(), axis=0)


def _labels(planted: Planted) -> pd.DataFrame:
    """The label table by name; it knows neither the drug under an alias nor the last one."""
    rows = [
        (drug.name, drug.smiles, "DILI" if at % 2 else "No-DILI", "high")
        for at, (_, drug) in enumerate(planted.drugs)
        if at not in (0, UNLISTED)
    ]
    return pd.DataFrame(rows, columns=["compound_name", "smiles", "DILI_label", "DILI_confidence"])


def _worth(splits: dict[str, pd.DataFrame]) -> dict[str, dict[str, int]]:
    """Wells by flag; the borderline well passes where the limit of counts is lower."""
    counts_of = {}
    for dataset, parts in (("dilimap_train", ["train"]), ("dilimap_train_val", ["train", "val"])):
        kinds = pd.concat([splits[part]["kind"] for part in parts])
        lone = "low_counts" if len(parts) == 1 else "in_fit"
        named = kinds.replace({"vehicle": "in_fit", "treated": "in_fit", "borderline": lone})
        counts_of[dataset] = {str(kind): int(n) for kind, n in named.value_counts().items()}
    return counts_of
