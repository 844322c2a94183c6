"""pbdb: the harmonised relational database of small-molecule perturbation transcriptomics.

import pbdb; db = pbdb.connect(); db.sql("SELECT * FROM coverage"); db.signatures(dataset="driad")
The same with a snapshot: db = pbdb.connect("path/to/snapshot").
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, overload

from pbdb.common.version import __version__

if TYPE_CHECKING:
    from pbdb.common.settings import Settings
    from pbdb.exports.snapshots.reader import Snapshot
    from pbdb.query.database import Database

__all__ = ["__version__", "connect"]


@overload
def connect(place: Settings | None = None) -> Database: ...
@overload
def connect(place: str | Path) -> Snapshot: ...
def connect(place: Settings | str | Path | None = None) -> Database | Snapshot:
    """Open for reading: the database of the settings (by default that of PBDB_*), or the snapshot in a folder."""
    if isinstance(place, (str, Path)):
        from pbdb.exports.snapshots.reader import Snapshot

        return Snapshot(Path(place))
    from pbdb.query import database

    return database.connect(place)
