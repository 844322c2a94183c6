"""pbdb vocab: vocabularies of genes, cells and compounds, imported from published tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pbdb.cli.common import examples, json_option, say, settings, show_json, show_table


@click.group()
def vocab() -> None:
    """Import the vocabularies that identities are brought to, and look at them."""


@examples("pbdb vocab import genes Homo_sapiens.GRCh38.112.gtf.gz", "pbdb vocab import genes hgnc_complete_set.txt")
@vocab.command("import")
@click.argument("kind", type=click.Choice(["genes"]))
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--release", help="Release, where the file does not say which it is.")
@json_option
def import_file(kind: str, path: Path, release: str | None, as_json: bool) -> None:
    """Import a published table; its form is recognised by its content."""
    from pbdb import server, vocabulary

    outcome = vocabulary.import_genes(server.engine(settings()), path, None, release)
    _tell(outcome, as_json)


@examples("pbdb vocab status")
@vocab.command()
@json_option
def status(as_json: bool) -> None:
    """Show which releases are imported and which are in use."""
    from pbdb import server, vocabulary

    with server.engine(settings()).connect() as connection:
        rows = vocabulary.status(connection)
    if as_json:
        show_json(rows)
    elif rows:
        columns = ("kind", "release", "is_current", "n_rows", "origin", "imported_at")
        show_table([[row[name] for name in columns] for row in rows], columns)
    else:
        say("No vocabulary is imported: run `pbdb vocab import genes FILE` or `pbdb vocab fetch genes`.")


def _tell(outcome: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(outcome)
        return
    counts = ", ".join(f"{value:,} {name}" for name, value in outcome.items() if isinstance(value, int))
    say(f"{outcome['kind']} {outcome['release']}: {counts}")
