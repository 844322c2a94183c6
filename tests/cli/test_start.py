"""What a command needs before it can say anything: nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"anndata", "duckdb", "matplotlib", "numba", "numpy", "pandas", "pyarrow", "pydeseq2", "rdkit", "scipy"}
HEAVY |= {"sqlalchemy"}
COMMANDS = [["--help"], ["etl", "load", "--help"], ["sql", "--help"], ["--version"]]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys; from pbdb.cli import pbdb\n"
        "pbdb(sys.argv[1:], standalone_mode=False)\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert set(done.stdout.splitlines()[-1].split()) & HEAVY == set()


def test_a_site_imports_nothing_that_only_loads_need() -> None:
    code = (
        "import sys; from pbdb.serve import app; import pyarrow as pa\n"
        "app._spare_memory(); pa.array(['a'])\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loads = {"alembic", "anndata", "duckdb", "numba", "pandas", "scipy", "sqlalchemy"}
    assert set(done.stdout.split()) & loads == set()
