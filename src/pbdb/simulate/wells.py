"""What simulated plates have in common: counts around planted effects, a gene vocabulary, checksums."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from pbdb.simulate import release
from pbdb.simulate.planted import Floats, Planted


def measured(planted: Planted) -> NDArray[np.intp]:
    """Genes that have an Ensembl id and a symbol to themselves."""
    genes = planted.genes
    return np.flatnonzero(genes["alone"] & ~genes["symbol"].duplicated(keep=False))


def shifts(planted: Planted, genes: NDArray[np.intp], drug: NDArray[np.intp], dose: NDArray[np.intp]) -> Floats:
    """Planted log2 fold changes, wells x genes; drug -1 is none."""
    log2_fc: Floats = np.where((drug >= 0)[:, None], planted.log2_fc[drug, dose][:, genes], 0.0)
    return log2_fc


def counts(
    planted: Planted,
    genes: NDArray[np.intp],
    shift: Floats,
    plates: NDArray[Any],
    library: NDArray[Any],
    rng: Generator,
    plate_sd: float = 0.15,
) -> NDArray[np.int64]:
    """Counts, wells x genes: negative binomial around share x library x effect x plate effect."""
    share, spread = (planted.genes[name].to_numpy()[genes] for name in ("share", "spread"))
    number = pd.factorize(plates)[0]
    effect = rng.normal(0, plate_sd, (number.max() + 1, len(genes)))[number]
    mean = share / share.sum() * library[:, None] * np.exp2(shift + effect)
    counted: NDArray[np.int64] = rng.poisson(mean * rng.gamma(1 / spread, spread, mean.shape))
    return counted


def truth(planted: Planted, genes: NDArray[np.intp]) -> pd.DataFrame:
    """Planted effects on the genes measured: compound, inchikey, dose_um, gene_symbol, gene_id, log2_fc."""
    effects = planted.effects()
    effects = effects[effects["gene_id"].isin(planted.genes["gene_ids"].str[0].to_numpy()[genes])]
    return effects.drop(columns="cmpd_sample_id").reset_index(drop=True)


def write_vocabulary(
    folder: Path, planted: Planted, genes: NDArray[np.intp], renamed: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Write these genes as Ensembl's BioMart exports them; renamed: former symbol -> the one it has there."""
    some = planted.genes.iloc[genes]
    table = pd.DataFrame({"symbol": some["symbol"].replace(dict(renamed)), "gene_id": some["gene_ids"].str[0]})
    release.write_vocabulary(folder / release.VOCABULARY, table, {new: old for old, new in renamed.items()})


def finish(folder: Path, effects: pd.DataFrame) -> None:
    """Write truth.csv, and SHA256SUMS of all that lies there."""
    release.write_truth(folder / release.TRUTH, effects)
    release.write_sums(folder)
