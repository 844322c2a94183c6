"""What the lines of benchmarks/compendium.py say: seconds, memory and MB by stage and data set, at each share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

LOAD = ("extract", "transform", "validate", "effects", "publish", "match")
COMMON = ("agreement", "signature_index", "snapshot", "verify", "snapshot_verify")
STAGES = (*LOAD, *COMMON)
ALL = "all data sets"


@dataclass
class Run:
    """One share of the compendium: seconds, peak MB and MB that stay on disk, by data set and stage."""

    share: float
    seconds: dict[tuple[str, str], float] = field(default_factory=dict)
    peak_mb: dict[tuple[str, str], float] = field(default_factory=dict)
    mb: dict[tuple[str, str], float] = field(default_factory=dict)
    left_out: dict[tuple[str, str], str] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def partial(self) -> set[tuple[str, str]]:
        """Steps that did less than elsewhere, for something was left out."""
        return {(dataset, "publish") for dataset, _ in self.left_out}

    @property
    def datasets(self) -> list[str]:
        """Those with a stage, the longest first; what is done for all of them together last."""
        total = {name: self.of_dataset(name) for name in {dataset for dataset, _ in self.seconds}}
        return sorted(total, key=lambda name: (name == ALL, -total[name], name))

    def of_dataset(self, dataset: str) -> float:
        """Seconds of a data set."""
        return sum(seconds for (one, _), seconds in self.seconds.items() if one == dataset)

    def of_stage(self, stage: str) -> float:
        """Seconds of a stage over all data sets."""
        return sum(seconds for (_, one), seconds in self.seconds.items() if one == stage)

    @property
    def load_seconds(self) -> float:
        """From files to matches."""
        return sum(self.of_stage(stage) for stage in LOAD)

    @property
    def total_seconds(self) -> float:
        """Of every stage."""
        return sum(self.seconds.values())

    @property
    def total_mb(self) -> float:
        """What stays on disk."""
        return sum(self.mb.values())

    def peak_of(self, stage: str) -> float | None:
        """The largest peak of a stage in MB; None where none was measured."""
        return max((mb for (_, one), mb in self.peak_mb.items() if one == stage), default=None)


def runs(lines: Iterable[dict[str, Any]]) -> list[Run]:
    """The runs in the lines, by share; of a step that was measured twice the last line counts.

    What is beside a run (making its files, loading them a second time) does not count.
    """
    found: dict[float, Run] = {}
    for line in lines:
        if line["name"] != "compendium" or line.get("stage") not in (*STAGES, "done"):
            continue
        run = found.setdefault(float(line["share"]), Run(float(line["share"])))
        _add(run, line)
    return [found[share] for share in sorted(found) if found[share].seconds]


def alike(found: Sequence[Run]) -> list[Run]:
    """The runs with what all of them measured, and nothing else: growth compares like with like."""
    steps = set.intersection(*(set(run.seconds) - run.partial for run in found))
    return [
        replace(
            run,
            seconds={step: seconds for step, seconds in run.seconds.items() if step in steps},
            peak_mb={step: mb for step, mb in run.peak_mb.items() if step in steps},
        )
        for run in found
    ]


def largest(found: Sequence[Run]) -> dict[tuple[str, str], tuple[float, float]]:
    """Of every step of any run the largest share at which it was measured, and its seconds there; runs by share."""
    whole = {step: (run.share, seconds) for run in found for step, seconds in run.seconds.items()}
    return whole | {
        step: (run.share, seconds) for run in found for step, seconds in run.seconds.items() if step not in run.partial
    }


def completed(found: Sequence[Run]) -> Run:
    """The largest run, with what only smaller ones measured in proportion to them; peaks as they were there."""
    whole = found[-1]
    mb, peak_mb = dict(whole.mb), dict(whole.peak_mb)
    for run in found[:-1]:
        peak_mb |= {step: peak for step, peak in run.peak_mb.items() if step not in whole.seconds}
        left_out = {(dataset, "load") for dataset, _ in whole.partial}
        mb |= {part: run.mb[part] * whole.share / run.share for part in left_out & set(run.mb)}
    seconds = {step: taken * whole.share / share for step, (share, taken) in largest(found).items()}
    return replace(whole, seconds=seconds, peak_mb=peak_mb, mb=mb)


def _add(run: Run, line: dict[str, Any]) -> None:
    dataset, stage = line.get("dataset") or ALL, line["stage"]
    run.about |= {name: line[name] for name in ("machine", "date", "load_average") if name in line}
    run.left_out.pop((dataset, stage), None)
    if line.get("left_out"):
        run.left_out[dataset, stage] = line["left_out"]
    if line.get("mb") is not None and stage in ("publish", "done", *COMMON):
        run.mb[dataset, "load" if stage in ("publish", "done") else stage] = float(line["mb"])
    if stage != "done" and line.get("seconds") is not None:
        run.seconds[dataset, stage] = float(line["seconds"])
        if line.get("peak_mb") is not None:
            run.peak_mb[dataset, stage] = float(line["peak_mb"])
