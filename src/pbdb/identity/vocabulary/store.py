"""Imported vocabularies on disk: what every file said, as Parquet under PBDB_HOME/vocab/<kind>/<release>/.

A release is made of parts, one a file, in the order in which they were imported; importing a file again replaces its
part. The database holds what the parts of the current releases come to.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote_plus

import pandas as pd

from pbdb.common.errors import VocabularyError
from pbdb.common.hashing import sha256_of_file
from pbdb.common.settings import Settings


@dataclass(frozen=True)
class Part:
    """One imported file: its form, its name, its SHA-256, its place in the order, and where its tables lie."""

    form: str
    origin: str
    sha256: str
    number: int
    folder: Path

    def table(self, name: str) -> pd.DataFrame | None:
        """A table of the part, or None where the file had nothing for it."""
        path = self.folder / f"{name}.parquet"
        return pd.read_parquet(path) if path.is_file() else None


def folder(settings: Settings, kind: str, release: str) -> Path:
    """Where the parts of a release lie."""
    return settings.home / "vocab" / kind / quote_plus(release)


def parts(settings: Settings, kind: str, release: str) -> list[Part]:
    """The parts of a release, in the order of their import; none where it was not imported into this home."""
    files = folder(settings, kind, release).glob("*/part.json")
    read = [Part(**json.loads(path.read_text(encoding="utf-8")), folder=path.parent) for path in files]
    return sorted(read, key=lambda part: part.number)


def needed_parts(settings: Settings, kind: str, release: str) -> list[Part]:
    """The parts of a release.

    Raises:
        VocabularyError: it was not imported into this home.
    """
    stored = parts(settings, kind, release)
    if not stored:
        raise VocabularyError(
            f"The tables of {kind} '{release}' are not in '{folder(settings, kind, release)}': import its files again.",
            value=release,
        )
    return stored


def save(
    settings: Settings, kind: str, release: str, form: str, paths: Sequence[Path], tables: Mapping[str, pd.DataFrame]
) -> Part:
    """Keep the tables of imported files, read together, as a part of a release."""
    home = folder(settings, kind, release)
    digest = combined([digest_of(path) for path in paths])
    there = parts(settings, kind, release)
    number = next((part.number for part in there if part.sha256 == digest), len(there) + 1)
    part = Part(form, ", ".join(path.name for path in paths), digest, number, home / digest[:16])
    draft = settings.home / "vocab" / f"draft-{digest[:16]}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name, table in tables.items():
        if len(table):
            table.to_parquet(draft / f"{name}.parquet", compression="zstd", index=False)
    facts = {name: value for name, value in asdict(part).items() if name != "folder"}
    (draft / "part.json").write_text(json.dumps(facts), encoding="utf-8")
    shutil.rmtree(part.folder, ignore_errors=True)
    home.mkdir(parents=True, exist_ok=True)
    draft.rename(part.folder)
    return part


def digest_of(path: Path) -> str:
    """SHA-256 of a file; of a folder of tables, of their hashes in the order of their names."""
    if path.is_dir():
        return combined([digest_of(file) for file in sorted(path.glob("*.txt*"))])
    return sha256_of_file(path)


def combined(digests: Sequence[str]) -> str:
    """One digest for several: the digest itself where there is one."""
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()
