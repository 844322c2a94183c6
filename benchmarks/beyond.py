"""Beyond the compendium, on paper: hours, disk and memory of a compendium k times as large, from its measured lines.

With s the seconds of a stage at the largest share at which it was measured, and b how they grow: 1 for what is done for
a data set by itself, k times as often where there are k times as many; for what is done for all of them together the
slope of log s over log share, of what all shares have (1 where fewer than two shares were measured):

    seconds(stage, k)   = s x (k / share)^b, summed over data sets
    hours(k, c, w)      = (seconds of other stages + seconds of `effects` x c / w) / 3600
    disk(k)             = MB of the data sets x k

c: cores of the machine that was measured; w: threads of the workers that make the fits (w = c without a cluster). What
stays on the machine that loads bounds the gain: with as many workers as you like, hours are those of the other stages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from compendium_lines import ALL, STAGES, Run, alike, largest

FACTORS = (1, 10, 100)
WORKERS = 64
ON_CLUSTER = "effects"


@dataclass(frozen=True)
class Beyond:
    """What k times the compendium takes: hours on one machine, and with WORKERS threads that make the fits; disk."""

    factor: int
    hours: dict[str, float]
    hours_cluster: float
    disk_gb: float

    @property
    def hours_alone(self) -> float:
        """On one machine like the measured one."""
        return sum(self.hours.values())


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Least squares slope of log seconds over log share; 1 where there are not two shares with a second at least."""
    logs = [(math.log(share), math.log(seconds)) for share, seconds in points if seconds >= 1]
    if len({share for share, _ in logs}) < 2:
        return 1.0
    mean_x, mean_y = (sum(one[i] for one in logs) / len(logs) for i in (0, 1))
    across = sum((x - mean_x) ** 2 for x, _ in logs)
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / across


def beyond(runs: Sequence[Run], cores: int, factor: int, workers: int = WORKERS) -> Beyond:
    """Extrapolate from runs, by share."""
    found, slopes = largest(runs), slopes_of(runs)
    hours = {
        stage: sum(s * (factor / share) ** slopes[stage] for (_, one), (share, s) in found.items() if one == stage)
        / 3600
        for stage in STAGES
    }
    fits = hours[ON_CLUSTER]
    elsewhere = sum(hours.values()) - fits + fits * cores / max(workers, cores)
    # A step that was left out at one share left little on disk there.
    mb = {step: max(run.mb.get(step, 0) / run.share for run in runs) for run in runs for step in run.mb}
    return Beyond(factor, hours, elsewhere, sum(mb.values()) * factor / 1000)


def slopes_of(runs: Sequence[Run]) -> dict[str, float]:
    """How each stage grows with the number of data sets."""
    together = [replace(run, seconds={s: n for s, n in run.seconds.items() if s[0] == ALL}) for run in alike(runs)]
    return {stage: slope([(run.share, run.of_stage(stage)) for run in together]) for stage in STAGES}


def cores_of(machine: str) -> int:
    """The number before `CPUs` or `cores` in the words for a machine; 1 where there is none."""
    words = machine.replace(",", " ").split()
    counts = [before for before, word in pairwise(words) if word in ("CPUs", "cores")]
    return int(counts[0]) if counts and counts[0].isdecimal() else 1
