"""A sign of life of whatever takes long: a line on a terminal after two seconds, and in a pipe every ten.

Commands that know how far they are tell it (`told`); of others it says what runs, and for how long.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pbdb.cli import terminal

SECONDS_ON_TERMINAL = 2.0
SECONDS_IN_PIPE = 10.0
SILENT = ("serve", "psql")  # commands that are not waited for, or that have the terminal to themselves


class Heartbeat:
    """Says what a command does, from a thread of its own, while the command itself says nothing."""

    def __init__(self, command: str):
        self._command, self._stream = command, terminal.bare(sys.stderr)
        self._on_terminal = bool(self._stream.isatty())
        self._start = self._last = time.monotonic()
        self._state: tuple[str, int, int | None] | None = None
        self._shown, self._paused = False, False
        self._lock, self._end = threading.Lock(), threading.Event()

    def beat(self) -> None:
        """Write signs of life until `stop`."""
        every = 0.5 if self._on_terminal else 1.0
        while not self._end.wait(every):
            with self._lock:
                self._sign()

    def _sign(self) -> None:
        now = time.monotonic()
        wait = SECONDS_ON_TERMINAL if self._on_terminal else SECONDS_IN_PIPE
        if self._paused or (now - self._last < wait and not self._shown):
            return
        line = terminal.visible(self._line(now))
        self._stream.write(f"\r\x1b[K{line}" if self._on_terminal else f"{line}\n")
        self._stream.flush()
        self._shown = self._on_terminal
        self._last = now

    def _line(self, now: float) -> str:
        seconds = f"{now - self._start:,.0f} s"
        if self._state is None:
            return f"{self._command}: at work for {seconds}"
        what, done, total = self._state
        of = f"{done:,} of {total:,}" if total else f"{done:,}" if done else "at work"
        return f"{what}: {of}, {seconds}"

    def told(self, what: str, done: int, total: int | None) -> None:
        """The command got on."""
        self._state = (what, done, total)

    def written(self) -> None:
        """The command writes something itself: the line on the terminal goes, and waiting begins anew."""
        if threading.current_thread().name == NAME:
            return
        with self._lock:
            if self._shown:
                self._stream.write("\r\x1b[K")
                self._stream.flush()
                self._shown = False
            self._last = time.monotonic()

    def pause(self, paused: bool) -> None:
        """Say nothing while somebody else has the terminal: a bar, a question."""
        self.written()
        self._paused = paused

    def stop(self) -> None:
        """Say nothing any more."""
        self._end.set()
        self.pause(True)


NAME = "heartbeat"
_beating: list[Heartbeat] = []


@contextmanager
def beating(arguments: list[str]) -> Iterator[None]:
    """Give signs of life of the command of these arguments, as long as the block runs."""
    words = [word for word in arguments if not word.startswith("-")]
    if set(words[:2]) & set(SILENT):
        yield
        return
    heart = Heartbeat(" ".join(["pbdb", *words[:2]]) if words and words[0] != "sql" else "pbdb sql")
    _beating.append(heart)
    threading.Thread(target=heart.beat, name=NAME, daemon=True).start()
    terminal.before_write = heart.written
    try:
        yield
    finally:
        terminal.before_write = None
        _beating.remove(heart)
        heart.stop()


def told(what: str, done: int, total: int | None) -> None:
    """A command got on; nothing where no heart beats."""
    for heart in _beating:
        heart.told(what, done, total)


@contextmanager
def paused() -> Iterator[None]:
    """Leave the terminal to a bar or a question, as long as the block runs."""
    pause(True)
    try:
        yield
    finally:
        pause(False)


def pause(paused: bool) -> None:
    """Leave the terminal to somebody else, or take it again."""
    for heart in _beating:
        heart.pause(paused)
