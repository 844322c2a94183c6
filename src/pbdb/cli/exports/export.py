"""pbdb export: what the database holds, as files for other tools."""

from __future__ import annotations

import click

from pbdb.cli.common import LazyGroup

COMMANDS: dict[str, str] = {
    "anndata": "pbdb.cli.exports.export_files:anndata",
    "fingerprints": "pbdb.cli.exports.export_files:fingerprints",
    "gctx": "pbdb.cli.exports.export_files:gctx",
    "shards": "pbdb.cli.exports.export_files:shards",
    "snapshot": "pbdb.cli.exports.export_snapshot:snapshot",
}


@click.group(cls=LazyGroup, commands_at=COMMANDS)
def export() -> None:
    """Write what the database holds as files that other tools read."""
