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
    names = sorted(path.name for path in folder.iterdir() if path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8", newline="\n")
