"""One published-size batch, counts in and all contrasts out: this engine against edgeR + limma on this machine.

    python benchmarks/de_vs_limma.py
    python benchmarks/de_vs_limma.py --peer-genes 200 --peer-contrasts 10      # longer, less extrapolated
    python benchmarks/de_vs_limma.py --samples 400 --conditions 101 --plates 10 --genes 500 --peer-genes 500

Simulated: 2,770 samples, 821 conditions (one is the vehicle), 155 plates, 2,000 genes. The peer follows the
published recipe: filterByExpr, TMM, voom, lmFit of ~ 0 + condition + plate, then for each contrast contrasts.fit
and eBayes(robust = TRUE), and topTable; it needs Rscript with edgeR, limma and statmod.

R would take hours, so part of its time is extrapolated, and the output says which: everything up to and including
voom runs on all genes; lmFit, a loop over genes, runs on --peer-genes of them and is scaled by their number;
contrasts run --peer-contrasts times on a fit of full size (the fitted genes, repeated) and are scaled by theirs.
Ours is measured whole: every gene and contrast, all statistics in float64, adjusted p-values and B included.
Elapsed seconds count; processor seconds, which other programs on the machine disturb less, are printed beside them.
The fits of the peer's genes are compared. The last line is JSON.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import lines
import numpy as np
import pandas as pd

from pbdb.effects import engine

RECIPE = """
suppressPackageStartupMessages({library(limma); library(edgeR); library(statmod)})
args <- commandArgs(trailingOnly = TRUE)
folder <- args[1]; n.genes <- as.integer(args[2]); n.contrasts <- as.integer(args[3])
sheet <- read.csv(file.path(folder, "sheet.csv"))
ids <- readLines(file.path(folder, "genes.txt"))
values <- readBin(file.path(folder, "counts.bin"), "integer", length(ids) * nrow(sheet))
counts <- matrix(values, length(ids), nrow(sheet), dimnames = list(ids, NULL))
spent <- function(step, code) {
  took <- system.time(code)
  cat("seconds", step, took[["elapsed"]], took[["user.self"]] + took[["sys.self"]], "\\n")
}
cond <- factor(sheet$condition); plate <- factor(sheet$plate)
spent("filter", {
  design <- model.matrix(~ 0 + cond + plate)
  dge <- DGEList(counts)
  dge <- dge[filterByExpr(dge, design), , keep.lib.sizes = FALSE]
})
spent("tmm", dge <- calcNormFactors(dge))
spent("voom", v <- voom(dge, design))
some <- v[seq_len(min(n.genes, nrow(v))), ]
spent("lmfit", fit <- lmFit(some, design))
whole <- fit[rep(seq_len(nrow(fit)), length.out = nrow(v)), ]
treated <- grep("^condC", colnames(design), value = TRUE)[seq_len(n.contrasts)]
tables <- list()
spent("contrasts", for (name in treated) {
  contrast <- matrix(0, ncol(design), 1, dimnames = list(colnames(design), name))
  contrast[name, 1] <- 1; contrast["condvehicle", 1] <- -1
  one <- eBayes(contrasts.fit(whole, contrast), robust = TRUE)
  tables[[name]] <- topTable(one, number = Inf, sort.by = "none", confint = TRUE)
})
cat("seconds kept", nrow(v), nrow(v), "\\n")
effect <- fit$coefficients[, treated, drop = FALSE] - fit$coefficients[, "condvehicle"]
colnames(effect) <- sub("^cond", "", treated)
write.csv(data.frame(gene = rownames(fit), sigma = fit$sigma, effect), file.path(folder, "peer.csv"), row.names = FALSE)
"""


class Seconds(NamedTuple):
    """Time of a step: on the clock, and of all processors together."""

    elapsed: float
    processor: float


@dataclass(frozen=True)
class Batch:
    """Sheet (condition, plate, is_control) and counts (samples x genes, int32)."""

    sheet: pd.DataFrame
    counts: np.ndarray


def simulate(samples: int, conditions: int, plates: int, genes: int, seed: int = 1) -> Batch:
    """Treated wells of a condition lie on plates drawn at random; vehicle wells are spread over all plates."""
    random = np.random.default_rng(seed)
    treated = conditions - 1
    wells = 3 if samples > 3 * treated else max(1, (samples - 1) // treated)
    plate = np.concatenate([random.choice(plates, min(wells, plates), replace=False) for _ in range(treated)])
    names = np.repeat([f"C{c:04d}" for c in range(treated)], min(wells, plates))
    n_vehicle = samples - len(names)
    sheet = pd.DataFrame(
        {
            "condition": np.concatenate([np.full(n_vehicle, "vehicle"), names]),
            "plate": np.concatenate([np.arange(n_vehicle) % plates, plate]),
        }
    )
    sheet["plate"] = [f"P{p:03d}" for p in sheet["plate"]]
    sheet["is_control"] = sheet["condition"] == "vehicle"
    level = random.lognormal(3.5, 1.2, genes)
    library = random.lognormal(0, 0.4, samples)
    noise = random.gamma(8, 1 / 8, (samples, genes))
    return Batch(sheet, random.poisson(library[:, None] * level * noise).astype(np.int32))


def run_ours(batch: Batch) -> tuple[engine.Fit, Seconds]:
    """Fit, and compute every statistic of every contrast; return the fit and the time it all took."""
    start = Seconds(time.perf_counter(), time.process_time())
    sheet = batch.sheet
    design = engine.build_design(sheet["condition"], sheet["is_control"], plate=sheet["plate"])
    fit = engine.prepare(batch.counts, design, engine.Options(span=0.5, filter="limma"))
    checked = sum(int(np.isfinite(block.p_adj_fit).sum()) for block in engine.complete(fit))
    seconds = Seconds(time.perf_counter() - start.elapsed, time.process_time() - start.processor)
    assert checked == len(fit.genes) * len(fit.effects)
    return fit, seconds


def run_peer(batch: Batch, genes: int, contrasts: int, folder: Path) -> tuple[dict[str, Seconds], pd.DataFrame]:
    """Run the recipe in R; return the time of its steps as measured (and genes `kept`), and its fits."""
    batch.sheet.to_csv(folder / "sheet.csv", index=False)
    (folder / "genes.txt").write_text("".join(f"G{g}\n" for g in range(batch.counts.shape[1])))
    batch.counts.tofile(folder / "counts.bin")  # samples x genes by rows is genes x samples by columns
    (folder / "recipe.R").write_text(RECIPE)
    command = ["Rscript", "--vanilla", str(folder / "recipe.R"), str(folder), str(genes), str(contrasts)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"R failed:\n{done.stderr}")
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("seconds")]
    return {step: Seconds(float(a), float(b)) for _, step, a, b in lines}, pd.read_csv(
        folder / "peer.csv", index_col="gene"
    )


def has_peer() -> bool:
    """Whether R and the packages are there."""
    if not shutil.which("Rscript"):
        return False
    asked = "q(status = !all(c('limma', 'edgeR', 'statmod') %in% rownames(installed.packages())))"
    return subprocess.run(["Rscript", "--vanilla", "-e", asked], check=False).returncode == 0


def whole_peer(seconds: dict[str, Seconds], genes: int, contrasts: int, all_contrasts: int) -> Seconds:
    """Add up R's steps, the shortened ones scaled to all genes and contrasts; print how."""
    kept = seconds["kept"].elapsed
    scale = {"lmfit": kept / min(genes, kept), "contrasts": all_contrasts / contrasts}
    elapsed = processor = 0.0
    for step in ("filter", "tmm", "voom", "lmfit", "contrasts"):
        factor, own = scale.get(step, 1.0), seconds[step]
        note = f" ({own.elapsed:.1f} s measured x {factor:.4g})" if factor != 1 else ""
        print(f"  R {step:10s}{own.elapsed * factor:10.1f} s{note}", flush=True)
        elapsed += own.elapsed * factor
        processor += own.processor * factor
    return Seconds(elapsed, processor)


