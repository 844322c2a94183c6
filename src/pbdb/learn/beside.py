"""What effects say of themselves beside their values: which of their genes are significant, and how much is noise.

Read for the rows that are tested alone, and kept small: a bit for each gene, one number for each row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pbdb.learn.compendium_input import Loaded, gene_keys
from pbdb.learn.effects_of import EffectsOf
from pbdb.learn.models.compendium import Bits, Block, Floats, Mask

SIGNIFICANT = -np.log10(0.05)


@dataclass(frozen=True)
class Beside:
    """Per block: significant genes (p_adj < 0.05) as packed bits, rows x bytes; the sum of squared standard errors.

    Rows that were not asked for have no significant gene, and NaN.
    """

    significant: list[Bits]
    noise: list[Floats]

    def of(self, block: int, rows: Mask, n_genes: int) -> tuple[Mask, Floats]:
        """Significant genes, and the sum of squared standard errors, of some rows of a block."""
        bits = np.unpackbits(self.significant[block][rows], axis=1, count=n_genes)
        return bits.astype(bool), self.noise[block][rows]


def read(place: EffectsOf, loaded: Loaded, rows: Sequence[Mask]) -> Beside:
    """Read both for some rows of each block; the p values are those that the fit shows first."""
    table = place.frame("SELECT gene_key, gene_id FROM core.gene").set_index("gene_id")["gene_key"]
    keys = table.loc[list(loaded.compendium.genes)].to_numpy()
    parts = []
    for i, (block, chosen) in enumerate(zip(loaded.compendium.blocks, rows, strict=True)):
        conditions = loaded.conditions[loaded.conditions["block"] == i].reset_index(drop=True)
        parts.append(_of_block(place, block, conditions[chosen], keys[block.genes]))
    return Beside([bits for bits, _ in parts], [noise for _, noise in parts])


def _of_block(place: EffectsOf, block: Block, conditions: pd.DataFrame, keys: Any) -> tuple[Bits, Floats]:
    bits, noise = np.zeros((len(block), -(-len(keys) // 8)), np.uint8), np.full(len(block), np.nan)
    for fit, own in conditions.groupby("fit_id"):
        ordered = own.sort_values("effect_id")
        of_fit = gene_keys(place, int(str(fit)))
        columns = np.argsort(of_fit)[np.searchsorted(np.sort(of_fit), keys)]
        of = {"fit_id": int(str(fit)), "dataset_id": int(own["dataset_id"].iloc[0])}
        ids, rows = ordered["effect_id"].tolist(), ordered.index.to_numpy()
        p = place.arrays(of, ids, "neg_log10_p_adj", len(of_fit), limma=False)[:, columns]
        bits[rows] = np.packbits(np.nan_to_num(p) > SIGNIFICANT, axis=1)
        se = place.arrays(of, ids, "se", len(of_fit))[:, columns].astype(np.float64)
        known = np.maximum((~np.isnan(se)).sum(axis=1), 1)
        noise[rows] = np.nansum(se**2, axis=1) / known * len(keys)
    return bits, noise
