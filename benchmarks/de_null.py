"""Do p values hold on pure noise, and what do they find: p values of counts beside limma's, by wells of a condition.

    python benchmarks/de_null.py [--samples 5000] [--genes 6000] [--depth 1 10] [--seed 1] [--noise nb] [--with-r]

No condition has an effect. Replicate structure and spread of library sizes follow published data sets: DRUG-seq
(mostly triplets over plates), VCPI (mostly pairs), Tahoe (mostly single pseudobulks of few to many cells), GDPx2
(pairs). Counts are negative binomial with plate effects; level and dispersion follow a real 3' UMI plate (dispersion
about 0.015, one gene in twenty above 0.05); three genes in ten are silent but for one well in a thousand.

For each structure, depth and number of wells it prints the share of conditions with any gene at 5 % (exact: 5 %) and
tail ratios: P(p < cut), up or down, over its nominal half. Then effects are planted: power by size of the fold change
at 5 %, beside limma's at the same realised false discovery rate. Bars, of p values of counts: a cell fails where its
exact 95 % interval lies above 6 %; all structures together (1,000 conditions and more) at most 7 %; tails within
0.6-1.3 at 1e-3, 0.5-1.6 at 1e-4, at most 2.5 at 1e-5 where 20 events are expected; power at most 2 points below
limma's; realised false discovery rate at most 6.5 %. It ends with exit code 1 where a bar fails. `--noise` draws noise
the method does not assume (`lognormal`, `wide`: dispersion x 5, `wells`: wells that scatter by themselves): printed
without a bar. `--with-r` adds edgeR's quasi-likelihood test on a small set, if Rscript and edgeR are there.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import lines
import numpy as np

from pbdb.effects import engine
from pbdb.effects.engine.null_check import binomial_interval

SIZES = (1, 2, 3, 6)
KINDS = {"counts": "neg_log10_p", "limma": "neg_log10_p_limma"}
NOISES = ("nb", "lognormal", "wide", "wells")
LEVEL = 0.05
CUTS = (3, 4, 5)
TAIL_BARS = {3: (0.6, 1.3), 4: (0.5, 1.6), 5: (0.0, 2.5)}
LEAST_EVENTS = 20
CELL_BAR, POOLED_BAR, FDR_BAR, POWER_BAR = 0.06, 0.07, 0.065, 0.02
POOLED_CONDITIONS = 1000
PLANTED = (-3, -2, -1, 1, 2, 3)
PLANTED_SHARE = 0.04
WELL_SCATTER = 0.15
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
    "gdpx2": Structure((0.10, 0.70, 0.15, 0.05), 12, 6, 0.4, 40),
}


@dataclass(frozen=True)
class Noise:
    """A simulated experiment; planted: log2 fold change of each condition and gene (0 on pure noise)."""

    condition: np.ndarray
    plate: np.ndarray
    counts: np.ndarray
    planted: np.ndarray


def simulate(
    structure: Structure,
    n_samples: int,
    n_genes: int,
    random: np.random.Generator,
    depth: float = 1.0,
    noise: str = "nb",
    planted_share: float = 0.0,
) -> Noise:
    """Draw an experiment of about n_samples samples."""
    condition, plate = layout(structure, n_samples, random)
    level = random.normal(0, 1.3, n_genes)
    level += np.log(depth * structure.counts_per_gene) - np.log(np.exp(level).mean())
    plate_effect = random.normal(0, 0.1, (structure.plates, n_genes))
    shape = 1 / (0.015 * (5 if noise == "wide" else 1) * np.exp(random.normal(0, 0.8, n_genes)))
    library = random.normal(0, structure.library_spread, len(condition))
    rare = slice(0, int(RARE_GENES * n_genes))
    planted = plant(condition.max() + 1, n_genes, rare.stop, planted_share, random)
    scatter = np.abs(random.normal(0, WELL_SCATTER, len(condition))) if noise == "wells" else np.zeros(len(condition))
    counts = np.empty((len(condition), n_genes), np.float32)
    for rows in np.array_split(np.arange(len(condition)), 50):
        mean = level + plate_effect[plate[rows]] + library[rows, None]
        mean += np.log(2) * np.where(condition[rows, None] < 0, 0, planted[condition[rows]])
        mean += scatter[rows, None] * random.normal(size=mean.shape)
        if noise == "lognormal":
            sigma = np.sqrt(np.log1p(1 / shape))
            counts[rows] = random.poisson(np.exp(mean + sigma * random.normal(size=mean.shape) - sigma**2 / 2))
        else:
            counts[rows] = random.poisson(np.exp(mean) * random.gamma(shape, 1 / shape, mean.shape))
        burst = random.random((len(rows), rare.stop)) < RARE_WELLS
        counts[rows, rare] = np.where(burst, random.poisson(depth * RARE_COUNT, burst.shape), 0)
    return Noise(condition, plate, counts, planted)


def layout(structure: Structure, n_samples: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return condition (-1: vehicle) and plate of each sample."""
    n_vehicles = structure.plates * structure.vehicles_per_plate
    n_conditions = int((n_samples - n_vehicles) / np.dot(structure.shares, SIZES))
    sizes = random.choice(SIZES, n_conditions, p=structure.shares)
    condition = np.concatenate([np.full(n_vehicles, -1), np.repeat(np.arange(n_conditions), sizes)])
    first_plate = random.integers(0, structure.plates, n_conditions)[condition]
    well = np.arange(len(condition)) - np.searchsorted(condition, condition)
    return condition, np.where(condition < 0, well, first_plate + well) % structure.plates


