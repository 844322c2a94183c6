"""pbdb export snapshot: one state of the database as a folder that stands alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pbdb.cli.common import TerminalReporter, examples, json_option, say, settings, show_json


@examples(
    "pbdb export snapshot --release 2026.1 --out /data/pbdb-2026.1",
    "pbdb export snapshot --release 2026.1 --out s3://bucket/pbdb-2026.1 --layout long --samples",
)
@click.command()
@click.option("--release", required=True, help="Name of the release, such as 2026.1.")
@click.option("--out", required=True, help="Folder or URL (any that fsspec knows) where nothing stands yet.")
@click.option("--include", multiple=True, help="Dataset to take though its terms do not allow passing it on.")
@click.option(
    "--layout",
    "layouts",
    type=click.Choice(["long"]),
    multiple=True,
    help="Further layout of effects beside lists: long has one row per condition and gene.",
)
@click.option("--samples", is_flag=True, help="Add the counts or intensities of all samples, as AnnData.")
@click.option("--catalog", help="Also register it as Iceberg tables in this SQL catalog (sqlite:///FILE).")
@json_option
def snapshot(out: str, layouts: tuple[str, ...], catalog: str | None, as_json: bool, **chosen: Any) -> None:
    """Write the database as Parquet with a DuckDB file that answers the same queries.

    The snapshot appears at --out whole or not at all. Stopped, the same command goes on where it was. Datasets whose
    terms do not allow passing them on are left out.
    """
    from pbdb.exports.snapshots import build as snapshots
    from pbdb.exports.snapshots import iceberg
    from pbdb.query import database

    if catalog and "://" in out:
        raise click.UsageError("--catalog registers files of a folder: give a folder as --out.")
    user_settings = settings()
    database.ready(user_settings)
    choices = snapshots.Choices(layouts=(snapshots.ARRAY, *layouts), **chosen)
    with TerminalReporter(quiet=as_json) as reporter:
        done = snapshots.export(user_settings, out, choices, reporter)
        if catalog:
            iceberg.register(Path(out), catalog, progress=reporter.progress)
    if as_json:
        show_json({name: done[name] for name in ("release", "fingerprint", "left_out", "datasets")})
        return
    if done["left_out"]:
        say(f"Left out, for their terms do not allow passing them on: {', '.join(done['left_out'])}.")
    n_bytes = sum(file["bytes"] for file in done["files"])
    say(f"{out} holds release {done['release']}: {len(done['files']):,} files, {n_bytes / 1e6:,.1f} MB.")
