"""How the time of a fit grows with samples, conditions, plates and genes, each doubled twice.

    python benchmarks/de_growth.py
    python benchmarks/de_growth.py growth.png
    python benchmarks/de_growth.py growth.png --samples 2000 --conditions 200 --genes 300

Counts in, effects out (float32, by effect); the other three sizes stay as they are, so more conditions take the
place of vehicle wells. The time is the shortest of --repeat runs. The plot, where one is asked for, has a panel for
each size: measured times against linear growth (dashed). The peer is linear growth: ours is the largest factor by
which the time grew when samples or conditions became four times as many, theirs is 4. The last line is JSON.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import lines
import numpy as np
from de_vs_limma import Batch, simulate

from pbdb.effects import engine

SIZES = {"samples": 6000, "conditions": 500, "plates": 20, "genes": 800}
FACTORS = (1, 2, 4)
Steps = dict[str, float]
Clock = Callable[[], float]


def run(batch: Batch, clock: Clock = time.perf_counter) -> Steps:
    """Return the seconds of one run, from counts to effects: `fit` (all before the effects) and `effects`."""
    start = clock()
    sheet = batch.sheet
    design = engine.build_design(sheet["condition"], sheet["is_control"], plate=sheet["plate"])
    fit = engine.prepare(batch.counts, design, engine.Options(filter="none"))
    fitted = clock()
    shape = (len(fit.effects), len(fit.genes))
    names = ("log2_fc", "se", "neg_log10_p", "neg_log10_p_adj")
    engine.fill(fit, {name: np.empty(shape, np.float32) for name in names})
    return {"fit": fitted - start, "effects": clock() - fitted}


def measure(sizes: dict[str, int], repeat: int, clock: Clock) -> Steps:
    """Return the steps of the shortest of several runs at these sizes."""
    batch = simulate(**sizes)
    return min((run(batch, clock) for _ in range(repeat)), key=lambda steps: sum(steps.values()))


def grow(base: dict[str, int], repeat: int, clock: Clock) -> dict[str, list[Steps]]:
    """Measure each size at its base, doubled, and doubled again; print as it goes."""
    first = measure(base, repeat, clock)
    grown = {}
    for name, size in base.items():
        others = [measure({**base, name: size * factor}, repeat, clock) for factor in FACTORS[1:]]
        grown[name] = [first, *others]
        seconds = [sum(steps.values()) for steps in grown[name]]
        text = ", ".join(f"{size * f:,}: {s:.2f} s" for f, s in zip(FACTORS, seconds, strict=True))
        print(f"{name:11s}{text}; x4 takes {seconds[-1] / seconds[0]:.2f} times as long", flush=True)
    return grown


def draw(base: dict[str, int], grown: dict[str, list[Steps]], unit: str, path: Path) -> None:
    """Draw one panel per size: total and its steps, and linear growth from the first point."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    highest = max(sum(one.values()) for steps in grown.values() for one in steps)
    figure, panels = pyplot.subplots(1, len(grown), figsize=(3.4 * len(grown), 3.6), sharey=True, layout="constrained")
    for panel, (name, steps) in zip(panels, grown.items(), strict=True):
        x = np.array([base[name] * factor for factor in FACTORS])
        total = np.array([sum(one.values()) for one in steps])
        panel.plot(x, total, "o-", color="C0", label="total")
        panel.plot(x, [one["fit"] for one in steps], "s-", color="C1", markersize=4, linewidth=1, label="fit")
        panel.plot(x, [one["effects"] for one in steps], "^-", color="C2", markersize=4, linewidth=1, label="effects")
        panel.plot(x, total[0] * np.array(FACTORS), "--", color="0.6", label="linear in this size")
        panel.set(xlabel=name, xlim=(0, None), ylim=(0, 1.05 * highest))
        panel.set_xticks(x, [f"{value:,}" for value in x])
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel(unit)
    panels[0].legend(frameon=False, fontsize=8)
    figure.suptitle("Base: " + ", ".join(f"{value:,} {name}" for name, value in base.items()), fontsize=10)
    figure.savefig(path, dpi=130)


def main() -> None:
    """Measure, draw, and end with one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path, nargs="?", help="PNG to draw")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--processor", action="store_true", help="count processor seconds, for a busy machine")
    for name, size in SIZES.items():
        parser.add_argument(f"--{name}", type=int, default=size)
    args = parser.parse_args()
    base = {name: getattr(args, name) for name in SIZES}
    start = time.perf_counter()
    run(simulate(samples=400, conditions=41, plates=5, genes=300))
    print(f"compile: {time.perf_counter() - start:.1f} s (cached between processes)", flush=True)
    unit = "processor seconds" if args.processor else "seconds"
    grown = grow(base, args.repeat, time.process_time if args.processor else time.perf_counter)
    if args.picture:
        draw(base, grown, unit, args.picture)
        print(f"picture: {args.picture}")
    lines.report(result(base, grown, unit))


def result(base: dict[str, int], grown: dict[str, list[Steps]], unit: str) -> dict[str, object]:
    """Return the line that ends every benchmark."""
    total = {name: [round(sum(one.values()), 3) for one in steps] for name, steps in grown.items()}
    ours = max(total[name][-1] / total[name][0] for name in ("samples", "conditions"))
    return {
        "name": "de_growth",
        "ours": round(ours, 2),
        "peer": float(FACTORS[-1]),
        "peer_name": "linear growth: samples or conditions times 4",
        "ratio": round(FACTORS[-1] / ours, 2),
        "sizes": {**base, unit: total},
    }


if __name__ == "__main__":
    main()