def plant(n_conditions: int, n_genes: int, first: int, share: float, random: np.random.Generator) -> np.ndarray:
    """Choose log2 fold changes of PLANTED for a share of the genes from `first` on, of every condition."""
    planted = np.zeros((n_conditions, n_genes), np.float32)
    if share:
        chosen = random.random((n_conditions, n_genes - first)) < share
        planted[:, first:] = np.where(chosen, random.choice(PLANTED, chosen.shape), 0)
    return planted


@dataclass(frozen=True)
class Fitted:
    """Statistics of a fit, effects x genes, wells of each effect, what was planted, and the check on vehicle wells."""

    tiles: dict[str, np.ndarray]
    wells: np.ndarray
    planted: np.ndarray
    check: engine.NullResult | None


def fit(noise: Noise) -> Fitted:
    """Fit with the default filter."""
    design = engine.build_design(noise.condition, noise.condition < 0, plate=noise.plate)
    prepared = engine.prepare(noise.counts, design)
    shape = (len(prepared.effects), len(prepared.genes))
    names = ["log2_fc", *KINDS.values(), *(name.replace("_p", "_p_adj", 1) for name in KINDS.values())]
    tiles = {name: np.empty(shape, np.float32) for name in names}
    summary = engine.fill(prepared, tiles)
    conditions = design.effects.condition[prepared.effects]
    planted = noise.planted[conditions][:, prepared.genes]
    return Fitted(tiles, design.effects.n_treated[prepared.effects], planted, summary.null_check)


class Tally:
    """Conditions and tails counted over cells, for one kind of p values."""

    def __init__(self) -> None:
        self.conditions: Counter[int] = Counter()
        self.with_any: Counter[int] = Counter()
        self.tests = 0
        self.tails: Counter[tuple[int, str]] = Counter()

    def add(self, fitted: Fitted, kind: str, size: int) -> tuple[int, int]:
        """Count the conditions of one size; return how many there are, and how many have any gene."""
        chosen = fitted.wells == size
        name = KINDS[kind]
        adjusted = fitted.tiles[name.replace("_p", "_p_adj", 1)][chosen]
        n, n_any = int(chosen.sum()), int((adjusted > -np.log10(LEVEL)).any(axis=1).sum())
        self.conditions[size] += n
        self.with_any[size] += n_any
        p, is_up = fitted.tiles[name][chosen], fitted.tiles["log2_fc"][chosen] > 0
        self.tests += int((~np.isnan(p)).sum())
        for cut in CUTS:
            self.tails[cut, "up"] += int(((p > cut) & is_up).sum())
            self.tails[cut, "down"] += int(((p > cut) & ~is_up).sum())
        return n, n_any

    def ratio(self, cut: int, direction: str) -> float:
        """P(p < 10^-cut) in one direction over its nominal half."""
        return self.tails[cut, direction] / max(1e-300, self.tests * 10.0**-cut / 2)


def run_noise(args: argparse.Namespace, depth: float, faults: list[str]) -> dict[str, Tally]:
    """Fit noise of all structures at one depth, print the cells, and gather bars that fail."""
    tallies = {kind: Tally() for kind in KINDS}
    for number, (name, structure) in enumerate(STRUCTURES.items()):
        random = np.random.default_rng([args.seed, number, int(100 * depth)])
        fitted = fit(simulate(structure, args.samples, args.genes, random, depth, args.noise))
        for size in SIZES:
            words = []
            for kind, tally in tallies.items():
                n, n_any = tally.add(fitted, kind, size)
                low, high = binomial_interval(n_any, max(1, n))
                words.append(f"{kind} {n_any / max(1, n):.1%} [{low:.1%}, {high:.1%}]")
                if kind == "counts" and n and low > CELL_BAR:
                    faults.append(f"{name}, depth {depth:g}, {size} wells: {n_any / n:.1%} with any")
            print(f"{name:8s} depth {depth:g} {size} wells, {n:5d} conditions, any: {'; '.join(words)}", flush=True)
        print(f"{name:8s} vehicle wells against each other: {fitted.check}", flush=True)
    return tallies


