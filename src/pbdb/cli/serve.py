"""pbdb serve: pages to look at and an API, over the database or a snapshot."""

from __future__ import annotations

from pathlib import Path

import click

from pbdb.cli.common import examples, say, settings
from pbdb.common.errors import ConfigError


@examples(
    "pbdb serve",
    "pbdb serve pbdb-2026.1 --port 8080 --open",
    "pbdb serve --public --host 0.0.0.0 --allow-host data.example.org --root-path /pbdb",
)
@click.command()
@click.argument("place", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=8000, show_default=True, help="Port to listen at.")
@click.option("--public", is_flag=True, help="Show data sets that may be passed on, nothing else; a must for others.")
@click.option("--allow-host", "hosts", multiple=True, help="Name by which browsers reach it; may be given again.")
@click.option("--root-path", default="", help="Path below which a proxy shows it, such as /pbdb.")
@click.option("--open", "open_browser", is_flag=True, help="Open it in a browser.")
def serve(
    place: Path | None, host: str, port: int, public: bool, hosts: tuple[str, ...], root_path: str, open_browser: bool
) -> None:
    """Serve pages and an API of the database, or of the snapshot in the folder PLACE.

    Compounds, genes, matches, signatures and structures to look at, and every view by name as JSON, CSV, Arrow or
    Parquet; the page /api tells how. Nothing can be written. Needs pip install 'pbdb[serve]'.
    """
    try:
        from pbdb.serve import app
    except ModuleNotFoundError as problem:
        raise ConfigError(f"{problem.name} is not installed: run pip install 'pbdb[serve]'.") from None

    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(host, host)
    address = f"http://{name}:{port}{root_path}/"
    say(f"Serving {place or 'the database'} at {address} (Ctrl+C ends it)")
    if open_browser:
        click.launch(address)
    app.serve(place, settings(), host=host, port=port, public=public, root_path=root_path, hosts=hosts)
