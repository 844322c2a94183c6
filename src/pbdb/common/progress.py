"""What a long task tells while it runs."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Hears what a load does."""

    def stage(self, stage: str, message: str) -> None:
        """A stage ended, or was found done."""

    def progress(self, what: str, done: int, total: int | None) -> None:
        """A stage got on."""


class Silent:
    """A reporter that says nothing."""

    def stage(self, stage: str, message: str) -> None:
        """Say nothing."""

    def progress(self, what: str, done: int, total: int | None) -> None:
        """Say nothing."""
