"""Four small screens of the same compounds and cells, with agreement that is known because it was planted.

Against `screen_one`, `screen_two` has the same effects at other doses; `screen_signs` the same genes and directions
but strengths of its own; `screen_apart` effects of its own. In each, all compounds share part of their response.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from pbdb.simulate.known import DRUGS
from pbdb.simulate.planted import Floats, plant
from pbdb.simulate.release import TRUTH, write_truth

DOSES = {
    "screen_one": (0.5, 2.0, 10.0),
    "screen_two": (1.0, 5.0),
    "screen_signs": (2.0, 10.0),
    "screen_apart": (3.0, 10.0),
}
CELLS, VEHICLE = ("U-2 OS", "A549"), "DMSO"
VOCABULARY, LANDMARKS, COMPOUNDS = "genes.tsv", "gene_info.txt", "compounds.csv"
N_LANDMARKS, N_VEHICLES, MEDIAN_UMI, FIRST_ENTREZ = 978, 16, 400_000, 900_000_000
OWN_SHARE, OWN_SIZE, COMMON_SHARE, COMMON_SIZE, PLATE_SIZE = 0.4, 0.8, 0.2, 0.5, 0.15


@dataclass(frozen=True)
class Truth:
    """What was planted: log2 fold changes, compounds x doses x genes, by dataset; its compounds and Ensembl ids."""

    log2_fc: dict[str, Floats]
    compounds: list[str]
    gene_ids: list[str]


def write_screens(
    folder: str | Path, *, compounds: int = 24, replicates: int = 3, genes: int = 1500, seed: int = 20260505
) -> Truth:
    """Write counts and sheet of each screen, the compounds, and gene tables; a seed fixes every byte."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    base = plant(compounds, sorted({dose for doses in DOSES.values() for dose in doses}), genes, rng)
    table = base.genes.assign(gene_id=base.genes["gene_ids"].str[0]).drop_duplicates("gene_id")
    kept = table.index.to_numpy()
    responses = _responses(base.log2_fc[:, :, kept], base.doses, rng)
    for dataset, log2_fc in responses.items():
        _write_screen(folder, dataset, log2_fc, table, replicates, rng)
    _write_genes(folder, table)
    rows = [(drug.name, drug.smiles, drug.mechanism) for _, drug in base.drugs]
    words = pd.DataFrame([*rows, (VEHICLE, "CS(C)=O", "")], columns=["compound", "smiles", "moa"])
    words.to_csv(folder / COMPOUNDS, index=False, lineterminator="\n")
    truth = Truth(responses, [row[0] for row in rows], table["gene_id"].tolist())
    write_truth(folder / TRUTH, strong(truth))
    return truth


