"""Genes, drugs and the effects planted on them: what a simulated release is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray
from rdkit import Chem

from pbdb.simulate.known import DRUGS, GENES, MECHANISMS, Drug

Floats = NDArray[np.float64]

_CHROMOSOMES = [*map(str, range(1, 23)), "X"]
_LETTERS = list("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_MADE_UP_RESPONDERS = 25


@dataclass(frozen=True)
class Planted:
    """What is measured and what is true.

    genes: geneID (`SYMBOL,grch38_chromosome`), symbol, gene_ids (list of Ensembl ids), alone (it has one Ensembl
    id and no other has it), share (of the UMI of an untreated well), spread (dispersion). drugs: code and drug.
    log2_fc: drugs x doses x genes.
    """

    genes: pd.DataFrame
    drugs: list[tuple[str, Drug]]
    doses: list[float]
    log2_fc: Floats

    def effects(self) -> pd.DataFrame:
        """What responds: compound, cmpd_sample_id, inchikey, dose_um, gene_symbol, gene_id, log2_fc."""
        drug, dose, gene = np.nonzero(self.log2_fc)
        keys = [inchikey(d.smiles) for _, d in self.drugs]
        frame = pd.DataFrame(
            {
                "compound": [self.drugs[i][1].name for i in drug],
                "cmpd_sample_id": [self.drugs[i][0] for i in drug],
                "inchikey": [keys[i] for i in drug],
                "dose_um": np.array(self.doses, float)[dose],
                "gene_symbol": self.genes["symbol"].to_numpy()[gene],
                "gene_id": self.genes["gene_ids"].str[0].to_numpy()[gene],
                "log2_fc": self.log2_fc[drug, dose, gene],
            }
        )
        return frame.sort_values(["compound", "dose_um", "gene_id"], ignore_index=True)


def plant(n_drugs: int, doses: Sequence[float], n_genes: int, rng: Generator) -> Planted:
    """Make genes and drugs, and give every drug the effects of its mechanism, growing with the dose (uM)."""
    genes = _genes(n_genes, rng)
    drugs = list(zip(_codes(n_drugs, rng), DRUGS, strict=False))
    largest = {mechanism: _profile(known, genes, rng) for mechanism, known in MECHANISMS.items()}
    log2_fc = np.zeros((n_drugs, len(doses), n_genes))
    for i, (_, drug) in enumerate(drugs):
        strength = rng.uniform(0.8, 1.1)
        for j, dose in enumerate(doses):
            log2_fc[i, j] = strength * largest[drug.mechanism] * dose / (dose + drug.ec50_um)
    return Planted(genes, drugs, list(doses), log2_fc.round(4))


def inchikey(smiles: str) -> str:
    """The InChIKey of a SMILES known to be right."""
    return str(Chem.MolToInchiKey(Chem.MolFromSmiles(smiles)))


def _genes(n: int, rng: Generator) -> pd.DataFrame:
    """Well-known genes and made-up ones, shuffled; a quarter of the made-up ones is not expressed."""
    n_known = len(GENES)
    level = rng.lognormal(1.5, 1.6, n) * (rng.random(n) < 0.75)
    level[:n_known] = rng.lognormal(3.0, 0.5, n_known)
    symbols, chromosomes = _names(n - n_known)
    gene_ids = _gene_ids(n - n_known)
    table = pd.DataFrame(
        {
            "geneID": [f"{s},grch38_{c}" for s, c in zip(symbols, chromosomes, strict=True)],
            "symbol": symbols,
            "gene_ids": gene_ids,
            "alone": _alone(gene_ids),
            "share": level / level.sum(),
            "spread": rng.uniform(0.02, 0.12, n),
        }
    )
    return table.sample(frac=1, random_state=rng, ignore_index=True)


def _names(n_made_up: int) -> tuple[list[str], list[str]]:
    """Symbols and chromosomes; one made-up symbol in 200 is there twice, on X and on Y."""
    symbols = [gene.symbol for gene in GENES] + [_symbol(i) for i in range(n_made_up)]
    chromosomes = [gene.chromosome for gene in GENES]
    chromosomes += [_CHROMOSOMES[i % len(_CHROMOSOMES)] for i in range(n_made_up)]
    for x in range(len(GENES) + 199, len(symbols), 200):
        symbols[x - 1] = symbols[x]
        chromosomes[x], chromosomes[x - 1] = "X", "Y"
    return symbols, chromosomes


def _symbol(i: int) -> str:
    """A symbol no gene has."""
    consonants, vowels = "BCDFGKLMNPRSTVWZ", "AEIOU"
    stem, member = divmod(i, 20)
    return f"Q{consonants[stem % 16]}{vowels[stem // 16 % 5]}{consonants[stem // 80 % 16]}X{member + 1}"


def _gene_ids(n_made_up: int) -> list[list[str]]:
    """Ensembl ids, beyond those in use; of 150 genes one has its neighbour's id too, and one has two of its own."""
    gene_ids = [[gene.gene_id] for gene in GENES] + [[f"ENSG00000{900_000 + i}"] for i in range(n_made_up)]
    for trio in range(n_made_up // 150):
        first, neighbour, second = (gene_ids[len(GENES) + 150 * trio + k] for k in range(3))
        first.append(neighbour[0])
        second.append(f"ENSG00000{990_000 + trio}")
    return gene_ids


def _alone(gene_ids: list[list[str]]) -> list[bool]:
    shared = {gene_id for several in gene_ids if len(several) > 1 for gene_id in several}
    return [not shared.intersection(several) for several in gene_ids]


def _codes(n: int, rng: Generator) -> list[str]:
    """Different codes such as AB-12-CD34."""
    codes: dict[str, None] = {}
    while len(codes) < n:
        a, b, c, d = rng.choice(_LETTERS, 4)
        codes[f"{a}{b}-{rng.integers(100):02d}-{c}{d}{rng.integers(100):02d}"] = None
    return list(codes)


def _profile(known: dict[str, float], genes: pd.DataFrame, rng: Generator) -> Floats:
    """Largest log2 fold change per gene: the well-known genes, and some expressed made-up ones."""
    profile = np.array([known.get(symbol, 0.0) for symbol in genes["symbol"]])
    if known:
        made_up = ~genes["symbol"].isin([gene.symbol for gene in GENES])
        candidates = np.flatnonzero(genes["alone"] & made_up & (genes["share"] > 5e-5))
        chosen = rng.choice(candidates, _MADE_UP_RESPONDERS, replace=False)
        profile[chosen] = rng.normal(0, 1.2, _MADE_UP_RESPONDERS)
    return profile