def judge_noise(tallies: dict[str, Tally], depth: float, faults: list[str]) -> None:
    """Print all structures together."""
    for kind, tally in tallies.items():
        any_by_size = {size: tally.with_any[size] / max(1, n) for size, n in tally.conditions.items()}
        print(f"depth {depth:g} {kind:6s} any: " + ", ".join(f"{k} wells {v:.1%}" for k, v in any_by_size.items()))
        ratios = {key: tally.ratio(*key) for key in tally.tails}
        print(f"depth {depth:g} {kind:6s} tails: " + ", ".join(f"1e-{c} {d} {r:.2f}" for (c, d), r in ratios.items()))
    ours = tallies["counts"]
    for size, n in ours.conditions.items():
        if n >= POOLED_CONDITIONS and ours.with_any[size] / n > POOLED_BAR:
            faults.append(f"depth {depth:g}, {size} wells, all structures: {ours.with_any[size] / n:.1%} with any")
    for cut, direction in ours.tails:
        low, high = TAIL_BARS[cut]
        expected = ours.tests * 10.0**-cut / 2
        if expected >= LEAST_EVENTS and not low <= ours.ratio(cut, direction) <= high:
            faults.append(f"depth {depth:g}, tail 1e-{cut} {direction}: {ours.ratio(cut, direction):.2f} x nominal")


def run_power(args: argparse.Namespace, faults: list[str]) -> dict[str, float]:
    """Plant effects, and compare power at 5 % with limma's at the same realised false discovery rate."""
    parts = []
    for number, structure in enumerate(STRUCTURES.values()):
        random = np.random.default_rng([args.seed, 100 + number])
        parts.append(fit(simulate(structure, args.samples, args.genes, random, 1.0, args.noise, PLANTED_SHARE)))
    found = {}
    for size in SIZES[:3]:
        planted = np.concatenate([part.planted[part.wells == size].ravel() for part in parts])
        adjusted = {
            kind: np.concatenate(
                [part.tiles[name.replace("_p", "_p_adj", 1)][part.wells == size].ravel() for part in parts]
            )
            for kind, name in KINDS.items()
        }
        fdr, power = recall(planted, adjusted["counts"] > -np.log10(LEVEL))
        cut = cut_at_fdr(planted, adjusted["limma"], fdr)
        _, limma = recall(planted, adjusted["limma"] > cut)
        limma_fdr, _ = recall(planted, adjusted["limma"] > -np.log10(LEVEL))
        print(
            f"power, {size} wells: realised FDR {fdr:.1%} (limma at 5 %: {limma_fdr:.1%}); at the same FDR, limma's in"
        )
        print("  brackets: " + ", ".join(f"{fold:+d} {power[fold]:.1%} ({limma[fold]:.1%})" for fold in PLANTED))
        found[f"power_{size}"] = float(np.mean(list(power.values())))
        found[f"power_{size}_limma"] = float(np.mean(list(limma.values())))
        if fdr > FDR_BAR:
            faults.append(f"{size} wells: realised false discovery rate {fdr:.1%}")
        faults += [
            f"{size} wells, log2 fold change {fold:+d}: power {power[fold]:.1%}, limma's {limma[fold]:.1%}"
            for fold in PLANTED
            if power[fold] < limma[fold] - POWER_BAR
        ]
    return found


def recall(planted: np.ndarray, called: np.ndarray) -> tuple[float, dict[int, float]]:
    """Return the realised false discovery rate, and the share found of each planted fold change."""
    fdr = float((called & (planted == 0)).sum() / max(1, called.sum()))
    return fdr, {fold: float(called[planted == fold].mean()) for fold in PLANTED}


def cut_at_fdr(planted: np.ndarray, adjusted: np.ndarray, fdr: float) -> float:
    """Return the smallest -log10 p_adj (of a fine grid) at which calls have at most this false discovery rate."""
    grid = np.arange(0.5, 6, 0.01)
    return next((cut for cut in grid if recall_fdr(planted, adjusted > cut) <= fdr), float(grid[-1]))


