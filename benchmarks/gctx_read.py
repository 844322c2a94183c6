"""Read the 978 landmark rows of all profiles of a generated GCTX, against cmapPy on the same file.

Writes profiles x 12,328 genes of float32 in the published chunks (262 profiles x 1,000 genes), gzip or not, then reads
the landmarks, scattered over the rows as in GEO's table of genes or the first 978 rows, each reader in a process of
its own: `pbdb.readers.gctx.Gctx(path).blocks(rows)` and cmapPy's `parse(path, rid=rows)`. Also times and measures both
reading the metadata alone. What bounds ours is reading and inflating the chunks that hold those rows: that alone, by
ISA-L on all cores, is timed beside it. Ends with two JSON lines, against cmapPy and against that bound.

    python benchmarks/gctx_read.py --profiles 200000 --folder /some/large/disk
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import lines
import numpy as np
import pandas as pd

N_GENES, N_LANDMARKS, PROFILES_A_BLOCK = 12_328, 978, 5_240
DECIMALS = 4  # most values of the published matrices have no more
TASKS = ("scattered", "first", "metadata")


def main() -> None:
    """Write the file, run both readers, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profiles", type=int, default=200_000)
    parser.add_argument("--folder", type=Path, help="scratch folder (default: a temporary one)")
    parser.add_argument("--level", type=int, default=1, help="of gzip; 0 stores the chunks as they are")
    parser.add_argument("--keep", action="store_true", help="keep the file in the folder, and use one that is there")
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(measure(*arguments.read, arguments.folder / "level3.gctx")))
        return
    if arguments.keep:
        report(arguments.folder, arguments.profiles, arguments.level or None)
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        report(Path(scratch), arguments.profiles, arguments.level or None)


def report(folder: Path, n_profiles: int, level: int | None) -> None:
    """Generate, then let each reader do each task in turn."""
    file = folder / "level3.gctx"
    if not file.exists():
        start = time.perf_counter()
        write(file, n_profiles, level)
        print(f"wrote {file.stat().st_size / 1e9:.2f} GB in {time.perf_counter() - start:.0f} s", flush=True)
    found = {}
    for task in TASKS:
        for reader in ("ours", "peer", "bound")[: 2 if task == "metadata" else 3]:
            found[task, reader] = in_process(reader, task, folder)
            print(f"{task}, {reader}: {found[task, reader]}", flush=True)
    for task in TASKS[:2]:
        if abs(found[task, "ours"]["total"] / found[task, "peer"]["total"] - 1) > 1e-6:
            raise SystemExit("the two readers read different values")
    against_peer = line(found, n_profiles, file.stat().st_size)
    lines.report(against_peer)
    ours, bound = (found["scattered", reader]["seconds"] for reader in ("ours", "bound"))
    lines.report(
        {key: against_peer[key] for key in ("ours", "peak_rss_mb", "sizes")}
        | {"name": "gctx_read_bound", "peer": round(bound, 2), "ratio": round(bound / ours, 2)}
        | {"peer_name": "reading and inflating the same chunks by ISA-L on all cores"}
    )


def line(found: dict[tuple[str, str], dict[str, float]], n_profiles: int, n_bytes: int) -> dict[str, object]:
    """The figures as they are collected: seconds for the landmark rows, and their ratio."""
    ours, peer = found["scattered", "ours"], found["scattered", "peer"]
    by_task = {task: {reader: found[task, reader]["seconds"] for reader in ("ours", "peer")} for task in TASKS}
    return {
        "name": "gctx_read",
        "ours": round(ours["seconds"], 2),
        "peer": round(peer["seconds"], 2),
        "peer_name": "cmapPy parse(rid=...)",
        "ratio": round(peer["seconds"] / ours["seconds"], 2),
        "peak_rss_mb": round(ours["peak_rss_mb"]),
        "peer_peak_rss_mb": round(peer["peak_rss_mb"]),
        "seconds": by_task,
        "ratio_first": round(by_task["first"]["peer"] / by_task["first"]["ours"], 2),
        "sizes": {
            "profiles": n_profiles,
            "genes": N_GENES,
            "rows_read": N_LANDMARKS,
            "file_gb": round(n_bytes / 1e9, 2),
        },
    }


