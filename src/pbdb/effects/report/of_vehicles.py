"""Tests on vehicle wells: plates, wells that are none, p values."""

from __future__ import annotations

import numpy as np

from pbdb.effects.report import checks
from pbdb.effects.report.screen import Compared, Screen
from pbdb.effects.report.verdicts import (
    ALPHA,
    APART_FOLD,
    HALF_ALIKE,
    PLATE_SHARE,
    VEHICLE_FOLD,
    Answer,
    NotTestedError,
    asked,
    condition_label,
    few,
    n_blocks,
    only,
    p_words,
    vehicles_of,
    well_name,
)


@asked(
    "plate_effects",
    "Do vehicle wells differ between plates?",
    f"permutation test of pseudo-F over {checks.PERMUTATIONS} shuffles of plates (Anderson 2001); worry where"
    f" p < {ALPHA:.2g} and plates explain {PLATE_SHARE:.0%} of the variance or more",
    "The fit has a term for each plate, so effects are differences within plates; do not compare raw profiles"
    " of different plates.",
)
def plate_effects(screen: Screen) -> Answer:
    """Whether vehicle wells of one plate are more alike than vehicle wells of one fit."""
    wells = vehicles_of(screen, least=3)
    several = np.isin(wells.stratum, [s for s in np.unique(wells.stratum) if n_blocks(wells, s) > 1])
    if not several.any():
        raise NotTestedError("no two plates of one fit and time have three vehicle wells each")
    kept = only(wells, several)
    assert kept.values is not None
    scores = checks.components(checks.centred(kept.values, kept.stratum), 20).scores
    tested = checks.plate_effect(scores, kept.block, kept.stratum)
    said = f"pseudo-F {tested.pseudo_f:.2f}, share {tested.share:.0%}"
    if tested.p >= ALPHA or tested.share < PLATE_SHARE:
        return Answer(said, p=tested.p)
    words = (
        f"Plates differ: they explain {tested.share:.0%} of the variance between vehicle wells (p {p_words(tested.p)})."
    )
    return Answer(said, p=tested.p, says=(words,))


@asked(
    "plate_apart",
    "Is one plate apart from the others?",
    "log distance of the mean of a plate's vehicle wells from the median of plates, against those of the others (t"
    f" of a new observation); worry where p < {ALPHA:.2g} over the number of plates and the distance is"
    f" {APART_FOLD:g} times the usual or more",
    "Look at how that plate was made; fit without it and see whether effects change.",
)
def one_plate_apart(screen: Screen) -> Answer:
    """Whether the vehicle wells of one plate lie farther from those of the others than these do among themselves."""
    wells = vehicles_of(screen, least=3)
    strata = [s for s in np.unique(wells.stratum) if n_blocks(wells, s) > 3]
    if not strata:
        raise NotTestedError("it takes four plates of one fit and time with three vehicle wells each")
    says, least, folds, n = [], 1.0, [1.0], sum(n_blocks(wells, s) for s in strata)
    for stratum in strata:
        kept = only(wells, wells.stratum == stratum)
        assert kept.values is not None
        fold, p = checks.apart(kept.values, kept.block)
        least, folds = min(least, float(p.min())), [*folds, float(fold.max())]
        says += [
            f"Plate {kept.blocks[at]} is apart: its vehicle wells lie {fold[at]:.1f} times as far from those of the"
            f" other plates as is usual (p {p_words(p[at] * n)} for {n} plates)."
            for at in np.flatnonzero((p < ALPHA / n) & (fold >= APART_FOLD))
        ]
    return Answer(f"largest distance {max(folds):.2f} of the usual", p=min(1.0, least * n), says=few(says))


