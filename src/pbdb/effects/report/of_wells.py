"""Tests on all wells: counts, replicates, edges."""

from __future__ import annotations

import numpy as np

from pbdb.common.arrays import Floats, Floats32, Mask
from pbdb.effects.report import checks
from pbdb.effects.report.screen import Compared, Screen, position
from pbdb.effects.report.verdicts import (
    ALIKE,
    ALPHA,
    DYING_FOLD,
    EDGE_COUNTS,
    EDGE_SHIFT,
    FAR_CONDITIONS,
    FAR_WELLS,
    FAR_Z,
    FEW_FOLD,
    HALF_ALIKE,
    NAMED,
    NO_COUNTS,
    PATTERN,
    UNLIKE,
    VEHICLE_FOLD,
    Answer,
    NotTestedError,
    asked,
    condition_label,
    few,
    listed,
    names_of,
    normal_cut,
    of_vehicle,
    p_words,
    t_cut,
    treated_of,
    well_name,
    wells_words,
)


@asked(
    "few_counts",
    "Do single wells have far too few counts?",
    f"robust z (MAD) of log counts within plates; worry where p < {ALPHA:.2g} over the number of wells and counts"
    f" are below {FEW_FOLD:.0%} of the plate's median",
    "Their profiles are mostly noise. Where all wells of a condition are low its cells may be dying; single failed"
    " wells are best left out of the sheet.",
)
def few_counts(screen: Screen) -> Answer:
    """Whether wells have far fewer counts than their plate."""
    wells = screen.compared
    if not wells.has_counts or len(wells.rows) < 12:
        raise NotTestedError(NO_COUNTS if not wells.has_counts else "fewer than 12 wells")
    fold, z = checks.low_counts(wells.log10_total, wells.block)
    cut = normal_cut(ALPHA / len(z))
    low = np.flatnonzero((z < -cut) & (fold < FEW_FOLD))
    said = f"lowest z {z.min():.1f} (limit \N{MINUS SIGN}{cut:.1f}), lowest fold {fold.min():.2g}"
    if not len(low):
        return Answer(said)
    n_vehicle = int(wells.is_vehicle[low].sum())
    words = (
        f"{wells_words(len(low))} below a quarter of the counts of their plate{of_vehicle(n_vehicle)}:"
        f" {names_of(wells, low[np.argsort(z[low])], lambda at: f'{fold[at]:.0%}')}."
    )
    return Answer(said, says=(words,), marked=tuple(wells.rows[low].tolist()))


@asked(
    "dying",
    "Do conditions lose counts, as dying cells do?",
    f"t of log counts against the vehicle wells of the same plates; worry where p < {ALPHA:.2g} over the number of"
    f" conditions and counts are below {DYING_FOLD:.0%} of vehicle",
    "Read their effects as those of dying cells; a lower dose may show the mechanism.",
)
def dying_wells(screen: Screen) -> Answer:
    """Whether the wells of a condition have fewer counts than the vehicle wells of their plates: cells that die."""
    wells = screen.compared
    if not wells.has_counts:
        raise NotTestedError(NO_COUNTS)
    tested = checks.dying(wells.log10_total, wells.block, wells.condition, wells.is_vehicle)
    if not len(tested.p):
        raise NotTestedError("no condition of two wells shares plates with two vehicle wells")
    n = len(tested.p)
    low = np.flatnonzero((tested.p < ALPHA / n) & (tested.fold < DYING_FOLD))
    said = f"lowest fold {tested.fold.min():.2g} of vehicle"
    least = min(1.0, float(tested.p.min()) * n)
    if not len(low):
        return Answer(said, p=least)
    low = low[np.argsort(tested.fold[low])]
    names = [f"{condition_label(wells, tested.condition[at])} ({tested.fold[at]:.0%} of vehicle)" for at in low[:NAMED]]
    words = f"{len(low)} of {n} conditions have less than half the counts of vehicle: {listed(names, len(low))}."
    return Answer(said, p=least, says=(words,))


