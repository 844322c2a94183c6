"""What PostgreSQL's catalogs say of a schema's tables, as facts that two schemas can be compared by."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlalchemy import Connection, Table, text

from pbdb.database.models import PARTITIONS, SCHEMA, STORED, Base
from pbdb.database.models.policies import PARTITIONED, statements
from pbdb.database.view_files import VIEWS
from pbdb.server.connect import OWNER, PUBLIC, READER

SCRATCH, SCRATCH_PARTITIONS = "pbdb_scratch", "pbdb_scratch_part"

_BARE = re.compile(rf"\b({SCHEMA}|{PARTITIONS}|{SCRATCH}|{SCRATCH_PARTITIONS})\.")

Facts = dict[tuple[str, str], str]


def differences(connection: Connection) -> list[str]:
    """What the tables of the database have that the models do not say, and the reverse, one sentence each.

    The models are made real in a scratch schema, which goes when the savepoint is rolled back.
    """
    there = facts(connection)
    with connection.begin_nested() as savepoint:
        _build_scratch(connection)
        wanted = facts(connection, SCRATCH, SCRATCH_PARTITIONS)
        savepoint.rollback()
    return [*_compare(there, wanted), *_partitions(connection), *_without_comment(connection)]


def facts(connection: Connection, core: str = SCHEMA, part: str = PARTITIONS) -> Facts:
    """Everything that matters about the tables of both schemas: (what, name) -> definition, schema left out."""
    parameters = {"schema": core, "partitions": part, "roles": [READER, PUBLIC]}
    rows = connection.execute(_FACTS, parameters)
    return {(kind, name): _BARE.sub("", definition) for kind, name, definition in rows}


def _build_scratch(connection: Connection) -> None:
    connection.exec_driver_sql("SET LOCAL search_path = public")
    for schema in (SCRATCH, SCRATCH_PARTITIONS):
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    connection.execution_options(schema_translate_map={SCHEMA: SCRATCH, PARTITIONS: SCRATCH_PARTITIONS})
    Base.metadata.create_all(connection, [table for table in Base.metadata.tables.values() if not _is_view(table)])
    STORED.create_all(connection)
    connection.execution_options(schema_translate_map=None)
    for statement in statements(SCRATCH, SCRATCH_PARTITIONS):
        connection.exec_driver_sql(statement)


def _is_view(table: Table) -> bool:
    return table.name in PARTITIONED


def _compare(there: Facts, wanted: Facts) -> Iterator[str]:
    for key in sorted(there.keys() | wanted.keys()):
        kind, name = key
        if key not in there:
            yield f"{kind} {name} is missing: {wanted[key]}"
        elif key not in wanted:
            yield f"{kind} {name} is not in the models: {there[key]}"
        elif there[key] != wanted[key]:
            yield f"{kind} {name} is '{there[key]}' and should be '{wanted[key]}'"


def _partitions(connection: Connection) -> list[str]:
    parameters = {"partitions": PARTITIONS}
    return list(connection.execute(_PARTITIONS, parameters).scalars())


def _without_comment(connection: Connection) -> list[str]:
    rows = connection.execute(_WITHOUT_COMMENT, {"schemas": [SCHEMA, VIEWS], "owner": OWNER})
    return [f"{name} has no comment" for name in rows.scalars()]


# Version table, partitions and indexes of signatures are no part of the models. A default, a storage or a target that
# says nothing is ''.
_FACTS = text("""
    WITH tables AS (
        SELECT c.oid, c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relacl
        FROM pg_class c WHERE (c.relnamespace = to_regnamespace(:schema) AND c.relkind = 'r'
          AND c.relname <> 'alembic_version' OR c.relnamespace = to_regnamespace(:partitions) AND c.relkind = 'p')
          AND NOT c.relispartition
    )
    SELECT 'table', relname, concat_ws(', ',
        CASE WHEN relkind = 'p' THEN 'partitioned by ' || pg_get_partkeydef(oid) ELSE 'plain' END,
        CASE WHEN relrowsecurity THEN 'row security' END, CASE WHEN relforcerowsecurity THEN 'forced' END,
        obj_description(oid, 'pg_class'))
    FROM tables
    UNION ALL
    SELECT 'column', relname || '.' || attname, concat_ws(', ', format_type(atttypid, atttypmod),
        CASE WHEN attnotnull THEN 'not null' END, 'storage ' || attstorage::text,
        'statistics ' || nullif(attstattarget, -1), 'options ' || attoptions::text,
        nullif('identity ' || attidentity::text, 'identity '),
        nullif('generated ' || attgenerated::text, 'generated '), 'default ' || pg_get_expr(adbin, adrelid),
        'collation ' || nullif(nullif(attcollation, 100), 0)::regcollation::text, col_description(attrelid, attnum))
    FROM tables JOIN pg_attribute ON attrelid = oid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT 'constraint', relname || '.' || conname, concat_ws(', ', pg_get_constraintdef(k.oid),
        CASE WHEN NOT convalidated THEN 'not validated' END)
    FROM tables t JOIN pg_constraint k ON conrelid = t.oid WHERE contype <> 'n'
    UNION ALL
    SELECT 'index', t.relname || '.' || i.relname, concat_ws(', ', pg_get_indexdef(indexrelid),
        CASE WHEN NOT indisvalid THEN 'not valid' END)
    FROM tables t JOIN pg_index ON indrelid = t.oid JOIN pg_class i ON i.oid = indexrelid
    JOIN pg_am m ON m.oid = i.relam AND m.amname <> 'hnsw'
    UNION ALL
    SELECT 'policy', relname || '.' || polname, concat_ws(', ', polcmd, polroles::regrole[]::text,
        CASE WHEN NOT polpermissive THEN 'restrictive' END, pg_get_expr(polqual, polrelid),
        pg_get_expr(polwithcheck, polrelid))
    FROM tables t JOIN pg_policy ON polrelid = t.oid
    UNION ALL
    SELECT 'trigger', relname || '.' || tgname, concat_ws(', ', pg_get_triggerdef(g.oid),
        CASE WHEN tgenabled <> 'O' THEN 'disabled' END)
    FROM tables t JOIN pg_trigger g ON tgrelid = t.oid WHERE NOT tgisinternal
    UNION ALL
    SELECT 'function', proname, concat_ws(', ', prosrc, prosecdef, obj_description(oid, 'pg_proc'))
    FROM pg_proc WHERE pronamespace = to_regnamespace(:schema)
    UNION ALL
    SELECT 'privilege', relname || ' of ' || grantee::regrole, string_agg(privilege_type, ', ' ORDER BY privilege_type)
    FROM tables CROSS JOIN LATERAL aclexplode(relacl)
    WHERE grantee <> 0 AND pg_get_userbyid(grantee) = ANY (CAST(:roles AS text[]))
    GROUP BY relname, grantee
