"""Keys of sources, known without importing any: for completion, and to refuse a wrong one at once."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

from pbdb.common import packaged_files
from pbdb.common.errors import SourceError, suggestion

GROUP = "pbdb.sources"


def known() -> list[str]:
    """Keys of all sources, sorted: file names of etl/ and names of entry points."""
    brought = [path.stem for path in packaged_files.folder("etl").glob("*.py") if path.stem.isidentifier()]
    others = [point.name for point in entry_points(group=GROUP)]
    return sorted({*brought, *others} - {"__init__"})


def argument(key: str) -> str:
    """What `pbdb etl load` takes for a source: its key, or the file of a declaration that pbdb does not bring along."""
    return key if key in known() else f"./{key}.py"


def require(key: str) -> None:
    """Refuse what is neither a key of a source nor a path.

    Raises:
        SourceError: it names the key that was suggestion.
    """
    if not key.endswith(".py") and not Path(key).exists() and key not in (there := known()):
        raise SourceError(f"There is no source '{key}': {suggestion(key, there)}", value=key)
