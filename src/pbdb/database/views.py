"""The views and functions of sql/: dropped before a migration, built again after it.

Most are in schema pbdb; core has views of what is current in the tables of schema part, part the functions of these.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import psycopg
from sqlalchemy import Connection, text

from pbdb.common.errors import SchemaError
from pbdb.database.models import PARTITIONS, SCHEMA
from pbdb.database.view_files import COMMENT, VIEWS, files, fingerprint, made
from pbdb.server.connect import OWNER
from pbdb.server.locks import BUSY

__all__ = ["build", "drop", "files", "fingerprint", "is_current", "missing", "read", "refuse_foreign_dependents"]

OURS = {"views": [VIEWS, SCHEMA], "functions": [VIEWS, PARTITIONS], "owner": OWNER}


class Grant(NamedTuple):
    """One privilege somebody holds on a view, one of its columns, or a function."""

    kind: str
    name: str
    column: str | None
    privilege: str
    grantee: str
    grantable: bool

    def statement(self) -> str:
        """SQL that grants it again."""
        column = f" ({self.column})" if self.column else ""
        option = " WITH GRANT OPTION" if self.grantable else ""
        return f"GRANT {self.privilege}{column} ON {self.kind} {self.name} TO {self.grantee}{option}"


class Before(NamedTuple):
    """What stood in the schema before it was dropped: names of views and functions, and privileges on them."""

    names: frozenset[str]
    grants: tuple[Grant, ...]


def is_current(connection: Connection) -> bool:
    """Whether the views of the database were built from these files, and none has gone since."""
    comment = connection.execute(_COMMENT, {"schema": VIEWS}).scalar_one_or_none()
    return comment == COMMENT + fingerprint() and not missing(connection)


def missing(connection: Connection) -> list[str]:
    """Views and functions that a file of sql/ makes and the database does not have."""
    there = connection.execute(_OWN_NAMES, OURS).scalars()
    return sorted(made() - set(there))


def refuse_foreign_dependents(connection: Connection) -> None:
    """Stop where something of somebody else's is built on our views.

    Raises:
        SchemaError: it names every such object.
    """
    dependents = connection.execute(_DEPENDENTS, OURS).scalars().all()
    if dependents:
        raise SchemaError(
            f"The views of schema {VIEWS} cannot be rebuilt, for others depend on them: {', '.join(dependents)}."
            " Drop them (keep their definition), upgrade, and make them again."
        )


def read(connection: Connection) -> Before:
    """Read which views and functions of ours there are, and who else holds privileges on them."""
    names = connection.execute(_OBJECTS, OURS).scalars("name").all()
    return Before(frozenset(names), tuple(Grant(*row) for row in connection.execute(_GRANTS, OURS)))


def drop(connection: Connection) -> None:
    """Drop our views and functions, those first that no other uses; objects of others in the schema stay."""
    while leaves := connection.execute(_LEAVES, OURS).scalars().all():
        for statement in leaves:
            connection.exec_driver_sql(statement)
    connection.exec_driver_sql(f"COMMENT ON SCHEMA {VIEWS} IS '{COMMENT}none'")


def build(connection: Connection, before: Before) -> None:
    """Apply every file of sql/, grant again what was granted before, and note the fingerprint.

    Raises:
        SchemaError: a file is wrong; the sentence names it.
    """
    for file in files():
        _apply(connection, file)
    for grant in [*_still_possible(connection, before), *_by_default(connection, before)]:
        connection.exec_driver_sql(grant.statement())
    connection.exec_driver_sql(f"COMMENT ON SCHEMA {VIEWS} IS '{COMMENT}{fingerprint()}'")


def _apply(connection: Connection, file: Path) -> None:
    # The driver itself: SQLAlchemy would take % and : for parameters.
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    try:
        driver.execute(file.read_text().encode())
    except BUSY:
        raise
    except psycopg.Error as error:
        raise SchemaError(f"{file.parent.name}/{file.name} cannot be applied: {str(error).splitlines()[0]}") from error


def _still_possible(connection: Connection, before: Before) -> list[Grant]:
    """The grants whose object, column and role are still there."""
    there = {(row.kind, row.name, row.column) for row in connection.execute(_OBJECTS, OURS)}
    roles = {"PUBLIC", *connection.execute(text("SELECT quote_ident(rolname) FROM pg_roles")).scalars()}
    return [held for held in before.grants if (held.kind, held.name, held.column) in there and held.grantee in roles]


def _by_default(connection: Connection, before: Before) -> list[Grant]:
    """What default privileges of the schema, whoever declared them, give on objects that are new."""
    grants = (Grant(*row) for row in connection.execute(_DEFAULTS, OURS))
    return [grant for grant in grants if grant.name not in before.names]


# Ours is what belongs to pbdb_owner: a user's own view in the schema belongs to the user.
_OWN = """
    own AS (
        SELECT 'pg_class'::regclass AS classid, c.oid, 'TABLE' AS kind, format('%I.%I', n.nspname, c.relname) AS name,
               n.nspname || '.' || c.relname AS plain, n.nspname, c.relacl AS acl
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY (:views) AND c.relkind = 'v' AND pg_get_userbyid(c.relowner) = :owner
        UNION ALL
        SELECT 'pg_proc'::regclass, p.oid, 'FUNCTION',
               format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
               n.nspname || '.' || p.proname, n.nspname, p.proacl
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = ANY (:functions) AND pg_get_userbyid(p.proowner) = :owner
    )
