"""pbdb db: the server, the schema, backups."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from pbdb.cli.common import TerminalReporter, examples, json_option, say, settings, show_json, show_table


@click.group()
def db() -> None:
    """Start and stop the embedded server, move the schema, back up and restore."""


@examples("pbdb db start", "pbdb db start --port 54320")
@db.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Also listen here on 127.0.0.1; 0: no longer.")
def start(port: int | None) -> None:
    """Start the embedded server; with a port, BI tools can log in as pbdb_reader over loopback TCP.

    Readers get their password and settings again, whatever they made of them; what killed loads left goes.
    """
    from pbdb.database import schema
    from pbdb.loading import leftovers
    from pbdb.query import database
    from pbdb.server import connect

    user_settings = settings()
    connect.start(user_settings, port)
    database.ready(user_settings)
    schema.settle(connect.engine(user_settings))
    connect.reader_password(user_settings)
    leftovers.clear(user_settings)
    say("The server runs.")
    if port:
        click.echo(connect.url(user_settings))


@examples("pbdb db stop")
@db.command()
def stop() -> None:
    """Shut the embedded server down."""
    from pbdb.server import connect

    say("The server is shut down." if connect.stop(settings()) else "The server was not running.")


@examples("pbdb db status --json")
@db.command()
@json_option
def status(as_json: bool) -> None:
    """Show whether the server runs, where, and whether the schema is current.

    The PostgreSQL that came with pbdb is shown too, with a warning where a newer one is known.
    """
    from pbdb.common import packaged_files
    from pbdb.database import schema
    from pbdb.server import connect, postgres_programs

    user_settings = settings()
    facts = asdict(connect.status(user_settings))
    facts["schema"] = None
    if facts["running"]:
        with connect.engine(user_settings).connect() as connection:
            facts["schema"] = schema.current(connection)
    facts["head"] = schema.head()
    running = facts["version"] if facts["embedded"] else None
    facts["bundled"] = postgres_programs.bundled()
    lock = packaged_files.folder("migrations").parent / "requirements.lock"
    facts["warnings"] = postgres_programs.warnings(running, postgres_programs.MAJOR, lock)
    if as_json:
        show_json(facts)
    else:
        facts["bundled"] = ", ".join(f"{name} {version}" for name, version in facts["bundled"].items()) or None
        for warning in facts.pop("warnings"):
            say(f"Warning: {warning}")
        show_table([[name, str(value)] for name, value in facts.items() if value is not None], ["fact", "value"])


@examples("pbdb db url")
@db.command()
def url() -> None:
    """Print the address of the database for other programs."""
    from pbdb.database import schema
    from pbdb.server import connect

    user_settings = settings()
    address = connect.url(user_settings)
    if user_settings.database_url is None:
        schema.settle(connect.engine(user_settings))
    click.echo(address)


@examples("pbdb db psql", "pbdb db psql -- -c '\\d+ effect'")
@db.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(arguments: tuple[str, ...]) -> None:
    """Open psql on the database; ARGUMENTS are psql's own."""
    from pbdb.server import connect

    command, environment = connect.psql_command(settings(), arguments)
    os.execve(command[0], command, environment)


@examples("pbdb db upgrade")
@db.command()
@click.argument("revision", default="head")
def upgrade(revision: str) -> None:
    """Bring tables and views to the newest revision (or REVISION), in one transaction."""
    from pbdb.database import schema
    from pbdb.server import connect

    schema.upgrade(connect.engine(settings()), revision)
    say(f"The schema is at {schema.head() if revision == 'head' else revision}.")


@examples("pbdb db downgrade base")
@db.command()
@click.argument("revision")
@click.confirmation_option(prompt="Tables of later revisions are dropped with their rows. Go on?")
def downgrade(revision: str) -> None:
    """Take the tables back to REVISION (`base`: none at all); below head there are no views."""
    from pbdb.database import schema
    from pbdb.server import connect

    schema.downgrade(connect.engine(settings()), revision)
    say(f"The schema is at {revision}; the views are away until `pbdb db upgrade`.")


@examples("pbdb db check")
@db.command()
@json_option
def check(as_json: bool) -> None:
    """Compare the database with what this version would build; exit code 1 where they differ.

    Rights, settings and the password of readers are looked at too.
    """
    from pbdb.database import schema
    from pbdb.server import connect

    user_settings = settings()
    differences = schema.check(connect.engine(user_settings))
    if connect.has_changed_password(user_settings):
        differences.append(f"{connect.READER} gave itself another password: run `pbdb db start`.")
    if as_json:
        show_json(differences)
    else:
        click.echo("\n".join(differences) or "The schema is as this version builds it.")
    if differences:
        raise SystemExit(1)