@asked(
    "odd_replicate",
    "Is a treated well unlike its replicates?",
    f"Fisher z of a well's correlation with its replicates less that among them, against the other wells (robust z,"
    f" MAD); only where these correlate {ALIKE:g} or more; worry where p < {ALPHA:.2g} over the number of wells and"
    f" the well has less than {HALF_ALIKE:.0%} of their correlation",
    "It may be swapped or failed: check its compound and dose.",
)
def odd_replicates(screen: Screen) -> Answer:
    """Whether a well is unlike the other wells of its condition, which are alike."""
    wells, free = treated_of(screen)
    tested = checks.fellows(free, wells.condition)
    alike = tested.others >= ALIKE
    if alike.sum() < 9:
        raise NotTestedError("fewer than three conditions of three wells have wells that are alike")
    well, with_others, others = tested.well[alike], tested.with_others[alike], tested.others[alike]
    delta = np.arctanh(np.clip(with_others, -0.999, 0.999)) - np.arctanh(np.clip(others, -0.999, 0.999))
    z = (delta - np.median(delta)) / max(checks.MAD * float(np.median(np.abs(delta - np.median(delta)))), 0.05)
    cut = normal_cut(ALPHA / len(z))
    odd = np.flatnonzero((z < -cut) & (with_others < HALF_ALIKE * others))
    said = f"lowest z {z.min():.1f} (limit \N{MINUS SIGN}{cut:.1f}) of {len(z):,} wells"
    says = [
        f"Well {well_name(wells, int(well[at]))} does not look like its replicates of"
        f" {condition_label(wells, int(wells.condition[well[at]]))}: it correlates {with_others[at]:.2f} with them,"
        f" they {others[at]:.2f} with each other."
        for at in odd[np.argsort(z[odd])]
    ]
    return Answer(said, says=few(says), marked=tuple(wells.rows[well[odd]].tolist()))


@asked(
    "replicates",
    "Do wells far from vehicle resemble their replicates?",
    "mean correlation of replicates over conditions with a well far from vehicle (robust z of log distance over"
    f" {FAR_Z:g}, {VEHICLE_FOLD:g} times the usual or more);"
    f" worry where its upper limit (t, one-sided, {ALPHA:.2g}) is below {UNLIKE:g}",
    "Distances from vehicle then are noise, or labels are mixed up: effects cannot be trusted.",
)
def replicates_apart(screen: Screen) -> Answer:
    """Whether wells far from vehicle do not resemble their replicates: noise or mixed-up labels, not effects."""
    wells, free = treated_of(screen)
    far = _far(screen, free)
    codes, r = checks.replicate_means(free, wells.condition)
    r = r[np.isin(codes, np.unique(wells.condition[far]))]
    if far.sum() < FAR_WELLS or len(r) < FAR_CONDITIONS:
        raise NotTestedError(f"too few wells are far from vehicle ({int(far.sum())}, in {len(r)} conditions)")
    upper = float(r.mean()) + t_cut(ALPHA, len(r) - 1) * float(r.std(ddof=1)) / len(r) ** 0.5
    said = f"mean correlation {r.mean():.2f}, upper limit {upper:.2f}, {len(r)} conditions"
    if upper >= UNLIKE:
        return Answer(said)
    words = (
        f"{int(far.sum()):,} treated wells are far from vehicle, but the replicates of their {len(r)} conditions"
        f" correlate only {r.mean():.2f} (at most {upper:.2f})."
    )
    return Answer(said, says=(words,))


def _far(screen: Screen, free: Floats32) -> Mask:
    """Mark treated wells far from the vehicle wells, by the spread of these and for their counts."""
    every = screen.compared
    assert every.values is not None
    vehicles = checks.centred(every.values, every.block)[every.is_vehicle].astype(np.float64)
    if len(vehicles) < 8:
        raise NotTestedError("fewer than eight vehicle wells to measure distance by")
    spread, mean = checks.gene_spread(vehicles), every.values[every.is_vehicle].mean(axis=0, dtype=np.float64)
    deviations = np.concatenate([vehicles, free.astype(np.float64)])
    order = np.concatenate([every.log10_total[every.is_vehicle], every.log10_total[~every.is_vehicle]])
    x = checks.log_distance(deviations, spread, mean, order)
    of_vehicle, of_treated = x[: len(vehicles)], x[len(vehicles) :]
    middle = float(np.median(of_vehicle))
    width = max(checks.MAD * float(np.median(np.abs(of_vehicle - middle))), 0.02)
    return np.asarray(((of_treated - middle) / width > FAR_Z) & (of_treated - middle >= np.log(VEHICLE_FOLD)))


