"""Vocabularies: imported files become releases, one release of each kind is in use and labels what is loaded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from sqlalchemy import Connection, Engine, text

from pbdb.common.errors import VocabularyError
from pbdb.common.ids import stable_id
from pbdb.common.progress import Progress, silent
from pbdb.common.rows import Json, Row
from pbdb.common.settings import Settings
from pbdb.database.copy_text import upsert
from pbdb.identity.compounds import names_in_database, pubchem_bulk
from pbdb.identity.vocabulary import contexts as cells
from pbdb.identity.vocabulary import genes, references, store
from pbdb.identity.vocabulary.contexts import cell_vocabulary
from pbdb.identity.vocabulary.deciding import PUBCHEM
from pbdb.identity.vocabulary.genes import GENES, current, gene_vocabulary
from pbdb.identity.vocabulary.reference_files import TABLES
from pbdb.server import connect, locks

__all__ = [
    "GENES", "KINDS", "Outcome", "apply", "cell_vocabulary", "current", "gene_vocabulary", "import_files", "status",
    "use",
]  # fmt: skip

KINDS = (*genes.KINDS, *cells.KINDS, PUBCHEM, *TABLES)


class Release(NamedTuple):
    """An imported release of a kind."""

    kind: str
    name: str
    is_current: bool
    n_rows: int


@dataclass(frozen=True)
class Outcome:
    """What changed in the database, and by which release, if by one alone.

    labelled: numbers of rows, by what they are. stale: fits to run again, by dataset; None where genes were left alone.
    """

    labelled: dict[str, int]
    stale: list[Row] | None = None
    release: Release | None = None

    def as_json(self) -> Json:
        """All of it as one object."""
        of = self.release
        release = {"kind": of.kind, "release": of.name, "is_current": of.is_current, "n_rows": of.n_rows} if of else {}
        stale = {} if self.stale is None else {"stale": self.stale}
        return release | self.labelled | stale


def import_files(
    settings: Settings,
    kind: str,
    paths: Path | Sequence[Path],
    release: str | None = None,
    progress: Progress = silent,
) -> Outcome:
    """Read published files and make them part of a release; the first release of a kind is in use at once.

    release: what to call it, where the files do not say; needed for gene tables that do not.

    Raises:
        VocabularyError: there is no such kind or file, or a file is not of this kind.
    """
    files = [paths] if isinstance(paths, Path) else list(paths)
    _check(kind, files)
    engine = connect.engine(settings)
    if kind == PUBCHEM:
        return _import_pubchem(settings, engine, files, release)
    if kind in TABLES:
        part = references.import_table(settings, kind, files, release, progress)
    elif kind in genes.KINDS:
        part = genes.import_table(settings, engine, kind, files[0], release)
    else:
        part = cells.import_table(settings, kind, files[0], release)
    with engine.begin() as connection:
        _alone(connection)
        _record(connection, settings, part.kind, part.release)
        is_current = _is_current(connection, part.kind, part.release)
        changed = _apply(connection, settings, part.kind) if is_current else Outcome({})
    return replace(changed, release=_release(engine, part.kind, part.release))


def use(settings: Settings, kind: str, release: str) -> Outcome:
    """Put an imported release of a kind to use, and label what is loaded by it.

    Raises:
        VocabularyError: there is no such release, or its tables are not in this home.
    """
    engine = connect.engine(settings)
    with engine.begin() as connection:
        _alone(connection)
        known = [row["release"] for row in status(connection) if row["kind"] == kind]
        if release not in known:
            there = ", ".join(f"'{name}'" for name in known) or "none"
            raise VocabularyError(f"No release '{release}' of {kind} is imported; there are: {there}.", value=release)
        _make_current(connection, kind, release)
        changed = _apply(connection, settings, kind)
    return replace(changed, release=_release(engine, kind, release))


def apply(settings: Settings) -> Outcome:
    """Label what is loaded by the releases in use, and mark the fits that need another run."""
    with connect.engine(settings).begin() as connection:
        _alone(connection)
        return _apply(connection, settings, genes.GENES, cells.CELLOSAURUS, *TABLES)


def status(connection: Connection) -> list[Row]:
    """All imported releases, newest first."""
    query = text(
        "SELECT kind, release, is_current, n_rows, origin, sha256, is_redistributable, imported_at "
        "FROM core.vocabulary ORDER BY imported_at DESC, kind"
    )
    return [dict(row._mapping) for row in connection.execute(query)]


def _check(kind: str, paths: Sequence[Path]) -> None:
    if kind not in KINDS:
        raise VocabularyError(f"'{kind}' is no kind of vocabulary: use one of {', '.join(KINDS)}.", value=kind)
    for path in paths:
        if not path.exists():
            raise VocabularyError(f"There is no file '{path}' to import.", file=str(path))
    if len(paths) > 1 and kind not in TABLES and kind != PUBCHEM:
        raise VocabularyError(f"A table of {kind} is one file: import them one after the other.")


def _alone(connection: Connection) -> None:
    """Wait until no other session changes vocabularies."""
    locks.take(connection, locks.key_of("vocabulary"), "The change of vocabularies")


def _apply(connection: Connection, settings: Settings, *kinds: str) -> Outcome:
    """Bring the database to the releases in use, as far as the kinds touch it."""
    labelled: dict[str, int] = {}
    stale = None
    for kind in kinds:
        if kind in genes.KINDS:
            labelled |= genes.apply(connection, settings)
            stale = genes.mark_stale(connection) if current(connection, GENES) else None
        elif kind in cells.KINDS:
            labelled["contexts_labelled"] = cells.apply(connection, settings)
        else:
            release = current(connection, kind)
            labelled[f"{kind}_statements"] = references.apply(connection, settings, kind, release[0]) if release else 0
    if not set(TABLES).isdisjoint(kinds):
        labelled["compounds_renamed"] = names_in_database.choose(connection)
    return Outcome(labelled, stale)


def _record(connection: Connection, settings: Settings, kind: str, release: str) -> None:
    """Enter a release into the list, and use it where no other of its kind is in use."""
    parts = store.needed_parts(settings, kind, release)
    row = {
        "vocabulary_id": stable_id("vocabulary", kind, release),
        "kind": kind,
        "release": release,
        "origin": ", ".join(part.origin for part in parts),
        "sha256": store.combined([part.sha256 for part in parts]),
        "n_rows": sum(len(table) for part in parts if (table := part.table(_MAIN.get(kind, "rows"))) is not None),
        "is_redistributable": kind not in references.NOT_REDISTRIBUTABLE,
    }
    upsert(connection, "vocabulary", pd.DataFrame([row]))
    if current(connection, kind) is None:
        _make_current(connection, kind, release)


def _make_current(connection: Connection, kind: str, release: str) -> None:
    for is_current in (False, True):  # one at a time: two are never in use
        connection.execute(
            text(
                "UPDATE core.vocabulary SET is_current = :is_current"
                " WHERE kind = :kind AND (release = :release) = :is_current"
            ),
            {"kind": kind, "release": release, "is_current": is_current},
        )


def _is_current(connection: Connection, kind: str, release: str) -> bool:
    in_use = current(connection, kind)
    return in_use is not None and in_use[0] == release


def _release(engine: Engine, kind: str, release: str) -> Release:
    with engine.connect() as connection:
        row = next(row for row in status(connection) if (row["kind"], row["release"]) == (kind, release))
    return Release(kind, release, row["is_current"], row["n_rows"])


def _import_pubchem(settings: Settings, engine: Engine, paths: Sequence[Path], release: str | None) -> Outcome:
    """Turn bulk files into Parquet; there is one set of them, the newest."""
    folder = settings.home / "vocab" / PUBCHEM
    n_rows = sum(pubchem_bulk.import_dump(path, folder) for path in paths)
    named = release or _release_in_name(paths[0]) or paths[0].name
    row = {
        "vocabulary_id": stable_id("vocabulary", PUBCHEM, named),
        "kind": PUBCHEM,
        "release": named,
        "origin": ", ".join(path.name for path in paths),
        "sha256": store.combined([store.digest_of(path) for path in paths]),
        "n_rows": n_rows,
    }
    with engine.begin() as connection:
        _alone(connection)
        upsert(connection, "vocabulary", pd.DataFrame([row]))
        _make_current(connection, PUBCHEM, named)
    return Outcome({}, release=_release(engine, PUBCHEM, named))


def _release_in_name(path: Path) -> str | None:
    """A date in a file's name, which then is its release."""
    date = re.search(r"(\d{4})-?(\d{2})-?(\d{2})", path.name)
    return "-".join(date.groups()) if date else None


_MAIN = {"genes": "genes", "hgnc": "genes", "landmarks": "panel", **dict.fromkeys(cells.KINDS, "contexts")}
