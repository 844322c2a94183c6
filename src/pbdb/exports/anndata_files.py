"""Effects as AnnData files in the layout of the published results: one file for each fit, conditions x genes.

X is the layer logFC (one array under two names), beside the eleven layers of limma's top table, the standard
sample columns in `obs` and Ensembl ids in `var`.
P-values are float64, other layers float32. Memory is bounded by a block of effects, and four bytes for each p-value of
the fit: adjusting over all contrasts needs them all, also where a few effects are exported.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any, TypedDict

import h5py
import numpy as np

from pbdb.common import output_files
from pbdb.common.errors import ConfigError
from pbdb.common.progress import Progress, silent
from pbdb.common.settings import Settings
from pbdb.effects.engine.adjust import FitWide
from pbdb.exports import labels, selection
from pbdb.exports.limma_table import ARRAYS, LAYERS, WIDE, FitFacts, layers
from pbdb.exports.selection import Choice, Connection, FitChoice, Written

CHUNK = (256, 1024)


class FitFile(TypedDict):
    """A file: the fit it is of, and how much it holds."""

    dataset: str
    context: str
    stratum: str | None
    conditions: int
    genes: int
    file: str


class Files(Written):
    """What is told of the files that were written."""

    files: list[FitFile]


def write(settings: Settings, choice: Choice, out: Path, progress: Progress = silent) -> Files:
    """Write the chosen effects: to the file `out` (.h5ad) where they are of one fit, else to files of a new folder.

    In a folder the files are <dataset>/<context>_de.h5ad. Returns what was written.

    Raises:
        QueryError: nothing fits the choice, or a dataset may not be passed on.
        ConfigError: `out` exists or cannot be written, or is one file for several fits.
    """
    with selection.snapshot(settings) as connection:
        chosen = selection.fits(connection, choice)
        first = next(chosen)
        if out.suffix == ".h5ad":
            files = [_alone(connection, first, next(chosen, None), out, progress)]
        else:
            files = _all(connection, chain([first], chosen), out, progress)
    return {"out": str(out), "files": files, "bytes": output_files.size(out)}


def _alone(
    connection: Connection, first: FitChoice, second: FitChoice | None, out: Path, progress: Progress
) -> FitFile:
    if second is not None:
        raise ConfigError(
            f"The choice holds effects of several fits, which test different genes: give a folder instead of '{out}',"
            " or choose one with --dataset and --context."
        )
    with output_files.file(out) as part:
        return _write_fit(connection, first, part, out.name, progress)


def _all(connection: Connection, chosen: Iterator[FitChoice], out: Path, progress: Progress) -> list[FitFile]:
    files = []
    with output_files.folder(out) as part:
        for fit in chosen:
            name = Path(fit.facts["dataset"]) / f"{fit.context_text.replace('/', '-')}_de.h5ad"
            (part / name).parent.mkdir(exist_ok=True)
            files.append(_write_fit(connection, fit, part / name, name.as_posix(), progress))
    return files


def _write_fit(connection: Connection, chosen: FitChoice, path: Path, name: str, progress: Progress) -> FitFile:
    with closing(output_files.PatientFile(path)) as target:
        try:
            _write_file(target, connection, chosen, progress)
        finally:
            target.require_written()
    return {
        "dataset": chosen.facts["dataset"],
        "context": chosen.facts["context"],
        "stratum": chosen.facts["stratum"],
        "conditions": len(chosen.effects),
        "genes": len(chosen.genes),
        "file": name,
    }


def _write_file(
    target: output_files.PatientFile, connection: Connection, chosen: FitChoice, progress: Progress
) -> None:
    from anndata.io import write_elem

    with h5py.File(target, "w") as file:
        file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        write_elem(file, "obs", labels.obs(connection, chosen))
        write_elem(file, "var", _var(chosen))
        write_elem(file, "uns", _uns(chosen))
        for name in ("obsm", "varm", "obsp", "varp", "layers"):
            write_elem(file, name, {})
        _write_layers(file["layers"], connection, chosen, _watched(target, progress))
        file["X"] = file["layers"]["logFC"]  # a second name: no byte is written twice


def _watched(target: output_files.PatientFile, progress: Progress) -> Progress:
    """Progress that stops where the disk is full."""

    def watch(what: str, done: int, total: int | None) -> None:
        target.require_written()
        progress(what, done, total)

    return watch


def _var(chosen: FitChoice) -> Any:
    var = chosen.genes[["symbol", "gene_key", "is_landmark"]].set_index(chosen.genes["gene_id"])
    return var.assign(symbol=var["symbol"].astype("category")).rename_axis("ensembl_id")


def _uns(chosen: FitChoice) -> dict[str, str | int | bool]:
    facts = chosen.facts
    texts = ("dataset", "release", "license", "citation", "context", "context_name", "method", "code_version")
    known = {name: facts[name] for name in texts if facts[name] is not None}
    known["context"] = chosen.context_id
    return known | {"min_cells": int(facts["min_cells"] or 0), "qc_filter": False, "fit_id": str(facts["fit_id"])}


def _write_layers(group: h5py.Group, connection: Connection, chosen: FitChoice, progress: Progress) -> None:
    shape = (len(chosen.effects), len(chosen.genes))
    for name in LAYERS:
        kind = "f8" if name in WIDE else "f4"
        chunks = tuple(min(side, most) for side, most in zip(shape, CHUNK, strict=True))
        made = group.create_dataset(
            name, shape, kind, chunks=chunks, compression="gzip", compression_opts=1, shuffle=True
        )
        made.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    facts, fit_wide = _facts(chosen), _fit_wide(connection, chosen)
    step = max(CHUNK[0], selection.rows_at_once(shape[1], len(LAYERS)) // CHUNK[0] * CHUNK[0])
    for rows, arrays in selection.blocks(connection, chosen, ARRAYS, step, limma=True):
        for name, values in layers(arrays, facts, fit_wide).items():
            group[name][rows] = values
        progress(f"{chosen.facts['dataset']} {chosen.context_text}", rows.stop, shape[0])


def _facts(chosen: FitChoice) -> FitFacts:
    genes, facts = chosen.genes, chosen.facts
    by_gene = {name: genes[name].to_numpy(dtype=np.float64) for name in ("ave_expr", "s2_post", "df_total")}
    median = facts["s2_prior_median"]
    return FitFacts(**by_gene, df_prior=facts["df_prior"], s2_prior_median=None if median is None else float(median))


def _fit_wide(connection: Connection, chosen: FitChoice) -> FitWide:
    """Every p-value of the fit, whichever effects are chosen."""
    key = {name: chosen.facts[name] for name in ("dataset_id", "fit_id")}
    every = selection.frame(connection, _ALL_EFFECTS, key)
    fit_wide = FitWide(len(every) * len(chosen.genes), dtype=np.float32)
    complete_fit = FitChoice(chosen.facts, chosen.genes, every)
    for _, arrays in selection.blocks(connection, complete_fit, ["neg_log10_p"], limma=True):
        fit_wide.add(arrays["neg_log10_p"])
    return fit_wide


_ALL_EFFECTS = """
SELECT effect_id FROM core.effect
WHERE dataset_id = %(dataset_id)s AND fit_id = %(fit_id)s AND status = 'ok' ORDER BY effect_id"""
