"""pbdb snapshot verify, reindex and load: a snapshot in a folder of this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pbdb.cli.common import TerminalReporter, examples, json_option, say, settings, show_json, show_table


def local_folder(context: click.Context, parameter: click.Parameter, value: str) -> Path:
    """Take a folder of this machine, and no address.

    Raises:
        SnapshotError: it is an address.
    """
    from pbdb.common.errors import SnapshotError

    scheme, separator, _ = value.partition("://")
    if separator:
        raise SnapshotError(
            f"`pbdb snapshot {context.command.name}` reads local folders, and what is given begins with {scheme}://:"
            " download the snapshot first."
        )
    return Path(value)


folder_argument = click.argument("folder", callback=local_folder)


@examples("pbdb snapshot verify /data/pbdb-2026.1", "pbdb snapshot verify /data/pbdb-2026.1 --json")
@click.command()
@folder_argument
@json_option
def verify(folder: Path, as_json: bool) -> None:
    """Read every byte of a snapshot; exit code 1 where a file is changed, missing or too much."""
    from pbdb.exports.snapshots import manifest
    from pbdb.exports.snapshots import verify as checks

    with TerminalReporter(quiet=as_json) as reporter:
        problems = checks.verify(folder, reporter.progress)
    if as_json:
        show_json([problem._asdict() for problem in problems])
    elif problems:
        show_table(problems, ["file", "problem"])
    else:
        content = manifest.read(folder)
        say(f"{folder} is release {content['release']}, every one of its {len(content['files']):,} files as written.")
    if problems:
        sys.exit(1)


@examples("pbdb snapshot reindex /data/pbdb-2026.1")
@click.command()
@folder_argument
def reindex(folder: Path) -> None:
    """Make pbdb.duckdb anew from the Parquet files of a snapshot."""
    from pbdb.exports.snapshots import verify as checks

    checks.reindex(folder)
    say(f"{folder} has a new pbdb.duckdb.")


@examples("PBDB_HOME=/data/new pbdb snapshot load /data/pbdb-2026.1")
@click.command()
@folder_argument
@json_option
def load(folder: Path, as_json: bool) -> None:
    """Fill an empty database with everything a snapshot holds."""
    from pbdb.exports.snapshots import restore

    with TerminalReporter(quiet=as_json) as reporter:
        content = restore.load(settings(), folder, reporter)
    if as_json:
        show_json({name: content[name] for name in ("release", "fingerprint", "datasets")})
    else:
        say(f"The database holds release {content['release']}; for signature search run `pbdb signature index`.")
