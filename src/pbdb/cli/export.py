"""pbdb export: what the database holds, as files for other tools."""

from __future__ import annotations

import click

from pbdb.cli.common import LazyGroup

COMMANDS: dict[str, str] = {}


@click.group(cls=LazyGroup, commands_at=COMMANDS)
def export() -> None:
    """Write what the database holds as files that other tools read."""
