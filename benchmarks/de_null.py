"""False discoveries on pure noise, by the number of wells of a condition, with and without the floor of the filter.

    python benchmarks/de_null.py [--samples 5000] [--genes 6000] [--seed 1]

No condition has an effect. Replicate structure and spread of library sizes follow three published data sets:
DRUG-seq (mostly triplets over plates), VCPI (mostly pairs), Tahoe (mostly single pseudobulks of few to many cells).
Counts are negative binomial with plate effects; level and dispersion follow a real 3' UMI plate (dispersion about
0.015, one gene in twenty above 0.05); three genes in ten are silent but for one well in a thousand. For conditions
of 1, 2, 3 and at least 5 wells it prints P(p < 0.001), false discoveries (5 %, within a condition) per condition,
and the share of conditions with any. `--depth` multiplies the counts: the log of small counts is skewed, which
the normal theory behind voom does not know, so shallow data have more false discoveries, single wells most. The
peer is the plain filterByExpr rule (`--filter limma`) on the same counts. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
from dataclasses import dataclass

import numpy as np

from pbdb.effects import engine

SIZES = (1, 2, 3, 6)
RULES = ("floor", "limma")
BUDGET = 0.10
RARE_GENES = 0.3
RARE_WELLS = 0.001
RARE_COUNT = 15


@dataclass(frozen=True)
class Structure:
    """Share of conditions with 1, 2, 3 and 6 wells, plates, vehicle wells per plate, spread of log libraries."""

    shares: tuple[float, float, float, float]
    plates: int
    vehicles_per_plate: int
    library_spread: float
    counts_per_gene: float


STRUCTURES = {
    "drugseq": Structure((0.05, 0.10, 0.80, 0.05), 15, 4, 0.5, 20),
    "vcpi": Structure((0.20, 0.65, 0.10, 0.05), 14, 8, 0.6, 25),
    "tahoe": Structure((0.85, 0.09, 0.04, 0.02), 14, 2, 1.0, 75),
}


@dataclass(frozen=True)
class Noise:
    """A simulated experiment without any effect."""

    condition: np.ndarray
    plate: np.ndarray
    counts: np.ndarray


def simulate(
    structure: Structure, n_samples: int, n_genes: int, random: np.random.Generator, depth: float = 1.0
) -> Noise:
    """Draw an experiment of about n_samples samples."""
    n_vehicles = structure.plates * structure.vehicles_per_plate
    n_conditions = int((n_samples - n_vehicles) / np.dot(structure.shares, SIZES))
    sizes = random.choice(SIZES, n_conditions, p=structure.shares)
    condition = np.concatenate([np.full(n_vehicles, -1), np.repeat(np.arange(n_conditions), sizes)])
    first_plate = random.integers(0, structure.plates, n_conditions)[condition]
    well = np.arange(len(condition)) - np.searchsorted(condition, condition)
    plate = np.where(condition < 0, well, first_plate + well) % structure.plates
    level = random.normal(0, 1.3, n_genes)
    level += np.log(depth * structure.counts_per_gene) - np.log(np.exp(level).mean())
    plate_effect = random.normal(0, 0.1, (structure.plates, n_genes))
    shape = 1 / (0.015 * np.exp(random.normal(0, 0.8, n_genes)))
    library = random.normal(0, structure.library_spread, len(condition))
    counts = np.empty((len(condition), n_genes), np.float32)
    rare = slice(0, int(RARE_GENES * n_genes))
    for rows in np.array_split(np.arange(len(condition)), 50):
        mean = np.exp(level + plate_effect[plate[rows]] + library[rows, None])
        counts[rows] = random.poisson(mean * random.gamma(shape, 1 / shape, mean.shape))
        burst = random.random((len(rows), rare.stop)) < RARE_WELLS
        counts[rows, rare] = np.where(burst, random.poisson(depth * RARE_COUNT, burst.shape), 0)
    return Noise(condition, plate, counts)


def measure(noise: Noise, rule: str) -> tuple[dict[int, tuple[float, float, float]], int]:
    """Fit, and return per number of wells: P(p < 0.001), discoveries per condition, share with any; and genes."""
    design = engine.build_design(noise.condition, noise.condition < 0, plate=noise.plate)
    fit = engine.prepare(noise.counts, design, engine.Options(filter=rule))
    shape = (len(fit.effects), len(fit.genes))
    tiles = {name: np.empty(shape, np.float32) for name in ("log2_fc", "neg_log10_p", "neg_log10_p_adj")}
    summary = engine.fill(fit, tiles)
    wells, found = design.effects.n_treated[fit.effects], summary.n_up + summary.n_down
    out = {}
    for size in SIZES:
        chosen = wells == size
        small = (tiles["neg_log10_p"][chosen] > 3).mean()
        out[size] = float(small), float(found[chosen].mean()), float((found[chosen] > 0).mean())
    return out, len(fit.genes)


def main() -> None:
    """Run the three structures and end with one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--genes", type=int, default=6000)
    parser.add_argument("--depth", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    worst = dict.fromkeys(RULES, 0.0)
    for name, structure in STRUCTURES.items():
        noise = simulate(structure, args.samples, args.genes, np.random.default_rng(args.seed), args.depth)
        for rule in RULES:
            found, n_genes = measure(noise, rule)
            for size, (small, per_condition, share) in found.items():
                wells = f"{size} wells" if size < 5 else ">= 5 wells"
                print(
                    f"{name:8s} {rule:6s} {n_genes:6d} genes, {wells:>10s}: P(p < 0.001) = {small:.5f}, "
                    f"{per_condition:.3f} false discoveries per condition, {share:.1%} with any",
                    flush=True,
                )
            worst[rule] = max(worst[rule], *(share for _, _, share in found.values()))
    print(f"largest share with any: {worst['floor']:.1%} (budget {BUDGET:.0%}), plain rule {worst['limma']:.1%}")
    print(json.dumps(result(worst, args)))


def result(worst: dict[str, float], args: argparse.Namespace) -> dict[str, object]:
    """Return the line that ends every benchmark."""
    return {
        "name": "de_null",
        "ours": round(worst["floor"], 4),
        "peer": round(worst["limma"], 4),
        "peer_name": "share of conditions with a false discovery under plain filterByExpr",
        "ratio": round(worst["limma"] / worst["floor"], 2) if worst["floor"] else None,
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "sizes": {"samples": args.samples, "genes": args.genes, "depth": args.depth, "structures": list(STRUCTURES)},
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
    }


if __name__ == "__main__":
    main()
