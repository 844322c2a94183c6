"""Names and texts as SQL writes them."""

from __future__ import annotations


def quoted(*names: str) -> str:
    """A name in SQL, with the names it stands in, whatever signs they hold."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"
