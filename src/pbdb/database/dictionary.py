"""The dictionary: what the catalog says of every view, function and table, as rows, Markdown, diagram, Arrow fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, text

from pbdb.database.models import SCHEMA, Base
from pbdb.database.models.policies import PARTITIONED
from pbdb.database.view_files import VIEWS
from pbdb.server.connect import OWNER

if TYPE_CHECKING:
    pass

TITLES = {
    "view": "Views: the public contract (schema pbdb)",
    "function": "Functions (schema pbdb)",
    "table": "Tables (schema core)",
}
MADE = "Made from the database by `pbdb dictionary --out docs`."


class Entry(NamedTuple):
    """A view, function or table (column None), or one of its columns."""

    kind: str
    schema: str
    object: str
    column: str | None
    type: str | None
    comment: str | None


class Reference(NamedTuple):
    """A foreign key: columns of one table that point at another."""

    child: str
    parent: str
    columns: tuple[str, ...]
    is_optional: bool


def entries(connection: Connection) -> list[Entry]:
    """Everything pbdb has in the database: views, functions, then tables, columns in their order."""
    parameters = {"views": VIEWS, "tables": SCHEMA, "owner": OWNER}
    return [Entry(*row) for row in connection.execute(_ENTRIES, parameters)]


def references(connection: Connection) -> list[Reference]:
    """Foreign keys between the tables; of what core shows of partitions, the keys that a load checks itself."""
    rows = connection.execute(_REFERENCES, {"tables": SCHEMA})
    declared = [Reference(child, parent, tuple(columns), optional) for child, parent, columns, optional in rows]
    checked = (
        Reference(table, key.column.table.name, (key.parent.name,), bool(key.parent.nullable))
        for table in PARTITIONED
        for key in Base.metadata.tables[f"{SCHEMA}.{table}"].foreign_keys
    )
    return sorted([*declared, *checked], key=lambda reference: reference[:3])


def markdown(described: Iterable[Entry]) -> str:
    """The dictionary as one Markdown page."""
    lines = ["# Data dictionary", "", MADE]
    for kind, of_kind in groupby(described, key=lambda entry: entry.kind):
        lines += ["", f"## {TITLES[kind]}"]
        for _, group in groupby(of_kind, key=lambda entry: entry.object):
            lines += _section(list(group))
    return "\n".join(lines) + "\n"


def er_diagram(described: Iterable[Entry], keys: Iterable[Reference]) -> str:
    """The tables and how they refer to each other, as a Mermaid diagram in a Markdown page."""
    keys = list(keys)
    lines = ["# Entities and relations", "", MADE, "", "```mermaid", "erDiagram"]
    for key in keys:
        lines.append(
            f'    {key.parent} {"|o" if key.is_optional else "||"}--o{{ {key.child} : "{", ".join(key.columns)}"'
        )
    tables = (entry for entry in described if entry.kind == "table")
    for name, group in groupby(tables, key=lambda entry: entry.object):
        foreign = {column for key in keys if key.child == name for column in key.columns}
        lines += [f"    {name} {{", *_attributes(group, name, foreign), "    }"]
    return "\n".join([*lines, "```", ""])


def write(connection: Connection, folder: Path) -> list[Path]:
    """Write dictionary.md and er_diagram.md into a folder; return their paths."""
    described = entries(connection)
    pages = {"dictionary.md": markdown(described), "er_diagram.md": er_diagram(described, references(connection))}
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in pages.items():
        (folder / name).write_text(page, encoding="utf-8")
    return [folder / name for name in pages]


def _section(group: list[Entry]) -> Iterator[str]:
    head, *columns = group
    yield from ("", f"### {head.object}", "", f"{head.comment}.")
    if columns:
        yield from ("", "| column | type | meaning |", "|---|---|---|")
        yield from (f"| `{entry.column}` | {entry.type} | {_cell(entry.comment)} |" for entry in columns)


def _cell(words: str | None) -> str:
    return (words or "").replace("|", "\\|")


def _attributes(group: Iterable[Entry], table: str, foreign: set[str]) -> Iterator[str]:
    for entry in group:
        if entry.column is not None:
            role = " PK" if entry.column == f"{table}_id" else " FK" if entry.column in foreign else ""
            yield f"        {(entry.type or '').replace(' ', '_')} {entry.column}{role}"


_ENTRIES = text("""
    WITH relation AS (
        SELECT CASE nspname WHEN :views THEN 'view' ELSE 'table' END AS kind, nspname, c.oid, relname
        FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE pg_get_userbyid(relowner) = :owner AND NOT relispartition
          AND (nspname = :views AND relkind = 'v' OR nspname = :tables AND relkind IN ('r', 'v'))
    ), entry AS (
        SELECT kind, nspname, relname AS name, 0 AS place, NULL AS column, NULL AS type,
               obj_description(oid, 'pg_class') AS comment
        FROM relation
        UNION ALL
        SELECT kind, nspname, relname, attnum, attname, format_type(atttypid, atttypmod), col_description(oid, attnum)
        FROM relation JOIN pg_attribute ON attrelid = oid WHERE attnum > 0 AND NOT attisdropped
        UNION ALL
        SELECT 'function', nspname, format('%s(%s)', proname, pg_get_function_arguments(p.oid)), 0, NULL,
               pg_get_function_result(p.oid), obj_description(p.oid, 'pg_proc')
        FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
        WHERE nspname = :views AND pg_get_userbyid(proowner) = :owner
    )
    SELECT kind, nspname, name, "column", type, comment FROM entry
    ORDER BY array_position(ARRAY['view', 'function', 'table'], kind), name COLLATE "C", place
""")
_REFERENCES = text("""
    SELECT c.relname, f.relname, array_agg(a.attname::text ORDER BY a.attnum), bool_or(NOT a.attnotnull)
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
    WHERE k.contype = 'f' AND n.nspname = :tables AND NOT c.relispartition AND k.conparentid = 0
    GROUP BY k.oid, c.relname, f.relname ORDER BY c.relname COLLATE "C", f.relname COLLATE "C", 3
""")