def strong(truth: Truth) -> pd.DataFrame:
    """What was planted of a doubling or more: dataset, compound, dose_um, gene_id, log2_fc."""
    parts = []
    for dataset, values in truth.log2_fc.items():
        drug, dose, gene = np.nonzero(np.abs(values) >= 1)
        parts.append(
            pd.DataFrame(
                {
                    "dataset": dataset,
                    "compound": np.array(truth.compounds)[drug],
                    "dose_um": np.array(DOSES[dataset])[dose],
                    "gene_id": np.array(truth.gene_ids)[gene],
                    "log2_fc": values[drug, dose, gene].round(4),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _responses(planted: Floats, doses: list[float], rng: Generator) -> dict[str, Floats]:
    """Log2 fold changes of each screen, compounds x its doses x genes."""
    n_drugs, _, n_genes = planted.shape
    curve = (np.array(doses) / (np.array(doses) + 1))[:, None]
    responses = planted + _own(n_drugs, n_genes, rng)[:, None] * curve
    kinds = {
        "screen_one": responses,
        "screen_two": responses,
        "screen_signs": _strengths_shuffled(responses, rng),
        "screen_apart": _own(n_drugs, n_genes, rng)[:, None] * curve,
    }
    return {name: values[:, [doses.index(dose) for dose in DOSES[name]]] for name, values in kinds.items()}


def _own(n_drugs: int, n_genes: int, rng: Generator) -> Floats:
    """What each compound does beside its mechanism, and what all do."""
    of_drug = OWN_SIZE * rng.normal(size=(n_drugs, n_genes)) * (rng.random((n_drugs, n_genes)) < OWN_SHARE)
    return of_drug + COMMON_SIZE * rng.normal(size=n_genes) * (rng.random(n_genes) < COMMON_SHARE)


def _strengths_shuffled(values: Floats, rng: Generator) -> Floats:
    """The same genes in the same directions; each compound's strengths change places among its genes."""
    shuffled = np.zeros_like(values)
    for drug, rows in enumerate(values):
        moved = np.flatnonzero((rows != 0).any(axis=0))
        shuffled[drug][:, moved] = np.sign(rows[:, moved]) * np.abs(rows[:, rng.permutation(moved)])
    return shuffled


def _write_screen(
    folder: Path, dataset: str, log2_fc: Floats, genes: pd.DataFrame, replicates: int, rng: Generator
) -> None:
    wells = _wells(dataset, len(log2_fc), replicates)
    counts = _counts(wells, log2_fc, genes, rng)
    table = pd.DataFrame(counts, index=pd.Index(genes["gene_id"], name="gene"), columns=wells["sample"])
    table.to_csv(folder / f"{dataset}-counts.csv.gz", compression={"method": "gzip", "mtime": 1}, lineterminator="\n")
    sheet = wells.drop(columns=["drug", "at"])
    sheet.to_csv(folder / f"{dataset}-wells.csv", index=False, lineterminator="\n", float_format="%g")


def _wells(dataset: str, n_drugs: int, replicates: int) -> pd.DataFrame:
    """Wells of all plates: one plate for each replicate and cell line."""
    rows = []
    for cells in CELLS:
        for replicate in range(replicates):
            content = [(VEHICLE, np.nan, -1, -1)] * N_VEHICLES
            content += [(DRUGS[n].name, dose, n, at) for n in range(n_drugs) for at, dose in enumerate(DOSES[dataset])]
            plate = f"{cells.replace(' ', '')}-{replicate + 1}"
            rows += [(f"{plate}_{well:03}", plate, cells, *of_well) for well, of_well in enumerate(content)]
    return pd.DataFrame(rows, columns=["sample", "plate", "cells", "compound", "dose_um", "drug", "at"])


def _counts(wells: pd.DataFrame, log2_fc: Floats, genes: pd.DataFrame, rng: Generator) -> NDArray[np.int64]:
    """UMI counts, genes x wells: negative binomial around share x library x effect x plate effect."""
    share, spread = (genes[name].to_numpy()[:, None] for name in ("share", "spread"))
    drug, at = wells["drug"].to_numpy(), wells["at"].to_numpy()
    plates = wells["plate"].factorize()[0]
    shift = rng.normal(0, PLATE_SIZE, (len(genes), plates.max() + 1))[:, plates]
    shift += np.where(drug >= 0, log2_fc[drug, at].T, 0)
    library = MEDIAN_UMI * rng.lognormal(0, 0.15, len(wells))
    mean = share / share.sum() * library * np.exp2(shift)
    counts: NDArray[np.int64] = rng.poisson(mean * rng.gamma(1 / spread, spread, mean.shape))
    return counts


def _write_genes(folder: Path, genes: pd.DataFrame) -> None:
    """Write the genes as Ensembl's BioMart exports them, and a panel of landmarks as L1000 publishes it."""
    entrez = FIRST_ENTREZ + np.arange(len(genes))
    table = {"Gene stable ID": genes["gene_id"], "Gene name": genes["symbol"], "Gene type": "protein_coding"}
    table["NCBI gene (formerly Entrezgene) ID"] = entrez
    pd.DataFrame(table).to_csv(folder / VOCABULARY, sep="\t", index=False, lineterminator="\n")
    first = genes["share"].rank(method="first", ascending=False).to_numpy() <= N_LANDMARKS
    panel = {"pr_gene_id": entrez, "pr_gene_symbol": genes["symbol"], "pr_is_lm": first.astype(int)}
    pd.DataFrame(panel).to_csv(folder / LANDMARKS, sep="\t", index=False, lineterminator="\n")
