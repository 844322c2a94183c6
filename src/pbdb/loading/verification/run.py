"""`pbdb db verify`: read again what is loaded, and say what differs from the specification."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from psycopg import IsolationLevel

from pbdb.common.errors import QueryError, suggestion
from pbdb.common.progress import Progress, silent
from pbdb.common.settings import Settings
from pbdb.loading.verification import effects, landmarks, refits, rows, tables
from pbdb.loading.verification.differences import Difference, Differences
from pbdb.query import database
from pbdb.server import connect

# Effects and genes of each fit that are computed again.
EFFECTS, GENES = 8, 12


@dataclass(frozen=True)
class Verified:
    """What was read of a dataset, and what differs."""

    dataset: str
    samples: int
    conditions: int
    ids: int
    fits: int
    effects: int
    refitted: int
    differences: list[Difference]

    def as_dict(self) -> dict[str, object]:
        """The same as plain values."""
        return asdict(self) | {"differences": [difference._asdict() for difference in self.differences]}


def verify(settings: Settings, dataset: str | None = None, progress: Progress = silent) -> list[Verified]:
    """Check one dataset, or all, in one read-only transaction.

    Raises:
        QueryError: there is no such dataset.
        SchemaError: the schema is not that of this version.
    """
    database.ready(settings)
    with connect.connect(settings) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        known = tables.datasets(connection)
        if dataset is not None and dataset not in known:
            raise QueryError(f"There is no dataset '{dataset}': {suggestion(dataset, list(known))}", dataset=dataset)
        chosen = known if dataset is None else {dataset: known[dataset]}
        return [_verify(tables.Loaded(connection, name, key), settings, progress) for name, key in chosen.items()]


def _verify(loaded: tables.Loaded, settings: Settings, progress: Progress) -> Verified:
    differences = Differences()
    n_ids = rows.check_ids(loaded, differences)
    counts = rows.check_samples(loaded, differences)
    matrix = _matrix(loaded, settings, differences)
    fits = [
        effects.FitRow({str(name): value for name, value in row.items()})
        for row in loaded.table("fit").to_dict("records")
    ]
    n_effects = refitted = 0
    statuses: Counter[str] = Counter()
    for number, fit in enumerate(fits, start=1):
        progress(f"verify {loaded.dataset}", number, len(fits))
        chosen = effects.check_fit(loaded, fit, (EFFECTS, GENES), differences)
        landmarks.check(loaded, fit, chosen, differences)
        n_effects += sum(chosen.statuses.values())
        if fit["is_default"]:
            statuses.update(chosen.statuses)
        if matrix is not None:
            refitted += refits.check_refit(matrix, fit, loaded.fit_samples(fit.fit_id), chosen, differences)
    rows.check_effect_counts(loaded, statuses, differences)
    rows.check_signatures(loaded, differences)
    return Verified(
        loaded.dataset,
        counts["samples"],
        counts["conditions"],
        n_ids,
        len(fits),
        n_effects,
        refitted,
        differences.all(),
    )


def _matrix(loaded: tables.Loaded, settings: Settings, differences: Differences) -> refits.Matrix | None:
    """The canonical matrix, if it is the file that was registered."""
    registered = loaded.table("artifact")
    if registered.empty:
        differences.add("matrix", "no canonical matrix is registered")
        return None
    path = settings.home / str(registered["path"].iloc[0])
    if not path.is_file():
        differences.add("matrix", f"'{path}' is not there: load the dataset again")
        return None
    if _sha256(path) != registered["sha256"].iloc[0]:
        differences.add("matrix", f"'{path}' is not the file that was loaded: its SHA-256 is another")
        return None
    matrix = refits.Matrix.open(path)
    names = set(loaded.table("sample")["source_sample"])
    differences.expect("matrix", f"samples of '{path}'", len(matrix.rows.keys() & names), len(names), "table sample")
    return matrix


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
