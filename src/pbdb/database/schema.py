"""The one door to the schema: tables by Alembic, views from sql/, all in one transaction."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from psycopg.errors import DependentObjectsStillExist
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import InternalError

from pbdb.common import packaged_files
from pbdb.common.errors import SchemaError
from pbdb.database import catalog, reader_limits, roles, views
from pbdb.database.models import SCHEMA, Base
from pbdb.database.models.policies import PARTITIONED
from pbdb.database.view_files import VIEWS
from pbdb.server import locks
from pbdb.server.connect import OWNER

VERSION_TABLE = "alembic_version"
ONE_AT_A_TIME = threading.Lock()  # Alembic's context is one for the whole process
LOCK = locks.key_of("pbdb schema")

log = logging.getLogger(__name__)


def upgrade(bind: Engine | Connection, revision: str = "head") -> None:
    """Bring tables and views to a revision; at head with current views nothing is touched.

    Raises:
        SchemaError: somebody's own view depends on ours, a file of sql/ is wrong, the login may not.
        ServerError: another session holds a lock for too long.
    """
    _through_the_door(bind, command.upgrade, revision)


def downgrade(bind: Engine | Connection, revision: str) -> None:
    """Take the tables back to a revision (`base`: none); the views stay away below head.

    Raises:
        SchemaError: as `upgrade`.
        ServerError: as `upgrade`.
    """
    _through_the_door(bind, command.downgrade, revision)


def require_head(connection: Connection) -> None:
    """Stop unless tables and views are those of this version of pbdb.

    Raises:
        SchemaError: they are not; the sentence says what to run.
    """
    if (problem := _behind(connection) or _views_behind(connection)) is not None:
        raise SchemaError(problem)


def check(engine: Engine) -> list[str]:
    """What is wrong with the schema, one sentence each; empty where all is as this version made it.

    Tables are compared with the models, views by their fingerprint; what has no comment is listed too, and what readers
    may do that is more than reading.
    """
    with engine.connect() as connection, connection.begin() as transaction:
        if (behind := _behind(connection)) is not None:
            return [behind]
        views_behind = _views_behind(connection)
        differences = [*catalog.differences(connection), *reader_limits.faults(connection)]
        transaction.rollback()
    return differences if views_behind is None else [views_behind, *differences]


def settle(engine: Engine) -> None:
    """Give roles and database their settings again, where there is a schema, whatever a reader changed of its own."""
    with engine.begin() as connection:
        if current(connection) is not None:
            locks.with_retries(connection, lambda: roles.settle(connection), "The settings of readers")


def current(connection: Connection) -> str | None:
    """Revision of the database; None where there is no schema."""
    options = {"version_table_schema": SCHEMA, "version_table": VERSION_TABLE}
    return MigrationContext.configure(connection, opts=options).get_current_revision()


@cache
def head() -> str:
    """Newest revision this version knows."""
    return str(_script().get_current_head())


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration without a file; revisions run on the connection."""
    made = Config()
    made.set_main_option("script_location", str(packaged_files.folder("migrations")).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


def pass_through(connection: Connection, context: EnvironmentContext) -> None:
    """Do what an Alembic command asks, inside the connection's transaction; migrations/env.py calls this.

    A command that moves the database drops the views first and, at head, builds them again. All others
    (check, current, revision) touch no view.

    Raises:
        SchemaError: as `upgrade`.
        ServerError: as `upgrade`.
    """
    connection.exec_driver_sql("SET LOCAL search_path = public")
    try:
        context.get_revision_argument()
    except KeyError:  # the command has no destination
        _run(connection, context)
        return
    locks.with_retries(connection, lambda: _move(connection, context), "The change of the schema", LOCK)


def _move(connection: Connection, context: EnvironmentContext) -> None:
    locks.take(connection, LOCK)
    roles.prepare(connection)
    if not _is_there(connection, context):
        role = connection.execute(text("SELECT current_setting('role')")).scalar_one()
        connection.exec_driver_sql(f"SET LOCAL ROLE {OWNER}")
        _change(connection, context)
        connection.execute(text("SELECT set_config('role', :own, true)"), {"own": role})
    roles.settle(connection)


def _is_there(connection: Connection, context: EnvironmentContext) -> bool:
    """Whether nothing is to be done: head is wanted, head is there, and the views are current."""
    wanted = context.get_revision_argument()
    return wanted in (head(), (head(),)) and current(connection) == head() and views.is_current(connection)


def _change(connection: Connection, context: EnvironmentContext) -> None:
    views.refuse_foreign_dependents(connection)
    before = views.read(connection)
    views.drop(connection)
    try:
        _run(connection, context)
    except InternalError as error:
        if isinstance(error.orig, DependentObjectsStillExist):
            raise SchemaError(f"Others depend on the tables of pbdb: {_in_one_line(error.orig)}.") from error
        raise
    if current(connection) == head():
        views.build(connection, before)
    else:
        log.warning("Below revision %s there are no views in schema %s; `pbdb db upgrade` builds them.", head(), VIEWS)


def _run(connection: Connection, context: EnvironmentContext) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
        version_table_schema=SCHEMA,
        include_schemas=True,
        include_name=_is_ours,
        include_object=_is_table,
        compare_type=True,
        compare_server_default=True,
    )
    context.run_migrations()


def _is_ours(name: str | None, kind: str, parents: Any) -> bool:
    """Only schema core holds what the models describe; partitions live in another."""
    return kind != "schema" or name == SCHEMA


def _is_table(item: Any, name: str | None, kind: str, is_there: bool, other: Any) -> bool:
    """What core shows of partitions are views, which no revision makes."""
    return kind != "table" or name not in PARTITIONED


def _through_the_door(bind: Engine | Connection, verb: Callable[[Config, str], None], revision: str) -> None:
    if isinstance(bind, Engine):
        with bind.begin() as connection:
            _through_the_door(connection, verb, revision)
    else:
        with ONE_AT_A_TIME:
            try:
                verb(config(bind), revision)
            except CommandError as error:
                raise SchemaError(f"The schema cannot be brought to revision '{revision}': {error}.") from error


def _behind(connection: Connection) -> str | None:
    revision = current(connection)
    if revision is None:
        return "The database has no schema of pbdb yet: run `pbdb db upgrade`."
    if revision not in _known():
        return f"The schema is at revision {revision}, which this version of pbdb does not know: update pbdb."
    if revision != head():
        return f"The schema is at revision {revision}, behind this version of pbdb ({head()}): run `pbdb db upgrade`."
    return None


def _views_behind(connection: Connection) -> str | None:
    if gone := views.missing(connection):
        return f"The database lacks {', '.join(gone)}: run `pbdb db upgrade`."
    if not views.is_current(connection):
        return f"The views of schema {VIEWS} are not those of this version of pbdb: run `pbdb db upgrade`."
    return None


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(config())


@cache
def _known() -> frozenset[str]:
    return frozenset(script.revision for script in _script().walk_revisions())


def _in_one_line(error: BaseException) -> str:
    return "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
