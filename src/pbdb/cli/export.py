"""pbdb export: what the database holds, as files for other tools."""

from __future__ import annotations

import click

from pbdb.cli.common import LazyGroup

COMMANDS: dict[str, str] = {
    "anndata": "pbdb.cli.export_files:anndata",
    "fingerprints": "pbdb.cli.export_files:fingerprints",
    "gctx": "pbdb.cli.export_files:gctx",
    "shards": "pbdb.cli.export_files:shards",
    "snapshot": "pbdb.cli.export_snapshot:snapshot",
}


@click.group(cls=LazyGroup, commands_at=COMMANDS)
def export() -> None:
    """Write what the database holds as files that other tools read."""
