"""What `import pbdb` gives: the names a user relies on, quick to import, and examples that run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import pbdb
from pbdb.common import errors

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
KINDS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}


def test_the_names_are_those_users_rely_on() -> None:
    others = {
        "Database",
        "FitOptions",
        "Options",
        "Settings",
        "Snapshot",
        "Violation",
        "__version__",
        "connect",
        "run_de",
    }
    assert set(pbdb.__all__) == others | KINDS
    assert set(pbdb.__all__) <= set(dir(pbdb))


@pytest.mark.parametrize("name", pbdb.__all__)
def test_every_name_leads_somewhere_and_is_documented(name: str) -> None:
    value = getattr(pbdb, name)
    assert value.__doc__
    assert f"`{name}" in PAGE or name == "Violation"


def test_errors_are_one_tree() -> None:
    assert all(issubclass(getattr(pbdb, name), pbdb.PbdbError) for name in KINDS)
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        pbdb.conect  # noqa: B018


def test_importing_it_imports_nothing_heavy() -> None:
    heavy = ("numpy", "pandas", "anndata", "sqlalchemy", "psycopg", "duckdb", "numba", "scipy", "click")
    code = f"import sys, pbdb; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_page_has_its_examples() -> None:
    assert len(re.findall(r"```python\n", PAGE)) == 6
