"""Which look-up in PubChem a command uses: imported files first, then earlier answers, the service on request."""

from __future__ import annotations

from typing import Literal

from pbdb.common.settings import Settings
from pbdb.identity.compounds.pubchem_bulk import INCHIKEYS, SMILES, Dump
from pbdb.identity.compounds.pubchem_rest import BASE_URL, Client, FirstOf, Lookup

Way = Literal["local", "rest"]


def lookup(settings: Settings, way: Way = "local", base_url: str = BASE_URL) -> Lookup:
    """Return the look-up: `local` never leaves this machine, `rest` asks PubChem's service for what is missing."""
    client = Client(settings.cache / "pubchem", base_url=base_url, offline=way != "rest")
    folder = settings.home / "vocab" / "pubchem"
    has_dump = any((folder / name).exists() for name in (INCHIKEYS, SMILES))
    return FirstOf(Dump(folder), client) if has_dump else client
