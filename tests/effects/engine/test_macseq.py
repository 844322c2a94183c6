"""A real MAC-seq plate (PMMSq033) against its R results: each condition with the vehicle wells alone, `~ 0 + group`;
and what its own vehicle wells say of the p values at the depth of its treated wells.

R's recipe was TMMwsp, then voomLmFit, which knows that a group without any count says nothing about variance. What
the engine has no use for otherwise is written here: the factors, and the trend weighted by residual degrees of freedom.
log2 counts, the weight of each count, and the weighted fit are the engine's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from pbdb.effects.engine import Design, Options, build_design, complete, prepare, unweighted, voom
from pbdb.effects.engine.weighted import fit_weighted

SPAN, STEPS = 0.5, 4
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Plate:
    """Counts of genes x wells, the condition of each well, and R's tables by condition."""

    counts: pd.DataFrame
    condition: npt.NDArray[Any]
    golden: dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def plate(shared: Path) -> Plate:
    folder = shared / "data/drugseq_like/macpie_macseq/PMMSq033"
    counts = pd.read_csv(folder / "mini_mac_counts_500x308.csv.gz", index_col=0)
    sheet = pd.read_csv(folder / "mini_mac_metadata_308.csv", index_col="Barcode").loc[counts.columns]
    tables = [pd.read_csv(path, index_col="gene") for path in sorted((folder / "golden_limma_voom").glob("*.csv"))]
    golden = {str(table["combined_id"].iloc[0]): table.loc[counts.index] for table in tables}
    return Plate(counts, sheet["combined_id"].to_numpy(), golden)


def tmm_with_singletons(counts: Floats) -> Floats:
    """Library sizes by TMM with pairing of singletons; the reference has the largest sum of square roots."""
    library = counts.sum(axis=0)
    reference = int(np.sqrt(counts).sum(axis=0).argmax())
    pairs = [_paired(counts[:, at], counts[:, reference]) for at in range(len(library))]
    factor = np.array([_tmm(*pair, total, library[reference]) for pair, total in zip(pairs, library, strict=True)])
    return np.asarray(library * factor / np.exp(np.log(factor).mean()))


def _paired(counts: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """Counts of genes that both have, then those that one has alone, paired by size as far as they go."""
    both = (counts > 0) & (reference > 0)
    alone = [np.sort(one[(one > 0) & ~both])[::-1] for one in (counts, reference)]
    n = min(map(len, alone))
    return np.append(counts[both], alone[0][:n]), np.append(reference[both], alone[1][:n])


def _tmm(counts: Floats, reference: Floats, library: float, reference_library: float) -> float:
    """The weighted trimmed mean of log ratios; equal ratios are put in the order of ratios nearer to one."""
    a, b = counts / library, reference / reference_library
    ratio = np.log2(a / b)
    if np.abs(ratio).max() < 1e-6:
        return 1.0
    shrunk = np.log2((counts + 0.5) / (library + 0.5) / ((reference + 0.5) / (reference_library + 0.5)))
    by_ratio, by_level = np.lexsort((shrunk, ratio)), np.argsort(np.log2(a * b), kind="stable")
    kept = np.intersect1d(_without_ends(by_ratio, 0.3), _without_ends(by_level, 0.05))
    weight = 1 / ((1 - a) / counts + (1 - b) / reference)
    return float(2 ** np.average(ratio[kept], weights=weight[kept]))


def _without_ends(order: npt.NDArray[np.intp], share: float) -> npt.NDArray[np.intp]:
    trimmed = int(len(order) * share)
    return order[trimmed : len(order) - trimmed]


def weighted_lowess(x: Floats, y: Floats, weight: Floats) -> Floats:
    """Local lines through points with rising x; a window holds SPAN of the weights, outliers count less each step."""
    windows = [_window(x, weight, at) for at in range(len(x))]
    trust, fitted = np.ones(len(x)), np.empty(len(x))
    for _ in range(STEPS):
        for at, (rows, reach) in enumerate(windows):
            near = weight[rows] * trust[rows] * (1 - np.minimum(np.abs(x[rows] - x[at]) / reach, 1) ** 3) ** 3
            fitted[at] = _line(x[rows], y[rows], near, x[at])
        far = np.abs(y - fitted)
        trust = (1 - np.minimum(far / (6 * _weighted_median(far, weight)), 1) ** 2) ** 2
    return fitted


def _window(x: Floats, weight: Floats, at: int) -> tuple[slice, float]:
    """The nearest points, until they hold SPAN of all weight."""
    left = right = at
    wanted = SPAN * weight.sum()
    while weight[left : right + 1].sum() < wanted:
        if left == 0 or (right < len(x) - 1 and x[right + 1] - x[at] <= x[at] - x[left - 1]):
            right += 1
        else:
            left -= 1
    return slice(left, right + 1), max(x[at] - x[left], x[right] - x[at])


def _line(x: Floats, y: Floats, weight: Floats, at: float) -> float:
    middle, level = np.average(x, weights=weight), np.average(y, weights=weight)
    spread = weight @ (x - middle) ** 2
    return float(level + (weight @ ((x - middle) * (y - level)) / spread * (at - middle) if spread > 1e-14 else 0))


def _weighted_median(values: Floats, weight: Floats) -> float:
    order = np.argsort(values)
    at = int(np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2))
    return float(values[order[at]])


