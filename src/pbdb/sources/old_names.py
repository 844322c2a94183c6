"""Names that declarations used before, understood for one release with a warning that says the new one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Declared = TypeVar("Declared")

CLASSES = {
    "Block": "ProfileBlock",
    "Cells": "Context",
    "Compounds": "CompoundColumns",
    "Samples": "SampleColumns",
}


def warn(before: str, now: str, stacklevel: int = 3) -> None:
    """Say to whoever wrote the declaration that a name has another one now."""
    warnings.warn(
        f"'{before}' is '{now}' now, and the old name will be removed: write '{now}' in your declaration.",
        DeprecationWarning,
        stacklevel=stacklevel,
    )


def keyword(before: str, now: str) -> Callable[[type[Declared]], type[Declared]]:
    """Let a class of declarations take a keyword by its old name, too."""

    def understanding(declared: type[Declared]) -> type[Declared]:
        init: Callable[..., None] = declared.__init__

        @wraps(init)
        def with_old_name(self: Declared, *values: Any, **named: Any) -> None:
            if before in named:
                warn(f"{declared.__name__}({before}=...)", f"{declared.__name__}({now}=...)")
                named[now] = named.pop(before)
            init(self, *values, **named)

        setattr(declared, "__init__", with_old_name)  # noqa: B010
        return declared

    return understanding
