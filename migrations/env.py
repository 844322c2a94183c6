"""The door every Alembic command goes through, whether `alembic` or `pbdb db` calls it."""

from __future__ import annotations

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection

from pbdb.common.errors import PbdbError
from pbdb.common.settings import Settings
from pbdb.database import schema
from pbdb.server import connect


def main() -> None:
    """Run the command on the connection handed over, or on one to the database of the settings.

    Raises:
        CommandError: it is not possible; Alembic prints the sentence.
    """
    if context.is_offline_mode():
        raise CommandError("--sql is not possible: a migration reads the database to keep views and privileges.")
    connection: Connection | None = context.config.attributes.get("connection")
    if connection is not None:
        schema.pass_through(connection, context)
        return
    try:
        with connect.engine(Settings.from_environment()).begin() as own:
            schema.pass_through(own, context)
    except PbdbError as error:
        raise CommandError(str(error)) from error


main()
