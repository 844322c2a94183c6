"""pbdb: the harmonised relational database of small-molecule perturbation transcriptomics.

import pbdb; db = pbdb.connect(); db.sql("SELECT * FROM coverage"); db.signatures(dataset="driad")
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pbdb.config import Settings
    from pbdb.database import Database

__version__ = version("pbdb")
__all__ = ["__version__", "connect"]


def connect(settings: Settings | None = None) -> Database:
    """Open the database that PBDB_DATABASE_URL names, or the embedded one, for reading."""
    from pbdb import database

    return database.connect(settings)
