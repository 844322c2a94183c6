"""What a long task tells while it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Progress = Callable[[str, int, int | None], None]


def silent(what: str, done: int, total: int | None) -> None:
    """Progress that nobody sees: `what` got on to `done` of `total`, where that is known."""


class Reporter(Protocol):
    """Hears what a load does."""

    def stage(self, stage: str, message: str) -> None:
        """A stage ended, or what it is to do was done before."""

    def progress(self, what: str, done: int, total: int | None) -> None:
        """A stage got on."""


class Silent:
    """A reporter that says nothing."""

    def stage(self, stage: str, message: str) -> None:
        """Say nothing."""

    def progress(self, what: str, done: int, total: int | None) -> None:
        """Say nothing."""