""")
# A partition must have its parent's storage and targets (it inherits the first only), and every index of it, valid.
_PARTITIONS = text("""
    WITH parts AS (
        SELECT i.inhparent, i.inhrelid, format('%I.%I', n.nspname, c.relname) AS name, n.nspname
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_class p ON p.oid = i.inhparent AND p.relkind = 'p' AND p.relnamespace = to_regnamespace(:partitions)
    )
    SELECT 'partition ' || name || ' is not in schema ' || :partitions FROM parts WHERE nspname <> :partitions
    UNION ALL
    SELECT format('column %s.%s has storage %s and target %s, its parent %s and %s', name, a.attname, a.attstorage,
                  coalesce(a.attstattarget, -1), b.attstorage, coalesce(b.attstattarget, -1))
    FROM parts JOIN pg_attribute a ON a.attrelid = inhrelid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_attribute b ON b.attrelid = inhparent AND b.attname = a.attname
    WHERE a.attstorage <> b.attstorage OR coalesce(a.attstattarget, -1) <> coalesce(b.attstattarget, -1)
    UNION ALL
    SELECT format('partition %s has no valid part of index %s', name, x.indexrelid::regclass)
    FROM parts JOIN pg_index x ON x.indrelid = inhparent
    WHERE NOT EXISTS (SELECT FROM pg_inherits i JOIN pg_index y ON y.indexrelid = i.inhrelid
                      WHERE i.inhparent = x.indexrelid AND y.indrelid = parts.inhrelid AND y.indisvalid)
    ORDER BY 1
""")
_WITHOUT_COMMENT = text("""
    SELECT concat_ws(' ', CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END, format('%I.%I', n.nspname, c.relname),
                     'column ' || a.attname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE n.nspname = ANY (:schemas) AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
      AND pg_get_userbyid(c.relowner) = :owner
      AND (obj_description(c.oid, 'pg_class') IS NULL OR col_description(c.oid, a.attnum) IS NULL)
    ORDER BY 1
""")
