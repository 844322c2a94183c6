"""pbdb match: find the conditions that occur in two data sets, and count them."""

from __future__ import annotations

from dataclasses import asdict

import click

from pbdb.cli.common import examples, json_option, say, settings, show_json, show_table
from pbdb.database.choices import LEVELS

level_option = click.option(
    "--level",
    type=click.Choice(LEVELS),
    default="parent_inchikey",
    show_default=True,
    help="Level at which two compounds are the same.",
)
tolerance_option = click.option(
    "--time-tolerance", type=float, default=0.0, show_default=True, help="Hours by which two times may differ."
)


@click.group()
def match() -> None:
    """Match conditions of different data sets: same compound, context and time, nearest dose."""


@examples("pbdb match run", "pbdb match run --level pubchem_cid", "pbdb match run --time-tolerance 2")
@match.command()
@level_option
@tolerance_option
@json_option
def run(level: str, time_tolerance: float, as_json: bool) -> None:
    """Find all matches anew by one rule; loads do it by themselves for what they change.

    Matches of other rules stay. Every window of doses is in one table: filter matched_condition.from_window.
    """
    from pbdb.matches import match_table
    from pbdb.query import database
    from pbdb.server import connect

    chosen = settings()
    database.ready(chosen)
    done = match_table.refresh(connect.engine(chosen), match_table.Rule(level, time_tolerance))
    if as_json:
        show_json(asdict(done))
        return
    click.echo(f"{done.matches:,} matches by {level}, {done.in_window:,} of them count within ten-fold dose")
    click.echo(f"{done.added:,} added, {done.removed:,} removed")


@examples("pbdb match status", "pbdb match status --json")
@match.command()
@json_option
def status(as_json: bool) -> None:
    """Count the matches of each pair of data sets, by window of doses."""
    from pbdb.query import database

    with database.connect(settings()).rows(_COUNTS) as (columns, rows):
        counts = list(rows)
    if as_json:
        show_json([dict(zip(columns, row, strict=True)) for row in counts])
    elif counts:
        show_table(counts, columns)
    else:
        say("No conditions match: matches need two data sets that share compounds, cells and times.")


_COUNTS = """
SELECT dataset_a, dataset_b, inchikey_level, time_tolerance_h, count(*) AS matches,
    count(*) FILTER (WHERE in_window_1) AS window_1, count(*) FILTER (WHERE in_window_2) AS window_2,
    count(*) FILTER (WHERE in_window_3) AS window_3, count(*) FILTER (WHERE in_window_10) AS window_10,
    count(DISTINCT compound_key) AS compounds, count(DISTINCT context) AS contexts
FROM pbdb.matched_condition GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""
