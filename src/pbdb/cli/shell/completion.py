"""What a shell offers after <Tab> besides commands and options: sources, data sets, splits.

Completion starts no server: names of data sets and splits come from one that runs.
"""

from __future__ import annotations

from collections.abc import Callable

import click
from click.shell_completion import CompletionItem

from pbdb.common.errors import PbdbError
from pbdb.common.settings import Settings

Known = Callable[[click.Context], list[str]]


class Name(click.ParamType[str]):
    """A text that names something known."""

    name = "text"

    def __init__(self, known: Known):
        self._known = known

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The known names that begin with what is written."""
        return [CompletionItem(name) for name in self._known(ctx) if name.startswith(incomplete)]


def add_names(command: click.Command, group: str = "") -> click.Command:
    """Let the arguments and options of a command, and of those below it, offer the names they stand for."""
    for param in command.params:
        known = _IN_GROUP.get((group, param.name or "")) or _KNOWN.get(param.name or "")
        if known is not None and isinstance(param.type, click.types.StringParamType):
            param.type = Name(known)
    if isinstance(command, click.Group):
        for below in command.commands.values():
            add_names(below, command.name or "")
    return command


def _sources(ctx: click.Context) -> list[str]:
    from pbdb.sources import names

    return names.known()


def _datasets(ctx: click.Context) -> list[str]:
    # While an option waits for its value, arguments before it have no names yet.
    is_of_source = any(param.name == "source" for param in ctx.command.params)
    source = ctx.params.get("source") or (ctx.args[0] if is_of_source and ctx.args else None)
    if source is None:
        return _asked("SELECT dataset FROM dataset ORDER BY 1")
    from pbdb.sources import registry

    try:
        return list(registry.get(source).datasets)
    except PbdbError:
        return []


def _splits(ctx: click.Context) -> list[str]:
    return _asked("SELECT split FROM split ORDER BY 1")


def _sources_and_datasets(ctx: click.Context) -> list[str]:
    return sorted({*_sources(ctx), *_asked("SELECT dataset FROM dataset")})


def _asked(query: str) -> list[str]:
    """The first column of a query, where a server runs; else nothing, for a shell waits."""
    import psycopg

    from pbdb.server import connect

    settings = Settings.from_environment()
    try:
        if settings.database_url is None and not connect.status(settings).running:
            return []
        with connect.connect_as_reader(settings) as connection:
            return [str(name) for (name,) in connection.execute(query)]
    except (PbdbError, psycopg.Error):
        return []


_KNOWN: dict[str, Known] = {
    "source": _sources,
    "dataset": _datasets,
    "datasets": _datasets,
    "include": _datasets,
    "split": _splits,
}
_IN_GROUP: dict[tuple[str, str], Known] = {
    ("split", "name"): _splits,
    ("etl", "name"): _sources_and_datasets,
    ("db", "dataset"): _datasets,
}
