"""What commands share: late imports, JSON output, tables, progress on a terminal."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click

from pbdb.cli.shell import heartbeat
from pbdb.cli.terminal import bare, visible
from pbdb.common.settings import Settings

COMPLETING = "_PBDB_COMPLETE"  # set by the shell that asks
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used, so that `pbdb --help` is quick."""

    def __init__(self, *args: Any, commands_at: Mapping[str, str] | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._commands_at = dict(commands_at or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands."""
        return sorted(self._commands_at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        place = self._commands_at.get(cmd_name)
        if place is None:
            return None
        module, name = place.split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        if COMPLETING not in os.environ:
            return command
        from pbdb.cli.shell import completion

        return completion.add_names(command)


def settings() -> Settings:
    """Settings from the environment."""
    return Settings.from_environment()


def say(message: str) -> None:
    """Talk to the user on standard error; standard output is for data."""
    click.echo(message, err=True)


def show_json(value: Any) -> None:
    """Print a value as JSON; what JSON lacks becomes text, NaN and infinity null."""
    click.echo(json.dumps(_plain(value), indent=2, default=str))
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124
        return None
    return value


def show_table(rows: Iterable[Sequence[object]], header: Sequence[str]) -> None:
    """Print rows as an aligned table; numbers stand on the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    cells = [list(row) for row in rows]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for place, name in enumerate(header):
        is_number = any(isinstance(row[place], (int, float)) and not isinstance(row[place], bool) for row in cells)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in cells:
        table.add_row(*(visible(_shown(cell)) for cell in row))
    # Rich would leave out control characters of cells, and its own are not visible text.
    console = Console(
        file=sys.stdout, color_system=None, width=None if sys.stdout.isatty() else 400, highlight=False, markup=False
    )
    console.print(table)
    sys.stdout.flush()


def _shown(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:.4g}"
    return f"{cell:,}" if isinstance(cell, int) and abs(cell) < 10**9 else str(cell)


class TerminalReporter:
    """Stages as lines, progress as a bar on a terminal, elsewhere as a line every ten seconds (`heartbeat`)."""

    def __init__(self, quiet: bool = False):
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        self._what = ""

    def __enter__(self) -> TerminalReporter:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def stage(self, stage: str, message: str) -> None:
        """A stage ended."""
        self._stop()
        if not self._quiet:
            say(f"{stage:<10}{message}")

    def progress(self, what: str, done: int, total: int | None) -> None:
        """A stage got on."""
        if self._quiet or not sys.stderr.isatty():
            heartbeat.told(what, done, total)
            return
        if self._bar is None or what != self._what:
            self._stop()
            self._start(what)
        self._bar.update(self._task, completed=done, total=total)

    def _start(self, what: str) -> None:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        self._bar = Progress(*columns, TimeRemainingColumn(), console=Console(file=bare(sys.stderr)), transient=True)
        heartbeat.pause(True)
        self._bar.start()
        self._what, self._task = what, self._bar.add_task(escape(visible(what)), total=None)

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
            heartbeat.pause(False)


def examples(*lines: str) -> Callable[[click.Command], click.Command]:
    """Add examples to the end of a command's help."""

    def add(command: click.Command) -> click.Command:
        shown = "\n".join(f"  {line}" for line in lines)
        command.epilog = f"\b\nExample:\n{shown}" if len(lines) == 1 else f"\b\nExamples:\n{shown}"
        return command

    return add


def worries_words(n: int) -> str:
    """Say how many tests of a page on quality worry."""
    if not n:
        return "and no test found anything to worry about"
    return f"and {n} tests worry" if n > 1 else "and 1 test worries"
