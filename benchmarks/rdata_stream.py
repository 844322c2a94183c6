"""Read a generated DRUG-seq release of full-size plates against merely decompressing the same file.

Writes an `Exp_gzip.RData` of plates of 59,594 genes x 384 wells (doubles, 183 MB a plate before compression) to a
scratch folder, then times, each in a process of its own: `pbdb.readers.rdata.plates` (sparse counts, names and
annotation of every plate) and Python's `gzip` reading the file to its end. Ends with one JSON line.

    python benchmarks/rdata_stream.py --plates 21
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import lines
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pbdb.readers import rdata
from pbdb.simulate import rwrite

N_GENES, N_WELLS, N_EXPRESSED = 59_594, 384, 25_000
TEXT_COLUMNS = 16


def main() -> None:
    """Write the file, run both readers, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plates", type=int, default=21, help="number of plates, a multiple of 3")
    parser.add_argument("--folder", type=Path, help="scratch folder (default: a temporary one)")
    parser.add_argument("--read", choices=["ours", "peer"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(measure(arguments.read, arguments.folder / "Exp_gzip.RData")))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        report(Path(scratch), arguments.plates)


def report(folder: Path, n_plates: int) -> None:
    """Generate, measure twice in turn, and keep the faster run of each."""
    file = folder / "Exp_gzip.RData"
    start = time.perf_counter()
    n_umi = write(file, n_plates)
    print(f"wrote {n_plates} plates, {file.stat().st_size / 1e6:.0f} MB, in {time.perf_counter() - start:.0f} s")
    runs = [(in_process("ours", folder), in_process("peer", folder)) for _ in range(2)]
    if any(ours["n_umi"] != n_umi for ours, _ in runs):
        raise SystemExit("the counts read are not the counts written")
    ours, peer = (min((run[side] for run in runs), key=lambda run: run["seconds"]) for side in (0, 1))
    print(f"{ours['seconds'] / n_plates:.3f} s and {peer['seconds'] / n_plates:.3f} s a plate")
    lines.report(line(ours, peer, n_plates, file.stat().st_size))


def line(ours: dict[str, float], peer: dict[str, float], n_plates: int, n_bytes: int) -> dict[str, object]:
    """The figures as they are collected: seconds per plate, and their ratio."""
    return {
        "name": "rdata_stream",
        "ours": round(ours["seconds"] / n_plates, 4),
        "peer": round(peer["seconds"] / n_plates, 4),
        "peer_name": "gzip.open().read() of the same file",
        "ratio": round(peer["seconds"] / ours["seconds"], 3),
        "peak_rss_mb": round(ours["peak_rss_mb"]),
        "sizes": {"plates": n_plates, "genes": N_GENES, "wells": N_WELLS, "file_mb": round(n_bytes / 1e6)},
    }


def in_process(what: str, folder: Path) -> dict[str, float]:
    """Run one reader in a process of its own, so that its peak memory is its own."""
    command = [sys.executable, __file__, "--read", what, "--folder", str(folder)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def measure(what: str, file: Path) -> dict[str, float]:
    """Seconds, peak memory and, of our reader, the UMI it saw."""
    start = time.perf_counter()
    n_umi = sum(int(plate.counts.sum()) for plate in rdata.plates(file)) if what == "ours" else drain(file)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_rss_mb": peak, "n_umi": n_umi}


def drain(file: Path) -> int:
    """Decompress to the end."""
    with gzip.open(file) as stream:
        while stream.read(1 << 22):
            pass
    return 0


def write(file: Path, n_plates: int) -> int:
    """Write the release; gives the sum of all counts."""
    rng, total = np.random.default_rng(20241203), [0]
    genes = [f"GENE{i},grch38_{i % 22 + 1}" for i in range(N_GENES)]
    shares = np.zeros(N_GENES)
    shares[rng.choice(N_GENES, N_EXPRESSED, replace=False)] = rng.lognormal(0, 2.2, N_EXPRESSED)
    shares /= shares.sum()

    def blocks() -> Iterator[NDArray[np.float64]]:
        """Negative-binomial counts of 16 wells at a time, about 200,000 UMI a well."""
        for _ in range(0, N_WELLS, 16):
            library = rng.lognormal(np.log(2e5), 0.35, 16)
            counts = rng.poisson(shares[:, None] * library * rng.gamma(5, 1 / 5, (N_GENES, 16)))
            total[0] += int(counts.sum())
            yield counts.astype(float)

    def plate(k: int) -> dict[str, object]:
        barcode = f"VH02{k:06d}"
        wells = [f"{barcode}_{i:03d}" for i in range(1, N_WELLS + 1)]
        columns = {"batch_id": np.full(N_WELLS, k // 3 + 1), "plate_barcode": [barcode] * N_WELLS}
        columns |= {f"text_{j}": [f"{well}_{j}" for well in wells] for j in range(TEXT_COLUMNS)}
        matrix = rwrite.Matrix(genes if k % 2 == 0 else genes[::-1], wells, blocks())
        return {"UMI.counts": matrix, "Annotation": pd.DataFrame(columns, index=wells)}

    def batch(b: int) -> rwrite.Named:
        members = range(3 * b, min(3 * b + 3, n_plates))
        return rwrite.Named([f"VH02{k:06d}" for k in members], (plate(k) for k in members))

    batches = range(-(-n_plates // 3))
    rwrite.save(file, {"Exp": rwrite.Named([f"batch_{b + 1}" for b in batches], (batch(b) for b in batches))})
    return total[0]


if __name__ == "__main__":
    main()
