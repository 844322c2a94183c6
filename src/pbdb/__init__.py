"""pbdb: the harmonised relational database of small-molecule perturbation transcriptomics.

import pbdb; db = pbdb.connect(); db.sql("SELECT * FROM coverage"); db.signatures(dataset="driad")
The same with a snapshot: db = pbdb.connect("path/to/snapshot"). Effects of your own plates, without a database:
pbdb.run_de("counts.csv", "samples.csv", "effects.parquet"). docs/python.md shows all of it.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from pbdb.common.version import __version__

if TYPE_CHECKING:
    from pbdb.common.errors import (
        ConfigError,
        DataError,
        DesignError,
        DiskError,
        InvalidDataError,
        PbdbError,
        QueryError,
        SchemaError,
        ServerError,
        SnapshotError,
        SourceError,
        Violation,
        VocabularyError,
        WorkerError,
    )
    from pbdb.common.settings import Settings
    from pbdb.effects.options import FitOptions, Options
    from pbdb.effects.plate_run import RunReport
    from pbdb.exports.snapshots.reader import Snapshot
    from pbdb.query.database import Database

__all__ = [
    "ConfigError",
    "DataError",
    "Database",
    "DesignError",
    "DiskError",
    "FitOptions",
    "InvalidDataError",
    "Options",
    "PbdbError",
    "QueryError",
    "SchemaError",
    "ServerError",
    "Settings",
    "Snapshot",
    "SnapshotError",
    "SourceError",
    "Violation",
    "VocabularyError",
    "WorkerError",
    "__version__",
    "connect",
    "run_de",
]

# Where names live that are not errors; they are imported when they are first asked for, with pandas and Numba.
_HOMES = {
    "Database": "pbdb.query.database",
    "FitOptions": "pbdb.effects.options",
    "Options": "pbdb.effects.options",
    "Settings": "pbdb.common.settings",
    "Snapshot": "pbdb.exports.snapshots.reader",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'pbdb' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES.get(name, "pbdb.common.errors")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


@overload
def connect(place: Settings | None = None) -> Database: ...
@overload
def connect(place: str | Path, *, trusted: bool = False) -> Snapshot: ...
def connect(place: Settings | str | Path | None = None, *, trusted: bool = False) -> Database | Snapshot:
    """Open for reading: the database of the settings (by default that of PBDB_*), or the snapshot in a folder.

    trusted: take the views and macros of a snapshot as they are, though this version of pbdb would make others.

    Raises:
        ServerError: the server cannot be used.
        SchemaError: the schema is not that of this version.
        SnapshotError: the folder holds no snapshot, or one of another version.
    """
    if isinstance(place, (str, Path)):
        from pbdb.exports.snapshots.reader import Snapshot

        return Snapshot(Path(place), trusted=trusted)
    from pbdb.query import database

    return database.connect(place)


def run_de(
    matrix: str | Path,
    samples: str | Path,
    out: str | Path,
    choices: FitOptions | None = None,
    *,
    report_to: str | Path | None = None,
) -> RunReport:
    """Estimate effects of your own plates, as `pbdb de run` does, into one file; return the report.

    matrix, samples: the files that docs/de_run.md describes; report_to: keep the report as JSON too. Beside Ensembl ids
    stand the symbols of the gene tables imported into PBDB_HOME.

    Raises:
        ConfigError: choices that make no sense, or a file that cannot be written.
        SourceError, DataError, DesignError: files that cannot be right.
    """
    from pbdb.common.settings import Settings
    from pbdb.effects import plate_run
    from pbdb.identity.vocabulary.genes import symbols_in_home

    symbols = symbols_in_home(Settings.from_environment())
    keep = None if report_to is None else Path(report_to)
    return plate_run.run(Path(matrix), Path(samples), Path(out), choices, report_to=keep, symbols=symbols)
