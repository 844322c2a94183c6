"""Vocabularies that decide what a load makes of its files; the others label what is loaded."""

from __future__ import annotations

from sqlalchemy import Connection

from pbdb.identity.vocabulary.genes import GENES, current
from pbdb.identity.vocabulary.reference_files import TABLES

PUBCHEM = "pubchem"
KINDS = (GENES, PUBCHEM, *TABLES)


def in_use(connection: Connection) -> dict[str, tuple[str, str] | None]:
    """Release and hash of the current vocabulary of each of these kinds; None where none is imported."""
    return {kind: current(connection, kind) for kind in KINDS}
