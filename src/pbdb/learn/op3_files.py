"""The OP3 benchmark's own files: de_train and de_test, compounds and cell types x genes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pbdb.common.errors import DataError, first_line
from pbdb.identity.compounds import structure
from pbdb.learn.compendium_input import NAMED, Loaded
from pbdb.learn.models.compendium import Bits, Block, Compendium

LAYER = "clipped_sign_log10_pval"
NEEDED = ("sm_name", "cell_type", "SMILES")
DATASET = "op3"


def read(files: Sequence[Path]) -> Loaded:
    """Read the files as one set of conditions: values are sign(log2_fc) x -log10 p, within 4 of zero.

    Raises:
        DataError: a file cannot be read, lacks a column or the layer, or files have other genes.
    """
    tables = [_table(path) for path in files]
    genes = tables[0][1].columns
    if any(not values.columns.equals(genes) for _, values in tables):
        raise DataError(f"The files {' and '.join(map(str, files))} have different genes.")
    obs = pd.concat([obs for obs, _ in tables], ignore_index=True)
    values = np.vstack([values.to_numpy(dtype=np.float32) for _, values in tables])
    obs, prints = _identified(obs)
    names, position = np.unique(obs["compound"], return_inverse=True)
    order = np.argsort(obs["cell_type"].to_numpy(), kind="stable")
    obs, values, position = obs.iloc[order].reset_index(drop=True), values[order], position[order]
    blocks = [_block(context, obs, values, position) for context in sorted(obs["cell_type"].unique())]
    fingerprints = np.stack([prints.get(name, np.zeros(256, np.uint8)) for name in names])
    compendium = Compendium(tuple(blocks), tuple(map(str, genes)), tuple(names), fingerprints)
    conditions = _conditions(obs, position)
    first = conditions.drop_duplicates("compound").set_index("compound").sort_index()
    compounds = pd.DataFrame({"compound": names}).assign(
        **{name: first[name].to_numpy() for name in ("parent_inchikey", "skeleton", "compound_name")}
    )
    return Loaded(compendium, conditions, compounds, {"kind": "files", "files": [path.name for path in files]})


def _table(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    import anndata

    try:
        file = anndata.read_h5ad(path)
    except (OSError, KeyError, ValueError) as problem:
        raise DataError(f"'{path}' cannot be read as h5ad ({first_line(problem)}).") from None
    missing = [name for name in NEEDED if name not in file.obs]
    if missing or LAYER not in file.layers:
        raise DataError(f"'{path}' is not a file of the benchmark: it has no {missing[0] if missing else LAYER}.")
    layer: Any = file.layers[LAYER]
    values = layer.toarray() if hasattr(layer, "toarray") else np.asarray(layer)
    return file.obs[list(NEEDED)].astype(str), pd.DataFrame(values, columns=file.var_names)


def _identified(obs: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Bits]]:
    """Compounds by their structures; those that have none by name."""
    known = {smiles: structure.standardise(smiles) for smiles in obs["SMILES"].unique()}
    structures = {smiles: s for smiles, s in known.items() if isinstance(s, structure.Structure)}
    keys = obs["SMILES"].map({smiles: s.parent_inchikey for smiles, s in structures.items()})
    name = obs["sm_name"].str.strip().str.lower()
    prints = {s.parent_inchikey: np.frombuffer(s.fingerprint, np.uint8) for s in structures.values()}
    inchikey = obs["SMILES"].map({smiles: s.inchikey for smiles, s in structures.items()})
    compound = keys.where(keys.notna(), NAMED + name)
    return obs.assign(parent_inchikey=keys, inchikey=inchikey, name=name, compound=compound), prints


def _block(context: str, obs: pd.DataFrame, values: Any, position: Any) -> Block:
    rows = np.flatnonzero(obs["cell_type"] == context)
    n = len(rows)
    genes = np.arange(values.shape[1])
    return Block(DATASET, context, genes, position[rows], np.full(n, np.nan), np.full(n, 24.0), values=values[rows])


def _conditions(obs: pd.DataFrame, position: Any) -> pd.DataFrame:
    return obs.assign(
        compound=position,
        dataset=DATASET,
        owner=DATASET,
        context=obs["cell_type"],
        skeleton=obs["parent_inchikey"].str[:14],
        compound_name=obs["sm_name"],
        condition_id=np.arange(len(obs)),
        is_simulated=False,
    )
