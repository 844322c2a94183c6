"""What simulated releases of sequenced cells share: genes to measure, counts around planted effects, and side files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from pbdb.simulate.planted import Floats, Planted

TRUTH, VOCABULARY = "truth.csv", "genes.tsv"


def measured_genes(planted: Planted, first: Iterable[str] = ()) -> pd.DataFrame:
    """Genes with an Ensembl id and a symbol of their own: position in `planted`, symbol, gene_id, share, spread.

    first: symbols of genes that stand in front.
    """
    table = planted.genes.assign(position=np.arange(len(planted.genes)), gene_id=planted.genes["gene_ids"].str[0])
    table = table[table["alone"] & ~table["symbol"].duplicated(keep=False)]
    is_first = table["symbol"].isin(set(first))
    table = pd.concat([table[is_first], table[~is_first]], ignore_index=True)
    return table[["position", "symbol", "gene_id", "share", "spread"]]


def pooled_counts(
    share: Floats, spread: Floats, library: Floats, shift: Floats, plate_shift: Floats, rng: Generator
) -> NDArray[np.int64]:
    """Counts of pseudobulks, samples x genes: negative binomial around share x library x effect x plate effect.

    share, spread: of genes; library: of samples; shift, plate_shift: samples x genes, log2.
    """
    mean = (share / share.sum()) * library[:, None] * np.exp2(shift + plate_shift)
    counts: NDArray[np.int64] = rng.poisson(mean * rng.gamma(1 / spread, spread, mean.shape))
    return counts


def write_vocabulary(path: Path, genes: pd.DataFrame, synonyms: Mapping[str, str] | None = None) -> None:
    """Write genes (symbol, gene_id) as Ensembl's BioMart exports them; synonyms: of a symbol, another name."""
    table = pd.DataFrame(
        {
            "Gene stable ID": genes["gene_id"],
            "Gene name": genes["symbol"],
            "Gene type": "protein_coding",
            "Gene Synonym": genes["symbol"].map(dict(synonyms or {})),
        }
    )
    table.to_csv(path, sep="\t", index=False, lineterminator="\n")


def write_truth(path: Path, effects: pd.DataFrame) -> None:
    """Write what was planted; that the file is there tells a load that the release is simulated."""
    effects.to_csv(path, index=False, lineterminator="\n")


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS of everything in the folder."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    names = sorted(path.relative_to(folder).as_posix() for path in files)
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8", newline="\n")


# --- single cells --------------------------------------------------------------------------------------------

MALAT1 = ("MALAT1", "ENSG00000251562")
MITOCHONDRIAL = (("MT-CO1", "ENSG00000198804"), ("MT-ND1", "ENSG00000198888"))
FEWEST_GENES, FEWEST_COUNTS, MOST_MITO, LEAST_MALAT1 = 250, 700, 0.2, 3.5


def with_marker_genes(genes: pd.DataFrame) -> pd.DataFrame:
    """Genes of `measured_genes` and, behind them, those that tell good cells from bad ones; these do not respond."""
    markers = pd.DataFrame([MALAT1, *MITOCHONDRIAL], columns=["symbol", "gene_id"])
    share = genes["share"] / genes["share"].sum()
    markers = markers.assign(position=-1, share=[0.04, 0.03, 0.03], spread=0.02)
    return pd.concat([genes.assign(share=share * 0.9), markers[genes.columns]], ignore_index=True)


def shifts(planted: Planted, genes: pd.DataFrame, drug: NDArray[np.intp], dose: NDArray[np.intp]) -> Floats:
    """Planted log2 fold changes of samples x genes; a drug of -1 does nothing."""
    place = genes["position"].to_numpy()
    responds = (drug >= 0)[:, None] & (place >= 0)
    return np.where(responds, planted.log2_fc[drug, dose][:, place], 0.0)


def group_shifts(samples: pd.DataFrame, genes: pd.DataFrame, rng: Generator) -> Floats:
    """Log2 shifts of samples x genes by `cell_line` and by `plate`; markers stay as they are."""
    total = np.zeros((len(samples), len(genes)))
    for name, size in (("cell_line", 0.6), ("plate", 0.2)):
        codes = samples[name].factorize()[0]
        total += rng.normal(0, size, (codes.max() + 1, len(genes)))[codes]
    return np.where((genes["position"] < 0).to_numpy(), 0.0, total)


def single_cells(
    genes: pd.DataFrame, shift: Floats, sample: NDArray[np.intp], kinds: NDArray[np.str_], rng: Generator
) -> NDArray[np.int64]:
    """Counts of cells x genes. shift: samples x genes, log2; sample: of each cell.

    kinds: `good`, or what is wrong with a cell: `empty`, `dying` (mitochondrial), `silent` (without MALAT1).
    """
    spread, n = genes["spread"].to_numpy(), len(sample)
    share = genes["share"].to_numpy() * np.exp2(shift) * rng.gamma(1 / spread, spread, shift.shape)
    share = share / share.sum(axis=1, keepdims=True)
    weight = np.ones((n, len(genes)))
    weight[np.ix_(kinds == "dying", genes["symbol"].str.startswith("MT-").to_numpy(dtype=bool))] = 20
    weight[np.ix_(kinds == "silent", (genes["symbol"] == MALAT1[0]).to_numpy(dtype=bool))] = 0
    library = np.where(kinds == "empty", 60, 3_000 * rng.lognormal(0, 0.15, n))
    counts: NDArray[np.int64] = rng.poisson(share[sample] * weight * library[:, None])
    return counts


def reasons(genes: pd.DataFrame, counts: NDArray[np.int64], is_null: NDArray[np.bool_], null: str) -> NDArray[np.str_]:
    """Why each cell is in no sample, '' for those that are; null: the first key that cells without one lack."""
    total = counts.sum(axis=1)
    mito = counts[:, genes["symbol"].str.startswith("MT-").to_numpy(dtype=bool)].sum(axis=1) / total
    malat1 = np.log1p(10_000 * counts[:, (genes["symbol"] == MALAT1[0]).to_numpy(dtype=bool)].sum(axis=1) / total)
    rules = {
        "few_genes": (counts > 0).sum(axis=1) < FEWEST_GENES,
        "few_counts": total < FEWEST_COUNTS,
        "mitochondrial": mito > MOST_MITO,
        f"null {null}": is_null,
        "low_malat1": malat1 < LEAST_MALAT1,
    }
    return np.select(list(rules.values()), list(rules), default="")


def counted(reasons: NDArray[np.str_]) -> dict[str, int]:
    """Cells in no sample, by reason."""
    names, n = np.unique(reasons[reasons != ""], return_counts=True)
    return {str(name): int(count) for name, count in zip(names, n, strict=True)}