def in_process(reader: str, task: str, folder: Path) -> dict[str, float]:
    """Run one task in a process of its own, so that its peak memory is its own."""
    command = [sys.executable, __file__, "--read", reader, task, "--folder", str(folder)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def measure(reader: str, task: str, file: Path) -> dict[str, float]:
    """Seconds, peak memory and, of the landmarks, the sum of all values."""
    warnings.simplefilter("ignore")
    metadata = {"ours": our_metadata, "peer": peer_metadata}
    rows = {"ours": ours, "peer": peer, "bound": bound}
    import_module("cmapPy.pandasGEXpress.parse_gctx" if reader == "peer" else "pbdb.readers.gctx")
    start = time.perf_counter()
    total = metadata[reader](file) if task == "metadata" else rows[reader](file, landmarks(task))
    seconds = time.perf_counter() - start
    return {
        "seconds": round(seconds, 3),
        "peak_rss_mb": round(peak_mb(), 1),
        "total": total,
    }


def peak_mb() -> float:
    """Peak memory of this process; the usage that is asked for elsewhere counts that of the process it came from."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ours(file: Path, rows: list[str]) -> float:
    """Read the landmarks in blocks, as a load does."""
    from pbdb.readers.gctx import Gctx

    return float(sum(block.values.sum(dtype=np.float64) for block in Gctx(file).blocks(rows)))


def peer(file: Path, rows: list[str]) -> float:
    """Read the landmarks into one frame, the only way there is."""
    from cmapPy.pandasGEXpress.parse_gctx import parse

    return float(parse(str(file), rid=rows).data_df.to_numpy().sum(dtype=np.float64))


def bound(file: Path, rows: list[str]) -> float:
    """Read and inflate the chunks that hold the landmarks, and throw them away; answers their bytes."""
    import h5py
    from isal import isal_zlib

    with h5py.File(file) as opened:
        matrix = opened["/0/DATA/0/matrix"]
        wide, is_packed = matrix.chunks[1], matrix.compression is not None
        touched = {int(row) // wide for row in rows}  # the id of a row is its place
        stored = [matrix.id.get_chunk_info(at) for at in range(matrix.id.get_num_chunks())]
        n_bytes = int(np.prod(matrix.chunks)) * matrix.dtype.itemsize
    wanted = [chunk for chunk in stored if chunk.chunk_offset[1] // wide in touched]

    def inflate(chunk: Any) -> int:
        raw = os.pread(packed.fileno(), chunk.size, chunk.byte_offset)
        return len(isal_zlib.decompress(raw, bufsize=n_bytes) if is_packed else raw)

    with file.open("rb") as packed, ThreadPoolExecutor(os.cpu_count()) as pool:
        return float(sum(pool.map(inflate, wanted)))


def our_metadata(file: Path) -> float:
    """Read the metadata of both sides."""
    from pbdb.readers.gctx import Gctx

    opened = Gctx(file)
    return float(len(opened.rows()) + len(opened.columns()))


def peer_metadata(file: Path) -> float:
    """Read the metadata of both sides."""
    from cmapPy.pandasGEXpress.parse_gctx import parse

    return float(len(parse(str(file), row_meta_only=True)) + len(parse(str(file), col_meta_only=True)))


def landmarks(task: str) -> list[str]:
    """Ids of 978 genes: scattered over the rows, or the first."""
    places = np.random.default_rng(1).permutation(N_GENES) if task == "scattered" else np.arange(N_GENES)
    return [str(gene) for gene in np.sort(places[:N_LANDMARKS])]


def write(file: Path, n_profiles: int, level: int | None) -> None:
    """Write normal values around a level of each gene."""
    from pbdb.readers import gctx

    rng = np.random.default_rng(20170301)
    mean = rng.normal(8, 2, N_GENES).astype(np.float32)
    genes = pd.DataFrame({"pr_gene_symbol": [f"G{i}" for i in range(N_GENES)]}, index=map(str, range(N_GENES)))
    writer = gctx.Writer(file, genes, level=level)
    for start in range(0, n_profiles, PROFILES_A_BLOCK):
        n = min(PROFILES_A_BLOCK, n_profiles - start)
        values = mean + rng.standard_normal((n, N_GENES), dtype=np.float32) * 0.6
        writer.add(np.round(values, DECIMALS))
    wells = [f"CPC{i // 384:05d}_A375_24H_X1:{i % 384:03d}" for i in range(n_profiles)]
    writer.finish(
        pd.DataFrame({"cell_id": "A375", "pert_id": [f"BRD-K{i % 20_000:08d}" for i in range(n_profiles)]}, wells)
    )


if __name__ == "__main__":
    main()
