"""pbdb snapshot: use a snapshot that `pbdb export snapshot` wrote."""

from __future__ import annotations

import click

from pbdb.cli.common import LazyGroup

COMMANDS: dict[str, str] = {
    "catalog": "pbdb.cli.exports.snapshot_use:catalog",
    "diff": "pbdb.cli.exports.snapshot_use:diff",
    "load": "pbdb.cli.exports.snapshot_folder:load",
    "reindex": "pbdb.cli.exports.snapshot_folder:reindex",
    "verify": "pbdb.cli.exports.snapshot_folder:verify",
}


@click.group(cls=LazyGroup, commands_at=COMMANDS)
def snapshot() -> None:
    """Verify, compare and load snapshots."""
