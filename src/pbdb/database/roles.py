"""What the tables stand on: the vector extension, the roles, the schemas, and settings of roles and database.

Everything here may be said again at any time. It is no revision's business, for roles belong to the whole server,
and a copied or restored database comes without its settings.
"""

from __future__ import annotations

import logging

from psycopg.errors import InsufficientPrivilege
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from pbdb.common.errors import SchemaError
from pbdb.database import reader_limits
from pbdb.database.models import PARTITIONS, SCHEMA
from pbdb.database.view_files import VIEWS
from pbdb.server.connect import OWNER, PUBLIC, READER, WEB

ROLES = (OWNER, READER, PUBLIC)
DATABASE_SETTINGS = {
    "search_path": "pbdb, core, public",
    "join_collapse_limit": "16",
    "from_collapse_limit": "16",
    "geqo_threshold": "20",
}
SCHEMA_COMMENTS = {
    SCHEMA: "Tables of pbdb: use the views of schema pbdb, which stay as they are while tables change",
    PARTITIONS: "Rows of core.sample, core.effect and core.gene_effect, in a partition for each load of a dataset",
}

log = logging.getLogger(__name__)


def prepare(connection: Connection) -> None:
    """Make the extension, the roles and the schemas, where they are missing.

    Raises:
        SchemaError: the login may not, or pgvector is not there.
    """
    _extension(connection)
    _roles(connection)
    _schemas(connection)


def settle(connection: Connection) -> None:
    """Give roles and database their settings, take from readers what is not reading; say what is not permitted."""
    _web(connection)
    for statement in list(reader_limits.statements(connection)):
        _where_permitted(connection, statement)
    database = connection.execute(text("SELECT quote_ident(current_database())")).scalar_one()
    for name, value in DATABASE_SETTINGS.items():
        if not _has_setting(connection, name):
            _where_permitted(connection, f"ALTER DATABASE {database} SET {name} = {value}")


def _web(connection: Connection) -> None:
    """Make the login of the web server, a member of pbdb_public only; it has no password until it is given one."""
    there = connection.execute(text("SELECT count(*) FROM pg_roles WHERE rolname = :role"), {"role": WEB}).scalar()
    if not there:
        _where_permitted(
            connection,
            f"DO $$ BEGIN CREATE ROLE {WEB} LOGIN CONNECTION LIMIT 10 IN ROLE {PUBLIC};"
            " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
        )


def _extension(connection: Connection) -> None:
    schema = connection.execute(_EXTENSION_SCHEMA).scalar_one_or_none()
    if schema is None:
        _available(connection)
        _must(
            connection,
            "CREATE EXTENSION IF NOT EXISTS vector SCHEMA public",
            "The extension 'vector' is not in this database, and the login may not create it:"
            " let an administrator run CREATE EXTENSION vector SCHEMA public.",
        )
    elif schema != "public":
        raise SchemaError(
            f"The extension 'vector' is in schema '{schema}': run ALTER EXTENSION vector SET SCHEMA public."
        )


def _available(connection: Connection) -> None:
    extension = connection.execute(text("SELECT FROM pg_available_extensions WHERE name = 'vector'"))
    if extension.one_or_none() is None:
        raise SchemaError(
            "The server has no extension 'vector': install pgvector on it (the image pgvector/pgvector has it)."
        )


def _roles(connection: Connection) -> None:
    for role in ROLES:
        if not connection.execute(text("SELECT count(*) FROM pg_roles WHERE rolname = :role"), {"role": role}).scalar():
            _must(
                connection,
                # Databases of one server share their roles: another may have been quicker.
                f"DO $$ BEGIN CREATE ROLE {role} NOLOGIN;"
                " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
                f"The login may not create the role {role}: let an administrator run CREATE ROLE {role}.",
            )
        if not connection.execute(_MAY_BE, {"role": role}).scalar_one():
            _must(
                connection,
                f"GRANT {role} TO CURRENT_USER",
                f"The login is no member of the role {role}: let an administrator grant it.",
            )


def _schemas(connection: Connection) -> None:
    for schema in (SCHEMA, PARTITIONS, VIEWS):
        owner = connection.execute(_SCHEMA_OWNER, {"schema": schema}).scalar_one_or_none()
        if owner is None:
            _must(
                connection,
                f"CREATE SCHEMA {schema} AUTHORIZATION {OWNER}",
                f"The login may not create schemas here: let an administrator grant it CREATE on the database,"
                f" or run CREATE SCHEMA {schema} AUTHORIZATION {OWNER}.",
            )
            if schema in SCHEMA_COMMENTS:
                connection.exec_driver_sql(f"COMMENT ON SCHEMA {schema} IS '{SCHEMA_COMMENTS[schema]}'")
        elif owner != OWNER:
            raise SchemaError(
                f"Schema '{schema}' belongs to '{owner}', not to {OWNER}: is this another program's database?"
                f" If it is pbdb's, run ALTER SCHEMA {schema} OWNER TO {OWNER}."
            )


def _has_setting(connection: Connection, name: str) -> bool:
    return connection.execute(_SETTING, {"prefix": f"{name}="}).scalar_one_or_none() is not None


def _must(connection: Connection, statement: str, sentence: str) -> None:
    if not _permitted(connection, statement):
        raise SchemaError(sentence)


def _where_permitted(connection: Connection, statement: str) -> None:
    if not _permitted(connection, statement):
        log.info("The login may not run: %s", statement)


def _permitted(connection: Connection, statement: str) -> bool:
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(statement)
    except ProgrammingError as error:
        if isinstance(error.orig, InsufficientPrivilege):
            return False
        raise
    return True


# From PostgreSQL 16 a membership may lack the right to SET ROLE, which is what loads and queries need.
_MAY_BE = text("""
    SELECT pg_has_role(CAST(:role AS name), CASE WHEN current_setting('server_version_num')::int >= 160000
                                                 THEN 'SET' ELSE 'MEMBER' END)
""")
_EXTENSION_SCHEMA = text("SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'")
_SCHEMA_OWNER = text("SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = :schema")
_SETTING = text("""
    SELECT setting FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
    CROSS JOIN unnest(s.setconfig) AS setting
    WHERE starts_with(setting, :prefix) AND s.setrole = 0 AND d.datname = current_database()
""")