def compare(fit: engine.Fit, theirs: pd.DataFrame) -> dict[str, float]:
    """Return the largest relative difference in sigma and in fold changes (floor 1e-6) of the peer's genes."""
    names = [f"G{g}" for g in fit.genes]
    place = [names.index(gene) for gene in theirs.index]
    block = next(fit.blocks(size=len(fit.genes)))
    column = {str(label): k for k, label in enumerate(fit.design.effects.condition[fit.effects])}
    contrasts = theirs.columns[1:]
    ours = block.log2_fc[place][:, [column[name] for name in contrasts]]
    r = theirs[contrasts].to_numpy()
    return {
        "sigma": float((np.abs(fit.sigma[place] - theirs["sigma"]) / theirs["sigma"]).max()),
        "log2_fc": float((np.abs(ours - r) / np.maximum(np.abs(r), 1e-6)).max()),
    }


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, size in {"samples": 2770, "conditions": 821, "plates": 155, "genes": 2000}.items():
        parser.add_argument(f"--{name}", type=int, default=size)
    parser.add_argument("--peer-genes", type=int, default=50, help="genes R fits")
    parser.add_argument("--peer-contrasts", type=int, default=3, help="contrasts R computes")
    parser.add_argument("--repeat", type=int, default=3, help="runs of ours; the median counts")
    return parser.parse_args()


