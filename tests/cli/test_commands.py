"""The command line as a whole: help, examples, errors."""

from __future__ import annotations

import click
import pytest
from commands import call

from pbdb.cli import pbdb as root


def walk(command: click.Command, path: tuple[str, ...] = ()):
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from walk(command.get_command(context, name), (*path, name))
    else:
        yield path, command


COMMANDS = dict(walk(root))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help_and_an_example(path):
    command = COMMANDS[path]
    assert command.help
    assert f"pbdb {' '.join(path)}" in (command.epilog or "")


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_is_explained(path):
    for option in COMMANDS[path].params:
        assert isinstance(option, click.Argument) or option.help


@pytest.mark.xdist_group("demo")
def test_a_second_demo_loads_nothing_twice(demo_home):
    done = call(demo_home.parent, "demo", check=True)
    assert "nothing to do" in done.stderr
    assert "HSPA6" in done.stdout