@asked(
    "swapped_vehicle",
    "Is a vehicle well none?",
    "log distance of each vehicle well from the others of its plate, for its counts: generalised extreme"
    f" studentised deviate (Rosner 1983); worry where p < {ALPHA:.2g} for all vehicle wells of a fit together and"
    f" the distance is {VEHICLE_FOLD:g} times the usual or more",
    "Check the layout; a well that is no vehicle hides effects and makes others.",
)
def swapped_vehicles(screen: Screen) -> Answer:
    """Whether a vehicle well is unlike the other vehicle wells of its plate."""
    wells = vehicles_of(screen, least=3)
    strata = [s for s in np.unique(wells.stratum) if (wells.stratum == s).sum() >= 8]
    if not strata:
        raise NotTestedError("it takes eight vehicle wells of one fit and time, three to a plate")
    says, marked, ratio = [], [], 0.0
    for stratum in strata:
        kept = only(wells, wells.stratum == stratum)
        assert kept.values is not None
        x = checks.distances(kept.values, kept.block, kept.log10_total)
        most = min(20, len(x) // 4)
        odd, over = checks.largest_outliers(x, ALPHA / len(strata), most)
        odd = odd[x[odd] - np.median(x) >= np.log(VEHICLE_FOLD)]
        ratio = max(ratio, float(over[0]))
        marked += kept.rows[odd].tolist()
        says += [_odd_vehicle(screen, kept, int(at), float(np.exp(x[at] - np.median(x)))) for at in odd]
    return Answer(f"largest deviate {ratio:.2f} of its limit", says=few(says), marked=tuple(marked))


def _odd_vehicle(screen: Screen, vehicles: Compared, at: int, fold: float) -> str:
    """The sentence of a vehicle well that is none, with the condition it looks like."""
    wells = screen.compared
    assert wells.values is not None
    here = np.flatnonzero(wells.stratum == wells.stratum[wells.rows == vehicles.rows[at]][0])
    free = checks.centred(wells.values[here], np.unique(wells.block[here], return_inverse=True)[1])
    codes, condition = np.unique(np.where(wells.is_vehicle[here], -1, wells.condition[here]), return_inverse=True)
    means, _ = checks.group_means(free, condition)
    deviation = free[wells.rows[here] == vehicles.rows[at]][0]
    r = np.array([np.corrcoef(deviation, mean)[0, 1] for mean in means[codes >= 0]])
    words = (
        f"Vehicle well {well_name(vehicles, at)} lies {fold:.1f} times as far from the other vehicle wells as is usual"
    )
    if len(r) and np.nanmax(r) >= HALF_ALIKE:
        like = condition_label(wells, int(codes[codes >= 0][int(np.nanargmax(r))]))
        return f"{words}, and looks like {like} (r = {np.nanmax(r):.2f})."
    return f"{words}."


@asked(
    "null_check",
    "Do p values hold on vehicle wells?",
    "vehicle wells with any gene at an adjusted p below 0.05, when each is tested against the others of its"
    f" vehicle: binomial against 5 %; worry where p < {ALPHA:.2g} over the number of fits",
    "Vehicle wells vary more than the model says; trust only strong genes, and look for odd vehicle wells above.",
)
def null_check(screen: Screen) -> Answer:
    """Whether vehicle wells tested against each other give too many significant genes."""
    checked = [(fit.label, fit.null) for fit in screen.fits if fit.null is not None]
    if not checked:
        raise NotTestedError("no fit has p values of counts with vehicle wells to check them on")
    p = [checks.too_many(round(null.any_share * null.n_wells), null.n_wells) for _, null in checked]
    says = [
        f"P values do not hold in {label}: {null.any_share:.0%} of {null.n_wells} vehicle wells have a significant gene"
        f" ({null.any_share_low:.0%} to {null.any_share_high:.0%}), where 5 % are expected."
        for (label, null), chance in zip(checked, p, strict=True)
        if chance < ALPHA / len(p)
    ]
    worst = max(null.any_share for _, null in checked)
    return Answer(f"largest share {worst:.0%}", p=min(1.0, min(p) * len(p)), says=few(says))