def main() -> None:
    """Run both and end with one JSON line."""
    args = arguments()
    start = time.perf_counter()
    run_ours(simulate(200, 41, 5, 300))
    print(f"compile: {time.perf_counter() - start:.1f} s (cached between processes)", flush=True)
    batch = simulate(args.samples, args.conditions, args.plates, args.genes)
    runs = [run_ours(batch) for _ in range(args.repeat)]
    fit = runs[0][0]
    ours = Seconds(*np.median([seconds for _, seconds in runs], axis=0).tolist())
    steps = ", ".join(f"{step} {seconds:.2f}" for step, seconds in fit.report()["seconds"].items())
    print(f"ours: {ours.elapsed:.2f} s, median of {args.repeat} (first run: {steps})", flush=True)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    peer = measure_peer(batch, args, fit) if has_peer() else None
    if peer is None:
        print("Rscript with edgeR, limma and statmod is not here: no peer, no ratio.")
    else:
        times = peer.processor / ours.processor
        print(f"processor seconds: ours {ours.processor:.2f}, R {peer.processor:.0f}: {times:.0f} times")
    lines.report(result(args, ours.elapsed, peer and peer.elapsed, rss))


def measure_peer(batch: Batch, args: argparse.Namespace, fit: engine.Fit) -> Seconds:
    """Run R and return its time for the whole batch."""
    with tempfile.TemporaryDirectory() as name:
        seconds, theirs = run_peer(batch, args.peer_genes, args.peer_contrasts, Path(name))
    total = whole_peer(seconds, args.peer_genes, args.peer_contrasts, args.conditions - 1)
    print(f"peer: {total.elapsed:.0f} s; largest relative differences: {compare(fit, theirs)}", flush=True)
    assert seconds["kept"].elapsed == len(fit.genes)
    return total


def result(args: argparse.Namespace, ours: float, peer: float | None, rss: float) -> dict[str, object]:
    """Return the line that ends every benchmark."""
    return {
        "name": "de_vs_limma",
        "ours": round(ours, 3),
        "peer": peer and round(peer, 1),
        "peer_name": "edgeR + limma by the published recipe (lmFit and contrasts extrapolated linearly)",
        "ratio": peer and round(peer / ours, 1),
        "peak_rss_mb": round(rss),
        "sizes": {name: getattr(args, name) for name in ("samples", "conditions", "plates", "genes")},
    }


if __name__ == "__main__":
    main()