@examples("pbdb db verify", "pbdb db verify drugseq", "pbdb db verify drugseq --json")
@db.command()
@click.argument("dataset", required=False)
@json_option
def verify(dataset: str | None, as_json: bool) -> None:
    """Read again what is loaded and compare it with the specification; exit code 1 where they differ.

    Of DATASET, or of all: samples and conditions are counted against the ledger, ids computed from natural keys,
    adjusted p values and numbers of genes from the arrays of effects, both orientations of effects compared, and
    some effects of every fit computed anew from the canonical matrix by plain least squares. Nothing is changed.
    """
    from pbdb.loading.verification import run

    with TerminalReporter(quiet=as_json) as reporter:
        verified = run.verify(settings(), dataset, reporter.progress)
    differing = [each for each in verified if each.differences]
    if as_json:
        show_json([each.as_dict() for each in verified])
    elif not verified:
        say("No dataset is loaded.")
    else:
        _show_verified(verified)
        say(f"{len(verified) - len(differing)} of {len(verified)} datasets are as the specification says.")
    if differing:
        raise SystemExit(1)


def _show_verified(verified: list[Any]) -> None:
    counted = ("dataset", "samples", "conditions", "ids", "fits", "effects", "refitted")
    rows = [[*(getattr(each, name) for name in counted), sum(d.n for d in each.differences)] for each in verified]
    show_table(rows, [*counted, "differences"])
    listed = [
        [each.dataset, *difference[:2], "; ".join(difference.examples)]
        for each in verified
        for difference in each.differences
    ]
    if listed:
        show_table(listed, ["dataset", "check", "places", "for example"])


@examples("pbdb db tidy", "pbdb db tidy --json")
@db.command("tidy")
@json_option
def tidy_up(as_json: bool) -> None:
    """Remove what replaced and killed loads left: tables nobody can read any more, folders of the cache.

    Loads do this by themselves. What a running query, backup or load still needs stays until the next time.
    """
    from pbdb.loading import leftovers
    from pbdb.server import connect

    user_settings = settings()
    connect.ensure_running(user_settings)
    left = leftovers.clear(user_settings)
    if as_json:
        show_json(asdict(left))
        return
    click.echo(f"Removed: {len(left.tables)} tables, {len(left.folders)} folders.")
    if left.waiting:
        say(f"{len(left.waiting)} tables wait for a query, a backup or a load to end: {', '.join(left.waiting)}.")


@examples("pbdb db revision -m 'add compound.title'")
@db.command()
@click.option("-m", "--message", required=True, help="What the revision does.")
def revision(message: str) -> None:
    """Write a new revision from the difference between models and database (in a checkout)."""
    from alembic import command

    from pbdb.database import schema
    from pbdb.server import connect

    with connect.engine(settings()).begin() as connection:
        command.revision(schema.config(connection), message, autogenerate=True)


@examples("pbdb db backup pbdb.backup", "pbdb db backup --force pbdb.backup")
@db.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Write over FILE, which stays as it is until the backup is complete.")
def backup(file: Path, force: bool) -> None:
    """Write the whole database, with roles and settings, into one FILE.

    A file that is there already is refused without --force.
    """
    from pbdb.database import backup as backups

    size = backups.backup(settings(), file, replace=force)
    say(f"'{file}' holds the database: {size / 1e6:,.1f} MB.")


@examples("pbdb db restore pbdb.backup", "pbdb db restore --replace pbdb.backup")
@db.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Drop what is in the database first.")
def restore(file: Path, replace: bool) -> None:
    """Fill an empty database from the backup in FILE, which has to be your own.

    A backup is SQL: what stands in it is run with the rights of the login, in the embedded server as its superuser.
    Roles and settings are taken only in the forms that pbdb writes, nothing of it reaches this machine's shell, and
    where you are root psql runs as the server's user; but whoever wrote the backup owns the database after it. From
    others take a snapshot (`pbdb snapshot load`), which is data.
    """
    from pbdb.database import backup as backups
    from pbdb.database import schema
    from pbdb.server import connect

    user_settings = settings()
    backups.restore(user_settings, file, replace=replace)
    schema.settle(connect.engine(user_settings))
    say(f"The database is as '{file}' has it.")
