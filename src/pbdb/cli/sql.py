"""pbdb sql: one read-only query, as a table, CSV or JSON."""

from __future__ import annotations

import csv
import json
import math
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import click

from pbdb.cli.common import examples, say, settings, show_table
from pbdb.common.errors import ConfigError

ROWS_IN_TABLE = 1000
FORMULA = tuple("=+-@\t\r|%")
COMMENT = re.compile(r"--[^=\s]*\s")


class TakesComments(click.Command):
    """A command that takes for a query what begins with a comment: no option has a blank in its name."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments."""
        return super().parse_args(ctx, [f"\n{arg}" if COMMENT.match(arg) else arg for arg in args])


@examples(
    'pbdb sql "SELECT * FROM coverage"',
    "pbdb sql --format csv --no-formulas --file top.sql > top.csv",
    "echo 'SELECT count(*) AS n FROM compound' | pbdb sql --json",
)
@click.command(cls=TakesComments)
@click.argument("query", required=False)
@click.option("--file", type=click.Path(path_type=Path), help="Read the query from this file.")
@click.option(
    "--format",
    "shape",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="How to print the rows.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--no-formulas", is_flag=True, help="In CSV, put ' before cells that a spreadsheet would compute.")
def sql(query: str | None, file: Path | None, shape: str, as_json: bool, no_formulas: bool) -> None:
    """Run one query that reads, as the role pbdb_reader in a read-only transaction.

    QUERY comes from the argument, --file, or standard input (-). JSON is an array of objects, in which NaN and
    infinity are null. Characters that a terminal would obey come as escapes, in JSON as JSON writes them.
    """
    from pbdb.query import database

    opened = database.connect(settings())
    with opened.rows(_text(query, file)) as (columns, rows):
        shown = ([_no_formula(cell) for cell in row] for row in rows) if no_formulas else rows
        {"table": _print_table, "csv": _print_csv, "json": _print_json}["json" if as_json else shape](columns, shown)


def _text(query: str | None, file: Path | None) -> str:
    if query is not None and file is not None:
        raise click.UsageError("Give the query as an argument or with --file, not both.")
    if file is not None:
        statement = _read(file)
    elif query is None and sys.stdin.isatty():
        raise click.UsageError("Give a query as an argument, with --file, or on standard input.")
    else:
        statement = sys.stdin.read() if query in (None, "-") else str(query)
    if not statement.strip(" \n\t;"):
        raise ConfigError("The query is empty: give one statement that reads, such as SELECT * FROM coverage.")
    return statement


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(
            f"The query in '{file}' cannot be read: {getattr(problem, 'strerror', 'it is no UTF-8 text')}.",
            file=str(file),
        ) from None


def _print_table(columns: list[str], rows: Iterator[Sequence[Any]]) -> None:
    show_table(islice(rows, ROWS_IN_TABLE), columns)
    if next(rows, None) is not None:
        say(f"Only the first {ROWS_IN_TABLE:,} rows are shown: use LIMIT, or --format csv for all of them.")


def _no_formula(cell: Any) -> Any:
    """A cell that a spreadsheet takes for text: no number begins with these signs and is text."""
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip()[:1] in FORMULA and cell.strip() else cell


def _print_csv(columns: list[str], rows: Iterator[Sequence[Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)


def _print_json(columns: list[str], rows: Iterator[Sequence[Any]]) -> None:
    """Print an array of objects, row by row."""
    separator = "[\n"
    for row in rows:
        shown = {name: _json_value(value) for name, value in zip(columns, row, strict=True)}
        click.echo(separator + json.dumps(shown, default=str, allow_nan=False), nl=False)
        separator = ",\n"
    click.echo("[]" if separator == "[\n" else "\n]")


def _json_value(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list):
        return [_json_value(item) for item in value]
    return value
