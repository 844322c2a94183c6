"""What to worry about: every stated test with its threshold; sentences only where it says so (docs/qc.md)."""

from __future__ import annotations

from pbdb.effects.report import of_vehicles, of_wells
from pbdb.effects.report.screen import Screen
from pbdb.effects.report.verdicts import N_TESTS, Test, Verdict


def judge(screen: Screen) -> list[Verdict]:
    """Ask every test of a page."""
    return [ask(screen) for ask in TESTS]


TESTS: tuple[Test, ...] = (
    of_vehicles.plate_effects,
    of_vehicles.one_plate_apart,
    of_wells.few_counts,
    of_wells.dying_wells,
    of_vehicles.swapped_vehicles,
    of_wells.odd_replicates,
    of_wells.replicates_apart,
    of_wells.edge_effects,
    of_wells.patterns,
    of_vehicles.null_check,
)
assert len(TESTS) == N_TESTS
