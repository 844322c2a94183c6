"""pbdb snapshot: use a snapshot that `pbdb export snapshot` wrote."""

from __future__ import annotations

import click

from pbdb.cli.common import LazyGroup

COMMANDS: dict[str, str] = {}


@click.group(cls=LazyGroup, commands_at=COMMANDS)
def snapshot() -> None:
    """Verify, compare and load snapshots."""
