"""Hold compounds out of a dataset that train in another: the task of the published molecule holdout."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from pbdb.learn.splits.rules import TEST, TRAIN, VALIDATION, Shares, rank

FEWEST_SHARED = 20


def transfer(compounds: Sequence[str], owners: Sequence[str], shares: Shares, seed: int) -> list[str]:
    """Hold out a share of the compounds that a dataset shares with others, with all their conditions there.

    The published rule: datasets are served from few to many shared compounds; a compound is passed over if no dataset
    would be left to train on it. Where fewer than 20 are shared, they are dealt out by number of conditions to
    whichever of validation and test has fewer. So a held-out compound is new to its dataset, not to the model.

    compounds (groups that count as one), owners (datasets, or what share wells): of each condition. Returns folds.
    """
    sizes = Counter(zip(owners, compounds, strict=True))
    training: dict[str, set[str]] = defaultdict(set)
    for owner, compound in sizes:
        training[compound].add(owner)
    shared = {owner: [c for o, c in sizes if o == owner and len(training[c]) > 1] for owner in set(owners)}
    fold_of: dict[tuple[str, str], str] = {}
    for owner in sorted(shared, key=lambda name: (len(shared[name]), name)):
        drawn = sorted(shared[owner], key=lambda compound: rank(seed, owner, compound))
        free = [compound for compound in drawn if len(training[compound] - {owner}) > 0]
        held = (
            _by_share(free, len(drawn), shares)
            if len(drawn) >= FEWEST_SHARED
            else _dealt(free, {compound: sizes[owner, compound] for compound in free}, shares)
        )
        for compound, fold in held.items():
            training[compound].discard(owner)
            fold_of[owner, compound] = fold
    return [fold_of.get(pair, TRAIN) for pair in zip(owners, compounds, strict=True)]


def _by_share(free: list[str], n_shared: int, shares: Shares) -> dict[str, str]:
    """The first compounds validate, the next test: of each, the share of all shared ones, rounded down."""
    n_validation, n_test = (int(share * n_shared + 1e-9) for share in (shares.validation, shares.test))
    held = dict.fromkeys(free[:n_validation], VALIDATION)
    return held | dict.fromkeys(free[n_validation : n_validation + n_test], TEST)


def _dealt(free: list[str], sizes: dict[str, int], shares: Shares) -> dict[str, str]:
    """All are held out, the largest first, each in the fold with fewer conditions."""
    taken = {fold: 0 for fold, share in ((VALIDATION, shares.validation), (TEST, shares.test)) if share}
    held = {}
    for compound in sorted(free, key=lambda name: -sizes[name]):
        fold = min(taken, key=lambda name: taken[name])
        held[compound] = fold
        taken[fold] += sizes[compound]
    return held