def trend(counts: Floats, y: Floats, fitted: unweighted.SharedFit, design: Design, library: Floats) -> voom.Curve:
    """sqrt(sigma) over mean log2 count, from the groups of a gene that have any count."""
    groups = np.array([~design.is_control, design.is_control])
    has_count = np.array([counts[:, group].sum(axis=1) > 0 for group in groups])
    mean = np.where(design.is_control, fitted.mean[:, [_vehicle(design)]], fitted.mean[:, [1 - _vehicle(design)]])
    told = np.select([~design.is_control, design.is_control], has_count[:, :, None])
    df = has_count.T @ (groups.sum(axis=1) - 1)
    seen = df > 0
    sigma = np.sqrt(((y - mean) ** 2 * told).sum(axis=1)[seen] / df[seen])
    level = (y * told).sum(axis=1)[seen] / told.sum(axis=1)[seen] + np.log2(library + 1).mean() - np.log2(1e6)
    order = np.argsort(level, kind="stable")
    heights = weighted_lowess(level[order], np.sqrt(sigma)[order], df[seen][order].astype(float))
    x, first = np.unique(level[order], return_index=True)
    return voom.Curve.through(x, heights[first])


def _vehicle(design: Design) -> int:
    return int(design.effects.vehicle[0])


def log2_fc(counts: Floats, is_control: npt.NDArray[np.bool_]) -> Floats:
    """log2 fold changes by R's recipe."""
    design = build_design(np.where(is_control, "vehicle", "treated"), is_control)
    ordered = counts[:, design.samples]
    library = tmm_with_singletons(ordered)
    y = voom.log_cpm(ordered.copy(), library)
    fitted = unweighted.fit(y, unweighted.share(design))
    weights = voom.weights(fitted, design, library, trend(ordered, y, fitted, design, library))
    return fit_weighted(y, weights, design, design.ok).log2_fc[:, 0]


def test_log2_fold_changes_equal_those_of_r(plate: Plate) -> None:
    assert len(plate.golden) == 15
    for name, table in plate.golden.items():
        wells = np.isin(plate.condition, [name, "DMSO_0"])
        found = log2_fc(plate.counts.to_numpy(float)[:, wells], plate.condition[wells] == "DMSO_0")
        np.testing.assert_allclose(found, table["log2FC"], rtol=0, atol=1e-6, err_msg=name)


def test_the_own_recipe_tells_the_same_story_of_the_genes_it_tests(plate: Plate) -> None:
    """All wells in one fit, plain TMM, filter, adaptive span: the numbers stand in docs/your_own_plates.md."""
    design = build_design(plate.condition, plate.condition == "DMSO_0")
    fit = prepare(plate.counts.to_numpy(float).T, design, Options(threads=1, p_values="limma"))
    (block,) = complete(fit, size=1000)
    names = np.array(design.effects.condition)[design.ok].tolist()
    columns = [names.index(name) for name in plate.golden]
    tables = [table.iloc[fit.genes] for table in plate.golden.values()]
    ours = (block.log2_fc[:, columns], block.p_adj[:, columns] < 0.05)
    theirs = [np.stack([table[name] for table in tables], axis=1) for name in ("log2FC", "p_value_adj")]
    called = theirs[1] < 0.05
    assert (len(fit.genes), called.sum(), ours[1].sum(), (called & ours[1]).sum()) == (48, 89, 91, 77)
    assert (np.sign(ours[0][called]) == np.sign(theirs[0][called])).all()
    alike = [np.corrcoef(ours[0][:, at], theirs[0][:, at])[0, 1] for at in range(len(columns))]
    assert min(alike) > 0.991 and np.median(alike) > 0.9975


DYING_CELLS = (179, 195, 262)  # counts of the three wells of camptothecin; a vehicle well has 450


@pytest.fixture(scope="module")
def pretended(plate: Plate) -> npt.NDArray[np.bool_]:
    """Is any gene called (by counts, by limma) where three vehicle wells, thinned, are taken for a treatment?"""
    random = np.random.default_rng(8)
    counts, vehicle = plate.counts.to_numpy(int).T, np.flatnonzero(plate.condition == "DMSO_0")
    return np.array(
        [_pretend(plate, counts.copy(), random.choice(vehicle, 3, replace=False), random) for _ in range(40)]
    )


def _pretend(
    plate: Plate, counts: npt.NDArray[np.int64], wells: npt.NDArray[np.intp], random: np.random.Generator
) -> list[bool]:
    counts[wells] = random.binomial(counts[wells], np.divide(DYING_CELLS, counts[wells].sum(axis=1))[:, None])
    condition = plate.condition.astype("U60")
    condition[wells] = "pretended"
    design = build_design(condition, condition == "DMSO_0")
    (block,) = complete(prepare(counts, design, Options(threads=1)), size=1000)
    column = np.array(design.effects.condition)[design.ok].tolist().index("pretended")
    return [bool((p[:, column] < 0.05).any()) for p in (block.p_adj, block.p_adj_limma)]


def test_genes_that_only_limma_calls_are_those_it_calls_of_vehicle_wells_as_shallow(
    plate: Plate, pretended: npt.NDArray[np.bool_]
) -> None:
    """The numbers stand in docs/p_values.md."""
    of_counts, of_limma = pretended.mean(axis=0)
    assert of_counts <= 0.05
    assert of_limma >= 0.2


def test_calls_by_counts_are_nearly_all_calls_of_limma(plate: Plate) -> None:
    design = build_design(plate.condition, plate.condition == "DMSO_0")
    (block,) = complete(prepare(plate.counts.to_numpy(float).T, design, Options(threads=1)), size=1000)
    names = np.array(design.effects.condition)[design.ok].tolist()
    columns = [names.index(name) for name in plate.golden]
    counts, limma = block.p_adj[:, columns] < 0.05, block.p_adj_limma[:, columns] < 0.05
    assert (counts.sum(), limma.sum(), (counts & limma).sum()) == (64, 91, 62)
    only_limma = limma & ~counts
    assert (block.log2_fc[:, columns][only_limma] < 0).mean() > 0.7
    assert only_limma[:, list(plate.golden).index("Staurosporine_10")].sum() == 16
