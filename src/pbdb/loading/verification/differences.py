"""What a second look finds: one line for each kind of difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

SHOWN = 3


class Difference(NamedTuple):
    """A kind of difference: which check, in how many places, and the first of them in words."""

    check: str
    n: int
    examples: tuple[str, ...]


class Differences:
    """Differences as they are found, by check."""

    def __init__(self) -> None:
        self._examples: dict[str, list[str]] = {}
        self._n: dict[str, int] = {}

    def add(self, check: str, example: str, n: int = 1) -> None:
        """Note a difference, or n of which one is told."""
        self._n[check] = self._n.get(check, 0) + n
        examples = self._examples.setdefault(check, [])
        if len(examples) < SHOWN:
            examples.append(example)

    def add_all(self, check: str, examples: Sequence[str]) -> None:
        """Note several of one kind."""
        for example in examples:
            self.add(check, example)

    def expect(self, check: str, where: str, loaded: object, expected: object, by: str) -> None:
        """Note that a loaded value is not the expected one; `by` says what expects it."""
        if loaded != expected:
            self.differ(check, where, loaded, expected, by)

    def differ(self, check: str, where: str, loaded: object, expected: object, by: str, n: int = 1) -> None:
        """Note a loaded value beside what `by` says; n: in how many places there is such a difference."""
        self.add(check, f"{where}: {_shown(loaded)} is loaded, {_shown(expected)} by {by}", n)

    def all(self) -> list[Difference]:
        """Every kind that was noted."""
        return [Difference(check, n, tuple(self._examples[check])) for check, n in self._n.items()]


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
