"""Settings, read from PBDB_* variables; command-line options override them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from pbdb.common.errors import ConfigError


@dataclass(frozen=True)
class Settings:
    """Where things are and how much of the machine to use.

    home: folder of the embedded server, of downloads and of the stage cache (PBDB_HOME).
    database_url: an external PostgreSQL, or None for the embedded one (PBDB_DATABASE_URL).
    workers: processes or threads a stage may use (PBDB_WORKERS).
    reader_url: a login of the external server for queries, a member of pbdb_reader alone (PBDB_READER_URL).
    read_as_superuser: run queries though the login may run programs on the server (PBDB_READ_AS_SUPERUSER).
    """

    home: Path
    database_url: str | None = None
    workers: int = 1
    reader_url: str | None = None
    read_as_superuser: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the PBDB_* variables.

        Raises:
            ConfigError: PBDB_WORKERS is not a positive whole number.
        """
        env = os.environ if environment is None else environment
        home = env.get("PBDB_HOME")
        return cls(
            home=Path(home).expanduser().absolute() if home else default_home(),
            database_url=env.get("PBDB_DATABASE_URL") or None,
            workers=_workers(env.get("PBDB_WORKERS")),
            reader_url=env.get("PBDB_READER_URL") or None,
            read_as_superuser=env.get("PBDB_READ_AS_SUPERUSER") == "1",
        )

    @property
    def cache(self) -> Path:
        """Folder of the stage artifacts: cache/<source>/<fingerprint>/."""
        return self.home / "cache"

    @property
    def downloads(self) -> Path:
        """Folder of fetched files: downloads/<source>/."""
        return self.home / "downloads"


def default_home() -> Path:
    """/var/lib/pbdb for root, whose own home no other user may enter; else the user's data folder."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/pbdb")
    return Path(platformdirs.user_data_dir("pbdb"))


def _workers(text: str | None) -> int:
    if text is None or text == "":
        return os.cpu_count() or 1
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"PBDB_WORKERS is '{text}': give a whole number from 1.", value=text)
    return int(text)
