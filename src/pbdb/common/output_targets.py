"""Where results are written: a target that cannot be one is refused in a sentence, before any work."""

from __future__ import annotations

from pathlib import Path

from pbdb.common.errors import ConfigError


def require_file(path: Path) -> None:
    """Refuse a path that cannot become a file.

    Raises:
        ConfigError: it is a folder, or its own folder is not there.
    """
    if path.is_dir():
        raise ConfigError(f"'{path}' is a folder: give the name of a file.", file=str(path))
    if not path.parent.is_dir():
        raise ConfigError(f"There is no folder '{path.parent}' for '{path.name}': make it first.")


def make_folder(path: Path, *, empty: bool = False) -> None:
    """Make a folder, unless it is there; empty: refuse one that holds something.

    Raises:
        ConfigError: it is a file, cannot be made, or is not empty.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        is_empty = next(path.iterdir(), None) is None
    except FileExistsError:
        raise ConfigError(f"'{path}' is a file: give the name of a folder.", file=str(path)) from None
    except OSError as problem:
        raise ConfigError(f"The folder '{path}' cannot be made: {problem.strerror}.") from None
    if empty and not is_empty:
        raise ConfigError(f"The folder '{path}' is not empty: give a new one, or an empty one.")
