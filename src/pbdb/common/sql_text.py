"""Names and texts as SQL writes them."""

from __future__ import annotations

import re

NAMED = re.compile(r"%\((\w+)\)s")
"""A value of a query, by name."""
AMONG = re.compile(r"= ANY ?\(%\((\w+)\)s(::[\w ]+)?(?:\[\])?\)")
"""A comparison with a list of values: its name, the type of one."""


def quoted(*names: str) -> str:
    """A name in SQL, with the names it stands in, whatever signs they hold."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"
