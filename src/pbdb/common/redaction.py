"""Tokens of providers: they stand in environment variables, and in nothing that is shown or stored."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

HIDDEN = "***"


def without(text: str, names: Iterable[str]) -> str:
    """Give a text without the values of these environment variables."""
    for name in names:
        if secret := os.environ.get(name):
            text = text.replace(secret, HIDDEN)
    return text


@contextmanager
def unsaid(names: Iterable[str]) -> Iterator[None]:
    """Take the values of these environment variables out of the words of any error, and of what caused it."""
    known = list(names)
    try:
        yield
    except Exception as problem:
        _redact(problem, known)
        raise


def _redact(problem: BaseException, names: list[str]) -> None:
    problem.args = tuple(
        without(argument, names) if isinstance(argument, str) else argument for argument in problem.args
    )
    cause = problem.__cause__ or problem.__context__
    if cause is None:
        return
    if without(f"{cause} {cause!r}", names) == f"{cause} {cause!r}":
        _redact(cause, names)
    else:  # what other libraries put into their errors cannot be mended piece by piece
        problem.__cause__, problem.__context__, problem.__suppress_context__ = None, None, True
