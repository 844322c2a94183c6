"""pbdb dictionary: what every view and column means."""

from __future__ import annotations

from pathlib import Path

import click

from pbdb.cli.common import examples, json_option, say, settings, show_json
from pbdb.common.errors import ConfigError


@examples("pbdb dictionary", "pbdb dictionary condition_effect", "pbdb dictionary --out docs")
@click.command()
@click.argument("name", required=False)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Write dictionary.md and er_diagram.md here."
)
@json_option
def dictionary(name: str | None, out: Path | None, as_json: bool) -> None:
    """Print what the views, functions and tables hold, or what NAME holds, from the database itself."""
    from pbdb.database import dictionary as words
    from pbdb.query import database
    from pbdb.server import connect

    database.ready(settings())
    with connect.engine(settings()).connect() as connection:
        if out is not None:
            for path in words.write(connection, out):
                say(f"wrote {path}")
            return
        entries = [
            entry for entry in words.entries(connection) if name in (None, entry.object, entry.object.split("(")[0])
        ]
    if not entries:
        raise ConfigError(
            f"There is no view, function or table '{name}': `pbdb dictionary` lists them all.", value=name
        )
    if as_json:
        show_json([entry._asdict() for entry in entries])
    else:
        click.echo(words.markdown(entries), nl=False)