"""
_COMMENT = text("SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = :schema")
_OWN_NAMES = text(f"WITH {_OWN} SELECT plain FROM own")
_OBJECTS = text(f"""
    WITH {_OWN}
    SELECT kind, name, NULL AS column FROM own
    UNION ALL
    SELECT kind, name, quote_ident(a.attname) FROM own JOIN pg_attribute a ON a.attrelid = own.oid
    WHERE kind = 'TABLE' AND a.attnum > 0
""")
# A view lies behind its rule, a row type before its table: depend on either and you depend on the view.
_USES = f"""
    {_OWN}, target AS (
        SELECT own.oid AS used, own.classid, own.oid FROM own
        UNION ALL SELECT own.oid, 'pg_type'::regclass, t.oid FROM pg_type t JOIN own ON t.typrelid = own.oid
        UNION ALL SELECT own.oid, 'pg_type'::regclass, t.typarray FROM pg_type t JOIN own ON t.typrelid = own.oid
    ), uses AS (
        SELECT target.used, CASE WHEN r.oid IS NULL THEN d.classid ELSE 'pg_class'::regclass END AS classid,
               coalesce(r.ev_class, d.objid) AS oid
        FROM pg_depend d JOIN target ON d.refclassid = target.classid AND d.refobjid = target.oid
        LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
        WHERE d.deptype = 'n' AND coalesce(r.ev_class, d.objid) <> target.used
    )
"""
_DEPENDENTS = text(f"""
    WITH {_USES}
    SELECT DISTINCT pg_describe_object(u.classid, u.oid, 0) FROM uses u
    WHERE NOT EXISTS (SELECT FROM own WHERE own.classid = u.classid AND own.oid = u.oid) ORDER BY 1
""")
_LEAVES = text(f"""
    WITH {_USES}
    SELECT format('DROP %s %s', CASE kind WHEN 'TABLE' THEN 'VIEW' ELSE kind END, name) FROM own
    WHERE NOT EXISTS (SELECT FROM uses u WHERE u.used = own.oid)
""")
_GRANTS = text(f"""
    WITH {_OWN}, held AS (
        SELECT kind, name, NULL AS column, a.* FROM own CROSS JOIN LATERAL aclexplode(own.acl) a
        UNION ALL
        SELECT kind, name, quote_ident(t.attname), a.* FROM own JOIN pg_attribute t ON t.attrelid = own.oid
        CROSS JOIN LATERAL aclexplode(t.attacl) a WHERE kind = 'TABLE'
    )
    SELECT kind, name, "column", privilege_type,
           CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END, is_grantable
    FROM held WHERE grantee = 0 OR pg_get_userbyid(grantee) <> :owner
""")
_DEFAULTS = text(f"""
    WITH {_OWN}
    SELECT kind, name, NULL, a.privilege_type,
           CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, a.is_grantable
    FROM own JOIN pg_default_acl d ON d.defaclobjtype = CASE kind WHEN 'TABLE' THEN 'r' ELSE 'f' END::"char"
    JOIN pg_namespace n ON n.oid = d.defaclnamespace CROSS JOIN LATERAL aclexplode(d.defaclacl) a
    WHERE n.nspname = own.nspname
""")
