"""Published tables come in many forms: which one a file has, and its reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from pbdb.common.errors import VocabularyError
from pbdb.readers.text import DAMAGED

Part = TypeVar("Part")


def read(
    path: Path,
    kind: str | None,
    readers: Mapping[str, Callable[[Path], Part]],
    recognise: Callable[[Path], str | None],
    what: str,
) -> Part:
    """Read a file by the reader of its form, which is recognised by its content when `kind` is None.

    what: such tables are called, with an example: `gene table, e.g. an Ensembl GTF`.

    Raises:
        VocabularyError: there is no such file, its form is unknown, or it is damaged or lacks a column.
    """
    if not path.exists():
        raise VocabularyError(f"{path} does not exist: give a {what}.", file=str(path))
    table = what.split(",", maxsplit=1)[0]
    try:
        kind = kind or recognise(path)
        if kind is None:
            raise VocabularyError(
                f"{path.name} is none of the {table}s known here ({', '.join(readers)}): give a {what}.",
                file=path.name,
            )
        if kind not in readers:
            raise VocabularyError(f"'{kind}' is no kind of {table}: use one of {', '.join(readers)}.", value=kind)
        return readers[kind](path)
    except DAMAGED as error:
        raise VocabularyError(
            f"{path.name} cannot be read as {kind or 'a ' + table}: {error}.", file=path.name
        ) from error
