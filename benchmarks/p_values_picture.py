"""Draw docs/p_values.svg: p values of noise against what they should be, limma's and those of counts.

    python benchmarks/p_values_picture.py [--real ../shared/data/drugseq_like/driadrc] [--out docs/p_values.svg]

Left: single wells of simulated noise (the structure of Tahoe in `de_null.py`). Right, where the folder is there: the
vehicle wells of a real plate, each fitted as if it were a treatment. On the diagonal p values hold; above it they are
too small. The last line is JSON.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import lines
import matplotlib as mpl
import numpy as np
import pandas as pd
from de_null import KINDS, STRUCTURES, simulate

from pbdb.effects import engine

mpl.use("svg")
mpl.rcParams |= {"svg.hashsalt": "pbdb", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9}
COLOURS = {"counts": "#1f6fb4", "limma": "#d2691e"}
WORDS = {"counts": "counts (the default)", "limma": "limma"}
POINTS = 150


def of_noise() -> dict[str, np.ndarray]:
    """-log10 p of single wells of noise."""
    noise = simulate(STRUCTURES["tahoe"], 1500, 3000, np.random.default_rng(3))
    design = engine.build_design(noise.condition, noise.condition < 0, plate=noise.plate)
    fit = engine.prepare(noise.counts, design)
    single = design.effects.n_treated[fit.effects] == 1
    parts = {kind: [getattr(block, name)[:, single] for block in fit.blocks()] for kind, name in KINDS.items()}
    return {kind: np.concatenate(values).ravel() for kind, values in parts.items()}


def of_vehicles(folder: Path) -> tuple[dict[str, np.ndarray], int]:
    """-log10 p of each vehicle well of a plate fitted as a treatment, and how many wells there are."""
    table = pd.read_csv(folder / "DGE1-counts.csv.gz", index_col=0)
    table = table.loc[:, table.sum() >= 30_000]
    meta = pd.read_csv(folder / "DGE1-meta.csv").set_index("Well").loc[table.columns]
    is_control = (meta.Drug == "Drug control").to_numpy()
    condition = (meta.Drug.astype(str) + " " + meta.Concentration.astype(str)).to_numpy(dtype=object)
    found: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
    for well in np.flatnonzero(is_control):
        labels, others = condition.copy(), is_control.copy()
        labels[well], others[well] = "left out", False
        fit = engine.prepare(table.to_numpy().T, engine.build_design(labels.astype(str), others))
        column = fit.design.effects.condition[fit.effects].tolist().index("left out")
        for block in fit.blocks():
            for kind, name in KINDS.items():
                found[kind].append(getattr(block, name)[:, column])
    return {kind: np.concatenate(values) for kind, values in found.items()}, int(is_control.sum())


def draw(axes: mpl.axes.Axes, values: dict[str, np.ndarray], title: str) -> dict[str, float]:
    """Draw one panel; return the tail ratios at 1e-3."""
    ratios = {}
    for kind, every in values.items():
        p = np.sort(every[~np.isnan(every)])[::-1]
        place = np.unique(np.geomspace(1, len(p), POINTS).astype(int)) - 1
        axes.plot(-np.log10((place + 0.5) / len(p)), p[place], ".", ms=4, color=COLOURS[kind], label=WORDS[kind])
        ratios[kind] = round(float((p > 3).mean() / 1e-3), 2)
    limit = max(axes.get_xlim()[1], 1)
    axes.plot([0, limit], [0, limit], color="grey", lw=0.8)
    axes.set(title=title, xlabel="-log10 p expected of noise", ylabel="-log10 p")
    axes.legend(frameon=False)
    return ratios


def main() -> None:
    """Draw, and end with one JSON line."""
    from matplotlib import pyplot

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, default=Path("../shared/data/drugseq_like/driadrc"))
    parser.add_argument("--out", type=Path, default=Path("docs/p_values.svg"))
    args = parser.parse_args()
    panels = [(of_noise(), "simulated noise, single wells")]
    if args.real.is_dir():
        values, n_wells = of_vehicles(args.real)
        panels.append((values, f"{n_wells} real vehicle wells, one at a time"))
    figure, axes = pyplot.subplots(1, len(panels), figsize=(4.2 * len(panels), 3.8), squeeze=False)
    ratios = {title: draw(place, values, title) for place, (values, title) in zip(axes[0], panels, strict=True)}
    figure.tight_layout()
    figure.savefig(args.out, metadata={"Date": None})
    first = ratios[panels[0][1]]
    line = {
        "name": "p_values_picture",
        "ours": first["counts"],
        "peer": first["limma"],
        "peer_name": "limma's p below 0.001 on noise, over the number expected",
        "ratio": round(first["limma"] / first["counts"], 2),
        "sizes": ratios,
    }
    lines.report(line)


if __name__ == "__main__":
    main()
