"""The command line: thin commands over the library, found by name and imported on use."""

from __future__ import annotations

import sys

import click

from pbdb.cli.common import LazyGroup
from pbdb.cli.shell import heartbeat, interrupts
from pbdb.cli.terminal import safe, safe_output
from pbdb.common.errors import PbdbError
from pbdb.common.version import __version__

COMMANDS = {
    "agreement": "pbdb.cli.agreement:agreement",
    "compound": "pbdb.cli.compound:compound",
    "db": "pbdb.cli.db:db",
    "de": "pbdb.cli.de:de",
    "demo": "pbdb.cli.demo:demo",
    "dictionary": "pbdb.cli.dictionary:dictionary",
    "effects": "pbdb.cli.effects:effects",
    "embed": "pbdb.cli.embed:embed",
    "etl": "pbdb.cli.etl:etl",
    "evaluate": "pbdb.cli.evaluate:evaluate",
    "export": "pbdb.cli.exports.export:export",
    "match": "pbdb.cli.match:match",
    "serve": "pbdb.cli.serve:serve",
    "signature": "pbdb.cli.signature:signature",
    "simulate": "pbdb.cli.simulate:simulate",
    "snapshot": "pbdb.cli.exports.snapshot:snapshot",
    "split": "pbdb.cli.split:split",
    "sql": "pbdb.cli.sql:sql",
    "vocab": "pbdb.cli.vocab:vocab",
}


@click.group(cls=LazyGroup, commands_at=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pbdb")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def pbdb(context: click.Context, debug: bool) -> None:
    """Load, query and compare small-molecule perturbation transcriptomics in one database.

    Without PBDB_DATABASE_URL an embedded PostgreSQL under PBDB_HOME is used and started on need.
    """
    context.with_resource(safe_output())


def main() -> None:
    """Run the command line: a user's mistake is one sentence and exit code 1."""
    debug = "--debug" in sys.argv[1:]
    sys.stdout, sys.stderr = safe(sys.stdout), safe(sys.stderr)
    interrupts.end_when_asked()
    try:
        with heartbeat.beating(sys.argv[1:]):
            pbdb(prog_name="pbdb", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except click.ClickException as problem:
        problem.show()
        sys.exit(problem.exit_code)
    except PbdbError as problem:
        if debug:
            raise
        click.secho(f"Error: {problem}", err=True)
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
