"""Pool single cells of one h5ad file to samples, against decoupler on the same file.

Writes cells x genes at the sparsity of Tahoe-100M (gzip, chunks of 1 MB), then pools them by plate, well, drug and cell
line, each way in a process of its own: `pbdb.samples.pseudobulk.run.pseudobulk(file)` from file to file, decoupler's
`pp.pseudobulk(read_h5ad(file))`, and, as what no reader can beat, reading and inflating the same chunks and nothing
else. Sums must be equal. Ends with one JSON line.

    python benchmarks/pseudobulk.py --cells 1000000 --genes 30000 --out /some/large/disk
    python benchmarks/pseudobulk.py --cells 4000000 --no-peer
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lines
import numpy as np

KEYS = ("plate", "well", "drug", "cell_line")
THREADS = os.cpu_count() or 1


def main() -> None:
    """Write the file, run the ways, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--genes", type=int, default=30_000)
    parser.add_argument("--out", type=Path, help="scratch folder (default: a temporary one)")
    parser.add_argument("--no-peer", action="store_true", help="leave decoupler out")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        print(json.dumps(measured(arguments.run, arguments.out)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.out) as folder:
        report(Path(folder), arguments.cells, arguments.genes, peer=not arguments.no_peer)


def report(folder: Path, n_cells: int, n_genes: int, *, peer: bool) -> None:
    """Generate, then each way in turn."""
    import cell_files

    start = time.perf_counter()
    sizes = cell_files.write(folder / "cells.h5ad", n_cells, n_genes)
    print(f"wrote {sizes} in {time.perf_counter() - start:.0f} s", flush=True)
    found = {}
    for way in ("ours", "raw", *(["peer"] if peer else [])):
        if result := in_process(way, folder):
            found[way] = result
        print(f"{way}: {result or 'killed: the memory of this machine does not suffice'}", flush=True)
    if "peer" in found and found["ours"]["check"] != found["peer"]["check"]:
        raise SystemExit("the two ways give different sums")
    lines.report(line(found, sizes))


def line(found: dict[str, dict], sizes: dict[str, int]) -> dict[str, object]:
    """The figures as they are collected."""
    ours, raw, peer = found["ours"], found["raw"], found.get("peer")
    return {
        "name": "pseudobulk",
        "ours": ours["seconds"],
        "peer": peer and peer["seconds"],
        "peer_name": "decoupler.pp.pseudobulk",
        "ratio": peer and round(peer["seconds"] / ours["seconds"], 2),
        "peak_rss_mb": ours["peak_rss_mb"],
        "peer_peak_rss_mb": peer and peer["peak_rss_mb"],
        "memory_ratio": peer and round(peer["peak_rss_mb"] / ours["peak_rss_mb"], 2),
        "raw_seconds": raw["seconds"],
        "share_of_raw_speed": round(raw["seconds"] / ours["seconds"], 2),
        "values_per_second_m": round(sizes["values"] / ours["seconds"] / 1e6, 1),
        "sizes": sizes,
    }


def in_process(way: str, folder: Path) -> dict | None:
    """Run one way in a process of its own, so that its peak memory is its own; None where that was too much."""
    command = [sys.executable, __file__, "--run", way, "--out", str(folder)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    if ended.returncode == -signal.SIGKILL:
        return None
    ended.check_returncode()
    return json.loads(ended.stdout.splitlines()[-1])


def measured(way: str, folder: Path) -> dict:
    """Seconds, peak memory, and numbers that tell whether two ways did the same. Imports and compiling are before."""
    warnings.simplefilter("ignore")
    run = {"ours": ours, "raw": raw, "peer": peer}[way](folder)
    start = time.perf_counter()
    check = run()
    seconds = time.perf_counter() - start
    return {"seconds": round(seconds, 2), "peak_rss_mb": round(peak_mb()), "check": check}


def peak_mb() -> float:
    """Peak memory of this process."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def ours(folder: Path):
    """Pool from file to file."""
    import anndata
    import cell_files

    from pbdb.common.tasks import Workers
    from pbdb.samples.pseudobulk.run import pseudobulk
    from pbdb.sources.declaration import EVERY_CELL, Pseudobulk

    declared = Pseudobulk(KEYS, filter=EVERY_CELL)
    cell_files.write(folder / "warm.h5ad", 100, 1000)
    pseudobulk([folder / "warm.h5ad"], folder / "warm_out.h5ad", declared)

    def run() -> list[int]:
        pseudobulk([folder / "cells.h5ad"], folder / "samples.h5ad", declared, workers=Workers(threads=THREADS))
        samples = anndata.read_h5ad(folder / "samples.h5ad", backed="r")
        return checked(samples.obs["psbulk_counts"], samples.obs["psbulk_cells"])

    return run


def peer(folder: Path):
    """Read all cells, then pool them."""
    import anndata
    import decoupler

    def run() -> list[int]:
        cells = anndata.read_h5ad(folder / "cells.h5ad")
        cells.obs["sample"] = cells.obs[list(KEYS)].agg("_".join, axis=1)
        samples = decoupler.pp.pseudobulk(cells, sample_col="sample", groups_col=None)
        return checked(samples.obs["psbulk_counts"], samples.obs["psbulk_cells"])

    return run


def raw(folder: Path):
    """Read and inflate every chunk of values and indices, nothing else."""
    import h5py
    from isal import isal_zlib

    def inflated(packed: bytes) -> int:
        return len(isal_zlib.decompress(packed))

    def run() -> list[int]:
        with h5py.File(folder / "cells.h5ad") as file, ThreadPoolExecutor(THREADS) as pool:
            done = []
            for array in (file["X/data"], file["X/indices"]):
                for start in range(0, len(array), array.chunks[0] * 64):
                    corners = range(start, min(start + array.chunks[0] * 64, len(array)), array.chunks[0])
                    packed = [array.id.read_direct_chunk((corner,))[1] for corner in corners]
                    done.append(sum(pool.map(inflated, packed)))
            return [sum(done)]

    return run


def checked(counts, cells) -> list[int]:
    """Sums and a sum of products of samples' totals, whatever their order."""
    counts, cells = np.asarray(counts, dtype=np.int64), np.asarray(cells, dtype=np.int64)
    return [int(counts.sum()), int(cells.sum()), int((counts * cells).sum()), len(counts)]


if __name__ == "__main__":
    main()
