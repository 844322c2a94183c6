"""The vocabulary of cells in use: built from imported files; it fills in what sources do not state of contexts."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from sqlalchemy import Connection, text

from pbdb.common.errors import PbdbError, VocabularyError
from pbdb.common.rows import Row
from pbdb.common.settings import Settings
from pbdb.database.copy_text import upsert
from pbdb.identity.contexts.published_tables import context_frame, synonym_frame
from pbdb.identity.contexts.resolve import CellPart, ContextVocabulary, build_contexts, context_rows, read_cells
from pbdb.identity.vocabulary import store
from pbdb.identity.vocabulary.genes import Imported, current, named_after
from pbdb.sources import registry
from pbdb.sources.declaration import Context

CELLOSAURUS, CELL_ONTOLOGY, CELL_NAMES = KINDS = ("cellosaurus", "cell_ontology", "cell_names")
_KIND_OF_FORM = {"depmap": CELL_NAMES, "names": CELL_NAMES}


def import_table(settings: Settings, kind: str, path: Path, release: str | None) -> Imported:
    """Keep a table of cells as part of a release.

    Raises:
        VocabularyError: it is no table of cells, of another kind, or empty.
    """
    part = read_cells(path)
    kind_of_file = _KIND_OF_FORM.get(part.kind, part.kind)
    if kind_of_file != kind:
        raise VocabularyError(f"'{path.name}' is a table of {kind_of_file}, not of {kind}.", file=path.name)
    if part.contexts.empty:
        raise VocabularyError(
            f"'{path.name}' names no cell line or cell type: give the whole published table.", file=path.name
        )
    named = release or part.release or named_after(path)
    store.save(settings, kind, named, part.kind, [path], {"contexts": part.contexts, "synonyms": part.synonyms})
    return Imported(kind, named)


def cell_vocabulary(connection: Connection, settings: Settings) -> ContextVocabulary | None:
    """The vocabulary of cells in use, all kinds merged in their order, or None while none is imported."""
    releases = [(kind, release[0]) for kind in KINDS if (release := current(connection, kind))]
    parts = [_part(stored) for kind, release in releases for stored in store.needed_parts(settings, kind, release)]
    return build_contexts(parts) if parts else None


def _part(stored: store.Part) -> CellPart:
    contexts, synonyms = stored.table("contexts"), stored.table("synonyms")
    return CellPart(
        stored.form,
        None,
        context_frame([]) if contexts is None else contexts,
        synonym_frame([]) if synonyms is None else synonyms,
    )


def apply(connection: Connection, settings: Settings) -> int:
    """Label the loaded contexts anew; return how many there are.

    What a source's file states wins. Of contexts whose source is not at hand, what is there wins.
    """
    known = cell_vocabulary(connection, settings)
    if known is None:
        return 0
    stated = _declared(connection)
    there = {row["context"]: stated.get(row["context"]) or _as_loaded(row) for row in _loaded(connection)}
    upsert(connection, "context", context_rows(there.values(), known))
    return len(there)


def _loaded(connection: Connection) -> list[Row]:
    return [dict(row._mapping) for row in connection.execute(text("SELECT * FROM core.context"))]


def _declared(connection: Connection) -> dict[str, Context]:
    """What the sources of the loaded datasets state, by context."""
    stated: dict[str, Context] = {}
    for source in connection.execute(text("SELECT DISTINCT source FROM core.dataset ORDER BY 1")).scalars():
        try:
            declared = registry.get(source).contexts
        except PbdbError:  # loaded from a file that is no longer registered
            continue
        for cells in declared.values():
            stated.setdefault(cells.context, cells)
    return stated


def _as_loaded(row: Row) -> Context:
    stated = {field.name: row[field.name] for field in fields(Context) if field.name not in ("context", "name")}
    return Context(row["context"], row["context_name"], **stated)
