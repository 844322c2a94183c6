"""Text for a terminal: what data hold is shown and never obeyed, whichever way it is printed."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

# Control characters but tab and new line (C0, DEL, C1), marks that turn the direction of text, and invisible ones.
# Unicode's controls (Cc), formats (Cf, as of Unicode 15), separators of lines and paragraphs, and surrogates.
UNSAFE = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u2064\u2066-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f]"
)


# What clears the line of a terminal that something else has begun, before a command writes.
before_write: Callable[[], None] | None = None


def visible(text: str) -> str:
    r"""The text with what a terminal would obey as escapes: ESC is `\x1b`."""
    return UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class SafeText:
    """A text stream that writes only what is visible; everything else is the stream behind it."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a text; return its length."""
        if before_write is not None:
            before_write()
        self.stream.write(visible(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write some texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def safe_output() -> Iterator[None]:
    """Let standard output and standard error write only what is visible, as long as the block runs."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = safe(sys.stdout), safe(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def bare(stream: Any) -> Any:
    """The stream behind one that is safe: for bars and colours of our own."""
    return stream.stream if isinstance(stream, SafeText) else stream


def safe(stream: Any) -> Any:
    """The stream, writing only what is visible."""
    return stream if isinstance(stream, SafeText) else SafeText(stream)