def recall_fdr(planted: np.ndarray, called: np.ndarray) -> float:
    """Return the realised false discovery rate."""
    return float((called & (planted == 0)).sum() / max(1, called.sum()))


EDGER = """
library(edgeR)
y <- DGEList(as.matrix(read.csv("counts.csv", header = FALSE)))
s <- read.csv("samples.csv"); s$condition <- relevel(factor(s$condition), "v"); s$plate <- factor(s$plate)
y <- calcNormFactors(y); d <- model.matrix(~ condition + plate, s)
f <- glmQLFit(estimateDisp(y, d), d)
p <- sapply(grep("^condition", colnames(d)), function(i) glmQLFTest(f, coef = i)$table$PValue)
colnames(p) <- sub("^condition", "", grep("^condition", colnames(d), value = TRUE))
write.csv(p, "p.csv", row.names = FALSE)
cat(as.character(packageVersion("edgeR")))
"""


def run_edger(args: argparse.Namespace) -> None:
    """Print the share of single wells with any gene by edgeR's quasi-likelihood test, on a small set of noise."""
    if not shutil.which("Rscript"):
        print("edgeR: there is no Rscript here")
        return
    random = np.random.default_rng([args.seed, 999])
    plate = np.repeat(np.arange(3), 22)
    condition = np.where(np.arange(66) % 22 < 4, "v", [f"c{i:02d}" for i in range(66)])
    mean = np.exp(random.normal(3, 1, 1500) + random.normal(0, 0.1, (3, 1500))[plate] + random.normal(0, 0.5, (66, 1)))
    shape = 1 / (0.015 * np.exp(random.normal(0, 0.8, 1500)))
    counts = random.poisson(mean * random.gamma(shape, 1 / shape, mean.shape))
    with tempfile.TemporaryDirectory() as folder:
        np.savetxt(Path(folder) / "counts.csv", counts.T, "%d", ",")
        rows = "".join(f"{c},{p}\n" for c, p in zip(condition, plate, strict=True))
        (Path(folder) / "samples.csv").write_text("condition,plate\n" + rows)
        done = subprocess.run(["Rscript", "-e", EDGER], cwd=folder, capture_output=True, text=True, check=True)
        theirs = np.genfromtxt(Path(folder) / "p.csv", delimiter=",", skip_header=1)
    design = engine.build_design(condition, condition == "v", plate=plate)
    (block,) = engine.complete(engine.prepare(counts, design, engine.Options(filter="none")), size=2000)
    edger = 10 ** -engine.adjust_rows(-np.log10(theirs.T))
    shares = {"counts": block.p_adj.T, "limma": block.p_adj_limma.T, f"edgeR {done.stdout} quasi-likelihood": edger}
    words = ", ".join(f"{name} {(p < LEVEL).any(axis=1).mean():.1%}" for name, p in shares.items())
    print(f"small set of {len(edger)} single wells, any: {words}")


def main() -> None:
    """Run, print, and end with one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--genes", type=int, default=6000)
    parser.add_argument("--depth", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--noise", choices=NOISES, default="nb")
    parser.add_argument("--with-r", action="store_true")
    args = parser.parse_args()
    faults: list[str] = []
    pooled = {}
    for depth in args.depth:
        pooled[depth] = run_noise(args, depth, faults)
        judge_noise(pooled[depth], depth, faults)
    power = run_power(args, faults)
    if args.with_r:
        run_edger(args)
    barred = faults if args.noise == "nb" else []
    for fault in barred:
        print(f"over the bar: {fault}")
    lines.report(result(pooled[args.depth[0]], power, barred, args))
    sys.exit(1 if barred else 0)


def result(
    tallies: dict[str, Tally], power: dict[str, float], faults: list[str], args: argparse.Namespace
) -> dict[str, object]:
    """Return the line that ends every benchmark."""
    single = {kind: tally.with_any[1] / max(1, tally.conditions[1]) for kind, tally in tallies.items()}
    return {
        "name": "de_null",
        "ours": round(single["counts"], 4),
        "peer": round(single["limma"], 4),
        "peer_name": "share of single wells of noise with any gene at 5 % by limma's p values",
        "ratio": round(single["limma"] / single["counts"], 2) if single["counts"] else None,
        "power": {name: round(value, 3) for name, value in power.items()},
        "over_the_bar": faults,
        "sizes": {
            "samples": args.samples,
            "genes": args.genes,
            "depth": args.depth,
            "noise": args.noise,
            "structures": list(STRUCTURES),
        },
    }


if __name__ == "__main__":
    main()
