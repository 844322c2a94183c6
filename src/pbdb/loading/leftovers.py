"""What killed loads left behind, found without the load: tables of the database, and folders of the cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from pbdb.common.errors import ServerError
from pbdb.common.settings import Settings
from pbdb.database import tidy
from pbdb.loading import stage_cache
from pbdb.server import connect, locks


@dataclass(frozen=True)
class Leftovers:
    """Tables and folders that went, and tables that wait for a reader, a load or a backup to end."""

    tables: tuple[str, ...]
    folders: tuple[str, ...]
    waiting: tuple[str, ...]


def clear(settings: Settings) -> Leftovers:
    """Remove what no load will go on with and no reader can see; work of a load that can resume stays."""
    engine = connect.engine(settings)
    tidied = tidy.tidy(engine)
    return Leftovers(tidied.dropped, tuple(_clear_cache(engine, settings.cache)), tidied.waiting)


def _clear_cache(engine: Engine, cache: Path) -> list[str]:
    cleared: list[str] = []
    for place in sorted(cache.iterdir()) if cache.is_dir() else []:
        if not place.is_dir():
            continue
        try:
            with locks.exclusive(engine, f"load {place.name}", f"Dataset '{place.name}' is being loaded"):
                with engine.connect() as connection:
                    unused = _unused(connection, place)
                for folder in unused:
                    stage_cache.discard(folder)
                cleared += map(str, unused)
        except ServerError:  # a load of it runs, and tidies at its end
            continue
    return cleared


def _unused(connection: Connection, place: Path) -> list[Path]:
    """Folders of releases that were published before the one that is loaded, its tiles, and half-removed folders."""
    row = connection.execute(text(_LOADED), {"dataset": place.name}).one_or_none()
    half_removed = sorted(place.rglob(f"*{stage_cache.GONE}"))
    if row is None:
        return half_removed
    published = set(connection.execute(text(_PUBLISHED), {"dataset": place.name}).scalars())
    earlier = [folder for folder in sorted(place.iterdir()) if folder.name in published - {row.fingerprint}]
    tiles = place / str(row.fingerprint) / "fits" / str(row.effects_fingerprint)
    return half_removed + earlier + ([tiles] if tiles.is_dir() else [])


_LOADED = "SELECT fingerprint, effects_fingerprint FROM core.dataset WHERE dataset = :dataset"
_PUBLISHED = """
SELECT DISTINCT fingerprint FROM core.etl_run WHERE dataset = :dataset AND stage = 'publish' AND status = 'done'"""