@asked(
    "edge",
    "Do wells at the edge differ from inner ones?",
    "regression of log counts, and of the first three components, on edge, with a mean for each plate and condition"
    f" (t, the larger of the usual variance and HC1); worry where p < {ALPHA:.2g} over the number of outcomes, and"
    f" counts differ by {EDGE_COUNTS:.0%} or a component by {EDGE_SHIFT:g} of its spread",
    "Conditions that lie at the edge carry this difference in their effects: spread replicates over the plate.",
)
def edge_effects(screen: Screen) -> Answer:
    """Whether wells at the edge differ from inner wells of the same conditions and plates."""
    wells = screen.compared
    known = np.isfinite(wells.is_edge)
    if not known.any():
        raise NotTestedError("wells have no place on a plate (column well)")
    is_edge = wells.is_edge[known] == 1
    if min(is_edge.sum(), (~is_edge).sum()) < 8:
        raise NotTestedError("fewer than eight wells at the edge, or within")
    block, condition = wells.block[known], wells.condition[known]
    outcomes = [
        (name, float(y.std()), result)
        for name, y in _outcomes(wells, known)
        if (result := checks.edge(y, is_edge, block, condition)) is not None
    ]
    if not outcomes:
        raise NotTestedError("edge and inner wells share too few conditions and plates")
    n = len(outcomes)
    best = min(outcomes, key=lambda outcome: outcome[2].p)
    says = [_edge_says(*outcome, n) for outcome in outcomes if outcome[2].p < ALPHA / n and _matters(*outcome)]
    return Answer(f"largest t {best[2].t:.1f} ({best[0]})", p=min(1.0, best[2].p * n), says=tuple(says))


@asked(
    "pattern",
    "Do neighbouring wells resemble each other?",
    "Moran's I over touching wells, of log counts and of the first three components, means of plates and conditions"
    f" taken off, values permuted {checks.PERMUTATIONS} times within plates; worry where p < {ALPHA:.2g} over the"
    f" number of outcomes and I is {PATTERN:g} or more",
    "Look at the maps: stripes come from dispensing or pooling, gradients from incubation. Where parts of a plate"
    " were prepared apart or hold other cells, give each part a plate or context of its own in the sheet.",
)
def patterns(screen: Screen) -> Answer:
    """Whether wells that touch are alike beyond their conditions: stripes, gradients, parts of a plate."""
    wells = screen.compared
    places = [position(well) for well in wells.frame["well"]]
    several = np.bincount(wells.condition)[wells.condition] > 1
    known = several & np.array([place is not None for place in places], bool)
    if known.sum() < 20:
        raise NotTestedError("fewer than 20 wells have a place (column well) and a replicate")
    row, column = np.array([place for place in places if place is not None], np.int64).reshape(-1, 2).T
    kept = known[[place is not None for place in places]]
    block, condition = wells.block[known], wells.condition[known]
    pairs = checks.neighbours(block, row[kept], column[kept])
    if len(pairs[0]) < 20:
        raise NotTestedError("fewer than 20 pairs of wells with replicates touch")
    tested = [
        (name, checks.pattern(checks.without_means(y, block, condition), pairs, block))
        for name, y in _outcomes(wells, known)
    ]
    n = len(tested)
    best = min(tested, key=lambda outcome: (outcome[1].p, -outcome[1].i))
    says = [
        f"Wells that touch are alike in {name if name == 'counts' else f'expression ({name})'}: Moran's I"
        f" {result.i:.2f} (p {p_words(result.p * n)} for {n} outcomes)."
        for name, result in tested
        if result.p < ALPHA / n and result.i >= PATTERN
    ]
    return Answer(f"Moran's I {best[1].i:.2f} ({best[0]})", p=min(1.0, best[1].p * n), says=tuple(says))


def _matters(name: str, spread: float, tested: checks.Edge) -> bool:
    if name == "counts":
        return bool(abs(10.0**tested.difference - 1) >= EDGE_COUNTS)
    return bool(abs(tested.difference) >= EDGE_SHIFT * spread)


def _outcomes(wells: Compared, known: Mask) -> list[tuple[str, Floats]]:
    out = [("counts", wells.log10_total[known])] if wells.has_counts else []
    if wells.values is not None:
        scores = checks.components(checks.centred(wells.values, wells.block)[known], 3).scores
        out += [(f"component {at + 1}", column.astype(np.float64)) for at, column in enumerate(scores.T)]
    return out


def _edge_says(name: str, spread: float, tested: checks.Edge, n: int) -> str:
    p = f"(t = {tested.t:.1f}, p {p_words(tested.p * n)} for {n} outcomes)"
    if name == "counts":
        change = 10.0**tested.difference - 1
        return (
            f"Wells at the edge have {abs(change):.0%} {'fewer' if change < 0 else 'more'} counts than inner ones {p}."
        )
    share = abs(tested.difference) / max(spread, 1e-12)
    return f"Wells at the edge differ in expression: {name} is shifted by {share:.1f} of its spread {p}."
