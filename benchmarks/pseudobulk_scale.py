"""One plate of Tahoe-100M at its real width, from cells to effects: seconds and peak memory of each stage.

Writes a plate of cells x 62,710 genes (about 1,900 detected in a cell, 50 cell lines in each of 96 wells, 95
treatments, vehicle in two wells), pools it to 4,800 samples with the cell filters of the source, fits its 50 contexts
with the engine (effects as float32 tiles on disk), each stage in a process of its own, and extrapolates to the 100.6 M
cells of 14 plates: pooling by cells, fits by samples. About 4 GB of disk per 200,000 cells are looked for first. There
is no peer: the published run pooled the plates in 2,331 minutes with 700 GB of memory each, and fitted them in 502,054
job-seconds. The last line is JSON.

    python benchmarks/pseudobulk_scale.py --cells 20000
    python benchmarks/pseudobulk_scale.py --cells 1000000 --out /some/large/disk
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import lines

CELLS_OF_TAHOE, PLATES = 100_648_790, 14
PUBLISHED_MINUTES_POOLING, PUBLISHED_SECONDS_FITS = 2_331, 502_054
BYTES_A_CELL = 20_000
KEYS = ("plate", "well", "drug", "cell_line")


def main() -> None:
    """Write the plate, run the stages, extrapolate."""
    import cell_files

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--genes", type=int, default=cell_files.GENES_OF_TAHOE)
    parser.add_argument("--contexts", type=int, default=cell_files.CONTEXTS)
    parser.add_argument("--workers", type=int, help="processes that pool (default: this machine's threads in one)")
    parser.add_argument("--out", type=Path, help="scratch folder (default: a temporary one)")
    parser.add_argument("--stage", choices=["pool", "fit"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        print(json.dumps({"pool": pool, "fit": fit}[given.stage](given.out, given.workers)))
        return
    with tempfile.TemporaryDirectory(dir=given.out) as name:
        report(Path(name), given)


def report(folder: Path, given: argparse.Namespace) -> None:
    """Generate, then the stages in turn."""
    import cell_files

    free = shutil.disk_usage(folder).free
    if free < given.cells * BYTES_A_CELL:
        raise SystemExit(f"{given.cells * BYTES_A_CELL / 1e9:.0f} GB are needed in {folder}, {free / 1e9:.0f} are free")
    start = time.perf_counter()
    sizes = cell_files.write(folder / "plate1.h5ad", given.cells, given.genes, given.contexts)
    print(f"wrote {sizes} in {time.perf_counter() - start:.0f} s", flush=True)
    stages = {}
    for stage in ("pool", "fit"):
        stages[stage] = in_process(stage, folder, given.workers)
        print(f"{stage}: {stages[stage]}", flush=True)
    lines.report(line(stages, sizes))


def in_process(stage: str, folder: Path, workers: int | None) -> dict:
    """Run one stage in a process of its own, so that its peak memory is its own."""
    command = [sys.executable, __file__, "--stage", stage, "--out", str(folder)]
    command += ["--workers", str(workers)] if workers else []
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def pool(folder: Path, workers: int | None) -> dict:
    """Pool the plate with the filters of the source."""
    import cell_files

    from pbdb.common.tasks import Workers
    from pbdb.samples.pseudobulk.run import pseudobulk
    from pbdb.sources.declaration import CellFilter, Pseudobulk

    declared = Pseudobulk(KEYS, filter=CellFilter())
    cell_files.write(folder / "warm.h5ad", 100, 1000)
    pseudobulk([folder / "warm.h5ad"], folder / "warm_out.h5ad", declared)
    start = time.perf_counter()
    found = Workers(n=workers, threads=os.cpu_count() or 1)
    facts = pseudobulk([folder / "plate1.h5ad"], folder / "samples.h5ad", declared, workers=found)
    seconds = time.perf_counter() - start
    return {"seconds": round(seconds, 1), "peak_rss_mb": peak_mb(), "left_out": facts.left_out}


def fit(folder: Path, workers: int | None) -> dict:
    """Fit each context, vehicle against each treatment, and write the effects of all genes."""
    import h5py
    import numpy as np

    from pbdb.effects import engine
    from pbdb.samples import matrix_file

    obs, _ = matrix_file.read_annotations(folder / "samples.h5ad")
    n_effects, n_genes, seconds = 0, [], 0.0
    for number, line_of in enumerate(obs["cell_line"].cat.categories):
        rows = np.flatnonzero(obs["cell_line"] == line_of)
        drug = obs["drug"].iloc[rows].cat
        is_vehicle = (obs["drug"].iloc[rows] == "DMSO_TF").to_numpy()
        condition = np.where(is_vehicle, -1, drug.codes.to_numpy())
        start = time.perf_counter()
        matrix = matrix_file.read_rows(folder / "samples.h5ad", rows)
        design = engine.build_design(condition, is_vehicle, plate=np.zeros(len(rows), int), mode="pooled")
        made = engine.prepare(matrix, design, engine.Options(readout="counts"))
        with h5py.File(folder / "effects.h5", "w") as file:
            names = ("log2_fc", "se", "neg_log10_p", "neg_log10_p_adj")
            shape = (len(made.effects), len(made.genes))
            engine.fill(made, {name: file.create_dataset(name, shape, "f4") for name in names}, {})
        seconds += time.perf_counter() - start if number else 0.0  # the first also compiles
        n_effects, n_genes = n_effects + shape[0], [*n_genes, shape[1]]
    seconds *= len(n_genes) / max(1, len(n_genes) - 1)
    return {
        "seconds": round(seconds, 1),
        "peak_rss_mb": peak_mb(),
        "contexts": len(n_genes),
        "effects": n_effects,
        "genes": [min(n_genes), max(n_genes)],
    }


def line(stages: dict[str, dict], sizes: dict[str, int]) -> dict[str, object]:
    """The figures as they are collected, with those of all plates."""
    all_pooling = stages["pool"]["seconds"] * CELLS_OF_TAHOE / sizes["cells"]
    all_fits = stages["fit"]["seconds"] * PLATES
    return {
        "name": "pseudobulk_scale",
        "ours": round(stages["pool"]["seconds"] + stages["fit"]["seconds"], 1),
        "peer": None,
        "peer_name": None,
        "ratio": None,
        "peak_rss_mb": max(stage["peak_rss_mb"] for stage in stages.values()),
        "stages": stages,
        "cells_per_second": round(sizes["cells"] / stages["pool"]["seconds"]),
        "extrapolated_minutes": {"pool_100m_cells": round(all_pooling / 60, 1), "fits": round(all_fits / 60, 1)},
        "published_minutes": {
            "pool_100m_cells": PUBLISHED_MINUTES_POOLING,
            "fits": round(PUBLISHED_SECONDS_FITS / 60),
        },
        "sizes": sizes,
    }


def peak_mb() -> int:
    """Peak memory of this process."""
    status = Path("/proc/self/status").read_text().splitlines()
    return round(int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024)


if __name__ == "__main__":
    main()
