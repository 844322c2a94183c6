"""Time and memory of whole contexts at published shapes, counts in, effects out, on this machine.

    python benchmarks/de_scale.py                                  # the largest DRUG-seq context, pooled
    python benchmarks/de_scale.py --context l1000_phase1 tahoe --mode replicate
    python benchmarks/de_scale.py --context all --shapes contexts_reference.csv
    python benchmarks/de_scale.py --count-test [--share 0.05]      # what the test of counts costs beside limma's

Matrices are simulated at the shape of the largest context of each dataset. Effects are written as float32 to
on-disk tiles (HDF5 in a temporary folder), as a load does it. The peer is the published
run: the seconds its cluster jobs took for the same context, as listed in the shapes file (built in: the largest
contexts). With `--count-test` the effects stage of each context of counts (prepare, fill) runs on the same matrix with
limma's p values alone and with those of counts, by all threads, twice by turns; then by one thread, to see that not a
bit depends on it. It fails where the stage takes more than 1.5 times as long. With `--context all --shapes` the pooled
fits of all contexts are summed, each from the measured seconds per sample and gene of its dataset's largest context.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import lines
import numpy as np
import pandas as pd
from numba import njit, prange

from pbdb.database.effect_arrays import BY_EFFECT, OF_LIMMA
from pbdb.effects import engine
from pbdb.effects.engine.matrix import Columns

POOLED_MODE = "group_all_replicates"
COST_BAR = 1.5


@dataclass(frozen=True)
class Shape:
    """Samples (controls included), controls, treated conditions, plates, genes tested, published job-seconds."""

    samples: int
    controls: int
    conditions: int
    plates: int
    genes: int
    published_seconds: float
    readout: str = "counts"


SHAPES = {
    "drugseq": Shape(53_012, 312, 17_360, 156, 14_370, 232_264),
    "l1000_phase1": Shape(125_368, 4_900, 32_359, 339, 978, 14_658, "log2_intensity"),
    "l1000_phase2": Shape(39_710, 2_215, 11_643, 110, 978, 3_322, "log2_intensity"),
    "tahoe": Shape(1_342, 28, 1_137, 14, 30_904, 14_293),
    "cigs_mce": Shape(32_397, 833, 11_136, 108, 2_345, 23_626),
    "cigs_tcm": Shape(11_277, 713, 3_647, 40, 1_816, 8_015),
    "vcpi_0001": Shape(27_577, 608, 13_661, 77, 19_517, 317_168),
    "vcpi_0002": Shape(18_197, 406, 8_957, 51, 15_736, 181_549),
    "dilimap_train_val": Shape(4_148, 457, 1_192, 62, 21_370, 23_296),
    "gdpx2": Shape(792, 48, 172, 8, 10_147, 203),
    "sciplex": Shape(1_706, 38, 914, 26, 7_199, 2_221),
    "op3": Shape(458, 48, 138, 6, 5_288, 58),
}


def simulate_sheet(shape: Shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return condition, plate and control flag: replicates of a condition lie on neighbouring plates."""
    treated = shape.samples - shape.controls
    condition = np.sort(np.arange(treated) % shape.conditions)
    replicate = np.arange(treated) - np.searchsorted(condition, condition)
    width = min(shape.plates, max(1, round(treated / shape.conditions)))
    group = condition * max(1, shape.plates // width) // shape.conditions
    plate = np.minimum(group * width + replicate % width, shape.plates - 1)
    control_plate = np.arange(shape.controls) % shape.plates
    condition = np.concatenate([np.full(shape.controls, -1), condition])
    return condition, np.concatenate([control_plate, plate]), condition < 0


def simulate_counts(shape: Shape, seed: int = 1) -> Columns:
    """Return overdispersed counts as `effects.gather` holds them: about 10 per tested gene, log-normal libraries."""
    random = np.random.default_rng(seed)
    library = shape.genes * 10 * np.exp(random.normal(0, 0.6, shape.samples))
    level = np.exp(random.normal(0, 1.5, shape.genes))
    level /= level.sum()
    noise, normal = random.gamma(5.0, 0.2, 65_537), random.normal(size=65_521)
    small = np.uint16 if shape.samples <= 2**16 else np.int32
    data, indices, sizes = [], [], []
    for start in range(0, shape.genes, 64):
        for counts in _draw(level[start : start + 64], library, noise, normal, seed + start):
            held = np.flatnonzero(counts)
            data.append(counts[held])
            indices.append(held.astype(small))
            sizes.append(len(held))
    joined = np.concatenate(data)
    data.clear()
    indptr = np.concatenate([[0], np.cumsum(sizes)])
    return Columns(joined, np.concatenate(indices), indptr, (shape.samples, shape.genes))


@njit(parallel=True, cache=True)
def _draw(level: np.ndarray, library: np.ndarray, noise: np.ndarray, normal: np.ndarray, seed: int) -> np.ndarray:
    """Draw counts of a few genes: Poisson, above 20 its normal approximation, with gamma noise."""
    block = np.zeros((len(level), len(library)), np.uint16)
    for g in prange(len(level)):
        np.random.seed(seed + g)
        shift = np.random.randint(0, 60_000)
        for s in range(len(library)):
            mean = level[g] * library[s] * noise[(shift + s) % len(noise)]
            if mean > 20:
                count = np.rint(mean + np.sqrt(mean) * normal[(7 * shift + s) % len(normal)])
                block[g, s] = min(65_535.0, max(0.0, count))
            else:
                block[g, s] = np.random.poisson(mean)
    return block


def simulate_intensities(shape: Shape, seed: int = 1) -> np.ndarray:
    """Return log2 intensities as float32: a level and a spread for each gene."""
    random = np.random.default_rng(seed)
    spread = np.sqrt(0.1 * 8 / random.chisquare(8, shape.genes)).astype(np.float32)
    values = random.standard_normal((shape.samples, shape.genes), dtype=np.float32)
    values *= spread
    values += random.normal(8, 2, shape.genes).astype(np.float32)
    return values


def run(shape: Shape, mode: str, folder: Path) -> dict[str, float]:
    """Fit one context and write its tiles; return seconds per step, `total` without simulation."""
    condition, plate, control = simulate_sheet(shape)
    counts = shape.readout == "counts"
    matrix = simulate_counts(shape) if counts else simulate_intensities(shape)
    start = time.perf_counter()
    design = engine.build_design(condition, control, plate=plate, mode=mode)
    fit = engine.prepare(matrix, design, engine.Options(readout=shape.readout))
    prepared = time.perf_counter()
    path = folder / "tiles.h5"
    fill(fit, path)
    done = time.perf_counter()
    path.unlink()
    return {**fit.report()["seconds"], "effects": done - prepared, "total": done - start}


def fill(fit: engine.Fit, path: Path) -> None:
    """Write the effects of a fit as a load does, with limma's p values if beside."""
    shape = (len(fit.effects), len(fit.genes))
    names = [*BY_EFFECT, *(OF_LIMMA if fit.p_values == "counts" else ())]
    with h5py.File(path, "w") as file:
        chunk = (min(engine.ROWS, shape[0]), min(fit.genes_per_block, shape[1]))
        engine.fill(fit, {name: file.create_dataset(name, shape, dtype="f4", chunks=chunk) for name in names})


def cost_of_count_test(shape: Shape, mode: str, folder: Path) -> dict[str, float]:
    """Fit one context with and without the test of counts; return seconds, peak MB, cost, and equality over threads.

    An effects stage prepares (the same for both) and fills, measured by turns: with, without, with, without. Peaks are
    of the process so far, limma's alone first.
    """
    condition, plate, control = simulate_sheet(shape)
    design = engine.build_design(condition, control, plate=plate, mode=mode)
    counts, start = simulate_counts(shape), time.perf_counter()
    fitted = engine.prepare(counts, design)
    prepared = time.perf_counter() - start
    kinds = {kind: replace(fitted, options=replace(fitted.options, p_values=kind)) for kind in ("limma", "counts")}
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    facts: dict[str, float] = {}
    for kind in ("limma", "counts", "limma", "counts"):
        start, before = time.perf_counter(), time.process_time()
        fill(kinds[kind], folder / "tiles.h5")
        seconds[kind].append(time.perf_counter() - start)
        facts[f"{kind}_processor"] = round(time.process_time() - before, 3)
        facts.setdefault(f"{kind}_peak_mb", round(peak_mb()))
    facts |= {f"{kind}_seconds": round(prepared + min(taken), 3) for kind, taken in seconds.items()}
    facts["prepare_seconds"] = round(prepared, 3)
    several = _digest(folder / "tiles.h5")
    one = replace(kinds["counts"], options=replace(kinds["counts"].options, threads=1))
    fill(one, folder / "tiles.h5")
    facts["equal_by_threads"] = float(_digest(folder / "tiles.h5") == several)
    (folder / "tiles.h5").unlink()
    facts["cost"] = round(facts["counts_seconds"] / facts["limma_seconds"], 2)
    facts["cost_of_filling"] = round(facts["counts_processor"] / facts["limma_processor"], 2)
    return facts


def _digest(path: Path) -> str:
    """Hash all tiles, a strip at a time."""
    found = hashlib.sha256()
    with h5py.File(path) as file:
        for name in sorted(file):
            tiles = file[name]
            for start in range(0, len(tiles), tiles.chunks[0]):
                found.update(tiles[start : start + tiles.chunks[0]].tobytes())
    return found.hexdigest()


def warm_up(folder: Path) -> float:
    """Compile (or read from the cache) everything; returns the seconds it took."""
    start = time.perf_counter()
    for readout in ("counts", "log2_intensity"):
        run(Shape(700, 20, 340, 4, 300, 1, readout), "pooled", folder)
    return time.perf_counter() - start


def with_reference(shapes: dict[str, Shape], path: Path) -> tuple[dict[str, Shape], pd.DataFrame]:
    """Take samples, conditions, genes and seconds from the published table; plates stay as built in."""
    table = pd.read_csv(path)
    table = table[(table["mode"] == POOLED_MODE) & (table.min_cells < 50) & table.samples_in_model.notna()]
    table = table[table.dataset != "dilimap_train"]
    out = {}
    for name, shape in shapes.items():
        row = table[table.dataset == name].sort_values("samples_in_model").iloc[-1]
        out[name] = replace(
            shape,
            samples=int(row.samples_in_model),
            controls=int(row.control_samples),
            conditions=int(row.treated_conditions),
            genes=int(row.aggregated_genes),
            published_seconds=float(row.seconds_total),
        )
    return out, table


def sum_over_contexts(measured: dict[str, float], shapes: dict[str, Shape], table: pd.DataFrame) -> float:
    """Sum all contexts, each by the seconds per sample x gene of its dataset's largest context."""
    total = 0.0
    for name, seconds in measured.items():
        rows = table[table.dataset == name]
        values = (rows.samples_in_model * rows.aggregated_genes).sum()
        total += seconds * float(values) / (shapes[name].samples * shapes[name].genes)
    return total


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--context", nargs="+", default=["drugseq"], choices=[*SHAPES, "all"])
    parser.add_argument("--mode", default="pooled", choices=["pooled", "replicate"])
    parser.add_argument("--shapes", type=Path, help="contexts_reference.csv of the published runs")
    parser.add_argument("--genes", type=int, help="simulate this many genes instead")
    parser.add_argument("--count-test", action="store_true", help="what the test of counts costs beside limma's")
    parser.add_argument("--share", type=float, default=1.0, help="simulate this share of samples, conditions and genes")
    parser.add_argument("--scratch", type=Path, help="folder for the tiles")
    return parser.parse_args()


def main() -> None:
    """Run what the command line asks for and end with one JSON line."""
    args = arguments()
    shapes, table = with_reference(SHAPES, args.shapes) if args.shapes else (SHAPES, None)
    names = list(SHAPES) if "all" in args.context else args.context
    with tempfile.TemporaryDirectory(dir=args.scratch) as name:
        folder = Path(name)
        print(f"compile: {warm_up(folder):.1f} s (cached between processes)")
        if args.count_test:
            sys.exit(count_test(names, shapes, args, folder))
        measured = {n: measure(n, shapes[n], args, folder) for n in names}
    ours, peer = sum(measured.values()), sum(shapes[n].published_seconds for n in measured)
    if table is not None and set(measured) == set(SHAPES) and args.mode == "pooled":
        ours, peer = sum_over_contexts(measured, shapes, table), float(table.seconds_total.sum())
        print(f"all pooled fits: {ours:.0f} s; published: {peer / 3600:.0f} job-hours")
    lines.report(result("de_scale", ours, peer, measured, args))


def count_test(names: Sequence[str], shapes: dict[str, Shape], args: argparse.Namespace, folder: Path) -> int:
    """Print what the test of counts costs in each context; return 1 where a bar fails."""
    found = {}
    for name in (name for name in names if shapes[name].readout == "counts"):
        found[name] = cost_of_count_test(part_of(shapes[name], args), args.mode, folder)
        text = ", ".join(f"{what} {value:g}" for what, value in found[name].items())
        print(f"{name} {args.mode} x {args.share:g}: {text}; load {os.getloadavg()[0]:.1f}", flush=True)
    limma, counts = (sum(facts[f"{kind}_seconds"] for facts in found.values()) for kind in ("limma", "counts"))
    line = result("de_scale_count_test", counts, limma, found, args) | {"peer_name": "effects stage without the test"}
    lines.report(line | {"ratio": round(counts / limma, 2)})
    return int(any(facts["cost"] > COST_BAR or not facts["equal_by_threads"] for facts in found.values()))


def part_of(shape: Shape, args: argparse.Namespace) -> Shape:
    """The share of a context that the command line asks for; vehicles, conditions and plates shrink alike."""
    sizes = {name: getattr(shape, name) for name in ("samples", "controls", "conditions", "plates", "genes")}
    least = {"samples": 60, "controls": 12, "conditions": 16, "plates": 2, "genes": 300}
    smaller = {name: max(least[name], round(size * args.share)) for name, size in sizes.items()}
    return replace(shape, **smaller | ({"genes": args.genes} if args.genes else {}))


def measure(name: str, shape: Shape, args: argparse.Namespace, folder: Path) -> float:
    """Run one context, print its steps, and return its seconds."""
    shape = part_of(shape, args)
    steps = run(shape, args.mode, folder)
    text = ", ".join(f"{step} {seconds:.1f}" for step, seconds in steps.items())
    print(f"{name} {args.mode} ({shape.samples} x {shape.genes}): {text} s; peak {peak_mb():.0f} MB", flush=True)
    return steps["total"]


def peak_mb() -> float:
    """Peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def result(name: str, ours: float, peer: float, sizes: object, args: argparse.Namespace) -> dict[str, object]:
    """Return the line that ends every benchmark."""
    return {
        "name": f"{name}_{args.mode}",
        "ours": round(ours, 2) or None,
        "peer": peer or None,
        "peer_name": "published limma jobs (job-seconds)" if peer else None,
        "ratio": round(peer / ours, 1) if ours and peer else None,
        "peak_rss_mb": round(peak_mb()),
        "sizes": sizes,
    }


if __name__ == "__main__":
    main()
