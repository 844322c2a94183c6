"""Names of data sets, contexts, compounds and splits that a user gives: a wrong one is refused at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from pbdb.common.errors import QueryError
from pbdb.common.settings import Settings
from pbdb.query import database
from pbdb.server import connect

Connection = psycopg.Connection[tuple[Any, ...]]


def require(settings: Settings, **wanted: str | Sequence[str] | None) -> None:
    """Refuse a name of `datasets`, `contexts`, `compounds` or `splits` that the database does not know.

    Before what takes long to import, and before anything else is asked.

    Raises:
        QueryError: it says where known names are.
        SchemaError: the schema is not that of this version.
    """
    named = {kind: [names] if isinstance(names, str) else list(names or ()) for kind, names in wanted.items()}
    if any(named.values()):
        database.ready(settings)
        with connect.connect_as_reader(settings) as connection:
            require_known(connection, **named)


def require_known(connection: Connection, **wanted: Sequence[str]) -> None:
    """`require`, in a transaction that is open.

    Raises:
        QueryError: as `require`.
    """
    for kind, names in wanted.items():
        query, word, help_ = _UNKNOWN[kind]
        if not names:
            continue
        unknown = connection.execute(query, {"wanted": list(names)}).fetchone()
        if unknown is not None:
            raise QueryError(f"There is no {word} '{unknown[0]}'{help_}", value=unknown[0])


_WANTED = "SELECT w.name FROM unnest(%(wanted)s::text[]) WITH ORDINALITY w (name, place) WHERE NOT EXISTS "
_UNKNOWN = {
    "datasets": (
        _WANTED + "(SELECT FROM core.dataset d WHERE d.dataset = w.name) ORDER BY w.place LIMIT 1",
        "dataset",
        " in the database: `pbdb etl status` lists what is loaded.",
    ),
    "contexts": (
        _WANTED + "(SELECT FROM core.context x WHERE w.name IN"
        " (x.context, x.context_name, replace(x.context, ':', '_'))) ORDER BY w.place LIMIT 1",
        "context",
        " in the database: `SELECT * FROM context` shows what there is.",
    ),
    "compounds": (
        _WANTED + "(SELECT FROM core.source_compound s WHERE s.compound_name = w.name)"
        " AND NOT EXISTS (SELECT FROM core.compound k WHERE w.name IN (k.inchikey, k.parent_inchikey))"
        " ORDER BY w.place LIMIT 1",
        "compound",
        " in the database: `pbdb compound search --name` finds its names.",
    ),
    "splits": (
        _WANTED + "(SELECT FROM core.split s WHERE s.split = w.name) ORDER BY w.place LIMIT 1",
        "split",
        ": `pbdb split list` shows them, `pbdb split make` makes one.",
    ),
}
