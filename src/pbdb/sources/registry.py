"""Find sources: the files of etl/, entry points of other packages, and a path a user names."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from pbdb.common.errors import ConfigError, SourceError, suggestion
from pbdb.sources.declaration import Source
from pbdb.sources.names import GROUP, known

FOLDER = "pbdb.etl"
__all__ = ["GROUP", "declaration", "get", "known", "of_dataset"]


def get(key: str) -> Source:
    """The source of a key, or of a path to a declaration file (`./my_screen.py`).

    Raises:
        SourceError: there is no such source, or its file declares none, or one of another key.
    """
    if key.endswith(".py"):
        return _from_file(Path(key))
    if key.isidentifier() and importlib.util.find_spec(f"{FOLDER}.{key}") is not None:
        return _source(importlib.import_module(f"{FOLDER}.{key}"), key)
    for point in entry_points(group=GROUP, name=key):
        return _checked(point.load(), key, point.value)
    if Path(key).exists():
        raise SourceError(
            f"'{key}' declares no source: a declaration is a .py file; `pbdb etl new` writes one.", value=key
        )
    raise SourceError(f"There is no source '{key}': {suggestion(key, known())}", value=key)


def of_dataset(key: str, dataset: str | None) -> Source:
    """The source of a key, which has this data set, where one is named.

    Raises:
        SourceError: as `get`.
        ConfigError: it has no such data set.
    """
    source = get(key)
    if dataset is not None and dataset not in source.datasets:
        raise ConfigError(
            f"Source '{source.key}' has no dataset '{dataset}'; it has {', '.join(source.datasets)}.", dataset=dataset
        )
    return source


def declaration(source: Source) -> Path:
    """The file a source is declared in."""
    return Path(source.blocks.__code__.co_filename)


def _from_file(path: Path) -> Source:
    if not path.is_file():
        raise SourceError(f"There is no file '{path}' that could declare a source.", file=str(path))
    _refuse_blanks(path)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise SourceError(f"'{path}' is not a Python file.", file=str(path))
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as problem:
        raise SourceError(
            f"'{path}' cannot be read as a source: {type(problem).__name__}: {problem}.", file=str(path)
        ) from problem
    return _source(module, path.stem)


def _refuse_blanks(path: Path) -> None:
    """Name the first line with a blank, and what its comment says belongs there."""
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        tree = ast.parse("\n".join(lines))
    except SyntaxError:
        return  # told where the file is imported
    blanks = sorted({node.lineno for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "FILL_IN"})
    if not blanks:
        return
    wanted = lines[blanks[0] - 1].rpartition("# ")[2].strip() if "# " in lines[blanks[0] - 1] else "a value"
    others = f", and {len(blanks) - 1} more" if len(blanks) > 1 else ""
    raise SourceError(
        f"'{path}' has a blank in line {blanks[0]}{others}: write there instead of FILL_IN: {wanted}.",
        file=str(path),
        line=blanks[0],
    )


def _source(module: ModuleType, key: str) -> Source:
    return _checked(getattr(module, "SOURCE", None), key, str(module.__file__))


def _checked(source: object, key: str, where: str) -> Source:
    if not isinstance(source, Source):
        raise SourceError(f"'{where}' declares no source: it needs SOURCE = Source(...).", file=str(where))
    if source.key != key:
        raise SourceError(
            f"'{where}' declares the source '{source.key}': its key must be '{key}', the name of its file.",
            file=str(where),
            value=source.key,
        )
    return source
