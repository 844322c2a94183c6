"""Effects as one GCTX file like L1000's level 5: genes x signatures, with metadata of both."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from pbdb.common import output_files
from pbdb.common.errors import ConfigError
from pbdb.common.progress import Progress, silent
from pbdb.common.settings import Settings
from pbdb.exports import selection
from pbdb.exports.labels import dose_text
from pbdb.exports.selection import Choice, Connection, FitChoice, Written
from pbdb.readers import gctx

Value = Literal["t", "log2_fc"]


class Signatures(Written):
    """What is told of a file: what it holds, of which datasets, and how much."""

    value: Value
    datasets: list[str]
    signatures: int
    genes: int


def write(
    settings: Settings,
    choice: Choice,
    out: Path,
    value: Value = "t",
    progress: Progress = silent,
) -> Signatures:
    """Write the chosen effects: moderated t (the nearest to level 5's z-scores) or log2 fold change, float32.

    Rows are all genes any chosen fit tests, by Ensembl id; a gene that a fit does not test is NaN in its signatures.
    Returns what was written. In memory are a block of signatures and the metadata of all.

    Raises:
        QueryError: nothing fits the choice, or a dataset may not be passed on.
        ConfigError: `out` exists, cannot be written, or does not end with .gctx.
    """
    if out.suffix != ".gctx":
        raise ConfigError(f"'{out}' does not end with .gctx: readers know the format by it.", file=str(out))
    with selection.snapshot(settings) as connection:
        chosen = list(selection.fits(connection, choice))
        rows = _rows(chosen)
        with output_files.file(out) as part:
            writer = gctx.Writer(part, rows)
            try:
                for fit in chosen:
                    _add(writer, connection, fit, rows, value, progress)
                writer.finish(_columns(chosen))
            except BaseException:
                writer.abandon()
                raise
            with h5py.File(part, "r+") as written:
                written.attrs["src"] = out.name  # where the writer put the name of the file that it knew
    return {
        "out": str(out),
        "value": value,
        "datasets": sorted({fit.facts["dataset"] for fit in chosen}),
        "signatures": sum(len(fit.effects) for fit in chosen),
        "genes": len(rows),
        "bytes": output_files.size(out),
    }


def _rows(chosen: list[FitChoice]) -> pd.DataFrame:
    """Metadata of the genes by Ensembl id, under the names of L1000's gene tables."""
    genes = pd.concat([fit.genes for fit in chosen]).drop_duplicates("gene_key").sort_values("gene_key")
    entrez = genes["entrez_id"].map(lambda key: None if pd.isna(key) else str(int(key)))
    named = {"pr_gene_symbol": genes["symbol"], "pr_gene_id": entrez, "pr_is_lm": genes["is_landmark"].astype("int8")}
    table = pd.DataFrame(named | {"gene_key": genes["gene_key"]})
    return table.set_index(pd.Index(genes["gene_id"], name="id"))


def _add(
    writer: gctx.Writer, connection: Connection, fit: FitChoice, rows: pd.DataFrame, value: Value, progress: Progress
) -> None:
    places = pd.Index(rows["gene_key"]).get_indexer(fit.genes["gene_key"])
    arrays = ("log2_fc", "se") if value == "t" else ("log2_fc",)
    step = selection.rows_at_once(len(rows), 2)
    for part, block_arrays in selection.blocks(connection, fit, arrays, step):
        block = np.full((part.stop - part.start, len(rows)), np.nan, dtype=np.float32)
        block[:, places] = _values(block_arrays, value)
        writer.add(block)
        progress(f"{fit.facts['dataset']} {fit.context_text}", part.stop, len(fit.effects))


def _values(arrays: dict[str, npt.NDArray[np.float32]], value: Value) -> npt.NDArray[np.float32]:
    if value == "log2_fc":
        return arrays["log2_fc"]
    with np.errstate(divide="ignore", invalid="ignore"):
        return arrays["log2_fc"] / arrays["se"]


def _columns(chosen: list[FitChoice]) -> pd.DataFrame:
    """Metadata of the signatures, under the names of L1000's signature tables, pbdb's own ids last."""
    from anndata.utils import make_index_unique

    table = pd.concat([_signatures(fit) for fit in chosen])
    return table if table.index.is_unique else table.set_index(make_index_unique(table.index))


def _signatures(fit: FitChoice) -> pd.DataFrame:
    effects, facts = fit.effects, fit.facts
    doses = [dose_text(dose, rounded=False) for dose in effects["dose_fm"]]
    times = [f"{time:.15g}" for time in effects["time_h"]]
    compounds = effects["source_name"]
    table = pd.DataFrame(
        {
            "pert_id": effects["inchikey"].fillna(compounds),
            "pert_iname": effects["compound_name"],
            "pert_type": "trt_cp",
            "cell_id": facts["context_name"],
            "pert_dose": effects["dose_um"].astype("float64"),
            "pert_dose_unit": "uM",
            "pert_idose": [f"{dose} uM" for dose in doses],
            "pert_time": effects["time_h"].astype("float64"),
            "pert_time_unit": "h",
            "pert_itime": [f"{time} h" for time in times],
            "distil_nsample": effects["n_treated"].astype("int32"),
            "inchi_key": effects["inchikey"],
            "pubchem_cid": effects["pubchem_cid"].map(lambda cid: None if pd.isna(cid) else str(int(cid))),
            "dataset": facts["dataset"],
            "context": fit.context_id,
            "stratum": facts["stratum"],
            "condition_id": effects["condition_id"].astype("int64"),
            "effect_id": effects["effect_id"].astype("int64"),
        }
    )
    parts = zip(times, compounds, doses, strict=True)
    ids = [f"{facts['dataset']}_{fit.context_text}_{time}H:{name}:{dose}" for time, name, dose in parts]
    return table.set_index(pd.Index(ids, name="id", dtype=object))
