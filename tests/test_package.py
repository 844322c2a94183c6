"""The built wheel works in an environment that has never seen the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from support import running_server, throwaway_home


def run(*command: str | Path, **options: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def installed(root, tmp_path_factory) -> Path:
    """A virtual environment with the wheel in it; the packages it needs are borrowed from this one."""
    folder = tmp_path_factory.mktemp("wheel")
    copied = folder / "checkout"
    run("git", "clone", "--quiet", root, copied)
    for name in ("src", "etl", "sql", "migrations", "pyproject.toml"):
        run("cp", "-rT", root / name, copied / name)
    build = "import setuptools.build_meta as b; b.build_wheel('dist')"
    run(sys.executable, "-c", build, cwd=copied)
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    site = next((folder / "venv" / "lib").glob("python3*/site-packages"))
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    wheel = next((copied / "dist").glob("*.whl"))
    python = folder / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--ignore-installed", wheel, cwd=folder)
    return folder / "venv" / "bin" / "pbdb"


def test_the_wheel_brings_sources_views_and_migrations(installed, tmp_path):
    with throwaway_home() as home, running_server(home):
        environment = {**os.environ, "PBDB_HOME": str(home), "PYTHONPATH": ""}
        run(installed, "db", "upgrade", env=environment, cwd=tmp_path)
        run(installed, "db", "check", env=environment, cwd=tmp_path)
        listed = json.loads(run(installed, "etl", "list", "--json", env=environment, cwd=tmp_path))
        assert {"driad", "drugseq"} <= {row["source"] for row in listed}
        run(installed, "simulate", "drugseq", "--out", tmp_path / "release", env=environment, cwd=tmp_path)
        where = "import pbdb, pbdb.etl; print(pbdb.__file__, pbdb.etl.__file__)"
        found = run(installed.with_name("python"), "-c", where, env=environment, cwd=tmp_path)
        assert found.count(str(installed.parents[1])) == 2
