"""Time and memory of the low-rank model at the width of the compendium: 411,514 conditions x 978 genes.

    python benchmarks/embed_lowrank.py [--conditions 411514] [--genes 978] [--compounds 37441] [--rank 32]
    python benchmarks/embed_lowrank.py --growth           # seconds per iteration against values, compounds, rank
    python benchmarks/embed_lowrank.py --lpm              # the network's seconds per million values, beside PyTorch's

Effects are made up (planted factors and noise, float32); every figure is measured in this run.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from dataclasses import replace

import lines
import numpy as np
from threadpoolctl import threadpool_limits

from pbdb.learn.models import context_means, lowrank, lpm, lpm_network
from pbdb.learn.models.compendium import Block, Compendium
from pbdb.learn.models.problem import Visible

# Datasets of the compendium in proportion: contexts, share of the conditions, share of the compounds.
PLAN = (("phase1", 70, 0.45, 0.54), ("phase2", 20, 0.24, 0.05), ("cells", 30, 0.13, 0.01), ("targeted", 10, 0.18, 0.45))


def made_up(conditions: int, genes: int, compounds: int, seed: int = 0) -> Compendium:
    """A compendium of the wanted size, 20 % of its variance from eight factors."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(compounds, 8)).astype(np.float32)
    shared = rng.normal(size=(8, genes)).astype(np.float32)
    prints = np.packbits(rng.random((compounds, 2048)) < 0.02, axis=1)
    blocks = []
    for name, contexts, share, of_compounds in PLAN:
        known = rng.choice(compounds, max(int(of_compounds * compounds), 20), replace=False)
        rows = np.full(contexts, int(share * conditions) // contexts)
        for i, n in enumerate(rows):
            compound = rng.choice(known, n)
            loading = shared + 0.5 * rng.normal(size=shared.shape).astype(np.float32)
            values = 0.16 * (factors[compound] @ loading)
            values += 0.9 * rng.standard_normal(values.shape, dtype=np.float32)
            dose = rng.choice([0.1, 1.0, 10.0], n)
            blocks.append(Block(name, f"{name}_{i}", np.arange(genes), compound, dose, np.full(n, 24.0), values))
    names = tuple(map(str, range(compounds)))
    return Compendium(tuple(blocks), tuple(map(str, range(genes))), names, prints)


def peak_mb() -> int:
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def fit(compendium: Compendium, rank: int, iterations: int) -> dict[str, float | int]:
    """Fit once and say what it took."""
    before = peak_mb()
    started = time.perf_counter()
    centred = context_means.fit(compendium).centre(compendium, in_place=True)
    steps: list[float] = []
    lowrank.fit(
        centred,
        lowrank.Options(rank=rank, iterations=iterations, threads=os.cpu_count() or 1),
        lambda *_: steps.append(time.perf_counter()),
    )
    seconds = time.perf_counter() - started
    values = sum(block.values.size for block in compendium.blocks)
    return {
        "million_values": round(values / 1e6, 2),
        "compounds": len(compendium.compounds),
        "rank": rank,
        "iterations": len(steps),
        "seconds": round(seconds, 2),
        "seconds_per_iteration": round((steps[-1] - steps[0]) / max(len(steps) - 1, 1), 3),
        "data_mb": before,
        "peak_mb": peak_mb(),
    }


def growth(conditions: int, genes: int, compounds: int) -> None:
    """Seconds per iteration as values, compounds and rank double, one at a time."""
    base = {"conditions": conditions, "compounds": compounds, "rank": 16}
    rows = []
    for name, usual in base.items():
        for times in (1, 2, 4):
            size = base | {name: usual * times}
            found = fit(made_up(size["conditions"], genes, size["compounds"]), size["rank"], 4)
            print(name, json.dumps(found), flush=True)
            rows.append({"what": name, "times": times, "seconds": found["seconds_per_iteration"]})
    four = {row["what"]: row["seconds"] / rows[0]["seconds"] for row in rows if row["times"] == 4}
    sizes = base | {"genes": genes, "iterations": 4, "seconds_per_iteration": rows[0]["seconds"]}
    lines.report({"name": "embed_lowrank_growth", "ours": four, "sizes": sizes, "growth": rows})


def network(conditions: int, genes: int, compounds: int) -> None:
    """Seconds per million values of one epoch, and those of the same network in PyTorch where it is at hand."""
    compendium = made_up(conditions, genes, compounds)
    means = context_means.fit(compendium)
    visible = Visible(means.centre(compendium, in_place=True), means, [], [], [])
    millions = sum(block.values.size for block in compendium.blocks) / 1e6
    started = time.perf_counter()
    lpm.fit(visible, replace(lpm.Options(), epochs=1))
    ours = (time.perf_counter() - started) / millions
    line = {"name": "embed_lowrank_lpm", "ours": ours, "sizes": {"million_values": millions}}
    theirs = torch_seconds(visible, millions)
    if theirs is not None:
        line |= {"peer": theirs, "peer_name": "PyTorch, seconds per million values of an epoch", "ratio": theirs / ours}
    lines.report(line)


def torch_seconds(visible: Visible, millions: float) -> float | None:
    """The same epoch in PyTorch: five vectors, two hidden layers, dense AdamW; None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    options, train = lpm.Options(), visible.train
    shape = lpm_network.Shape(len(train.datasets), len(train.blocks), len(train.compounds), len(train.genes))
    tables = [torch.nn.Embedding(n, shape.width) for n in (shape.datasets, shape.contexts, shape.compounds)]
    lines = [torch.nn.Linear(1, shape.width) for _ in range(2)]
    body = torch.nn.Sequential(
        torch.nn.Linear(5 * shape.width, shape.hidden), torch.nn.ReLU(), torch.nn.Dropout(0.1),
        torch.nn.Linear(shape.hidden, shape.hidden), torch.nn.ReLU(), torch.nn.Dropout(0.1),
        torch.nn.Linear(shape.hidden, shape.genes),
    )  # fmt: skip
    model = torch.nn.ModuleList([*tables, *lines, body])
    adam = torch.optim.AdamW(model.parameters(), lr=options.rate)
    started = time.perf_counter()
    for i, block in enumerate(train.blocks):
        for start in range(0, len(block), options.batch):
            part = slice(start, start + options.batch)
            n = len(block.compound[part])
            names = (torch.zeros(n, dtype=int), torch.full((n,), i), torch.from_numpy(block.compound[part]))
            numbers = [torch.from_numpy(v[part]).float()[:, None] for v in (block.dose_um, block.time_h)]
            entry = torch.cat([t(x) for t, x in zip([*tables, *lines], [*names, *numbers], strict=True)], dim=1)
            loss = ((body(entry) - torch.from_numpy(block.values[part])) ** 2).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
    return (time.perf_counter() - started) / millions


def main() -> None:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, usual in (("conditions", 411_514), ("genes", 978), ("compounds", 37_441), ("rank", 32)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--iterations", type=int, default=30)
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--lpm", action="store_true")
    given = parser.parse_args()
    size = (given.conditions, given.genes, given.compounds)
    threadpool_limits(1, "blas")
    if given.growth:
        growth(*size)
    elif given.lpm:
        network(*size)
    else:
        found = fit(made_up(*size), given.rank, given.iterations)
        lines.report({"name": "embed_lowrank", "ours": found["seconds"], "sizes": found})


if __name__ == "__main__":
    main()
