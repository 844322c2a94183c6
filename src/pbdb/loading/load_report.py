"""What a load did, in numbers and in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from pbdb.samples.transform_report import MANY_UNKNOWN, Report, told_of_genes

if TYPE_CHECKING:
    from pbdb.effects.stored_fit import StoredFit
    from pbdb.loading.table_rows import Tables

SHOWN = 10
DOUBTFUL = 0.1
VEHICLE = "vehicle"


@dataclass(frozen=True)
class Resolved:
    """How the compounds of a dataset were resolved: numbers by route, and the names of those that were not."""

    compounds: int
    resolved_by: Mapping[str, int]
    conflicts: int
    unresolved: Sequence[str]
    conditions: int

    def sentence(self) -> str:
        """The same in words."""
        routes = ", ".join(f"{n} {_route(route)}" for route, n in self.resolved_by.items())
        compounds = f"{self.compounds:,} compounds: {routes}; {self.conflicts} conflicts"
        return f"{self.conditions:,} conditions; {compounds}{_listed(self.unresolved)}"


@dataclass(frozen=True)
class Outcome:
    """What became of a dataset. holds: numbers of its rows, where it was loaded; effects: by status, where fitted.

    would_change: of a dry run, rows that would be added, removed and kept, by table.
    """

    dataset: str
    changed: bool
    fingerprint: str
    holds: Mapping[str, int] = field(default_factory=dict)
    effects: Mapping[str, int] | None = None
    would_change: Mapping[str, Mapping[str, int]] | None = None

    def as_dict(self) -> dict[str, object]:
        """The outcome as it is printed, without what does not apply."""
        known = {"dataset": self.dataset, "changed": self.changed, "fingerprint": self.fingerprint, **self.holds}
        more = {"effects": self.effects, "would_change": self.would_change}
        return known | {name: value for name, value in more.items() if value is not None}


def resolution(tables: Tables) -> Resolved:
    """Count how the compounds of a dataset were resolved."""
    compounds = tables["source_compound"]
    is_vehicle = compounds["source_compound_id"].isin(_vehicles(tables["sample"]))
    resolved_by = compounds["resolved_by"].mask(is_vehicle & (compounds["resolved_by"] == "unresolved"), VEHICLE)
    routes = resolved_by.value_counts()
    unresolved = compounds.loc[resolved_by == "unresolved", "name"]
    return Resolved(
        len(compounds),
        {str(route): int(n) for route, n in routes.items()},
        int(compounds["conflict"].notna().sum()),
        sorted(set(unresolved)),
        len(tables["condition"]),
    )


def _vehicles(samples: pd.DataFrame) -> set[int]:
    """Compounds that nothing but vehicle wells hold: their identity matters to no result."""
    known = samples.dropna(subset=["source_compound_id"])
    is_vehicle = known["is_vehicle"].astype(bool)
    return set(known.loc[is_vehicle, "source_compound_id"]) - set(known.loc[~is_vehicle, "source_compound_id"])


def _listed(unresolved: Sequence[str]) -> str:
    """The unresolved compounds by name, or the first of many; the ledger has them all."""
    if not unresolved:
        return ""
    advice = "; to look names up in PubChem: --pubchem rest"
    more = f" and {len(unresolved) - SHOWN} more (`pbdb etl status --json` lists them)"
    return f"; unresolved: {', '.join(unresolved[:SHOWN])}{more if len(unresolved) > SHOWN else ''}{advice}"


def _route(route: str) -> str:
    return route if route in ("unresolved", VEHICLE) else f"by {route}"


def rows_of(tables: Tables) -> dict[str, int]:
    """Numbers of samples, conditions and compounds."""
    names = {"samples": "sample", "conditions": "condition", "compounds": "source_compound"}
    return {name: len(tables[table]) for name, table in names.items()}


def doubts(stored: Sequence[StoredFit]) -> Iterator[str]:
    """Say of which fits the p values do not hold on their own vehicle wells."""
    for fit in stored:
        facts = fit.facts
        if facts.null_any_share_low is not None and facts.null_any_share_low > DOUBTFUL:
            yield (
                f"{fit.label}: of {facts.n_null_wells} vehicle wells tested against the others,"
                f" {facts.null_any_share:.0%} have a gene at p_adj 0.05 (at least {facts.null_any_share_low:.0%};"
                " 5 % is right): its p values are too small, as wells differ by more than their counts say; look at"
                " plates and wells before you filter by p_adj"
            )


def null_check(fit: StoredFit) -> dict[str, str | float | None]:
    """What the ledger keeps of a fit's check on its own vehicle wells."""
    names = ("p_values", "n_null_wells", "null_any_share", "null_any_share_low", "null_any_share_high")
    return {name: getattr(fit.facts, name) for name in (*names, "null_tail_ratio")}


def statuses(stored: Sequence[StoredFit]) -> dict[str, int]:
    """Count effects by status."""
    counts = pd.concat([fit.effects["status"] for fit in stored]).value_counts()
    return {str(code): int(n) for code, n in counts.items()}


def transformed(n_samples: int, report: Report, unlisted: Mapping[str, list[str]]) -> Iterator[str]:
    """What a transform made of its files, in sentences."""
    for name, columns in unlisted.items():
        yield f"'{name}' has columns that nothing reads: {', '.join(columns)}"
    flagged = ", ".join(f"{n} {code}" for code, n in report.flags.items()) or "none"
    left_out = ", ".join(f"{n:,} {code}" for code, n in report.dropped.items() if n) or "none"
    cells = f"{report.n_cells:,} cells to " if report.n_cells else ""
    yield f"{cells}{n_samples:,} samples x {report.n_genes:,} genes; flagged: {flagged}; left out: {left_out}"
    if report.gene_loss > MANY_UNKNOWN:
        yield f"warning: {told_of_genes(report)}"
    if report.respelled:
        listed = ", ".join(f"'{name}' as '{kept}'" for name, kept in list(report.respelled.items())[:SHOWN])
        yield f"names that differ only in case, blanks or Unicode form count as one: {listed}"
    if report.n_left_out:
        yield f"{report.n_left_out:,} profiles of other kinds were left out"
