"""A reader is only a reader: what roles that read may not do besides, settled again at any time and checked.

PostgreSQL lets a role change its own password and settings, and everybody take advisory locks, write large objects and
temporary tables, and end the sessions of others of the same role.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, text

from pbdb.server.connect import OWNER, PUBLIC, READER, WEB

# What a reader may use up. Others for a database: ALTER DATABASE ... SET "pbdb.reader_statement_timeout" = '1h'.
SETTINGS = {
    "statement_timeout": "5min",
    "idle_in_transaction_session_timeout": "10min",
    "temp_file_limit": "10GB",
}
# Every request of `pbdb serve` sets a shorter limit; a query whose reader has gone is ended.
WEB_SETTINGS = SETTINGS | {
    "statement_timeout": "1min",
    "idle_in_transaction_session_timeout": "2min",
    "temp_file_limit": "1GB",
    "client_connection_check_interval": "2s",
    "default_transaction_read_only": "on",
}
ROLES = (PUBLIC, READER, WEB)
OVERRIDE = "pbdb.reader_"
SHARE = 0.75  # of all connections that readers may take
# Locks that loads wait for, writing to the disk, and ending sessions; all of them go to the owner.
FUNCTIONS = (
    r"^pg_(try_)?advisory_|^lo_(creat|create|from_bytea|put|open|unlink|truncate|truncate64)$|^lowrite$"
    r"|^pg_(terminate|cancel)_backend$|^pg_logical_emit_message$|^pg_notify$"
)


def statements(connection: Connection) -> Iterator[str]:
    """SQL that takes from readers what they should not have, and gives them their settings; none where all is so."""
    database = connection.execute(text("SELECT quote_ident(current_database())")).scalar_one()
    for role in readers(connection):
        wanted = limits(connection, role)
        if settings_of(connection, role) != wanted:
            yield f"ALTER ROLE {role} RESET ALL"
            yield f"ALTER ROLE {role} IN DATABASE {database} RESET ALL"
            yield from (f"ALTER ROLE {role} SET {name} = '{value}'" for name, value in wanted.items())
    if connection.execute(_UNLIMITED, {"role": READER}).scalar():
        yield f"ALTER ROLE {READER} CONNECTION LIMIT {connection.execute(_MOST, {'share': SHARE}).scalar_one()}"
    if connection.execute(_TEMPORARY).scalar():
        yield f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC"
        yield f"GRANT TEMPORARY ON DATABASE {database} TO {OWNER}"
    for function in open_functions(connection):
        yield f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC"
        yield f"GRANT EXECUTE ON FUNCTION {function} TO {OWNER}"


def faults(connection: Connection) -> Iterator[str]:
    """What readers may do or did that is more than reading, one sentence each, where this login could mend it."""
    mend = "run `pbdb db start` (embedded) or `pbdb db upgrade`."
    may_all = bool(connection.execute(text("SELECT rolsuper FROM pg_roles WHERE rolname = session_user")).scalar())
    for role in readers(connection):
        changed = _differing(settings_of(connection, role), limits(connection, role))
        if changed and may_all:
            yield f"Role {role} has other settings than it should ({', '.join(changed)}): {mend}"
    if may_all and connection.execute(_TEMPORARY).scalar():
        yield f"Readers may write temporary tables: {mend}"
    functions = open_functions(connection) if may_all else []
    if functions:
        yield f"Readers may take locks, write large objects or end sessions ({functions[0]} ...): {mend}"
    for role, what in connection.execute(_POWERS, {"roles": list(ROLES)}).all():
        yield f"Role {role} may do more than read: {what}; take that from it with ALTER ROLE or REVOKE."
    for role, count in connection.execute(_LARGE_OBJECTS, {"roles": list(ROLES)}).all():
        yield f"Role {role} wrote {count} large objects: remove them with lo_unlink (see pg_largeobject_metadata)."


def limits(connection: Connection, role: str = READER) -> dict[str, str]:
    """Settings of a role that reads in this database: ours, or those that its owner chose."""
    if role == WEB:
        return WEB_SETTINGS
    chosen = _as_mapping(connection.execute(_CHOSEN, {"prefix": f"{OVERRIDE}%"}).scalars())
    return {name: chosen.get(OVERRIDE + name, value) for name, value in SETTINGS.items()}


def readers(connection: Connection) -> list[str]:
    """Those of the roles that read which exist."""
    query = text("SELECT rolname FROM pg_roles WHERE rolname = ANY (:roles) ORDER BY 1")
    return list(connection.execute(query, {"roles": list(ROLES)}).scalars())


def settings_of(connection: Connection, role: str) -> dict[str, str]:
    """All settings of a role, those of this database above the others."""
    return _as_mapping(connection.execute(_SETTINGS_OF, {"role": role}).scalars())


def open_functions(connection: Connection) -> list[str]:
    """Functions of the server that are not for readers, and that everybody may call."""
    return list(connection.execute(_OPEN_FUNCTIONS, {"names": FUNCTIONS}).scalars())


def _as_mapping(lines: object) -> dict[str, str]:
    return {name: value for name, _, value in (str(line).partition("=") for line in lines)}  # type: ignore[attr-defined]


def _differing(settings: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    names = sorted({*settings, *wanted})
    return [f"{name} = {settings.get(name, 'none')}" for name in names if settings.get(name) != wanted.get(name)]


_SETTINGS_OF = text("""
    SELECT setting FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole
    CROSS JOIN unnest(setconfig) AS setting
    WHERE rolname = :role AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
    ORDER BY setdatabase""")
_CHOSEN = text("""
    SELECT setting FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
    CROSS JOIN unnest(setconfig) AS setting
    WHERE datname = current_database() AND setrole = 0 AND setting LIKE :prefix""")
_UNLIMITED = text("SELECT rolconnlimit < 0 AND NOT rolsuper FROM pg_roles WHERE rolname = :role")
_MOST = text("SELECT (current_setting('max_connections')::int * CAST(:share AS float))::int")
_TEMPORARY = text("""
    SELECT EXISTS (SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba)))
                   WHERE grantee = 0 AND privilege_type = 'TEMPORARY')
    FROM pg_database WHERE datname = current_database()""")
_OPEN_FUNCTIONS = text("""
    SELECT p.oid::regprocedure::text FROM pg_proc p
    WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ :names
      AND EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0)
    ORDER BY 1""")
_POWERS = text("""
    SELECT rolname, concat_ws(', ', CASE WHEN rolsuper THEN 'SUPERUSER' END,
        CASE WHEN rolcreaterole THEN 'CREATEROLE' END, CASE WHEN rolcreatedb THEN 'CREATEDB' END,
        CASE WHEN rolreplication THEN 'REPLICATION' END, CASE WHEN rolbypassrls THEN 'BYPASSRLS' END) AS powers
    FROM pg_roles WHERE rolname = ANY (:roles)
      AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls) ORDER BY 1""")
_LARGE_OBJECTS = text("""
    SELECT pg_get_userbyid(lomowner), count(*) FROM pg_largeobject_metadata
    WHERE pg_get_userbyid(lomowner)::text = ANY (:roles) GROUP BY 1 ORDER BY 1""")
